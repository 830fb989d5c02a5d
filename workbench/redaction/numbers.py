"""Payment cards, IBANs, IP addresses and phone numbers: numbers with a checksum or a shape."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Iterator

from workbench.redaction.dialling import is_dialled
from workbench.redaction.spans import Span

CARD, IBAN, IP, PHONE = "CARD", "IBAN", "IP", "PHONE"

_GAP = r"[ \u00a0\u2009\u202f.\u2010-\u2015-]{1,2}"
_CARD = re.compile(
    rf"(?<![^\W_])(?<!\d[.,])(\d{{4}}{_GAP}\d{{4}}{_GAP}\d{{4}}{_GAP}\d{{1,4}}(?:{_GAP}\d{{1,3}})?"
    rf"|\d{{4}}{_GAP}\d{{6}}{_GAP}\d{{4,5}}|\d{{13,19}})(?![^\W_])"
)
_IBAN = re.compile(r"(?<![^\W_])[A-Za-z]{2}[0-9]{2}(?=[ \u00a0-]{0,2}[0-9A-Za-z]{2})")
_IBAN_LENGTH = {

    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27,
    "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28,
    "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23,
    "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27,
    "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25,
    "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18,
    "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33,
    "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25, "SV": 28,
    "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}  # fmt: skip
"""Characters of an IBAN by country: the IBAN registry of SWIFT (2024)."""

_IPV4 = re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w]|\.[0-9])")
_IPV6 = re.compile(r"(?<![0-9A-Za-z:.])(?=[0-9A-Fa-f]{0,4}:)[0-9A-Fa-f:.]{3,45}(?![0-9A-Za-z:])")
_VERSION = re.compile(r"(?:(?<![^\s(\[,;:])v(?:er(?:sion)?)?\.?\s?|[A-Za-z0-9]/)$", re.IGNORECASE)

_SPACE = r"[ \u00a0\u2009\u202f.()/\u2010-\u2015-]"
_INTERNATIONAL = re.compile(rf"(?<![\w+])(?:\+|00{_SPACE}?)[1-9](?:{_SPACE}{{0,2}}\d){{6,14}}(?![\w])")
_UNDIVIDED = re.compile(r"00\d{7,}")
"""Zeros also fill up the numbers of orders, goods and days: without gaps more has to speak for a phone."""
_AMERICAN = re.compile(
    r"(?<![\w.+-])(?:\+?1[ .-])?(?:\([2-9]\d{2}\)[ \u00a0]?|[2-9]\d{2}[ \u00a0.\u2010-\u2015-])"
    r"[2-9]\d{2}[ \u00a0.\u2010-\u2015-]\d{4}(?![\w]|-\d|\.\d)"
)
_NATIONAL = re.compile(r"(?<![\w.+/-])\(?0\d{1,4}\)?[ /.-]\d{2,8}(?:[ /.-]\d{2,8}){0,4}(?![\w]|-\d|\.\d)")
_LEAST_DIGITS, _MOST_DIGITS = 9, 13
_LAST_GROUP = re.compile(r"[ /.-]\d+$")
_DATE = re.compile(r"\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2})(?!\d)")
_PAIRS = re.compile(r"0\d([./-])\d{2}(?:\1\d{2}){3}(?!\1?\d)")
"""As the French write a number. A date and a time of day have other signs between them than a date has."""
_WORDS = (
    r"(?:tele)?phone|telephone|t[eé]l|mobile|whatsapp|fax|telefone?|telefoon|handy|téléphone|teléfono|telefono"
    r"|móvil|celular|cellulare|телефон|тел"
)
_OF_IT = r"(?:[\s_-]?(?:number|nummer|num|numéro|no|nr))?"
_SAID = re.compile(
    rf"(?<![^\W_])(?:((?:{_WORDS}){_OF_IT})|(?:call|cell|mobil|portable)(?=[\s:]))(?![^\W\d_])[^\d\n+]{{0,20}}"
    r"(\+?\d(?:[ ().\-/]{0,2}\d){6,14})(?![\w])",
    re.IGNORECASE,
)
_UNSPACED = "电话|電話|手机|手機|携帯|전화|휴대폰"
_SAID_UNSPACED = re.compile(
    rf"(?:{_UNSPACED})[^\d\n+]{{0,12}}(\+?\d(?:[ ().\-/]{{0,2}}\d){{6,14}})(?![\dA-Za-z])"
)
"""Behind a word of a script that puts no spaces between words."""
_NEAR = re.compile(
    rf"(?<![^\W_])(?:{_WORDS}|cell|mobil|portable|call (?:me|us)){_OF_IT}(?![^\W\d_])|{_UNSPACED}",
    re.IGNORECASE,
)
_CHARS_BEFORE, _CHARS_BEHIND = 60, 30
_PARTS_OF_WORDS = (
    "phone",
    "tel",
    "mobil",
    "whatsapp",
    "fax",
    "handy",
    "móvil",
    "cel",
    "call",
    "portable",
    "tél",
    "тел",
)
_PARTS_UNSPACED = ("电", "電", "手", "携", "전", "휴")
_PHONE_KEY = re.compile(
    rf"(?<![^\W\d_])(?:{_WORDS})(?![^\W\d_])|(?:phone|mobile|telefon|telefoon)(?:number|nummer|no|nr)?$"
    r"|电话|電話|手机|手機|携帯",
    re.IGNORECASE,
)


def digits_of(text: str) -> str:
    """Return the decimal digits of a text, of any script, as 0 to 9."""
    return "".join(str(unicodedata.decimal(char)) for char in text if char.isdecimal())


def passes_luhn(digits: str) -> bool:
    """Say whether the check digit is right (Luhn, 1960)."""
    total = 0
    for place, char in enumerate(reversed(digits)):
        value = int(char) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def is_card(digits: str) -> bool:
    """Say whether digits are a card number: an issuer's range, its length, and the check digit."""
    return _may_be_issued(digits) and passes_luhn(digits) and len(set(digits)) > 1


def _may_be_issued(digits: str) -> bool:
    size, two, three, four = len(digits), int(digits[:2]), int(digits[:3]), int(digits[:4])
    if digits[0] == "4":
        return size in (13, 16, 19)
    if 51 <= two <= 55 or 2221 <= four <= 2720:
        return size == 16
    if two in (34, 37):
        return size == 15
    if two in (36, 38, 39) or 300 <= three <= 305:
        return 14 <= size <= 19
    return 16 <= size <= 19 and (two in (50, 62, 65) or 56 <= two <= 69 or 3528 <= four <= 3589)


def is_iban(text: str) -> bool:
    """Say whether a text without gaps is an IBAN: its country's length, and 1 modulo 97 (ISO 13616)."""
    text = text.upper()
    if _IBAN_LENGTH.get(text[:2]) != len(text):
        return False
    return int("".join(str(int(char, 36)) for char in text[4:] + text[:4])) % 97 == 1


def find_cards(text: str) -> Iterator[Span]:
    """Give card numbers, grouped as on the card or not at all."""
    at = 0
    while found := _CARD.search(text, at):
        end, digits = found.end(), digits_of(found[0])
        if not is_card(digits) and (cut := re.match(rf"\d+(?:{_GAP}\d+){{3}}(?={_GAP}\d)", found[0])):
            # An expiry date or a code behind the number is no part of it.
            end, digits = found.start() + cut.end(), digits_of(cut[0])
        if is_card(digits):
            yield Span(found.start(), end, CARD, digits)
            at = end
        else:
            at = found.start() + 4


def find_ibans(text: str) -> Iterator[Span]:
    """Give account numbers, in groups or without gaps."""
    for found in _IBAN.finditer(text):
        size = _IBAN_LENGTH.get(found[0][:2].upper())
        if size is None:
            continue
        at, kept = found.start(), list[str]()
        while len(kept) < size and at < len(text):
            if text[at].isascii() and text[at].isalnum():
                kept.append(text[at])
            elif text[at] not in " \u00a0-" or not text[max(at - 2, 0) : at].strip(" \u00a0-"):
                break
            at += 1
        whole = "".join(kept).upper()
        if is_iban(whole) and not text[at : at + 1].isalnum():
            yield Span(found.start(), at, IBAN, whole)


def find_addresses(text: str) -> Iterator[Span]:
    """Give IPv4 and IPv6 addresses, but those that are everybody's: loopback, unspecified, broadcast."""
    for pattern in (_IPV4, _IPV6):
        for found in pattern.finditer(text):
            written = found[0].rstrip(".")
            is_new = pattern is _IPV6
            if is_new and (written.count(":") < 2 or not any(char.isdigit() for char in written)):
                continue
            if not is_new and _VERSION.search(text, max(0, found.start() - 10), found.start()):
                continue
            try:
                address = ipaddress.ip_address(written)
            except ValueError:
                continue
            if address.is_loopback or address.is_unspecified or str(address) == "255.255.255.255":
                continue
            yield Span(found.start(), found.start() + len(written), IP, str(address))


def find_phones(text: str) -> Iterator[Span]:
    """Give phone numbers: international, American, with a leading 0 and gaps, or behind a word for one.

    Ten digits alone could be anything, and are left.
    """
    yield from _international(text)
    for found in _AMERICAN.finditer(text):
        yield _phone(found.start(), found.end(), found[0])
    yield from _national(text)
    lower = text.lower()
    for found in _SAID.finditer(text) if any(each in lower for each in _PARTS_OF_WORDS) else ():
        # "Call" is said of much else, such as the id of a call.
        if found[1] or not _UNDIVIDED.match(found[2]):
            yield _phone(found.start(2), found.end(2), found[2])
    for found in _SAID_UNSPACED.finditer(text) if any(each in text for each in _PARTS_UNSPACED) else ():
        yield _phone(found.start(1), found.end(1), found[1])


def _international(text: str) -> Iterator[Span]:
    at = 0
    while found := _INTERNATIONAL.search(text, at):
        start, at = found.span()
        if undivided := _UNDIVIDED.match(found[0]):
            at = start + undivided.end()
            if not is_dialled(undivided[0]) or not (
                _NEAR.search(text, max(0, start - _CHARS_BEFORE), start)
                or _NEAR.search(text, at, at + _CHARS_BEHIND)
            ):
                continue
        yield _phone(start, at, text[start:at])


def _national(text: str) -> Iterator[Span]:
    at = 0
    while found := _NATIONAL.search(text, at):
        written = found[0]
        if pairs := _PAIRS.match(text, found.start() + (written[0] == "(")):
            at = pairs.end()
            yield _phone(pairs.start(), at, pairs[0])
            continue
        # Other numbers stand beside it: what is too long for one is read group by group.
        while len(digits_of(written)) > _MOST_DIGITS:
            written = _LAST_GROUP.sub("", written)
        at = found.start() + len(written)
        if date := _DATE.match(written.lstrip("(")):
            at = found.start() + date.end()
        elif len(digits_of(written)) >= _LEAST_DIGITS:
            yield _phone(found.start(), at, written)


def is_phone_key(name: str) -> bool:
    """Say whether a field of this name holds a phone number, such as `customer_phone` or `phoneNumber`."""
    return bool(_PHONE_KEY.search(name[-60:]))


def phone_of(text: str) -> Span | None:
    """Return a whole text as a phone number where it can be one: of a field that is named so."""
    bare = text.strip()
    if re.fullmatch(rf"\+?[\d]?(?:{_SPACE}{{0,2}}\d){{6,14}}", bare[:64]) and len(bare) < 64:
        return _phone(0, len(text), bare)
    return None


def _phone(start: int, end: int, written: str) -> Span:
    return Span(start, end, PHONE, _same_number(written))


def _same_number(written: str) -> str:
    """Return what is the same however one number is written, and differs for any other number.

    With a country's code it is all digits behind a +, without one all digits as they stand: which
    country a leading 0 stands for is not certain. North American numbers are known by their shape,
    so that their ten digits stand for them with and without the 1 (North American Numbering Plan).
    """
    digits = digits_of(written.replace("(0)", ""))
    is_whole = "+" in written or (digits[:2] == "00" and digits[2:3] != "0")
    if is_whole:
        digits = digits.removeprefix("00")
    if digits[:1] == "1" and len(digits) == 11 and (is_whole or _AMERICAN.fullmatch(written.strip())):
        return digits[1:]
    return f"+{digits}" if is_whole else digits
