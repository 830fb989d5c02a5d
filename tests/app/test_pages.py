"""Each page: empty, with data, with hostile data, and what its controls change."""

from __future__ import annotations

import ast
import html
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from app_building import START, Filled, Pair, answer, call_id_of, copied, demo_pairs, fill, make_workspace
from app_reading import Visit, fine, plain, said
from streamlit.testing.v1 import AppTest

from workbench import scoring
from workbench.costing.ways import Amount, exactly
from workbench.costing.wording import amount
from workbench.records import LabelVerdict, Output, ToolCall
from workbench.store import Store, pages
from workbench.ui import downloads, menu, money, repeats, steps
from workbench.ui.labelling import ITEM
from workbench.ui.queue_tokens import queue_token
from workbench.ui.scope import letters_of

PAGES = [
    "overview",
    "upload",
    "traffic",
    "replays",
    "compare",
    "slices",
    "review",
    "ramp",
    "costs",
    "settings",
]
SECRET_TAGS = ("<script", "<img", "<iframe", "![")


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_workspace_says_what_to_do_next(visit: Visit, empty: Filled, page: str) -> None:
    """No page of an empty workspace is blank or broken; each names the next step."""
    words = said(fine(visit(empty, page)))
    assert "pload" in words
    assert "Traceback" not in words


@pytest.mark.parametrize("page", PAGES)
def test_every_page_shows_data_without_an_error(visit: Visit, filled: Filled, page: str) -> None:
    """With three tasks replayed and compared, every page works at once."""
    at = fine(visit(filled, page))
    assert not at.error
    assert len(at.main) > 2


def test_without_a_candidate_nothing_offers_a_replay(visit: Visit, filled: Filled) -> None:
    """The one thing to do is to declare a candidate: no second button leads to a page that can't begin."""
    path = filled.workspace.root / "workbench.toml"
    before, _, rest = path.read_text().partition("[[candidates]]")
    path.write_text(before + "[[prices]]" + rest.partition("[[prices]]")[2])
    at = fine(visit(filled, "overview"))
    assert at.button(key="next-step").label == "Next: Declare a candidate"
    assert not [each for each in at.button if each.label == "Start a replay"]
    assert "A candidate comes first" in said(at)
    assert any("workbench candidate add" in each.value for each in fine(visit(filled, "settings")).code)
    assert [each for each in fine(visit(filled, "replays")).code if each.value.startswith("workbench cand")]


def test_commands_and_settings_to_copy_are_wrapped() -> None:
    """On a narrow page a command is read whole, and not cut at the edge of its frame."""
    cut = [
        f"{path.name}:{node.lineno}"
        for path in sorted((Path(money.__file__).parent).glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "st.code"
        and "wrap_lines" not in {each.arg for each in node.keywords}
    ]
    assert not cut


def test_overview_answers_in_one_look(visit: Visit, filled: Filled) -> None:
    """A card names the task, the candidate, the answer with its reason, the money and the next step."""
    words = said(visit(filled, "overview"))
    assert "Tasks that can move 1 of 3" in words
    assert "Tasks waiting for labels" in words
    assert r"Candidate\: small" in words
    assert "Move 1 % of the traffic next, evidence reaches 10 %." in words
    assert "tolerance 5.0 %" in words
    assert "a month now" in words
    assert "See why and what is missing" in words


def test_a_made_up_candidate_is_named_so_and_left_out_of_the_portfolio(visit: Visit, filled: Filled) -> None:
    """Synthetic candidates carry a badge; the portfolio counts real ones only."""
    at = visit(filled, "overview")
    assert sum("synthetic" in each.value for each in at.markdown) == 1
    assert "of 3" in said(at)


def test_overview_says_so_where_only_made_up_candidates_were_compared(visit: Visit, empty: Filled) -> None:
    """Without a real candidate there are no figures of the portfolio, but the reason and the next step."""
    pairs = [each for each in demo_pairs() if each.task == "triage"]
    fill(empty.workspace, empty.store, pairs, "planted")
    at = fine(visit(empty, "overview"))
    words = said(at)
    assert "Only synthetic candidates have been compared so far" in words
    assert "Tasks that can move" not in words
    assert at.button(key="next-step").label == "Next: Start a replay"


def test_a_page_opens_on_a_real_candidate_before_a_made_up_one(visit: Visit, filled: Filled) -> None:
    """Wherever workbench.toml declares a synthetic candidate, it is not what a page shows first."""
    path = filled.workspace.root / "workbench.toml"
    candidates, prices, rest = path.read_text().partition("[[prices]]")
    head, small, planted = candidates.split("[[candidates]]")
    path.write_text("[[candidates]]".join([head, planted, small]) + prices + rest)
    assert fine(visit(filled, "ramp", task="triage")).query_params["candidate"] == "small"


def test_what_costs_more_is_not_called_a_saving(filled: Filled) -> None:
    """Where the candidate is dearer, the sentence says what it costs more, not a negative saving."""
    row = scoring.overview(filled.workspace, filled.store)[0]
    moving = replace(row.recommendation, effective_share=0.1)
    dearer = replace(
        row,
        recommendation=moving,
        cost_at_share_usd_month=900.0,
        saving_usd_month=-20.0,
        saving=None,
        saving_of_all=exactly(-200.0),
    )
    sentence = money.sentence(dearer)
    assert "would cost $200.00 more" in sentence
    unsure = replace(dearer, saving_of_all=Amount(-200.0, -900.0, 3_000.0))
    assert "would cost $200.00 more ($900.00 more to $3,000.00 less)." in money.sentence(unsure)
    assert "costs $20.00 more a month" in sentence
    assert "\u2212" not in sentence


def test_limits_that_read_like_the_sum_are_left_out(filled: Filled) -> None:
    """Of a sum of cents both limits can round to it: "$0.23 ($0.23 to $0.23)" says nothing more."""
    row = scoring.overview(filled.workspace, filled.store)[0]
    moving = replace(row.recommendation, share=0.1, effective_share=0.1)
    alike = Amount(0.231, 0.229, 0.234)
    small = replace(
        row,
        recommendation=moving,
        cost_now_usd_month=1.0,
        cost_at_share_usd_month=0.9,
        saving_usd_month=0.231,
        saving=alike,
        saving_of_all=alike,
    )
    assert money.sentence(small).endswith("saves $0.23 a month. All of it on the candidate would save $0.23.")
    assert amount(alike) == "$0.23"
    assert amount(Amount(0.231, 0.229, 0.239)) == "$0.23 ($0.23 to $0.24)"


def test_a_saving_at_less_than_the_next_share_says_why(filled: Filled) -> None:
    """The card says to move 1 %: where slices hold a part of it back, the sum is of less, and says so."""
    row = scoring.overview(filled.workspace, filled.store)[0]
    priced = replace(row, cost_now_usd_month=250.0, cost_at_share_usd_month=249.0, saving_usd_month=1.0)

    def told(share: float, moved: float) -> str:
        answer = replace(row.recommendation, share=share, effective_share=moved)
        return (
            money.sentence(replace(priced, recommendation=answer))
            .replace("\u00a0", " ")
            .replace("\u202f", " ")
        )

    assert "at 0.5 % (1 % less what slices hold back): saves" in told(0.01, 0.005)
    # Else it is the stage itself, as the ladder shows it.
    assert "at 1 %: saves" in told(0.01, 0.01)


def test_the_next_step_opens_the_page_on_the_same_task(visit: Visit, filled: Filled) -> None:
    """The button of a card leads to a page that shows that task and candidate."""
    at = fine(visit(filled, "overview").button(key="ramp-triage-small").click().run())
    assert at.query_params["task"] == "triage"
    assert at.query_params["candidate"] == "small"
    assert at.title[0].value == "Ramp"


def test_money_without_a_price_says_so(visit: Visit, filled: Filled) -> None:
    """Without prices nothing is invented."""
    path = filled.workspace.root / "workbench.toml"
    text = path.read_text()
    path.write_text(text[: text.index("[[prices]]")])
    words = said(fine(visit(filled, "overview")))
    assert "Not priced" in words
    assert "$0." not in words.replace("Saving a month $0.00", "")


def test_a_wrong_workspace_is_explained_without_a_traceback(visit: Visit, filled: Filled) -> None:
    """A misspelt key in workbench.toml shows the key and the closest known one."""
    path = filled.workspace.root / "workbench.toml"
    path.write_text(path.read_text() + '\n[[candidats]]\nname = "x"\n')
    words = said(fine(visit(filled, "overview")))
    assert "candidats" in words
    assert "candidates" in words


@pytest.mark.parametrize("page", ["compare", "slices", "ramp", "review"])
def test_where_evals_are_gone_no_page_denies_the_answers(visit: Visit, filled: Filled, page: str) -> None:
    """Candidates have answered: what is missing is an eval, and no replay."""
    shutil.rmtree(filled.workspace.root / "evals")
    words = said(fine(visit(filled, page)))
    assert "No task with calls has an eval yet" in words
    assert "has answered" not in words


@pytest.mark.parametrize("page", PAGES)
def test_a_store_that_vanishes_meanwhile_is_missed_on_every_page(
    visit: Visit, filled: Filled, page: str
) -> None:
    """Pages that were just looked at do not go on showing what they remember, nor an empty workspace."""
    fine(visit(filled, page))
    path = filled.workspace.store_path
    filled.store._shared.close()
    path.rename(path.with_name("elsewhere"))
    words = said(visit(filled, page))
    assert f"{path} was there a moment ago and is gone." in words
    assert "Put it back" in words
    assert not path.exists()
    path.with_name("elsewhere").rename(path)
    fine(visit(filled, page))


def test_no_workspace_says_how_to_make_one(visit: Visit, filled: Filled, tmp_path: Path) -> None:
    """A folder that is none names the command."""
    shutil.copytree(filled.workspace.root / "evals", tmp_path / "none" / "evals")
    place = Filled(type(filled.workspace)(tmp_path / "none", filled.workspace.config), filled.store, {})
    assert "workbench init" in said(fine(visit(place, "overview")))


# --- Compare -------------------------------------------------------------------------------------


def table(at: AppTest) -> Any:
    return at.dataframe[0].value


def test_filters_come_from_the_address_and_go_into_it(visit: Visit, filled: Filled) -> None:
    """A link with filters opens the same view; changing one changes the link."""
    at = fine(visit(filled, "compare", task="triage", candidate="small", verdict="mismatch"))
    assert len(table(at)) == 6
    assert set(table(at)["Verdict"]) == {"mismatch"}
    at.selectbox(key="address.language").set_value("en").run()
    assert at.query_params["language"] == "en"
    assert set(table(at)["Language"]) == {"en"}
    at.selectbox(key="address.verdict").set_value("all").run()
    assert "verdict" not in at.query_params


def test_a_nonsense_address_is_ignored(visit: Visit, filled: Filled) -> None:
    """Values that do not exist fall back to the default instead of failing."""
    at = fine(
        visit(filled, "compare", task="'; DROP TABLE calls; --", verdict="x", page="-3", language="\x00")
    )
    assert len(table(at)) > 0
    assert filled.store.value("SELECT count(*) FROM calls") == 290


def test_cases_come_in_pages_of_fifty(visit: Visit, filled: Filled) -> None:
    """Page 5 of 240 cases holds the last forty; page 9 does not exist and opens page 1."""
    assert len(table(visit(filled, "compare", task="triage", candidate="small", page="5"))) == 40
    assert len(table(visit(filled, "compare", task="triage", candidate="small", page="9"))) == 50


def test_search_looks_into_request_and_answers(visit: Visit, filled: Filled) -> None:
    """A word of one request finds that case alone."""
    at = fine(visit(filled, "compare", task="triage", candidate="small", search="Ticket 17:"))
    assert len(table(at)) == 1
    assert "No case matches" in said(visit(filled, "compare", task="triage", search="nothing like this"))


def test_a_link_opens_its_case(visit: Visit, filled: Filled) -> None:
    """The case in the address is the one shown below the table."""
    wanted = call_id_of(Pair("triage", 45, "", answer(""), answer("")))
    at = fine(visit(filled, "compare", task="triage", candidate="small", case=wanted))
    assert any("Ticket 45:" in each.value for each in at.code)
    assert "outage became how-to" in said(at)


def test_a_case_shows_imported_labels_as_plain_text(visit: Visit, filled: Filled) -> None:
    """What another tool said of the recorded answer stands beside the case, whatever it holds."""
    shown = fine(visit(filled, "compare", task="triage", candidate="small"))
    assert "Imported labels" not in said(shown)
    call = filled.store.rows("SELECT call_id, native_id FROM calls WHERE task = 'triage' ORDER BY seq")[0]
    hostile = "![x](http://example.org/x.png) <img src=x>"
    given = (("helpful", True, ""), ("fix", {"a": [1]}, hostile), (hostile, "\x1b[31m" + "z" * 100_000, ""))
    rows = [
        {
            "label_id": f"label-{number}", "manifest_id": "m", "source": "s", "origin": "tensorzero",
            "native_id": str(number), "target_kind": "call", "target_id": call["native_id"], "name": name,
            "kind": "json", "value": json.dumps(value), "comment": comment, "annotator": "ann",
            "annotator_kind": "human", "attributes": "{}", "content_hash": str(number),
        }
        for number, (name, value, comment) in enumerate(given)
    ]  # fmt: skip
    filled.store.append("imported_labels", rows)
    at = fine(visit(filled, "compare", task="triage", candidate="small", case=call["call_id"]))
    (text,) = [each.value for each in at.text if "tensorzero" in each.value]
    assert "• helpful: true (tensorzero, by human ann)" in text
    assert '• fix: {"a": [1]} – ' in text
    assert hostile in text
    assert "\x1b" not in text
    assert len(text) < 5_000
    assert all(hostile not in each.value for each in at.markdown)


def test_field_tasks_show_fields_the_unequal_first(visit: Visit, filled: Filled) -> None:
    """For JSON answers the diff is a table by field."""
    at = fine(visit(filled, "compare", task="orders", candidate="small", verdict="mismatch"))
    fields = at.dataframe[1].value
    assert fields["Field"].iloc[0] == "total"
    assert fields["State"].iloc[0] == "differs"


def test_notes_on_texts_are_sentences_and_only_text(visit: Visit, empty: Filled) -> None:
    """What a comparison noticed stands on the case; what models wrote in it is read by no Markdown."""
    control = "Your parcel arrives on Monday at 10:30. It costs 5 EUR."
    said_instead = (
        "**Your parcel** arrives on Tuesday, says ![x](https://example.org/x.png) Mr Kowalski: 7 EUR."
    )
    fill(empty.workspace, empty.store, [Pair("rewrite", 0, "Rewrite", answer(control), answer(said_instead))])
    at = fine(visit(empty, "compare", task="rewrite", candidate="small"))
    (notes,) = [each.value for each in at.text if each.value.startswith("•")]
    assert "• Numbers differ: 5 eur (control only); 7 eur (candidate only)." in notes
    assert "What the comparison noticed" in [each.value for each in at.caption]
    for kind in ("markdown", "caption", "header", "warning"):
        assert not any("owalski" in str(each.value).lower() for each in at.get(kind))


def test_details_of_any_shape_break_no_page(visit: Visit, filled: Filled) -> None:
    """An evaluator of one's own may use the words of the notes for what it likes."""
    odd = {"differs": ["x"], "languages": 3, "length_ratio": "long", "formats": {"a": 1}, "new": {"b": None}}
    flags = ["numbers", "language", "length", "format", "evaluator_error", "<b>x</b>"]
    with filled.store.writing() as writer:
        writer.execute("UPDATE comparisons SET flags = ?, details = ?", (flags, json.dumps(odd)))
    for task in ("rewrite", "orders", "triage"):
        at = fine(visit(filled, "compare", task=task, candidate="small"))
        assert not [each for each in at.text if each.value.startswith("•")]


def test_failures_of_an_evaluator_are_said_and_lead_to_their_cases(visit: Visit, filled: Filled) -> None:
    """The page warns with the count; the filter shows these cases alone."""
    at = fine(visit(filled, "compare", task="rewrite", candidate="small"))
    assert not at.warning
    with filled.store.writing() as writer:
        writer.execute(
            "UPDATE comparisons SET flags = ['evaluator_error'] WHERE replay_id = ? AND verdict = 'mismatch'",
            (filled.replays["rewrite"],),
        )
    at = fine(visit(filled, "compare", task="rewrite", candidate="small"))
    assert "evaluator failed on 10\u00a0pairs" in at.warning[0].value
    at = fine(visit(filled, "compare", task="rewrite", candidate="small", flag="evaluator_error"))
    assert len(table(at)) == 10
    assert "the eval's evaluator failed (10)" in [each for box in at.selectbox for each in box.options]


def test_an_older_eval_is_named_rather_than_mixed(visit: Visit, filled: Filled) -> None:
    """After eval.toml changes, old comparisons are not shown as new ones."""
    path = filled.workspace.root / "evals" / "orders" / "eval.toml"
    path.write_text(path.read_text() + '[[fields]]\npath = "items"\ncompare = "list"\n')
    words = said(fine(visit(filled, "compare", task="orders", candidate="small")))
    assert "30 comparisons were made under an earlier eval.toml" in words


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)> ![x](https://example.org/x.png) \u202egnp"


@pytest.fixture
def hostile(hostile_once: Filled, tmp_path: Path) -> Iterator[Filled]:
    """Give a workspace whose logs try to break out of the page."""
    with copied(hostile_once, tmp_path / "hostile") as found:
        yield found


@pytest.fixture(scope="module")
def hostile_once(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    """Fill it once, for every test to have a copy of it."""
    workspace = make_workspace(tmp_path_factory.mktemp("once") / "hostile")
    tools = (ToolCall("<img src=x>", {"a": HOSTILE}),)
    pairs = [
        Pair("triage", 0, HOSTILE, answer("billing"), answer(HOSTILE), HOSTILE[:20]),
        Pair("triage", 1, "x" * 1_000_000, answer("outage"), answer("y" * 1_000_000)),
        Pair("triage", 2, "مرحبا 👋🏽", answer("other"), answer("")),
        Pair("rewrite", 0, HOSTILE, answer(HOSTILE), answer(HOSTILE + " more")),
        Pair("orders", 0, HOSTILE, answer(f'{{"{HOSTILE[:25]}": 1}}'), answer("{}", tools=tools)),
    ]
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        return Filled(workspace, store, fill(workspace, store, pairs))


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("task", ["triage", "rewrite", "orders"])
def test_text_of_logs_never_reaches_a_place_that_reads_markup(
    visit: Visit, hostile: Filled, page: str, task: str
) -> None:
    """Markdown and HTML elements hold none of it unescaped; a megabyte is cut."""
    at = fine(visit(hostile, page, task=task, candidate="small"))
    if page == "review":
        start(at)
    for kind in ("markdown", "caption", "header", "title", "info", "success", "warning", "error"):
        for each in at.get(kind):
            assert not any(tag in str(each.value) for tag in SECRET_TAGS), (kind, each.value)
    for each in at.get("html"):
        body = str(each.proto.body)
        if body.strip() in [known.SCRIPT.strip() for known in (downloads, menu, repeats, steps)]:
            continue
        assert not any(tag in body for tag in SECRET_TAGS if tag != "![")
        assert len(body) < 100_000
    assert all(len(each.value) < 30_000 for each in at.code)


# --- Review --------------------------------------------------------------------------------------


def begin(visit: Visit, place: Filled, task: str = "triage") -> AppTest:
    at = fine(visit(place, "review", task=task, candidate="small"))
    return start(at)


def start(at: AppTest) -> AppTest:
    at.text_input[0].set_value("ann")
    next(each for each in at.button if each.label == "Start").click()
    at.run()
    assert "Labelling as" in said(fine(at))
    return at


def press(at: AppTest, label: str) -> AppTest:
    next(each for each in at.button if each.label == label).click().run()
    return fine(at)


def stored(place: Filled) -> list[dict[str, Any]]:
    return place.store.rows("SELECT * FROM labels ORDER BY seq")


def test_a_label_is_committed_on_the_press_and_the_next_item_comes(visit: Visit, filled: Filled) -> None:
    """One press, one row with the reviewer's name and the right side; then another item."""
    at = begin(visit, filled)
    first = at.session_state[ITEM].item
    press(at, "Response 1 better")
    rows = stored(filled)
    assert len(rows) == 1
    assert rows[0]["annotator"] == "ann"
    assert rows[0]["call_id"] == first.call_id
    assert rows[0]["verdict"] == first.verdict("left")
    assert at.session_state[ITEM].item.item_id != first.item_id


def test_each_button_belongs_to_one_item(visit: Visit, filled: Filled) -> None:
    """Keys of the buttons change with the item, so a key pressed too late finds nothing."""
    at = begin(visit, filled)
    before = {each.key for each in at.button if each.label == "Equal"}
    press(at, "Equal")
    after = {each.key for each in at.button if each.label == "Equal"}
    assert before
    assert not before & after


def test_undo_takes_the_label_back_and_shows_the_item_again(visit: Visit, filled: Filled) -> None:
    """After undo nothing of it counts, and the same item waits."""
    at = begin(visit, filled)
    first = at.session_state[ITEM].item.item_id
    press(at, "Both bad")
    press(at, "Undo")
    assert at.session_state[ITEM].item.item_id == first
    rows = stored(filled)
    assert rows[-1]["verdict"] is None
    assert rows[-1]["supersedes"] == rows[0]["label_id"]


def test_a_second_undo_in_a_row_says_that_it_took_nothing_more_back(visit: Visit, filled: Filled) -> None:
    """One press goes back one step, however often it is pressed; nobody may think that two are undone."""
    at = begin(visit, filled)
    press(at, "Equal")
    press(at, "Equal")
    press(at, "Undo")
    assert [each.value for each in at.toast] == ["Taken back. Judge it again."]
    press(at, "Undo")
    assert ["taken back already" in each.value for each in at.toast] == [True]
    assert sum(row["verdict"] is None for row in stored(filled)) == 1


def test_a_skip_is_stored_as_one(visit: Visit, filled: Filled) -> None:
    """Skipping is not a verdict, and is kept."""
    press(begin(visit, filled), "Skip")
    assert [(row["verdict"], row["skipped"]) for row in stored(filled)] == [(None, True)]


def asked_reasons(at: AppTest) -> list[Any]:
    return [each for each in at.get("button_group") if "reason" in str(each.key)]


def test_reasons_amend_the_label_given_last(visit: Visit, filled: Filled) -> None:
    """Reasons come after the verdict and never change which item they belong to."""
    at = begin(visit, filled)
    first = at.session_state[ITEM].item
    press(at, "Response 2 better")
    asked_reasons(at)[0].set_value(["wrong"]).run()
    fine(at)
    newest = stored(filled)[-1]
    assert newest["reasons"] == ["wrong"]
    assert newest["call_id"] == first.call_id
    assert newest["supersedes"] == stored(filled)[0]["label_id"]


def test_equal_answers_ask_for_no_reason(visit: Visit, filled: Filled) -> None:
    """Reasons belong to worse and both bad."""
    at = press(begin(visit, filled), "Equal")
    assert not asked_reasons(at)


def test_a_reviewer_sees_no_model_name(visit: Visit, filled: Filled) -> None:
    """Neither the candidate's name nor a model's stands on the page."""
    at = begin(visit, filled)
    everything = said(at) + "".join(each.value for each in at.code)
    everything += "".join(str(each.proto.body) for each in at.get("html")[1:])
    assert "frontier-1" not in everything
    assert "small" not in everything.replace("What can move to a small model?", "")
    assert "Frontier" not in everything


def test_progress_ties_labels_to_the_decision(visit: Visit, filled: Filled) -> None:
    """The reviewer reads how many labels the next share takes."""
    at = press(begin(visit, filled), "Equal")
    item = next(body for each in at.get("html") if "wb-progress" in (body := str(each.proto.body)))
    assert re.search(r"1 of about \d+ labels to reach \d+ %|1 label so far", item)


@pytest.mark.parametrize("candidate", ["small", "planted"])
def test_the_address_of_review_does_not_tell_the_candidate(
    visit: Visit, filled: Filled, candidate: str
) -> None:
    """An old link with a name opens that queue, under a token that stays the same and says nothing."""
    at = fine(visit(filled, "review", task="triage", candidate=candidate))
    assert at.query_params == {"task": "triage", "queue": queue_token(filled.workspace, candidate)}
    at.text_input[0].set_value("ann")
    at = fine(next(each for each in at.button if each.label == "Start").click().run())
    assert at.session_state[ITEM].place.candidate == candidate
    again = fine(visit(filled, "review", task="triage", queue=queue_token(filled.workspace, candidate)))
    assert again.session_state["chosen.candidate"] == candidate
    for each in (at, again):
        assert not {"small", "planted"} & set(re.findall(r"\w+", said(each)))


def test_a_queue_that_no_longer_exists_opens_another_one(visit: Visit, filled: Filled) -> None:
    """A link with a token of nobody is no error."""
    at = fine(visit(filled, "review", task="triage", queue="nobody"))
    assert at.query_params["queue"] == queue_token(filled.workspace, "small")
    assert "not here (Candidate)" in said(at)


def test_whoever_sits_down_labels_for_a_model_that_may_serve(visit: Visit, filled: Filled) -> None:
    """It is A of the letters; a candidate made up to show how mistakes are found is the last of them."""
    path = filled.workspace.root / "workbench.toml"
    text = path.read_text(encoding="utf-8")
    for synthetic, first in (("planted", "small"), ("small", "planted")):
        made_up = text.replace("synthetic = true\n", "")
        place = f'name = "{synthetic}"\n'
        assert place in made_up
        path.write_text(made_up.replace(place, f"{place}synthetic = true\n"), encoding="utf-8")
        at = fine(visit(filled, "review", task="triage"))
        box = at.selectbox(key="address.queue")
        assert box.label == "Candidate"
        assert list(box.options) == ["Candidate A", "Candidate B"]
        assert box.value == at.query_params["queue"] == queue_token(filled.workspace, first)


def test_however_many_candidates_there_are_no_two_are_called_alike_in_review() -> None:
    """A 27th that were A again would mix two queues in a reviewer's head."""
    called = [letters_of(number) for number in range(1_000)]
    assert called[:2] + called[25:29] + called[701:703] == ["A", "B", "Z", "AA", "AB", "AC", "ZZ", "AAA"]
    assert len(set(called)) == 1_000


def test_when_nothing_is_left_the_page_says_so(visit: Visit, filled: Filled) -> None:
    """After every disagreement and every audit there is a thank-you, not a blank page."""
    at = begin(visit, filled, "orders")
    for _ in range(60):
        if not any(each.label == "Equal" for each in at.button):
            break
        press(at, "Equal")
    assert "Nothing waits for your label" in said(at)
    kept = [row for row in stored(filled) if row["verdict"] == LabelVerdict.EQUAL]
    assert len({row["call_id"] for row in kept}) == len(kept)


# --- Ramp ----------------------------------------------------------------------------------------


def evidence(at: AppTest) -> dict[str, str]:
    """Return the numbers that stand beside the bound on Ramp."""
    tables = "".join(str(each.proto.body) for each in at.get("html"))
    found = re.findall("<tr><th>([^<]*)</th><td>([^<]*)</td></tr>", tables)
    return {name: html.unescape(value) for name, value in found}


def test_ramp_gives_the_answer_first_and_its_reasons_in_order(visit: Visit, filled: Filled) -> None:
    """The share stands on top; reasons, missing evidence, guards and numbers follow."""
    at = fine(visit(filled, "ramp", task="triage", candidate="small"))
    words = said(at)
    assert "Move 1 % of the traffic" in words
    # What decides stands below the answer, and nowhere else.
    decides = next(plain(each.value) for each in at.text if "Evidence supports up to" in each.value)
    assert words.count(decides) == 1
    # Of each slice the table has the figures, and the words below it have the reason.
    (slices,) = [each.value for each in at.dataframe if "Own cap" in each.value]
    assert "Why" not in slices
    assert all(words.count(f"language = {value}, ") <= 1 for value in ("en", "de"))
    assert "What is missing for more" in words
    # On a narrow screen no line breaks between a number and its unit.
    assert not any(re.search(r"\d %", str(each.value)) for each in at.text if "At most" in str(each.value))
    numbers = evidence(at)
    assert numbers["Calls (n)"] == "240"
    assert "Harm a day, at most" in numbers


def test_another_policy_answers_at_once_and_is_never_saved(visit: Visit, filled: Filled) -> None:
    """A tighter tolerance lowers the share on the page; eval.toml stays as it was."""
    path = filled.workspace.root / "evals" / "triage" / "eval.toml"
    before = path.read_bytes()
    at = fine(visit(filled, "ramp", task="triage", candidate="small"))
    at.slider(key="address.try-tolerance").set_value(1.0).run()
    fine(at)
    shares = [plain(each.value) for each in at.metric if each.label == "Next"]
    assert shares == ["1 %", "0 %"]
    assert path.read_bytes() == before


def test_ramp_tells_what_the_usual_rule_would_have_done(visit: Visit, filled: Filled) -> None:
    """Beside the bound stands the 95 % rule, with the reason for the difference."""
    words = said(visit(filled, "ramp", task="triage", candidate="small"))
    assert "97.5 % of 240 calls agree: move 10 % now" in words
    assert "one stage at a time" in words


def test_a_live_share_comes_from_the_address(visit: Visit, filled: Filled) -> None:
    """A link can say where the traffic is; a live share without a record is held or lowered."""
    at = fine(visit(filled, "ramp", task="triage", candidate="small", now="0.25"))
    assert "Move 1 %" not in said(at)
    assert any(each.label == "Share now" and "25" in each.value for each in at.metric)


# --- Upload and replays --------------------------------------------------------------------------


def test_replays_lists_what_ran_and_offers_the_cases(visit: Visit, filled: Filled) -> None:
    """A finished replay shows its counts; the command line says the same as the button does."""
    at = fine(visit(filled, "replays", task="orders", candidate="small"))
    words = said(at)
    assert "30 of 30 answered" in words
    assert any("workbench replay" in each.value and "--task orders" in each.value for each in at.code)


def test_upload_shows_earlier_imports_and_the_command_for_large_files(visit: Visit, filled: Filled) -> None:
    """Imports are listed; a file above the limit is sent to the command line."""
    at = fine(visit(filled, "upload"))
    assert any("workbench import" in each.value for each in at.code)
    assert list(at.dataframe[0].value["Records"]) == [290]
    assert pages.imports(filled.store)[0].report["accepted"] == 290


# --- Slices, thresholds, sessions, latency ----------------------------------------------------------


def sure(text: str, confidence: float) -> Output:
    """Return an answer with a confidence."""
    return replace(answer(text, model="small-model"), confidence={"label_margin": confidence})


@pytest.fixture
def confident(empty: Filled) -> Filled:
    """Give a task whose answers have a confidence: German ones go wrong, and mostly unsure ones."""
    pairs = []
    for number in range(600):
        wrong = number % 2 == 1 and number % 3 == 0
        said = "outage" if wrong else "billing"
        confidence = (number % 100) / 250 if wrong else 0.4 + (number % 100) / 200
        pairs.append(
            Pair(
                "triage",
                number,
                f"Ticket {number}",
                answer("billing"),
                sure(said, confidence),
                "de" if number % 2 else "en",
            )
        )
    replays = fill(empty.workspace, empty.store, pairs)
    rows = [
        {
            "label_id": f"l{pair.number}",
            "replay_id": replays["triage"],
            "call_id": call_id_of(pair),
            "verdict": "control_better",
            "annotator": "ann",
            "reasons": [],
            "note": "",
            "source": "picked",
            "skipped": False,
            "created_at": START,
        }
        for pair in pairs
        if pair.observed.text == "outage"
    ]
    empty.store.append("labels", rows)
    return Filled(empty.workspace, empty.store, replays)


def test_slices_stand_worst_first_with_a_way_to_their_cases(visit: Visit, confident: Filled) -> None:
    """The bad language is named with its bound, links to its differing cases, and a rule keeps it away."""
    at = fine(visit(confident, "slices", task="triage", candidate="small"))
    words = said(at)
    assert "get worse where language is 'de'" in words
    assert at.dataframe[0].value["Slice"][0] == "language = de"
    assert at.dataframe[0].value["Status"][0] == "bad"
    assert "Declared slices" in words
    at = press(at, "Learn a rule")
    assert "By the rule:" in said(at)
    cases = fine(at.button(key="found-cases").click().run())
    assert cases.query_params["by"] == "found:language"
    assert cases.query_params["value"] == "de"
    assert "Cases 1 to 50 of 100" in said(cases)
    assert set(cases.dataframe[0].value["Language"]) == {"de"}


def test_the_ramp_page_shows_thresholds_and_what_they_cost(visit: Visit, confident: Filled) -> None:
    """A curve with its table: routed share, risk, cost; latency only where it was measured."""
    at = fine(visit(confident, "ramp", task="triage", candidate="small"))
    words = said(at)
    assert "At confidence 0." in words
    assert "how far the best label leads the second" in words
    table = next(each.value for each in at.dataframe if "Routed" in each.value)
    assert "yes" in set(table["Proven"])
    assert all(each.startswith("$") for each in table["Cost a call"])
    assert set(table["Latency"]) == {"not known"}
    assert words.count("no model runs, so its latency can't be measured") == 1
    assert re.search(r"The frontier alone: \S+ a call; latency not known\. A call", words.replace("\\", ""))
    assert "its latency can't be measured" in words.replace("\\", "")
    at = fine(at.toggle(key="address.budget-mode").set_value(True).run())
    assert at.query_params["budget-mode"] == "on"
    assert "Routed and worse, of all, at most" in [each.label for each in at.metric]


def test_the_ramp_page_says_why_there_is_no_threshold(visit: Visit, filled: Filled) -> None:
    """Without a recorded confidence it says so and what to do."""
    words = said(fine(visit(filled, "ramp", task="triage", candidate="small")))
    assert "No confidence is recorded" in words
    assert "samples = 5" in words.replace("\\", "")


def test_the_ramp_page_counts_sessions(visit: Visit, filled: Filled) -> None:
    """Where sessions hold several calls, the share of those with a worse call stands in the evidence."""
    with filled.store.writing() as writer:
        writer.execute(
            "UPDATE calls SET session_id = 's' || (CAST(split_part(native_id, '-', 2) AS INT) // 3)"
        )
    at = fine(visit(filled, "ramp", task="triage", candidate="small"))
    shown = evidence(at)
    assert "n = 80" in plain(shown["Sessions with a worse call"])
    assert shown["Seen in part, taken as worse"] == "0"
