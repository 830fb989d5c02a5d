"""Comparing what was stored, and what of it becomes evidence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scoring_world import ByLetters, World, failed, make_world

from workbench.compare import evaluator_version
from workbench.compare.fields import NOTHING_COMPARED
from workbench.errors import ConfigError, UsageError
from workbench.records import Action, Basis, ErrorKind, EvalKind, LabelVerdict, Output
from workbench.scoring import CompareReport, compare, evidence, overview, recommend
from workbench.scoring.evidence import calls_per_day, span_days
from workbench.scoring.trail import evidence_over_time
from workbench.specs import EvalConfig, FieldRule
from workbench.store.compared import evidence_frame
from workbench.store.spool import write_part

AGREE, DIFFER = ("a", "a"), ("a", "b")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    yield made
    made.store.close()


def compared(world: World, task: str = "topics") -> CompareReport:
    (report,) = compare(world.workspace, world.store, task, embedder=lambda _: ByLetters())
    return report


def test_every_observation_is_compared_once(world: World) -> None:
    """The report counts each kind of verdict; the same command again adds nothing."""
    world.add(
        "topics",
        [
            AGREE,
            ("a", "A."),
            DIFFER,
            ("b", "something else"),
            ("a", failed(ErrorKind.TIMEOUT)),
            ("neither", "a"),
            (failed(), "a"),
            (Output("a", finish_reason="length"), "a"),
            (Output("a", flags=("refusal",)), "a"),
            (None, "a"),
        ],
    )
    report = compared(world)
    assert (report.new, report.observations, report.compared) == (10, 10, 5)
    assert (report.match, report.mismatch, report.invalid, report.uncomparable) == (2, 3, 2, 5)
    assert report.errors == {"timeout": 1}
    assert report.agreement.point == pytest.approx(2 / 5)
    assert report.basis is Basis.STRUCTURAL
    assert replace(compared(world), new=10) == report
    assert world.store.value("SELECT count(*) FROM comparisons") == 10


def test_labels_compared_in_bulk_get_the_verdicts_they_get_one_by_one(world: World) -> None:
    """The fast path for labels stores what the comparator says of each pair."""
    world.add("topics", [AGREE, ("a", "A."), DIFFER, ("b", "b"), ("a", "?"), ("a", "a")])
    compared(world)
    found = world.store.rows("SELECT * FROM comparisons ORDER BY call_id")
    assert [row["verdict"] for row in found] == ["match", "match", "mismatch", "match", "mismatch", "match"]
    assert [row["identical"] for row in found] == [True, False, False, True, False, True]
    assert [row["candidate_group"] for row in found] == ["a", "a", "b", "b", None, "a"]
    assert [row["invalid"] for row in found] == [False] * 4 + [True, False]
    assert found[2]["reason"] == "a became b"


def test_results_waiting_in_the_spool_are_loaded_first(world: World) -> None:
    """A worker's part counts without anybody asking for it."""
    world.add("topics", [AGREE, AGREE], observed=1)
    row = {
        "replay_id": "r1",
        "call_id": "topics-00001",
        "repeat": 0,
        "output": '{"text":"a"}',
        "text": "a",
        "attempts": 1,
    }
    write_part(world.workspace.spool, "observations", [row])
    report = compared(world)
    assert (report.absorbed, report.observations) == (1, 2)


def test_a_changed_eval_is_compared_anew_and_not_mixed(world: World) -> None:
    """Another evaluator version stands beside the old one."""
    world.add("topics", [("a", "x")] * 30)
    assert compared(world).match == 0
    path = Path(world.workspace.eval_for("topics").root) / "eval.toml"
    path.write_text('task = "topics"\nkind = "label"\nlabels = ["a", "b"]\naliases = { x = "a" }\n')
    again = World(type(world.workspace).load(world.workspace.root), world.store)
    report = compared(again)
    assert (report.new, report.match) == (30, 30)
    assert evidence(again.workspace, world.store, "topics", "small").task.disagreements == 0
    assert world.store.value("SELECT count(*) FROM comparisons") == 60


def test_texts_get_a_similarity_and_a_failing_one_is_missing(world: World) -> None:
    """Missing is a mismatch that says so, not a similarity of 0."""
    world.add("rewrite", [("aab", "aab."), ("aab", "aabb"), ("aab", "cde"), ("aab", "aab with !")])
    report = compared(world, "rewrite")
    assert (report.match, report.mismatch, report.similarity_missing) == (2, 2, 1)
    assert report.embedded == 3
    assert report.embedding_failures == ("RuntimeError: no vector",)
    scores = [row["score"] for row in world.store.rows("SELECT score FROM comparisons ORDER BY call_id")]
    assert scores[0] == 1
    assert scores[3] is None


def test_nothing_replayed_is_an_error_that_names_the_next_command(world: World) -> None:
    """Named targets must exist; without a name there is simply nothing to do."""
    assert compare(world.workspace, world.store) == []
    assert overview(world.workspace, world.store) == []
    with pytest.raises(UsageError, match="Nothing was replayed"):
        compare(world.workspace, world.store, "topics", "small")
    with pytest.raises(UsageError, match="smal"):
        compare(world.workspace, world.store, "topics", "smal")


def test_a_batch_counts_once_every_planned_call_is_compared(world: World) -> None:
    """Half a batch would let the fast answers speak first."""
    world.add("topics", [AGREE] * 30)
    world.add("topics", [AGREE] * 30, batch=1, first=30, observed=29)
    compared(world)
    assert evidence(world.workspace, world.store, "topics", "small").task.compared == 30
    world.observe("topics", 59, "b")
    compared(world)
    found = evidence(world.workspace, world.store, "topics", "small")
    assert (found.task.compared, found.task.disagreements, found.task.audited >= 30) == (60, 1, True)


def test_a_call_counts_once_however_often_it_was_replayed(world: World) -> None:
    """Replays are pooled, and the earliest counts."""
    world.add("topics", [DIFFER, AGREE])
    world.add("topics", [AGREE, AGREE], replay="r2", known_calls=True)
    compared(world)
    found = evidence(world.workspace, world.store, "topics", "small")
    assert (found.task.compared, found.task.disagreements) == (2, 1)


def test_a_batch_that_closes_late_stands_behind_those_before_it(world: World) -> None:
    """Labels given in order keep their place when an older batch gets its last answer."""
    world.add("topics", [DIFFER] * 3, observed=2)
    world.add("topics", [AGREE, DIFFER], batch=1, first=3)
    compared(world)
    version = evaluator_version(world.workspace.eval_for("topics"))
    scope = (world.store, "topics", world.fingerprint("small"), version)
    before = list(evidence_frame(*scope, wanted=("call_id",))["call_id"])
    world.observe("topics", 2, "b")
    compared(world)
    after = evidence_frame(*scope, wanted=("call_id",))
    assert len(before) == 2
    assert list(after["call_id"])[:2] == before
    assert list(after["batch_order"]) == [0, 0, 1, 1, 1]


def test_calls_in_conflict_are_left_out_of_evidence_and_hold_no_batch_open(world: World) -> None:
    """A call whose content is in doubt neither counts nor blocks."""
    world.add("topics", [AGREE, DIFFER, AGREE])
    compared(world)
    world.store.append(
        "conflicts",
        [
            {
                "call_id": "topics-00001",
                "manifest_id": "m",
                "content_hash": "x",
                "file": "f",
                "line": 1,
                "call": "{}",
            }
        ],
    )
    found = evidence(world.workspace, world.store, "topics", "small")
    assert (found.task.compared, found.task.disagreements) == (2, 0)


def test_evidence_carries_groups_slices_span_volume_and_what_stands_outside(world: World) -> None:
    """All that the decision asks for comes from the store."""
    world.add("topics", [AGREE] * 150 + [("b", "a")] * 40 + [("b", "?")] * 10 + [(failed(), "a")] * 5)
    compared(world)
    found = evidence(world.workspace, world.store, "topics", "small")
    assert (found.task.compared, found.task.disagreements, found.invalid, found.uncomparable) == (
        200,
        50,
        10,
        5,
    )
    assert {(each.kind, each.name): (each.n, each.agreements) for each in found.groups} == {
        ("label", "a"): (150, 150),
        ("label", "b"): (50, 0),
    }
    assert {(each.name, each.value): each.population.compared for each in found.slices} == {
        ("language", "de"): 100,
        ("language", "en"): 100,
    }
    assert found.days == pytest.approx(199 / 24)
    assert found.calls_per_day == pytest.approx(24)
    assert found.critical is not None
    assert found.critical.disagreements == 50


def test_volume_is_scaled_by_the_logged_share_and_unknown_without_one(world: World) -> None:
    """A log of every tenth call stands for ten times the traffic."""
    world.add("topics", [AGREE] * 50, sampling_rate=0.1)
    compared(world)
    ten = evidence(world.workspace, world.store, "topics", "small").calls_per_day
    assert ten == pytest.approx(240)
    world.add("topics", [AGREE], replay="r2", first=60, sampling_rate=None)
    compared(world)
    assert evidence(world.workspace, world.store, "topics", "small").calls_per_day is None


def test_a_slice_that_is_only_in_the_log_is_known_and_gets_nothing(world: World) -> None:
    """The sample may miss a slice of the traffic, or its controls may all be unusable."""
    world.add("topics", [AGREE] * 60)
    compared(world)
    with world.store.writing() as writer:
        rows = writer.rows("SELECT * FROM calls LIMIT 5")
        for place, row in enumerate(rows):
            row.pop("seq", None)
            row |= {"call_id": f"ja-{place}", "native_id": f"ja-{place}", "language": "ja"}
        writer.append("calls", rows)
    found = recommend(world.workspace, world.store, "topics", "small")
    assert {each.value: each.share for each in found.slices} == {"de": 0.01, "en": 0.01, "ja": 0.0}
    assert found.effective_share == pytest.approx(0.01 * 60 / 65)


def on_days(*counts: int) -> pd.Series[Any]:
    start = datetime(2026, 3, 2, tzinfo=UTC)
    calls = [
        start + timedelta(days=day, minutes=minute) for day, n in enumerate(counts) for minute in range(n)
    ]
    return pd.Series(calls, dtype=object)


def test_a_day_counts_where_it_has_a_share_of_the_week() -> None:
    """Seven days of one call each beside a full one are a day; a quiet weekend is part of its week."""
    assert span_days(on_days(900, *[1] * 7)) == 1
    assert span_days(on_days(*[1] * 7, 900)) == 1
    assert span_days(on_days(900, *[2] * 60)) == 1, "nor do many such days make up for it"
    assert span_days(on_days(100, 110, 90, 100, 105, 12, 11, 95)) == pytest.approx(7.07, abs=0.01)
    assert span_days(on_days(100, 110, 90, 100, 105, 0, 0, 95)) == 6
    assert span_days(on_days(*[3] * 8)) == pytest.approx(7, abs=0.01), "a thin log has all its days"
    assert span_days(on_days(10, 12, 15, 18, 22, 30, 45, 70)) == pytest.approx(7.05, abs=0.01)


def test_a_few_dated_calls_do_not_speak_for_a_log_without_times() -> None:
    """Neither do they span a week, nor are they the volume; most of them do, scaled up."""
    start = datetime(2026, 3, 2, tzinfo=UTC)
    ten_days = [start, start + timedelta(days=10)]
    assert span_days(pd.Series(ten_days + [None] * 98)) is None
    daily = [start + timedelta(days=day) for day in range(11)]
    assert span_days(pd.Series([*daily, None])) == 10
    stray = [start, *(start + timedelta(days=10, minutes=minute) for minute in range(999))]
    assert span_days(pd.Series(stray, dtype=object)) == 1, "one call of another week makes no week"
    config = EvalConfig("topics", EvalKind.LABEL)
    volume = {"calls": 100, "a_day": 0.2, "days": 10.0, "undated": 98}
    assert calls_per_day(config, volume) is None
    assert calls_per_day(config, volume | {"a_day": 8.0, "undated": 20}) == 10


def test_required_fields_become_outcome_groups_and_unreadable_answers_miss_all_of_them(world: World) -> None:
    """A field that the candidate stopped filling is seen behind a fair overall agreement."""
    good = '{"id": 1, "note": "x"}'
    world.add("orders", [(good, good)] * 20 + [(good, '{"id": 2, "note": "x"}')] * 5 + [(good, "no")] * 5)
    compared(world, "orders")
    found = evidence(world.workspace, world.store, "orders", "small")
    assert [(each.kind, each.name, each.n, each.agreements) for each in found.groups] == [
        ("field", "id", 30, 20)
    ]
    assert (found.task.disagreements, found.invalid) == (10, 5)


def test_sessions_and_critical_answers_are_counted_from_the_log(world: World) -> None:
    """A session replayed in part is known as such; a critical label is evidence from its first call on."""
    pairs = [AGREE] * 24 + [("b", "a"), ("neither", "a")]
    for start in range(0, 26, 2):
        both = pairs[start : start + 2]
        world.add("topics", both, first=start, batch=start, session=f"s{start}")
    world.add("topics", [(None, "a")], first=26, batch=26, session="s0", observed=0)
    compared(world)
    found = evidence(world.workspace, world.store, "topics", "small")
    assert found.sessions is not None
    assert (found.sessions.n, found.sessions.several, found.sessions.unseen) == (13, 12, 0)
    (group,) = [each for each in found.groups if each.name == "b"]
    assert (group.n, group.agreements, group.critical) == (1, 0, True)
    world.add("topics", [AGREE], first=30, batch=27, session="s0", observed=0)
    assert (again := evidence(world.workspace, world.store, "topics", "small").sessions) is not None
    assert again.unseen == 1


def test_texts_are_noted_for_facts_that_the_request_does_not_hold(world: World) -> None:
    """The request is read for that; the verdict is the similarity's all the same."""
    world.add("rewrite", [("Pay it.", "Pay it: 99 EUR."), ("Pay it.", "Pay it.")])
    compared(world, "rewrite")
    rows = world.store.rows("SELECT flags FROM comparisons ORDER BY call_id")
    assert "new_number" in rows[0]["flags"]
    assert rows[1]["flags"] == []


def test_a_critical_label_among_several_is_guarded_wherever_it_stands(world: World) -> None:
    """A lost one holds traffic back; where it stays, a difference is critical and the answer still given."""
    world.add("tags", [("a", "a")] * 20 + [("fraud, a", "a, fraud")] * 4 + [("fraud", "fraud")])
    world.add("tags", [("a, fraud", "fraud"), ("b", "b, fraud"), ("a, b", "a")], first=25, batch=1)
    compared(world, "tags")

    def seen() -> tuple[int, int, int]:
        found = evidence(world.workspace, world.store, "tags", "small")
        (group,) = [each for each in found.groups if each.critical]
        assert (group.kind, group.name) == ("label", "fraud")
        assert found.critical is not None
        return group.n, group.agreements, found.critical.disagreements

    # The frontier's and the candidate's own; the pair without it is not about it.
    assert seen() == (6, 6, 2)
    world.add("tags", [("fraud, b", "b"), ("fraud", "no idea")], first=28, batch=2)
    compared(world, "tags")
    assert seen() == (8, 6, 4)
    answer = recommend(world.workspace, world.store, "tags", "small")
    guard = next(each for each in answer.guards if each.name == "outcome_groups")
    assert not guard.ok
    assert "label 'fraud' in 6 of 8 cases" in guard.message


def test_what_can_not_be_compared_is_said_with_its_reason(world: World) -> None:
    """A label that the eval does not list is told from an error of the frontier's."""
    world.add("topics", [AGREE] * 10 + [("new label", "a")] * 4)
    report = compared(world, "topics")
    assert report.uncomparable_because == {"the control is not one of the labels": 4}
    assert "4 uncomparable (the control is not one of the labels)" in report.text


def test_a_field_that_no_recorded_output_holds_is_refused(world: World) -> None:
    """Two answers that both lack a misspelt field would seem to agree."""
    pairs = [('{"idd": 1, "total": 2}', '{"idd": 1, "total": 3}')] * 30
    world.add("orders", pairs)
    with pytest.raises(ConfigError, match="field 'id' stands in none of 30 recorded outputs") as refused:
        compared(world, "orders")
    assert "Did you mean 'idd'?" in refused.value.hint
    assert "give that one a rule too" in refused.value.hint
    world.add("orders", [('{"id": 1}', '{"id": 1}')], first=30, replay="r2")
    report = compared(world, "orders")
    assert (report.compared, report.uncomparable_because) == (1, {NOTHING_COMPARED: 30})


def only(world: World, *rules: FieldRule) -> None:
    """Let an order's eval have these fields alone."""
    config = world.workspace.eval_for("orders")
    world.workspace.evals["orders"] = replace(config, fields=rules)


@pytest.mark.parametrize(
    ("fields", "answer", "hint"),
    [
        ({"path": "id", "required": False}, '{"idd": 1}', "Did you mean 'idd'?"),
        ({"path": "id", "required": False}, '{"sum": 1}', "nothing would be compared"),
        ({"path": "id"}, '{"sum": 1}', "nothing would be compared"),
    ],
)
def test_optional_fields_that_would_leave_nothing_to_compare_are_refused(
    world: World, fields: dict[str, Any], answer: str, hint: str
) -> None:
    """Answers that differ in all they hold agreed in full, and moved traffic, under one misspelt field."""
    only(world, FieldRule(**fields))
    world.add("orders", [(answer, answer.replace("1", "2"))] * 30)
    with pytest.raises(ConfigError, match="field 'id' stands in none of 30 recorded outputs") as refused:
        compared(world, "orders")
    assert hint in refused.value.hint


def test_an_optional_field_that_no_output_holds_is_no_fault_where_others_decide(world: World) -> None:
    """It may be rare."""
    only(world, FieldRule("id"), FieldRule("discount", required=False))
    world.add("orders", [('{"id": 1}', '{"id": 1}')] * 15 + [('{"id": 1}', '{"id": 2}')] * 15)
    assert compared(world, "orders").agreement.point == 0.5


def test_labels_picked_by_hand_count_only_once_they_cover_every_disagreement(world: World) -> None:
    """Somebody chose them: a part of the disagreements proves nothing about the rest."""
    world.add("topics", [AGREE] * 90 + [DIFFER] * 10)
    compared(world)
    for number in range(90, 99):
        world.label("topics", number, LabelVerdict.EQUAL)
    before = evidence(world.workspace, world.store, "topics", "small").task
    assert (before.cleared, before.looked) == (0, 9)
    world.label("topics", 99, LabelVerdict.CONTROL_BETTER)
    after = evidence(world.workspace, world.store, "topics", "small").task
    assert (after.cleared, after.harms, after.audited) == (9, 1, 100)


@pytest.mark.parametrize(
    ("sources", "cap"),
    [
        (["gold"], 0.25),
        (["imported"], 0.25),
        (["imported", "gold"], 0.25),
        (["picked"], 1.0),
        (["gold", "picked"], 1.0),
        (["by_hand"], 0.25),
    ],
)
def test_a_look_is_a_verdict_that_a_person_gave_here(world: World, sources: list[str], cap: float) -> None:
    """Of a clean task a hand-picked verdict opens more than 25 %; gold answers and imports alone do not."""
    world.add("topics", [AGREE] * 150 + [("b", "b")] * 90 + [DIFFER])
    compared(world)
    for source in sources:
        world.label("topics", 240, LabelVerdict.EQUAL, by=source, source=source)
    found = recommend(world.workspace, world.store, "topics", "small")
    assert found.cap == cap
    said = "One verdict by a person, on any output, to go beyond 25 %."
    assert (said in found.missing) is (cap < 1)
    assert evidence_over_time(world.workspace, world.store, "topics", "small").steps[-1].cap == cap


def test_of_two_reviewers_the_worse_verdict_counts(world: World) -> None:
    """Until somebody adjudicates."""
    world.add("topics", [AGREE] * 30 + [DIFFER])
    compared(world)
    world.label("topics", 30, LabelVerdict.EQUAL)
    world.label("topics", 30, LabelVerdict.CONTROL_BETTER, by="tom")
    assert evidence(world.workspace, world.store, "topics", "small").task.harms == 1


def test_an_answer_found_lost_stays_lost_when_later_batches_look_better(world: World) -> None:
    """A collapsed group blocks until a new evidence window."""
    world.add("topics", [AGREE] * 60 + [("b", "a")] * 40)
    world.add("topics", [("b", "b")] * 200, batch=1, first=100)
    compared(world)
    found = evidence(world.workspace, world.store, "topics", "small")
    (group,) = [each for each in found.groups if each.name == "b"]
    assert (group.n, group.agreements, group.latched) == (240, 200, True)


def test_the_recommendation_follows_the_evidence_and_never_raises_a_live_share(world: World) -> None:
    """Ten days of clean agreement may start; a live share without its history is held."""
    world.add("topics", [AGREE] * 150 + [("b", "b")] * 90)
    compared(world)
    answer = recommend(world.workspace, world.store, "topics", "small")
    assert (answer.action, answer.share) == (Action.RAMP, 0.01)
    held = recommend(world.workspace, world.store, "topics", "small", current_share=0.01)
    assert (held.action, held.share) == (Action.HOLD, 0.01)
    strict = replace(world.workspace.eval_for("topics").policy, tolerance=0.001)
    assert recommend(world.workspace, world.store, "topics", "small", policy=strict).share == 0


def test_the_overview_shows_agreement_share_and_money(world: World) -> None:
    """One row a task and candidate, priced from dated prices and measured tokens."""
    world.add("topics", [AGREE] * 239 + [DIFFER])
    world.add("topics", [AGREE] * 240, candidate="other", replay="r2", known_calls=True)
    compare(world.workspace, world.store)
    rows = {row.candidate: row for row in overview(world.workspace, world.store)}
    small = rows["small"]
    assert (small.calls, small.compared, small.labels, small.synthetic) == (240, 240, 0, True)
    assert small.agreement.point == pytest.approx(239 / 240)
    assert small.agreement.low < 239 / 240 < small.agreement.high
    month = 24 * 30.4375
    assert small.cost_now_usd_month == pytest.approx(month * (100 * 2 + 10 * 8) / 1e6)
    assert small.saving_usd_month == pytest.approx(
        month * small.recommendation.effective_share * (280 - 12) / 1e6
    )
    assert small.left_out == ()
    other = rows["other"]
    assert other.left_out == ("other",)
    assert other.saving_usd_month is None
    assert other.cost_now_usd_month == small.cost_now_usd_month
    assert not other.synthetic


def test_a_frontier_model_without_a_price_is_left_out_by_name(world: World) -> None:
    """Not free: unknown."""
    world.add("topics", [AGREE] * 48, model="unlisted")
    compared(world)
    (row,) = overview(world.workspace, world.store)
    assert (row.cost_now_usd_month, row.saving_usd_month) == (None, None)
    assert row.left_out == ("unlisted",)


def test_calls_without_token_counts_cost_what_the_others_of_their_model_cost(world: World) -> None:
    """A dear model that seldom logs tokens is not drowned by a cheap one that always does."""
    silent = Output("a", model="frontier")
    world.add("topics", [AGREE] * 10 + [(silent, "a")] * 90)
    world.add("topics", [AGREE] * 100, batch=1, first=100, model="small-model")
    compared(world)
    (row,) = overview(world.workspace, world.store)
    assert row.calls_per_day is not None
    month = row.calls_per_day * 30.4375
    assert row.cost_now_usd_month == pytest.approx(month * (280 + 12) / 2 / 1e6)


def test_a_failed_frontier_call_without_tokens_costs_nothing(world: World) -> None:
    """Half the calls are paid for; a row says how many of those name no tokens."""
    silent, busy = Output("a", model="frontier"), replace(failed(ErrorKind.RATE_LIMITED), model="frontier")
    world.add("topics", [AGREE] * 90 + [(silent, "a")] * 10 + [(busy, "a")] * 100)
    compared(world)
    (row,) = overview(world.workspace, world.store)
    assert row.calls_per_day is not None
    assert row.control_usd is not None
    assert row.control_usd.low < row.control_usd.point < row.control_usd.high
    assert row.cost_now_usd_month == pytest.approx(row.calls_per_day * 30.4375 * 280 / 2 / 1e6)
    assert row.imputed == 10


def test_a_snapshot_of_the_frontier_has_the_price_of_its_model_in_the_overview(world: World) -> None:
    """As in the import's report and in the profile."""
    world.add("topics", [AGREE] * 48, model="frontier-2026-01-15")
    compared(world)
    (row,) = overview(world.workspace, world.store)
    assert row.control_usd is not None
    assert row.control_usd.point == pytest.approx(280 / 1e6)


def test_the_version_of_the_current_eval_decides_what_is_shown(world: World) -> None:
    """Comparisons of another version are no evidence."""
    world.add("topics", [AGREE] * 30)
    compared(world)
    config = world.workspace.eval_for("topics")
    assert world.store.value("SELECT DISTINCT evaluator_version FROM comparisons") == evaluator_version(
        config
    )
