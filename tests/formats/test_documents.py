"""JSON documents: one broken item costs itself, and nothing in a file goes uncounted."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from format_samples import FOLDER
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.formats import Draft, documents, open_source, read
from workbench.formats.base import Item
from workbench.records import Rejected

GOOD = json.loads((FOLDER / "openai_chat.jsonl").read_text(encoding="utf-8").splitlines()[0])


def call(identity: str) -> str:
    return json.dumps(GOOD | {"response": GOOD["response"] | {"id": identity}})


def told(path: Path, text: str | bytes, format: str = "openai_chat") -> list[str]:
    """Return the ids of what a file is read as; of a rejected record, the line and the reason's beginning."""
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return [tell(item) for item in open_source(path, format).items()]


def tell(item: Item) -> str:
    if isinstance(item, Draft):
        return item.native_id or ""
    assert isinstance(item, Rejected)
    return f"line {item.line}: {item.reason.split(':')[0]}"


BROKEN = {
    "no JSON": "{bad}",
    "nested": '{"a":' + "[" * 20_000 + "]" * 20_000 + "}",
    "raw tab": '{"a": "one\ttwo"}',
    "huge number": '{"a": ' + "7" * 5_000 + "x}",
    "cut in a text": call("cut")[:60],
    "cut between": '{"request": {"messages": [{"role": "user"}',
    "no comma": '{"a": 1} {"b": 2}',
    "nothing": "",
    "a closing bracket": "}",
}
LAYOUTS: dict[str, Callable[[list[str]], str]] = {
    "array": lambda items: "[" + ",".join(items) + "]",
    "item a line": lambda items: "[\n" + ",\n".join(items) + "\n]\n",
    "indented": lambda items: "[\n  " + ",\n  ".join(items) + "\n]",
    "envelope": lambda items: '{"object": "list", "data": [' + ", ".join(items) + '], "has_more": false}',
    "runs": lambda items: '{\n "runs": [\n  ' + ",\n  ".join(items) + "\n ]\n}",
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("first", [True, False])
def test_a_broken_item_costs_itself_alone(broken: str, layout: str, first: bool, tmp_path: Path) -> None:
    """Wherever it stands, the items around it are read. What was cut short needs lines to be found."""
    if broken.startswith("cut") and layout in ("array", "envelope"):
        pytest.skip("nothing tells where such an item ends")
    items = [BROKEN[broken], call("a"), call("b")] if first else [call("a"), BROKEN[broken], call("b")]
    found = told(tmp_path / "log.json", LAYOUTS[layout](items))
    assert [each for each in found if not each.startswith("line")] == ["a", "b"]
    assert len(found) == 3
    line = next(number for number, each in enumerate(found, start=1) if each.startswith("line"))
    if layout == "item a line":
        assert found[line - 1].startswith(f"line {line + 1}:")


def test_all_lists_of_a_file_are_read(tmp_path: Path) -> None:
    """Arrays and envelopes may follow one another, and an envelope may hold several lists."""
    path, a, b, c = tmp_path / "log.json", call("a"), call("b"), call("c")
    pretty = json.dumps({"object": "list", "data": [json.loads(a)]}, indent=2)
    assert told(path, f"[{a}]\n[{b},{c}]") == ["a", "b", "c"]
    assert told(path, f"[\n{a}\n]\n[\n{b}\n]\n{c}\n") == ["a", "b", "c"]
    assert told(path, f'{{"data": [{a}], "runs": [{b}, {c}]}}') == ["a", "b", "c"]
    assert told(path, pretty + "\n" + pretty.replace('"a"', '"b"')) == ["a", "b"]
    assert told(path, f'{{"data": [{a}], "has_more": true}}\n{{"data": [{b}, {c}]}}\n') == ["a", "b", "c"]
    assert told(path, f'{{\n"x": {{bad\n}}\n}}\n{{"data": [{b}, {c}]}}\n')[1:] == ["b", "c"]


@pytest.mark.parametrize(
    "page", [{"meta": {"page": 1, "of": [1, 2]}}, {"links": [], "next": None}, {"a": "{"}]
)
def test_a_long_envelope_on_one_line_is_known_whatever_stands_before_its_list(
    tmp_path: Path, page: dict[str, Any]
) -> None:
    """A line longer than the head of a file is no record that is too long: its items are the records."""
    path = tmp_path / "page.json"
    items = [json.loads(call(f"c{each}")) | {"note": "x" * 5_000} for each in range(30)]
    assert told(path, json.dumps(page | {"data": items})) == [f"c{each}" for each in range(30)]
    # What a call holds is no list of calls.
    row = GOOD | {"data": [{"a": "x" * 100_000}]}
    assert told(path, f"{json.dumps(row)}\n" * 2) == [GOOD["response"]["id"]] * 2


def test_what_follows_a_list_and_is_none_is_rejected_with_its_line(tmp_path: Path) -> None:
    path, a, b = tmp_path / "log.json", call("a"), call("b")
    assert told(path, f"[{a}]\nand so on\nand on") == ["a", "line 2: this is no JSON"]
    assert told(path, f"[{a}]\nand so on\n[{b}]") == ["a", "line 2: this is no JSON", "b"]
    assert told(path, f'{{"data": [{a}]') == ["a", "line 1: the envelope breaks off here"]
    again = f'{{"data": [{a}]\n{{"data": [{b}]}}'
    assert told(path, again) == ["a", "line 2: the envelope breaks off here", "b"]
    assert told(path, f"[{a},\n{b}\n") == ["a", "b", "line 3: the list breaks off here"]


def test_a_line_of_a_call_that_has_data_stays_a_line(tmp_path: Path) -> None:
    """Only lines that hold nothing beside a page are taken apart."""
    row = json.loads(call("a")) | {"data": [{"x": 1}]}
    assert told(tmp_path / "log.jsonl", f"{json.dumps(row)}\n{json.dumps(row)}\n") == ["a", "a"]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_junk_items_stop_nothing(data: st.DataObject, tmp_path: Path) -> None:
    """Whatever stands between the items of an array or an envelope, one a line, the good ones are read."""
    # A bracket may close the list, or what another one opened: what is between them is no item of this list.
    junk = st.text(st.characters(exclude_characters="[]{}\n\r"), min_size=1, max_size=40)
    halves = st.integers(1, len(call("c")) - 1).map(lambda place: call("c")[:place])
    items = [call(str(number)) for number in range(4)]
    layout = data.draw(st.sampled_from(["item a line", "indented", "runs"]))
    # A list of numbers or texts beside other keys is a field, not the list of an envelope.
    first = 1 if layout == "runs" else 0
    for extra in data.draw(st.lists(junk.filter(str.strip) | halves, min_size=1, max_size=5)):
        items.insert(data.draw(st.integers(first, len(items))), extra)
    text = LAYOUTS[layout](items)
    found = told(tmp_path / "log.json", text.encode("utf-8", "replace"))
    assert [each for each in found if not each.startswith("line")] == ["0", "1", "2", "3"]


@pytest.mark.parametrize("junk", [',"', ',"\\', ', "x', ',,"'])
@pytest.mark.parametrize("at", [1, 2, 4])
@pytest.mark.parametrize("layout", ["item a line", "indented", "runs"])
def test_a_quote_behind_a_comma_too_many_costs_no_item(
    junk: str, at: int, layout: str, tmp_path: Path
) -> None:
    """It opens a text that would go on over the next item."""
    items = [call(str(number)) for number in range(4)]
    items.insert(at, junk)
    found = told(tmp_path / "log.json", LAYOUTS[layout](items))
    assert [each for each in found if not each.startswith("line")] == ["0", "1", "2", "3"]


def test_items_are_found_again_over_the_pieces_that_a_file_is_read_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "CHUNK_BYTES", 64)
    monkeypatch.setattr(documents, "_READ_BYTES", 32)
    items = [part for number in range(20) for part in (call(str(number)), BROKEN["cut in a text"], "{bad}")]
    for layout in ("item a line", "runs"):
        found = told(tmp_path / "log.json", LAYOUTS[layout](items))
        assert [each for each in found if not each.startswith("line")] == list(map(str, range(20)))
        assert len(found) == 60
        lines = [int(each.split()[1][:-1]) for each in found if each.startswith("line")]
        assert lines == [n for n in range(lines[0] - 1, lines[0] + 59) if (n - lines[0] + 1) % 3]


def test_an_item_without_end_is_not_searched_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next line that begins alike is taken once the search went far; then, lines alone are looked at."""
    monkeypatch.setattr(documents, "CHUNK_BYTES", 64)
    monkeypatch.setattr(documents, "LONGEST_SEARCH", 500)
    monkeypatch.setattr(documents, "MAX_SEARCHED", 5_000)
    items = [part for number in range(200) for part in (call(str(number)), BROKEN["cut between"])]
    found = told(tmp_path / "log.json", LAYOUTS["item a line"](items))
    assert [each for each in found if not each.startswith("line")] == list(map(str, range(200)))


PACKED = {"gz": gzip.compress, "zst": zstandard.compress}


def _texts(count: int) -> dict[str, bytes]:
    lines = [call(f"{number * 7919 % 100_003}-{number}") for number in range(count)]
    return {
        "jsonl": "\n".join(lines).encode(),
        "json": ("[" + ",\n".join(lines) + "]").encode(),
        "envelope": ('{"data": [' + ",\n".join(lines) + "]}").encode(),
    }


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("kind", ["jsonl", "json", "envelope"])
@pytest.mark.parametrize("count", [3, 5_000])
def test_what_follows_a_packed_file_costs_one_reject(
    packing: str, kind: str, count: int, tmp_path: Path
) -> None:
    """All that could be unpacked is read, in a small file and a large one, and the break is told once."""
    path = tmp_path / "log"
    path.write_bytes(PACKED[packing](_texts(count)[kind]) + b"garbage behind it")
    items = list(read([path]))
    assert sum(isinstance(item, Draft) for item in items) == count
    assert [item.reason.split(":")[0] for item in items if isinstance(item, Rejected)] == [
        "the compressed file breaks off here"
    ]


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("kind", ["jsonl", "json", "envelope"])
def test_a_packed_file_that_was_cut_is_never_taken_for_whole(packing: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    packed = PACKED[packing](_texts(20_000)[kind])
    path.write_bytes(packed[: len(packed) * 2 // 3])
    items = list(read([path]))
    assert 1_000 < sum(isinstance(item, Draft) for item in items) < 20_000
    assert [item.reason.split(":")[0] for item in items if isinstance(item, Rejected)] == [
        "the compressed file breaks off here"
    ]


def test_frames_of_zstandard_may_follow_one_another_and_be_passed_over(tmp_path: Path) -> None:
    """Several frames are one file, with checksums or without, and one that holds no data is no error."""
    path = tmp_path / "log.zst"
    checked = zstandard.ZstdCompressor(write_checksum=True)
    skippable = b"\x50\x2a\x4d\x18\x04\x00\x00\x00data"
    whole = checked.compress(call("a").encode() + b"\n") + skippable + zstandard.compress(call("b").encode())
    assert told(path, whole) == ["a", "b"]
    assert told(path, whole[:-1])[-1].endswith("the compressed file breaks off here")
    cut = checked.compress(call("a").encode() + b"\n")[:-2]
    assert told(path, cut)[-1].endswith("the compressed file breaks off here")
