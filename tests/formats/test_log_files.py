"""Files that are no logs, too large, broken or oddly shaped."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import pickle
import random
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from format_samples import FOLDER, MAPPING

from workbench.errors import UsageError
from workbench.formats import (
    Blank,
    Draft,
    detect,
    files,
    found_files,
    open_source,
    read,
    read_outputs,
    tables,
)
from workbench.formats import documents as documents_module
from workbench.formats import lines as lines_module
from workbench.formats.base import Record
from workbench.formats.containers import look, records
from workbench.ingest.report import reject_reason
from workbench.records import ErrorKind, Rejected

GOOD = (FOLDER / "openai_chat.jsonl").read_text(encoding="utf-8").splitlines()[0]


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("empty.jsonl", b"", "is empty"),
        ("blank.jsonl", b" \n\n", "white space"),
        ("calls.jsonl", pickle.dumps({"a": 1}), "pickle"),
        ("calls.pkl", b'{"request": {}}', "pickle"),
        ("calls.duckdb", b'{"request": {}}', "DuckDB"),
        ("calls.jsonl", b"\0" * 8 + b"DUCK" + b"\0" * 100, "DuckDB"),
        ("calls.csv", b"PK\x03\x04" + b"x" * 50, "Excel"),
        ("calls.csv", "a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        ("calls.csv", "a,b\n1,2\n".encode("utf-16-be") * 9, "UTF-16"),
        ("calls.jsonl", GOOD.encode("utf-16-le"), "UTF-16"),
        ("calls.jsonl", bytes(range(8)) * 50, "binary"),
        ("calls.jsonl", b"\0" * 500, "binary"),
        (
            "app.log",
            f"2026-11-20 10:00:00 INFO {GOOD}\n".encode() * 3,
            "begin with '2026-11-20 10:00:00 INFO '",
        ),
        ("app.log", f"[a, b] {GOOD}\nup, and running\n[a] {GOOD}\n".encode(), "sed 's/^[^{]*//' app.log"),
        ("sse.txt", b'data: {"object": "chat.completion.chunk", "choices": []}\n\n', "not what was asked"),
        ("calls.jsonl", b'{"object": "chat.completion.chunk", "choices": []}\n' * 3, "not what was asked"),
        (
            "calls.jsonl",
            b'{"type": "message_start", "message": {}}\n{"type": "ping"}\n',
            "not what was asked",
        ),
        ("calls.jsonl", f"{json.loads(GOOD)!r}\n".encode(), "json.dumps"),
        ("k8s.jsonl", json.dumps({"log": GOOD, "stream": "out"}).encode(), '.["log"] | fromjson'),
        ("gcp.jsonl", json.dumps({"n": 1, "jsonPayload": json.loads(GOOD)}).encode(), "like openai_chat"),
        ("calls.parquet", b"PAR1 and then nothing", "Parquet"),
        ("calls.txt", b"just some prose\nwithout any shape\n", "neither"),
        ("calls.jsonl", b"no\njson\nhere\n", "no JSON object"),
        ("calls.jsonl", b'{"some": "thing", "else": 1}\n', "no known log format"),
        ("calls.jsonl", gzip.compress(GOOD.encode() * 100, mtime=0)[:40], "can't be read"),
    ],
)
def test_what_is_no_log_is_refused_with_its_name_and_the_next_step(
    tmp_path: Path, name: str, data: bytes, says: str
) -> None:
    """A file that is no log is an error that names the file and says what to do."""
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(UsageError) as error:
        list(read([path]))
    assert name in error.value.message
    assert says in error.value.message + error.value.hint
    assert error.value.hint


def test_statistics_that_a_server_prints_again_and_again_are_no_table(tmp_path: Path) -> None:
    """Each line has as many commas, and the first one names no columns."""
    line = (
        "INFO 01-01 00:00:0{} metrics.py:12] Avg prompt throughput: {}.5 tokens/s, "
        "Avg generation throughput: 1.0 tokens/s, Running: 1 reqs, Waiting: 0 reqs, KV cache usage: 0.1%\n"
    )
    path = tmp_path / "vllm.log"
    path.write_text("".join(line.format(n, n) for n in range(5)))
    with pytest.raises(UsageError, match="neither JSON, JSONL, CSV nor Parquet"):
        list(read([path]))
    for table in (
        "id;a: text;output\n1;2: b;c\n",
        f"id;output\n1;{'x' * 70_000}\n",
        f"id;{'x' * 70_000}\n1;2\n",
    ):
        path.write_text(table)
        with pytest.raises(UsageError, match="needs a mapping"):
            list(read([path]))


def test_what_a_server_prints_of_its_work_is_no_table(tmp_path: Path) -> None:
    """It has commas, and no two lines with as many of them."""
    path = tmp_path / "vllm.log"
    path.write_text(
        "INFO 01-01 00:00:00 Received request c1: prompt: 'Hi', params: Params(n=1, top_p=1), lora: None.\n"
        "INFO 01-01 00:00:00 Added request c1.\n"
        'INFO: 127.0.0.1:1 - "POST /v1/chat/completions HTTP/1.1" 200 OK\n'
    )
    with pytest.raises(UsageError, match="neither JSON, JSONL, CSV nor Parquet") as error:
        list(read([path]))
    assert "where they are made" in error.value.hint


def test_a_pipe_is_refused_before_anything_is_read_of_it(tmp_path: Path) -> None:
    pipe = tmp_path / "calls.jsonl"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match="is a pipe, a socket or a device") as error:
        list(read([pipe]))
    assert "write it to a file" in error.value.hint


def test_a_missing_file_names_the_closest_one(tmp_path: Path) -> None:
    (tmp_path / "calls.jsonl").write_text(GOOD)
    with pytest.raises(UsageError, match=r"Did you mean 'calls\.jsonl'"):
        list(read([tmp_path / "cals.jsonl"]))


def test_the_name_of_a_file_does_not_matter_when_its_content_is_clear(tmp_path: Path) -> None:
    """JSONL named .csv is still JSONL."""
    path = tmp_path / "export.txt"
    path.write_text(GOOD + "\n")
    assert detect(path).format == "openai_chat"


def test_half_a_line_is_rejected_with_line_reason_and_hash(tmp_path: Path) -> None:
    """A broken line costs itself alone."""
    path = tmp_path / "calls.jsonl"
    path.write_text(f"{GOOD}\n{GOOD[:100]}\n\n{GOOD}\n")
    first, second, third, fourth = read([path])
    assert isinstance(first, Draft)
    assert isinstance(fourth, Draft)
    assert isinstance(third, Blank)
    assert isinstance(second, Rejected)
    assert (second.line, second.file) == (2, "calls.jsonl")
    assert "breaks off at column" in second.reason
    assert len(second.content_hash) == 32


def test_a_broken_first_line_does_not_hide_the_rest(tmp_path: Path) -> None:
    """Format and layout come from the lines that can be read."""
    for start in (GOOD[:80], "[" + GOOD[:50], "noise"):
        path = tmp_path / "calls.jsonl"
        path.write_text(f"{start}\n{GOOD}\n{GOOD}\n")
        kinds = [type(item) for item in read([path])]
        assert kinds == [Rejected, Draft, Draft]


def test_a_line_over_the_cap_is_rejected_and_the_next_one_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that is too long is passed over without being held."""
    monkeypatch.setattr(lines_module, "MAX_LINE_BYTES", 4_000)
    path = tmp_path / "calls.jsonl"
    path.write_text(f"{GOOD}\n{'x' * 100_000}\n{GOOD}\n")
    kinds = [type(item) for item in read([path])]
    assert kinds == [Draft, Rejected, Draft]


def test_nesting_of_twenty_thousand_levels_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    path.write_text(f"{GOOD}\n{'[' * 20_000}{']' * 20_000}\n" + '{"a":' * 20_000 + "1" + "}" * 20_000 + "\n")
    items = list(read([path]))
    assert [type(item) for item in items] == [Draft, Rejected, Rejected]
    assert all("nested deeper" in item.reason for item in items if isinstance(item, Rejected))


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that expands without end is an error, not a full memory."""
    monkeypatch.setattr(files, "MAX_EXPANDED_BYTES", 1 << 20)
    for pack in (gzip.compress, zstandard.compress):
        path = tmp_path / "calls.jsonl.gz"
        path.write_bytes(pack(GOOD.encode() + b"\n" + b"\n" * (4 << 20)))
        with pytest.raises(UsageError, match="expands to more than"):
            list(read([path]))


def test_a_document_over_the_cap_is_refused_with_the_command_that_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents_module, "MAX_DOCUMENT_BYTES", 100)
    path = tmp_path / "calls.json"
    path.write_text(f"[{GOOD}]")
    with pytest.raises(UsageError, match="jq"):
        list(read([path]))


def test_a_compressed_file_that_breaks_off_keeps_what_came_before(tmp_path: Path) -> None:
    """What could be unpacked is read; the break is a rejected record."""
    path = tmp_path / "calls.jsonl.gz"
    lines = "\n".join(json.dumps(json.loads(GOOD) | {"n": i * 7919 % 100_003}) for i in range(5_000))
    packed = gzip.compress(lines.encode())
    path.write_bytes(packed[: len(packed) * 2 // 3])
    items = list(read([path]))
    assert sum(isinstance(item, Draft) for item in items) > 1_000
    last = [item for item in items if isinstance(item, Rejected)]
    assert "breaks off" in last[-1].reason


def test_a_list_that_breaks_off_keeps_the_items_before_and_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "calls.json"
    path.write_text(f"[\n{GOOD},\n{GOOD},\n{GOOD[:50]}")
    items = list(read([path]))
    assert [type(item) for item in items] == [Draft, Draft, Rejected]
    assert [item.line for item in items] == [2, 3, 4]


def test_rejects_of_one_line_say_which_of_its_items_they_are(tmp_path: Path) -> None:
    """A whole export may stand on one line: its number alone would find nothing."""
    path = tmp_path / "calls.json"
    path.write_text(f'[{GOOD},{{"request": 1}},{GOOD},{{"request": x}},3]')
    found = [item for item in read([path]) if isinstance(item, Rejected)]
    places = [(item.line, item.reason.partition(":")[0]) for item in found]
    assert places == [(1, "item 2"), (1, "item 4"), (1, "item 5")]
    generation = {"id": "a", "traceId": "t", "type": "GENERATION", "startTime": "2026-01-01T00:00:00Z"}
    trace = {"trace": {"id": "t"}, "observations": [generation | {"input": "Hi"}, generation]}
    path.write_text(json.dumps(trace))
    (reject,) = (item for item in read([path]) if isinstance(item, Rejected))
    assert reject.reason == "item 2: the generation has no input"
    path.write_text(json.dumps([trace, trace]))
    reasons = [item.reason for item in read([path]) if isinstance(item, Rejected)]
    assert reasons == [f"item {number}, part 2: the generation has no input" for number in (1, 2)]
    assert {reject_reason(each) for each in reasons} == {"the generation has no input"}


def test_one_record_over_many_lines_is_one_record(tmp_path: Path) -> None:
    path = tmp_path / "calls.json"
    path.write_text(json.dumps(json.loads(GOOD), indent=2))
    assert [type(item) for item in read([path])] == [Draft]


def test_csv_rows_carry_the_line_they_begin_in_and_bad_rows_are_rejected(tmp_path: Path) -> None:
    """Cells of several lines, blank rows and rows of the wrong width keep the numbers right."""
    path = tmp_path / "rows.csv"
    path.write_text('id;in;out\n1;"two\nlines";a\n\n2;x\n;;\n3;y;b\n', encoding="utf-8")
    items = list(read([path], mapping={"id": "id", "input": "in", "output": "out"}))
    assert [(type(item), item.line) for item in items] == [
        (Draft, 2),
        (Blank, 4),
        (Rejected, 5),
        (Blank, 6),
        (Draft, 7),
    ]


def test_a_csv_cell_over_the_cap_costs_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_LINE_BYTES", 1_000)
    path = tmp_path / "rows.csv"
    path.write_text(f"id,in\n1,a\n2,{'x' * 9_000}\n3,c\n")
    items = list(read([path], mapping={"id": "id", "input": "in"}))
    assert [(type(item), item.line) for item in items] == [(Draft, 2), (Rejected, 3), (Draft, 4)]


@pytest.mark.parametrize("rows", [0, 20_000])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_table_that_is_not_utf8_is_refused_with_the_line_of_the_first_such_byte(
    tmp_path: Path, rows: int, line_end: str
) -> None:
    """Excel's own CSV is refused wherever its first umlaut stands, with its line and how to save it."""
    path = tmp_path / "latin.csv"
    lines = [
        "id,text,out",
        *[f"{each},plain,billing" for each in range(rows)],
        "x,Gr\u00fc\u00dfe,billing",
        "",
    ]
    path.write_bytes(line_end.join(lines).encode("cp1252"))
    with pytest.raises(UsageError) as error:
        list(read([path], mapping={"id": "id", "input": "text", "output": "out"}))
    assert f"latin.csv is not UTF-8 text: line {rows + 2:,} holds the byte 0xFC" in error.value.message
    assert "UTF-8" in error.value.hint


def test_a_character_that_the_end_of_the_head_cuts_is_none_the_worse(tmp_path: Path) -> None:
    """A table in UTF-8 is read whole, wherever a character of several bytes lies."""
    for shift in range(3):
        path = tmp_path / f"cut-{shift}.csv"
        path.write_text(
            "id,text,out\n" + "x" * shift + "1," + "\u00fc" * files.HEAD_BYTES + ",billing\n", "utf-8"
        )
        (record,) = records(look(path))
        assert isinstance(record, Record)
        assert not record.repaired


def test_a_header_of_a_million_columns_is_refused(tmp_path: Path) -> None:
    """It costs a message, not an hour."""
    path = tmp_path / "rows.csv"
    path.write_text("," * 1_000_000 + "\n1\n")
    with pytest.raises(UsageError, match="columns"):
        look(path)


def test_a_text_that_all_rows_of_a_parquet_file_share_is_not_unpacked_for_all_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows over the cap are rejected one by one; few rows are held where the shared text is long."""
    path = tmp_path / "rows.parquet"
    long = pa.array(["x" * 40_000, "y" * 9_000])
    shared = pa.DictionaryArray.from_arrays(pa.array([0, 1] * 300, pa.int32()), long)
    table = pa.table({"id": pa.array([str(index) for index in range(600)]), "in": shared.dictionary_decode()})
    pq.write_table(table, path, row_group_size=400)
    monkeypatch.setattr(tables, "MAX_LINE_BYTES", 20_000)
    monkeypatch.setattr(tables, "MAX_BATCH_BYTES", 100_000)
    sizes = []
    real = pq.ParquetFile.iter_batches

    def counted(self: pq.ParquetFile, batch_size: int, **keys: Any) -> Any:
        sizes.append(batch_size)
        return real(self, batch_size=batch_size, **keys)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted)
    items = list(read([path], mapping={"id": "id", "input": "in"}))
    assert [type(each) for each in items] == [Rejected, Draft] * 300
    assert [each.line for each in items] == list(range(1, 601))
    assert max(sizes) <= 2
    monkeypatch.setattr(files, "MAX_EXPANDED_BYTES", 1_000_000)
    with pytest.raises(UsageError, match="expands"):
        list(read([path], mapping={"id": "id", "input": "in"}))


def test_a_parquet_file_of_more_rows_than_bytes_is_refused(tmp_path: Path) -> None:
    """Empty rows cost nothing to write, and hours to read."""
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"id": pa.nulls(20_000_000, pa.string())}), path, compression="zstd")
    with pytest.raises(UsageError, match="more than it has bytes"):
        look(path)


def test_a_damaged_parquet_file_is_refused_or_breaks_off(tmp_path: Path) -> None:
    """Wherever a byte is wrong, there is a clear refusal or a rejected record, never a crash."""
    path = tmp_path / "rows.parquet"
    texts = [f"text {index % 7} " * 20 for index in range(200)]
    pq.write_table(pa.table({"id": [str(index) for index in range(200)], "in": texts}), path)
    whole, chance = path.read_bytes(), random.Random(5)
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            damaged[chance.randrange(4, len(whole))] = chance.randrange(256)
        path.write_bytes(damaged)
        with contextlib.suppress(UsageError):
            assert len(list(read([path], mapping={"id": "id", "input": "in"}))) > 0


def test_parquet_reads_as_the_same_csv(tmp_path: Path) -> None:
    """Numbers, nulls and nested messages of a Parquet file become a call."""
    path = tmp_path / "rows.parquet"
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    table = pa.table({"id": [1, 2], "chat": [chat, chat], "out": ["hi", None], "ms": [3.5, None]})
    pq.write_table(table, path)
    mapping = {"id": "id", "messages": "chat", "output": "out", "latency_ms": "ms"}
    first, second = read([path], mapping=mapping)
    assert isinstance(first, Draft)
    assert isinstance(second, Draft)
    assert (first.native_id, second.native_id) == ("1", "2")
    assert [each.role for each in first.request.messages] == ["system", "user"]
    assert first.control is not None
    assert (first.control.text, first.control.latency_ms) == ("hi", 3.5)
    assert second.control is None


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ({"id": "rwo", "input": "text"}, "Did you mean 'row'?"),
        ({"id": "row", "inptu": "text"}, "Did you mean 'input'?"),
        ({"id": "row", "output": "answer"}, "Add --map input=COLUMN."),
        ({"input": "text", "messages": "text"}, "Keep one"),
        ({"input": "text", "attributes.": "tenant"}, "Did you mean"),
    ],
)
def test_a_wrong_mapping_says_what_was_meant(mapping: dict[str, str], says: str) -> None:
    """An unknown field or column is an error with the closest known one."""
    with pytest.raises(UsageError) as error:
        list(read([FOLDER / "mapped.csv"], mapping=mapping))
    assert says in str(error.value)


def test_a_table_without_a_mapping_says_how_to_map_it() -> None:
    with pytest.raises(UsageError) as error:
        list(read([FOLDER / "mapped.csv"]))
    assert "--map id=row --map model=model --map input=text --map output=answer" in str(error.value)


def test_a_mapping_goes_with_no_other_format() -> None:
    with pytest.raises(UsageError, match="goes with the format mapped"):
        open_source(FOLDER / "mapped.csv", "openai_chat", MAPPING)
    with pytest.raises(UsageError, match="Did you mean 'openai_chat'"):
        open_source(FOLDER / "openai_chat.jsonl", "openai-chat")


CHAT = {"id": "q", "object": "chat.completion.chunk", "model": "gpt-4o"}
STREAMS: dict[str, list[dict[str, Any]]] = {
    "chat": [
        {**CHAT, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "spa\u2028"}}]},
        {**CHAT, "choices": [{"index": 0, "delta": {"content": "m"}, "finish_reason": "stop"}]},
    ],
    "messages": [
        {"type": "message_start", "message": {"id": "q", "role": "assistant", "model": "claude"}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "spam"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ],
    "responses": [
        {"type": "response.output_text.delta", "delta": "spam"},
        {
            "type": "response.completed",
            "response": {
                "id": "q",
                "object": "response",
                "output": [{"type": "message", "content": [{"type": "output_text", "text": "spam"}]}],
            },
        },
    ],
}


def as_events(chunks: list[Any], between: str = "\n\n", end: str = "data: [DONE]\n\n") -> str:
    """Return chunks as the text of a stream, in which texts stand as they are."""
    texts = [each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in chunks]
    return "".join(f"data: {each}{between}" for each in texts) + end


def logged(path: Path, response: Any) -> Any:
    """Return what an import reads of one call with this response."""
    request = {"model": "m", "messages": [{"role": "user", "content": "Hello?"}]}
    path.write_text(json.dumps({"request": request, "response": response}) + "\n", encoding="utf-8")
    (item,) = read([path], format="openai_chat")
    return item


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_logged_as_text_reads_as_the_list_of_its_events(tmp_path: Path, name: str) -> None:
    """Server-sent events in one text give the call that their JSON gives, whatever else their lines hold."""
    chunks = STREAMS[name]
    expected = logged(tmp_path / "calls.jsonl", chunks)
    assert isinstance(expected, Draft)
    assert expected.control is not None
    assert expected.control.text is not None
    pretty = [json.dumps(each, indent=1, ensure_ascii=False).replace("\n", "\ndata: ") for each in chunks]
    named = "".join(
        f": alive\nevent: {each.get('type', 'message')}\nid: 7\n{as_events([each], end='')}"
        for each in chunks
    )
    for text in (
        as_events(chunks),
        as_events(chunks, end=""),
        as_events(chunks, between="\n"),
        as_events(pretty),
        "\ufeff" + as_events(chunks),
        as_events(chunks).replace("\n", "\r\n"),
        "retry: 3000\n\n" + named,
        named.replace("\n", "\r\n"),
        as_events(["ping", *chunks]),
    ):
        assert logged(tmp_path / "calls.jsonl", text) == expected


@pytest.mark.parametrize("name", STREAMS)
def test_what_ends_a_stream_is_no_hole_in_the_list_of_its_chunks(tmp_path: Path, name: str) -> None:
    """Loggers keep each line of data in a list: parsed, as it was sent, or the last one as text."""
    chunks = STREAMS[name]
    expected = logged(tmp_path / "calls.jsonl", chunks)
    assert expected.control.text is not None
    for listed in (
        [*chunks, "[DONE]"],
        [*map(json.dumps, chunks), "[DONE]"],
        as_events(chunks).split("\n"),
        [f"event: {name}\n", "", *(f"data: {json.dumps(each)}\n\n" for each in chunks), "data: [DONE]"],
    ):
        assert logged(tmp_path / "calls.jsonl", listed) == expected
    for broken in ([chunks[0], "upstream went away", *chunks[1:]], [None, *chunks], ["[DONE]"]):
        item = logged(tmp_path / "calls.jsonl", broken)
        assert (item.control, item.control_marks) == (None, ["stream_not_rebuilt"])


def test_a_stream_logged_as_text_is_never_put_together_around_a_hole(tmp_path: Path) -> None:
    """Cut off at its end it is an answer cut off; with a hole, or empty, it is marked and no answer."""
    first, last = STREAMS["chat"]
    cut = logged(tmp_path / "calls.jsonl", as_events([first, '{"id": "q", "cho'], end=""))
    assert cut.control.text == "spa\u2028"
    assert "truncated" in cut.control_marks
    for broken in (as_events([first, '{"id": "q", "cho', last]), "data: [DONE]\n\n", 'data: {"id"'):
        item = logged(tmp_path / "calls.jsonl", broken)
        assert (item.control, item.control_marks) == (None, ["stream_not_rebuilt"])
    assert isinstance(logged(tmp_path / "calls.jsonl", "id: 7, as you asked"), Rejected)


def test_json_paths_reach_into_objects_lists_and_json_text(tmp_path: Path) -> None:
    """A path may go through an object, a list, and JSON that sits in a string."""
    path = tmp_path / "log.jsonl"
    row = {"meta": json.dumps({"key": "k1"}), "turns": [{"q": "Hi"}], "a.b": "dotted", "out": {"text": "Ho"}}
    path.write_text(json.dumps(row) + "\n")
    mapping = {"id": "$.meta.key", "input": "turns[0].q", "output": "out.text", "attributes.x": "a.b"}
    (draft,) = read([path], mapping=mapping)
    assert isinstance(draft, Draft)
    assert draft.native_id == "k1"
    assert draft.request.messages[0].content == "Hi"
    assert draft.control is not None
    assert draft.control.text == "Ho"
    assert draft.attributes == {"x": "dotted"}


def test_outputs_made_elsewhere_come_with_the_id_of_their_call() -> None:
    """`read_outputs` reads Batch outputs, pairs, and a table with id and output alone."""
    batch = dict(
        item for item in read_outputs(FOLDER / "openai_batch_output.jsonl") if isinstance(item, tuple)
    )
    assert batch["ticket-2"].text == "delivery"
    assert batch["ticket-3"].error is not None
    table = dict(
        item
        for item in read_outputs(FOLDER / "mapped.csv", mapping={"id": "row", "output": "answer"})
        if isinstance(item, tuple)
    )
    assert table["1"].text == "billing"
    assert table["4"].error is not None
    assert table["4"].error.kind is ErrorKind.EMPTY
    pairs = list(read_outputs(FOLDER / "openai_chat.jsonl"))
    assert len(pairs) == 7


def test_outputs_need_both_id_and_output() -> None:
    with pytest.raises(UsageError, match="lacks id"):
        list(read_outputs(FOLDER / "mapped.csv", mapping={"output": "answer"}))


def test_parquet_columns_of_one_name_are_told_apart_and_nan_is_a_missing_value(tmp_path: Path) -> None:
    """Neither column hides the other, and what pandas writes for "nothing" needs no repair."""
    path = tmp_path / "rows.parquet"
    names = ["id", "text", "text", "score"]
    columns = [pa.array([1]), pa.array(["first"]), pa.array(["second"]), pa.array([float("nan")])]
    pq.write_table(pa.Table.from_arrays(columns, names=names), path)
    shape = look(path)
    assert shape.columns == ("id", "text (2)", "text (3)", "score")
    (record,) = records(shape)
    assert isinstance(record, Record)
    assert record.value == {"id": 1, "text (2)": "first", "text (3)": "second", "score": None}
    assert not record.repaired


def test_outputs_without_a_mapping_are_told_how_the_candidate_names_one(tmp_path: Path) -> None:
    """The hint is what stands in workbench.toml, with the columns that can be guessed."""
    path = tmp_path / "outputs.csv"
    path.write_text("row,answer\n1,a\n")
    with pytest.raises(UsageError, match="needs a mapping") as refused:
        list(read_outputs(path))
    assert 'map = { id = "row", output = "answer" }' in refused.value.hint


def test_links_lead_to_each_file_once(tmp_path: Path) -> None:
    """A link to a folder above makes endless paths to one file, and a copy of a link none more."""
    folder = tmp_path / "logs" / "day"
    folder.mkdir(parents=True)
    (folder / "calls.jsonl").write_text(GOOD)
    (folder / "again").symlink_to(tmp_path / "logs", target_is_directory=True)
    (folder / "same.jsonl").symlink_to(folder / "calls.jsonl")
    for name in (tmp_path / "logs" / "**" / "*.jsonl", tmp_path / "logs"):
        assert [path.resolve() for path, _ in found_files([name])] == [folder / "calls.jsonl"]


def test_a_log_that_begins_with_other_records_is_recognised(tmp_path: Path) -> None:
    """What is something else is rejected; where nothing is known, the hint names both ways out."""
    path = tmp_path / "calls.jsonl"
    path.write_text("".join(f'{{"level": "info", "n": {n}}}\n' for n in range(120)) + f"{GOOD}\n" * 3)
    found = detect(path)
    assert (found.format, found.because) == (
        "openai_chat",
        "3 of the first 123 records have request.messages and response.choices",
    )
    assert sum(isinstance(item, Draft) for item in read([path])) == 3
    path.write_text('{"level": "info"}\n' * 60)
    with pytest.raises(UsageError) as refused:
        detect(path)
    assert "--map" in refused.value.hint
    assert "--format NAME" in refused.value.hint


def test_an_integer_of_thousands_of_digits_is_told_in_plain_words(tmp_path: Path) -> None:
    """Not with advice to programmers; the digits are enough of a reason."""
    path = tmp_path / "calls.jsonl"
    path.write_text(f'{GOOD}\n{{"request": {{"a": {"7" * 5_000}}}}}\n')
    bad = [item for item in read([path]) if isinstance(item, Rejected)]
    digits = sys.get_int_max_str_digits()
    assert [item.reason for item in bad] == [f"holds an integer of more than {digits:,} digits"]
