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

from workbench.language_model import Model, encoded, identifier, model

THRESHOLD = 0.45
"""Least probability of the best language: below, the language is unknown."""

LANGUAGES = (  # noqa: SIM905 -- a list of 53 strings reads worse
    "ar bg bn ca cs da de el en es et fa fi fr he hi hr hu hy id is it ja ka kk ko lt lv mk ms nl no"
    " pl pt ro ru sk sl sq sr sv sw ta te th tl tr uk ur uz vi zh zxx"
).split()

_WINDOW = 120
_LOOK = _WINDOW + _WINDOW // 2
HEAD_CHARS = 4 * _WINDOW
"""What of a text is looked at."""
_WIDE_SCRIPTS = r"\u3000-\u30ff\u3400-\u9fff\uac00-\ud7af\uff00-\uffef\u0e00-\u0e7f"
_WIDE = re.compile(rf"[{_WIDE_SCRIPTS}]")
# Scripts without spaces end an identifier: one digit must not take the whole sentence with it.
_NARROW = rf"[^\s{_WIDE_SCRIPTS}]"
_NOISE = re.compile(
    rf"```.*?(?:```|$)|https?://\S+|\S+@\S+|<[^<>]{{1,200}}>|{_NARROW}*[_\\{{}}=|\d]{_NARROW}*", re.DOTALL
)

_SUSPECT = re.compile(r"[@_\\{}=|\d]|://")
"""A word without any of these holds no noise."""
_NOISY = re.compile(r"[@_\\{}=|\d<]|://|```")
"""A text without any of these holds no noise."""
_QUIET = bytes(code for code in range(128) if not _NOISY.match(chr(code)))
_CALM = bytes(code for code in _QUIET if chr(code).isprintable() and chr(code) not in ":`")
"""Characters that neither are noise, nor begin it, nor are white space other than the space."""


_AT_ONCE = 2_048
"""Texts that are looked at together: each step over them has its price, and each text takes memory."""
_APART = 16


def detect(text: str) -> str | None:
    """Name the language of a text.

    Args:
        text: Any text; its first part decides. Code, addresses, numbers and
            identifiers are left out before looking.

    Returns:
        An ISO 639-1 code, or None where the text is short, is not language, or no
        language is likely enough.
    """
    return _detect(text[:HEAD_CHARS])


@lru_cache(maxsize=50_000)
def _detect(head: str) -> str | None:
    # For one text alone a plain walk is two hundred times as fast as laying out arrays.
    words = _words(head)
    return None if words is None else _sure(*identifier(LANGUAGES).classify(words))


def _sure(code: Any, probability: float) -> str | None:
    return None if code == "zxx" or probability < THRESHOLD else str(code)


def prepare() -> None:
    """Load the model, which takes half a second the first time, most of it on a core of its own."""
    model(LANGUAGES)


def languages_of(wordings: Any) -> Any:
    """Name the languages of many texts at once, which takes less for each.

    The scores are those of py3langid's `classify`: the automaton walks over all texts a
    byte at a time, and one sparse product scores them.

    Args:
        wordings: An Arrow column of what `wording` returned for each text; null stays null.

    Returns:
        An Arrow array of codes, null where there is none.
    """
    import pyarrow as pa

    whole = wordings.combine_chunks() if isinstance(wordings, pa.ChunkedArray) else wordings
    packed = whole.dictionary_encode()
    return _classified(packed.dictionary).take(packed.indices)


def wording(text: str) -> str | None:
    """Return what of a text its language is told from; None where that is too little.

    Args:
        text: As for `detect`.

    Returns:
        At most 120 characters.
    """
    return _words(text[:HEAD_CHARS])


def encoded_wording(text: str) -> bytes | None:
    """Return what `wording` does in UTF-8; of a long text that begins without noise, in half the time."""
    # What follows a space can't make noise of what is before it.
    start = text[: text.rfind(" ", 0, _LOOK) + 1]
    if start.isascii():
        words = start.encode()
        if not words.translate(None, _CALM):
            words = words.strip()[:_WINDOW]
            if (
                len(words) == _WINDOW
                and b"  " not in words
                and len(letters := words[:12].replace(b" ", b"")) >= 6
                and letters.isalpha()
            ):
                return words
    found = wording(text)
    return None if found is None else found.encode()


def _words(head: str) -> str | None:
    words = _beginning(head)
    if words:
        pass
    elif "```" in head or "<" in head or not (head.isascii() or _WIDE.search(head) is None):
        words = " ".join(_NOISE.sub(" ", head).split())[:_WINDOW]
    elif not _SUSPECT.search(head):
        words = " ".join(head.split())[:_WINDOW]
    else:  # Then nothing of the noise reaches beyond a word, and the first words are enough.
        kept: list[str] = []
        length = 0
        for word in head.split():
            if not word.isalpha() and _SUSPECT.search(word):
                word = " ".join(_NOISE.sub(" ", word).split())
                if not word:
                    continue
            kept.append(word)
            length += len(word) + 1
            if length > _WINDOW:
                break
        words = " ".join(kept)[:_WINDOW]
    if len(letters := words[:12].replace(" ", "")) >= 6 and letters.isalpha():
        return words
    needed = 3 if not words.isascii() and _WIDE.search(words) else 6
    enough = sum(map(str.isalpha, words[:12])) >= needed or sum(map(str.isalpha, words)) >= needed
    return words if enough else None


def _beginning(head: str) -> str:
    """Return the first words where a long text begins without noise, as most do; else an empty text."""
    # What follows a space can't make noise of what is before it.
    start = head[: head.rfind(" ", 0, _LOOK) + 1]
    if len(start) <= _WINDOW:
        return ""
    if _noisy(start):
        return ""
    # Of all white space only the plain space can be printed: then there is nothing to put in order.
    plain = "  " not in start and start.isprintable()
    words = start.strip() if plain else " ".join(start.split())
    return words[:_WINDOW] if len(words) >= _WINDOW else ""


def _noisy(text: str) -> bool:
    """Say whether a text holds what noise needs: `_NOISY`, in a tenth of the time where it is ASCII."""
    if not text.isascii():
        return _NOISY.search(text) is not None
    return bool(text.encode().translate(None, _QUIET)) or "://" in text or "```" in text


def _classified(texts: Any) -> Any:
    import numpy as np
    import pyarrow as pa

    known = model(LANGUAGES)
    names = pa.array([None if each == "zxx" else each for each in known.names], pa.string())
    best, unsure = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.bool_)
    for start in range(0, len(texts), _AT_ONCE):
        scores = _probabilities(known, texts.slice(start, _AT_ONCE))
        best[start : start + _AT_ONCE] = scores.argmax(axis=1)
        unsure[start : start + _AT_ONCE] = scores.max(axis=1) < THRESHOLD
    return names.take(pa.array(best, mask=unsure))


def _bytes_of(texts: Any) -> tuple[Any, Any, Any]:
    """Return bytes that hold all texts as the model wants them, where each begins, and how long it is."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    # What is ASCII and not all capitals is taken as it is.
    odd = pc.or_(pc.invert(pc.string_is_ascii(texts)), pc.utf8_is_upper(texts))
    texts = texts.cast(pa.binary())
    if pc.any(odd).as_py():
        changed = [encoded(each.decode()) for each in texts.filter(odd).to_pylist()]
        texts = pc.replace_with_mask(texts, odd, pa.array(changed, pa.binary()))
    _, ends, data = texts.buffers()
    places = np.frombuffer(ends, np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    letters = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(1, np.uint8)
    return letters, places[:-1], np.diff(places)


def _probabilities(known: Model, texts: Any) -> Any:
    """Return the probability of each language, float32 of shape (texts, languages)."""
    import numpy as np
    from scipy import sparse

    moves, rows, output, weights = known.moves, known.rows, known.output, known.weights
    letters, starts, lengths = _bytes_of(texts)
    order = np.argsort(-lengths, kind="stable")
    width, starts = int(lengths.max(initial=0)), starts[order]
    # Texts stand by falling length, so that those which are not over yet are the first ones.
    going = np.searchsorted(-lengths[order], -np.arange(width), side="left")
    state = np.zeros(len(texts), np.int64)
    # Rows a power of two apart share places in the processor's cache: to turn them took six times as long.
    seen = np.full((width, len(texts) + _APART), -1, np.int32)[:, : len(texts)]
    for place in range(width):
        count = int(going[place])
        state = moves.take(rows.take(state[:count]) + letters.take(starts[:count] + place))
        output.take(state, out=seen[place, :count], mode="clip")  # Any other mode would copy first.
    seen = seen.T.copy()
    # Sorted, equal features of a text stand together: where each run begins says how long it is.
    seen.sort(axis=1)
    begins = seen >= 0
    begins[:, 1:] &= seen[:, 1:] != seen[:, :-1]
    first, runs = np.flatnonzero(begins), np.count_nonzero(begins, axis=1)
    ends = np.minimum(np.append(first[1:], seen.size), np.repeat(np.arange(1, len(texts) + 1) * width, runs))
    firsts = np.append(0, np.cumsum(runs))
    counts = sparse.csr_matrix(
        (np.log1p((ends - first).astype(np.float32)), seen.ravel()[first], firsts),
        shape=(len(texts), weights.shape[0]),
    )
    scores = np.asarray(counts @ weights + known.prior, dtype=np.float32)
    scores[np.diff(firsts) == 0] = 0.0
    scores *= (1.0 / np.sqrt(np.maximum(lengths[order], 1)))[:, None].astype(np.float32)
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    scores /= scores.sum(axis=1, keepdims=True)
    for place, double in known.doubles:
        scores[:, place] += scores[:, double]
        scores[:, double] = 0.0
    found = np.empty_like(scores)
    found[order] = scores
    return found
