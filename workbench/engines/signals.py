"""How sure a model was, from its log-probabilities: signals in 0..1."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.engines.reasoning import split_reasoning
from workbench.normal import as_number

QUANTILE = 0.10
"""Low quantile of the tokens: not their sum or mean, which favour short answers (Gupta et al. 2024)."""

ABOVE_ZERO = 1e-3
"""A log-probability this little above 0 is rounding; more is none."""

LABEL_TOKENS = 500
"""A label is decided within so many tokens of the answer, or not at all: what a model that repeats
itself writes is read anew with each token."""

_QUOTES = "\"'`*_“”„‘’«»"
"""What models like to put around an answer."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token of an answer: its text, its log-probability, and the likeliest in its place."""

    text: str
    logprob: float | None
    tops: Mapping[str, float | None] = field(default_factory=dict)
    raw: bytes | None = None


def probability(logprob: float | None) -> float | None:
    """Return a probability, or None for what is no log-probability (NaN, above 0)."""
    if logprob is None or math.isnan(logprob) or logprob > ABOVE_ZERO:
        return None
    return min(math.exp(logprob), 1.0)


def token_quantile(logprobs: Sequence[float | None]) -> float | None:
    """Return the 10 % quantile of the tokens' probabilities, nearest rank.

    Returns:
        A probability, or None where a token lacks its own.
    """
    found = [probability(each) for each in logprobs]
    if not found or None in found:
        return None
    ordered = sorted(each for each in found if each is not None)
    return ordered[max(math.ceil(QUANTILE * len(ordered)) - 1, 0)]


def margin(shares: Mapping[str, float], given: str) -> float | None:
    """Return how far the given answer lies before the next likeliest, all normalised to sum to 1.

    At a temperature above 0 another answer may be the likeliest one: then the margin is 0,
    for the model was sure of that one and not of this.
    """
    total = sum(shares.values())
    if len(shares) < 2 or total <= 0:
        return None
    second = max(share for label, share in shares.items() if label != given)
    return max(shares[given] - second, 0.0) / total


def label_margin(tokens: Sequence[Token], names: Mapping[str, str], opening: str = "") -> float | None:
    """Return the margin of the given label over the next best, read off the first deciding token.

    Case, spaces and quotes before a label don't count, unless labels differ in them.
    Where one label is the beginning of another (spam, spam risk), the token behind it
    decides: what goes on as no other label means that the shorter one has ended.
    A label that is not among the likeliest counts with the most that it can have: servers
    that hold an answer to labels may tell what the model would have written freely
    (llama.cpp does), where the other labels often stand too far down to be told.

    Args:
        tokens: The answer, with the likeliest tokens at each place.
        names: What may be written, each with the label it stands for.
        opening: What stands before the label and is no part of it, as in `{"label": "`.

    Returns:
        The margin over the allowed labels, 0..1. None where the likeliest tokens
        do not tell the labels apart, for example where the answer ends on a label
        that another one begins with, or where one of them is NaN or above 0.
    """
    reader = _Beginnings(names, opening)
    written, path, unseen = "", 1.0, 0.0
    shares = dict.fromkeys(names.values(), 0.0)
    for token in tokens[:LABEL_TOKENS]:
        own = probability(token.logprob)
        if own is None:
            return None
        listed = dict(token.tops) | {token.text: token.logprob}
        has_begun = reader.has_begun(written + token.text)
        if has_begun:
            unseen = max(unseen, path * _most_unseen(token, listed))
        for text, logprob in listed.items():
            label = reader.only(written, text)
            share = probability(logprob)
            if share is None and logprob is not None and (has_begun or label is not None):
                return None
            if label is not None and share is not None:
                shares[label] += path * share
        decided = reader.only(written, token.text)
        written, path = written + token.text, path * own
        if decided is not None:
            absent = next((label for label, share in shares.items() if not share), None)
            return margin(shares if absent is None else shares | {absent: unseen}, decided)
        if reader.is_astray(written) or len(written) > reader.longest:
            return None
    return None


def _most_unseen(token: Token, listed: Mapping[str, float | None]) -> float:
    """Return the most that a token which is not listed can have: no more than any of the likeliest.

    One that is listed without its log-probability proves nothing: it may have all that is left.
    """
    found = [probability(each) or 0.0 for each in listed.values()]
    likeliest = [share for text in token.tops if (share := probability(listed[text])) is not None]
    return max(min([*likeliest, 1.0 - sum(found)]), 0.0)


class _Beginnings:
    """Which label the beginning of an answer can still become."""

    def __init__(self, names: Mapping[str, str], opening: str) -> None:
        folded: dict[str, set[str]] = {}
        for name, label in names.items():
            folded.setdefault(name.casefold(), set()).add(label)
        # "NO" and "No" may be two labels: then case tells them apart.
        self._fold: Callable[[str], str] = (
            str.casefold if all(len(each) == 1 for each in folded.values()) else str
        )
        self._names = {self._fold(name): label for name, label in names.items()}
        starts = {name[:1] for name in self._names}
        self._before = "".join(each for each in _QUOTES if each not in starts)
        self._opening = opening.split()
        self.longest = LABEL_TOKENS + len(opening) + max(map(len, names), default=0)

    def _bare(self, written: str) -> str | None:
        """Return what of a label is written, or None before it begins and off the track."""
        rest = written.lstrip()
        for part in self._opening:
            if not rest.startswith(part):
                return None
            rest = rest[len(part) :].lstrip()
        return self._fold(rest.lstrip(" \t\r\n" + self._before))

    def has_begun(self, written: str) -> bool:
        """Say whether something of a label is written."""
        return bool(self._bare(written))

    def only(self, written: str, text: str) -> str | None:
        """Return the one label that a beginning and the next token can still become."""
        begun = self._bare(written + text)
        if not begun:
            return None
        if not text:
            # Marks of the end are shown as nothing: what is written is all there is.
            return self._names.get(begun.rstrip())
        meant = {label for name, label in self._names.items() if name.startswith(begun)}
        if meant:
            return meant.pop() if len(meant) == 1 else None
        before = self._bare(written)
        return self._names.get(before.rstrip()) if before else None

    def is_astray(self, written: str) -> bool:
        """Say whether no label can come of it any more."""
        begun = self._bare(written)
        if begun is None:
            joined = "".join(self._opening)
            bare = "".join(written.split())
            return not joined.startswith(bare[: len(joined)])
        return bool(begun) and not any(name.startswith(begun) for name in self._names)


def read_tokens(logprobs: Any, has_nan: bool = False) -> list[Token] | None:
    """Read the log-probabilities of a choice.

    Args:
        logprobs: Chat completions' own form (`content`), or the older one with `tokens`,
            `token_logprobs` and `top_logprobs` side by side, as some servers still send.
        has_nan: The reply held NaN, replaced by None: an alternative without a number is it.

    Returns:
        The tokens, or None where there are none that can be read.
    """
    if not isinstance(logprobs, dict):
        return None
    content = logprobs.get("content")
    if isinstance(content, list) and content:
        found = [_token(each, has_nan) for each in content if isinstance(each, dict)]
        return found if len(found) == len(content) else None
    texts, values = logprobs.get("tokens"), logprobs.get("token_logprobs")
    if not isinstance(texts, list) or not isinstance(values, list) or len(texts) != len(values):
        return None
    tops = logprobs.get("top_logprobs")
    beside = tops if isinstance(tops, list) and len(tops) == len(texts) else [None] * len(texts)
    return [
        Token(
            str(text),
            as_number(value),
            {str(key): _other(item, has_nan) for key, item in top.items()} if isinstance(top, dict) else {},
        )
        for text, value, top in zip(texts, values, beside, strict=True)
    ] or None


def lacks_a_number(logprobs: Any) -> bool:
    """Say whether the log-probability of a token that the model chose itself is no number.

    Where the reply held NaN, it was this: the model's arithmetic overflowed, and what it wrote
    is no choice of its own. Among the alternatives it would say nothing.

    Args:
        logprobs: As for `read_tokens`, NaN replaced by None.
    """
    if not isinstance(logprobs, dict):
        return False
    content, values = logprobs.get("content"), logprobs.get("token_logprobs")
    rows = [each for each in content if isinstance(each, dict)] if isinstance(content, list) else []
    # In the older form the first token may be the prompt's, which nothing comes before.
    chosen = [each.get("logprob", 0.0) for each in rows] + (values[1:] if isinstance(values, list) else [])
    return None in chosen


def _other(value: Any, has_nan: bool) -> float | None:
    """Return the log-probability of an alternative: NaN where it is, or was, that."""
    is_nan = (isinstance(value, float) and math.isnan(value)) or (has_nan and value is None)
    return math.nan if is_nan else as_number(value)


def _token(item: dict[str, Any], has_nan: bool) -> Token:
    raw = item.get("top_logprobs")
    others = [each for each in raw if isinstance(each, dict)] if isinstance(raw, list) else []
    tops = {str(each.get("token", "")): _other(each.get("logprob"), has_nan) for each in others}
    return Token(
        str(item.get("token", "")), as_number(item.get("logprob")), tops, _bytes_of(item.get("bytes"))
    )


def _bytes_of(value: Any) -> bytes | None:
    if not isinstance(value, list):
        return None
    try:
        return bytes(value)
    except (TypeError, ValueError):
        return None


def answer_tokens(tokens: Sequence[Token], answer: str | None, has_reasoning: bool) -> Sequence[Token]:
    """Return the tokens that spell an answer, without those of the reasoning before it.

    Args:
        tokens: Everything the model wrote, as the server tells.
        answer: The text of the answer; None where it is tool calls.
        has_reasoning: Whether the reply holds reasoning beside the answer.

    Returns:
        The answer's tokens; none where they can't be told from the reasoning's.
    """
    whole = "".join(each.text for each in tokens)
    if whole == answer or (answer is None and not has_reasoning):
        return tokens
    pieces: list[str] | list[bytes] = [each.text for each in tokens]
    if answer is not None and answer.strip():
        wanted = answer.strip()
        start = whole.rfind(wanted)
        if start >= 0:
            return _within(tokens, pieces, start, start + len(wanted))
        raw = [each.raw if each.raw is not None else each.text.encode() for each in tokens]
        start = b"".join(raw).rfind(wanted.encode())
        if start >= 0:
            return _within(tokens, raw, start, start + len(wanted.encode()))
    elif answer is None:
        thoughts, rest = split_reasoning(whole)
        start = len(whole) - len(rest)
        return _within(tokens, pieces, start, len(whole)) if thoughts and rest else ()
    return () if has_reasoning else tokens


def _within(
    tokens: Sequence[Token], pieces: Sequence[str] | Sequence[bytes], start: int, end: int
) -> Sequence[Token]:
    found, place = [], 0
    for token, piece in zip(tokens, pieces, strict=True):
        after = place + len(piece)
        if after > start and place < end:
            found.append(token)
        place = after
    return found
