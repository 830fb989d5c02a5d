"""Overview: empty, with a few candidates, with many, with hostile names; and what its rows hang on."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import pytest
from app_building import START, Filled, Pair, answer, fill, make_workspace, store_calls
from app_reading import Visit, fine, plain, said

from workbench import demo
from workbench.config import Workspace
from workbench.records import UNASSIGNED
from workbench.scoring import OverviewRow
from workbench.scoring import overview as weighed
from workbench.store import Store, pages
from workbench.ui import first_steps, jobs, navigation, overview, standing
from workbench.ui.session import DEMO

HOSTILE = "<script>alert(1)</script> ![x](http://example.org/x.png) \u202egnp مرحبا \U0001f44b\U0001f3fd"
TASKS = 6
MANY_CONFIG = "".join(
    f'[[candidates]]\nname = "model-{size}b"\nengine = "recorded"\noutputs = "m{size}.jsonl"\n'
    'price = "small-model"\n'
    for size in (1, 7)
)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """Give a workspace of six tasks with two candidates each, the larger of which never errs."""
    root = tmp_path_factory.mktemp("many") / "w"
    make_workspace(root)
    text = (root / "workbench.toml").read_text()
    (root / "workbench.toml").write_text(MANY_CONFIG + text[text.index("[[prices]]") :])
    for size in (1, 7):
        (root / f"m{size}.jsonl").write_text(f'{{"id": "{size}", "output": "x"}}\n')
    for number in range(TASKS):
        folder = root / "evals" / f"task-{number}"
        folder.mkdir()
        (folder / "eval.toml").write_text(
            f'task = "task-{number}"\nkind = "label"\nlabels = ["a", "b"]\ncalls_per_day = 100\n'
        )
    workspace = Workspace.load(root)
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        for candidate, errs in (("model-1b", True), ("model-7b", False)):
            pairs = [
                Pair(f"task-{t}", n, f"{t} {n}", answer("a"), answer("b" if errs and n % 10 == 3 else "a"))
                for t in range(TASKS)
                for n in range(90)
            ]
            fill(workspace, store, pairs, candidate, new_calls=errs)
        yield Filled(workspace, store, {})


def test_an_empty_workspace_shows_the_way_and_both_ways_in(visit: Visit, empty: Filled) -> None:
    """Six stages, the first with its button and its command; the demo beside, and nothing built unasked."""
    at = fine(visit(empty, "overview"))
    words = said(at)
    assert "1 of 6 steps done" in str([each.proto.text for each in at.get("progress")])
    for stage in ("Import a log", "Name a task", "Declare a small model", "Label blind"):
        assert stage in words
    assert any("workbench import" in each.value for each in at.code)
    assert at.button(key="build-demo")
    assert not demo.beside(empty.workspace).exists()
    assert at.button(key="stage-log").label == "Upload a log"


def test_calls_without_a_task_lead_to_traffic_and_are_no_task(visit: Visit, empty: Filled) -> None:
    """No eval of that name is asked for; the button opens the page that sorts them."""
    store_calls(empty.store, [Pair(UNASSIGNED, 1, "hello", answer("a"), answer("a"))])
    at = fine(visit(empty, "overview"))
    words = said(at)
    assert "1 call in 0 tasks" in words
    assert "evals/unassigned" not in words
    at = fine(at.button(key="sort-unassigned").click().run())
    assert "Calls in the log 1" in said(at)


def test_the_demo_is_built_by_its_own_command_and_opened_for_one_session(visit: Visit, empty: Filled) -> None:
    """The button starts `workbench demo` in a folder of its own; what is opened is said on every page."""
    at = fine(visit(empty, "overview"))
    with mock.patch.object(jobs, "start") as start:
        at.button(key="build-demo").click().run()
    (_, *names, commands), _ = start.call_args
    place = demo.beside(empty.workspace)
    assert tuple(names) == first_steps.NAMES
    assert commands == [["demo", "--root", str(place), "--no-app", "--without-model"]]

    demo.prepare(place)
    shown = Workspace.load(place)
    with Store.open(shown.store_path, spool=shown.spool):
        pass
    at.session_state[DEMO] = True
    at = fine(at.run())
    assert "You are looking at the demo" in said(at)
    at = fine(at.button(key="leave-demo").click().run())
    assert "You are looking at the demo" not in said(at)
    assert DEMO not in at.session_state


def test_a_folder_that_is_no_demo_is_never_shown_as_one(visit: Visit, empty: Filled) -> None:
    """The session may ask for it; another workspace in that place stays closed."""
    make_workspace(demo.beside(empty.workspace))
    at = visit(empty, "overview")
    at.session_state[DEMO] = True
    assert "You are looking at the demo" not in said(fine(at.run()))


def test_the_top_says_what_moves_how_sure_and_what_next(visit: Visit, filled: Filled) -> None:
    """One sentence, the bound with its method, money with limits, and one primary next step."""
    at = fine(visit(filled, "overview"))
    words = said(at).replace("\\", "")
    assert "1 of 3 compared tasks can move: " in words
    assert "3 compared tasks bounded at once (a union bound)" in words
    assert re.search(r"Saving a month \$[\d.,]+", words)
    # Its limits are within the same cent.
    assert "Saving a month:" not in words
    assert at.button(key="next-step").label == "Next: See what to move"
    at = fine(at.button(key="next-step").click().run())
    assert (at.query_params["task"], at.query_params["candidate"]) == ("triage", "small")
    assert at.title[0].value == "Ramp"


def test_a_card_says_how_much_was_covered_and_how_old_it_is(visit: Visit, filled: Filled) -> None:
    """Coverage, interval with n, ages; what is stale is called so."""
    words = said(fine(visit(filled, "overview"))).replace("\\", "")
    assert "240 of 240 calls compared (100.0 %)" in words
    # Nobody has looked at what differs: there is an interval, and no estimate in it.
    assert re.search(r"Calls that get worse: not known \([\d.]+–[\d.]+ %, n = 240\)", words)
    assert "last label never" in words
    with mock.patch.object(overview, "card") as card:
        visit(filled, "overview")
    assert card.call_count == 4


def test_a_label_on_a_made_up_candidate_is_no_label_of_ones_own(visit: Visit, filled: Filled) -> None:
    """The line of ages counts what the next step counts: candidates of one's own."""
    call = filled.store.rows("SELECT call_id FROM calls WHERE task = 'triage' LIMIT 1")[0]["call_id"]
    (made_up,) = filled.store.rows("SELECT replay_id FROM replays WHERE candidate = 'planted'")
    row = {
        "label_id": "on-planted", "replay_id": made_up["replay_id"], "call_id": call, "verdict": "equal",
        "annotator": "bob", "reasons": [], "note": "", "source": "queue", "skipped": False,
        "created_at": datetime.now(UTC),
    }  # fmt: skip
    filled.store.append("labels", [row])
    assert "last label never · synthetic candidates left out" in said(fine(visit(filled, "overview")))
    assert pages.freshness(filled.store).last_label_at is not None
    filled.store.append("labels", [row | {"label_id": "own", "replay_id": filled.replays["triage"]}])
    assert "last label just now" in said(fine(visit(filled, "overview")))


def test_a_card_says_which_labels_nobody_gave_here(visit: Visit, filled: Filled) -> None:
    """Imported labels and right answers that were known before are called so, and those of people are not."""
    calls = [each["call_id"] for each in filled.store.rows("SELECT call_id FROM calls WHERE task = 'triage'")]

    def give(source: str, call: str) -> str:
        label = {
            "label_id": f"{source}-{call}", "replay_id": filled.replays["triage"], "call_id": call,
            "verdict": "equal", "annotator": "bob", "reasons": [], "note": "", "source": source,
            "skipped": False, "created_at": datetime.now(UTC),
        }  # fmt: skip
        filled.store.append("labels", [label])
        (card,) = [
            line for line in said(fine(visit(filled, "overview"))).splitlines()
            if line.startswith("240 of 240") and "label" in line and not line.endswith("0 labels")
        ]  # fmt: skip
        return card.replace("\\", "").rsplit(" · ", 1)[1]

    assert give("imported", calls[0]) == "1 imported label"
    assert give("gold", calls[1]) == "2 labels (1 imported, 1 from known right answers)"
    assert give("queue", calls[2]) == "3 labels (1 imported, 1 from known right answers)"
    # Looked at here by somebody, too, it is no longer a label from elsewhere.
    assert give("queue", calls[0]) == "3 labels (1 from known right answers)"


def test_stale_evidence_is_said_on_the_card(visit: Visit, filled: Filled) -> None:
    """Calls that came after the replay are in no evidence, and can be replayed from the card."""
    later = [Pair("triage", n, f"later {n}", answer("other"), answer("other")) for n in range(500, 510)]
    with filled.store.writing() as writer:
        fill(filled.workspace, filled.store, later)
        writer.execute("DELETE FROM replays WHERE plan LIKE '%\"limit\": 10,%'")
    at = fine(visit(filled, "overview"))
    words = said(at).replace("\\", "")
    assert "Stale." in words
    assert "10 calls came in after the last replay" in words
    assert at.button(key="replays-triage-small").label == "Replay newer calls"


def test_a_card_says_each_age_once(visit: Visit, filled: Filled) -> None:
    """A stale age stands in the sentence that calls it stale, and not in the line of ages as well."""
    with filled.store.writing() as writer:
        writer.execute("UPDATE calls SET occurred_at = now() - INTERVAL 40 DAY WHERE task = 'triage'")
    lines = said(fine(visit(filled, "overview", task="triage"))).replace("\\", "").splitlines()
    assert [each for each in lines if "The newest logged call is 40 days old." in each]
    # Beside the line of the whole workspace, on top, no line repeats it.
    assert not [each for each in lines if each.startswith("Last logged call")]
    assert [each for each in lines if each.startswith("Last ") and each.endswith("ast label never")]


@pytest.mark.parametrize(("moving", "is_said"), [(0.0, False), (0.02, True)])
def test_a_card_says_harm_a_day_of_what_moves(
    visit: Visit, filled: Filled, moving: float, is_said: bool
) -> None:
    """Harmed calls a day are of what moves, as the saving is: where nothing moves, none are said."""
    weigh = standing.weigh

    def held(*args: Any) -> OverviewRow | None:
        found = weigh(*args)
        if found is None:
            return None
        answer = replace(found.recommendation, share=0.05, effective_share=moving, harm_per_day_at_most=3.0)
        return replace(found, recommendation=answer)

    with mock.patch.object(standing, "weigh", held):
        words = said(fine(visit(filled, "overview", task="triage")))
    assert ("Of what moves at 5 %, at most 3.0 harmed calls a day." in plain(words)) is is_said


def test_many_candidates_are_a_table_with_a_card_for_each_tasks_best(visit: Visit, many: Filled) -> None:
    """Twelve pairs: twelve lines, six cards, and a way to compare the two candidates of a task."""
    at = fine(visit(many, "overview"))
    (table,) = [each.value for each in at.dataframe if "Answer" in each.value]
    assert len(table) == 2 * TASKS
    assert table["Candidate"].iloc[0] == "model-7b"
    keys = {str(each.key) for each in at.button}
    assert {f"candidates-task-{n}-model-7b" for n in range(TASKS)} <= keys
    assert not any(key.startswith("candidates-") and key.endswith("model-1b") for key in keys)
    at = fine(at.button(key="candidates-task-3-model-7b").click().run())
    assert at.query_params["task"] == "task-3"
    words = said(at).replace("\\", "")
    assert "The smallest candidate by parameters whose bound holds for 100 %: model-7b" in words
    (ladder,) = [each.value for each in at.dataframe if "Bound holds for" in each.value]
    assert list(ladder["Candidate"]) == ["model-1b", "model-7b"]
    assert [plain(each) for each in ladder["Bound holds for"]] == ["no stage", "100 %"]
    assert list(ladder["Size"]) == ["1\u00a0billion", "7\u00a0billion"]


def test_a_link_opens_a_task_and_a_stale_link_opens_all(visit: Visit, many: Filled) -> None:
    """The address carries the choice; a task that is not there falls back politely."""
    at = fine(visit(many, "overview", task="task-2").run())
    assert len([each for each in at.dataframe if "Bound holds for" in each.value]) == 1
    at = fine(visit(many, "overview", task="'; DROP TABLE calls; --").run())
    assert len([each for each in at.dataframe if "Answer" in each.value]) == 1


def test_a_label_makes_one_pair_be_weighed_again(visit: Visit, many: Filled) -> None:
    """Rows are kept by pair: what reviewers do in one task costs the others nothing."""
    fine(visit(many, "overview"))
    replay, call = many.store.rows(
        "SELECT replay_id, call_id FROM comparisons WHERE verdict = 'mismatch' ORDER BY ALL LIMIT 1"
    )[0].values()
    with mock.patch.object(standing, "weigh", wraps=standing.weigh) as weigh:
        fine(visit(many, "overview"))
        assert weigh.call_count == 0
        label = {
            "label_id": "one", "replay_id": replay, "call_id": call, "verdict": "equal", "annotator": "ann",
            "reasons": [], "note": "", "source": "picked", "skipped": False, "created_at": START,
        }  # fmt: skip
        many.store.append("labels", [label])
        fine(visit(many, "overview"))
        assert weigh.call_count == 1


def test_hostile_names_of_tasks_are_text(visit: Visit, filled: Filled) -> None:
    """A log may call a task anything; it reaches no place that reads Markdown or HTML."""
    with filled.store.writing() as writer:
        writer.execute("UPDATE calls SET task = ? WHERE task = 'rewrite'", (HOSTILE,))
    at = fine(visit(filled, "overview"))
    for kind in ("markdown", "caption", "header", "info", "warning"):
        for each in at.get(kind):
            assert "<script" not in str(each.value)
            assert "![x]" not in str(each.value)
            assert "\u202e" not in str(each.value)
    assert any("مرحبا" in str(each.value) for each in at.text)


def test_a_kept_row_is_that_of_the_use_case(visit: Visit, filled: Filled) -> None:
    """What a page remembers is what `overview` says."""
    fine(visit(filled, "overview"))
    kept = standing._kept(str(filled.workspace.root)).rows
    assert {key: row for key, (_, row) in kept.items()} == {
        (row.task, row.candidate): row for row in weighed(filled.workspace, filled.store)
    }


def test_a_page_that_was_just_weighed_waits_before_the_next_weighing(visit: Visit, many: Filled) -> None:
    """While a replay commits all the time, the page shows what it knew and says so, instead of working on."""
    at = visit(many, "slices")
    kept = standing._kept(str(many.workspace.root)).rows
    for pair, (_, row) in list(kept.items()):
        kept[pair] = ("older", row)
    at.session_state[overview.WEIGHED_AT] = time.monotonic()
    with mock.patch.object(standing, "weigh", wraps=standing.weigh) as weigh:
        at.switch_page(str(navigation.folder() / "overview.py"))
        words = said(fine(at.run()))
        assert weigh.call_count == 0
    assert "Newer evidence has come in since" in words
    assert "From before the newest evidence" in words
    words = said(fine(visit(many, "overview")))
    assert "Newer evidence has come in since" not in words
    assert "From before" not in words
