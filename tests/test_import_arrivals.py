"""What an import meets beside calls: strange files, lost calls, snapshots' prices, tokens that come later."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from import_world import Desk, pair, tallies

from workbench.costing.pricing import entry_for, undated
from workbench.errors import UsageError
from workbench.ingest import import_files, storing, undo_import
from workbench.store import RowRefused, call_costs, early, imports, late

SAMPLES = Path(__file__).parents[1] / "sample_logs" / "formats"
PRICES = (
    '[[prices]]\nmodel = "gpt-4o"\nas_of = 2026-10-01\nsource = "test"\n'
    "input_usd_per_million = 2.0\noutput_usd_per_million = 10.0\n"
)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Return an empty workspace with one price."""
    root = tmp_path / "space"
    root.mkdir()
    (root / "workbench.toml").write_text(PRICES)
    return Desk(root)


def folder(desk: Desk, **files: Any) -> Path:
    found = desk.root / "logs"
    found.mkdir()
    for name, content in files.items():
        data = (
            content
            if isinstance(content, bytes)
            else "".join(json.dumps(each) + "\n" for each in content).encode()
        )
        (found / name.replace("_", ".", 1)).write_bytes(data)
    return found


def test_a_strange_file_in_a_folder_is_left_out_and_told(desk: Desk) -> None:
    """The logs beside it come in; one that somebody named, or nothing but strange files, is refused."""
    logs = folder(
        desk, a_jsonl=[pair("a")], b_json=[{"x": 1}], c_csv=b"\x00\x01\x02" * 400, d_jsonl=[pair("d")]
    )
    for named in (logs, str(logs / "*")):
        report = desk.take(named, dry_run=True)
        assert tallies(report) == {"accepted": 2}
        assert [each["name"] for each in report.unrecognised] == ["b.json", "c.csv"]
        assert report.unrecognised[0]["reason"].startswith("no known log format")
        assert report.text.count("b.json") == report.text.count("c.csv") == 1
        assert str(logs) not in report.unrecognised[0]["reason"]
        assert "not recognised, left out: 2 files" in report.text
    with pytest.raises(UsageError, match=r"b\.json: no known log format"):
        desk.take(logs / "a.jsonl", logs / "b.json")
    for name in ("a.jsonl", "d.jsonl"):
        (logs / name).unlink()
    with pytest.raises(UsageError, match=r"b\.json: no known log format"):
        desk.take(logs)
    assert desk.count("calls") == 0


def test_what_capture_lost_is_in_the_report(desk: Desk) -> None:
    """The counts beside the logs are summed by reason and are no logs; broken ones say nothing."""
    logs = folder(desk, a_jsonl=[pair("a")])
    for number, counts in enumerate(
        ({"lost": {"disk": 3, "queue full": 1}}, {"lost": {"disk": 2}}, [1], {"lost": 7})
    ):
        name = f"counts-20261001T10000{number}Z-12-abc{number}.json"
        (logs / name).write_text(json.dumps(counts))
    (logs / "counts-20261001T100009Z-12-abcdef.json").write_bytes(b'{"lost": {"disk"')
    for named in (logs, logs / "a.jsonl"):
        report = desk.take(named, dry_run=True)
        assert report.capture_lost == {"disk": 5, "queue full": 1}
        assert "capture lost: disk 5, queue full 1" in report.text


def test_a_snapshot_costs_what_its_model_costs_unless_the_table_says_otherwise(desk: Desk) -> None:
    """The report names the stand-in; nothing is taken from a model that is only called alike."""
    named = ("gpt-4o-2024-11-20", "gpt-4o", "gpt-4o-mini-2024-07-18", "gpt-4o-2024-13-45", "gpt-4o-0613")
    calls = [pair(each, each) for each in named]
    for call, model in zip(calls, named, strict=True):
        call["response"]["model"] = model
    report = desk.take(desk.write("log.jsonl", *calls))
    assert report.cost_usd == pytest.approx(2 * (10 * 2 + 2 * 10) / 1e6)
    assert report.priced_as == {"gpt-4o-2024-11-20": "gpt-4o"}
    assert set(report.unpriced) == set(named[2:])
    assert "priced gpt-4o-2024-11-20 as gpt-4o" in report.text
    price = desk.workspace.price_of("gpt-4o-2024-11-20")
    assert price is not None
    assert price.model == "gpt-4o"
    assert desk.workspace.price_of("gpt-4o-mini-2024-07-18") is None


STEMS = ("gpt-4o", "gpt", "a-2024-01-01", "", "claude@x")
DATES = ("", "2024-11-20", "20241120", "2024-1120", "20241345", "2024-02-30", "1120", "2024-11-20x")
NAMES = [stem + cut + date for stem in STEMS for cut in ("", "-", "@", "--") for date in DATES]


def test_a_profile_and_an_import_name_the_same_price(desk: Desk) -> None:
    """The rule stands in Python and in SQL, where a million calls are priced; both say the same."""
    known = ["gpt-4o", "a", "a-2024-01-01", "gpt-4o-20241120"]
    rows = desk.store.rows(
        f"WITH prices AS (SELECT unnest($known) AS model), asked AS (SELECT unnest($names) AS model)"  # noqa: S608 -- a constant
        f" SELECT model, {call_costs._PRICE_ENTRY} AS entry FROM asked",
        {"known": known, "names": NAMES},
    )
    found = {row["model"]: row["entry"] if row["entry"] in known else None for row in rows}
    assert found == {name: entry_for(name, known) for name in NAMES}
    assert undated("gpt-4o-2024-11-20") == undated("gpt-4o@20241120") == "gpt-4o"


def split_tensorzero(desk: Desk) -> tuple[Path, Path]:
    rows = [json.loads(each) for name in ("tensorzero", "tensorzero_model_inferences")
            for each in _lines(f"{name}.jsonl")]  # fmt: skip
    inferences = [each for each in rows if "function_name" in each and "input" in each]
    below = [each for each in rows if "inference_id" in each and "raw_request" in each]
    assert inferences
    assert below
    return desk.write("inferences.jsonl", *inferences), desk.write("model.jsonl", *below)


def _lines(name: str) -> list[str]:
    path = SAMPLES / name
    return path.read_text().splitlines() if path.exists() else []


def test_tokens_that_come_later_join_their_answers(desk: Desk) -> None:
    """Model inferences of a later import add tokens and model once; those without inference are rejected."""
    inferences, below = split_tensorzero(desk)
    below_report = desk.take(below, source="other")
    assert set(tallies(below_report)) == {"rejected"}
    first = desk.take(inferences)
    assert first.tokens["input"] == 0
    assert first.models == {"unknown": first.accepted}, "the variant is no model"
    report = desk.take(below)
    assert set(tallies(report)) == {"joined"}
    rows = desk.store.rows(
        "SELECT c.model, input_tokens, output_tokens, text, output"
        " FROM calls c JOIN controls USING (call_id) WHERE input_tokens IS NOT NULL"
    )
    assert report.tokens["input"] == sum(row["input_tokens"] for row in rows) > 0
    for row in rows:
        said = json.loads(row["output"])
        assert said["usage"]["input_tokens"] == row["input_tokens"]
        assert (said["model"], said["text"]) == (row["model"], row["text"])
        assert row["model"] is not None
    before = desk.store.rows("SELECT * FROM controls ORDER BY call_id")
    assert set(tallies(desk.take(below))) == {"skipped"}
    assert set(tallies(desk.take(inferences))) == {"skipped"}
    assert desk.store.rows("SELECT * FROM controls ORDER BY call_id") == before


def everything(desk: Desk) -> dict[str, list[dict[str, Any]]]:
    """Return all rows of what imports fill."""
    tables = ("calls", "controls", "gold", "late_facts", "manifests", "imported_labels")
    return {each: desk.store.rows(f"SELECT * FROM {each} ORDER BY ALL") for each in tables}  # noqa: S608


def test_taking_an_import_back_takes_the_tokens_that_it_added(desk: Desk) -> None:
    """The calls of the earlier import are what they were; the same file adds its tokens again."""
    inferences, below = split_tensorzero(desk)
    desk.take(inferences)
    before = everything(desk)
    added = desk.take(below)
    assert added.joined
    assert everything(desk)["calls"] != before["calls"]
    report = undo_import(desk.store, added.manifest_id or "")
    assert report.removed["late_facts"] == added.joined
    assert "late facts" in report.text
    assert everything(desk) == before
    again = desk.take(below)
    assert (again.joined, again.tokens) == (added.joined, added.tokens)


def test_the_report_says_which_file_a_prompt_is_missing_from(desk: Desk) -> None:
    """Before it comes, and when it comes in an import of its own; both together bring it, too."""
    inferences, below = split_tensorzero(desk)
    first = desk.take(inferences)
    assert first.marks["not_rendered"] > 0
    assert "import that file and this one together" in first.text
    second = desk.take(below)
    assert (second.prompts_waiting, second.unrendered) == (1, {})
    undo_import(desk.store, first.manifest_id or "")
    third = desk.take(inferences, below)
    assert third.marks.get("not_rendered", 0) < first.marks["not_rendered"]
    assert third.unrendered == {}


def test_taking_an_output_back_takes_its_time_and_model_and_what_was_added_to_it(desk: Desk) -> None:
    """A request gets its output from one import and tokens from a third; in any order both can go."""
    request = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions",
               "body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello?"}]}}  # fmt: skip
    answer = {"finish_reason": "stop", "message": {"role": "assistant", "content": "Yes."}}
    body = {"id": "x", "created": 1_760_000_000, "model": "gpt-4o-2024-11-20", "choices": [answer]}
    output = {"id": "b", "custom_id": "a", "response": {"status_code": 200, "body": body}, "error": None}
    first = desk.take(desk.write("in.jsonl", request), source="s")
    before = everything(desk)
    joined = desk.take(desk.write("out.jsonl", output), source="s")
    assert (first.accepted, joined.joined) == (1, 1)
    after = everything(desk)
    assert after["calls"][0]["model"] == "gpt-4o-2024-11-20"
    with desk.store.writing() as writer:
        late.begin(writer)
        row = {"call_id": after["calls"][0]["call_id"], "answered_by": "m-2", "cached_input_tokens": None,
               "output": '{"usage":{"input_tokens":5}}', "output_tokens": 1, "input_tokens": 5,
               "control_marks": ["cache_hit"]}  # fmt: skip
        late.put_tokens(writer, pa.Table.from_pylist([row]))
        late.write_tokens(writer, "import-third")
        late.end(writer)
    assert everything(desk)["calls"][0]["model"] == "m-2"
    assert "cache_hit" in desk.store.value("SELECT marks FROM controls WHERE input_tokens = 5")
    with desk.store.writing() as writer:
        assert late.take_back(writer, "import-third") == 1
    assert everything(desk) == after
    undo_import(desk.store, joined.manifest_id or "")
    assert everything(desk) == before


def test_an_import_that_needs_no_judging_ends_like_one_that_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where every id is new, the short way fills the store and the report exactly as the long way does."""
    found = []
    for judged in (False, True):
        root = tmp_path / str(judged)
        root.mkdir()
        (root / "workbench.toml").write_text(PRICES)
        desk = Desk(root)
        if judged:
            monkeypatch.setattr(imports, "_all_new", lambda *_: False)
        calls = [
            pair(str(number), f"Question {number}?", timestamp=1_760_000_000 + number) for number in range(60)
        ]
        calls[7]["response"]["choices"] = []
        del calls[9]["response"]["id"]
        report = desk.take(desk.write("log.jsonl", *calls))
        tables = {
            table: desk.store.rows(f"SELECT * EXCLUDE (manifest_id) FROM {table} ORDER BY call_id")  # noqa: S608
            for table in ("calls", "controls")
        }
        told = {name: getattr(report, name) for name in report.__slots__ if name != "manifest_id"}
        found.append((tables, told))
        desk.store.close()
    assert found[0] == found[1]


def test_a_call_never_stands_in_the_store_twice(desk: Desk) -> None:
    """Should a fault of ours judge a call to be new that is there, nothing of the import is stored."""
    desk.take(desk.write("log.jsonl", pair("a")))
    (row,) = desk.store.rows("SELECT * EXCLUDE (seq) FROM calls")

    def comes_again() -> None:
        with desk.store.writing() as writer:
            writer.append("calls", [row | {"manifest_id": "import-2"}])
            late.begin(writer)
            late.write_calls(writer, "import-2")

    with pytest.raises(RowRefused, match="1 calls would be there twice"):
        comes_again()
    assert desk.store.rows("SELECT * EXCLUDE (seq) FROM calls") == [row]


def test_a_conflicting_record_never_stands_in_the_store_twice(desk: Desk) -> None:
    """Should a fault of ours take one to be new that is there, nothing of the import is stored."""
    desk.take(desk.write("log.jsonl", pair("a")))
    desk.take(desk.write("other.jsonl", pair("a", answer="No.")))
    (row,) = desk.store.rows("SELECT * FROM conflicts")

    def comes_again() -> None:
        with desk.store.writing() as writer:
            writer.append("conflicts", [row | {"manifest_id": "import-3"}])
            late.begin(writer)
            late.write_calls(writer, "import-3")

    with pytest.raises(RowRefused, match="1 conflicting records would be there twice"):
        comes_again()
    assert desk.store.rows("SELECT * FROM conflicts") == [row]


@pytest.mark.parametrize("twin", ["in the log", "in the store"])
def test_a_call_that_comes_again_at_the_end_of_a_log_that_is_loaded_early_is_known(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, twin: str
) -> None:
    """What was loaded until then is taken back, and all of it is judged."""
    monkeypatch.setattr(storing, "BEGIN_AT", 0.0)
    monkeypatch.setattr(early, "_FIRST_LOOK", 10_000)
    known = pair("known")
    if twin == "in the store":
        desk.take(desk.write("one.jsonl", known))
    before = [known] if twin == "in the log" else []
    log = desk.write("two.jsonl", *before, *(pair(f"n{number}") for number in range(30)), known)
    ends: list[str] = []
    finish = early.EarlyLoad.finish

    def noted(self: early.EarlyLoad, prices: Any) -> Any:
        ends.append("begun")
        return finish(self, prices)

    monkeypatch.setattr(early.EarlyLoad, "finish", noted)
    report = import_files(desk.workspace, lambda: desk.store, [log])
    assert ends == ["begun"]
    assert tallies(report) == {"accepted": 30 + len(before), "skipped": 1}
    assert desk.store.value("SELECT count(*) FROM calls") == 31


def test_a_call_never_gets_two_recorded_answers(desk: Desk) -> None:
    """Should a fault of ours judge an answer to be missing that is there, nothing of the import is stored."""
    desk.take(desk.write("log.jsonl", pair("a")))
    (row,) = desk.store.rows("SELECT * FROM controls")

    def joins_again() -> None:
        with desk.store.writing() as writer:
            writer.append("controls", [row | {"manifest_id": "import-2"}])
            late.begin(writer)
            writer.execute("INSERT INTO temp.late (call_id) VALUES (?)", (row["call_id"],))
            late.write_calls(writer, "import-2")

    with pytest.raises(RowRefused, match="1 calls would have two"):
        joins_again()
    assert desk.store.rows("SELECT * FROM controls") == [row]
