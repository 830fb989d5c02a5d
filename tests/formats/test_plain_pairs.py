"""The short way through plain pairs says what the long way says, and rows have the hashes they had."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.formats import Draft, open_source
from workbench.formats.base import Unreadable
from workbench.formats.openai_chat import OpenAIChat
from workbench.formats.plain import draft_of, plain_pair, read_plain
from workbench.ingest import plain_rows
from workbench.ingest.plain_rows import PlainRows
from workbench.ingest.routing import TaskRouter
from workbench.ingest.rows import RowMaker, call_id
from workbench.language import wording
from workbench.normal import content_hash, decode_json, message_text
from workbench.parts import SCHEMA, PartWriter, read, read_in_pieces
from workbench.records import EvalKind, Message, Output, Request, ToolCall, to_json
from workbench.specs import EvalConfig, MatchRule

SAMPLES = Path(__file__).parents[2] / "sample_logs"
PLAIN: dict[str, Any] = {
    "timestamp": 1_760_000_000,
    "latency_ms": 812,
    "metadata": {"task": "triage", "tenant": "a"},
    "request": {
        "model": "gpt-4o",
        "messages": [{"role": "system", "content": "Sort."}, {"role": "user", "content": "Where is it? 1.0"}],
        "temperature": 0,
    },
    "response": {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_760_000_001,
        "model": "gpt-4o-2024-11-20",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "parcel", "refusal": None},
            }
        ],
        "usage": {"prompt_tokens": 12, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}},
    },
}
AGENT: dict[str, Any] = PLAIN | {
    "request": {
        "model": "gpt-4o",
        "messages": [
            {
                "role": "system",
                "content": [{"text": "Sort.", "type": "text"}, {"type": "text", "text": "Now."}],
            },
            {"role": "user", "content": "Where is it? 1.0", "name": "ann"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "find", "arguments": '{"q": "x", "n": 2.0}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "[]"},
        ],
        "tools": [
            {"type": "function", "function": {"name": "find", "parameters": {"type": "object", "n": 1.0}}}
        ],
    }
}
CAPTURED: dict[str, Any] = {
    "id": "capture-1",
    "identity": "id",
    "sampling_rate": 0.1,
    "time_to_first_chunk_ms": 90.5,
    **PLAIN,
}
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 2**62),
    st.floats(allow_nan=False),
    st.sampled_from(
        ["", "0", "x", "id", "stop", "length", "hit", "user", '{"a": 1}', '[{"role": "user"}]', "1e3"]
    ),
    st.just([]),
    st.just({}),
    st.just([1]),
    st.just({"type": "text", "text": "x"}),
    st.just([{"type": "image_url", "image_url": "x"}]),
    st.just([{"id": "c2", "function": {"name": "find", "arguments": "{"}}]),
    st.lists(st.sampled_from([{"type": "text", "text": "x"}, "x", None]), max_size=2),
)
KEYS = st.sampled_from(
    [
        *("identity", "time_to_first_chunk_ms", "time_to_first_token_ms"),
        *("id", "error", "status_code", "cache_hit", "session_id", "metadata", "user", "tools", "functions"),
        *("tool_calls", "function_call", "name", "refusal", "response_format", "usage", "created", "text"),
        *(
            "previous_response_id",
            "conversation",
            "duration_ms",
            "created_at",
            "type",
            "output",
            "candidates",
        ),
        *("tool_call_id", "content", "arguments", "image_url"),
        *("finish_reason", "reasoning_content", "max_tokens", "stop", "request_id", "weight", "logprobs"),
    ]
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value in a record."""
    items: Any = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [path, *(each for key, item in items for each in places(item, (*path, key)))]


@st.composite
def almost_plain(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a plain pair, with or without tools, with a few values changed, taken out or added anywhere."""
    record = copy.deepcopy(draw(st.sampled_from([PLAIN, AGENT, CAPTURED])))
    for _ in range(draw(st.integers(0, 3))):
        *above, last = draw(st.sampled_from(places(record)[1:]))
        holder: Any = record
        for key in above:
            holder = holder[key]
        how = draw(st.sampled_from(["change", "remove", "add", "double"]))
        if how == "change":
            holder[last] = copy.deepcopy(draw(ODD))
        elif how == "remove":
            del holder[last]
        elif how == "double" and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[last]))
        elif isinstance(holder, dict):
            holder[draw(KEYS)] = copy.deepcopy(draw(ODD))
    return record


@given(almost_plain())
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
def test_the_short_way_says_what_the_long_way_says(record: dict[str, Any]) -> None:
    """Whatever a record holds, the short way reads the same call or leaves it to the long way."""
    found = plain_pair(record)
    if found is not None:
        assert [found] == OpenAIChat().parse_any(copy.deepcopy(record))


@given(almost_plain(), st.booleans())
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
def test_a_line_read_the_short_way_becomes_the_row_of_the_long_way(
    record: dict[str, Any], routed: bool
) -> None:
    """From the bytes of a line to the row that is stored, both ways give the same, task included."""
    raw = json.dumps(record).encode()
    pair = read_plain(raw)
    if pair is None:
        return
    (draft,) = OpenAIChat().parse_any(decode_json(raw).value)
    assert isinstance(draft, Draft)
    assert draft_of(pair) == draft
    draft.file, draft.line, pair.line = "log.jsonl", 7, 7
    rule = EvalConfig("sorting", EvalKind.LABEL, match_any=(MatchRule(system_prompt="Sort"),))
    router = TaskRouter([rule] if routed else [], None)
    rows: list[dict[str, Any]] = []

    def add(
        values: Sequence[Any], size: int, long: Sequence[bytes | None], begins: bytes | None = None
    ) -> None:
        row = dict(zip(SCHEMA.names, (*values, *long), strict=True))
        row["request"] = (begins or b"") + row["request"]
        # The keys of an object may stand in another order.
        row |= {key: json.loads(row[key]) for key in ("request", "attributes", "output")}
        rows.append(row | {"occurred_at": pa.scalar(row["occurred_at"], SCHEMA.field("occurred_at").type)})

    RowMaker(add, router, 0.5).call(draft, "a")
    plain = PlainRows(add, router, 0.5)
    again = [each for each in (read_plain(raw), read_plain(raw)) if each is not None]
    for each in again:
        each.line = 7
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain_rows, "_PROMPT_CHARS", 1)
        plain.call(pair, "a", "log.jsonl")
        for each in again:  # Now its prompt is known.
            plain.call(each, "a", "log.jsonl")
    assert all(row == rows[0] for row in rows)
    assert len(rows) == 4


PROMPTS = [
    f"{start} " + 'Sort the message. \u00dc "quoted" ' * 10 for start in ("First", "Other", "Longer one")
]


@given(st.lists(st.tuples(st.sampled_from([*PROMPTS, "short", None]), st.booleans()), max_size=40))
def test_a_prompt_that_is_written_once_for_many_calls_comes_back_in_each(
    asked: list[tuple[str | None, bool]],
) -> None:
    """Whatever the order of prompts, every call has its own request when its part is read."""
    with tempfile.TemporaryDirectory() as name:
        names: list[str] = []
        writer = PartWriter(Path(name), names.append)
        plain = PlainRows(writer.add, TaskRouter([], None), None)
        maker = RowMaker(writer.add, TaskRouter([], None), None)
        for number, (prompt, is_plain) in enumerate(asked):
            system = [] if prompt is None else [{"role": "system", "content": prompt}]
            messages = [*system, {"role": "user", "content": f"Message {number}"}]
            request = PLAIN["request"] | {"messages": messages}
            raw = json.dumps(PLAIN | {"request": request}).encode()
            pair = read_plain(raw)
            assert pair is not None
            if is_plain:
                plain.call(pair, "a", "log.jsonl")
            else:
                maker.call(draft_of(pair), "a")
        writer.flush()
        tables = [read(Path(name) / each) for each in names]
        assert all(each.schema == SCHEMA for each in tables)
        in_pieces = [read_in_pieces(Path(name) / each) for each in names]
        assert [each.column_names for each in in_pieces] == [SCHEMA.names] * len(names)
        assert [
            (piece["begins"] or "") + piece["rest"]
            for each in in_pieces
            for piece in each["request"].to_pylist()
        ] == [text for each in tables for text in each["request"].to_pylist()]
        said = [json.loads(text)["messages"] for each in tables for text in each["request"].to_pylist()]
        pieces = [[each["content"] for each in messages] for messages in said]
        wanted = [
            [*([] if prompt is None else [prompt]), f"Message {n}"] for n, (prompt, _) in enumerate(asked)
        ]
        assert pieces == wanted


def test_prompts_that_stand_apart_count_in_every_row_that_is_read(tmp_path: Path) -> None:
    """A part is bounded by what it takes in memory, where each row has its whole request."""
    names: list[str] = []
    writer = PartWriter(tmp_path, names.append)
    values = [None] * (len(SCHEMA.names) - 3)
    prompt = b"p" * 1_000_000
    for _ in range(100):
        writer.add(values, 100, (None, b"rest", b"answer"), prompt)
    writer.flush()
    assert len(names) >= 3
    assert max(read(tmp_path / each).nbytes for each in names) < 40 << 20


def test_an_output_without_a_request_has_none_beside_prompts_that_stand_apart(tmp_path: Path) -> None:
    """A missing request stays missing in a part where the prompts of others are written once."""
    names: list[str] = []
    writer = PartWriter(tmp_path, names.append)
    values = [None] * (len(SCHEMA.names) - 3)
    writer.add(values, 10, (None, b"rest", b"answer"), b"begin ")
    writer.add(values, 10, (None, None, b"answer"))
    writer.add(values, 10, (None, b"alone", b"answer"))
    writer.flush()
    whole = read(tmp_path / names[0])
    assert whole["request"].to_pylist() == ["begin rest", None, "alone"]
    assert read(tmp_path / names[0], ["output"]).column_names == ["output"]


def test_parameters_of_the_line_before_are_taken_for_the_same_only_where_they_are() -> None:
    """1, 1.0 and true are equal to Python, and so are lists of them; each line keeps what it says."""
    said: list[Any] = [1, 1.0, True, 1, [1], [True], None, 0, False, 0.0, 0.0]
    rows: list[bytes] = []
    plain = PlainRows(lambda values, size, long, _: rows.append(long[1]), TaskRouter([], None), None)
    for each in said:
        pair = read_plain(json.dumps(PLAIN | {"request": PLAIN["request"] | {"seed": each}}).encode())
        assert pair is not None
        plain.call(pair, "a", "log.jsonl")
    found = [json.loads(each)["parameters"].get("seed") for each in rows]
    assert [repr(each) for each in found] == [repr(each) for each in said]


def test_a_capture_log_is_read_the_short_way() -> None:
    """What capture writes beside a call is no reason to take the long way."""
    beside = {
        "id": "capture-1",
        "identity": "id",
        "time_to_first_chunk_ms": 90,
        "timestamp": "2026-03-01T10:00:00+00:00",
        "task": "triage",
        "sampling_rate": 0.1,
    }
    pair = read_plain(json.dumps({**PLAIN, **beside}).encode())
    assert pair is not None
    beside = {"task": "triage", "tenant": "a", "sampling_rate": 0.1, "response_id": "chatcmpl-1"}
    assert pair.attributes == beside
    assert (pair.native_id, pair.first_token_ms) == ("capture-1", 90)


@pytest.mark.parametrize(
    "raw",
    [
        json.dumps(PLAIN).replace("parcel", "par\\u0000cel"),
        json.dumps(PLAIN).replace("parcel", "par\\ud800cel"),
        json.dumps(PLAIN).replace("parcel", "\xff"),
        json.dumps(PLAIN)[:-1],
        json.dumps(PLAIN) + "{}",
        json.dumps(PLAIN).replace('"tenant": "a"', '"tenant": ' + "[" * 200 + "]" * 200),
        json.dumps(PLAIN).replace(
            '"temperature": 0', '"response_format": {"a": ' + "[" * 98 + "]" * 98 + "}"
        ),
        json.dumps(PLAIN).replace('"temperature": 0', '"tools": [{"a": ' + "[" * 97 + "]" * 97 + "}]"),
        json.dumps(PLAIN).replace('"temperature": 0', '"temperature": NaN'),
        "",
    ],
)
def test_what_may_need_repair_or_refusal_is_left_to_the_long_way(raw: str) -> None:
    """A line that is broken, too deep or holds text that no store takes is never read the short way."""
    assert read_plain(raw.encode("latin-1")) is None


def test_plain_records_go_the_short_way() -> None:
    """So do nearly all of the sample log: else the short way would prove nothing."""
    assert plain_pair(PLAIN) is not None
    for path in (SAMPLES / "demo").glob("*.jsonl"):
        taken = [plain_pair(json.loads(each)) is not None for each in path.read_text().splitlines()]
        assert sum(taken) >= 0.9 * len(taken) > 0


def test_tools_their_calls_and_parts_of_text_go_the_short_way() -> None:
    """An agent's turn that ends in a text is read in one step, too, as the long way reads it."""
    pair = read_plain(json.dumps(AGENT).encode())
    assert pair is not None
    assert [draft_of(pair)] == OpenAIChat().parse_any(copy.deepcopy(AGENT))
    assert pair.messages[2].tool_calls == (ToolCall("find", {"q": "x", "n": 2.0}, "c1"),)


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": [{"type": "image_url", "image_url": "https://x.test/a.png"}]},
        {"role": "user", "content": [{"type": "file", "text": "x"}]},
        {"role": "user", "content": [{"type": "text", "value": "x"}]},
        {
            "role": "assistant",
            "tool_calls": [{"id": "c1", "function": {"name": "find", "arguments": "{broken"}}],
        },
        {"role": "assistant", "tool_calls": [{"id": "c1", "custom": {"name": "find", "input": "x"}}]},
    ],
)
def test_what_the_long_way_marks_in_a_message_is_left_to_it(message: dict[str, Any]) -> None:
    """Images, files, unknown parts and arguments that are no JSON are never read the short way."""
    record = copy.deepcopy(PLAIN)
    record["request"]["messages"].append(message)
    assert read_plain(json.dumps(record).encode()) is None


TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=30)
CALLS = st.lists(
    st.builds(ToolCall, st.just("find"), st.dictionaries(TEXTS, st.floats(0, 3) | TEXTS, max_size=2)),
    max_size=1,
).map(tuple)
MESSAGES = st.lists(
    st.builds(
        Message,
        st.sampled_from(["system", "user", "assistant"]),
        st.none()
        | TEXTS
        | st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": TEXTS}), max_size=2),
        tool_calls=CALLS,
    ),
    max_size=3,
).map(tuple)
REQUESTS = st.builds(
    Request,
    MESSAGES,
    st.lists(st.just({"function": {"name": "find", "strict": 1.0}}), max_size=1).map(tuple),
    st.none() | st.just({}) | st.just({"type": "json_object", "n": 2.0}),
    st.dictionaries(st.sampled_from(["temperature", "stop"]), st.floats(0, 2) | TEXTS, max_size=2),
)
OUTPUTS = st.none() | st.builds(Output, st.none() | TEXTS, CALLS)


@given(REQUESTS, OUTPUTS, TEXTS, TEXTS)
def test_hashes_and_json_of_a_row_are_those_of_its_definition(
    request: Request, output: Output | None, source: str, native_id: str
) -> None:
    """The row is assembled from pieces that are encoded once; identities never change by it."""
    rows: list[dict[str, Any]] = []
    maker = RowMaker(
        lambda values, _, long: rows.append(dict(zip(SCHEMA.names, (*values, *long), strict=True))),
        TaskRouter([], None),
        None,
    )
    maker.call(Draft(request, native_id=native_id, control=output), source)
    (row,) = rows
    asked = content_hash([request.messages, request.tools, request.response_format])
    answered = "" if output is None else content_hash(
        [output.text, [[each.name, each.arguments] for each in output.tool_calls], None]
    )  # fmt: skip
    assert row["call_id"] == call_id(source, native_id) == content_hash("call", source, native_id)
    assert (row["request_hash"], row["output_hash"]) == (asked, answered)
    assert row["content_hash"] == content_hash(asked, answered)
    assert row["request"] == to_json(request)
    said = [message_text(each) for each in request.messages]
    users = [text for text, each in zip(said, request.messages, strict=True) if each.role == "user"]
    assert (row["input_chars"], row["turn_depth"]) == (sum(map(len, said)), len(users))
    words = wording(users[-1] if users else "")
    assert row["language"] == (None if words is None else words.encode())


def test_a_line_that_is_odd_is_refused_by_both_ways(tmp_path: Path) -> None:
    """A record without messages is rejected with its reason, whichever way it is read."""
    record = copy.deepcopy(PLAIN)
    record["request"]["messages"] = []
    assert plain_pair(record) is None
    with pytest.raises(Unreadable, match="no messages"):
        OpenAIChat().parse(record)
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps(PLAIN) + "\n" + json.dumps(record) + "\n")
    kinds = [type(each).__name__ for each in open_source(path).items()]
    assert kinds == ["Draft", "Rejected"]
