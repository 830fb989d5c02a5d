"""What two texts contradict each other in, however similar an embedding finds them.

Negated sentences keep a mean cosine of about .9, and so do texts that differ in
one digit. A contradiction flag turns such a pair into a mismatch, which decides
where people look first; it proves nothing by itself. Every flag is symmetric.

Contradictions say that the two can't both be right: another number, unit, day or name, or a
negation on one side. The rest are notes, since both may be right however they differ in them:
length, language, form, a refusal (which may be what was wanted), and facts that the request
does not hold (which a model may know or work out). Notes leave the verdict alone. An eval may say
otherwise of every flag (`contradictions`).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass
from functools import lru_cache

from workbench.compare.refusals import is_refusal
from workbench.compare.values import MONTHS, as_number
from workbench.compare.when import When, read_when
from workbench.compare.words import (
    ANY_NEGATION,
    ANY_NUMBER_WORD,
    CONCORD,
    HONORIFICS,
    NE_PLUS,
    NEGATIONS,
    NO_PLACES,
    NOT_NEGATIONS,
    NUMBER_WORDS,
    STOPWORDS,
    UNITS,
    WEEKDAYS,
    scale_of,
)
from workbench.language import detect
from workbench.specs import CONTRADICTIONS

NOTES = ("length", "refusal", "language", "format", "new_number", "new_name", "new_date", "truncated")
"""Flags that are shown and leave the verdict alone, unless the eval says otherwise."""

SHORT_WORDS = 40
"""Up to this length the number of negations counts; beyond, only whether there is one."""
SHORT_VALUE_WORDS = 3
"""Up to this many words after a colon are a value (`City: Rome`), more are a sentence."""
LENGTH_RATIO, LENGTH_FLOOR_CHARS = 2.0, 40

MAX_SHOWN = 10
"""Values of one kind that the details keep."""

TITLE, TITLE_NOUNS = 0.6, 0.8
"""A line with a larger share of capitalised words is a title; the second where all nouns are capitalised."""

PREFIXES = ("un", "in", "im", "ir", "il", "i", "dis", "des", "dés", "non", "non-")
SHORTEST_STEM = 4

_NUMBER = re.compile(
    r"(?:(?P<before>[$€£¥₹]|\b(?:EUR|USD|GBP|CHF|JPY))\s?)?(?<![\w.])(?<!\d,)"
    r"(?P<number>[+−-]?(?:\d{1,3}(?:[,.'][0-9]{3})+(?:[.,]\d+)?|\d{1,3}(?: \d{3})+(?:[.,]\d+)?(?![\d ]\d)"
    r"|\d+(?:[.,]\d+)?))"
)
_UNIT = re.compile(r"[\s-]?(?:d(?:e |'))?(%|‰|°[CF]?|[$€£¥₹]|km/h|[^\W\d_]+)\.?", re.IGNORECASE)
_PERCENT = re.compile(
    r"\b(?:pour|por|per)[\s-]?cent(?:o|s)?\b|\bpor\s+ciento\b|\bvom\s+hundert\b", re.IGNORECASE
)
_POINT_GROUPS = re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+$")
_COMMA_GROUP = re.compile(r"[+-]?\d{1,3},\d{3}$")
_POINT_LANGUAGES = frozenset({"de", "es", "it", "pt", "nl", "da", "tr", "id"})
_ENUMERATION = re.compile(r"^\s*(?:\d{1,3}[.)]|[-*•])\s+(?=\S)", re.MULTILINE)
_CHOICE = re.compile(r"\b(\w{1,40})\**\s*[:=]\s*\**\(?([A-Z])\b(?!['’.]\w)")
_WORD = re.compile(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*")
_SENTENCE_END = re.compile(r"[.!?:;…。！？\n\"“”„(\[*#>•|\-–—]\s*$")
_AFTER_COLON = re.compile(r":\s*$")
_VALUE_LINE = re.compile(r"\W*[^\W\d_]+\W*:\s*\S")
_NAME = re.compile(r"[^\W\d_][\w'’&-]*")

_NOT_NEGATION = re.compile(NOT_NEGATIONS)
_NE_PLUS = re.compile(NE_PLUS)
_CLAUSE_END = re.compile(r"[.,;:!?\n]|\b(?:y|e|et|und|mais|pero|ma|mas|porque|car|że|ale|а|но|и)\b")
_NAMED_DAYS = frozenset(
    (*WEEKDAYS, *(f"{day}s" for day in WEEKDAYS), *(each for each in MONTHS if len(each) > 3))
)
_CJK_NEGATION = re.compile(r"[不没沒無无非未莫]|(?:ない|ません|なかった|なく)|(?:않|없|못|아니)")

_NOUNS_CAPITALISED = frozenset({"de"})
_COMMON_ENDINGS = (
    "ung",
    "ungen",
    "heit",
    "keit",
    "keiten",
    "schaft",
    "tion",
    "tionen",
    "ität",
    "gründen",
    "nis",
)
_NOT_BESIDE = frozenset(
    {"sie", "ihnen", "ihre", "ihr", "ihren", "ihrer", "ihrem", "anfang", "mitte", "ende", "uhr"}
)
_NEVER_NAMES = frozenset({"i", "i'm", "i'll", "i've", "i'd", "ok"})


Quantity = tuple[float, str]
"""A number and its unit, empty where it has none."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What is compared of one text. Computed once a text."""

    language: str | None
    words: frozenset[str]
    word_count: int
    numbers: Counter[Quantity]
    number_words: frozenset[float]
    when: When
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
    return read_contents(text[:20_000])


def read_contents(text: str) -> Contents:
    """Return the numbers, dates, negations and names of a whole text, which is not kept."""
    text = unicodedata.normalize("NFKC", text).replace("’", "'")
    words = [each.casefold() for each in _WORD.findall(text)]
    language = guess_language(text, words) or detect(text)
    when, rest = read_when(text, language)
    named = NUMBER_WORDS.get(language, {}) if language else ANY_NUMBER_WORD
    return Contents(
        language=language,
        words=frozenset(_plain(part) for word in words for part in (word, *re.split(r"['\-]", word)) if part),
        word_count=len(words),
        numbers=_numbers(_ENUMERATION.sub(" ", _PERCENT.sub("%", rest)), language),
        number_words=frozenset(named[word] for word in words if word in named),
        when=when,
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
    numbers, units = _numbers_differ(left, right)
    if numbers:
        found.append("numbers")
    if units:
        found.append("units")
    if left.when.differs(right.when):
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


def differences(control: str, candidate: str) -> dict[str, dict[str, list[str]]]:
    """Return what stands on one side alone, by flag and side: numbers, dates and names.

    Args:
        control: The frontier's text.
        candidate: The candidate's text.
    """
    left, right = contents(control), contents(candidate)
    sides = {
        "numbers": (lacking_numbers(left, right), lacking_numbers(right, left)),
        "dates": (left.when.lacking(right.when), right.when.lacking(left.when)),
        "names": (lacking_names(left, right), lacking_names(right, left)),
    }
    return {
        name: {"control": here[:MAX_SHOWN], "candidate": there[:MAX_SHOWN]}
        for name, (here, there) in sides.items()
        if here or there
    }


@lru_cache(maxsize=1)
def detector_version() -> str:
    """Return the version of what names a language where the commonest words do not."""
    from importlib.metadata import version

    return version("py3langid")


def is_contradicted(flags: Iterable[str], contradicting: Container[str] = CONTRADICTIONS) -> bool:
    """Say whether one of the flags is a contradiction.

    Args:
        flags: Those of a pair.
        contradicting: Those that are one, as the eval says (`contradictions`).
    """
    return any(flag in contradicting for flag in flags)


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


def _numbers(text: str, language: str | None) -> Counter[Quantity]:
    found: Counter[Quantity] = Counter()
    for match in _NUMBER.finditer(text):
        value = read_number(match["number"], language)
        if value is None:
            continue
        unit, behind = "", match.end()
        for _ in range(2):
            word = _UNIT.match(text, behind)
            if word is None:
                break
            scale = scale_of(word[1].casefold(), language)
            if scale is None:
                unit = UNITS.get(word[1].casefold(), "")
                break
            value, behind = value * scale, word.end()
        if not unit and match["before"]:
            unit = UNITS.get(match["before"].casefold(), "")
        found[(value, unit)] += 1
    return found


def read_number(text: str, language: str | None) -> float | None:
    """Return a number as a language writes it: 1.234 is a thousand in German and more than one in English."""
    text = text.replace("−", "-")
    if language in _POINT_LANGUAGES and _POINT_GROUPS.match(text):
        text = text.replace(".", "")
    elif _COMMA_GROUP.match(text):
        text = text.replace(",", "")
    return as_number(text)


def _numbers_differ(left: Contents, right: Contents) -> tuple[bool, bool]:
    """Say whether a number, and whether a unit alone, stands on one side only.

    A number without a unit fits the same number with one, and a digit fits its word. Words for
    numbers differ where each side has one that the other lacks: on one side alone they may be a turn
    of phrase.
    """
    here, there = _lacking(left, right), _lacking(right, left)
    units = any(value in {each for each, _ in right.numbers} for value, _ in here) or any(
        value in {each for each, _ in left.numbers} for value, _ in there
    )
    words = bool(_lacking_words(left, right) or here) and bool(_lacking_words(right, left) or there)
    return bool(here or there) or words, units


def _lacking(these: Contents, those: Contents) -> list[Quantity]:
    units: dict[float, set[str]] = {}
    for value, unit in those.numbers:
        units.setdefault(value, set()).add(unit)
    found = []
    for value, unit in these.numbers:
        there = units.get(value)
        if there is None:
            if value not in those.number_words and not (value == 1 and not unit):
                found.append((value, unit))
        elif unit and unit not in there and "" not in there:
            found.append((value, unit))
    return found


def _lacking_words(these: Contents, those: Contents) -> frozenset[float]:
    return these.number_words - those.number_words - {value for value, _ in those.numbers}


def lacking_numbers(these: Contents, those: Contents) -> list[str]:
    """Return the numbers of one text that the other does not hold, as text."""
    found = {f"{value:,.10g} {unit}".strip() for value, unit in _lacking(these, those)}
    return sorted(found | {f"{value:g} (in words)" for value in _lacking_words(these, those)})


def _negations(text: str, words: list[str], language: str | None) -> int:
    if language in ("zh", "ja", "ko"):
        return len(_CJK_NEGATION.findall(text))
    text = _NOT_NEGATION.sub(" ", text.casefold())
    if language in CONCORD:
        extra = _NE_PLUS if language == "fr" else None
        return sum(
            bool(
                (extra and extra.search(part))
                or any(_negates(word, language) for word in _WORD.findall(part))
            )
            for part in _CLAUSE_END.split(text)
        )
    return sum(_negates(word, language) for word in _WORD.findall(text))


def _negates(word: str, language: str | None) -> bool:
    known = NEGATIONS.get(language, frozenset()) if language else ANY_NEGATION
    return (
        word in known
        or (language in (None, "en") and word.endswith("n't"))
        or (language == "en" and word.startswith("non-"))
    )


def _names_differ(left: Contents, right: Contents) -> bool:
    """Say whether a name is nowhere in the other text. A choice (`Answer: B`) counts where both make one."""
    chosen = {name.split("=")[0] for name in left.names if "=" in name} & {
        name.split("=")[0] for name in right.names if "=" in name
    }

    def lacking(these: Contents, those: Contents) -> bool:
        return bool(lacking_names(these, those)) or any(
            name not in those.names and name.split("=")[0] in chosen for name in these.names if "=" in name
        )

    return lacking(left, right) or lacking(right, left)


def lacking_names(these: Contents, those: Contents) -> list[str]:
    """Return the names of one text that are nowhere among the words of the other, `Anna` in `Annas` aside."""
    return sorted(
        name
        for name in these.names
        if "=" not in name
        and not any(each in those.words for each in (name, f"{name}s", name.removesuffix("s")))
    )


def _negation_differs(left: Contents, right: Contents) -> bool:
    if _opposite(left.words - right.words, right.words - left.words):
        return True
    if (left.negations == 0) != (right.negations == 0):
        return True
    short = max(left.word_count, right.word_count) <= SHORT_WORDS
    return short and left.negations != right.negations


def _opposite(these: frozenset[str], those: frozenset[str]) -> bool:
    """Say whether a word stands on one side and its negation by a prefix on the other."""
    return any(
        prefix + word in other
        for one, other in ((these, those), (those, these))
        for word in one
        if len(word) >= SHORTEST_STEM
        for prefix in PREFIXES
    )


def _plain(word: str) -> str:
    """Return a word without accents: José is Jose."""
    if word.isascii():
        return word
    return "".join(each for each in unicodedata.normalize("NFKD", word) if not unicodedata.combining(each))


def _names(text: str, language: str | None) -> frozenset[str]:
    """Return the capitalised words that do not open a sentence or stand in a title line."""
    found = set()
    for line in text.split("\n"):
        words = list(_NAME.finditer(line))
        capital = sum(word.group()[0].isupper() for word in words)
        title = TITLE_NOUNS if language in _NOUNS_CAPITALISED else TITLE
        if len(words) > 1 and capital > title * len(words) and not _VALUE_LINE.match(line):
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
                or name in UNITS
                or scale_of(name, language)
                or name in _NAMED_DAYS
                or any(letter.isdigit() for letter in name)
            ):
                continue
            found.add(name)
    return frozenset(_plain(part) for name in found for part in re.split(r"['\-&]", name) if len(part) > 1)


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
