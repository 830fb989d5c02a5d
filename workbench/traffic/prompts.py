"""A request as the texts that its workload is told by, and what the prompts of a workload share. Pure."""

from __future__ import annotations

import bisect
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from workbench.normal import last_user_text, message_text, system_text
from workbench.records import Message, Request

CHANNELS = ("system_prompt", "tools", "input", "first_input")
"""Parts of a request that are looked at; each is a key of a match rule."""
SHINGLE = 3
"""Tokens of the pieces that are counted."""
HEAD_TOKENS, TAIL_TOKENS = 400, 200
"""Of a longer text only its beginning and its end are looked at."""
CHARS_READ = 20_000
"""Of each end of a text where templates are looked for; a phrase once found is looked up in all of it."""

_WIDE = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
_TOKEN = re.compile(rf"\d+|[{_WIDE}]|[^\W\d_{_WIDE}]+|_+|[^\w\s]")
LATIN = re.compile(rf"[^\W\d_{_WIDE}]+")
START, END = "\x02", "\x03"
DIGITS = "\x00"

Piece = tuple[int, tuple[str, ...]]
Tokens = list[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a request says, by channel."""

    system_prompt: str
    tools: str
    input: str
    first_input: str

    @property
    def whole(self) -> str:
        """Return all that the request says."""
        return "\n".join(getattr(self, each) for each in CHANNELS).strip()


def prompt_of(request: Request) -> Prompt:
    """Return the channels of a request."""
    return Prompt(
        system_text(request.messages),
        tool_names(request),
        last_user_text(request.messages),
        first_user_text(request.messages),
    )


def first_user_text(messages: tuple[Message, ...]) -> str:
    """Return the text of the first user message, or an empty text."""
    return next((message_text(each) for each in messages if each.role == "user"), "")


def tool_names(request: Request) -> str:
    """Return the names of the tools that a request offers, in order, with spaces between."""
    names = []
    for tool in request.tools:
        inner = tool.get("function")
        named = inner if isinstance(inner, dict) else tool
        names.append(str(named.get("name") or tool.get("type") or "tool"))
    return " ".join(sorted(names))


def tokens_of(prompt: Prompt, *, numbers: bool = False) -> Tokens:
    """Return the tokens of each channel, with marks for its start and end.

    Args:
        prompt: The prompt.
        numbers: Whether numbers are told apart; else all are alike.
    """
    found: Tokens = []
    for channel in CHANNELS:
        text: str = getattr(prompt, channel)
        if len(text) > 2 * CHARS_READ:
            text = f"{text[:CHARS_READ]}\n{text[-CHARS_READ:]}"
        tokens = [each[0] if numbers else _plain(each[0]) for each in _TOKEN.finditer(text)]
        whole = (START, *tokens, END) if tokens else ()
        if len(whole) > HEAD_TOKENS + TAIL_TOKENS:
            whole = whole[:HEAD_TOKENS] + whole[-TAIL_TOKENS:]
        found.append(whole)
    return found


def _plain(token: str) -> str:
    return DIGITS if token.isdigit() else token


def pieces_of(doc: Tokens) -> Iterator[Piece]:
    """Return each run of `SHINGLE` tokens with the place of its channel."""
    for channel, tokens in enumerate(doc):
        for start in range(len(tokens) - SHINGLE + 1):
            yield channel, tokens[start : start + SHINGLE]


@dataclass(frozen=True, slots=True)
class Constant:
    """What the prompts of a workload share. `text` has … where they differ.

    `prefix_chars` counts the characters from the start of the prompt up to the first that differ: what
    a provider's prompt cache can hold.
    """

    text: str = ""
    prefix_chars: float = 0.0


def constant_part(prompts: Sequence[Prompt], *, share: float = 0.95, limit: int = 2_000) -> Constant:
    """Return the constant part of prompts of one kind.

    Args:
        prompts: Some of them; different requests.
        share: A piece is constant from this share of the prompts on, 0..1.
        limit: Characters of the text at most.
    """
    if not prompts:
        return Constant()
    raw = [tokens_of(each, numbers=True) for each in prompts]
    docs = [[tuple(map(_plain, channel)) for channel in doc] for doc in raw]
    counts: Counter[Piece] = Counter()
    for doc in docs:
        counts.update(set(pieces_of(doc)))
    enough = max(share * len(docs), 1)
    constant = {piece for piece, count in counts.items() if count >= enough}
    exact = Counter(
        piece for doc in raw for piece in set(pieces_of(doc)) if any(token.isdigit() for token in piece[1])
    )
    same = {piece for piece, count in exact.items() if count >= enough}
    model, _ = max(
        zip(prompts, docs, strict=True),
        key=lambda pair: (sum(piece in constant for piece in pieces_of(pair[1])), pair[1]),
    )
    shown, prefix, unbroken = [], 0.0, True
    for channel in ("system_prompt", "input"):
        text: str = getattr(model, channel)[:CHARS_READ]
        if not text:
            continue
        spans = _constant_spans(text, CHANNELS.index(channel), constant)
        if unbroken and spans and spans[0][0] == 0:
            prefix += spans[0][1]
        unbroken = unbroken and bool(spans) and spans[0] == (0, len(text.rstrip()))
        if said := _with_gaps(text, spans, _varying(text, CHANNELS.index(channel), spans, same)):
            shown.append(said)
    text = "\n\n".join(shown)
    return Constant(
        text if len(text) <= limit else text[: limit - 1] + "…", min(prefix, _shared(prompts, model, share))
    )


def _shared(prompts: Sequence[Prompt], model: Prompt, share: float) -> float:
    """Return how many characters this share of the prompts begin with as one of them does.

    As pieces, all numbers are alike; to a cache, two numbers are two beginnings.
    """
    lengths = sorted((_alike(each, model) for each in prompts), reverse=True)
    return float(lengths[math.ceil(share * len(lengths)) - 1])


def _alike(one: Prompt, other: Prompt) -> int:
    """Return the characters up to the first that differs."""
    alike = 0
    for channel in ("system_prompt", "input"):
        left, right = (getattr(each, channel)[:CHARS_READ] for each in (one, other))
        if left != right:
            return alike + bisect.bisect_left(
                range(min(len(left), len(right))), True, key=lambda end: left[: end + 1] != right[: end + 1]
            )
        alike += len(left)
    return alike


def _constant_spans(text: str, channel: int, constant: set[Piece]) -> list[tuple[int, int]]:
    found = list(_TOKEN.finditer(text))
    tokens = [START, *(_plain(each[0]) for each in found), END]
    covered = [False] * len(tokens)
    for start in range(len(tokens) - SHINGLE + 1):
        if (channel, tuple(tokens[start : start + SHINGLE])) in constant:
            covered[start : start + SHINGLE] = [True] * SHINGLE
    spans: list[tuple[int, int]] = []
    for index, token in enumerate(found):
        if not covered[index + 1]:
            continue
        begin = 0 if index == 0 else token.start()
        if spans and covered[index] and index:
            spans[-1] = (spans[-1][0], token.end())
        else:
            spans.append((begin, token.end()))
    return spans


def _varying(
    text: str, channel: int, spans: Sequence[tuple[int, int]], same: set[Piece]
) -> list[tuple[int, int]]:
    """Return where numbers stand in constant text that differ from prompt to prompt, as dates and ids do."""
    found = list(_TOKEN.finditer(text))
    tokens = [START, *(each[0] for each in found), END]
    settled: set[int] = set()
    for start in range(len(tokens) - SHINGLE + 1):
        if (channel, tuple(tokens[start : start + SHINGLE])) in same:
            settled.update(range(start, start + SHINGLE))
    return [
        each.span()
        for index, each in enumerate(found, 1)
        if each[0].isdigit()
        and index not in settled
        and any(begin <= each.start() < end for begin, end in spans)
    ]


def _with_gaps(text: str, spans: Sequence[tuple[int, int]], varying: Sequence[tuple[int, int]]) -> str:
    if not spans:
        return ""
    said, at = "", 0
    for begin, end in spans:
        kept, here = "", begin
        for left, right in varying:
            if begin <= left < end:
                kept, here = kept + text[here:left] + "…", right
        said += ("… " if text[at:begin].strip() else "") + kept + text[here:end]
        said += " " if end < len(text.rstrip()) else ""
        at = end
    return (said + ("…" if text[at:].strip() else "")).strip()
