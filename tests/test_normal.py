"""One form for text, JSON, hashes, arguments, tokens and times."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.normal import (
    MAX_DEPTH,
    Undecodable,
    as_count,
    as_text,
    canonical_json,
    clean_text,
    content_hash,
    decode_json,
    decode_nested,
    depth_of,
    last_user_text,
    parse_arguments,
    system_text,
    to_utc,
    usage_openai,
)
from workbench.records import Message, Usage

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
ANY_TEXT = st.text(st.characters(exclude_categories=()))


@given(ANY_TEXT)
def test_clean_text_can_be_stored_and_says_whether_it_changed(text: str) -> None:
    """No NUL and no lone surrogate is left; clean text stays as it is."""
    clean, changed = clean_text(text)
    clean.encode("utf-8")
    assert "\x00" not in clean
    assert changed == (clean != text)
    assert clean_text(clean) == (clean, False)


def test_a_pair_of_surrogates_becomes_its_character() -> None:
    assert clean_text("\ud83d\ude00\ud800\x00") == ("😀\ufffd\ufffd", True)


@given(JSON)
def test_canonical_json_does_not_depend_on_the_order_of_keys(value: Any) -> None:
    """Equal values give one text, whatever the order of their keys, and it reads back."""

    def turned(item: Any) -> Any:
        if isinstance(item, dict):
            return {key: turned(item[key]) for key in reversed(list(item))}
        return [turned(each) for each in item] if isinstance(item, list) else item

    assert canonical_json(value) == canonical_json(turned(value))
    assert canonical_json(json.loads(canonical_json(value))) == canonical_json(value)


def test_canonical_json_writes_equal_numbers_alike() -> None:
    assert canonical_json({"b": 1.0, "a": [2e3, 0.5]}) == '{"a":[2000,0.5],"b":1}'
    assert canonical_json({1: float("nan")}) == '{"1":null}'
    assert canonical_json("\ud800") == '"\ufffd"'


def test_a_hash_counts_where_its_parts_are_cut() -> None:
    assert content_hash("ab", "c") != content_hash("a", "bc")
    assert content_hash({"a": 1, "b": 2}) == content_hash({"b": 2, "a": 1.0})
    assert len(content_hash("x")) == 32


@given(st.binary(max_size=200) | ANY_TEXT)
def test_decoding_any_bytes_gives_clean_json_or_a_reason(data: bytes | str) -> None:
    """Decoding raises nothing but `Undecodable`, and what it gives can be stored."""
    try:
        decoded = decode_json(data)
    except Undecodable as error:
        assert str(error)  # noqa: PT017 -- either outcome is fine
        return
    canonical_json(decoded.value).encode()
    assert "\x00" not in json.dumps(decoded.value, ensure_ascii=False)


def test_repairs_are_told() -> None:
    assert decode_json(b'{"a": "x\\u0000"}').repaired
    assert decode_json(b'{"a": "\\ud800"}').value == {"a": "\ufffd"}
    assert decode_json(b'{"a": NaN}').value == {"a": None}
    assert decode_json(b'{"a": "\xff"}').repaired
    assert not decode_json('{"a": "\\ud83d\\ude00"}').repaired


def test_depth_is_capped() -> None:
    at_the_cap = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert depth_of(decode_json(at_the_cap).value) == MAX_DEPTH
    for deep in (f"[{at_the_cap}]", "[" * 30_000, '{"a":' * 3_000 + "1" + "}" * 3_000):
        with pytest.raises(Undecodable):
            decode_json(deep)


def test_json_in_a_string_is_decoded_at_most_twice() -> None:
    """A log may hold JSON text, or JSON text in JSON text; a third time is left alone."""
    value = {"a": 1}
    once = json.dumps(value)
    twice = json.dumps(once)
    thrice = json.dumps(twice)
    assert decode_nested(value) == value
    assert decode_nested(once) == value
    assert decode_nested(twice) == value
    assert decode_nested(thrice) == thrice
    assert decode_nested("42") == "42"
    assert decode_nested("{broken") == "{broken"


@pytest.mark.parametrize(
    ("logged", "parsed"),
    [
        ('{"a": 1}', {"a": 1}),
        ({"a": 1}, {"a": 1}),
        ('"{\\"a\\": 1}"', {"a": 1}),
        ("", {}),
        (None, {}),
        ("null", {}),
        ("{broken", "{broken"),
        ("[1]", [1]),
    ],
)
def test_arguments_are_parsed_as_text_or_object(logged: Any, parsed: Any) -> None:
    assert parse_arguments(logged) == parsed


def test_usage_takes_the_cached_tokens_out_of_the_input() -> None:
    logged = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "prompt_tokens_details": {"cached_tokens": 60},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    assert usage_openai(logged) == Usage(40, 60, 20, 5)
    assert usage_openai({"input_tokens": 7, "output_tokens": 2}) == Usage(7, None, 2, None)
    assert usage_openai("none") == Usage()


@pytest.mark.parametrize(
    ("value", "count"),
    [(3, 3), (3.0, 3), ("3", 3), (True, None), (-1, None), ("x", None), (0.5, None), (2**62, None)],
)
def test_counts_are_whole_and_not_negative(value: Any, count: int | None) -> None:
    assert as_count(value) == count


def test_scalars_read_as_people_write_them() -> None:
    assert [as_text(each) for each in (1.0, 1.5, True, "x", 7)] == ["1", "1.5", "true", "x", "7"]


MOMENT = datetime(2025, 10, 9, 8, 53, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        1_760_000_000,
        1_760_000_000.0,
        "1760000000",
        1_760_000_000_000,
        1_760_000_000_000_000,
        1_760_000_000_000_000_000,
        "2025-10-09T08:53:20Z",
        "2025-10-09 08:53:20",
        "2025-10-09T10:53:20+02:00",
        "2025/10/09 08:53:20",
        "2025-10-09 08:53:20.000000 UTC",
        "2025-10-09T08:53:20z",
        "2025-10-09 10:53:20 +0200 UTC",
        "2025-10-09 08:53:20.000000 +0000 UTC",
        "09/Oct/2025:10:53:20 +0200",
        "Thu, 09 Oct 2025 08:53:20 +0000",
        "Thu, 9 Oct 2025 08:53:20 GMT",
        "09 Oct 2025 10:53:20 +0200",
        "Thu, 09 Oct 2025 04:53:20 EDT",
        "thu, 09 oct 2025 00:53:20 PST",
        "Thu Oct 09 2025 10:53:20 GMT+0200 (Central European Summer Time)",
        "Thu Oct 09 2025 05:53:20 GMT-0300",
        datetime(2025, 10, 9, 10, 53, 20, tzinfo=timezone(timedelta(hours=2))),
        datetime(2025, 10, 9, 8, 53, 20),  # noqa: DTZ001 -- logs hold such times
    ],
)
def test_times_become_utc(value: Any) -> None:
    """Epochs in any unit, ISO 8601, RFC 2822, JavaScript's dates and datetimes name the same moment."""
    assert to_utc(value) == MOMENT


@pytest.mark.parametrize(
    "value",
    [
        *(None, "", "last week", "10", 0, 1, -5, True, 1e30, float("nan"), "09/10/2025", "1999-01-01", {}),
        "Oct 9, 2025, 8:53:20 PM",
        "Thu, 09 Oct 2025 08:53:20 PM",
        "9 Oct 2025 8:53 PM",
        "Thu, 09 Oct 2025 08:53:20",
        "Thu, 09 Oct 2025 10:53:20 CEST",
        "09/Oct/2025:10:53:20",
        "2025-10-09 10:53:20 +0200 CEST",
        "z",
        "Thu, 09 Oct 2025 14:23:20 IST",
        "Thu Oct  9 10:53:20 CEST 2025",
        "Thu, 09 Oct 25 08:53:20 GMT",
        "Thu, 32 Oct 2025 08:53:20 GMT",
        "Thu, 09 Oct 2025 08:53:20 +9900",
    ],
)
def test_a_time_that_is_not_certain_is_none(value: Any) -> None:
    """Nothing is guessed: not which of day and month comes first, nor a zone, nor the half of the day."""
    assert to_utc(value) is None


@given(JSON | st.floats() | st.datetimes())
def test_reading_a_time_never_raises(value: Any) -> None:
    found = to_utc(value)
    assert found is None or found.tzinfo is UTC


def test_the_last_user_message_and_the_system_prompt_are_found() -> None:
    messages = (
        Message("system", "Be brief."),
        Message("user", "One"),
        Message("user", [{"type": "text", "text": "Two"}, {"type": "image_url"}]),
        Message("assistant", None),
    )
    assert last_user_text(messages) == "Two"
    assert system_text(messages) == "Be brief."
    assert last_user_text(messages[:1]) == ""
