"""Review as a page: each side by itself, ten by hand, own labels, conflicts, languages, hostile data."""

from __future__ import annotations

from typing import Any

import pytest
from app_building import START, Filled, Pair, answer, fill
from app_reading import Visit, fine, said
from streamlit.testing.v1 import AppTest

from workbench import priority, review
from workbench.records import Label, LabelVerdict, ToolCall
from workbench.specs import guideline_version_of
from workbench.store import gold, guidelines, labels
from workbench.ui import downloads, menu, steps
from workbench.ui.seat import ITEM, LAST

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)> ![x](https://example.org/x.png) \u202egnp"
TAGS = ("<script", "<img", "![", "\u202e")


def sit_down(visit: Visit, place: Filled, task: str, name: str = "ann", **query: str) -> AppTest:
    """Open Review under a name."""
    at = fine(visit(place, "review", task=task, candidate="small", **query))
    at.text_input[0].set_value(name)
    return fine(next(each for each in at.button if each.label == "Start").click().run())


def press(at: AppTest, label: str) -> AppTest:
    return fine(next(each for each in at.button if each.label == label).click().run())


def stored(place: Filled) -> list[dict[str, Any]]:
    return place.store.rows("SELECT * FROM labels ORDER BY seq")


def shown(at: AppTest) -> str:
    """Return everything on the page: words, cards and tables."""
    cards = "".join(str(each.proto.body) for each in at.get("html"))
    tables = "".join(each.value.to_csv() for each in at.dataframe)
    return said(at) + cards + tables


def give(
    place: Filled, call_id: str, name: str, verdict: str, *, note: str = "", version: str | None = None
) -> None:
    """Store a blind label of triage as the queue would."""
    replay_id = place.replays["triage"]
    label = Label(
        label_id=f"{name}-{call_id}",
        replay_id=replay_id,
        call_id=call_id,
        verdict=LabelVerdict(verdict),
        annotator=name,
        note=note,
        shown_order=review.order_shown(name, call_id, replay_id),
        guideline_version=version or place.workspace.eval_for("triage").guideline_version,
        created_at=START,
    )
    labels.add_label(place.store, label)


def stored_call(place: Filled) -> str:
    """Return a call of triage that both sides answered."""
    sql = "SELECT call_id FROM comparisons WHERE replay_id = ? ORDER BY call_id LIMIT 1"
    return str(place.store.value(sql, (place.replays["triage"],)))


def edit_eval(place: Filled, task: str, lines: str) -> None:
    path = place.workspace.root / "evals" / task / "eval.toml"
    path.write_text(path.read_text(encoding="utf-8") + lines, encoding="utf-8")


# --- Each side by itself -------------------------------------------------------------------------


def test_a_label_is_right_or_wrong_by_itself(visit: Visit, filled: Filled) -> None:
    """One key says which side is right; the judgement of both is stored, and the verdict follows."""
    at = sit_down(visit, filled, "triage", way="apart")
    item = at.session_state[ITEM].item
    press(at, "Only 2 is right")
    row = stored(filled)[-1]
    assert row["verdict"] == item.verdict("right")
    right = {row["control_right"], row["candidate_right"]}
    assert right == {True, False}
    assert at.query_params["way"] == "apart"


def test_fields_called_wrong_are_stored_by_side(visit: Visit, filled: Filled) -> None:
    """Marked fields belong to the side they were marked on, and both wrong needs no reason first."""
    at = sit_down(visit, filled, "orders", way="apart")
    mark = at.session_state[ITEM].mark
    item = at.session_state[ITEM].item
    for side, paths in (("left", ["total"]), ("right", ["customer", "total"])):
        at.get("button_group")
        group = next(each for each in at.get("button_group") if each.key == f"wrong-{side}-{mark}")
        at = fine(group.set_value(paths).run())
    press(at, "Both wrong")
    row = stored(filled)[-1]
    sides = [sorted(row["control_wrong"]), sorted(row["candidate_wrong"])]
    wanted = [["total"], ["customer", "total"]]
    assert sides == (wanted if item.shown_order == "control_left" else wanted[::-1])
    at = fine(visit(filled, "compare", task="orders", candidate="small", show="agreement"))
    assert {each.label: each.value for each in at.metric}["Neither"] == "1"
    told = next(each.value for each in at.dataframe if "Candidate wrong" in each.value.columns)
    of_total = told[told["Field"] == "total"]
    assert of_total[["Frontier wrong", "Candidate wrong"]].values.tolist() == [[1, 1]]


def test_a_contradiction_is_explained_and_labels_nothing(visit: Visit, filled: Filled) -> None:
    """A response can't be right with a wrong field: the page says so, and the item stays."""
    at = sit_down(visit, filled, "orders", way="apart")
    current = at.session_state[ITEM]
    group = next(each for each in at.get("button_group") if each.key == f"wrong-left-{current.mark}")
    at = fine(group.set_value(["total"]).run())
    press(at, "Only 1 is right")
    assert "has no wrong fields" in said(at)
    assert not stored(filled)
    assert at.session_state[ITEM].mark == current.mark


def test_texts_are_only_compared(visit: Visit, filled: Filled) -> None:
    """A rewritten text is not right or wrong: the question is not offered."""
    at = sit_down(visit, filled, "rewrite", way="apart")
    assert any(each.label == "Response 1 better" for each in at.button)


# --- After the verdict ---------------------------------------------------------------------------


def test_a_skip_takes_its_reason_afterwards(visit: Visit, filled: Filled) -> None:
    """S skips at once; why is a click more, kept with the skip."""
    at = press(sit_down(visit, filled, "triage"), "Skip")
    at = fine(at.get("button_group")[-1].set_value("not my language").run())
    last = stored(filled)[-1]
    assert (last["skipped"], last["verdict"], last["note"]) == (True, None, "not my language")


def test_a_corrected_answer_becomes_gold(visit: Visit, filled: Filled) -> None:
    """What a reviewer writes as the right answer is kept with the label and is the call's gold answer."""
    at = press(sit_down(visit, filled, "triage"), "Both bad")
    call = at.session_state[LAST].label.call_id
    at = press(at, "Write the right answer")
    box = next(each for each in at.selectbox if each.label == "The right label")
    at = fine(box.set_value("how-to").run())
    assert stored(filled)[-1]["corrected"] == "how-to"
    known = {row["call_id"]: (row["answer"], row["origin"]) for row in gold.answers(filled.store, "triage")}
    assert known[call] == ("how-to", "reviewers")
    box = next(each for each in at.selectbox if each.label == "The right label")
    fine(box.set_value(None).run())
    assert stored(filled)[-1]["corrected"] is None
    assert call not in {row["call_id"] for row in gold.answers(filled.store, "triage")}


def test_the_better_answer_becomes_gold_only_when_somebody_says_so(visit: Visit, filled: Filled) -> None:
    """It stands in the box to begin with; a reason given meanwhile stores the reason alone."""
    at = press(sit_down(visit, filled, "rewrite"), "Response 1 better")
    mark = at.session_state[LAST].open.mark
    at = press(at, "Write the right answer")
    reasons = next(each for each in at.get("button_group") if each.key == f"reasons-{mark}")
    at = fine(reasons.set_value(["wording"]).run())
    assert (stored(filled)[-1]["reasons"], stored(filled)[-1]["corrected"]) == (["wording"], None)
    at = press(at, "Save the right answer")
    text = at.session_state[LAST].open.item.left.text
    assert (stored(filled)[-1]["reasons"], stored(filled)[-1]["corrected"]) == (["wording"], text)
    assert [row["answer"] for row in gold.answers(filled.store, "rewrite")] == [text]


def test_what_was_added_to_a_label_outlives_a_look_at_another_view(visit: Visit, filled: Filled) -> None:
    """Reasons stand there again, and a note added later takes none of them away."""
    at = press(sit_down(visit, filled, "rewrite"), "Response 1 better")
    mark = at.session_state[LAST].open.mark
    reasons = next(each for each in at.get("button_group") if each.key == f"reasons-{mark}")
    at = fine(reasons.set_value(["wrong"]).run())
    for view in ("mine", "label"):
        views = next(each for each in at.get("button_group") if getattr(each, "label", "") == "View")
        at = fine(views.set_value(view).run())
    at = fine(at.text_input(key=f"note-{mark}").set_value("hello").run())
    assert (stored(filled)[-1]["reasons"], stored(filled)[-1]["note"]) == (["wrong"], "hello")


@pytest.mark.parametrize("allowed", [True, False])
def test_the_effect_of_a_label_is_shown_only_where_the_eval_allows_it(
    visit: Visit, filled: Filled, allowed: bool
) -> None:
    """How the bound moved would tell which side was the frontier's, so it is off unless asked for."""
    edit_eval(filled, "triage", f"\n[review]\nshow_effect = {str(allowed).lower()}\n")
    at = press(sit_down(visit, filled, "triage"), "Equal")
    assert ("of calls get worse" in said(at)) == allowed


def test_work_in_the_background_gives_way_from_a_key_until_the_next_item(
    visit: Visit, filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key comes first while its answer, skip or undo is at work, and no longer than to the next item."""
    first: dict[str, bool] = {}

    def noting(name: str, work: Any) -> Any:
        def noted(*args: Any, **options: Any) -> Any:
            first[name] = bool(priority._served)
            return work(*args, **options)

        return noted

    at = sit_down(visit, filled, "triage")
    for name in ("answer", "undo"):
        monkeypatch.setattr(review, name, noting(name, getattr(review, name)))
    for label, name in (("Equal", "answer"), ("Undo", "undo"), ("Skip", "answer")):
        priority._served.clear()
        first.clear()
        at = press(at, label)
        assert first == {name: True}
        assert priority._left_s() <= priority.AFTERWARDS_S


def test_edited_guidelines_are_shown_before_the_next_label(visit: Visit, filled: Filled) -> None:
    """A label is made under the guidelines on the page: edited ones come with the next key."""
    at = sit_down(visit, filled, "triage")
    press(at, "Equal")
    text = filled.workspace.root / "evals" / "triage" / "guidelines.md"
    text.write_text("Prefer the shorter label.", encoding="utf-8")
    press(at, "Equal")
    assert "Prefer the shorter label." in shown(at)
    press(at, "Equal")
    versions = [row["guideline_version"] for row in stored(filled)]
    assert versions[-1] != versions[0]
    assert at.session_state[ITEM] is None or at.session_state[ITEM].item.guideline_version == versions[-1]


def test_a_conflict_shows_the_guidelines_that_each_label_was_made_under(visit: Visit, filled: Filled) -> None:
    """Both texts are there to read where two people went by different ones, letter by letter."""
    call_id = stored_call(filled)
    give(filled, call_id, "bob", "equal")
    text = f"Earlier words {HOSTILE}"
    version = guideline_version_of(text)
    guidelines.keep(filled.store, "triage", version, text, START)
    give(filled, call_id, "cat", "both_bad", version=version)
    at = sit_down(visit, filled, "triage", view="conflicts")
    assert "Earlier words" not in shown(at)
    at = press(at, "Open")
    page = shown(at)
    assert "They were made under different guidelines." in page
    assert "Earlier words &lt;script" in page
    assert "Prefer the answer that a support person would send." in page
    assert version in page


def test_two_windows_of_one_person_never_show_as_saved_what_is_not(visit: Visit, filled: Filled) -> None:
    """The same item in both: the first key counts, and the second window says that its own did not."""
    first, second = (sit_down(visit, filled, "triage") for _ in range(2))
    mark = first.session_state[ITEM].mark
    assert second.session_state[ITEM].mark == mark
    press(first, "Response 1 better")
    press(second, "Response 2 better")
    assert "This key changed nothing" in "".join(each.value for each in second.toast)
    assert second.session_state[LAST] is None
    assert [row["shown_order"] for row in stored(filled)] == [first.session_state[LAST].label.shown_order]
    assert first.session_state[ITEM].mark == second.session_state[ITEM].mark != mark


def test_an_item_of_rules_that_were_changed_meanwhile_makes_room_for_another(
    visit: Visit, filled: Filled
) -> None:
    """Comparisons of other rules have a queue of their own: nobody is stuck before an item of the old one."""
    at = sit_down(visit, filled, "triage")
    path = filled.workspace.root / "evals" / "triage" / "eval.toml"
    path.write_text(path.read_text(encoding="utf-8") + '\n[aliases]\nbill = "billing"\n', encoding="utf-8")
    # The key that finds the change labels what was on the page; the next one is told, and the way is free.
    press(at, "Equal")
    fine(next(each for each in at.button if each.label == "Equal").click().run())
    assert len(stored(filled)) == 1
    assert at.error
    assert at.session_state[ITEM] is None


# --- Views ---------------------------------------------------------------------------------------


def test_ten_by_hand_say_nothing_until_all_are_judged(visit: Visit, filled: Filled) -> None:
    """Ten calls are judged blind, move nothing, and are summed up at the end."""
    at = sit_down(visit, filled, "rewrite", view="by-hand")
    for _ in range(10):
        if not any(each.label == "Equal" for each in at.button):
            break
        assert "Frontier better" not in said(at)
        press(at, "Equal")
    assert "Frontier better" in said(at)
    assert "moves no traffic" in said(at)
    assert {row["source"] for row in stored(filled)} == {"by_hand"}


def test_own_labels_are_found_again_and_changed(visit: Visit, filled: Filled) -> None:
    """One's own labels alone, by what was said; a change supersedes, and nothing names a model."""
    at = sit_down(visit, filled, "triage")
    press(at, "Response 1 better")
    press(at, "Equal")
    press(at, "Skip")
    other = review.next_item(filled.workspace, filled.store, "triage", "small", "bob")
    review.submit(filled.workspace, filled.store, other, "bob", "both_bad", note="of bob")
    at = sit_down(visit, filled, "triage", view="mine")
    table = at.dataframe[0].value
    assert list(table["I said"]) == ["Skipped", "Equal", "Response 1 better"]
    assert "2 labels and 1 skip of yours" in said(at)
    assert "bob" not in table.to_csv()
    found = sit_down(visit, filled, "triage", view="mine", said="left")
    assert list(found.dataframe[0].value["I said"]) == ["Response 1 better"]
    none = sit_down(visit, filled, "triage", view="mine", find="nowhere")
    assert "No label of yours matches" in said(none)
    for each in (at, found, none):
        assert not {"small", "frontier-1", "control"} & set(shown(each).replace('"', " ").split())


def test_a_conflict_is_opened_decided_and_gone(visit: Visit, filled: Filled) -> None:
    """Two people differ: a third reads both, decides by a key, and the decision stands."""
    call = disputed(filled)[0]
    for name, verdict in (("ann", "control_better"), ("bob", "equal")):
        give(filled, call, name, verdict, note=HOSTILE)
    at = sit_down(visit, filled, "triage", "cleo", view="conflicts")
    assert "1\u00a0pair on which people differ" in "".join(each.value for each in at.caption)
    assert "bob" not in shown(at)
    press(at, "Open")
    assert {"ann", "bob"} <= set(at.dataframe[0].value["Who"])
    assert not any(tag in each for each in at.dataframe[0].value["Note"] for tag in ("\u202e",))
    press(at, "Equal")
    assert "Nobody differs" in said(at)
    last = stored(filled)[-1]
    assert (last["source"], last["verdict"], last["annotator"]) == ("adjudicated", "equal", "cleo")


def disputed(place: Filled) -> list[str]:
    """Return the calls of triage whose answers differ."""
    found = place.store.rows(
        "SELECT call_id FROM comparisons WHERE verdict = 'mismatch' AND replay_id = ?",
        (place.replays["triage"],),
    )
    return [row["call_id"] for row in found]


def test_low_agreement_is_said_above_the_desk(visit: Visit, filled: Filled) -> None:
    """Where two people hardly agree, a banner says that the bound measures them."""
    calls = filled.store.rows(
        "SELECT call_id FROM comparisons WHERE replay_id = ? LIMIT 20", (filled.replays["triage"],)
    )
    for n, row in enumerate(calls):
        for place, name in enumerate(("ann", "bob")):
            give(filled, row["call_id"], name, ("equal", "control_better")[(n + place) % 2])
    at = sit_down(visit, filled, "triage", "cleo")
    assert any("Reviewers agree little" in each.value for each in at.warning)


def test_reviewers_get_the_languages_they_read(visit: Visit, filled: Filled) -> None:
    """A chosen language is all that comes, and others wait for somebody else."""
    at = sit_down(visit, filled, "triage")
    group = next(each for each in at.get("button_group") if "languages" in str(each.key))
    at = fine(group.set_value(["en"]).run())
    for _ in range(4):
        current = at.session_state[ITEM]
        if current is None:
            break
        language = filled.store.value("SELECT language FROM calls WHERE call_id = ?", (current.item.call_id,))
        assert language == "en"
        press(at, "Equal")
    assert {
        filled.store.value("SELECT language FROM calls WHERE call_id = ?", (row["call_id"],))
        for row in stored(filled)
    } <= {"en"}


@pytest.mark.parametrize("view", ["label", "by-hand", "mine", "conflicts"])
def test_hostile_data_stays_text_in_every_view(visit: Visit, empty: Filled, view: str) -> None:
    """Neither a name, a note, a field's path nor an answer reaches a place that reads markup."""
    tools = (ToolCall("<img src=x>", {"a": HOSTILE}),)
    path = HOSTILE[:25]
    pairs = [
        Pair(
            "orders", 0, HOSTILE, answer(f'{{"{path}": 1, "customer": "{path}"}}'), answer("{}", tools=tools)
        ),
        Pair("orders", 1, "x" * 1_000_000, answer("{}"), answer(f'{{"customer": "{"y" * 100_000}"}}')),
        Pair("orders", 2, "مرحبا 👋🏽", answer(f'{{"customer": "{path}"}}'), answer('{"customer": 2}')),
    ]
    place = Filled(empty.workspace, empty.store, fill(empty.workspace, empty.store, pairs))
    at = sit_down(visit, place, "orders", f"ann {HOSTILE}"[:80])
    for _ in range(3):
        press(at, "Both bad")
        note = next((each for each in at.text_input if each.label == "Note"), None)
        if note:
            at = fine(note.set_value(HOSTILE).run())
    at = sit_down(visit, place, "orders", f"ann {HOSTILE}"[:80], view=view, way="apart")
    for kind in ("markdown", "caption", "header", "title", "info", "success", "warning", "error"):
        for each in at.get(kind):
            assert not any(tag in str(each.value) for tag in TAGS), (kind, each.value)
    for each in at.get("html"):
        body = str(each.proto.body)
        ours = [known.SCRIPT.strip() for known in (downloads, menu, steps)]
        if "review-buttons" not in body and body.strip() not in ours:
            assert not any(tag in body for tag in TAGS if tag != "![")
            assert len(body) < 150_000
    for each in [*at.button, *at.get("button_group")]:
        assert not any(tag in str(each) for tag in ("![x]",))


# --- Ramp ----------------------------------------------------------------------------------------


def test_ramp_says_which_labels_moved_the_bound_and_what_would_change_it(
    visit: Visit, filled: Filled
) -> None:
    """After a few labels the largest moves are listed, and the label page is one click away."""
    at = sit_down(visit, filled, "triage")
    for _ in range(3):
        press(at, "Equal")
    at = fine(visit(filled, "ramp", task="triage", candidate="small"))
    assert "What would change this decision?" in said(at)
    assert "Which labels moved the bound" in said(at)
    moved = next(each.value for each in at.dataframe if "Bound after" in each.value)
    assert set(moved["By"]) == {"ann"}
    assert all(each.startswith("−") for each in moved["Moved, points"])


def test_ramp_tells_a_reviewer_nothing_of_what_they_may_still_be_asked(visit: Visit, filled: Filled) -> None:
    """Neither who judged a pair nor how; their own label and what nobody hides from them stay readable."""
    where = (filled.workspace, filled.store, "orders", "small")
    for n in range(60):
        item = review.next_item(*where, "mia")
        if item is None:
            break
        review.submit(*where[:2], item, "mia", "control_better" if n % 3 == 0 else "equal")
    at = visit(filled, "ramp", task="orders", candidate="small")
    at.session_state["review.annotator"] = "noor"
    at = fine(at.run())
    (told,) = [each.value for each in at.dataframe if "Bound before" in each.value.columns]
    assert set(told["Said"]) == {"labelled"}
    assert set(told["By"]) == {"–"}
    at.session_state["review.annotator"] = "mia"
    at = fine(at.run())
    (told,) = [each.value for each in at.dataframe if "Bound before" in each.value.columns]
    assert set(told["By"]) == {"mia"}
    assert "labelled" not in set(told["Said"])


def test_ramp_says_so_where_no_label_moved_anything(visit: Visit, filled: Filled) -> None:
    """Without labels there is no table, but a sentence."""
    at = fine(visit(filled, "ramp", task="rewrite", candidate="small"))
    assert "No label has moved it yet." in said(at)


def test_what_was_said_of_each_response_can_be_changed(visit: Visit, filled: Filled) -> None:
    """Under My labels: fields as they were called, and a change that supersedes with both judgements."""
    at = sit_down(visit, filled, "orders", way="apart")
    mark, item = at.session_state[ITEM].mark, at.session_state[ITEM].item
    at = fine(_group(at, f"wrong-left-{mark}").set_value(["total"]).run())
    press(at, "Only 2 is right")
    first = stored(filled)[-1]
    at = sit_down(visit, filled, "orders", view="mine")
    assert list(at.dataframe[0].value["I said"]) == ["Only 2 is right"]
    at.session_state["my-labels"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    at = fine(at.run())
    again = f"again-{first['label_id']}"
    assert _group(at, f"wrong-left-{again}").value == ["total"]
    at = fine(_group(at, f"wrong-right-{again}").set_value(["customer"]).run())
    press(at, "Both wrong")
    row = stored(filled)[-1]
    sides = [row["control_wrong"], row["candidate_wrong"]]
    assert (sides if item.shown_order == "control_left" else sides[::-1]) == [["total"], ["customer"]]
    assert (row["supersedes"], row["control_right"], row["candidate_right"]) == (
        first["label_id"],
        False,
        False,
    )


def _group(at: AppTest, key: str) -> Any:
    return next(each for each in at.get("button_group") if each.key == key)


def test_a_conflict_is_read_and_decided_by_sides_and_the_decision_taken_back(
    visit: Visit, filled: Filled
) -> None:
    """What each response was called is among the votes; taken back, the pair is open again."""
    call = disputed(filled)[0]
    give(filled, call, "ann", "control_better")
    give(filled, call, "bob", "equal")
    label = labels.to_label(stored(filled)[-2])
    item = review.look_again(filled.workspace, filled.store, "triage", "small", "ann", label)
    review.amend_absolute(
        filled.workspace,
        filled.store,
        item,
        label,
        "ann",
        item.absolute(*(item.choice(label.verdict or "") == side for side in ("left", "right"))),  # type: ignore[arg-type]
    )
    at = sit_down(visit, filled, "triage", "cleo", view="conflicts", way="apart")
    press(at, "Open")
    assert any(each.startswith("Only ") for each in at.dataframe[0].value["Said"])
    press(at, "Both wrong")
    row = stored(filled)[-1]
    assert (row["source"], row["verdict"], row["control_right"]) == ("adjudicated", "both_bad", False)
    assert "Nobody differs" in said(at)
    press(at, "Take back")
    assert (stored(filled)[-1]["supersedes"], stored(filled)[-1]["verdict"]) == (row["label_id"], None)
    assert any(each.label == "Open" for each in at.button)
