"""Which language a text is written in; None rather than a guess.

py3langid (naive Bayes over byte n-grams) restricted to languages that customers
write in, since among all 140 rare neighbours take probability from Spanish, French
and English sentences. Measured on 35 short sentences in five languages and sixteen
texts without language (`tests/test_language.py`): at 0.45 none is named wrongly.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

THRESHOLD = 0.45
"""Least probability of the best language: below, the language is unknown."""

LANGUAGES = (  # noqa: SIM905 -- a list of 53 strings reads worse
    "ar bg bn ca cs da de el en es et fa fi fr he hi hr hu hy id is it ja ka kk ko lt lv mk ms nl no"
    " pl pt ro ru sk sl sq sr sv sw ta te th tl tr uk ur uz vi zh zxx"
).split()

_WINDOW = 120
_WIDE_SCRIPTS = r"\u3000-\u30ff\u3400-\u9fff\uac00-\ud7af\uff00-\uffef\u0e00-\u0e7f"
_WIDE = re.compile(rf"[{_WIDE_SCRIPTS}]")
# Scripts without spaces end an identifier: one digit must not take the whole sentence with it.
_NARROW = rf"[^\s{_WIDE_SCRIPTS}]"
_NOISE = re.compile(
    rf"```.*?(?:```|$)|https?://\S+|\S+@\S+|<[^<>]{{1,200}}>|{_NARROW}*[_\\{{}}=|\d]{_NARROW}*", re.DOTALL
)


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(LANGUAGES)
    return identifier


def detect(text: str) -> str | None:
    """Name the language of a text.

    Args:
        text: Any text; its first part decides. Code, addresses, numbers and
            identifiers are left out before looking.

    Returns:
        An ISO 639-1 code, or None where the text is short, is not language, or no
        language is likely enough.
    """
    return _detect(text[: 4 * _WINDOW])


@lru_cache(maxsize=50_000)
def _detect(text: str) -> str | None:
    words = " ".join(_NOISE.sub(" ", text).split())[:_WINDOW]
    letters = sum(map(str.isalpha, words))
    if letters < (3 if _WIDE.search(words) else 6):
        return None
    code, probability = _identifier().classify(words)
    return None if code == "zxx" or probability < THRESHOLD else str(code)
