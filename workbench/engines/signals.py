"""How sure a model was, from its log-probabilities: signals in 0..1."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

QUANTILE = 0.10
"""Low quantile of the tokens: not their sum or mean, which favour short answers (Gupta et al. 2024)."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token of an answer: its text, its log-probability, and the likeliest in its place."""

    text: str
    logprob: float | None
    tops: Mapping[str, float | None] = field(default_factory=dict)


def probability(logprob: float | None) -> float | None:
    """Return a probability, or None for what is no log-probability (NaN, above 0)."""
    if logprob is None or math.isnan(logprob) or logprob > 1e-3:
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


def margin(shares: Mapping[str, float]) -> float | None:
    """Return the distance of the two likeliest after normalising all to sum to 1."""
    total = sum(shares.values())
    if len(shares) < 2 or total <= 0:
        return None
    best, second = sorted(shares.values(), reverse=True)[:2]
    return (best - second) / total


def label_margin(tokens: Sequence[Token], names: Mapping[str, str]) -> float | None:
    """Return the margin between the two best allowed labels, read off the first deciding token.

    Args:
        tokens: The answer, with the likeliest tokens at each place.
        names: What may be written, each with the label it stands for.

    Returns:
        The margin over the allowed labels, 0..1. None where the likeliest tokens
        do not tell the labels apart, for example where two labels start alike.
    """
    written, path = "", 1.0
    shares = dict.fromkeys(names.values(), 0.0)
    for token in tokens:
        own = probability(token.logprob)
        if own is None:
            return None
        for text, logprob in (dict(token.tops) | {token.text: token.logprob}).items():
            label = _only_label(written + text, names)
            share = probability(logprob)
            if label and share is not None:
                shares[label] += path * share
        written, path = written + token.text, path * own
        begun = written.strip().casefold()
        if begun and _only_label(written, names):
            return margin(shares)
        if begun and not any(name.casefold().startswith(begun) for name in names):
            return None
    return None


def _only_label(written: str, names: Mapping[str, str]) -> str | None:
    """Return the one label that a beginning can still become, or None for none or several."""
    begun = written.strip().casefold()
    meant = {label for name, label in names.items() if begun and name.casefold().startswith(begun)}
    return meant.pop() if len(meant) == 1 else None
