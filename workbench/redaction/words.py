"""E-mail addresses and keys: what programs write and people paste."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from workbench.redaction.spans import Span

EMAIL, KEY = "EMAIL", "KEY"

_LOCAL_CHARS = 256
_AT = re.compile(r"(?<=[\w.%+'-])(?:@|%40|\uff20|\ufe6b)(?=[^\W_])", re.IGNORECASE)
_DOMAIN = re.compile(
    r"(?:[^\W_](?:[^\W_]|-(?=[^\W_]|-)){0,62}\.){1,8}(?:xn--[0-9A-Za-z-]{2,59}|[^\W\d_]{2,24})", re.IGNORECASE
)

_BEGIN, _END = "-----BEGIN ", "-----END "
_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_PEM_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")

_EDGE = r"(?<![0-9A-Za-z])"
_SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (start, re.compile(_EDGE + pattern))
    for start, pattern in (
        ("sk-", r"sk-(?=[\w-]{0,60}\d)[\w-]{18,}"),
        ("k_live_", r"[srp]k_live_[0-9A-Za-z]{10,}"),
        ("k_test_", r"[srp]k_test_[0-9A-Za-z]{10,}"),
        ("whsec_", r"whsec_[0-9A-Za-z]{20,}"),
        ("gh", r"gh[pousr]_[0-9A-Za-z]{30,}"),
        ("github_pat_", r"github_pat_\w{30,}"),
        ("glpat-", r"glpat-[\w-]{18,}"),
        ("xox", r"xox[abeoprs]-[0-9A-Za-z-]{10,}"),
        ("xapp-", r"xapp-[0-9A-Za-z-]{20,}"),
        ("AKIA", r"AKIA[0-9A-Z]{16}(?![0-9A-Z])"),
        ("ASIA", r"ASIA[0-9A-Z]{16}(?![0-9A-Z])"),
        ("AIza", r"AIza[\w-]{35}"),
        ("ya29.", r"ya29\.[\w-]{20,}"),
        ("GOCSPX-", r"GOCSPX-[\w-]{20,}"),
        ("hf_", r"hf_[0-9A-Za-z]{30,}"),
        ("gsk_", r"gsk_[0-9A-Za-z]{30,}"),
        ("xai-", r"xai-[0-9A-Za-z]{30,}"),
        ("nvapi-", r"nvapi-[\w-]{30,}"),
        ("r8_", r"r8_[0-9A-Za-z]{30,}"),
        ("npm_", r"npm_[0-9A-Za-z]{36}"),
        ("pypi-", r"pypi-[\w-]{50,}"),
        ("SG.", r"SG\.[\w-]{16,}\.[\w-]{16,}"),
        ("dop_v1_", r"dop_v1_[0-9a-f]{40,}"),
        ("shpat_", r"shpat_[0-9a-f]{32}"),
        ("lsv2_", r"lsv2_(?:pt|sk)_[0-9a-f]{20,}(?:_[0-9a-f]{6,})?"),
        ("pplx-", r"pplx-[0-9A-Za-z]{32,}"),
        ("tvly-", r"tvly-(?:dev-|prod-)?[0-9A-Za-z]{20,}"),
        ("dckr_", r"dckr_[op]at_[\w-]{24,}"),
        ("figd_", r"figd_[\w-]{30,}"),
        ("ATATT3", r"ATATT3[\w=-]{60,}"),
        ("hooks.slack.com/", r"(?<=hooks\.slack\.com/)(?:services|triggers|workflows)/[0-9A-Za-z/_-]{20,}"),
        ("/api/webhooks/", r"(?<=/api/webhooks/)\d{17,20}/[\w-]{50,}"),
        ("eyJ", r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{5,}"),
    )
)
"""A piece that every key of a shape has, which is quick to look for, and the shape itself."""

_BEARER = re.compile(r"(?<![^\W_])(?:bearer|basic)[ \t]{1,4}([0-9A-Za-z._~+/=-]{16,})", re.IGNORECASE)
_BASIC = re.compile(
    r"(?<![^\W_])basic[ \t]{1,4}([0-9A-Za-z+/_-]{6,400}={0,2})(?![0-9A-Za-z+/_=-])", re.IGNORECASE
)
_IN_URL = re.compile(r"://[^\s/:@\[\]]{1,64}:([^\s/@\[\]]{1,128})@")
_FIELDS_OF_SECRETS = (
    r"api[_-]?key|secret[_-]?key|secret[_-]?access[_-]?key|access[_-]?token|refresh[_-]?token|auth[_-]?token"
    r"|client[_-]?secret|private[_-]?key|password|passwd|passwort|pwd"
)
_PARTS_OF_NAMES = ("key", "token", "secret", "passw", "pwd")
"""Of these one stands in each of those names, and is quick to look for."""
_QUOTE = r"(?:\\{0,3}[\"'])"
"""JSON within a text has backslashes before its quotes: one in one text, three in a text of a text."""
_ASSIGN = rf"{_QUOTE}?\s{{0,3}}[:=]\s{{0,3}}{_QUOTE}?"
_ASSIGNED = re.compile(
    rf"(?:{_FIELDS_OF_SECRETS}){_ASSIGN}((?:[^\s\"',;&<>\[\]{{}}()\\]|(?!{_QUOTE})\\){{6,200}})",
    re.IGNORECASE,
)
_SECRET_KEY = re.compile(rf"(?:^|[^a-z])(?:{_FIELDS_OF_SECRETS}|authorization|x-api-key)$", re.IGNORECASE)
_FIELDS_OF_MUCH = (
    r"token|secret|account[_-]?key|shared[_-]?access[_-]?key|subscription[_-]?key|signing[_-]?key"
)
_MUCH = r"[0-9A-Za-z_.+/=~%-]{16,4000}"
_MAYBE_ASSIGNED = re.compile(rf"(?:{_FIELDS_OF_MUCH}){_ASSIGN}({_MUCH})", re.IGNORECASE)
_MAYBE_SECRET_KEY = re.compile(rf"(?:{_FIELDS_OF_MUCH})$", re.IGNORECASE)
_NO_SECRET_KEY = re.compile(
    r"(?:(?i:page|next|continuation|sync|cursor)|(?:(?<![^\W\d_])|(?<=[a-z])(?=[A-Z]))"
    r"(?i:stop|pad|eos|bos|unk|mask|sep|cls|special|first|last|start|end))[_-]?(?i:token)$"
)
"""Where a list goes on, and the tokens of a tokenizer: no secrets, and told apart by the name alone."""
_WORD = re.compile(r"(?=[a-z]*[aeiouy]|[a-z]{1,2}$)[a-z]{1,20}$", re.IGNORECASE)
_LEAST_OF_RANDOM = 5
"""Characters of a part that is too long for a number beside words, and may be made at random."""

_NO_SECRETS = frozenset(
    (
        "string",
        "number",
        "integer",
        "boolean",
        "object",
        "required",
        "optional",
        "missing",
        "invalid",
        "unknown",
    )
)
"""What schemas and messages say of a field that is named like a secret."""


def find_emails(text: str) -> Iterator[Span]:
    """Give e-mail addresses, also with %40 for the @ as in URLs."""
    taken = 0
    for found in _AT.finditer(text):
        domain = _DOMAIN.match(text, found.end())
        if domain is None:
            continue
        start, least = found.start(), max(taken, found.start() - _LOCAL_CHARS)
        while start > least and (text[start - 1].isalnum() or text[start - 1] in "._%+'-"):
            start -= 1
        while start < found.start() and text[start] in ".'%":
            start += 1
        if start < found.start():
            taken = domain.end()
            yield Span(start, taken, EMAIL, f"{text[start : found.start()]}@{domain[0]}".lower())


def find_keys(text: str) -> Iterator[Span]:
    """Give keys and tokens of known shapes, passwords in URLs and behind their names, and private keys."""
    if _BEGIN in text:
        yield from _private_keys(text)
    for start, pattern in _SHAPES:
        if start in text:
            for found in pattern.finditer(text):
                yield Span(found.start(), found.end(), KEY, found[0])
    if "://" in text:
        yield from _groups(_IN_URL, text)
    lower = text.lower()
    for found in _BEARER.finditer(text) if "bearer" in lower or "basic" in lower else ():
        if any(char.isdigit() for char in found[1]):
            yield Span(found.start(1), found.end(1), KEY, found[1])
    for found in _BASIC.finditer(text) if "basic" in lower else ():
        if _is_user_and_password(found[1]):
            yield Span(found.start(1), found.end(1), KEY, found[1])
    named = any(each in lower for each in _PARTS_OF_NAMES)
    for found in _ASSIGNED.finditer(text) if named else ():
        value = found[1].rstrip(".!?:")
        if _is_mixed(value):
            yield Span(found.start(1), found.start(1) + len(value), KEY, value)
    for found in _MAYBE_ASSIGNED.finditer(text) if named else ():
        if looks_secret(found[1]) and not _NO_SECRET_KEY.search(
            text[max(0, found.start() - 16) : found.start() + 5]
        ):
            yield Span(found.start(1), found.end(1), KEY, found[1])


def is_secret_key(name: str) -> bool:
    """Say whether a field of this name holds a secret, such as `db_password` or `api_key`."""
    return bool(_SECRET_KEY.search(name[-60:]))


def may_be_secret_key(name: str) -> bool:
    """Say whether a field of this name may hold a secret, such as `token`: where its value looks like one."""
    tail = name[-60:]
    return bool(_MAYBE_SECRET_KEY.search(tail)) and not _NO_SECRET_KEY.search(tail)


def looks_secret(text: str) -> bool:
    """Say whether a text is made like a key: one long piece of letters and digits that is no path or word."""
    return (
        re.fullmatch(_MUCH, text) is not None
        and (text[0] not in "/.~-" or text[-1] == "=")  # A path, unless it is base64.
        and any(char.isdigit() for char in text)
        and any(char.isalpha() for char in text)
        and not _is_words(text)
    )


def _is_words(text: str) -> bool:
    """Say whether a text is mostly words that _, - or . join, as in END_OF_ANSWER_1234."""
    parts = [each for each in re.split("[_.-]+", text) if each]
    words = sum(map(_is_word, parts))
    return 2 * words > len(parts) > 1 and all(
        len(each) < _LEAST_OF_RANDOM or _is_word(each) for each in parts
    )


def _is_word(text: str) -> bool:
    return _WORD.match(text) is not None and (text.islower() or text.isupper() or text.istitle())


def secret_of(text: str) -> Span | None:
    """Return a whole text as a secret where it can be one: of a field that is named so."""
    if (
        6 <= len(text) <= 4_000
        and text.lower() not in _NO_SECRETS
        and not any(char.isspace() for char in text.removeprefix("Bearer "))
    ):
        return Span(0, len(text), KEY, text)
    return None


def _groups(pattern: re.Pattern[str], text: str) -> Iterator[Span]:
    for found in pattern.finditer(text):
        yield Span(found.start(1), found.end(1), KEY, found[1])


def _private_keys(text: str) -> Iterator[Span]:
    at = 0
    while found := _PEM.search(text, at):
        end = _PEM_END.search(text, found.end())
        # Without its end the key is cut off: what follows is it.
        at = end.end() if end else len(text)
        yield Span(found.start(), at, KEY, text[found.start() : at])


def _is_mixed(value: str) -> bool:
    """Say whether a word is no word: "password: required" names none."""
    kinds = (str.isdigit, str.isupper, str.islower, lambda char: not char.isalnum())
    return sum(any(kind(char) for char in value) for kind in kinds) >= 2 and not value.isalpha()


def _is_user_and_password(written: str) -> bool:
    """Say whether a word is a name and a password as HTTP writes them (RFC 7617): "basic needs" has none."""
    try:
        told = base64.b64decode(written + "=" * (-len(written) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        return False
    return ":" in told and told.isprintable()
