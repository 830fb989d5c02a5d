"""Amounts of money: an exact number and a currency, however the two are written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

MAX_LENGTH = 60
"""Longer texts are no amount."""
MAX_EXPONENT = 30
"""JSON numbers beyond ten to this power are no amount."""


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


CODES = _codes(
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD "
    "CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ "
    "GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR "
    "LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN "
    "PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB "
    "TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG"
)
"""ISO 4217 codes in use."""

DOLLARS = _codes("USD CAD AUD NZD SGD HKD MXN ARS CLP COP TWD JMD BBD BSD TTD XCD FJD LRD NAD BMD")
_SIGNS: dict[str, tuple[str, frozenset[str]]] = {
    "$": ("USD", DOLLARS),
    "€": ("EUR", _codes("EUR")),
    "£": ("GBP", _codes("GBP EGP FKP GIP SHP SYP")),
    "¥": ("¥", _codes("JPY CNY")),
    "kr": ("kr", _codes("SEK NOK DKK ISK")),
    "₹": ("INR", _codes("INR")),
    "₩": ("KRW", _codes("KRW")),
    "₽": ("RUB", _codes("RUB")),
    "₺": ("TRY", _codes("TRY")),
    "₫": ("VND", _codes("VND")),
    "₪": ("ILS", _codes("ILS")),
    "₴": ("UAH", _codes("UAH")),
    "฿": ("THB", _codes("THB")),
    "zł": ("PLN", _codes("PLN")),
    "kč": ("CZK", _codes("CZK")),
    "us$": ("USD", _codes("USD")),
    "c$": ("CAD", _codes("CAD")),
    "ca$": ("CAD", _codes("CAD")),
    "a$": ("AUD", _codes("AUD")),
    "au$": ("AUD", _codes("AUD")),
    "nz$": ("NZD", _codes("NZD")),
    "s$": ("SGD", _codes("SGD")),
    "hk$": ("HKD", _codes("HKD")),
    "mx$": ("MXN", _codes("MXN")),
    "r$": ("BRL", _codes("BRL")),
    "euro": ("EUR", _codes("EUR")),
    "euros": ("EUR", _codes("EUR")),
    "dollar": ("USD", DOLLARS),
    "dollars": ("USD", DOLLARS),
    "us dollars": ("USD", _codes("USD")),
    "yen": ("JPY", _codes("JPY")),
    "rupees": ("INR", _codes("INR PKR LKR NPR MUR")),
}
"""What a sign means alone, and the codes that may stand beside it. Alone, ¥ and kr are no code's."""

POINT_FOR_DECIMALS = _codes("USD GBP AUD NZD HKD SGD INR JPY CNY KRW ILS THB MXN TWD MYR PHP")
"""Currencies of places that write 1,234.50: of them 1,234 is above a thousand, and 1.234 is not."""

_SPACES = r"[\s\u00a0\u202f]"
_DIGITS = re.compile(rf"\d(?:[\d.,'’]|{_SPACES}(?=\d))*")
_GROUPS = re.compile(r"[1-9]\d{0,2}(?:(?P<mark>[.,'’ ])\d{3})(?:(?P=mark)\d{3})*(?:(?P<decimal>[.,])\d*)?")
_INDIAN = re.compile(r"\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d*)?")
_SIMPLE = re.compile(r"\d+(?:[.,]\d*)?")
_THOUSAND = re.compile(r"[1-9]\d{0,2}[.,]\d{3}")
_SIGNED = re.compile(r"[-+]")


@dataclass(frozen=True, slots=True)
class Money:
    """An amount and its currency: an ISO code, a sign that several share, or None where none is named."""

    amount: Decimal
    currency: str | None


def as_money(value: Any, currency: str | None = None) -> Money | None:
    """Read an amount of money, or return None where it is none or could be two.

    `$1,234.50`, `1.234,50 $`, `USD 1 234.5` and `{"amount": 1234.5, "currency": "USD"}` are
    the same. `1.234 EUR` may be either of two amounts and is none of them.

    Args:
        value: A JSON value: a number, a text, or an object of amount (or value) and currency.
        currency: The code of amounts that name no currency.
    """
    if isinstance(value, dict):
        return _of_object(value, currency)
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float)):
        amount = _decimal(value)
        return None if amount is None else Money(amount, currency)
    if not isinstance(value, str) or len(value) > MAX_LENGTH:
        return None
    return _of_text(value, currency)


def _of_object(value: dict[str, Any], currency: str | None) -> Money | None:
    keys = set(value)
    number = next((key for key in ("amount", "value") if key in keys), None)
    if number is None or keys - {number, "currency"} or isinstance(value[number], (dict, list)):
        return None
    named = value.get("currency")
    if named is not None:
        meant = _currency(named, "") if isinstance(named, str) else None
        if meant is None:
            return None
        found = as_money(value[number], meant)
        # The text of the amount may name another one.
        return found if found is not None and found.currency == meant else None
    return as_money(value[number], currency)


def _of_text(text: str, currency: str | None) -> Money | None:
    text = text.strip().replace("−", "-")
    negative = text.startswith("(") and text.endswith(")")
    text = text[1:-1] if negative else text
    found = list(_DIGITS.finditer(text))
    if len(found) != 1:
        return None
    before, digits, after = text[: found[0].start()], found[0].group(), text[found[0].end() :]
    # A full stop behind the amount ends a sentence; a comma is dropped with it.
    digits = digits.rstrip(".,'’") if not after.strip() else digits
    signs = _SIGNED.findall(before)
    if len(signs) + negative > 1 or _SIGNED.search(after):
        return None
    named = _SIGNED.sub("", before), after.strip().removesuffix(".")
    meant = _currency(*named)
    if meant is None and any(each.strip() for each in named):
        return None
    meant = meant or currency
    amount = _amount(digits, meant)
    if amount is None:
        return None
    return Money(-amount if negative or "-" in signs else amount, meant)


def _currency(before: str, after: str) -> str | None:
    """Return the currency that one or two names mean together, or None where they don't."""
    names = [each for each in (" ".join(before.split()), " ".join(after.split())) if each]
    meanings = [_meaning(each) for each in names]
    if not meanings or None in meanings:
        return None
    known = [each for each in meanings if each is not None]
    if len(known) == 1:
        return known[0][0]
    both = known[0][1] & known[1][1]
    return next(iter(both)) if len(both) == 1 else (known[0][0] if known[0] == known[1] else None)


def _meaning(name: str) -> tuple[str, frozenset[str]] | None:
    """Return what a sign or code means alone, and all it may mean."""
    if name.upper() in CODES:
        return name.upper(), frozenset((name.upper(),))
    if name.casefold() in _SIGNS:
        return _SIGNS[name.casefold()]
    parts = name.split()
    if len(parts) == 2 and parts[0].upper() in CODES and parts[1] in _SIGNS:
        parts.reverse()
    if len(parts) == 2 and parts[0] in _SIGNS and parts[1].upper() in _SIGNS[parts[0]][1]:
        return parts[1].upper(), frozenset((parts[1].upper(),))
    return None


def _amount(digits: str, currency: str | None) -> Decimal | None:
    """Return the number that digits with separators mean, or None where they mean none or two."""
    digits = re.sub(_SPACES, " ", digits).replace("’", "'")
    if _THOUSAND.fullmatch(digits):
        if currency not in POINT_FOR_DECIMALS:
            return None
        return _decimal(digits.replace(",", ""))
    if _INDIAN.fullmatch(digits):
        return _decimal(digits.replace(",", ""))
    grouped = _GROUPS.fullmatch(digits)
    if grouped and grouped["decimal"] != grouped["mark"]:
        return _decimal(digits.replace(grouped["mark"], "").replace(",", "."))
    return _decimal(digits.replace(",", ".")) if _SIMPLE.fullmatch(digits) else None


def _decimal(value: float | str) -> Decimal | None:
    """Return a number exactly as it is written in decimals."""
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except (InvalidOperation, ValueError):
        return None
    if not number.is_finite() or (number and abs(number.adjusted()) > MAX_EXPONENT):
        return None
    return number
