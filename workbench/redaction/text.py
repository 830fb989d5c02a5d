"""Text and JSON without what is personal, and placeholders that are the same for the same person."""

from __future__ import annotations

import hmac
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from workbench.redaction.numbers import (
    CARD,
    IBAN,
    IP,
    PHONE,
    find_addresses,
    find_cards,
    find_ibans,
    find_phones,
    is_phone_key,
    phone_of,
)
from workbench.redaction.recall import Recall
from workbench.redaction.spans import Detector, Span, merged
from workbench.redaction.words import (
    EMAIL,
    KEY,
    find_emails,
    find_keys,
    is_secret_key,
    looks_secret,
    may_be_secret_key,
    secret_of,
)

KINDS = (EMAIL, PHONE, CARD, IBAN, IP, KEY)
VERSION = 4
"""Goes up when the built-in detectors find other things than before."""

_LETTERS = "bcdfghjklmnpqrstvwxz"
"""Of placeholders: without digits no detector finds anything in one, without vowels no word is made."""
_LETTERS_EACH = 10
"""20^10 placeholders: of a million people two share one with a probability of 5 %."""
PLACEHOLDER = re.compile(rf"\[[A-Z][A-Z0-9_]{{1,30}}_[{_LETTERS}]{{{_LETTERS_EACH}}}\]")

_MAX_ROUNDS = 6
_MAX_NESTED = 4
_MAX_DEPTH = 200
_DIGIT = re.compile(r"\d")
_JSON_TOKEN = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"|-?[0-9][0-9.eE+-]*')
_NAMED = re.compile(r"\s*:")
_IN_JSON = re.compile(r'(\\?")\s{0,4}:\s{0,4}$')
_ENDS_VALUE = re.compile(r"\s{0,4}[,}\]\n]")


class BuiltIn:
    """The detectors that need no model: e-mail, phone, card, IBAN, IP, keys."""

    name = "built-in"

    def find(self, text: str) -> Iterator[Span]:
        """Give what any of them finds."""
        yield from find_emails(text)
        yield from find_keys(text)
        if ":" in text or _DIGIT.search(text):
            yield from find_addresses(text)
        if _DIGIT.search(text):
            yield from find_cards(text)
            yield from find_ibans(text)
            yield from find_phones(text)


class Redactor:
    """Replaces what is personal by placeholders such as [EMAIL_kzqvbcwmtr].

    A placeholder is a keyed hash (HMAC-SHA-256) of kind and spelling: with one key the same
    person is the same placeholder everywhere; without the key nobody can test a guess.
    What is redacted already stays as it is, JSON stays JSON, and no text makes it raise.

    While it has a `recall`, it also finds again what it found since that began.

    Args:
        key: The secret, at least 16 bytes.
        detectors: Beside the built-in ones.

    Raises:
        ValueError: The key is too short to be one.
    """

    def __init__(self, key: bytes, detectors: Sequence[Detector] = ()) -> None:
        if len(key) < 16:
            raise ValueError("a key for redaction has at least 16 bytes")
        self._key = key
        self._detectors: tuple[Detector, ...] = (BuiltIn(), *detectors)
        self.recall: Recall | None = None

    def __call__(self, value: Any) -> tuple[Any, dict[str, int]]:
        """Return a JSON value without what is personal, and how often each kind was found."""
        found: Counter[str] = Counter()
        return self.value(value, found), dict(found)

    def placeholder(self, kind: str, normal: str) -> str:
        """Return what stands for one person, card or key."""
        message = f"{kind}\0{normal}".encode("utf-8", "surrogatepass")
        number = int.from_bytes(hmac.digest(self._key, message, "sha256")[:16], "big")
        letters = []
        for _ in range(_LETTERS_EACH):
            number, place = divmod(number, len(_LETTERS))
            letters.append(_LETTERS[place])
        return f"[{kind}_{''.join(letters)}]"

    def digest(self, *parts: str) -> str:
        """Return a keyed hash of texts, 32 hexadecimal digits: an identity that tells nothing."""
        message = "".join(f"{len(each)}:{each}" for each in parts).encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, message, "sha256").hex()[:32]

    def value(self, value: Any, found: Counter[str], name: str = "", depth: int = 0) -> Any:
        """Return a JSON value without what is personal; keys of objects are looked into too.

        Args:
            value: What JSON holds; other objects come back as they are.
            found: Gets a count for every replacement, by kind.
            name: Of the field that holds it: `phone` or `password` say what a value is.
            depth: How deep it stands; what is deeper than any log is replaced whole.
        """
        if isinstance(value, str):
            return self.text(value, found, name)
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, int):
            return self._number(value, found, name)
        if depth > _MAX_DEPTH:
            found["TEXT"] += 1
            return self.placeholder("TEXT", "")
        if isinstance(value, Mapping):
            made: dict[Any, Any] = {}
            for key, item in value.items():
                clean = self.text(key, found) if isinstance(key, str) else key
                while clean in made:
                    clean = f"{clean}_"  # Two spellings of one person: neither value is lost.
                # The name as it will stand, so that a second look at the value sees the same.
                made[clean] = self.value(item, found, clean if isinstance(clean, str) else "", depth + 1)
            return made
        if isinstance(value, list | tuple):
            return [self.value(item, found, name, depth + 1) for item in value]
        return value

    def text(self, text: str, found: Counter[str], name: str = "", nested: int = 0) -> str:
        """Return a text without what is personal.

        Args:
            text: Anything. JSON is read, so that escapes hide nothing, and keeps its layout.
            found: Gets a count for every replacement, by kind.
            name: Of the field that holds it, if any.
            nested: How many texts of JSON it stands in.
        """
        if not text or PLACEHOLDER.fullmatch(text):
            return text
        # A name that was replaced itself says nothing: `[PHONE_...]` is no field of phone numbers.
        span = _by_name(PLACEHOLDER.sub("0", name), text)
        if span is not None:
            return self._replaced(text, [span], found)
        for _ in range(_MAX_ROUNDS):
            before = text
            if nested < _MAX_NESTED and _is_json(text):
                text = self._json(text, found, nested)
            else:
                text = self._plain(text, found)
            if text == before:
                return text
        # Made to be found anew in every round: nothing of it is worth keeping.
        found["TEXT"] += 1
        return self.placeholder("TEXT", text)

    def _number(self, value: int, found: Counter[str], name: str) -> Any:
        if -(10**20) < value < 10**20:
            written = str(value)
            clean = self.text(written, found, name)
            return value if clean == written else clean
        return value

    def _plain(self, text: str, found: Counter[str]) -> str:
        parts, at = [], 0
        for known in PLACEHOLDER.finditer(text):
            parts += [self._piece(text[at : known.start()], found), known[0]]
            at = known.end()
        return "".join([*parts, self._piece(text[at:], found)])

    def _piece(self, text: str, found: Counter[str]) -> str:
        if not text:
            return text
        detectors = (self.recall, *self._detectors) if self.recall else self._detectors
        spans = merged(span for each in detectors for span in each.find(text))
        return self._replaced(text, spans, found) if spans else text

    def _replaced(self, text: str, spans: Iterable[Span], found: Counter[str]) -> str:
        parts, at = [], 0
        for span in spans:
            placeholder = self.placeholder(span.kind, span.normal)
            found[span.kind] += 1
            if self.recall is not None:
                self.recall.note(span, text[span.start : span.end])
            if text[span.start : span.end].isdecimal():
                placeholder = _quoted_like(placeholder, text, span)
            parts += [text[at : span.start], placeholder]
            at = span.end
        return "".join([*parts, text[at:]])

    def _json(self, text: str, found: Counter[str], nested: int) -> str:
        """Redact the texts and numbers within JSON, which keeps its layout."""
        name, parts, at = "", [], 0
        for token in _JSON_TOKEN.finditer(text):
            written = token[0]
            if written[0] != '"':
                clean = self._number_token(written, found, name)
            else:
                inner = json.loads(written)
                is_name = _NAMED.match(text, token.end()) is not None
                made = self.text(inner, found, "" if is_name else name, nested + 1)
                clean = written if made == inner else _as_json(made)
                name = made if is_name else name
            if clean != written:
                parts += [text[at : token.start()], clean]
                at = token.end()
        return "".join([*parts, text[at:]])

    def _number_token(self, written: str, found: Counter[str], name: str) -> str:
        if len(written) > 20 or not written.lstrip("-").isdecimal():
            return written
        clean = self.text(written, found, name)
        return written if clean == written else _as_json(clean)


def _by_name(name: str, text: str) -> Span | None:
    if not name or PLACEHOLDER.search(text):
        return None
    if is_secret_key(name) or (may_be_secret_key(name) and looks_secret(text)):
        return secret_of(text)
    return phone_of(text) if is_phone_key(name) else None


def _is_json(text: str) -> bool:
    """Say whether a text is a JSON object, list or text; a number alone is read as text."""
    if text.lstrip()[:1] not in ("{", "[", '"'):
        return False
    try:
        json.loads(text, parse_int=_unread, parse_float=_unread)
    except (ValueError, RecursionError):
        return False
    return True


_unread: Callable[[str], int] = len
"""Numbers are not read while JSON is checked: Python takes quadratic time for long ones."""


def _as_json(text: str) -> str:
    written = json.dumps(text, ensure_ascii=False)
    try:
        written.encode()
    except UnicodeEncodeError:
        return json.dumps(text)
    return written


def _quoted_like(placeholder: str, text: str, span: Span) -> str:
    """Return a placeholder for a bare number; in JSON that stands in prose it needs quotes of its own."""
    before = _IN_JSON.search(text, max(0, span.start - 12), span.start)
    if before is None or not _ENDS_VALUE.match(text, span.end):
        return placeholder
    return f"{before[1]}{placeholder}{before[1]}"
