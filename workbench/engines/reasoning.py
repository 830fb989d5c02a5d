"""Reasoning kept apart from the answer, where a server leaves it in the answer's text."""

from __future__ import annotations

import re
from collections.abc import Iterable

from workbench.normal import message_text
from workbench.records import Message

REASONING_KEYS = ("reasoning_content", "reasoning", "thinking")
"""Fields of a message that hold reasoning."""
_NAMES = r"(?:think|thinking|thought|reasoning|seed:think)"
_OPENING = re.compile(rf"\s*(?:<{_NAMES}>|\[THINK\]|◁think▷)", re.IGNORECASE)
_CLOSING = re.compile(rf"</{_NAMES}>|\[/THINK\]|◁/think▷", re.IGNORECASE)
_TAG = re.compile(rf"</?{_NAMES}>|\[/?THINK\]|◁/?think▷", re.IGNORECASE)


def speaks_of_tags(messages: Iterable[Message]) -> bool:
    """Say whether a user wrote such a tag: then a tag in the answer may be meant as it stands."""
    return any(each.role == "user" and _TAG.search(message_text(each)) for each in messages)


def begins_with_tag(text: str) -> bool:
    """Say whether a tag of reasoning, opening or closing, leads a text."""
    return _TAG.match(text.lstrip()) is not None


def split_reasoning(text: str) -> tuple[str | None, str]:
    """Take the reasoning off the front of an answer.

    Only what leads is reasoning: blocks one behind the other, a block that never closes,
    and what stands before a closing tag whose opening one the chat template had written
    into the prompt. Tags further on belong to the answer.

    Args:
        text: The content of a reply.

    Returns:
        The reasoning without its tags (None where there is none), and the answer.
    """
    thoughts: list[str] = []
    rest = text
    while opening := _OPENING.match(rest):
        closing = _CLOSING.search(rest, opening.end())
        if closing is None:
            thoughts.append(rest[opening.end() :])
            rest = ""
            break
        thoughts.append(rest[opening.end() : closing.start()])
        rest = rest[closing.end() :]
    if not thoughts:
        first = _TAG.search(text)
        if first is None or not _CLOSING.fullmatch(first.group()):
            return None, text
        thoughts.append(text[: first.start()])
        rest = text[first.end() :]
    found = "\n\n".join(each.strip() for each in thoughts if each.strip())
    return found or None, rest.lstrip()
