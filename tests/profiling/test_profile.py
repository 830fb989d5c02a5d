"""A profile end to end: workloads, money, names that become rules, and what is not known."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from profile_world import CONFIG, START, Line, lines, log, made, order_line, rewrite_line, shuffled, sort_line

from workbench import profiling
from workbench.costing import DAYS_PER_MONTH, CostPlan
from workbench.errors import UsageError
from workbench.facade import Workbench
from workbench.profiling import current, is_stale, measuring, profile
from workbench.profiling.costs import MeasuredSaving, measured_savings
from workbench.profiling.naming import set_budget
from workbench.profiling.report import ProfileReport
from workbench.records import UNASSIGNED, EvalKind, Output, Request, Usage, from_json, to_json
from workbench.store import comparisons, workloads
from workbench.traffic.shapes import Shape, ShapeKind, joined

MIX = shuffled(lines(sort_line, 120), lines(order_line, 60, 2), lines(rewrite_line, 40, 4))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    with made(tmp_path / "w", MIX) as opened:
        yield opened


def test_a_log_without_task_names_falls_into_workloads(bench: Workbench) -> None:
    """Each has its calls, its shape, its likely eval and its checklist."""
    report = bench.profile()
    assert report.calls == report.unassigned == 220
    by_calls = {each.calls: each for each in report.workloads}
    assert set(by_calls) == {120, 60, 40}
    assert by_calls[120].shape.kind is ShapeKind.LABELS
    assert by_calls[120].eval_kind is EvalKind.LABEL
    assert by_calls[60].eval_kind is EvalKind.FIELDS
    assert by_calls[40].shape.kind is ShapeKind.REWRITE
    assert all(len(each.checks) == 9 and each.rule is not None for each in report.workloads)
    assert "You sort customer messages" in by_calls[120].template
    assert by_calls[120].constant_prefix_share > 0.5
    assert from_json(to_json(report), ProfileReport) == report


def test_money_is_what_the_price_table_says(bench: Workbench) -> None:
    """(100 x 3 + 20 x 0.3 + 5 x 15) / 1,000,000 a call; two calls stand behind each logged one."""
    report = bench.profile()
    for each in report.workloads:
        assert each.usd_per_call is not None
        assert each.usd_per_call.point == pytest.approx(0.000381)
        assert each.calls_per_day is not None
        assert each.usd_month is not None
        assert each.usd_month.point == pytest.approx(each.calls_per_day.point * 30.4375 * 0.000381)
        assert each.cached_share == pytest.approx(20 / 120)
    span_days = 219 * 0.5 / 24
    assert sum(each.calls_per_day.point for each in report.workloads if each.calls_per_day) == pytest.approx(
        2 * 220 / span_days, rel=0.1
    )
    saved = [each.could_save_usd_month for each in report.workloads]
    assert saved == sorted(saved, key=lambda usd: -(usd or 0))


def test_without_a_sampling_rate_no_figure_a_day_is_shown(tmp_path: Path) -> None:
    """Neither volume nor cost a month, in the records, in the text, or as savings; a call's cost is known."""
    with made(tmp_path / "w", MIX, rate=None) as bench:
        report = bench.profile()
        assert all(each.calls_per_day is None and each.usd_month is None for each in report.workloads)
        assert all(each.could_save_usd_month is None for each in report.workloads)
        assert report.forecast_usd_month is None
        assert len(report.unknown_volume) == 3
        many = replace(report, workloads=report.workloads * 4)
        assert "and 4 others (" in many.told_unknown
        assert "unknown" in report.text
        assert "a month (" not in report.text
        assert all(each.usd_per_call is not None for each in report.workloads)
        found = bench.costs()
        assert found.calls_per_day is None
        assert all(way.usd_month is None and way.missing for way in found.ways)


def test_a_model_without_a_price_is_named_and_left_out(tmp_path: Path) -> None:
    """Its calls are in no sum; so are those of a priced model that logs no tokens."""
    rows = lines(sort_line, 90)
    rows = [replace(row, model="nobody-7") if number % 3 == 0 else row for number, row in enumerate(rows)]
    others = [replace(row, usage=None) for row in lines(order_line, 60, 2)]
    with made(tmp_path / "w", [*rows, *others]) as bench:
        report = bench.profile()
        sort, order = sorted(report.workloads, key=lambda each: -each.calls)
        assert sort.left_out == ("nobody-7",)
        assert sort.priced_share == pytest.approx(2 / 3)
        assert sort.usd_month is not None
        assert sort.calls_per_day is not None
        assert sort.usd_month.point == pytest.approx(sort.calls_per_day.point * 30.4375 * 0.000381 * 2 / 3)
        assert order.usd_per_call is None
        assert order.left_out == ("frontier-1 (no token counts)",)
        assert report.left_out == ("frontier-1 (no token counts)", "nobody-7")
        assert "nobody-7" in report.text
        assert bench.costs().left_out_workloads == (order.name,)


def edited(path: Path, count: int, edit: Callable[[int, dict[str, Any]], None]) -> Path:
    """Return a log of calls of one workload, each edited by its number."""
    rows = [json.loads(each) for each in log(path, lines(sort_line, count)).read_text().splitlines()]
    for number, row in enumerate(rows):
        edit(number, row)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


RATE_LIMITED = {"error": {"message": "rate limited", "code": 429}}


def test_a_failed_call_without_tokens_costs_nothing_wherever_money_is_told(tmp_path: Path) -> None:
    """The import, the profile and the costs name the same sum: of 60 calls 30 are paid for."""

    def edit(number: int, row: dict[str, Any]) -> None:
        if number % 2:
            row["response"] = RATE_LIMITED

    with made(tmp_path / "w", []) as bench:
        told = bench.import_logs([edited(tmp_path / "log.jsonl", 60, edit)], sampling_rate=1.0)
        (sort,) = bench.profile().workloads
        assert told.cost_usd == pytest.approx(30 * 0.000381)
        assert sort.logged_usd == pytest.approx(30 * 0.000381)
        assert sort.usd_per_call is not None
        assert sort.usd_per_call.point == pytest.approx(0.000381 / 2)
        assert sort.usd_per_call.low < 0.000381 / 2 < sort.usd_per_call.high
        assert (sort.imputed, sort.priced_share) == (0, 1.0)
        assert "Without token counts" not in bench.profile().text
        a_month = 100 * DAYS_PER_MONTH * 0.000381 / 2
        bench.draft_eval(sort.name, task="triage")
        with (bench.workspace.root / "evals" / "triage" / "eval.toml").open("r+", encoding="utf-8") as file:
            text = file.read()
            file.seek(0)
            file.write("calls_per_day = 100\n" + text)
        with Workbench(bench.workspace.root) as again:
            stay = again.costs("triage").ways[0].usd_month
            assert stay is not None
            assert stay.point == pytest.approx(a_month)


def test_an_answer_without_tokens_costs_what_other_answers_cost_and_is_counted(tmp_path: Path) -> None:
    """20 answers with tokens, 20 without, 20 failed: 40 are paid for, 20 of them by guess, as is said."""

    def edit(number: int, row: dict[str, Any]) -> None:
        if number % 3 == 1:
            row["response"] = RATE_LIMITED
        elif number % 3 == 2:
            del row["response"]["usage"]

    with made(tmp_path / "w", []) as bench:
        bench.import_logs([edited(tmp_path / "log.jsonl", 60, edit)], sampling_rate=1.0)
        report = bench.profile()
        (sort,) = report.workloads
        assert sort.logged_usd == pytest.approx(40 * 0.000381)
        assert json.loads(to_json(report))["workloads"][0]["imputed"] == 20
        said = "Without token counts: 20 answers, priced like their model's other answers"
        assert said in report.text
        assert said in bench.costs().text


def test_the_share_of_cached_input_is_that_of_all_input(tmp_path: Path) -> None:
    """A call that names no cached tokens has none; where no call names any, the share is not known."""

    def edit(number: int, row: dict[str, Any]) -> None:
        if number % 2:
            del row["response"]["usage"]["prompt_tokens_details"]

    def never(number: int, row: dict[str, Any]) -> None:
        del row["response"]["usage"]["prompt_tokens_details"]

    with made(tmp_path / "w", []) as bench:
        bench.import_logs([edited(tmp_path / "log.jsonl", 60, edit)])
        (sort,) = bench.profile().workloads
        assert sort.cached_share == pytest.approx(20 / 240)
    with made(tmp_path / "v", []) as bench:
        bench.import_logs([edited(tmp_path / "log.jsonl", 60, never)])
        (sort,) = bench.profile().workloads
        assert sort.cached_share is None


def test_a_call_whose_texts_cannot_be_read_does_not_end_the_profile(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is left out of what texts say and counted; the shape rests on the others."""
    plain, failed = measuring.facts_beyond, []

    def fails(answer: str, request: Request | None) -> tuple[int, int] | None:
        if answer == "billing" and not failed:
            failed.append(answer)
            raise RecursionError("maximum recursion depth exceeded")
        return plain(answer, request)

    monkeypatch.setattr(measuring, "facts_beyond", fails)
    report = bench.profile()
    sort = max(report.workloads, key=lambda each: each.calls)
    assert (sort.calls, sort.unread, sort.shape.kind) == (120, 1, ShapeKind.LABELS)
    assert "Texts of 1 call could not be looked at: no shape rests on them" in report.text


def test_a_named_workload_is_a_task_with_an_eval_that_loads(bench: Workbench) -> None:
    """Its stored calls belong to it, a new import of the same kind too, and the rest stays unassigned."""
    sort = max(bench.profile().workloads, key=lambda each: each.calls)
    named = bench.draft_eval(sort.name, task="triage")
    assert (named.created, named.moved) == (True, 120)
    config = bench.workspace.eval_for("triage")
    assert config.kind is EvalKind.LABEL
    assert set(config.labels) == {"billing", "outage", "other"}
    assert bench.store.value("SELECT count(*) FROM calls WHERE task = 'triage'") == 120
    assert bench.store.value("SELECT count(*) FROM calls WHERE task = ?", (UNASSIGNED,)) == 100
    again = bench.profile()
    assert {each.name for each in again.workloads if each.is_task} == {"triage"}
    assert next(each for each in again.workloads if each.is_task).has_eval
    path = log(bench.workspace.root / "more.jsonl", lines(sort_line, 9, 77))
    bench.import_logs([path], source="more", sampling_rate=0.5)
    assert bench.store.value("SELECT count(*) FROM calls WHERE task = 'triage'") == 129


def test_workloads_are_merged_into_one_task_and_comments_stay(bench: Workbench) -> None:
    """Two become one task; a third is added to its eval, and what people wrote there is kept."""
    sort, order, rewrite = sorted(bench.profile().workloads, key=lambda each: -each.calls)
    assert bench.draft_eval(sort.workload, order.name, task="desk").moved == 180
    path = bench.workspace.root / "evals" / "desk" / "eval.toml"
    path.write_text(path.read_text(encoding="utf-8") + "# seen by Ann\n", encoding="utf-8")
    bench.workspace = type(bench.workspace).load(bench.workspace.root)
    named = bench.draft_eval(rewrite.name, task="desk")
    assert (named.created, named.moved) == (False, 40)
    assert "# seen by Ann" in path.read_text(encoding="utf-8")
    assert len(bench.workspace.eval_for("desk").rules) == 3
    (only,) = bench.profile().workloads
    assert (only.name, only.calls) == ("desk", 220)


def test_what_does_not_fit_is_said_where_workloads_become_one_task(bench: Workbench) -> None:
    """Other kinds of answers, and labels that an eval lacks, are named: nothing compares them by itself."""
    sort, order, _ = sorted(bench.profile().workloads, key=lambda each: -each.calls)
    named = bench.draft_eval(sort.workload, order.name, task="desk")
    said = "Of these answers others are of another kind: 60 JSON with a stable schema."
    assert said in named.draft
    assert said in named.text
    assert "Drafted from 180 recorded answers: few short answers (67 %)" in named.draft
    other = [
        Line(
            [
                {"role": "system", "content": "Name the mood of the mail."},
                {"role": "user", "content": f"so {n}"},
            ],
            ("glad", "cross", "Billing")[n % 3],
        )
        for n in range(60)
    ]
    bench.import_logs([log(bench.workspace.root / "mood.jsonl", other)], source="mood", sampling_rate=0.5)
    bench.workspace = type(bench.workspace).load(bench.workspace.root)
    mood = next(each for each in bench.profile().workloads if each.calls == 60 and not each.is_task)
    named = bench.draft_eval(mood.workload, task="desk")
    assert named.remarks == ("Labels that the eval lacks: cross, glad.",)
    rewrite = next(each for each in bench.profile().workloads if not each.is_task)
    (kind,) = bench.draft_eval(rewrite.workload, task="desk").remarks
    assert "the eval of desk compares answers of kind label" in kind


@pytest.mark.parametrize(("cut", "labels"), [(3, {"billing", "outage"}), (60, {"outage", "bil"})])
def test_refusals_and_pieces_are_no_labels_unless_all_are_such(
    tmp_path: Path, cut: int, labels: set[str]
) -> None:
    """What the frontier refused or could not end is no answer that a task has; a limit of one token is."""
    with made(tmp_path / "w", []) as bench:
        rows = []
        for number in range(60):
            whole = ("billing", "outage")[number % 2]
            said, why = (whole, "stop") if number >= 6 else ("I'm sorry, but I can't help with that.", "stop")
            if number >= 60 - cut:
                said, why = ("bil" if number % 2 == 0 else whole), "length"
            message: dict[str, Any] = {"role": "assistant", "content": said}
            if said.startswith("I'm sorry"):
                message |= {"content": None, "refusal": said}
            rows.append(
                {
                    "request": {
                        "model": "m",
                        "messages": [
                            {"role": "system", "content": "Sort the mails of the shop into topics."},
                            {"role": "user", "content": f"mail {number}"},
                        ],
                    },
                    "response": {
                        "id": f"r{number}",
                        "model": "m",
                        "choices": [{"index": 0, "finish_reason": why, "message": message}],
                    },
                }
            )
        path = tmp_path / "log.jsonl"
        path.write_text("".join(json.dumps(each) + "\n" for each in rows), encoding="utf-8")
        assert bench.import_logs([path]).accepted == 60
        (load,) = bench.profile().workloads
    assert load.shape.kind is ShapeKind.LABELS
    assert set(load.shape.labels) == labels
    assert load.calls == 60


def test_labels_of_workloads_that_become_one_task_are_all_drafted() -> None:
    """The largest alone would leave out what the others answer."""
    one = Shape(ShapeKind.LABELS, 1.0, 200, 2, {"spam": 150, "ham": 50})
    two = Shape(ShapeKind.LABELS, 0.9, 100, 3, {"card": 60, "Ham": 30})
    whole = joined([one, two])
    assert (whole.answers, whole.labels) == (300, {"spam": 150, "ham": 80, "card": 60})
    assert whole.coverage == pytest.approx(290 / 300)
    first = Shape(
        ShapeKind.JSON,
        1.0,
        9,
        schema={"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a", "b"]},
    )
    other = Shape(
        ShapeKind.JSON,
        1.0,
        5,
        schema={"type": "object", "properties": {"a": {}, "c": {}}, "required": ["a", "c"]},
    )
    schema = joined([first, other]).schema
    assert schema is not None
    assert (sorted(schema["properties"]), schema["required"]) == (["a", "b", "c"], ["a"])
    assert joined([one]) is one


@pytest.mark.parametrize("task", ["../x", "", "a b", UNASSIGNED, "x" * 101])
def test_a_bad_name_writes_nothing(bench: Workbench, task: str) -> None:
    """Neither inside the folder of evals nor outside."""
    first = bench.profile().workloads[0]
    with pytest.raises(UsageError):
        bench.draft_eval(first.workload, task=task or " ")
    assert list((bench.workspace.root / "evals").iterdir()) == []
    assert not (bench.workspace.root / "x").exists()


def test_calls_that_share_nothing_are_shown_and_can_not_become_a_rule(tmp_path: Path) -> None:
    """They are one line of the report, never dropped."""
    free = [Line([{"role": "user", "content": f"{n} {n * 7919 % 1000}"}], "ok") for n in range(30)]
    with made(tmp_path / "w", [*lines(sort_line, 60), *free]) as bench:
        report = bench.profile()
        other = next(each for each in report.workloads if each.rule is None)
        assert other.calls == 30
        assert sum(each.calls for each in report.workloads) == report.calls == 90
        with pytest.raises(UsageError, match="share no prompt"):
            bench.draft_eval(other.name, task="rest")


def test_replayed_calls_keep_their_task(bench: Workbench) -> None:
    """A rule never takes calls out of the task under which evidence was gathered."""
    sort = max(bench.profile().workloads, key=lambda each: each.calls)
    seqs = bench.store.rows("SELECT call_id FROM calls WHERE request LIKE '%You sort customer%' LIMIT 5")
    bench.store.append(
        "replay_calls",
        [
            {"replay_id": "r", "call_id": row["call_id"], "batch": 0, "rank": number, "audit_key": "k",
             "inclusion_probability": 1.0}
            for number, row in enumerate(seqs)
        ],
    )  # fmt: skip
    assert bench.draft_eval(sort.name, task="triage").moved == 115


def test_the_profile_is_kept_until_something_changes(bench: Workbench) -> None:
    """The same store and settings give the same report without a look; prices and calls make it stale."""
    first = bench.profile()
    assert bench.profile() == first == current(bench.workspace, bench.store)
    set_budget(bench.workspace, 1.0)
    bench.workspace = type(bench.workspace).load(bench.workspace.root)
    assert is_stale(bench.workspace, bench.store)
    second = bench.profile()
    assert second.profile_id != first.profile_id
    assert " a month passes the budget of $1.00 by $" in second.warning
    assert bench.store.value("SELECT count(DISTINCT profile_id) FROM profile_calls") == 1


def test_a_profile_goes_with_an_import_whose_words_it_holds(tmp_path: Path) -> None:
    """Templates and labels of prompts that were taken back are nowhere, before the next profile too."""
    (tmp_path / "workbench.toml").write_text(CONFIG)
    with Workbench(tmp_path) as bench:
        report = bench.import_logs([log(tmp_path / "log.jsonl", lines(sort_line, 60))])
        assert "customer messages" in bench.profile().workloads[0].template
        bench.undo_import(report.manifest_id or "")
        assert bench.store.value("SELECT count(*) FROM profiles") == 0
        assert bench.store.value("SELECT count(*) FROM profile_calls") == 0
        assert bench.profile().calls == 0


def test_two_profiles_at_once_do_not_lose_calls(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that ends while another is at work leaves the other's calls alone; the last one counts."""
    store = bench.store
    original = profiling.measure
    inner: list[ProfileReport] = []

    def measure(*arguments: Any) -> Any:
        monkeypatch.setattr(profiling, "measure", original)
        inner.append(profile(bench.workspace, store, again=True))
        return original(*arguments)

    monkeypatch.setattr(profiling, "measure", measure)
    outer = profile(bench.workspace, store, again=True)
    assert [each.calls for each in outer.workloads] == [each.calls for each in inner[0].workloads]
    assert current(bench.workspace, store) == outer
    page = workloads.workload_page(store, outer.profile_id, outer.workloads[0].workload)
    assert len(page) == 50
    assert store.value("SELECT count(DISTINCT profile_id) FROM profile_calls") == 1


def test_the_budget_is_written_with_all_comments_kept(bench: Workbench) -> None:
    """Set, changed and taken out; a sum that can't be is refused and changes nothing."""
    path = bench.workspace.root / "workbench.toml"
    set_budget(bench.workspace, 250)
    set_budget(bench.workspace, 300)
    text = path.read_text(encoding="utf-8")
    assert text.count("budget_usd_month") == 1
    assert text.replace("budget_usd_month = 300.0\n", "") == CONFIG
    with pytest.raises(UsageError):
        set_budget(bench.workspace, -1)
    assert path.read_text(encoding="utf-8") == text
    set_budget(bench.workspace, None)
    assert path.read_text(encoding="utf-8") == CONFIG


def test_costs_of_one_and_of_all_add_up(bench: Workbench) -> None:
    """Staying costs together what the workloads cost apart; a plan can be tried without writing it."""
    report = bench.profile()
    apart = [bench.costs(each.name).ways[0].usd_month for each in report.workloads]
    together = bench.costs().ways[0].usd_month
    assert together is not None
    assert together.point == pytest.approx(sum(each.point for each in apart if each is not None))
    assert together.low < together.point < together.high
    tried = bench.costs(plan=CostPlan(engineering_usd_month=1_000, hosted_model="small-1"), share=0.5)
    assert tried.ways[2].usd_month is not None
    assert tried.ways[2].usd_month.point > 1_000
    assert "not measured" in tried.basis
    with pytest.raises(UsageError, match="share"):
        bench.costs(share=1.5)
    with pytest.raises(UsageError, match="workload"):
        bench.costs("nobody")


def test_costs_of_all_are_the_sum_where_fall_backs_and_prices_differ(tmp_path: Path) -> None:
    """A candidate that often fails on the dear calls: its costs together are those of the tasks apart."""
    more = CONFIG + '\n[[candidates]]\nname = "slm"\nengine = "openai"\nbase_url = "http://127.0.0.1:9/v1"\n'
    more += 'model = "small-1"\nzone = "internal"\n'
    dear = [replace(each, usage=(5_000, 0, 500)) for each in lines(order_line, 30, 2)]
    with made(tmp_path / "w", shuffled(lines(sort_line, 60), dear), config=more) as bench:
        for each in bench.profile().workloads:
            bench.draft_eval(each.name, task=f"task-{each.calls}")
        fingerprint = bench.workspace.fingerprint(bench.workspace.candidate("slm"))
        for task, failing in (("task-60", 60), ("task-30", 2)):
            replay = {
                "replay_id": task, "task": task, "candidate": "slm", "seed": 0, "repeats": 1, "plan": "{}",
                "candidate_fingerprint": fingerprint, "created_at": START,
            }  # fmt: skip
            bench.store.append("replays", [replay])
            found = bench.store.rows("SELECT call_id FROM calls WHERE task = ? ORDER BY call_id", (task,))
            answers = [
                {
                    "replay_id": task, "call_id": row["call_id"], "repeat": 0, "attempts": 1, "text": "x",
                    "output": to_json(Output(text="x")).decode(), "input_tokens": 30, "output_tokens": 10,
                    "error_kind": "invalid_request" if number % failing == 0 else None,
                }
                for number, row in enumerate(found)
            ]  # fmt: skip
            bench.store.append("observations", answers)
        apart = [bench.costs(each.name, candidate="slm", share=0.5) for each in bench.profile().workloads]
        whole = bench.costs(candidate="slm", share=0.5)
        forecast = bench.profile().forecast_usd_month
    assert len({each.fallback.point for each in apart}) == 2
    for index in (0, 1, 2):
        for part in ("usd_month", "saving_usd_month"):
            amounts = [getattr(each.ways[index], part) for each in apart]
            assert getattr(whole.ways[index], part).point == pytest.approx(
                sum(each.point for each in amounts)
            )
    assert "task-60: slm, measured on" in whole.basis
    assert "task-30: slm, measured on" in whole.basis
    assert whole.ways[0].usd_month == forecast


def test_without_a_priced_small_model_the_costs_say_what_to_add(tmp_path: Path) -> None:
    """Where no candidate is named and none has a price, the sentence names the keys."""
    frontier_alone = CONFIG[: CONFIG.rindex("[[prices]]")]
    with made(tmp_path / "w", lines(sort_line, 30), config=frontier_alone) as bench:
        assert "Small model: none has a price: add one to [[prices]]" in bench.costs().text


def test_without_any_price_costs_of_all_say_that_prices_lack_and_not_the_volume(tmp_path: Path) -> None:
    """The log says how many calls there are a day: nobody is sent to import it again."""
    no_price = CONFIG[: CONFIG.index("[[prices]]")]
    with made(tmp_path / "w", [*lines(sort_line, 30), *lines(order_line, 30)], config=no_price) as bench:
        found = bench.costs()
    assert found.calls_per_day is not None
    assert {each.missing for each in found.ways} == {
        ("the price or the tokens of the model that answers now (workbench.toml: [[prices]])",)
    }
    assert len(found.left_out_workloads) == 2


def test_the_name_of_a_workload_is_never_cut(bench: Workbench) -> None:
    """What the table calls a workload is what --draft-eval takes."""
    found = bench.profile()
    named = [replace(each, name=f"{each.name}-{'x' * 60}") for each in found.workloads]
    text = replace(found, workloads=tuple(named)).text
    table = text.splitlines()
    assert all(f"{each.name} (found) " in text for each in named)
    heads = [line for line in table if line.startswith("workload ")]
    rows = [line for line in table if " (found) " in line]
    assert len({line.rindex("  ") for line in [*heads, *rows]}) == 1


def test_an_empty_workspace_says_what_to_do(tmp_path: Path) -> None:
    """No calls, no workloads, no figures."""
    root = tmp_path / "w"
    (root / "evals").mkdir(parents=True)
    (root / "workbench.toml").write_text(CONFIG, encoding="utf-8")
    with Workbench(root) as bench:
        report = bench.profile()
        assert (report.calls, report.workloads) == (0, ())
        assert "workbench import" in report.text
        assert all(way.usd_month is None for way in bench.costs().ways)


def test_the_command_line_says_the_same(bench: Workbench) -> None:
    """One JSON document; a draft that is written; errors with a next step and exit code 2."""
    bench.close()

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "workbench", "profile", "--workspace", str(bench.workspace.root)]
        return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)

    document = json.loads(run("--json").stdout)
    assert document["calls"] == 220
    first = document["workloads"][0]
    assert run("--draft-eval", first["name"], "--as", "triage").returncode == 0
    assert (bench.workspace.root / "evals" / "triage" / "eval.toml").is_file()
    costs = json.loads(run("--costs", "--workload", "triage", "--share", "50%", "--json").stdout)
    assert costs["ways"][0]["name"] == "stay"
    wrong = run("--draft-eval", "nobody")
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr


def test_a_replayed_candidate_costs_its_own_tokens_the_cached_ones_included(tmp_path: Path) -> None:
    """Cost and tokens of a call are what its answers took; from too few of them nothing is concluded."""
    cached = 'model = "small-1"\ncached_input_usd_per_million = 0.02'
    more = CONFIG.replace('model = "small-1"', cached, 1)
    more += '\n[[candidates]]\nname = "slm"\nengine = "openai"\nbase_url = "http://127.0.0.1:9/v1"\n'
    more += 'model = "small-1"\nzone = "internal"\n'
    with made(tmp_path / "w", lines(sort_line, 60), config=more) as bench:
        (sort,) = bench.profile().workloads
        bench.draft_eval(sort.name, task="triage")
        before = bench.costs("triage", candidate="slm")
        assert "not measured" in before.basis
        spec = bench.workspace.candidate("slm")
        replay: dict[str, Any] = {
            "replay_id": "r", "task": "triage", "candidate": "slm", "seed": 0, "repeats": 1, "plan": "{}",
            "candidate_fingerprint": bench.workspace.fingerprint(spec), "created_at": START,
        }  # fmt: skip
        usage = Usage(input_tokens=30, cached_input_tokens=1_000, output_tokens=10)
        calls = [row["call_id"] for row in bench.store.rows("SELECT call_id FROM calls ORDER BY call_id")]
        rows = [
            {
                "replay_id": "r", "call_id": call, "repeat": 0, "attempts": 1, "text": "billing",
                "output": to_json(Output(text="billing", usage=usage)).decode(),
                "input_tokens": 30, "output_tokens": 10,
                "error_kind": "timeout" if number % 10 == 0 else None,
            }
            for number, call in enumerate(calls)
        ]  # fmt: skip
        bench.store.append("replays", [replay])
        bench.store.append("observations", rows[:19])
        assert "not measured" in bench.costs("triage", candidate="slm").basis
        assert measured_savings(bench.workspace, bench.store) == {}
        bench.store.append("observations", rows[19:])
        found = bench.costs("triage", candidate="slm")
        own = measured_savings(bench.workspace, bench.store)
        sums = comparisons.candidate_usage(bench.store, "triage", replay["candidate_fingerprint"])
    assert sums == {
        "calls": 60, "measured": 60, "input_tokens": 1_800, "cached_input_tokens": 60_000,
        "output_tokens": 600,
    }  # fmt: skip
    assert found.basis == "slm, measured on 60 calls"
    # (30 x 0.1 + 1,000 x 0.02 + 10 x 0.4) / 1,000,000
    assert found.candidate_usd is not None
    assert found.candidate_usd.point == pytest.approx(27e-6)
    assert found.candidate_tokens == pytest.approx(1_040)
    assert found.fallback.point == pytest.approx(0.1)
    assert found.fallback.low < 0.1 < found.fallback.high
    assert found.told_fallback.startswith("Fall-backs: 10.0 % of its calls (")
    assert found.told_fallback in found.text
    hosted = next(each for each in found.ways if "hosted by a provider" in each.name)
    assert hosted.saving_usd_month is not None
    # What all of the task on the candidate saves; other costs of a small model are none here.
    assert own == {"triage": MeasuredSaving("slm", pytest.approx(hosted.saving_usd_month.point))}
