"""Prompt patches: what a candidate is asked otherwise than the control was. Pure functions.

Small models want shorter, more direct prompts. A patch changes the system prompt, shows
solved examples, sets the response format, or adds a last word; all else of the request
reaches the candidate as the log has it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from workbench.errors import UsageError
from workbench.normal import canonical_json, message_text
from workbench.records import Message, Request
from workbench.specs import PromptPatch

SYSTEM_ROLES = ("system", "developer")
TOOL_DONE = "ok"
"""What a tool answers in an example: servers refuse a tool call that nothing answers."""
TRIM_S = 2.0
"""One pattern may search one text for so long: some patterns take for ever on some texts."""

Content = str | list[dict[str, Any]] | None


@dataclass(frozen=True, slots=True)
class Example:
    """A solved call: what its user asked last, and what the control answered."""

    asked: Message
    answered: Message


def apply_patch(request: Request, patch: PromptPatch, examples: Sequence[Example] = ()) -> Request:
    """Return the request as a candidate with this patch is asked it.

    Args:
        request: What the control was asked; it stays as it is.
        patch: The changes. `system` stands in place of the first system message and of
            those right behind it; an empty one takes them out. A request without a system
            message gets one in front. `system_trim` is taken out of every system message,
            the replaced one excepted; one that is left empty goes. `suffix` is put behind
            the last user message, after an empty line unless it starts with white space;
            without a user message it becomes one.
        examples: Shown behind the system messages that the request begins with.

    Returns:
        A new request, or the same one where nothing changes. Messages that the patch does
        not name are the log's own, in their order.
    """
    messages = list(request.messages)
    if patch.system_trim and patch.system is None:
        messages = _trimmed(messages, patch.system_trim)
    if patch.system is not None:
        messages = _with_system(messages, patch.system, patch.system_trim)
    if patch.suffix.strip():
        messages = _with_suffix(messages, patch.suffix)
    if examples:
        place = next((i for i, each in enumerate(messages) if each.role not in SYSTEM_ROLES), len(messages))
        messages[place:place] = [turn for example in examples for turn in turns_of(example)]
    response_format = request.response_format if patch.response_format is None else patch.response_format
    if tuple(messages) == request.messages and response_format == request.response_format:
        return request
    return replace(request, messages=tuple(messages), response_format=response_format)


def turns_of(example: Example) -> list[Message]:
    """Return an example as turns: the question, the answer, and a short reply to each tool called."""
    replies = [Message("tool", TOOL_DONE, tool_call_id=call.id) for call in example.answered.tool_calls]
    return [example.asked, example.answered, *replies]


def _with_system(messages: list[Message], text: str, trims: Sequence[str]) -> list[Message]:
    start = next((i for i, each in enumerate(messages) if each.role in SYSTEM_ROLES), None)
    if start is None:
        return [Message("system", text), *messages] if text else messages
    end = start
    while end < len(messages) and messages[end].role in SYSTEM_ROLES:
        end += 1
    own = [Message(messages[start].role, text)] if text else []
    return [*messages[:start], *own, *_trimmed(messages[end:], trims)]


def _trimmed(messages: list[Message], trims: Sequence[str]) -> list[Message]:
    found = []
    for message in messages:
        if message.role in SYSTEM_ROLES:
            content = _trim(message.content, trims)
            if content != message.content:
                if not content:
                    continue
                message = replace(message, content=content)
        found.append(message)
    return found


def trim(pattern: str, text: str) -> str:
    """Return a text without what a pattern of `system_trim` matches.

    Raises:
        UsageError: It takes longer than `TRIM_S`, as nested repeats can on some texts.
    """
    try:
        return str(_compiled(pattern).sub("", text, timeout=TRIM_S))
    except TimeoutError:
        raise UsageError(
            f"patch.system_trim {pattern!r} takes more than {TRIM_S:g} s on one system prompt of "
            f"{len(text):,} characters.",
            "Write it without one repeat inside another, such as (a+)+.",
        ) from None


@functools.lru_cache(maxsize=256)
def _compiled(pattern: str) -> Any:
    # Unlike `re` it can be told when to give up; loaded only where a patch trims.
    import regex

    return regex.compile(pattern, regex.VERSION0)


def _trim(content: Content, patterns: Sequence[str]) -> Content:
    if isinstance(content, str):
        text = content
        for pattern in patterns:
            text = trim(pattern, text)
        return content if text == content else text.strip()
    if content is None:
        return None
    parts = []
    for part in content:
        whole = part.get("text")
        short = _trim(whole, patterns) if isinstance(whole, str) else whole
        if short == whole:
            parts.append(part)
        elif short:
            parts.append(part | {"text": short})
    return parts


def _with_suffix(messages: list[Message], suffix: str) -> list[Message]:
    for place in range(len(messages) - 1, -1, -1):
        if messages[place].role == "user":
            content = _behind(messages[place].content, suffix)
            return [
                *messages[:place],
                replace(messages[place], content=content),
                *messages[place + 1 :],
            ]
    return [*messages, Message("user", suffix.strip())]


def _behind(content: Content, suffix: str) -> Content:
    if not content:
        return suffix.strip()
    between = "" if suffix[0].isspace() else "\n\n"
    if isinstance(content, str):
        return content + between + suffix
    last = content[-1]
    if isinstance(last.get("text"), str):
        return [*content[:-1], last | {"text": last["text"] + between + suffix}]
    return [*content, {"type": "text", "text": suffix.strip()}]


def characters(request: Request) -> int:
    """Count what a model reads: texts, and the arguments of tool calls."""
    return sum(
        len(message_text(each)) + sum(len(canonical_json(call.arguments)) for call in each.tool_calls)
        for each in request.messages
    )
