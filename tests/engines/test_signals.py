"""Signals of confidence read off log-probabilities, and reasoning taken off the front."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.engines.dialects import WRAPPER_OPENING
from workbench.engines.reasoning import split_reasoning
from workbench.engines.signals import Token, answer_tokens, label_margin, read_tokens, token_quantile


def token(text: str, share: float, **tops: float) -> Token:
    """Return a token with its probability and those of others."""
    others = {key.replace("_", " "): math.log(value) for key, value in tops.items()}
    return Token(text, math.log(share), {text: math.log(share)} | others)


def names(*labels: str) -> dict[str, str]:
    """Return labels that are written as they are called."""
    return {each: each for each in labels}


def test_pieces_of_labels_that_begin_alike_are_followed_to_where_they_part() -> None:
    """Of technical, tech support and billing, the share of each is that of its whole path."""
    tokens = [token(" tech", 0.7, bill=0.3), token("nical", 0.6, _support=0.4)]
    found = label_margin(tokens, names("technical", "tech support", "billing"))
    assert found == pytest.approx(0.42 - 0.3)


def test_a_label_that_another_begins_with_ends_where_the_other_does_not_go_on() -> None:
    """After spam, the mark of the end and a full stop speak for spam, and risk for spam risk."""
    known = names("spam", "spam risk", "ham")
    end = Token("<|im_end|>", math.log(0.6), {" risk": math.log(0.3), ".": math.log(0.1)})
    assert label_margin([token("spam", 0.9, ham=0.1), end], known) == pytest.approx(0.63 - 0.27)
    assert label_margin([token("spam", 0.9, ham=0.1)], known) is None


def test_case_spaces_quotes_and_aliases_stand_for_the_label() -> None:
    """All ways to write a label add up, unless labels differ in just that."""
    tokens = [token(' "', 1.0), token("Spam", 0.5, spam=0.2, SPAM=0.1, junk=0.1, ham=0.1)]
    assert label_margin(tokens, names("spam", "ham") | {"junk": "spam"}) == pytest.approx(0.8)
    assert label_margin([token("NO", 0.7, no=0.3)], names("NO", "no")) == pytest.approx(0.4)


def test_a_wrapped_label_is_read_behind_its_wrapper() -> None:
    """The certain tokens of `{"label": "` say nothing; the first of the label decides."""
    tokens = [token('{"', 0.99, Sure=0.01), token("label", 1.0), token('":', 1.0)]
    tokens += [token(' "', 1.0), token("spam", 0.75, ham=0.25), token('"}', 1.0)]
    assert label_margin(tokens, names("spam", "ham"), WRAPPER_OPENING) == pytest.approx(0.5)
    glued = [token('{"label":"sp', 0.75, **{'{"label":"ham': 0.25}), token('am"}', 1.0)]
    assert label_margin(glued, names("spam", "ham"), WRAPPER_OPENING) == pytest.approx(0.5)
    assert label_margin([token("Sure", 1.0)], names("spam", "ham"), WRAPPER_OPENING) is None


def test_a_label_that_was_sampled_against_the_odds_has_no_margin() -> None:
    """At a temperature the model may write what it thinks unlikely: its sureness was of the other label."""
    for written, expected in (("spam", 0.9), ("ham", 0.0)):
        likely = {"spam": math.log(0.95), "ham": math.log(0.05)}
        token = Token(written, likely[written], likely)
        assert label_margin([token], {"spam": "spam", "ham": "ham"}) == pytest.approx(expected)


def test_a_label_too_unlikely_to_be_told_counts_with_the_most_it_can_have() -> None:
    """As llama.cpp replies under a grammar: it tells what the model would have written freely."""
    tops = {"S": -2.65, "Call": -3.58, "2": -4.15, "Message": -4.15, "message": -4.2}
    found = label_margin([Token("sp", -5.42, tops), Token("am", -0.02)], names("spam", "ham"))
    own, most = math.exp(-2.65) + math.exp(-5.42), math.exp(-4.2)
    assert found == pytest.approx((own - most) / (own + most))
    weak = {"I": math.log(0.5), "The": math.log(0.2), "It": math.log(0.1)}
    assert label_margin([Token("spam", math.log(0.01), weak)], names("spam", "ham")) == 0.0
    # No likeliest tokens at all: the other label may have all that is left.
    assert label_margin([Token("spam", math.log(0.8))], names("spam", "ham")) == pytest.approx(0.6)
    # As vLLM 0.32 replies: what is not allowed has -9999, so the other label has nothing.
    masked = {"sp": -0.25, "s": -1.51, "<|im_start|>": -9999.0}
    assert label_margin([Token("sp", -0.25, masked)], names("spam", "ham")) == pytest.approx(1.0)


@pytest.mark.parametrize("bad", [float("nan"), 5.0, float("inf")])
@pytest.mark.parametrize("name", ["ham", "zzz"])
def test_an_alternative_that_is_no_log_probability_leaves_no_margin(bad: float, name: str) -> None:
    """NaN or a positive number beside the deciding token proves no label unlikely: no signal."""
    known = names("spam", "ham")
    assert label_margin([Token("spam", -0.7, {"spam": -0.7, name: bad})], known) is None
    before = Token('"', -0.1, {"zzz": bad})
    assert label_margin([before, token("spam", 0.75, ham=0.25)], known) == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["ham", "zzz"])
def test_an_alternative_without_a_number_proves_no_label_unlikely(name: str) -> None:
    """A null says nothing: the label that is not told may have as much as the others leave it."""
    raw = {"token": "spam", "logprob": math.log(0.6)}
    tops = [raw, {"token": name, "logprob": None}]
    tokens = read_tokens({"content": [raw | {"top_logprobs": tops}]})
    assert tokens is not None
    assert label_margin(tokens, names("spam", "ham")) == pytest.approx(0.2)
    for found in (
        read_tokens({"content": [raw | {"top_logprobs": tops}]}, has_nan=True),
        read_tokens({"tokens": ["spam"], "token_logprobs": [-0.1], "top_logprobs": [{name: None}]}, True),
    ):
        assert found is not None
        assert label_margin(found, names("spam", "ham")) is None


def test_an_answer_that_is_no_label_has_no_margin() -> None:
    """Astray, without log-probability, or of no tokens: no signal rather than a wrong one."""
    assert label_margin([token("Well", 0.9, ham=0.1)], names("spam", "ham")) is None
    assert label_margin([Token("spam", None)], names("spam", "ham")) is None
    assert label_margin([], names("spam", "ham")) is None


LOGPROBS = st.one_of(st.none(), st.floats(), st.floats(-30, 0))


@given(st.lists(st.tuples(st.text(max_size=4), LOGPROBS, st.dictionaries(st.text(max_size=4), LOGPROBS))))
def test_signals_are_shares_or_missing(raw: list[tuple[str, float | None, dict[str, float | None]]]) -> None:
    """NaN, infinities, positive and missing values never become a signal outside 0..1."""
    tokens = [Token(*each) for each in raw]
    found = [token_quantile([each.logprob for each in tokens])]
    found += [
        label_margin(tokens, names("spam", "ham", "a", "ab"), opening) for opening in ("", WRAPPER_OPENING)
    ]
    assert all(each is None or 0 <= each <= 1 for each in found)


def test_one_unreadable_token_leaves_no_quantile() -> None:
    """A quantile over some of the tokens is none."""
    assert token_quantile([-0.1, float("nan")]) is None
    assert token_quantile([-0.1, 0.5]) is None
    assert token_quantile([-0.1, None]) is None
    assert token_quantile([-0.1, float("-inf")]) == 0.0


def test_only_the_answers_tokens_count() -> None:
    """Tokens of reasoning and marks of the end are left out; what can't be told apart gives none."""
    tokens = [Token(each, -1.0) for each in ("<think>", "ham", "</think>", "\n", "spam", "<|end|>")]
    assert [each.text for each in answer_tokens(tokens, "spam", True)] == ["spam"]
    assert [each.text for each in answer_tokens(tokens, None, True)] == ["spam", "<|end|>"]
    assert answer_tokens(tokens, "elsewhere", True) == ()
    smile = "🙂".encode()
    pieces = [Token("Hm", -1.0), Token("\\x", -1.0, raw=smile[:2]), Token("\\y", -1.0, raw=smile[2:])]
    assert list(answer_tokens(pieces, "🙂", True)) == pieces[1:]


def test_both_forms_of_log_probabilities_are_read() -> None:
    """The older form with lists side by side means the same; broken forms mean nothing."""
    old = {"tokens": ["spam"], "token_logprobs": [-0.1], "top_logprobs": [{"spam": -0.1, "ham": -2}]}
    tops = [{"token": "spam", "logprob": -0.1}, {"token": "ham", "logprob": -2}]
    new = {"content": [{"token": "spam", "logprob": -0.1, "top_logprobs": tops}]}
    assert read_tokens(old) == read_tokens(new)
    for broken in (
        None,
        [],
        {},
        {"content": []},
        {"content": ["x"]},
        {"tokens": ["a"], "token_logprobs": []},
    ):
        assert read_tokens(broken) is None


REASONING = [
    ("<think>a</think>b", "a", "b"),
    ("\n<think>\na\n</think>\n\n<think>c</think> b", "a\n\nc", "b"),
    ("<think></think>\n\nb", None, "b"),
    ("<think>a, never closed", "a, never closed", ""),
    ("a</think>\nb", "a", "b"),
    ("[THINK]a[/THINK]b", "a", "b"),
    ("◁think▷a◁/think▷b", "a", "b"),
    ("<seed:think>a</seed:think>b", "a", "b"),
    ("b", None, "b"),
    ("Use <think>a</think> so.", None, "Use <think>a</think> so."),
    ("b <think>", None, "b <think>"),
]


@pytest.mark.parametrize(("text", "reasoning", "answer"), REASONING)
def test_only_leading_reasoning_is_taken_off(text: str, reasoning: str | None, answer: str) -> None:
    """Blocks that lead are reasoning, closed or not; tags further on are the answer's."""
    assert split_reasoning(text) == (reasoning, answer)
