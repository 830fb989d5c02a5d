"""One form for what logs write in many: text, JSON, hashes, tool arguments, tokens, times.

Pure functions. Nothing here raises on data: what can't be read comes back as it
was, or as None, and the caller marks it.
"""

from __future__ import annotations

import json
import math
import re
import sys
import unicodedata
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from workbench.hashing import hashed
from workbench.records import Message, Usage
from workbench.written_dates import written_date

MAX_DEPTH = 100
"""Deepest nesting of JSON that is read; real logs stay under 20."""

REPLACEMENT = "\ufffd"

COUNT_END = 2**40
"""No call has so many tokens: a server that says so makes sums over calls overflow."""

_UNKNOWN = Usage()
_HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))
"""Categories of characters that could steer a terminal or hide text."""
_BROKEN = re.compile("[\x00\ud800-\udfff]")
_POINT_ZERO, _EXPONENT = re.compile(rb"\.0(?![0-9])"), re.compile(rb"e[-+0-9]")
_INTEGRAL_FLOAT = re.compile(rb"[0-9]\.0(?![0-9])|[0-9][eE]")
_LARGE = re.compile(r"\d[eE]\+?\d{2}|\d{309}")
"""What every number beyond a double holds, and few others."""
_encode_sorted = msgspec.json.Encoder(order="deterministic").encode
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
"""Times from the first to before the second are believed."""
_EPOCH_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
_SECONDS_END = 10**11
_DATE_FORMATS = (
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d",
    "%Y-%m-%d %H:%M:%S UTC",
    "%Y-%m-%d %H:%M:%S.%f UTC",
    "%Y-%m-%d %H:%M:%S %z UTC",
    "%Y-%m-%d %H:%M:%S.%f %z UTC",
    "%d/%b/%Y:%H:%M:%S %z",
)
"""Spreadsheets, BigQuery, Go, and the access logs of web servers."""


class Undecodable(ValueError):
    """The text is not JSON that may be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A JSON value, and whether its text had to be repaired (NUL, surrogates, bad UTF-8).

    `has_nan`: it held the word NaN, as JSON can't; where that was a number, None is in its place.
    """

    value: Any
    repaired: bool = False
    has_nan: bool = False


def clean_text(text: str) -> tuple[str, bool]:
    """Replace what no store and no model takes: NUL and lone surrogates.

    Args:
        text: Any string; a pair of surrogates becomes the character it stands for.

    Returns:
        The clean text and whether it differs from what came in.
    """
    if not _BROKEN.search(text):
        return text, False
    paired = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return paired.replace("\x00", REPLACEMENT), True


def visible(text: str, keep: str = "\t") -> str:
    """Return text that can't steer a terminal: control and hidden characters as escapes.

    Args:
        text: Anything, such as what a server or a model wrote.
        keep: Control characters that stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if char in keep or unicodedata.category(char) not in _HIDDEN else _escape(char) for char in text
    )


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"


def clean_value(value: Any) -> Any:
    """Clean every text of a JSON value, keys included; infinite and NaN numbers become None."""
    if isinstance(value, str):
        return clean_text(value)[0]
    if isinstance(value, list):
        return [clean_value(item) for item in value]
    if isinstance(value, dict):
        return {clean_text(str(key))[0]: clean_value(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def depth_of(value: Any) -> int:
    """Return how deep lists and objects nest; 0 for a scalar."""
    depth, level = 0, [value]
    while holders := [item for item in level if isinstance(item, (dict, list))]:
        depth += 1
        level = [child for item in holders for child in (item.values() if isinstance(item, dict) else item)]
    return depth


def decode_json(data: bytes | str) -> Decoded:
    """Read one JSON value, repairing text where that loses nothing else.

    Raises:
        Undecodable: It is not JSON, or nests deeper than `MAX_DEPTH`.
    """
    raw = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
    repaired = False
    try:
        value = msgspec.json.decode(raw)
    except RecursionError:
        raise Undecodable(f"nested deeper than {MAX_DEPTH} levels") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        value, repaired = _decode_loosely(raw)
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and depth_of(value) > MAX_DEPTH:
        raise Undecodable(f"nested deeper than {MAX_DEPTH} levels")
    if repaired or may_need_repair(raw):
        cleaned = clean_value(value)
        repaired = repaired or cleaned != value
        value = cleaned
    return Decoded(value, repaired, has_nan=repaired and b"NaN" in raw)


def may_need_repair(raw: bytes) -> bool:
    """Tell whether JSON may hold NUL or lone surrogates, which are written as escapes."""
    if b"\\" not in raw or b"\\u" not in raw:
        return False  # One byte is looked for in a tenth of the time of two.
    return b"\\u0000" in raw or b"\\ud" in raw or b"\\uD" in raw


def _decode_loosely(raw: bytes) -> tuple[Any, bool]:
    """Read JSON as Python does: lone surrogates, NaN and bytes that are not UTF-8 pass."""
    try:
        text, repaired = raw.decode("utf-8"), False
    except UnicodeDecodeError:
        text, repaired = raw.decode("utf-8", "replace"), True
    try:
        value = json.loads(text.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()) or "Unterminated" in error.msg:
            raise Undecodable(f"the JSON breaks off at column {error.colno}") from None
        raise Undecodable(f"not JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise Undecodable(f"nested deeper than {MAX_DEPTH} levels") from None
    except ValueError:
        # Python's own limit on the digits of an integer; its message is advice to programmers.
        digits = sys.get_int_max_str_digits()
        raise Undecodable(f"holds an integer of more than {digits:,} digits") from None
    return value, repaired or bool(_BROKEN.search(str(value))) or "NaN" in text or "Infinity" in text


def decode_nested(value: Any) -> Any:
    """Decode JSON that sits in a string, at most twice.

    Args:
        value: Anything; only a string that holds an object, a list or a string
            holding one of these is decoded.

    Returns:
        The object or list, or `value` itself where there is none.
    """
    if not isinstance(value, str) or value[:1].isalnum():
        return value  # Most are no text, or one that begins with a word.
    found: Any = value
    for _ in range(2):
        if not isinstance(found, str) or found.lstrip()[:1] not in ("{", "[", '"'):
            break
        try:
            found = decode_json(found).value
        except Undecodable:
            return value
    return found if isinstance(found, dict | list) else value


def parse_arguments(value: Any) -> Any:
    """Return a tool's arguments parsed, whether the log holds text or an object.

    Args:
        value: JSON text, an object, or None.

    Returns:
        The parsed arguments; `{}` for none. Text that is not JSON stays text, and so does one with a
        number beyond what a double holds: parsed, any two such numbers would be one.
    """
    if value is None:
        return {}
    if not isinstance(value, str):
        return value
    if not value.strip():
        return {}
    found: Any = value
    for _ in range(2):
        if not isinstance(found, str):
            break
        try:
            found = decode_json(found).value
        except Undecodable:
            return clean_text(value)[0]
    if _LARGE.search(value) and _holds_infinity(found):
        return clean_text(value)[0]
    return {} if found is None else found


def _holds_infinity(value: Any) -> bool:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict | list):
            stack.extend(item.values() if isinstance(item, dict) else item)
        elif isinstance(item, float) and math.isinf(item):
            return True
    return False


def canonical_json(value: Any) -> str:
    """Return one text for equal JSON: sorted keys, no spaces, 1.0 written as 1.

    Args:
        value: JSON values or records; NaN counts as null.
    """
    return _canonical(value).decode()


def json_bytes(value: Any) -> bytes:
    """Return a value as JSON with sorted keys; what JSON can't hold is cleaned."""
    try:
        return _encode_sorted(value)
    except (TypeError, UnicodeEncodeError, ValueError):
        return _encode_sorted(clean_value(msgspec.to_builtins(value, str_keys=True, enc_hook=str)))


def _canonical(value: Any) -> bytes:
    data = json_bytes(value)
    if _may_hold_floats(data) and _INTEGRAL_FLOAT.search(data):
        data = _encode_sorted(_fold_numbers(msgspec.to_builtins(value)))
    return data


def _may_hold_floats(data: bytes) -> bool:
    """Say quickly whether the search can find anything: a literal start is looked for at memory speed."""
    return bool(_POINT_ZERO.search(data) or _EXPONENT.search(data))


def _fold_numbers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, list | tuple):
        return [_fold_numbers(item) for item in value]
    if isinstance(value, dict):
        return {key: _fold_numbers(item) for key, item in value.items()}
    return value


def content_hash(*parts: Any) -> str:
    """Return a 128-bit hash of parts as 32 hexadecimal digits.

    Args:
        parts: Text or bytes as they are, anything else as canonical JSON. The cut
            between parts counts: ("ab", "c") differs from ("a", "bc").
    """
    pieces: list[bytes] = []
    for part in parts:
        if isinstance(part, bytes):
            data = part
        elif isinstance(part, str):
            data = part.encode("utf-8", "surrogatepass")
        else:
            data = _canonical(part)
        pieces += (b"%d:" % len(data), data)
    return hashed(b"".join(pieces))


def as_count(value: Any) -> int | None:
    """Return a number of tokens, or None where the log holds none."""
    if type(value) is int:
        return value if 0 <= value < COUNT_END else None
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        value = as_number(value)
        if value is None:
            return None
    if isinstance(value, int):
        return value if 0 <= value < COUNT_END else None
    if isinstance(value, float) and value.is_integer() and 0 <= value < COUNT_END:
        return int(value)
    return None


def as_number(value: Any) -> float | None:
    """Return a finite number of a log (also written as text), or None."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        try:
            value = float(value.strip())
        except ValueError:
            return None
    if isinstance(value, int | float) and abs(value) < 1e300:
        return float(value)
    return None


def as_text(value: Any) -> str:
    """Return a scalar as people read it: integral floats without ".0", booleans as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, dict | list):
        return canonical_json(value)
    return str(value)


def usage_openai(usage: Any) -> Usage:
    """Normalise an OpenAI usage object: `prompt_tokens` includes the cached ones.

    Args:
        usage: The object of a chat completion or of a response (`input_tokens`). OpenRouter's says what
            the call cost, in US dollars (`cost`).
    """
    if not isinstance(usage, dict):
        return _UNKNOWN
    total_in = as_count(usage.get("prompt_tokens", usage.get("input_tokens")))
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    cached = as_count(details.get("cached_tokens")) if details and isinstance(details, dict) else None
    if cached is None and "prompt_cache_hit_tokens" in usage:
        cached = as_count(usage["prompt_cache_hit_tokens"])  # DeepSeek
    details = usage.get("completion_tokens_details") or usage.get("output_tokens_details")
    reasoning = as_count(details.get("reasoning_tokens")) if details and isinstance(details, dict) else None
    uncached = None if total_in is None else max(total_in - (cached or 0), 0)
    out = as_count(usage.get("completion_tokens", usage.get("output_tokens")))
    cost = as_number(usage.get("cost")) if "cost" in usage else None
    return Usage(uncached, cached, out, reasoning, cost if cost and cost > 0 else None)


def naive_utc(moment: datetime) -> datetime:
    """Return a time as the store holds it, in UTC without a zone; one without a zone counts as UTC."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def to_utc(value: Any) -> datetime | None:
    """Return a time of a log in UTC, or None where it can't be read for certain.

    Args:
        value: Epoch seconds, milliseconds, microseconds or nanoseconds (told apart
            by size), ISO 8601, RFC 2822, JavaScript's `Date.toString`, or a datetime. An
            epoch or ISO time without a zone counts as UTC; a written date needs one that
            is certain. Times outside 2000 to 2100 are not believed.
    """
    try:
        found = _time_of(value)
    except (ValueError, OverflowError, OSError, TypeError):
        return None
    if found is None:
        return None
    try:
        if found.tzinfo is not UTC:
            found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except OverflowError:
        return None
    return found if EARLIEST <= found < LATEST else None


def _time_of(value: Any) -> datetime | None:
    if type(value) is int and 0 <= value < _SECONDS_END:
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        size = abs(value)
        scale = next((each for limit, each in _EPOCH_UNITS if size >= limit), 1.0)
        return datetime.fromtimestamp(value / scale, UTC)
    if not isinstance(value, str):
        return None
    text = value.strip()
    if text[-1:] == "z":
        text = text[:-1] + "Z"
    # No number has a dash behind four digits: most times are written so, and to try costs more.
    number = None if text[4:5] == "-" and text[:4].isdigit() else as_number(text)
    if number is not None:
        # "2024" or "20240131" as epoch seconds fall before 2000 and are not believed.
        return _time_of(number)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    for pattern in _DATE_FORMATS:
        try:
            return datetime.strptime(text, pattern)  # noqa: DTZ007 -- to_utc adds the zone that is missing
        except ValueError:
            continue
    return written_date(text)


def message_text(message: Message) -> str:
    """Return the text of one message; other parts of its content are left out."""
    return content_text(message.content)


def content_text(content: str | list[dict[str, Any]] | None) -> str:
    """Return the text of a message's content, as `message_text` does."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if isinstance(part.get("text"), str))


def last_user_text(messages: tuple[Message, ...]) -> str:
    """Return the text of the last user message, or an empty text."""
    for message in reversed(messages):
        if message.role == "user":
            return message_text(message)
    return ""


def system_text(messages: tuple[Message, ...]) -> str:
    """Return the system and developer messages, joined by newlines."""
    return "\n".join(message_text(each) for each in messages if each.role in ("system", "developer"))


# White space, and what has no width: joiners, marks of direction, fillers, variation selectors.
_INVISIBLE = (
    r"\s\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\ufe00-\ufe0f\ufeff"
)
_FORMULA = re.compile(rf"[{_INVISIBLE}]*[=+\-@\uff1d\uff0b\uff0d\uff20\u2212\t\r\n]")


def neutralise_cell(text: str) -> str:
    """Return a text that no spreadsheet runs as a formula, by an apostrophe in front.

    Args:
        text: The text of a cell. One that starts with = + - @ (also in full width), a tab
            or a line end gets the apostrophe, also behind spaces and characters of no
            width; so does one that already had apostrophes before such a start, so that
            `restore_cell` gives every text back as it was.
    """
    return "'" + text if _FORMULA.match(text.lstrip("'")) else text


def restore_cell(text: str) -> str:
    """Return what `neutralise_cell` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text.lstrip("'")) else text


def csv_cell(value: Any) -> Any:
    """Return a value as a cell of a CSV file: nothing for None, lists with | between, no formula.

    Args:
        value: A plain value; times without a zone are UTC.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, (list, tuple)):
        value = "|".join(map(str, value))
    return neutralise_cell(value) if isinstance(value, str) else value
