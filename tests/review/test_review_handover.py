"""Items go to Argilla and Label Studio as files, and come back as labels of the queue."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from review_world import World

from workbench import review
from workbench.errors import UsageError
from workbench.records import EvalKind
from workbench.review import State
from workbench.review.argilla import settings
from workbench.review.label_studio import attribute, config_xml
from workbench.specs import EvalConfig

WHERE = ("topics", "tiny-llm")
TEXTS = ("rewrite", "tiny-llm")
SECRETS = ("tiny", "frontier", "0.41", "812", "control", "candidate", "probability", "mismatch", "replay_id")


def parsed(text: str) -> ElementTree.Element:
    """Parse what was just made here."""
    return ElementTree.fromstring(text)  # noqa: S314 - our own text


def out(world: World, folder: Path, to: str, where: tuple[str, str] = WHERE, **more: Any) -> Any:
    return review.hand_over(world.workspace, world.store, *where, folder, to=to, now=world.clock, **more)


def back(world: World, file: Path, task: str = "topics") -> Any:
    return review.import_labels(world.workspace, world.store, file, task=task, now=world.clock)


def annotate(tasks: list[dict[str, Any]], choice: str, **more: Any) -> list[dict[str, Any]]:
    """Return tasks as Label Studio exports them, each with one person's answer."""
    result = [
        {"from_name": "choice", "to_name": "request", "type": "choices", "value": {"choices": [choice]}}
    ]
    return [
        task
        | {
            "id": number,
            "annotations": [
                {
                    "id": number,
                    "completed_by": {"id": 7, "email": "mia@example.org"},
                    "result": result,
                    "was_cancelled": False,
                    "updated_at": "2026-03-01T12:05:00.000000Z",
                }
                | more
            ],
        }
        for number, task in enumerate(tasks)
    ]


@pytest.mark.parametrize("to", ["label-studio", "argilla"])
def test_files_tell_no_more_than_the_review_page(world: World, tmp_path: Path, to: str) -> None:
    """No model, score, time, probability or role; only request, both answers and the guidelines."""
    world.add_replay("rewrite", [(f"text {n}", f"other {n}") for n in range(6)], scores=[0.41] * 6)
    report = out(world, tmp_path / "out", to, TEXTS, limit=4)
    assert report.items == 4
    written = "".join(Path(each).read_text(encoding="utf-8") for each in report.files).lower()
    assert "judge rewrite with care" in written
    assert "question" in written
    for secret in SECRETS:
        assert secret not in written, secret


def test_label_studio_labels_are_the_queues_own_with_their_probabilities(
    world: World, tmp_path: Path
) -> None:
    """The draw's probability, weight and order stay; the same file again adds nothing."""
    scores = [0.3, 0.9, 0.97, 0.7] * 5
    world.add_replay("rewrite", [(f"text {n}", f"other {n}") for n in range(20)], scores=scores)
    out(world, tmp_path, "label-studio", TEXTS, limit=8)
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    assert len(tasks) == 8
    exported = tmp_path / "export.json"
    exported.write_text(json.dumps(annotate(tasks, "left")), encoding="utf-8")
    report = back(world, exported, "rewrite")
    assert (report.records, report.accepted, report.rejected) == (8, 8, 0)
    assert back(world, exported, "rewrite").skipped == 8
    states = review.draw_states(world.store, *world.scope("rewrite").params, now=world.clock)
    assert [each.state for each in states] == [State.LABELLED] * 8
    for each in states:
        assert each.effective is not None
        (vote,) = each.effective.votes
        assert (vote.source, vote.annotator) == ("queue", "mia@example.org")
        assert vote.draw_probability == each.draw_probability
        task = next(task["data"] for task in tasks if task["data"]["item"] == each.draw_id)
        control_left = task["response_1"].startswith("text")
        assert each.verdict == ("control_better" if control_left else "candidate_better")


def test_a_changed_answer_supersedes_and_a_cancelled_one_says_nothing(world: World, tmp_path: Path) -> None:
    """An older file does not undo a newer one."""
    world.add_replay("topics", [("a", "b")])
    out(world, tmp_path, "label-studio")
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    file = tmp_path / "export.json"

    def say(choice: str, **more: Any) -> Any:
        file.write_text(json.dumps(annotate(tasks, choice, **more)), encoding="utf-8")
        return back(world, file)

    assert say("equal", was_cancelled=True).blank == 1
    assert say("Response 1 better").accepted == 1
    assert say("both_bad", updated_at="2026-03-01T12:08:00Z").accepted == 1
    assert say("Response 1 better").skipped == 1
    (found,) = review.effective_verdicts(world.store, *world.scope("topics").params).values()
    assert [vote.verdict for vote in found.votes] == ["both_bad"]
    assert say("no such choice").rejected == 1


def test_the_short_export_of_label_studio_is_read_too(world: World, tmp_path: Path) -> None:
    """One choice is a text, several an object, the annotator a number."""
    world.add_replay("orders", [('{"sku": "x", "total": 1}', '{"sku": "y", "total": 2}')])
    out(world, tmp_path, "label-studio", ("orders", "tiny-llm"))
    (task,) = json.loads((tmp_path / "tasks.json").read_text())
    left_is_control = '"x"' in task["data"]["response_1"]
    wrong = "right_wrong" if left_is_control else "left_wrong"
    choice = "left" if left_is_control else "right"
    row = {
        **task["data"],
        "id": 1,
        "annotator": 3,
        "annotation_id": 11,
        "choice": choice,
        wrong: {"choices": ["sku", "total"]},
        "reasons": "wrong answer",
        "note": "both fields",
    }
    file = tmp_path / "short.json"
    file.write_text(json.dumps([row]), encoding="utf-8")
    assert back(world, file, "orders").accepted == 1
    (row,) = world.store.rows("SELECT * FROM labels")
    assert (row["annotator"], row["verdict"], row["reasons"]) == (
        "label-studio 3",
        "control_better",
        ["wrong"],
    )
    assert (row["control_right"], row["candidate_wrong"]) == (True, ["sku", "total"])


def test_argilla_reads_the_folder_and_its_records_come_back(world: World, tmp_path: Path) -> None:
    """Settings and records have the shape of a dataset on disk; several people may answer one record."""
    world.add_replay("topics", [("a", "b")] * 3)
    out(world, tmp_path / "set", "argilla")
    shown = json.loads((tmp_path / "set" / ".argilla" / "settings.json").read_text())
    assert [each["name"] for each in shown["fields"]] == ["request", "response_1", "response_2"]
    assert all(each["settings"] == {"type": "text", "use_markdown": False} for each in shown["fields"])
    records = json.loads((tmp_path / "set" / "records.json").read_text())
    for number, record in enumerate(records):
        left = "left" if record["fields"]["response_1"] == "a" else "right"
        record["responses"] = {
            "choice": [{"value": left, "user_id": "u1"}, {"value": "equal", "user_id": "u2"}],
            "reasons": [{"value": ["wrong"], "user_id": "u1"}],
            "corrected": [{"value": "a", "user_id": "u1", "status": "draft"}],
        }
        if number == 0:
            record["responses"] = {}
    (tmp_path / "set" / "records.json").write_text(json.dumps(records), encoding="utf-8")
    report = back(world, tmp_path / "set")
    assert (report.records, report.accepted, report.blank) == (5, 4, 1)
    found = review.effective_verdicts(world.store, *world.scope("topics").params).values()
    assert [(each.verdict, each.disputed, each.counted) for each in found] == [
        ("control_better", True, True)
    ] * 2
    assert back(world, tmp_path / "set").skipped == 4
    assert review.gold_answers(world.workspace, world.store, "topics") == []


def test_an_answer_on_an_item_that_never_went_out_is_refused(world: World, tmp_path: Path) -> None:
    """Somebody else's draw, a made-up one, or another task's."""
    world.add_replay("topics", [("a", "b")] * 4)
    held = review.next_item(world.workspace, world.store, *WHERE, "mia", now=world.clock)
    assert held is not None
    data = {"request": "?", "response_1": "a", "response_2": "b"}
    tasks = [{"data": data | {"item": item}} for item in (held.item_id, "0" * 32)]
    file = tmp_path / "forged.json"
    file.write_text(json.dumps(annotate(tasks, "left")), encoding="utf-8")
    report = back(world, file)
    assert (report.accepted, report.rejected) == (0, 2)
    assert world.store.value("SELECT count(*) FROM labels") == 0


def test_items_that_are_out_can_be_written_again_and_lapse_in_the_end(world: World, tmp_path: Path) -> None:
    """They are nobody else's until their time is over; then they count as harm and go to others."""
    world.add_replay("topics", [("a", "b")] * 3)
    first = out(world, tmp_path / "one", "label-studio", days=2)
    assert first.items == 3
    assert review.next_item(world.workspace, world.store, *WHERE, "mia", now=world.clock) is None
    assert out(world, tmp_path / "two", "label-studio").items == 0
    again = out(world, tmp_path / "three", "label-studio", again=True)
    assert again.items == 3
    assert (tmp_path / "three" / "tasks.json").read_text() == (tmp_path / "one" / "tasks.json").read_text()
    world.clock.pass_minutes(2 * 24 * 60 + 1)
    states = review.draw_states(world.store, *world.scope("topics").params, now=world.clock)
    assert {each.state for each in states} == {State.LAPSED}
    assert review.next_item(world.workspace, world.store, *WHERE, "mia", now=world.clock) is not None


def test_nobody_labels_in_the_app_under_the_name_of_a_program(world: World) -> None:
    """The items that are out would be theirs."""
    world.add_replay("topics", [("a", "b")])
    for name in ("label-studio", "Argilla", "gold"):
        with pytest.raises(UsageError, match="stands for a program"):
            review.next_item(world.workspace, world.store, *WHERE, name, now=world.clock)


def test_an_unknown_program_or_number_is_refused(world: World, tmp_path: Path) -> None:
    """The message names the programs there are."""
    with pytest.raises(UsageError, match="no program"):
        out(world, tmp_path, "doccano")
    with pytest.raises(UsageError, match="number of items"):
        out(world, tmp_path, "argilla", days=0)


@given(paths=st.lists(st.text(max_size=40), max_size=4, unique=True))
def test_no_text_can_add_markup_to_the_label_studio_configuration(paths: list[str]) -> None:
    """Whatever a field is called, the configuration has the same tags and reads back as that name."""
    config = EvalConfig("t", EvalKind.FIELDS)
    plain = parsed(config_xml(config, tuple(f"f{n}" for n in range(len(paths)))))
    hostile = parsed(config_xml(config, tuple(paths)))
    assert [each.tag for each in hostile.iter()] == [each.tag for each in plain.iter()]
    assert [sorted(each.attrib) for each in hostile.iter()] == [sorted(each.attrib) for each in plain.iter()]
    for each in hostile.iter("Choice"):
        assert not each.attrib["value"].startswith("$")


@pytest.mark.parametrize("text", ['"/><Script>', "$request", "a & b < c", "line\nline", "\x00\ufffe\ud800"])
def test_an_attribute_keeps_its_quotes(text: str) -> None:
    """What can't stand in XML is left out; the rest comes back."""
    found = parsed(f"<a b={attribute(text)}/>").attrib["b"]
    assert found.strip() == "".join(each for each in text if each not in "\x00\ufffe\ud800").strip()


def test_argilla_never_takes_guidelines_for_a_file() -> None:
    """Argilla reads a file whose name the guidelines are; theirs have two lines at least."""
    config = EvalConfig("t", EvalKind.LABEL, guidelines="/etc/hostname")
    assert settings(config, ())["guidelines"].count("\n") >= 2


def answered(folder: Path, to: str, choice: str, *, minute: int = 5, only: int = 99) -> Path:
    """Return a file as a program exports it, with one person's answer on the first items."""
    if to == "label-studio":
        tasks = json.loads((folder / "tasks.json").read_text())
        file = folder / f"export-{minute}.json"
        moment = f"2026-03-01T12:{minute:02}:00.000000Z"
        file.write_text(json.dumps(annotate(tasks[:only], choice, updated_at=moment)), encoding="utf-8")
        return file
    records = json.loads((folder / "records.json").read_text())
    for record in records[:only]:
        record["responses"] = {"choice": [{"value": choice, "user_id": "u1"}]}
    file = folder / f"export-{minute}.json"
    file.write_text(json.dumps(records), encoding="utf-8")
    return file


@pytest.mark.parametrize("to", ["label-studio", "argilla"])
def test_out_and_in_and_out_again_keeps_every_draw_and_doubles_no_label(
    world: World, tmp_path: Path, to: str
) -> None:
    """Whatever goes round: each answered item has one standing label with the probability of its one draw."""
    scores = [0.3, 0.9, 0.97, 0.7] * 6
    world.add_replay("rewrite", [(f"text {n}", f"other {n}") for n in range(24)], scores=scores)
    other = {"label-studio": "argilla", "argilla": "label-studio"}[to]
    drawn = "SELECT draw_id, call_id, position, draw_probability, weight, weight_max FROM draws ORDER BY seq"
    out(world, tmp_path / "one", to, TEXTS, limit=6)
    first = world.store.rows(drawn)
    back(world, answered(tmp_path / "one", to, "left", only=4), "rewrite")
    # What is unanswered goes out again, and others to another program: no item is out twice.
    assert out(world, tmp_path / "two", to, TEXTS, again=True).items == 2
    assert out(world, tmp_path / "three", other, TEXTS, limit=6).items == 6
    assert world.store.rows(drawn)[:6] == first
    again = back(world, answered(tmp_path / "two", to, "equal", minute=6), "rewrite")
    assert (again.accepted, again.rejected) == (2, 0)
    assert back(world, answered(tmp_path / "three", other, "right"), "rewrite").accepted == 6
    assert back(world, answered(tmp_path / "one", to, "left", only=4), "rewrite").accepted == 0
    # Labels as a file, and that file in again: nothing is new, and what went out says the same.
    files = [tmp_path / f"labels-{number}.jsonl" for number in range(2)]
    review.export_labels(world.workspace, world.store, files[0], task="rewrite", candidate="tiny-llm")
    came = review.import_labels(
        world.workspace, world.store, files[0], task="rewrite", candidate="tiny-llm", now=world.clock
    )
    assert came.accepted == 0
    review.export_labels(world.workspace, world.store, files[1], task="rewrite", candidate="tiny-llm")
    assert files[0].read_bytes() == files[1].read_bytes()
    states = review.draw_states(world.store, *world.scope("rewrite").params, now=world.clock)
    assert len(states) == len({each.call_id for each in states}) == 12
    for each in states:
        assert each.effective is not None
        (vote,) = each.effective.votes
        assert (vote.draw_probability, vote.source) == (each.draw_probability, "queue")
    assert [row["draw_probability"] for row in world.store.rows(drawn)] == [
        each.draw_probability for each in states
    ]


@pytest.mark.parametrize("to", ["label-studio", "argilla"])
def test_said_changed_and_said_again_is_what_stands(world: World, tmp_path: Path, to: str) -> None:
    """A, then B, then A: the last word counts, each file twice adds nothing, and all three stay on record."""
    world.add_replay("topics", [("a", "b")])
    out(world, tmp_path, to)
    for minute, choice in enumerate(("both_bad", "equal", "both_bad", "equal"), start=1):
        file = answered(tmp_path, to, choice, minute=minute)
        assert back(world, file).accepted == 1
        assert back(world, file).accepted == 0
        (found,) = review.effective_verdicts(world.store, *world.scope("topics").params).values()
        assert [vote.verdict for vote in found.votes] == [choice]
    assert world.store.value("SELECT count(*) FROM labels") == 4


def test_two_kinds_of_export_of_one_annotation_are_one_label(world: World, tmp_path: Path) -> None:
    """The long one names its author by address, the short one by number; the moment is the same."""
    world.add_replay("topics", [("a", "b")])
    out(world, tmp_path, "label-studio")
    world.clock.pass_minutes(60)
    assert back(world, answered(tmp_path, "label-studio", "left")).accepted == 1
    (task,) = json.loads((tmp_path / "tasks.json").read_text())
    row = {**task["data"], "id": 1, "annotator": 7, "annotation_id": 0, "choice": "left"}
    short = tmp_path / "short.json"
    short.write_text(json.dumps([row | {"updated_at": "2026-03-01T12:05:00.000000Z"}]), encoding="utf-8")
    assert (back(world, short).accepted, back(world, short).skipped) == (0, 1)
    short.write_text(json.dumps([row | {"updated_at": "2026-03-01T12:06:00.000000Z"}]), encoding="utf-8")
    assert back(world, short).accepted == 1, "another moment is another annotation"


def test_labels_from_elsewhere_are_looked_at_in_the_order_they_were_given_in(
    world: World, tmp_path: Path
) -> None:
    """Where a reviewer's name is that of an account there: what they said, and beside it what they saw."""
    world.add_replay("topics", [("a", "b")] * 12)
    out(world, tmp_path, "label-studio")
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    back(world, answered(tmp_path, "label-studio", "left"))
    shown = {task["data"]["item"]: task["data"]["response_1"] for task in tasks}
    own = review.history(world.workspace, world.store, *WHERE, "mia@example.org")
    assert len(own) == 12
    orders = set()
    for label in own:
        item = review.look_again(world.workspace, world.store, *WHERE, "mia@example.org", label)
        assert review.choice_made(label) == "left"
        assert label.verdict is not None
        assert item.choice(label.verdict) == "left"
        assert item.left.text == shown[label.draw_id or ""]
        plain = review.order_shown("mia@example.org", label.call_id, label.replay_id)
        orders.add(plain == item.shown_order)
    assert orders == {True, False}, "a test that an order of one's own would pass, too"
