"""Laws of redaction: it ends, it is idempotent, JSON stays JSON, and it invents nothing."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workbench.redaction import PLACEHOLDER, Redactor

KEY = b"0123456789abcdef0123456789abcdef"
REDACTOR = Redactor(KEY)

PERSONAL = [

    "ann@example.com", "Ann@Example.COM", "a.b+c@mail.example.co.uk", "ann%40example.com",
    "4111 1111 1111 1111", "4111111111111111", "378282246310005", "DE89 3704 0044 0532 0130 00",
    "GB82WEST12345698765432", "10.1.2.3", "2001:db8::1", "+44 20 7946 0958", "020 7946 0958",
    "(415) 555-0123", "sk-proj-abc123def456ghi789jkl", "AKIAIOSFODNN7EXAMPLE", "password: hunter2x",
    "https://user:p4ssw0rd@host.example/", "phone 4155550123",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----", "[EMAIL_bcdfghjklm]",
    '{"phone": 4155550123}', "\\u0040", "@", "%40", '"', "\\", ":", "[", "]", "{", "}", ",", "-", "+", ".",
    " ", "0", "4",
]  # fmt: skip
fragments = st.lists(st.sampled_from(PERSONAL) | st.text(max_size=6), max_size=8).map("".join)
texts = st.text() | fragments
values = st.recursive(
    texts | st.integers() | st.floats(allow_nan=False) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def redacted(text: str) -> str:
    return REDACTOR.text(text, Counter())


def outside(text: str) -> list[str]:
    """Return what stands between placeholders."""
    return PLACEHOLDER.split(text)


@given(texts)
def test_twice_is_once(text: str) -> None:
    """What is redacted stays as it is when it is redacted again."""
    once = redacted(text)
    assert redacted(once) == once


@given(values)
@example({"+1000000": 100000})
@example({"PHONE" + "0" * 15 + ":" + "0" * 40: 100000})
def test_a_value_twice_is_once(value: Any) -> None:
    """The same holds for JSON values, whose shape stays."""
    once, found = REDACTOR(value)
    twice, again = REDACTOR(once)
    assert twice == once
    assert again == {}
    assert (once == value) is (not found)


@given(fragments)
def test_nothing_is_invented(text: str) -> None:
    """Outside of placeholders and JSON, every character of the result stood in the text, in that order."""
    at = 0
    if text.lstrip()[:1] in ("{", "[", '"'):
        return
    for piece in outside(redacted(text)):
        for char in piece.replace('"', ""):
            at = text.find(char, at) + 1
            assert at > 0


@given(values)
@example(5_168_980_045_451_861)
def test_json_stays_json(value: Any) -> None:
    """JSON in a text is JSON afterwards, with as many lists, objects and values."""
    text = json.dumps(value)
    if isinstance(value, int | float) and (made := redacted(text)) != text:
        assert PLACEHOLDER.search(made), "a number alone is read as text"
        return
    shape = json.loads(redacted(text))

    def count(item: Any) -> Any:
        if isinstance(item, dict):
            return {"n": [count(each) for each in item.values()]}
        return [count(each) for each in item] if isinstance(item, list) else 0

    if isinstance(value, list | dict):
        assert count(shape) == count(json.loads(text))


@given(texts, st.sampled_from(PERSONAL[:19]))
@example("00", "020 7946 0958")
def test_what_it_finds_is_gone(text: str, secret: str) -> None:
    """What is found alone is found amid words too, and none of it is left."""
    result = redacted(f"{text} {secret} {text}")
    core = secret.split(": ")[-1].split("phone ")[-1]
    assert core not in result or core in text


@given(texts)
def test_counts_are_true(text: str) -> None:
    """There are at least as many new placeholders as the counts say, and none without a count."""
    found: Counter[str] = Counter()
    result = REDACTOR.text(text, found)
    assert (result != text) is bool(found)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ann@Example.com", "ann@example.com"),
        ("ann%40example.com", "ann@example.com"),
        ("4111 1111 1111 1111", "4111-1111-1111-1111"),
        ("+44 20 7946 0958", "0044 20 79460958"),
        ("+44 20 7946 0958", "+44 (0)20 7946-0958"),
        ("0049 1761234567", "+49 176 1234567"),
        ("06.12.34.56.78", "06 12 34 56 78"),
        ("06-12-34-56-78", "06/12/34/56/78"),
        ("+1 415 555 0123", "(415) 555-0123"),
        ("1-415-555-0123", "415.555.0123"),
        ("DE89 3704 0044 0532 0130 00", "DE89370400440532013000"),
        ("2001:db8:0:0::1", "2001:DB8::1"),
    ],
)
def test_one_person_is_one_placeholder(one: str, other: str) -> None:
    """However somebody is spelt, the placeholder is the same; another person's differs."""
    assert redacted(one) == redacted(other)
    assert PLACEHOLDER.fullmatch(redacted(one))
    assert redacted("ben@example.com") != redacted("ann@example.com")
    assert Redactor(b"another key of 32 bytes length..").text(one, Counter()) != redacted(one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("(415) 555-2671", "(315) 555-2671"),
        ("+49 176 12345678", "+34 612 345 678"),
        ("+33 612 345 678", "+34 612 345 678"),
        ("06 12 34 56 78", "07 12 34 56 78"),
        ("+44 20 7946 0958", "020 7946 0958"),
    ],
)
def test_two_numbers_are_two_placeholders(one: str, other: str) -> None:
    """Numbers that differ in any digit differ; so do those of which one alone names its country."""
    assert PLACEHOLDER.fullmatch(redacted(one))
    assert redacted(one) != redacted(other)


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("Tél: 06.12.34.56.78", "Tél: "),
        ("(06.12.34.56.78)", "()"),
        ("teléfono: 912345678", "teléfono: "),
        ("Telefonnummer 1234567", "Telefonnummer "),
        ("我的电话：13800138000谢谢", "我的电话：谢谢"),
        ("携帯は09012345678", "携帯は"),
        ("тел. 4951234567", "тел. "),
        ("01.02.2024 030 1234567", "01.02.2024 "),
        ("Tel. (abends, aber nicht am Sonntag): 00491761234567", "Tel. (abends, aber nicht am Sonntag): "),
        ("0033612345678 is my mobile", " is my mobile"),
        ("customer_phone of the second caller is 0034612345678", "customer_phone of the second caller is "),
        ("00 49 176 1234567", ""),
        ("call me at 00491761234567", "call me at "),
    ],
)
def test_numbers_are_found_behind_words_of_many_languages(text: str, rest: str) -> None:
    """A number behind a word for it is found in other languages too, and beside a date; the rest stays."""
    assert "".join(outside(redacted(text))) == rest


@pytest.mark.parametrize(
    "text",
    [

        "lsv2_pt_0123456789abcdef0123456789abcdef_0123456789", "pplx-" + "aB3" * 16, "tvly-dev-" + "aB3" * 10,
        "dckr_pat_" + "aB3" * 9, "AccountKey=" + "aB3/" * 21 + "aQ==",
        "SharedAccessKey=" + "aB3+" * 10 + "aQ4=", "Ocp-Apim-Subscription-Key: " + "0123456789abcdef" * 2,
        "token: " + "aB3" * 10, "secret=" + "aB3" * 10,
        r'say {\"token\": \"' + "aB3" * 10 + r'\"} now',
        r'say {\\\"api_token\\\": \\\"' + "aB3" * 10 + r'\\\"}',
        r'say {\"password\": \"aB3aB3\"} now', r"password: aB3\aB3aB3",
        '{"token": "' + "aB3" * 10 + '"}', '{"id_token": "' + "aB3" * 10 + '"}', "Basic dXNlcjpwYXNzd29yZA==",
        "Authorization: Basic YW5uOnB3", "https://hooks.slack.com/services/T00000000/B00000000/" + "X" * 24,
        "https://discord.com/api/webhooks/123456789012345678/" + "aB3" * 22,
    ],
)  # fmt: skip
def test_keys_of_many_services_are_found(text: str) -> None:
    """Keys of known shapes, connection strings, headers, webhooks and fields named `token` are found."""
    found: Counter[str] = Counter()
    clean = REDACTOR.text(text, found)
    assert found == {"KEY": 1}
    assert "aB3aB3" not in clean
    assert REDACTOR.text(clean, Counter()) == clean


@pytest.mark.parametrize(
    "text",
    [

        "the meeting is on 2024-01-15 at 10:30, room 4.12", "order 1700000000000, total 1,234.56",
        "version 1.2.3.4", "Chrome/120.0.0.0 Safari/537.36", "std::vector<int> a::b", "127.0.0.1 and ::1",
        "lodash@4.17.21", "@app.route", "4111 1111 1111 1112", "DE89370400440532013001",
        "password: required", "uuid 3f2a9c1e-4155-5501-23ab-0123456789ab", "01.02.2024 10:30",
        "3.14159265358979", "sk-learn-is-a-nice-library", "the token budget: 4096",
        '{"password": {"type": "string"}, "api_key": "string"}', "call 911",
        "06.12.24 10.30", "06-12-24-10-30-59", "01.02.24-05.02.24", "order 0004917612", "12.345.678,90 EUR",
        '{"token": " hello", "logprob": -0.1}', '{"secret": "santa"}', '{"max_tokens": 1024}',
        "next_page_token=aB3aB3aB3aB3aB3aB3", '{"nextPageToken": "aB3aB3aB3aB3aB3aB3"}', "basic information",
        "order 00491761234567", "GTIN 00123456789012", "id 001234567890123", "id 001234567890123 24",
        "00100000000000", "date 00202401011200", "call id: 001234567890123", "call id: 00491761234567",
        "hotel 00491761234567",
        "phone case in black, for the new model, GTIN 00123456789012",
        "phone case for the new model in red, id 009994567890", "id 001234567",
        '{"stop_token": "END_OF_ANSWER_1234"}', '{"pad_token": "special_token_0001"}',
        "first_token: the_1st_word_of_it", "eosToken=aB3aB3aB3aB3aB3aB3", "token: END_OF_ANSWER_1234",
        "secret: /run/secrets/db_password_1", "tokenizer: meta-llama/Llama-3.1-8B-Instruct", "отель 1234567",
    ],
)  # fmt: skip
def test_ordinary_numbers_stay(text: str) -> None:
    """Dates, versions, amounts, ids and numbers with a wrong checksum are left alone."""
    assert redacted(text) == text


@pytest.mark.parametrize("name", ["backend_token", "launchpad-token", "friendToken", "token"])
def test_names_that_end_like_a_tokenizers_are_names_of_keys(name: str) -> None:
    """`backend_token` is no `end_token`; words beside a long random piece are no words."""
    assert (
        redacted(f"{name}=my_own_key_aB3aB3aB3aB3")
        == f"{name}={redacted('token=my_own_key_aB3aB3aB3aB3')[6:]}"
    )
    assert PLACEHOLDER.fullmatch(REDACTOR({name: "my_own_key_aB3aB3aB3aB3"})[0][name])


def test_escaped_json_in_prose_stays_escaped_json() -> None:
    """The backslashes and quotes around a secret in escaped JSON stay, so that it can still be read."""
    inner = json.dumps({"password": "hunter2xY", "n": 3})
    clean = redacted(f"say {json.dumps(inner)} now")
    made = json.loads(json.loads(clean.removeprefix("say ").removesuffix(" now")))
    assert PLACEHOLDER.fullmatch(made["password"])
    assert made["n"] == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("phone", 4155550123),
        ("customer_phone", "4155550123"),
        ("db_password", "letmein-9"),
        ("Authorization", "Bearer abcdef123456"),
    ],
)
def test_a_field_says_what_it_holds(name: str, value: Any) -> None:
    """A bare number under `phone`, a word under `password`: the name of the field decides."""
    made, found = REDACTOR({name: value, "other": value})
    assert PLACEHOLDER.fullmatch(made[name])
    assert sum(found.values()) >= 1
    text = json.dumps({name: value}, indent=2)
    assert json.loads(redacted(text)) == {name: made[name]}
    assert redacted(text).count("\n") == text.count("\n")


def test_json_in_json_and_in_prose() -> None:
    """Escapes hide nothing, arguments within a text are read, and JSON in prose stays JSON."""
    inner = json.dumps({"to": "ann@example.com", "n": 3})
    made = json.loads(
        json.loads(redacted(json.dumps({"arguments": inner, "x": "ann\u0040example.com"})))["arguments"]
    )
    assert PLACEHOLDER.fullmatch(made["to"])
    assert made["n"] == 3
    assert redacted('{"x": "ann\\u0040example.com"}') == f'{{"x": "{redacted("ann@example.com")}"}}'
    prose = 'Sure:\n```json\n{"card": 4111111111111111, "ok": true}\n```'
    block = redacted(prose).split("```json\n")[1].split("\n```")[0]
    assert json.loads(block) == {"card": redacted("4111111111111111"), "ok": True}


HOSTILE = {

    "digits": "1", "ats": "@", "cards": "4111 ", "a@": "a@", "spaced": "1 ", "plus": "+1 ", "colons": ":",
    "hex": "a:", "zeros": "01 ", "ibans": "DE89 ", "quotes": '"', "braces": "[",
    "pem": "-----BEGIN PRIVATE KEY-----", "url": "://a:", "placeholders": "[EMAIL_bcdfghjklm]",
    "dots": "a.", "jwt": "eyJaaaaaaaa.", "escapes": '\\"', "sk": "sk-", "objects": '{"a":',
    "mails": "a@b.co ", "passwords": "password=", "tokens": "token=", "basic": "basic ", "pairs": "06.12.",
    "phones": "电话", "dashes": "-", "bearer": "bearer ", "phone": "phone ",
    "escaped": r'token\": \"', "escaped names": r'password\\\"', "escaped values": r'password=\"a\\',
    "backslashes": "\\", "undivided": "0049", "near": "phone of it 00491761234567 ",
    "words": "token=a_1_a_1_a_1_a_1_ ",
    "parts": "token=" + "a_1_" * 1_000,
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_takes_linear_time(name: str) -> None:
    """Ten times the text takes no more than thirty times as long, and never raises.

    A quadratic detector would take a hundred times; the ratio of one run is what counts.
    """

    def seconds(size: int) -> float:
        text = (HOSTILE[name] * size)[:size]
        spent = []
        for _ in range(2):
            start = time.process_time()
            redacted(text)
            spent.append(time.process_time() - start)
        return max(min(spent), 1e-4)

    assert seconds(200_000) / max(seconds(20_000), 2e-3) < 30


def test_a_megabyte_of_anything_is_taken() -> None:
    """A megabyte of digits, of @ and of open braces comes back."""
    for char in ("7", "@", "[", '{"a":', "\ud800", "\x00"):
        text = char * 1_000_000
        assert redacted(text)[:50] == text[:50]
