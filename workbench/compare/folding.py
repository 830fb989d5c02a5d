"""Texts brought into the form in which they are compared, as far as an eval declares them equal.

What is folded here makes a structural match, which moves traffic without anybody looking: nothing
may be folded that could change what a value means. `10²` is not `102`, `(5)` not `5` and `Yes?`
not `Yes.`. A name out of a closed set (a label, an option) may be written more loosely,
since whatever two of them would share is no name of either.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

from workbench.specs import Normalisation

_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "‚": "'"})
_SPACE = re.compile(r"\s+")
_APART = ("<super>", "<sub>", "<circle>", "<fraction>")
"""Compatibility forms that mean something else than the plain signs: 10² is no 102, 1½ no 11/2."""

_SENTENCE = re.compile(r"\S\s+\S")
_WORD_STOP = re.compile(r"(?<=[^\W\d_])[.。](?=\s*\Z)")
"""A full stop behind a word; behind a number alone it may make an ordinal (German `5.`)."""
_SENTENCE_STOP = re.compile(r"(?<=[\w%)\]\"'])[.。!](?=\s*\Z)")
"""The one mark that ends a sentence. A row of them (`...`, `!!`) and a question mark say more."""

_PAIRS = {'"': '"', "'": "'", "`": "`", "(": ")", "[": "]", "{": "}", "「": "」"}
_AFTER_NAME = re.compile(r"(?<=\S)[.,;:!…。、，；：]+(?=\s|\Z)")
_BEFORE_NAME = re.compile(r"(?:(?<=\s)|\A)[.,;:…。、，；：]+\s*(?=[^\W\d_])")
MAX_PEELED = 4
"""Brackets and quotation marks around one name."""


def text_normaliser(rules: Normalisation) -> Callable[[str], str]:
    """Return the function that brings texts into the form in which they are compared.

    Of punctuation only the mark at the end of the whole text goes: a full stop behind a word, and
    of a sentence of several words a full stop or an exclamation mark behind whatever it ends with.

    Args:
        rules: What the eval declares to be equal.
    """

    def normalise(text: str) -> str:
        text = _folded(text, rules)
        if rules.punctuation:
            stop = _SENTENCE_STOP if _SENTENCE.search(text) else _WORD_STOP
            text = stop.sub("", text, count=1)
        return _SPACE.sub(" ", text).strip() if rules.whitespace else text

    return normalise


def name_normaliser(rules: Normalisation) -> Callable[[str], str]:
    """Return the function that brings names out of a closed set into the form in which they are looked up.

    Beside what `text_normaliser` folds, quotation marks and brackets around the whole name go, and stops
    behind its words. Whoever uses it has to leave out the forms that two names of the set share.

    Args:
        rules: What the eval declares to be equal.
    """

    def normalise(text: str) -> str:
        text = _folded(text, rules)
        if rules.punctuation:
            for _ in range(MAX_PEELED):
                before, text = text, _peeled(text)
                if text == before:
                    break
        return _SPACE.sub(" ", text).strip() if rules.whitespace else text

    return normalise


def fold_unicode(text: str) -> str:
    """Return a text in compatibility form (NFKC), super- and subscripts, fractions and circles as they are.

    Args:
        text: Any text.
    """
    if text.isascii():
        return text
    apart = {each for each in set(text) if not each.isascii() and _stands_apart(each)}
    if not apart:
        return unicodedata.normalize("NFKC", text)
    parts = re.split(f"([{re.escape(''.join(apart))}])", text)
    return "".join(each if each in apart else unicodedata.normalize("NFKC", each) for each in parts)


def _folded(text: str, rules: Normalisation) -> str:
    if rules.unicode:
        text = fold_unicode(text).translate(_QUOTES)
    return text.casefold() if rules.case else text


def _peeled(text: str) -> str:
    text = _BEFORE_NAME.sub("", _AFTER_NAME.sub("", text)).strip()
    if len(text) > 1 and _PAIRS.get(text[0]) == text[-1]:
        return text[1:-1].strip()
    return text


@lru_cache(maxsize=4096)
def _stands_apart(letter: str) -> bool:
    """Say whether folding a character would turn it into signs that mean something else."""
    parts = unicodedata.decomposition(letter).split()
    tags = [each for each in parts if each.startswith("<")]
    if any(each in _APART for each in tags):
        return True
    if "<compat>" in tags and unicodedata.numeric(letter, None) is not None:
        # Beside other digits ⒈ would make another number.
        return True
    # ㎡ holds a superscript that folding would turn into a digit.
    return any(_stands_apart(chr(int(each, 16))) for each in parts if each not in tags)
