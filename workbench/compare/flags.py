"""What two texts contradict each other in, however similar an embedding finds them.

Negated sentences keep a mean cosine of about .9, and so do texts that differ in
one digit. A contradiction flag turns such a pair into a mismatch, which decides
where people look first; it proves nothing by itself. Every flag is symmetric.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from workbench.compare.judgement import is_refusal
from workbench.compare.values import DATE_TEXT, as_number, date_of
from workbench.compare.words import ANY_NEGATION, NEGATIONS, NUMBER_WORDS, STOPWORDS, UNITS

CONTRADICTIONS = ("numbers", "dates", "negation", "names")
"""Flags that turn a similar pair into a mismatch."""
NOTES = ("length", "refusal", "language")
"""Flags that are shown and leave the verdict alone."""

SHORT_WORDS = 40
"""Up to this length the number of negations counts; beyond, only whether there is one."""
SHORT_VALUE_WORDS = 3
"""Up to this many words after a colon are a value (`City: Rome`), more are a sentence."""
LENGTH_RATIO, LENGTH_FLOOR_CHARS = 2.0, 40

PREFIXES = ("un", "in", "im", "ir", "il", "dis", "non", "non-")
SHORTEST_STEM = 4

_NUMBER = re.compile(
    r"(?P<before>[$€£¥₹])?\s?(?<![\w.])(?P<number>[+−-]?(?:\d{1,3}(?:[,.'’\u00a0\u202f]\d{3})+(?:[.,]\d+)?|\d+(?:[.,]\d+)?))"
    r"(?P<unit>\s?(?:%|‰|°[CF]?|[$€£¥₹]|[^\W\d_]+)?)"
)
_CLOCK = re.compile(
    r"\b(\d{1,2}):(\d{2})(?::\d{2})?(?:\s*([ap])\.?m\b\.?)?|\b(\d{1,2})\s*([ap])\.?m\b\.?", re.IGNORECASE
)
_ENUMERATION = re.compile(r"^\s*(?:\d{1,3}[.)]|[-*•])\s+(?=\S)", re.MULTILINE)
_CHOICE = re.compile(r"(\w+)\**\s*[:=]\s*\**\(?([A-Z])\b(?!['’.]\w)")
_WORD = re.compile(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*")
_SENTENCE_END = re.compile(r"[.!?:;…。！？\n\"“”„(\[*#>•|\-–—]\s*$")
_AFTER_COLON = re.compile(r":\s*$")
_NAME = re.compile(r"[^\W\d_][\w'’&-]*")

_CJK_NEGATION = re.compile(r"[不没沒無无非未莫]|(?:ない|ません|なかった|なく)|(?:않|없|못|아니)")

_NOUNS_CAPITALISED = frozenset({"de"})
_NEVER_NAMES = frozenset({"i", "i'm", "i'll", "i've", "i'd", "ok"})


@dataclass(frozen=True, slots=True)
class Contents:
    """What is compared of one text. Computed once a text."""

    language: str | None
    words: frozenset[str]
    word_count: int
    numbers: Counter[tuple[float, str]]
    number_words: frozenset[float]
    dates: frozenset[str]
    negations: int
    names: frozenset[str]
    refusal: bool
    chars: int


@lru_cache(maxsize=4096)
def contents(text: str) -> Contents:
    """Return the numbers, dates, negations and names of a text.

    Args:
        text: A text of any length; only its first 20,000 characters are looked at.
    """
    text = unicodedata.normalize("NFKC", text[:20_000]).replace("’", "'")
    words = [each.casefold() for each in _WORD.findall(text)]
    language = guess_language(text, words)
    dates, rest = _dates(text)
    clocks, rest = _clocks(rest)
    return Contents(
        language=language,
        words=frozenset(part for word in words for part in (word, *re.split(r"['\-]", word))),
        word_count=len(words),
        numbers=_numbers(_ENUMERATION.sub(" ", rest)),
        number_words=frozenset(NUMBER_WORDS[word] for word in words if word in NUMBER_WORDS),
        dates=dates | clocks,
        negations=_negations(text, words, language),
        names=_names(rest, language) | frozenset(f"{key}={value}" for key, value in _CHOICE.findall(text)),
        refusal=is_refusal(text),
        chars=len(text.strip()),
    )


def contradictions(control: str, candidate: str) -> tuple[str, ...]:
    """Return the flags of a pair of texts, contradictions first. Symmetric.

    Args:
        control: The frontier's text.
        candidate: The candidate's text.
    """
    left, right = contents(control), contents(candidate)
    found = []
    if _numbers_differ(left, right):
        found.append("numbers")
    if left.dates != right.dates:
        found.append("dates")
    same_language = left.language is None or right.language is None or left.language == right.language
    if same_language and _negation_differs(left, right):
        found.append("negation")
    if same_language and _names_differ(left, right):
        found.append("names")
    low, high = sorted((left.chars, right.chars))
    if high >= LENGTH_FLOOR_CHARS and high > LENGTH_RATIO * max(low, 1):
        found.append("length")
    if left.refusal != right.refusal:
        found.append("refusal")
    if not same_language:
        found.append("language")
    return tuple(found)


def is_contradicted(flags: tuple[str, ...]) -> bool:
    """Say whether one of the flags is a contradiction."""
    return any(flag in CONTRADICTIONS for flag in flags)


def guess_language(text: str, words: list[str]) -> str | None:
    """Return the language that a text's commonest words point to, or None where they don't.

    A guess for choosing negation words; the language a call is filed under is
    detected elsewhere.

    Args:
        text: The text.
        words: Its words in lower case.
    """
    if any("\u3040" <= letter <= "\u30ff" for letter in text[:400]):
        return "ja"
    if any("\uac00" <= letter <= "\ud7a3" for letter in text[:400]):
        return "ko"
    if any("\u4e00" <= letter <= "\u9fff" for letter in text[:400]):
        return "zh"
    counts = {language: sum(word in known for word in words[:400]) for language, known in STOPWORDS.items()}
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    (best, first), (_, second) = ranked[0], ranked[1]
    return best if first >= 2 and first > second else None


def _dates(text: str) -> tuple[frozenset[str], str]:
    """Return the dates of a text and the text without them."""
    found: list[str] = []

    def take(match: re.Match[str]) -> str:
        moment = date_of(match)
        if moment is None:
            found.append(match.group().strip())
            return " "
        found.append(moment.isoformat()[:16] if isinstance(moment, datetime) else moment.isoformat())
        return " "

    rest = DATE_TEXT.sub(take, text)
    return frozenset(found), rest


def _clocks(text: str) -> tuple[frozenset[str], str]:
    """Return the clock times of a text, as minutes of the day, and the text without them."""
    found: list[str] = []

    def take(match: re.Match[str]) -> str:
        hour, minute, half, lone, lone_half = match.groups()
        hours = int(hour or lone)
        half = (half or lone_half or "").lower()
        if half == "p" and hours < 12:
            hours += 12
        elif half == "a" and hours == 12:
            hours = 0
        found.append(f"{hours:02d}:{minute or '00'}")
        return " "

    rest = _CLOCK.sub(take, text)
    return frozenset(found), rest


def _numbers(text: str) -> Counter[tuple[float, str]]:
    found: Counter[tuple[float, str]] = Counter()
    for match in _NUMBER.finditer(text):
        value = as_number(match["number"])
        if value is None:
            continue
        word = (match["unit"] or "").strip().casefold()
        unit = UNITS.get(word, "")
        if not unit and match["before"]:
            unit = UNITS.get(match["before"], "")
        found[(value, unit)] += 1
    return found


def _numbers_differ(left: Contents, right: Contents) -> bool:
    """Say whether a number, or its unit, stands on one side alone.

    A number without a unit fits the same number with one, and a digit fits its word.
    """
    return _lacks(left, right) or _lacks(right, left)


def _lacks(these: Contents, those: Contents) -> bool:
    units: dict[float, set[str]] = {}
    for value, unit in those.numbers:
        units.setdefault(value, set()).add(unit)
    for value, unit in these.numbers:
        there = units.get(value)
        if there is None:
            if value not in those.number_words and not (value == 1 and not unit):
                return True
        elif unit and unit not in there and "" not in there:
            return True
    return False


def _negations(text: str, words: list[str], language: str | None) -> int:
    if language in ("zh", "ja", "ko"):
        return len(_CJK_NEGATION.findall(text))
    known = NEGATIONS.get(language, frozenset()) if language else ANY_NEGATION
    count = 0
    for word in words:
        if (
            word in known
            or (language in (None, "en") and word.endswith("n't"))
            or (language == "en" and word.startswith("non-"))
        ):
            count += 1
    return count


def _names_differ(left: Contents, right: Contents) -> bool:
    """Say whether a name is nowhere in the other text. A choice (`Answer: B`) counts where both make one."""
    chosen = {name.split("=")[0] for name in left.names if "=" in name} & {
        name.split("=")[0] for name in right.names if "=" in name
    }

    def lacking(these: Contents, those: Contents) -> bool:
        return any(
            (name not in those.names and name.split("=")[0] in chosen)
            if "=" in name
            else name not in those.words
            for name in these.names
        )

    return lacking(left, right) or lacking(right, left)


def _negation_differs(left: Contents, right: Contents) -> bool:
    if _opposite(left.words - right.words, right.words - left.words):
        return True
    if (left.negations == 0) != (right.negations == 0):
        return True
    short = max(left.word_count, right.word_count) <= SHORT_WORDS
    return short and left.negations != right.negations


def _opposite(these: frozenset[str], those: frozenset[str]) -> bool:
    """Say whether a word stands on one side and its negation by a prefix on the other (English)."""
    return any(
        prefix + word in other
        for one, other in ((these, those), (those, these))
        for word in one
        if len(word) >= SHORTEST_STEM
        for prefix in PREFIXES
    )


def _names(text: str, language: str | None) -> frozenset[str]:
    """Return the capitalised words that do not open a sentence or stand in a title line."""
    found = set()
    for line in text.split("\n"):
        words = list(_NAME.finditer(line))
        capital = sum(word.group()[0].isupper() for word in words)
        if len(words) > 1 and capital > 0.6 * len(words):
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
            if language in _NOUNS_CAPITALISED and not inner:
                continue
            name = name.casefold().removesuffix("'s").strip("'&-")
            if name not in _NEVER_NAMES and not any(letter.isdigit() for letter in name):
                found.add(name)
    return frozenset(part for name in found for part in re.split(r"['\-&]", name) if len(part) > 1)
