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

from workbench.compare import codes, names
from workbench.compare.codes import Codes, find_codes
from workbench.compare.folding import fold_unicode
from workbench.compare.names import Names, find_names
from workbench.compare.negation import count_negations, says_the_opposite, words_in
from workbench.compare.refusals import is_refusal
from workbench.compare.values import as_number
from workbench.compare.when import When, read_when
from workbench.compare.words import (
    ANY_NUMBER_WORD,
    NUMBER_WORDS,
    STOPWORDS,
    UNITS,
    bare,
    scale_of,
)
from workbench.language import detect
from workbench.specs import CONTRADICTIONS

NOTES = ("length", "refusal", "language", "format", "new_number", "new_name", "new_date", "truncated")
"""Flags that are shown and leave the verdict alone, unless the eval says otherwise."""

SHORT_WORDS = 40
"""Up to this length the number of negations counts; beyond, only whether there is one."""
LENGTH_RATIO, LENGTH_FLOOR_CHARS = 2.0, 40

KIN = tuple(map(frozenset, (("da", "no", "sv"), ("ru", "uk", "bg"), ("cs", "sk"), ("id", "ms"))))
"""Languages that a short text is easily taken for one another."""

MAX_SHOWN = 10
"""Values of one kind that the details keep."""

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
_POWER = re.compile(r"(?<=\d)[⁺⁻]?[⁰¹²³⁴-⁹]+")

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
    names: Names
    choices: frozenset[str]
    codes: Codes
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
    # A power is a number of its own: 10² is neither 10 nor 102.
    text = fold_unicode(_POWER.sub(lambda found: f"^{unicodedata.normalize('NFKC', found[0])}", text))
    text = text.replace("’", "'")
    words = [each.casefold() for each in words_in(text)]
    language = guess_language(text, words) or detect(text)
    when, rest = read_when(text, language)
    found, counted = find_codes(rest)
    named = NUMBER_WORDS.get(language, {}) if language else ANY_NUMBER_WORD
    return Contents(
        language=language,
        words=frozenset(bare(part) for word in words for part in (word, *re.split(r"['\-]", word)) if part),
        word_count=len(words),
        numbers=_numbers(_ENUMERATION.sub(" ", _PERCENT.sub("%", counted)), language),
        number_words=frozenset(named[word] for word in words if word in named),
        when=when,
        negations=count_negations(text, language),
        names=find_names(rest, language),
        choices=frozenset(f"{key}={value}" for key, value in _CHOICE.findall(text)),
        codes=found,
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
    alike = same_language or any({left.language, right.language} <= each for each in KIN)
    if alike and _negation_differs(left, right):
        found.append("negation")
    if alike and _names_differ(left, right):
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
    return bool(here or there or _lacking_codes(left, right) or _lacking_codes(right, left)) or words, units


def _lacking(these: Contents, those: Contents) -> list[Quantity]:
    units: dict[float, set[str]] = {}
    known = those.number_words | those.codes.numbers
    for value, unit in those.numbers:
        units.setdefault(value, set()).add(unit)
    found = []
    for value, unit in these.numbers:
        there = units.get(value)
        if there is None:
            if value not in known and not (value == 1 and not unit):
                found.append((value, unit))
        elif unit and unit not in there and "" not in there:
            found.append((value, unit))
    return found


def _lacking_codes(these: Contents, those: Contents) -> list[str]:
    return codes.lacking(these.codes, those.codes, {value for value, _ in those.numbers})


def _lacking_words(these: Contents, those: Contents) -> frozenset[float]:
    return these.number_words - those.number_words - {value for value, _ in those.numbers}


def lacking_numbers(these: Contents, those: Contents) -> list[str]:
    """Return the numbers of one text that the other does not hold, as text."""
    found = {f"{value:,.10g} {unit}".strip() for value, unit in _lacking(these, those)}
    found |= set(_lacking_codes(these, those))
    return sorted(found | {f"{value:g} (in words)" for value in _lacking_words(these, those)})


def _names_differ(left: Contents, right: Contents) -> bool:
    """Say whether a name is nowhere in the other text. A choice (`Answer: B`) counts where both make one."""
    chosen = {each.split("=")[0] for each in left.choices} & {each.split("=")[0] for each in right.choices}
    return (
        any(each.split("=")[0] in chosen for each in left.choices ^ right.choices)
        or bool(lacking_names(left, right))
        or bool(lacking_names(right, left))
    )


def lacking_names(these: Contents, those: Contents) -> list[str]:
    """Return the names of one text that are nowhere among the words of the other, `Anna` in `Annas` aside."""
    return names.lacking(these.names, those.names, those.words, these.words)


def _negation_differs(left: Contents, right: Contents) -> bool:
    """Say whether one side negates what the other does not, or says its opposite.

    Both together cancel out in short texts, of which each says one thing (`not fat`, `thin`).
    """
    # Of two kindred languages either will do, and the same both ways round.
    language = min(filter(None, (left.language, right.language)), default=None)
    opposite = says_the_opposite(left.words, right.words, language)
    differs = (left.negations == 0) != (right.negations == 0)
    if max(left.word_count, right.word_count) > SHORT_WORDS:
        return opposite or differs
    return opposite != (differs or left.negations != right.negations)
