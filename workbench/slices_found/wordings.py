"""Templates of prompts, and names of clusters from their most telling words."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.slices import OTHER, RARE_CALLS, UNKNOWN, rare_as_other

NAME_WORDS = 3
SHOWN_CHARS = 60
MASKED_CHARS = 4_000
"""So much of a text makes its template: a log may hold one of a megabyte."""

_QUOTED = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]+`|\"[^\"\n]+\"|“[^”\n]+”|„[^“”\n]+[“”]|«[^»\n]+»|‘[^’\n]+’|(?<!\w)'[^'\n]+'(?!\w)",
    re.DOTALL,
)
# Each begins where a word does and gives nothing back, so that a long word costs one look.
_ADDRESS = re.compile(r"https?://\S+|(?<!\S)[^\s@]++@\S+\.\w+")
_NUMBER = re.compile(r"(?<!\w)[^\W\d]*+\d(?:[\w.,:/-]*\w)?")
_WORD = re.compile(r"[^\W\d_]{4,}")
_SENTENCE_END = (".", "!", "?", ":", ";")


def masked(text: str) -> str:
    """Return a text with quoted text as “…”, numbers as #, addresses as @ and names as ¤.

    A name is a capitalised word inside a sentence; names in a row are one. Of a long text the beginning
    is taken.
    """
    text = _QUOTED.sub("“…”", text[:MASKED_CHARS])
    text = _ADDRESS.sub("@", text)
    text = _NUMBER.sub("#", text)
    found: list[str] = []
    for line in text.splitlines():
        inside = False
        for word in line.split():
            capital = word[0].isupper() and (word[1:2].islower() or len(word) == 1)
            if inside and capital:
                if found[-1] != "¤":
                    found.append("¤")
            elif not (word == "#" and found and found[-1] == "#"):
                found.append(word)
            inside = not word.endswith(_SENTENCE_END)
    return " ".join(found)


def templates(systems: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Return the template of each call, named by how it begins.

    Where the calls have several system prompts that are not just one filled in differently,
    the masked system prompt is the template; otherwise the masked first line of the input.

    Args:
        systems: System prompt of each call.
        texts: Input of each call.
    """
    whole = {text: masked(text) for text in set(systems)}
    shapes = [whole[text] for text in systems]
    if len({each for each in rare_as_other(shapes) if each != OTHER}) < 2:
        first = {text: masked(next(iter(text.strip().splitlines()), "")) for text in set(texts)}
        shapes = [first[text] for text in texts]
    named = _named(Counter(shapes))
    return [named[shape] for shape in shapes]


def _named(shapes: Counter[str]) -> dict[str, str]:
    excerpts = Counter(_excerpt(shape) for shape, n in shapes.items() if n >= RARE_CALLS)
    found = {}
    for shape in shapes:
        excerpt = _excerpt(shape)
        several = excerpts[excerpt] > 1
        code = hashlib.sha256(shape.encode("utf-8", "surrogatepass")).hexdigest()[:4]
        found[shape] = f"{excerpt} ({code})" if several else excerpt
    return found


def _excerpt(shape: str) -> str:
    if not shape:
        return UNKNOWN
    return shape if len(shape) <= SHOWN_CHARS else f"{shape[: SHOWN_CHARS - 1].rstrip()}…"


def names_of(texts: Sequence[str], cluster: NDArray[np.int64]) -> list[str]:
    """Return a name for each cluster: its three most telling words.

    A word tells by how often it is in the cluster's texts times log(1 + A / f), where f
    is how often it is in all of them and A the mean number of words of a cluster
    (class-based tf-idf, Grootendorst 2022). Each text counts a word once.

    Args:
        texts: The inputs.
        cluster: The cluster of each, 0, 1, ...
    """
    count = int(cluster.max()) + 1 if len(cluster) else 0
    words: list[Counter[str]] = [Counter() for _ in range(count)]
    for text, place in zip(texts, cluster.tolist(), strict=True):
        words[place].update({word.lower() for word in _WORD.findall(text)})
    everywhere: Counter[str] = Counter()
    for each in words:
        everywhere.update(each)
    mean = everywhere.total() / max(count, 1)
    found: list[str] = []
    for place, own in enumerate(words):
        total = max(own.total(), 1)
        weight = {word: n / total * np.log1p(mean / everywhere[word]) for word, n in own.items()}
        best = sorted(weight, key=lambda word: (-weight[word], word))[:NAME_WORDS]
        name = ", ".join(best) or f"cluster {place + 1}"
        found.append(name if name not in found else f"{name} ({place + 1})")
    return found
