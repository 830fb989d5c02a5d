"""Live calls: what a candidate served is told apart from the frontier's answers, asked again, and counted."""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1]))

from replay_world import candidate_toml, make_workspace, open_store
from servers import Server, answer_to, serving

from workbench.cli import cli
from workbench.config import Workspace
from workbench.errors import ConfigError, UsageError
from workbench.ingest import import_files, undo_import
from workbench.records import Action
from workbench.replay import replay
from workbench.replay.live import LiveReport, replay_live
from workbench.rollout import accept
from workbench.scoring import compare, recommend
from workbench.scoring.considered import consider
from workbench.scoring.found import found_slices
from workbench.scoring.overview import overview_row
from workbench.scoring.stage import stage_of
from workbench.scoring.watching import watch
from workbench.specs import CONTROL, SliceRule
from workbench.store import Store
from workbench.store.calls import FRONTIER_MODEL, count_calls
from workbench.store.noise import recorded_models
from workbench.store.slicing import condition, sliced_calls, slicing

DAY = timedelta(days=1)
ACCEPTED = datetime(2026, 5, 10, 9, tzinfo=UTC)
LATER = ACCEPTED + 2 * DAY
Answer = Callable[[str], str]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A stub server in a process of its own: it answers the same prompt alike, whoever asks."""
    with serving() as found:
        yield found


def prompt(number: int) -> str:
    """Return what call `number` asks."""
    return f"Message {number:05d}: is this spam?"


def turned(text: str) -> str:
    """Return the other answer."""
    return "ham" if answer_to(text) == "spam" else "spam"


def log(
    folder: Path, name: str, first: int, count: int, start: datetime, answer: Answer = answer_to, **more: Any
) -> Path:
    """Write a log of calls, one every quarter of an hour."""
    model, metadata = more.get("model", "frontier"), more.get("metadata", {})
    lines = []
    for number in range(first, first + count):
        text = prompt(number)
        lines.append(
            {
                "timestamp": (start + timedelta(minutes=15 * (number - first))).isoformat(),
                "latency_ms": 900,
                "metadata": {"task": "spam", **metadata},
                "request": {"model": model, "messages": [{"role": "user", "content": text}]},
                "response": {
                    "id": f"call-{number}",
                    "model": model,
                    "choices": [{"message": {"role": "assistant", "content": answer(text)},
                                 "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 12, "completion_tokens": 1},
                },
            }
        )  # fmt: skip
    path = folder / name
    path.write_text("".join(json.dumps(each) + "\n" for each in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Path:
    """Make a workspace in which 1 % was accepted for `c`, which agrees with the frontier on 960 calls."""
    root = tmp_path_factory.mktemp("begun")
    endpoint = {"engine": "openai", "timeout_s": 5, "base_url": server.url("good")}
    workspace = make_workspace(
        root,
        candidate_toml(CONTROL, **endpoint, model="frontier"),
        candidate_toml("c", **endpoint, model="slm-7b"),
    )
    with open_store(workspace) as store:
        import_files(workspace, store, [log(root, "before.jsonl", 0, 960, ACCEPTED - 11 * DAY)])
        replay(workspace, store, "spam", "c", checks=False)
        compare(workspace, store, "spam")
        made = consider(workspace, store, "spam", "c", now=ACCEPTED)
        assert (made.recommendation.action, made.recommendation.share) == (Action.RAMP, 0.01)
        accept(workspace, store, "spam", "c", share=0.01, shown=made.evidence_hash, who="ada", now=ACCEPTED)
    return root


@pytest.fixture
def space(begun: Path, tmp_path: Path, server: Server) -> Workspace:
    """Give a copy of it."""
    server.reset()
    return Workspace.load(shutil.copytree(begun, tmp_path / "space"))


def served(space: Workspace, store: Store, count: int = 60, answer: Answer = answer_to, **more: Any) -> Any:
    """Import calls that `c` served after 1 % was accepted."""
    more = {"model": "slm-7b"} | more
    name, first = more.pop("name", "live.jsonl"), more.pop("first", 5_000)
    path = log(space.root, name, first, count, ACCEPTED + DAY / 24, answer, **more)
    return import_files(space, store, [path])


def asked(space: Workspace, store: Store, **more: Any) -> LiveReport:
    """Ask the frontier for some of them."""
    return replay_live(space, store, "spam", "c", **({"checks": False, "now": LATER} | more))


def hits(server: Server) -> int:
    """Return how many calls the stub answered."""
    return int(server.stats("good")["hits"])


def at_one_percent(space: Workspace, store: Store, now: datetime = LATER) -> Any:
    """Return what is recommended at 1 %."""
    return consider(space, store, "spam", "c", current_share=0.01, now=now).recommendation


def test_fifty_compared_live_calls_and_a_day_move_a_roll_out_to_its_next_stage(space: Workspace) -> None:
    """Without them it holds, and says how many are missing."""
    with open_store(space) as store:
        held = at_one_percent(space, store)
        assert (held.action, held.share) == (Action.HOLD, 0.01)
        assert "0 compared live calls since the stage began on 2026-05-10 09:00 UTC" in held.binding_reason
        assert "50 more compared live calls in this stage." in held.missing
        report = served(space, store)
        assert report.served == {"c": 60}
        assert "served by: c 60" in report.text
        assert at_one_percent(space, store).share == 0.01
        found = asked(space, store)
        assert (found.served, found.asked, found.compared, found.needed) == (60, 50, 50, 50)
        assert at_one_percent(space, store).share == 0.05
        too_soon = at_one_percent(space, store, now=ACCEPTED + DAY / 2)
        assert too_soon.share == 0.01
        assert "Time: this stage lasts until 2026-05-11 09:00 UTC at least." in too_soon.missing


def test_the_same_command_again_asks_nothing_and_a_larger_limit_asks_the_rest(
    space: Workspace, server: Server
) -> None:
    """The sample grows like any other; a call is asked once."""
    with open_store(space) as store:
        served(space, store)
        asked(space, store)
        before = hits(server)
        again = asked(space, store)
        assert (again.replay.answered, again.compared) == (0, 50)
        assert hits(server) == before
        assert asked(space, store, limit=60).compared == 60
        assert hits(server) == before + 10
        planned = asked(space, store, limit=80, dry_run=True)
        assert planned.replay.requests == 0


def test_another_seed_is_refused_as_for_any_replay(space: Workspace) -> None:
    """The sample that was begun goes on, or nothing does."""
    with open_store(space) as store:
        served(space, store)
        asked(space, store)
        with pytest.raises(UsageError, match="drawn with seed 0"):
            asked(space, store, limit=60, seed=1)


def test_a_frontier_that_shuts_in_the_middle_burns_no_live_call(space: Workspace, server: Server) -> None:
    """The asking pauses, keeps what was answered, and goes on once the key is good again."""
    path = space.root / "workbench.toml"
    good = path.read_text()
    with open_store(space) as store:
        served(space, store)
        asked(space, store, limit=10)
        path.write_text(good.replace(server.url("good"), server.url("unauthorised"), 1))
        shut = Workspace.load(space.root)
        with pytest.raises(ConfigError, match="refuses the calls"):
            asked(shut, store, limit=60)
        assert store.value("SELECT count(*) FROM asked_controls WHERE error_kind IS NOT NULL") == 0


def test_what_a_candidate_served_is_never_taken_for_a_frontiers_answer(space: Workspace) -> None:
    """It can't be replayed against itself, and its agreement with itself proves nothing."""
    with open_store(space) as store:
        served(space, store, answer=turned)
        assert replay(space, store, "spam", "c", checks=False).planned == 960
        assert store.value("SELECT count(*) FROM usable_calls WHERE control IS NOT NULL") == 960
        assert count_calls(store, "spam") == 1_020


def test_a_served_call_stays_with_the_frontier_that_was_in_force(space: Workspace) -> None:
    """A newer frontier takes no past call; unknown, it is the first after it, or the newest."""
    early, late = (datetime(2026, 5, day, 8, tzinfo=UTC).replace(tzinfo=None) for day in (10, 20))
    known: list[tuple[str, datetime | None]] = [
        ("frontier-1", early),
        ("frontier-1", early + DAY),
        ("frontier-1", late - DAY / 24),
        ("frontier-2", late),
        ("frontier-2", late + DAY),
        ("frontier-1", early - DAY),
        ("frontier-2", None),
    ]
    each_model = (
        f"SELECT {FRONTIER_MODEL} AS model FROM calls c WHERE c.served_by IS NOT NULL ORDER BY c.call_id"  # noqa: S608
    )
    with open_store(space) as store:
        served(space, store, count=len(known))
        rows = store.rows("SELECT call_id, served_by IS NOT NULL AS live FROM calls ORDER BY call_id")
        live, logged = ([row["call_id"] for row in rows if row["live"] is side] for side in (True, False))
        with store.writing() as writer:
            writer.execute("UPDATE calls SET occurred_at = NULL")
            for call_id, (_, at) in zip(live, known, strict=True):
                writer.execute("UPDATE calls SET occurred_at = ? WHERE call_id = ?", (at, call_id))
            for call_id, model, at in zip(logged, ("frontier-1", "frontier-2"), (early, late), strict=False):
                row = (model, at, call_id)
                writer.execute("UPDATE calls SET model = ?, occurred_at = ? WHERE call_id = ?", row)
        assert [row["model"] for row in store.rows(each_model)] == [model for model, _ in known]
        with store.writing() as writer:
            writer.execute("UPDATE calls SET occurred_at = NULL, model = if(model LIKE 'f%-1', model, 'a')")
        assert {row["model"] for row in store.rows(each_model)} == {"frontier-1"}


def test_a_share_that_is_served_moves_no_call_into_another_slice(space: Workspace) -> None:
    """Of a served call the model is the frontier's, whose place the candidate took: nothing has moved."""
    with open_store(space) as store:
        served(space, store)
        asked(space, store)
        by_model = Counter(sliced_calls(store, "spam", [SliceRule("model")])[1][0][0])
        assert by_model == {"frontier": 1}
        part = slicing(store, "spam", SliceRule("model")).part("frontier")
        assert part is not None
        sql, values = condition(part)
        assert store.value(f"SELECT count(*) FROM calls c WHERE {sql}", values) == 1_020  # noqa: S608 - fixed text
        assert recorded_models(store, "spam") == {"frontier": 1_010}
        found = watch(space, store, "spam", "c")
        assert [(each.slice, each.shifted) for each in found.check.mix if each.slice == "model"] == [
            ("model", False)
        ]
        names = {each.name for each in found_slices(space, store, "spam", "c", similar=False).slices}
        assert "model" not in names


@pytest.mark.parametrize(
    ("how", "found"),
    [
        ({"model": "whatever", "metadata": {"served_by": "c"}}, {"c": 60}),
        ({"model": "slm-7b-2026-04-01"}, {"c": 60}),
        ({"model": "slm-7b", "metadata": {"served_by": "control"}}, {"c": 60}),
        ({"model": "frontier"}, {}),
        ({"model": "another", "metadata": {"served_by": "nobody-known"}}, {}),
    ],
)
def test_a_record_says_who_served_it_by_name_or_by_the_model(
    space: Workspace, how: dict[str, Any], found: dict[str, int]
) -> None:
    """A model that only the candidate goes by counts where a share of the task was accepted for it."""
    with open_store(space) as store:
        assert served(space, store, **how).served == found


def test_a_models_name_says_nothing_before_a_share_was_accepted(tmp_path: Path, server: Server) -> None:
    """Until then its answers may be a frontier's of another task; `served_as` says it at any time."""
    endpoint = {"engine": "openai", "timeout_s": 5, "base_url": server.url("good")}
    workspace = make_workspace(tmp_path, candidate_toml("c", **endpoint, model="slm-7b"))
    with open_store(workspace) as store:
        assert served(workspace, store).served == {}
    told = candidate_toml("c", **endpoint, model="slm-7b") + 'served_as = ["triage-slm"]\n'
    workspace = make_workspace(tmp_path, told)
    with open_store(workspace) as store:
        found = served(workspace, store, model="triage-slm", name="told.jsonl", first=9_000)
        assert found.served == {"c": 60}


def test_live_harm_counts_in_the_bound_and_its_rise_takes_the_share_back(space: Workspace) -> None:
    """The detector watches what was served against what was evaluated, and an alarm moves the share once."""
    with open_store(space) as store:
        served(space, store, answer=turned)
        assert asked(space, store, limit=60).compared == 60
        back = at_one_percent(space, store)
        assert (back.action, back.share) == (Action.ROLLBACK, 0.0)
        assert any("drift" in each.name and not each.ok for each in back.guards)
        made = consider(space, store, "spam", "c", current_share=0.01, now=LATER)
        accept(space, store, "spam", "c", share=0.0, shown=made.evidence_hash, who="ada", now=LATER)
        stage = stage_of(store, "spam", "c", made.fingerprint, LATER)
        assert (stage.share, stage.lowered_at, stage.serving_since) == (0.0, LATER, None)
        assert all(each.ok for each in recommend(space, store, "spam", "c").guards if each.name == "drift")


def test_asking_for_live_calls_is_no_replay_of_newer_ones(space: Workspace) -> None:
    """Frontier calls that came since the last sample still wait to be replayed."""
    with open_store(space) as store:
        served(space, store)
        import_files(space, store, [log(space.root, "more.jsonl", 7_000, 20, ACCEPTED + DAY)])
        asked(space, store)
        row = overview_row(space, store, "spam", "c", current_share=0.01)
        assert row.ages.newer == 20


def test_an_import_taken_back_takes_its_live_evidence_along(space: Workspace) -> None:
    """Answers of the frontier to its calls go, and so does the sample of them."""
    with open_store(space) as store:
        report = served(space, store)
        asked(space, store)
        undo_import(store, report.manifest_id, with_evidence=True)
        assert store.value("SELECT count(*) FROM asked_controls") == 0
        assert at_one_percent(space, store).share == 0.01


def test_a_file_imported_again_or_told_otherwise_is_known(space: Workspace) -> None:
    """A repeat is skipped, and another answer under the same id is a conflict, as for any call."""
    with open_store(space) as store:
        served(space, store)
        assert served(space, store).skipped == 60
        assert served(space, store, answer=turned, name="other.jsonl").conflicts == 60


def test_nothing_is_live_before_a_share_is_accepted_or_after_the_candidate_changed(space: Workspace) -> None:
    """An answer of another configuration is no evidence for this one."""
    with open_store(space) as store:
        served(space, store)
        changed = space.root / "workbench.toml"
        changed.write_text(changed.read_text().replace('"slm-7b"', '"slm-8b"'))
        with pytest.raises(UsageError, match="No share of 'spam' is in force for 'c'"):
            asked(Workspace.load(space.root), store)


def test_a_stage_without_a_served_call_is_told_so(space: Workspace) -> None:
    """The message says how a log tells who served a call."""
    with open_store(space) as store, pytest.raises(UsageError, match="The log holds no call of 'spam'"):
        asked(space, store)


def test_the_command_asks_and_says_what_is_missing(space: Workspace) -> None:
    """`workbench replay --live` is the same use case."""
    with open_store(space) as store:
        served(space, store, count=30)
    where = ["--workspace", str(space.root)]
    run = CliRunner().invoke(
        cli, ["replay", "--task", "spam", "--candidate", "c", "--live", "--no-checks", *where]
    )
    assert run.exit_code == 0, run.output
    assert "the frontier asked for 30, 30 compared, of which 30 agree (an advance needs 50" in run.output
    assert "Every call it served is asked for: import what the gateway logged since" in run.output
    refused = CliRunner().invoke(
        cli, ["replay", "--task", "spam", "--candidate", "c", "--live", "--new", *where]
    )
    assert "--new means nothing to --live" in refused.output
