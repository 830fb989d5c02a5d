"""The language of short customer texts: named right, or not at all."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench import language
from workbench.language import detect, languages_of, wording

SENTENCES = {
    "en": [
        "Where is my order?",
        "I lost my card and need a new one",
        "Please cancel my subscription today.",
        "What is the exchange rate for euros?",
        "refund please",
        "Thanks a lot for the help!",
        "My transfer has not arrived yet",
        "classify this ticket",
        "How do I activate my card?",
        "Order #4411 late",
    ],
    "de": [
        "Wo ist meine Bestellung?",
        "Ich habe meine Karte verloren.",
        "Bitte kündigen Sie mein Abonnement.",
        "Guten Tag",
        "Wie hoch ist der Wechselkurs?",
        "Meine Überweisung ist nicht angekommen",
        "Rückerstattung bitte",
    ],
    "fr": [
        "Où est ma commande ?",
        "J'ai perdu ma carte.",
        "Veuillez annuler mon abonnement.",
        "Il fait beau aujourd'hui",
        "Bonjour, merci",
        "Quel est le taux de change ?",
        "remboursement s'il vous plaît",
    ],
    "es": [
        "¿Dónde está mi pedido?",
        "He perdido mi tarjeta",
        "Cancele mi suscripción por favor",
        "Buenos días",
        "Ley de presupuestos generales del Estado",
        "¿Cuál es el tipo de cambio?",
    ],
    "ja": [
        "注文はどこですか？",
        "カードをなくしました",
        "解約してください",
        "ありがとうございます",
        "今日は天気がいいです",
    ],
}
NO_LANGUAGE = [
    "", "12345", "{}", "a", "???", "x = y + 1", "asdf qwer zxcv", "ID 99-221", "def f(x): return x+1", "😀😀",
    "positive", "technology", "neutral", "ok", "https://example.org/where/is/it", "```\nprint('hello')\n```",
]  # fmt: skip


@pytest.mark.parametrize("language", SENTENCES)
def test_no_sentence_is_named_wrongly_and_most_are_named(language: str) -> None:
    """Of short sentences at least nine in ten are named, and none as another language."""
    found = [detect(text) for text in SENTENCES[language]]
    assert set(found) <= {language, None}
    assert found.count(language) >= 0.9 * len(found)


@pytest.mark.parametrize("text", NO_LANGUAGE)
def test_what_is_no_language_has_none(text: str) -> None:
    assert detect(text) is None


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_is_answered(text: str) -> None:
    """Hostile text gives a code or None, never an error."""
    found = detect(text)
    assert found is None or len(found) == 2


def detect_many(texts: list[str | None]) -> list[str | None]:
    """Name languages as an import does: the wording in one process, the languages in another."""
    words = [None if each is None else wording(each) for each in texts]
    return languages_of(pa.array(words, pa.string())).to_pylist()


def test_many_texts_at_once_are_named_as_each_alone() -> None:
    """Two ways to the same scores: every sentence, and what is no language, in one batch."""
    texts = [each for sentences in SENTENCES.values() for each in sentences] + NO_LANGUAGE
    mixed = [*texts, None, *(f"{one} {other}" for one, other in zip(texts, reversed(texts), strict=True))]
    assert detect_many(mixed) == [None if each is None else detect(each) for each in mixed]


@given(st.lists(st.text(max_size=200), max_size=5))
def test_any_texts_at_once_are_named_as_each_alone(texts: list[str]) -> None:
    """The same holds for odd text: no words, other scripts, control characters."""
    assert detect_many([*texts]) == [detect(each) for each in texts]


SNIPPETS = st.lists(
    st.sampled_from([*"aé 1@_\\{}=|<>.:/`\n\t\xa0\u3000", "  ", "://", "```", "word "]), max_size=90
)


@given(SNIPPETS.map("".join))
def test_the_quick_look_at_a_beginning_sees_what_a_slow_one_sees(head: str) -> None:
    """Noise and white space are found in ASCII and beyond, whichever way they are looked for."""
    assert language._noisy(head) == (language._NOISY.search(head) is not None)
    start = head[: head.rfind(" ", 0, language._LOOK) + 1]
    words = " ".join(start.split())
    long = len(start) > language._WINDOW and len(words) >= language._WINDOW
    expected = words[: language._WINDOW] if long and not language._NOISY.search(start) else ""
    assert language._beginning(head) == expected


@given(
    st.one_of(
        SNIPPETS.map("".join), st.lists(st.sampled_from(["order", "a", "late,", "é", "4"])).map(" ".join)
    )
)
def test_the_wording_in_bytes_is_the_wording(text: str) -> None:
    """The short way through most texts gives what the long one does."""
    words = wording(text)
    assert language.encoded_wording(text) == (None if words is None else words.encode())
