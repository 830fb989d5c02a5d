"""Requests and answers as plain text: nothing a log holds is read as Markdown or HTML."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from workbench.records import Message, Output, Request, ToolCall, told_error
from workbench.ui import markup, words
from workbench.ui.diff import FieldRow, capped, field_diff, is_unequal, parsed, visible, word_diff
from workbench.ui.heights import table_px

REQUEST_CHARS = 6_000
"""Of one message; the rest is cut, and the page says so."""

MESSAGES_SHOWN = 12
ROLES = {"user": "User", "assistant": "Assistant", "tool": "Tool"}


def show_request(request: Request, *, height: int | None = None) -> None:
    """Show a request: the system prompt folded, then the turns.

    Args:
        request: What was asked.
        height: Pixels before a turn scrolls; None shows it whole.
    """
    system = [each for each in request.messages if each.role in ("system", "developer")]
    turns = [each for each in request.messages if each.role not in ("system", "developer")]
    if system:
        with st.expander("System prompt", icon=":material/settings:"):
            plain("\n\n".join(message_text(each) for each in system), limit=REQUEST_CHARS)
    if len(turns) > MESSAGES_SHOWN:
        st.caption(f"The last {MESSAGES_SHOWN} of {len(turns):,} turns.")
    for each in turns[-MESSAGES_SHOWN:]:
        if len(turns) > 1 or each.role != "user":
            st.caption(ROLES.get(each.role, "Other role"))
        plain(message_text(each), limit=REQUEST_CHARS, height=height)
    if request.tools:
        with st.expander(words.counted(len(request.tools), "tool") + " offered", icon=":material/build:"):
            plain(json.dumps(list(request.tools), ensure_ascii=False, indent=2), limit=REQUEST_CHARS)


def plain(text: str, *, limit: int = 20_000, height: int | None = None) -> None:
    """Show text from a log as it is, wrapped and cut to a number of characters.

    Args:
        text: Any text.
        limit: Characters shown.
        height: Pixels before it scrolls.
    """
    st.code(
        visible(capped(text, limit)) or "(empty)", language=None, wrap_lines=True, height=height or "content"
    )


def message_text(message: Message) -> str:
    """Return what a message says, its tool calls included."""
    if isinstance(message.content, str):
        parts = [message.content]
    else:
        parts = [_part_text(each) for each in message.content or []]
    parts += [tool_text(each) for each in message.tool_calls]
    return "\n".join(parts)


def output_text(output: Output | None) -> str:
    """Return what a model answered, its tool calls or the error in its place."""
    if output is None:
        return "(no answer recorded)"
    if output.error is not None:
        return f"(error: {told_error(output.error.kind)}) {output.error.message}"
    parts = [output.text] if output.text else []
    parts += [tool_text(each) for each in output.tool_calls]
    return "\n".join(parts) or "(empty answer)"


def tool_text(call: ToolCall) -> str:
    """Return a tool call as text: its name, then its arguments as JSON."""
    if isinstance(call.arguments, str):
        return f"{call.name}({call.arguments})"
    return f"{call.name}({json.dumps(call.arguments, ensure_ascii=False)})"


def fields_of(output: Output | None) -> Any | None:
    """Return an answer as a JSON value to compare by field: an object, or its tool calls."""
    if output is None or output.error is not None:
        return None
    if output.tool_calls:
        return {f"{index + 1}. {each.name}": each.arguments for index, each in enumerate(output.tool_calls)}
    return parsed(output.text)


def show_pair(control: Output | None, observed: Output, rules: Mapping[str, bool] | None = None) -> None:
    """Show both answers side by side with what differs: by field where both are JSON, else by word.

    Args:
        control: The frontier's answer.
        observed: The candidate's answer.
        rules: What the eval's field rules said, by path; None where it has none.
    """
    fields = fields_of(control), fields_of(observed)
    if fields[0] is not None and fields[1] is not None:
        show_fields(field_diff(*fields, rules))
        with st.expander("Both answers as text", icon=":material/notes:"):
            _show_words(output_text(control), output_text(observed))
        return
    _show_words(output_text(control), output_text(observed))


def show_fields(rows: Sequence[FieldRow]) -> None:
    """Show a comparison by field, the unequal ones first."""
    unequal = sum(map(is_unequal, rows))
    st.caption(f"{unequal:,} of {words.counted(len(rows), 'field')} differ.")
    frame = pd.DataFrame(
        [(row.path, row.control, row.candidate, row.state) for row in rows[:500]],
        columns=["Field", "Frontier", "Candidate", "State"],
    )
    st.dataframe(
        frame,
        hide_index=True,
        lazy=False,
        height=table_px(len(frame), 12),
        alt=f"Fields of both answers; {unequal} of {len(rows)} differ.",
    )


def _show_words(control: str, candidate: str) -> None:
    sides = word_diff(control, candidate)
    left, right = st.columns(2)
    left.caption("Frontier (control)", help=words.GLOSSARY["control"])
    markup.show(sides.left, left)
    right.caption("Candidate", help=words.GLOSSARY["candidate"])
    markup.show(sides.right, right)
    if control == candidate:
        st.caption("Both answers are the same, character for character.")
    else:
        st.caption(sides.unmarked or "Underlined: words that only this side has.")


def _part_text(part: Any) -> str:
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        return str(part["text"])
    kind = part.get("type", "part") if isinstance(part, dict) else "part"
    return f"({kind}, not shown)"


_BREAKS = re.compile(r"[^\S\u00a0\u202f]+")
"""White space at which a line may break."""
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:^=&])")


def quoted(text: str) -> str:
    """Return text for a place that reads Markdown, with every sign of it escaped."""
    return _MARKDOWN.sub(r"\\\1", _BREAKS.sub(" ", visible(text)).strip())
