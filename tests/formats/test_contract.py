"""What every format promises, run over the registry: a new format only adds its sample file."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zstandard
from format_samples import mapping_of, samples_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.formats import (
    FORMATS,
    REGISTRY,
    Draft,
    Feedback,
    OutputDraft,
    Passed,
    detect,
    open_source,
    read,
)
from workbench.formats.base import Format, Item, Joins, Mark, Part, Splits, Unreadable
from workbench.formats.mapped import Mapped
from workbench.records import Rejected, to_json

NAMES = list(FORMATS)
JSONL = [(form.name, path) for form in REGISTRY for path in samples_of(form.name)]
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["{", '{"a": 1}', "[[]]", "\x00", '"\\ud800"', "null"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["role", "content", "messages", "choices", "message", "tool_calls", "function", "x"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


def content(item: Item) -> Any:
    """Return an item without file and line."""
    if isinstance(item, Draft):
        labels = [replace(each, file="", line=0) for each in item.feedback]
        return replace(item, file="", line=0, feedback=labels)
    if isinstance(item, OutputDraft | Rejected | Passed | Feedback | Part):
        return replace(item, file="", line=0)
    return type(item)


def items_of(path: Path, format: str = "auto") -> list[Item]:
    """Return the source records of a file before those of one call are joined."""
    return list(open_source(path, format).items())


def in_order(lines: list[int]) -> list[int]:
    """Return line numbers, each once: a line may hold several records."""
    return [line for index, line in enumerate(lines) if index == 0 or line != lines[index - 1]]


def units(form: Format, record: Mapping[str, Any]) -> list[Any]:
    """Return the source records of a line."""
    return list(form.split(record)) if isinstance(form, Splits) else [record]


@pytest.mark.parametrize("name", NAMES)
def test_every_format_has_a_sample_file_that_is_read_without_a_reject(name: str) -> None:
    """Each format has a sample file, and every record of it is read."""
    assert samples_of(name)
    items = list(read(samples_of(name), mapping=mapping_of(name)))
    assert items
    assert all(isinstance(item, Draft | OutputDraft | Passed | Feedback) for item in items)
    assert any(isinstance(item, Draft) for item in items)


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_is_detected_with_the_reason(name: str) -> None:
    """Detection names the format and what in the file says so."""
    for path in samples_of(name):
        detection = detect(path)
        assert detection.format == name
        assert len(detection.because) > 10


@pytest.mark.parametrize(("name", "path"), JSONL, ids=lambda value: getattr(value, "name", value))
def test_lines_are_numbered_from_one(name: str, path: Path) -> None:
    """A record carries the number of its line."""
    lines = in_order([item.line for item in items_of(path)])
    assert lines == list(range(1, len(path.read_text().splitlines()) + 1))


@pytest.mark.parametrize(("name", "path"), JSONL, ids=lambda value: getattr(value, "name", value))
@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_compressed_files_read_the_same(name: str, path: Path, packing: str, tmp_path: Path) -> None:
    """A .gz or .zst file gives what the plain file gives, whatever its name."""
    data = path.read_bytes()
    packed = tmp_path / "log"
    packed.write_bytes(gzip.compress(data) if packing == "gz" else zstandard.compress(data))
    assert list(map(content, read([packed]))) == list(map(content, read([path])))


@pytest.mark.parametrize(("name", "path"), JSONL, ids=lambda value: getattr(value, "name", value))
@pytest.mark.parametrize(
    "shape", ["array", "indented array", "data", "runs", "traces", "BOM", "CRLF", "no end"]
)
def test_every_container_reads_the_same(name: str, path: Path, shape: str, tmp_path: Path) -> None:
    """An array, an envelope, a byte order mark or Windows line ends change nothing but the lines."""
    values = [json.loads(line) for line in path.read_text().splitlines()]
    texts = {
        "array": json.dumps(values),
        "indented array": json.dumps(values, indent=2),
        "BOM": "\ufeff" + path.read_text(),
        "CRLF": path.read_text().replace("\n", "\r\n"),
        "no end": path.read_text().rstrip("\n"),
    }
    other = tmp_path / "log.json"
    other.write_text(texts.get(shape) or json.dumps({"object": "list", shape: values}), newline="")
    assert list(map(content, read([other]))) == list(map(content, read([path])))


@pytest.mark.parametrize(("name", "path"), JSONL, ids=lambda value: getattr(value, "name", value))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_junk_lines_stop_nothing(name: str, path: Path, data: st.DataObject, tmp_path: Path) -> None:
    """Whatever stands between good lines, each line is one item, and the good ones are read."""
    good = path.read_bytes().splitlines()
    junk = st.binary(max_size=60).map(lambda raw: raw.replace(b"\n", b"").replace(b"\r", b""))
    halves = st.sampled_from(good).map(lambda line: line[: len(line) // 2])
    values = JSON_VALUES.map(lambda value: json.dumps(value).encode())
    lines: list[tuple[bytes, bool]] = [(line, True) for line in good]
    for extra in data.draw(st.lists(junk | halves | values, max_size=6)):
        lines.insert(data.draw(st.integers(1, len(lines))), (extra, False))
    file = tmp_path / "junk.jsonl"
    file.write_bytes(b"\n".join(line for line, _ in lines) + b"\n")
    items = items_of(file, name)
    assert in_order([item.line for item in items]) == list(range(1, len(lines) + 1))
    kept = [content(item) for item in items if lines[item.line - 1][1]]
    assert kept == [content(item) for item in items_of(path, name)]
    for item in [*items, *read([file], format=name)]:
        assert not isinstance(item, Draft) or item.request.messages
        if isinstance(item, Rejected):
            assert item.reason
            assert len(item.content_hash) == 32


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value inside a record."""
    found = [path] if path else []
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, child in children:
        found += places(child, (*path, key))
    return found


def planted(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Return a copy of a record with one value replaced."""
    copy = json.loads(json.dumps(value))
    target = copy
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = new
    return copy


PARSERS: list[tuple[Format, list[Mapping[str, Any]]]] = [
    (form, [json.loads(line) for path in samples_of(form.name) for line in path.read_text().splitlines()])
    for form in REGISTRY
]
PARSERS.append(
    (
        Mapped({"id": "a", "input": "b", "output": "c", "time": "d", "system": "e", "latency_ms": "f"}),
        [{"a": 1, "b": "text", "c": "answer", "d": 1_760_000_000, "e": "s", "f": 3}],
    )
)


@pytest.mark.parametrize(("form", "records"), PARSERS, ids=lambda value: getattr(value, "name", ""))
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_value_in_any_place_is_read_or_refused_with_a_reason(
    form: Format, records: list[Mapping[str, Any]], data: st.DataObject
) -> None:
    """A record with a wrong value anywhere gives drafts that can be stored, or `Unreadable`; nothing else."""
    record = data.draw(st.sampled_from(records))
    path = data.draw(st.sampled_from(places(record)))
    drafts: list[Any] = []
    for unit in units(form, planted(record, path, data.draw(JSON_VALUES))):
        try:
            parsed = form.parse(unit) if isinstance(unit, Mapping) else []
        except Unreadable as error:
            assert str(error)  # noqa: PT017 -- either outcome is fine
            continue
        assert parsed or not isinstance(unit, Mapping)
        parts = [each for each in parsed if isinstance(each, Part)]
        if parts and isinstance(form, Joins):
            try:
                drafts.append(form.assemble(parts))
            except Unreadable as error:
                assert str(error)  # noqa: PT017 -- either outcome is fine
        drafts += parsed
    for draft in drafts:
        assert not isinstance(draft, Feedback) or isinstance(draft.native_id, str)
        if isinstance(draft, Feedback | Passed | Part):
            continue
        if isinstance(draft, Draft):
            # A template alone may have made the prompt: nothing says what was asked, and a mark tells so.
            assert draft.request.messages or Mark.NOT_RENDERED in draft.marks
            assert all(isinstance(each.role, str) for each in draft.request.messages)
            assert draft.native_id is None or isinstance(draft.native_id, str)
        else:
            assert isinstance(draft.native_id, str)
            output = draft.output
            assert output.text is None or isinstance(output.text, str)


@pytest.mark.parametrize("name", NAMES)
def test_drafts_survive_the_store_s_encoding(name: str) -> None:
    """Requests and outputs can be written as JSON."""
    for item in read(samples_of(name), mapping=mapping_of(name)):
        if isinstance(item, Draft):
            assert to_json(item.request)
            assert to_json(item.control)
