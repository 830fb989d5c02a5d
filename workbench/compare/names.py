"""The names that a text holds, found by capital letters where these do not belong to the grammar."""

from __future__ import annotations

import re
from dataclasses import dataclass

from workbench.compare.values import MONTHS
from workbench.compare.words import (
    HONORIFICS,
    NO_PLACES,
    REPLIES,
    STOPWORDS,
    UNITS,
    WEEKDAYS,
    bare,
    listed,
    scale_of,
)

SHORT_VALUE_WORDS = 3
"""Up to this many words after a colon, or in a line of their own, are a value (`City: Rome`)."""
SHORT_SENTENCE_WORDS = 4
"""Up to this many capitalised words with a full stop are a sentence (`Ask Anna Schmidt.`), no title."""
TITLE, TITLE_NOUNS = 0.6, 0.8
"""A line with a larger share of capitalised words is a title; the second where all nouns are capitalised."""
MAX_VALUES = 50
"""A text of more lines is no list of values."""

_SENTENCE_END = re.compile(r"[.!?:;…。！？\n\"“”„(\[*#>•|\-–—]\s*$")
_AFTER_COLON = re.compile(r":\s*$")
_VALUE_LINE = re.compile(r"\W*[^\W\d_]+\W*:\s*\S")
_NAME = re.compile(r"[^\W\d_][\w'’&-]*")
_BULLET = re.compile(r"^\s*(?:\d{1,3}[.)]|[-*•])\s+")
_OPENER = re.compile(r"(?:^|[.!?…]\s+|\n)\W{0,3}([^\W\d_][\w'’-]+),?\s+([^\W\d_]+)")
_NAMED_DAYS = frozenset(
    (*WEEKDAYS, *(f"{day}s" for day in WEEKDAYS), *(each for each in MONTHS if len(each) > 3))
)
_NOUNS_CAPITALISED = frozenset({"de"})
_COMMON_ENDINGS = (
    *("ung", "ungen", "heit", "keit", "keiten", "schaft", "tion", "tionen", "ität", "gründen", "nis"),
)
_NO_OPENER = re.compile(r"(?:ing|ions?|ments?|ness|ties|ty|ance|ence|ery|ung|heit|keit|tion|ción|ité|dad)$")
_NOT_BESIDE = frozenset(
    {"sie", "ihnen", "ihre", "ihr", "ihren", "ihrer", "ihrem", "anfang", "mitte", "ende", "uhr"}
)
_NEVER_NAMES = frozenset({"i", "i'm", "i'll", "i've", "i'd", "ok"})
_AFTER_A_NAME = listed(
    "is was has had will can could would may must should does did and said says wrote called calls "
    "came comes ist war hat wird kann muss und sagte ruft kommt est était sera peut doit et dit va es "
    "está fue será puede debe y dice"
)
"""What follows a name that opens a sentence, and no order given to somebody (`Open the box`)."""
_COMMON = frozenset(bare(word) for words in STOPWORDS.values() for word in words)
_NO_SUBJECTS = listed(
    "it he she they we you this that these those there here what who which where when how why "
    "everything everyone someone nothing one all each the your our my his her their its yes no so and "
    "but or if as er sie es wir ihr das dies dieser diese man alles jeder hier dort was wer wie wo "
    "wann ich il elle on nous vous ils elles ce cela ceci tout ici qui que quoi où él ella ello "
    "nosotros ustedes usted esto eso todo aquí quien qué cómo order parcel package payment delivery "
    "shipment refund invoice account ticket customer"
)


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a text, without accents and in lower case.

    `within` stand inside of sentences. `values` are the words of a text that is a list of short values and
    nothing else (`Paris`). `openers` open a sentence, each with the word behind it.
    """

    within: frozenset[str] = frozenset()
    values: frozenset[str] = frozenset()
    openers: frozenset[tuple[str, str]] = frozenset()


def find_names(text: str, language: str | None) -> Names:
    """Return the names of a text.

    Args:
        text: The text without dates.
        language: Its language, where known: in German all nouns are capitalised.
    """
    return Names(_within(text, language), _values(text), _openers(text))


def lacking(these: Names, those: Names, words: frozenset[str], own: frozenset[str]) -> list[str]:
    """Return the names of one text that are nowhere among the words of the other, `Anna` in `Annas` aside.

    Values are looked for where both texts are nothing else, openers where both have one before the same word.

    Args:
        these: Of one text.
        those: Of the other.
        words: The words of the other.
        own: The words of the one.
    """

    def is_known(name: str) -> bool:
        return any(each in words for each in (name, f"{name}s", name.removesuffix("s")))

    found = {name for name in these.within if not is_known(name)}
    if these.values and those.values:
        found |= {
            name
            for name in these.values
            if not is_known(name)
            and name not in _COMMON
            and not any(_is_inflected(name, other) for other in those.values)
        }
    for name, behind in these.openers:
        others = [each for each, after in those.openers if after == behind]
        if others and not is_known(name) and all(each not in own for each in others):
            found.add(name)
    return sorted(found)


def _is_inflected(one: str, other: str) -> bool:
    """Say whether two words share most of their beginning: confirmed, confirmation."""
    same = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        same += 1
    return same >= max(5, max(len(one), len(other)) // 2)


def _values(text: str) -> frozenset[str]:
    """Return the words of a text of which every line is a few capitalised words; none of any other text."""
    lines = [_BULLET.sub("", line).strip().removesuffix(".") for line in text.split("\n") if line.strip()]
    if not 0 < len(lines) <= MAX_VALUES:
        return frozenset()
    found: set[str] = set()
    for line in lines:
        words = line.split()
        plain = [word.strip(",'’\"“”").casefold() for word in words]
        if not 0 < len(words) <= SHORT_VALUE_WORDS or not all(
            word[0].isupper() and word[-1].isalnum() and not any(map(str.isdigit, word)) for word in words
        ):
            return frozenset()
        if any(word in REPLIES or word in _NAMED_DAYS for word in plain):
            return frozenset()
        found.update(bare(part) for word in plain for part in re.split(r"['’\-]", word) if len(part) > 1)
    return frozenset(found)


def _openers(text: str) -> frozenset[tuple[str, str]]:
    """Return the words that open a sentence as a name does, each with the verb behind it."""
    found = set()
    for match in _OPENER.finditer(text):
        name, behind = match[1].casefold().removesuffix("'s"), match[2]
        if (
            match[1][0].isupper()
            and behind in _AFTER_A_NAME
            and name not in _NO_SUBJECTS
            and name not in REPLIES
            and name not in _NAMED_DAYS
            and not _NO_OPENER.search(name)
        ):
            found.add((bare(name), behind))
    return frozenset(found)


def _within(text: str, language: str | None) -> frozenset[str]:
    """Return the capitalised words that do not open a sentence or stand in a title line."""
    found = set()
    for line in text.split("\n"):
        words = list(_NAME.finditer(line))
        capital = sum(word.group()[0].isupper() for word in words)
        title = TITLE_NOUNS if language in _NOUNS_CAPITALISED else TITLE
        told = len(words) <= SHORT_SENTENCE_WORDS and line.rstrip().endswith(".")
        if len(words) > 1 and capital > title * len(words) and not _VALUE_LINE.match(line) and not told:
            continue
        for position, word in enumerate(words):
            name = word.group()
            if not name[0].isupper() or len(name) < 2:
                continue
            before = line[: word.start()]
            value = _AFTER_COLON.search(before) and len(words) - position <= SHORT_VALUE_WORDS
            if not before.strip() or (_SENTENCE_END.search(before) and not value):
                continue
            inner = any(letter.isupper() or letter.isdigit() for letter in name[1:])
            if language in _NOUNS_CAPITALISED and not (
                inner or value or _is_german_name(line, words, position)
            ):
                continue
            name = name.casefold().removesuffix("'s").strip("'&-")
            if (
                name in _NEVER_NAMES
                or name in REPLIES
                or name in UNITS
                or scale_of(name, language)
                or name in _NAMED_DAYS
                or any(letter.isdigit() for letter in name)
            ):
                continue
            found.add(name)
    return frozenset(bare(part) for name in found for part in re.split(r"['\-&]", name) if len(part) > 1)


def _is_german_name(line: str, words: list[re.Match[str]], position: int) -> bool:
    """Say whether a German noun is a name: behind a title, beside another one, or behind in, nach or aus.

    What looks like a common noun by its ending or is known to follow these words is none.
    """
    word = words[position].group().casefold()
    if word.endswith(_COMMON_ENDINGS) or word in NO_PLACES or word in UNITS:
        return False

    def beside(place: int) -> str:
        if not 0 <= place < len(words):
            return ""
        first, last = sorted((place, position))
        gap = line[words[first].end() : words[last].start()]
        return words[place].group() if gap.strip(".") == " " else ""

    before, after = beside(position - 1), beside(position + 1)
    if before.casefold() in HONORIFICS or before in ("in", "nach", "aus"):
        return True
    # Two nouns rarely stand side by side in German; first and last name do.
    capitals = [each for each in (before, after) if each[:1].isupper() and len(each) > 1]
    return any(
        each.casefold() not in _NOT_BESIDE and each.casefold() not in _NAMED_DAYS
        for each in capitals
        if not (each == before and position == 1)
    )
