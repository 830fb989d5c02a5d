"""Cached input tokens of stored answers, seen without parsing those that name none."""

from __future__ import annotations

import duckdb
import pytest

from workbench.records import Output, ToolCall, Usage, to_json
from workbench.store.call_costs import cached_tokens

WORDS = '"cached_input_tokens":null,"output_tokens":3'


@pytest.mark.parametrize("cached", [None, 0, 7, 10**12])
@pytest.mark.parametrize(
    "more",
    [
        {"text": "billing"},
        {"text": WORDS},
        {"text": '{"usage": {"cached_input_tokens": 99}}'},
        {"text": None, "tool_calls": (ToolCall("f", {"cached_input_tokens": None, "usage": {"a": 1}}, "c"),)},
    ],
    ids=["plain", "the words themselves", "another count in the text", "a tool"],
)
def test_what_an_answer_says_is_found_whatever_else_it_holds(
    more: dict[str, object], cached: int | None
) -> None:
    """A text or a tool with the same words hides no count and makes none up."""
    output = Output(usage=Usage(input_tokens=5, cached_input_tokens=cached, output_tokens=3), **more)  # type: ignore[arg-type]
    sql = f"SELECT {cached_tokens('o')} FROM (SELECT ? AS o)"  # noqa: S608 - a constant
    with duckdb.connect() as db:
        assert db.execute(sql, [to_json(output).decode()]).fetchone() == (cached,)
