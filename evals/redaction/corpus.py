"""A seeded corpus of texts as logs hold them, with what is personal in each known."""

from __future__ import annotations

import ipaddress
import json
import random
import string
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass

NAMES = [
    "ann",
    "ben",
    "chloe",
    "dario",
    "elif",
    "goran",
    "hana",
    "jun",
    "kofi",
    "lena",
    "mara",
    "nils",
    "olga",
]
HOSTS = ["example.com", "mail.example.net", "firma.example.de", "post.example.co.uk", "uni.example.edu"]
WORDS = ["the", "order", "arrived", "late", "please", "invoice", "again", "because", "nobody", "answered"]


@dataclass(frozen=True, slots=True)
class Sample:
    """A text, the kind it is about, and the piece of it that is personal; None for a look-alike.

    `form` is usual, hard (written so as people do who hide it, or without any mark), or look-alike.
    """

    kind: str
    form: str
    text: str
    secret: str | None


Make = Callable[[random.Random], str]


def corpus(size: int, seed: int = 0) -> Iterator[Sample]:
    """Give `size` texts of each kind and form, always the same for one seed."""
    for kind, forms in _FORMS.items():
        for form, makers in forms.items():
            rng = random.Random(f"{seed} {kind} {form}")  # noqa: S311 -- a corpus, no secret
            for number in range(size):
                secret = makers[number % len(makers)](rng)
                text = _TEMPLATES[rng.randrange(len(_TEMPLATES))](rng, secret)
                yield Sample(kind, form, text, None if form == "look-alike" else secret)


def _prose(rng: random.Random, secret: str) -> str:
    words = rng.choices(WORDS, k=rng.randint(3, 12))
    words.insert(rng.randint(0, len(words)), secret + rng.choice(["", ".", ",", "?"]))
    return " ".join(words)


def _line(rng: random.Random, secret: str) -> str:
    return f"{rng.choice(['Contact', 'Ref', 'Note', 'Customer'])}: {secret}\n{_prose(rng, '-')}"


def _in_brackets(rng: random.Random, secret: str) -> str:
    return f"{_prose(rng, 'it')} ({secret}) {_prose(rng, 'it')}"


def _in_json(rng: random.Random, secret: str) -> str:
    return json.dumps({"id": rng.randint(1, 999), "note": _prose(rng, secret)}, indent=rng.choice([None, 2]))


def _in_csv(rng: random.Random, secret: str) -> str:
    return f"{rng.randint(1, 999)};{secret};{rng.choice(WORDS)}"


_TEMPLATES = (_prose, _line, _in_brackets, _in_json, _in_csv)


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choices(string.digits, k=count))


def _email(rng: random.Random) -> str:
    local = rng.choice(["{0}", "{0}.{1}", "{0}_{1}", "{0}+shop", "{0}{2}"])
    return f"{local.format(rng.choice(NAMES), rng.choice(NAMES), rng.randint(1, 99))}@{rng.choice(HOSTS)}"


def _email_upper(rng: random.Random) -> str:
    return _email(rng).title()


def _email_url(rng: random.Random) -> str:
    return f"https://shop.example.com/?u={_email(rng).replace('@', '%40')}".split("u=")[1]


def _email_spelt(rng: random.Random) -> str:
    return _email(rng).replace("@", rng.choice([" at ", " (at) ", " [at] "])).replace(".", " dot ")


def _luhn(digits: str) -> str:
    total = 0
    for place, char in enumerate(reversed(digits)):
        value = int(char) * (2 - place % 2)
        total += value - 9 * (value > 9)
    return digits + str(-total % 10)


def _card_digits(rng: random.Random) -> str:
    start, size = rng.choice([("4", 16), ("52", 16), ("2314", 16), ("37", 15), ("6011", 16), ("3530", 16)])
    return _luhn(start + _digits(rng, size - 1 - len(start)))


def _card_grouped(rng: random.Random) -> str:
    digits, gap = _card_digits(rng), rng.choice([" ", "-"])
    groups = [digits[:4], digits[4:10], digits[10:]] if len(digits) == 15 else _fours(digits)
    return gap.join(groups)


def _card_odd(rng: random.Random) -> str:
    digits = _card_digits(rng)
    return "  ".join(_fours(digits)) if rng.random() < 0.5 else " ".join(digits)


def _card_wrong(rng: random.Random) -> str:
    digits = _card_digits(rng)
    return digits[:-1] + str((int(digits[-1]) + rng.randint(1, 9)) % 10)


def _fours(text: str) -> list[str]:
    return [text[at : at + 4] for at in range(0, len(text), 4)]


def _iban(rng: random.Random) -> str:
    country, body = rng.choice(
        [("DE", _digits(rng, 18)), ("NL", "ABNA" + _digits(rng, 10)), ("GB", "WEST" + _digits(rng, 14)),
         ("FR", _digits(rng, 23)), ("ES", _digits(rng, 20)), ("BE", _digits(rng, 12))]
    )  # fmt: skip
    number = int("".join(str(int(char, 36)) for char in f"{body}{country}00"))
    return f"{country}{98 - number % 97:02}{body}"


def _iban_grouped(rng: random.Random) -> str:
    return " ".join(_fours(_iban(rng)))


def _iban_lower(rng: random.Random) -> str:
    return _iban(rng).lower()


def _iban_odd(rng: random.Random) -> str:
    return rng.choice([". ", "  "]).join(_fours(_iban(rng)))


def _iban_wrong(rng: random.Random) -> str:
    iban = _iban(rng)
    return iban[:-1] + str((int(iban[-1]) + rng.randint(1, 9)) % 10)


def _ipv4(rng: random.Random) -> str:
    return ".".join(str(rng.randint(1, 254)) for _ in range(4)).replace("127.", "12.", 1)


def _ipv6(rng: random.Random) -> str:
    address = ipaddress.IPv6Address((0x20010DB8 << 96) | rng.getrandbits(64))
    return str(address) if rng.random() < 0.5 else address.exploded.upper()


def _ip_odd(rng: random.Random) -> str:
    return rng.choice(["{}-{}-{}-{}.dynamic.example.net", "{} . {} . {} . {}"]).format(*_ipv4(rng).split("."))


def _phone_plus(rng: random.Random) -> str:
    country, size = rng.choice([("44", 10), ("49", 10), ("33", 9), ("1", 10), ("91", 10)])
    rest = rng.choice("23456789") + _digits(rng, size - 1)
    gap = rng.choice([" ", "-", ""])
    return f"+{country}{gap or ' '}{rest[:3]}{gap}{rest[3:6]}{gap}{rest[6:]}"


def _phone_american(rng: random.Random) -> str:
    shape = rng.choice(["({}) {}-{}", "{}-{}-{}", "{}.{}.{}", "1-{}-{}-{}"])
    area, exchange = (rng.choice("23456789") + _digits(rng, 2) for _ in range(2))
    return shape.format(area, exchange, _digits(rng, 4))


def _phone_national(rng: random.Random) -> str:
    return f"0{rng.randint(20, 999)}{rng.choice([' ', '-', '/'])}{rng.randint(100000, 99999999)}".replace(
        "00", "01"
    )


def _phone_pairs(rng: random.Random) -> str:
    groups = [f"0{rng.randint(1, 7)}", *(_digits(rng, 2) for _ in range(4))]
    return rng.choice([".", "-", "/"]).join(groups)


def _phone_compact(rng: random.Random) -> str:
    country, size = rng.choice([("44", 10), ("49", 11), ("33", 9), ("34", 9)])
    return f"00{country}{rng.choice('23456789')}{_digits(rng, size - 1)}"


def _phone_compact_near(rng: random.Random) -> str:
    number = _phone_compact(rng)
    said = rng.choice(
        ['"customer_phone": "{}"', "Tel. (in the evening, after 18 h): {}", "Mobil {}", "{} is my phone"]
    )
    return said.format(number)


def _padded(rng: random.Random) -> str:
    day = f"2024{rng.randint(1, 12):02}{rng.randint(1, 28):02}{rng.randint(0, 23):02}{rng.randint(0, 59):02}"
    body = rng.choice("123456789") + _digits(rng, 11)
    return rng.choice(
        [
            f"GTIN 00{body}", f"id 00{body}{rng.randint(0, 9)}", f"date 00{day}", f"00{body}",
            f"00{body} {rng.randint(10, 99)}", f"call id: 00{rng.choice('123456789')}{_digits(rng, 8)}",
        ]
    )  # fmt: skip


def _phone_said_abroad(rng: random.Random) -> str:
    said = rng.choice(
        ["Tél: ", "teléfono: ", "Telefonnummer ", "Telefoonnummer: ", "电话：", "手机号", "тел. "]
    )
    return f"{said}{rng.choice('0123456789')}{_digits(rng, 9)}"


def _phone_said(rng: random.Random) -> str:
    number = rng.choice("23456789") + _digits(rng, 9)
    return f"{rng.choice(['phone', 'tel.', 'Mobile:', 'call me at', 'Telefon'])} {number}"


def _phone_bare(rng: random.Random) -> str:
    return rng.choice("23456789") + _digits(rng, 9)


def _dates_of_two_digits(rng: random.Random) -> str:
    sign = rng.choice(".-/")
    date = sign.join(f"{each:02}" for each in (rng.randint(1, 9), rng.randint(1, 12), rng.randint(20, 29)))
    hour, minute = f"{rng.randint(0, 23):02}", f"{rng.randint(0, 59):02}"
    return rng.choice(
        [f"{date} {hour}.{minute}", f"{date}{sign}{hour}{sign}{minute}{sign}00", f"{date}-{date}"]
    )


def _token(rng: random.Random, size: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(rng.choices(alphabet, k=size - 1)) + rng.choice(string.digits)


def _key(rng: random.Random) -> str:
    hexes = "0123456789abcdef"
    return rng.choice(
        [
            f"sk-proj-{_token(rng, 40)}", f"sk-ant-api03-{_token(rng, 60)}", f"ghp_{_token(rng, 36)}",
            f"AKIA{_token(rng, 16, string.ascii_uppercase)}", f"xoxb-{_digits(rng, 11)}-{_token(rng, 24)}",
            f"AIza{_token(rng, 35)}", f"hf_{_token(rng, 34)}", f"glpat-{_token(rng, 20)}",
            f"sk_live_{_token(rng, 24)}", f"shpat_{_token(rng, 32, hexes)}", f"npm_{_token(rng, 36)}",
            f"eyJ{_token(rng, 20)}.eyJ{_token(rng, 40)}.{_token(rng, 43)}",
        ]
    )  # fmt: skip


def _key_of_services(rng: random.Random) -> str:
    hexes, base64 = "0123456789abcdef", string.ascii_letters + string.digits + "+/"
    upper = string.ascii_uppercase
    return rng.choice(
        [
            f"lsv2_pt_{_token(rng, 32, hexes)}_{_token(rng, 10, hexes)}", f"pplx-{_token(rng, 48)}",
            f"tvly-{_token(rng, 32)}", f"dckr_pat_{_token(rng, 27)}",
            f"AccountKey={_token(rng, 86, base64)}==", f"SharedAccessKey={_token(rng, 43, base64)}=",
            f"https://hooks.slack.com/services/T{_token(rng, 8, upper)}/B{_token(rng, 34, upper)}",
            f"Ocp-Apim-Subscription-Key: {_token(rng, 32, hexes)}", f'"token": "{_token(rng, 40)}"',
            f"secret={_token(rng, 32)}", f"Basic {_user_and_password(rng)}",
            f'{{\\"token\\": \\"{_token(rng, 40)}\\"}}', f'{{\\"password\\": \\"{_token(rng, 12)}\\"}}',
        ]
    )  # fmt: skip


def _user_and_password(rng: random.Random) -> str:
    told = f"{rng.choice(NAMES)}:{''.join(rng.choices(string.ascii_letters, k=12))}"
    return b64encode(told.encode()).decode()


def _key_named(rng: random.Random) -> str:
    return rng.choice(["api_key=", "password: ", "client_secret = ", "Bearer "]) + _token(rng, 24)


def _key_bare(rng: random.Random) -> str:
    return _token(rng, 32, "0123456789abcdef")


def _pick(*shapes: Make) -> list[Make]:
    return list(shapes)


_FORMS: dict[str, dict[str, list[Make]]] = {
    "EMAIL": {
        "usual": _pick(_email, _email_upper, _email_url),
        "hard": _pick(_email_spelt),
        "look-alike": _pick(
            lambda rng: f"lodash@{rng.randint(1, 9)}.{rng.randint(0, 20)}.1",
            lambda rng: f"@{rng.choice(NAMES)} at the top",
            lambda rng: f"5 items @ {rng.randint(1, 99)}.50",
        ),
    },
    "PHONE": {
        "usual": _pick(
            _phone_plus,
            _phone_american,
            _phone_national,
            _phone_said,
            _phone_pairs,
            _phone_compact_near,
            _phone_said_abroad,
        ),
        "hard": _pick(_phone_bare, _phone_compact),
        "look-alike": _pick(
            lambda rng: f"2026-{rng.randint(1, 12):02}-{rng.randint(1, 28):02} 10:{rng.randint(10, 59)}:00",
            lambda rng: f"{rng.randint(1, 28):02}.{rng.randint(1, 12):02}.2026 09:30",
            _dates_of_two_digits,
            _padded,
            lambda rng: f"1{_digits(rng, 12)}",
            lambda rng: f"order {rng.choice('123456789')}{_digits(rng, 6)}".replace(" ", " 000"),
            lambda rng: f"{rng.randint(1, 99)}.{_digits(rng, 3)}.{_digits(rng, 3)},{_digits(rng, 2)} EUR",
            lambda rng: f"{rng.randint(1, 999)},{_digits(rng, 3)},{_digits(rng, 3)}.00",
            lambda rng: f"{_token(rng, 8)}-{_digits(rng, 4)}-4{_digits(rng, 3)}-{_token(rng, 12)}",
        ),
    },
    "CARD": {
        "usual": _pick(_card_digits, _card_grouped),
        "hard": _pick(_card_odd),
        "look-alike": _pick(_card_wrong, lambda rng: _digits(rng, 16), lambda rng: f"0.{_digits(rng, 16)}"),
    },
    "IBAN": {
        "usual": _pick(_iban, _iban_grouped, _iban_lower),
        "hard": _pick(_iban_odd),
        "look-alike": _pick(_iban_wrong, lambda rng: f"DE{_digits(rng, 10)}"),
    },
    "IP": {
        "usual": _pick(_ipv4, _ipv6),
        "hard": _pick(_ip_odd),
        "look-alike": _pick(
            lambda rng: f"v{rng.randint(1, 9)}.{rng.randint(0, 9)}.{rng.randint(0, 9)}.{rng.randint(0, 9)}",
            lambda rng: f"Chrome/{rng.randint(90, 140)}.0.0.0",
            lambda rng: f"{rng.randint(10, 23)}:{rng.randint(10, 59)}:{rng.randint(10, 59)}",
            lambda rng: f"section {rng.randint(1, 9)}.{rng.randint(1, 9)}.{rng.randint(1, 9)}",
        ),
    },
    "KEY": {
        "usual": _pick(_key, _key_named, _key_of_services),
        "hard": _pick(_key_bare),
        "look-alike": _pick(
            lambda rng: f"password: {rng.choice(WORDS)}",
            lambda rng: "sk-learn-is-a-nice-library",
            lambda rng: f"the token count: {rng.randint(100, 9999)}",
            lambda rng: f'"token": "{rng.choice(WORDS)}", "max_tokens": {rng.randint(100, 9999)}',
            lambda rng: f"next_page_token={_token(rng, 32)}",
            lambda rng: f"stop_token: {_token(rng, 20)}",
            lambda rng: f"token: {'_'.join(rng.choices(WORDS, k=5))}_{_digits(rng, 4)}",
            lambda rng: f"basic {rng.choice(WORDS)}information and a secret: {rng.choice(WORDS)}",
        ),
    },
}
