"""Traffic and Costs: what they show, what their controls write, and that a log's text stays text."""

from __future__ import annotations

import html
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from app_building import Filled
from app_reading import Visit, fine, plain, said
from profile_world import CONFIG, Line, lines, log, made, order_line, shuffled, sort_line

from workbench.config import Workspace
from workbench.profiling import profile
from workbench.store import accesses
from workbench.ui import looked, traffic

HOSTILE = "<script>alert(1)</script> ![x](http://x.org/y) $x^2$ :red[r] **b** [z](javascript:alert(2))"
KINDS = ("markdown", "caption", "header", "warning", "info", "success")
"""Elements that read Markdown."""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Filled]:
    """Give a workspace with two workloads that have no names yet."""
    rows = shuffled(lines(sort_line, 90), lines(order_line, 40, 2))
    with made(tmp_path / "shop", rows) as bench:
        yield Filled(bench.workspace, bench.store, {})


def test_traffic_shows_workloads_with_cost_and_checklist(visit: Visit, shop: Filled) -> None:
    """A small log is looked at without a click; the one with the most to save is open."""
    at = fine(visit(shop, "traffic"))
    words = said(at)
    assert "Calls in the log 130" in words
    assert "Workloads 2" in words
    assert "90 calls, 69.2 % of the log" in words
    assert list(at.dataframe[0].value["Calls"]) == [90, 40]


def test_languages_that_are_not_named_are_counted() -> None:
    """Nobody takes five languages for all of them."""
    assert plain(traffic.spoken({"en": 3, "": 1}, 4)) == "en 75.0 %, unknown 25.0 %"
    assert plain(traffic.spoken(dict.fromkeys("abcdefg", 1), 7)).endswith("e 14.3 % and 2 more")


def test_the_column_of_names_is_as_wide_as_the_longest(visit: Visit, tmp_path: Path) -> None:
    """Commands take the name, so it is not cut."""
    with made(tmp_path / "shop", []) as bench:
        path = tmp_path / "log.jsonl"
        log(path, lines(sort_line, 30))
        bench.import_logs([path], task="summarise_the_complaint_of_a_customer_in_one_sentence")
        at = fine(visit(Filled(bench.workspace, bench.store, {}), "traffic"))
    longest = max(map(len, at.dataframe[0].value["Workload"]))
    assert json.loads(at.dataframe[0].proto.columns)["Workload"]["width"] >= 7 * longest


def test_a_link_opens_one_workload(visit: Visit, shop: Filled) -> None:
    """The address names it; a link to one that is gone opens the first."""
    report = profile(shop.workspace, shop.store)
    second = report.workloads[1]
    assert "40 calls, 30.8 % of the log" in said(fine(visit(shop, "traffic", workload=second.workload)))
    assert "90 calls, 69.2 % of the log" in said(fine(visit(shop, "traffic", workload="~gone")))


def test_the_address_names_the_workload_and_the_call_that_are_open(visit: Visit, shop: Filled) -> None:
    """Whoever opens it later sees the same ones, though another workload may then come first."""
    first = profile(shop.workspace, shop.store).workloads[0].workload
    at = fine(visit(shop, "traffic", part="calls"))
    assert at.query_params["workload"] == first
    (opened,) = [each for each in at.selectbox if each.label == "Open a call"]
    at = fine(opened.select_index(3).run())
    asked = next(each.value for each in at.dataframe if "Asked" in each.value.columns)["Asked"].iloc[3]
    again = fine(visit(shop, "traffic", **dict(at.query_params)))
    assert any(asked in each.value for each in again.code)
    assert "was left out" in said(fine(visit(shop, "traffic", part="calls", call="gone")))


def test_a_workload_becomes_a_task_on_the_page(visit: Visit, shop: Filled) -> None:
    """The eval is written, the calls move, and the page says so."""
    at = fine(visit(shop, "traffic", part="naming"))
    (box,) = [each for each in at.text_input if each.label == "Name of the task"]
    box.set_value("triage").run()
    (button,) = [each for each in at.button if each.label == "Make it a task"]
    fine(button.click().run())
    assert Workspace.load(shop.workspace.root).eval_for("triage").labels
    assert shop.store.value("SELECT count(*) FROM calls WHERE task = 'triage'") == 90
    assert "triage is a task now" in said(at)
    at = fine(visit(shop, "traffic", part="naming", workload="triage"))
    assert "It is a task with an eval already: evals/triage/eval.toml." in said(at)


def test_no_sentence_of_the_checklist_is_cut(visit: Visit, shop: Filled) -> None:
    """What was measured and why it counts stand in cells that break their lines, not in those of a grid."""
    at = fine(visit(shop, "traffic"))
    (table,) = [each.proto.body for each in at.get("html") if "wb-checks" in each.proto.body]
    shown = plain(html.unescape(re.sub(r"<[^>]+>", "|", table)))
    checks = profile(shop.workspace, shop.store).workloads[0].checks
    assert len(checks) == shown.count("✓") + shown.count("✗") + shown.count("?") == 9
    for each in checks:
        assert f"|{each.name}|" in shown
        assert f"|{each.value}|" in shown
        assert f"|{each.reason}|" in shown


def test_a_bad_name_is_refused_in_words(visit: Visit, shop: Filled) -> None:
    """Nothing is written outside the folder of evals."""
    at = fine(visit(shop, "traffic", part="naming"))
    (box,) = [each for each in at.text_input if each.label == "Name of the task"]
    box.set_value("../../evil").run()
    (button,) = [each for each in at.button if each.label == "Make it a task"]
    at = button.click().run()
    assert not at.exception
    assert "is no name for a task" in said(at)
    assert not list((shop.workspace.root / "evals").iterdir())


def test_without_a_sampling_rate_no_page_shows_a_figure_a_month(visit: Visit, tmp_path: Path) -> None:
    """Both pages say what is missing instead."""
    with made(tmp_path / "w", lines(sort_line, 60), rate=None) as bench:
        place = Filled(bench.workspace, bench.store, {})
        words = said(fine(visit(place, "traffic")))
        assert "not known" in words
        assert "a month," not in words
        assert "workbench import --undo MANIFEST" in words.replace("\\", "")
        words = said(fine(visit(place, "costs")))
        assert "No figure a month can be given" in words
        # A second import of the same calls would skip them, and so give no rate.
        assert "workbench import --undo MANIFEST" in words.replace("\\", "")
        # What holds of several ways is said once.
        remarks = [each.split(": ", 1)[1] for each in words.splitlines() if ": not known: " in each]
        assert remarks
        assert len(remarks) == len(set(remarks))
        assert "saves" not in words


def test_costs_opened_first_look_at_a_small_log_by_themselves(visit: Visit, shop: Filled) -> None:
    """Nobody has to find Traffic first; what all costs is shown at once."""
    assert shop.store.value("SELECT count(*) FROM profiles") == 0
    at = fine(visit(shop, "costs"))
    assert next(iter(at.dataframe[0].value["Way"])) == "stay"
    assert "not been looked at" not in said(at)
    assert shop.store.value("SELECT count(*) FROM profiles") == 1


def test_costs_name_a_key_only_behind_words(visit: Visit, shop: Filled) -> None:
    """Whoever reads what a month costs need not know the file: what is missing is said, then its key."""
    text = said(fine(visit(shop, "costs")))
    assert "(workbench.toml: costs.batchable_share)" in text
    assert "it takes its price and the throughput you measured on it" in text
    plain = re.sub(r"\([^)]*\)", "", text)
    assert not re.search(r"\[\[|\[costs|costs\.|[a-z]_[a-z]+_[a-z]", plain)


def test_a_large_log_waits_for_a_click_on_either_page(
    visit: Visit, shop: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking takes a while, which is said; the click is on the page that was opened."""
    monkeypatch.setattr(looked, "AT_ONCE", 100)
    assert "Looking at 130 calls takes a while" in said(fine(visit(shop, "traffic")))
    at = fine(visit(shop, "costs"))
    assert not at.dataframe
    (button,) = [each for each in at.button if each.label == "Look at all calls"]
    assert len(fine(button.click().run()).dataframe[0].value) == 4


def test_workloads_are_merged_on_the_page_into_one_task(visit: Visit, shop: Filled) -> None:
    """The names chosen beside it give their calls to the task, too."""
    at = fine(visit(shop, "traffic", part="naming"))
    (others,) = [each for each in at.multiselect if each.label.startswith("Merge with")]
    others.select(others.options[0]).run()
    (box,) = [each for each in at.text_input if each.label == "Name of the task"]
    box.set_value("shop").run()
    (button,) = [each for each in at.button if each.label == "Make it a task"]
    fine(button.click().run())
    assert shop.store.value("SELECT count(*) FROM calls WHERE task = 'shop'") == 130


def test_a_workload_leads_to_its_calls_and_each_call_to_its_texts(visit: Visit, shop: Filled) -> None:
    """Page by page, none of another workload; the call that is opened shows what was asked and answered."""
    second = profile(shop.workspace, shop.store).workloads[0]
    found: list[str] = []
    for page in ("1", "2"):
        at = fine(visit(shop, "traffic", part="calls", workload=second.workload, page=page))
        table = next(each.value for each in at.dataframe if "Asked" in each.value.columns)
        found += list(table["Id"])
        assert set(table["Answered"]) <= {"billing", "outage", "other"}
    assert len(found) == len(set(found)) == second.calls == 90
    (opened,) = [each for each in at.selectbox if each.label == "Open a call"]
    at = fine(opened.select_index(3).run())
    asked = table["Asked"].iloc[3]
    assert asked in said(at) or any(asked in each.value for each in at.code)


def test_only_what_is_open_is_read_and_noted(visit: Visit, shop: Filled) -> None:
    """The log of who read the text of calls has the calls of a page once that part is opened, not before."""
    fine(visit(shop, "traffic"))
    assert accesses.latest(shop.store) == []
    fine(visit(shop, "traffic", part="calls"))
    assert [each.calls for each in accesses.latest(shop.store)] == [50]


def test_costs_show_four_ways_and_save_the_budget(visit: Visit, shop: Filled) -> None:
    """The budget is written with the comments kept, and passed it warns."""
    fine(visit(shop, "traffic"))
    at = fine(visit(shop, "costs"))
    assert next(iter(at.dataframe[0].value["Way"])) == "stay"
    assert len(at.dataframe[0].value) == 4
    at.number_input(key="budget-usd").set_value(0.01)
    (button,) = [each for each in at.button if each.label == "Save the budget"]
    fine(button.click().run())
    text = (shop.workspace.root / "workbench.toml").read_text(encoding="utf-8")
    assert text.replace("budget_usd_month = 0.01\n", "") == CONFIG
    words = said(fine(visit(shop, "traffic")))
    assert "passes the budget" in words


@pytest.mark.parametrize(("dearest", "shown"), [("3.0", "$%,.2f"), ("0.0375", "$%,.4f")])
def test_prices_have_cents_and_no_more_than_they_need(
    visit: Visit, shop: Filled, dearest: str, shown: str
) -> None:
    """$3.00 is no three thousand, and $0.0375 is not rounded away."""
    path = shop.workspace.root / "workbench.toml"
    text = re.sub(r"input_usd_per_million = [\d.]+", f"input_usd_per_million = {dearest}", CONFIG, count=1)
    path.write_text(text, encoding="utf-8")
    tables = fine(visit(shop, "costs")).dataframe
    (prices,) = [each for each in tables if "Batch discount" in each.value]
    columns = json.loads(prices.proto.columns)
    assert {columns[name]["type_config"]["format"] for name in ("Input", "Output")} == {shown}


@pytest.mark.parametrize("page", ["traffic", "costs"])
def test_pages_say_what_was_priced_otherwise(visit: Visit, tmp_path: Path, page: str) -> None:
    """Calls at the price of a batch, and those without a price at the cost that the log says, are named."""
    with made(tmp_path / "shop", []) as bench:
        batched, told = tmp_path / "batched.jsonl", tmp_path / "told.jsonl"
        log(batched, lines(sort_line, 30))
        text = batched.read_text().replace('"object": "chat.completion"', '"service_tier": "flex"')
        batched.write_text(text)
        call = {"call_type": "completion", "model_group": "g", "model": "rare-9", "response_cost": 0.01}
        call |= {"startTime": 1_790_000_000, "endTime": 1_790_000_001, "response": "billing"}
        call |= {"messages": [{"role": "user", "content": "sort"}]}
        told.write_text("".join(json.dumps(call | {"id": f"l{number}"}) + "\n" for number in range(3)))
        bench.import_logs([batched], sampling_rate=1.0)
        bench.import_logs([told], sampling_rate=1.0)
        bench.profile()
        words = said(fine(visit(Filled(bench.workspace, bench.store, {}), page)))
    assert "Asked in batches or as flex, at batch_discount: frontier-1 (100 %)." in words
    assert "Without a price, at the cost that the log says: rare-9 (3 calls)." in words


@pytest.mark.parametrize("page", ["traffic", "costs"])
def test_pages_say_that_times_are_missing(visit: Visit, tmp_path: Path, page: str) -> None:
    """Where most calls have no time, that is why there is no figure a month: the rate was given."""
    rows = [f'{{"id": "{number}", "question": "sort {number}", "answer": "a"}}\n' for number in range(30)]
    path = tmp_path / "bare.jsonl"
    path.write_text("".join(rows))
    with made(tmp_path / "shop", []) as bench:
        bench.import_logs(
            [path], mapping={"id": "id", "input": "question", "output": "answer"}, sampling_rate=1.0
        )
        bench.profile()
        words = said(fine(visit(Filled(bench.workspace, bench.store, {}), page)))
    assert "most of its calls have no time in the log" in words
    assert "which share of the traffic" not in words


def test_text_of_a_hostile_log_is_never_markdown(visit: Visit, tmp_path: Path) -> None:
    """Prompts, labels, models and ids with Markdown, HTML and TeX are shown as they are."""
    system = {"role": "system", "content": f"{HOSTILE} Sort the message."}
    said_by = (HOSTILE[:50], "b`$c$`", "[l](x)")
    rows = [
        Line([system, {"role": "user", "content": f"{n} {HOSTILE}"}], said_by[n % 3], model=HOSTILE)
        for n in range(60)
    ]
    answer = json.dumps({HOSTILE: 1, "b": HOSTILE})
    rows += [Line([{"role": "user", "content": f"{n} tell"}], answer, model="**m**") for n in range(40)]
    with made(tmp_path / "w", rows) as bench:
        place = Filled(bench.workspace, bench.store, {})
        for page in ("traffic", "costs"):
            parts = ("suitability", "prompt", "answers", "calls", "naming") if page == "traffic" else ("",)
            for part, query in itertools.product(parts, ({}, {"workload": HOSTILE})):
                at = fine(visit(place, page, **query, **({"part": part} if part else {})))
                markdown = [each.value for kind in KINDS for each in getattr(at, kind)]
                assert markdown
                for each in markdown:
                    for sign in ("<script", "![x]", "javascript:", ":red[", "**", "$x^2$"):
                        assert sign not in each, (page, each)
