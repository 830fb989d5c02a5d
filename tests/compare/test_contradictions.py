"""Contradictions that are easily missed: names, codes, negations of many languages, opposites."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from real_data import DATA, needs

from workbench.compare import CONTRADICTIONS, compare_outputs, contradictions
from workbench.compare.features import in_words
from workbench.compare.negation import LANGUAGES
from workbench.compare.when import Moment
from workbench.records import EvalKind, Output, Verdict
from workbench.specs import EvalConfig

TEXT = EvalConfig("t", EvalKind.TEXT)
PAGE = Path(__file__).parents[2] / "docs" / "comparison.md"


def decisive(one: str, other: str) -> set[str]:
    found = contradictions(one, other)
    assert set(found) == set(contradictions(other, one))
    return set(found) & set(CONTRADICTIONS)


@pytest.mark.parametrize(
    ("flag", "one", "other"),
    [
        ("names", "Ask Anna Schmidt.", "Ask Anna Meyer."),
        ("names", "Call Bob.", "Call Rob."),
        ("names", "Call Bob", "Call Rob"),
        ("names", "Paris", "Rome"),
        ("names", "New York", "Los Angeles."),
        ("names", "1. Paris\n2. Rome", "1. Paris\n2. Milan"),
        ("names", "Anna will call you tomorrow.", "Bob will call you tomorrow."),
        ("numbers", "1.2.3", "1.2.4"),
        ("numbers", "Install version 1.2.3 of it.", "Install version 1.2.4 of it."),
        ("numbers", "ABC123", "ABC124"),
        ("numbers", "Your order A-17 was sent.", "Your order A-18 was sent."),
        ("numbers", "It is in flat 3a.", "It is in flat 3b."),
        ("numbers", "The parcel 1Z999AA1 is there.", "The parcel is there."),
        ("numbers", "It costs 10² units in all.", "It costs 102 units in all."),
        ("numbers", "It costs 10² units in all.", "It costs 10³ units in all."),
        ("numbers", "So x² is there.", "So x2 is there."),
        ("units", "The room has 20 m².", "The room has 20 m³."),
        ("negation", "We are able to refund you.", "We are unable to refund you."),
        ("negation", "They agreed to pay.", "They refuse to pay."),
        ("negation", "The device lags.", "The device hardly lags."),
        ("negation", "You can return it.", "You cant return it."),
        ("negation", "The water is hot.", "The water is cold."),
        ("negation", "You always pay for it.", "You rarely pay for it."),
        ("negation", "It takes at least a week.", "It takes at most a week."),
        ("negation", "Die Zahlung ist erfolgreich.", "Die Zahlung ist gescheitert."),
        ("negation", "Le compte est ouvert et actif.", "Le compte est fermé et actif."),
        ("negation", "La cuenta está abierta y es suya.", "La cuenta está cerrada y es suya."),
        ("negation", "возможно", "невозможно"),
        ("negation", "가능", "불가능"),
        ("negation", "이것은 가능합니다", "이것은 불가능합니다"),
    ],
)
def test_a_common_contradiction_is_seen(flag: str, one: str, other: str) -> None:
    """In short answers, lone values and identifiers too, either way round; however similar they are."""
    assert flag in decisive(one, other)
    found = compare_outputs(TEXT, None, Output(one), Output(other), similarity=0.95)
    assert found.verdict is Verdict.MISMATCH
    assert decisive(one, one) == set()


SAID_AND_DENIED = {
    "ar": ("يمكنك إرجاع المنتج", "لا يمكنك إرجاع المنتج"),
    "bg": ("Поръчката е изпратена и е платена.", "Поръчката не е изпратена и е платена."),
    "cs": ("Vrácení peněz je možné.", "Vrácení peněz není možné."),
    "da": ("Du kan returnere varen og få pengene.", "Du kan ikke returnere varen og få pengene."),
    "de": ("Sie können die Ware zurückgeben.", "Sie können die Ware nicht zurückgeben."),
    "el": ("Μπορείτε να το επιστρέψετε.", "Δεν μπορείτε να το επιστρέψετε."),
    "en": ("You can return the goods.", "You can't return the goods."),
    "es": ("Usted puede devolver el artículo.", "Usted no puede devolver el artículo."),
    "fa": ("این محصول موجود است", "این محصول موجود نیست"),
    "fi": ("Voit palauttaa tuotteen.", "Et voi palauttaa tuotetta."),
    "fr": ("Vous pouvez rendre les articles.", "Vous ne pouvez pas rendre les articles."),
    "he": ("ניתן להחזיר את המוצר", "לא ניתן להחזיר את המוצר"),
    "hi": ("आप इसे वापस कर सकते हैं", "आप इसे वापस नहीं कर सकते हैं"),
    "hu": ("A terméket vissza lehet küldeni.", "A terméket nem lehet visszaküldeni."),
    "id": ("Anda dapat mengembalikannya.", "Anda tidak dapat mengembalikannya."),
    "it": ("Il prodotto si può restituire.", "Il prodotto non si può restituire."),
    "ja": ("この商品は返品できます。", "この商品は返品できません。"),
    "ko": ("반품할 수 있습니다.", "반품할 수 없습니다."),
    "nl": ("U kunt het product retourneren.", "U kunt het product niet retourneren."),
    "no": ("Du kan returnere varen og få pengene.", "Du kan ikke returnere varen og få pengene."),
    "pl": ("Można zwrócić produkt.", "Nie można zwrócić produktu."),
    "pt": ("Você pode devolver o produto.", "Você não pode devolver o produto."),
    "ro": ("Puteți returna produsul.", "Nu puteți returna produsul."),
    "ru": ("Вы можете вернуть товар.", "Вы не можете вернуть товар."),
    "sk": ("Vrátenie peňazí je možné.", "Vrátenie peňazí nie je možné."),
    "sv": ("Du kan lämna tillbaka varan.", "Du kan inte lämna tillbaka varan."),
    "th": ("สินค้านี้คืนได้", "สินค้านี้คืนไม่ได้"),
    "tr": ("Ödeme bugün kabul edildi.", "Ödeme bugün kabul edilmedi."),
    "uk": ("Ви можете повернути товар.", "Ви не можете повернути товар."),
    "vi": ("Bạn có thể trả lại sản phẩm.", "Bạn không thể trả lại sản phẩm."),
    "zh": ("您可以退货。", "您不可以退货。"),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_negation_is_seen_in_every_language_that_is_covered(language: str) -> None:
    """Each has a pair here, of which one side negates the other."""
    assert "negation" in decisive(*SAID_AND_DENIED[language])


def test_the_languages_covered_stand_in_the_docs() -> None:
    """The page names each by its code."""
    told = re.search(r"Negations are known in (.+?)\.", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert told
    assert tuple(re.findall(r"`(\w\w)`", told[1])) == LANGUAGES


@pytest.mark.parametrize("ending", ["gelmez", "gelmiyor", "gelmedi", "gelmeyecek", "gelemez", "gelmemeli"])
def test_turkish_verbs_are_negated_by_their_ending(ending: str) -> None:
    """Whatever the tense; a noun that ends alike negates nothing."""
    assert "negation" in decisive("Paket yarın gelir ve bu çok iyi.", f"Paket yarın {ending} ve bu çok iyi.")
    assert "negation" not in decisive("Bu bir dua ve çok güzel.", "Bu bir namaz ve çok güzel.")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("We are unable to refund you.", "We cannot refund you."),
        ("That is not possible.", "That is impossible."),
        ("Das ist nicht möglich.", "Das ist unmöglich."),
        ("Ce n'est pas possible.", "C'est impossible."),
        ("You're not fat.", "You're thin."),
        ("It is not correct.", "It is wrong."),
        ("The payment failed.", "The payment did not go through."),
        ("The card was declined.", "The card was not accepted."),
        ("It is unavailable.", "It is not available."),
        ("Non-refundable.", "It is not refundable."),
        ("It does no harm.", "It is harmless."),
        ("Order Confirmation", "Your Order Is Confirmed"),
        ("Password Reset", "Reset Your Password"),
        ("Kind Regards.", "Warm Wishes."),
        ("Thank You!", "Many Thanks!"),
        ("Sure, here you are.", "Certainly, here you are."),
        ("Open the box.", "Unlock the box."),
        ("Shipping is free.", "Delivery is free."),
        ("He will call.", "She will call."),
        ("Approved", "Accepted"),
        ("Order ABC-123 was sent.", "Order ABC123 was sent."),
        ("Order ABC 123 was sent.", "Order ABC123 was sent."),
        ("In Q3 we grew.", "In the third quarter we grew."),
        ("Use version v1.2.3 now.", "Use version 1.2.3 now."),
        ("The top-10 list is here.", "Here is the list of the top 10."),
        ("A 20 m² room.", "A room of 20 square meters."),
        ("It weighs 10kg.", "It weighs 10 kg."),
        ("It is 1.234.567 euros.", "It is 1234567 euros."),
        ("Buy 2x4 boards.", "Buy 2 x 4 boards."),
        ("Water is H₂O.", "Water is H2O."),
        ("価格は100円です。", "お値段は100円です。"),
    ],
)
def test_the_same_said_otherwise_is_no_contradiction(one: str, other: str) -> None:
    """A word that negates by itself is like `not`, two opposites cancel out, courtesies are no names."""
    assert decisive(one, other) == set()


def test_a_day_without_a_year_is_shown_as_people_write_it() -> None:
    """A reviewer reads 3 March, and no dashes for what is not named."""
    shown = [
        str(Moment(*parts)) for parts in ((None, 3, 3), (2024, 3, 3), (2024, 3, None), (2024, 3, 3, "09:05"))
    ]
    assert shown == ["3 March", "2024-03-03", "2024-03", "2024-03-03 09:05"]
    found = compare_outputs(TEXT, None, Output("Due on 3 March."), Output("Due on 4 March."), similarity=0.9)
    assert "Dates differ: 3 March (control only); 4 March (candidate only)." in in_words(
        found.flags, found.details
    )


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / "negation" / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def told(name: str, what: str) -> int:
    """Return how many pairs the page says are seen."""
    found = re.search(rf"\| `{name}`, {what} \| ([\d,]+) of", PAGE.read_text(encoding="utf-8"))
    assert found, f"{name}, {what} is not in the docs"
    return int(found[1].replace(",", ""))


@needs("negation")
@pytest.mark.parametrize(
    ("name", "what", "columns", "label"),
    [
        ("glue_diagnostic", "negated", ("sentence", "negated"), None),
        ("nan_nli", "negated", ("sentence", "negated"), None),
        ("sem_anto_neg", "contradicting", ("premise", "hypothesis"), "1"),
        ("sem_anto_neg", "meaning the same", ("premise", "hypothesis"), "0"),
    ],
)
def test_the_docs_tell_how_many_contradictions_are_seen(
    name: str, what: str, columns: tuple[str, str], label: str | None
) -> None:
    """On pairs that people wrote, within a hundredth: what is seen, and what is seen where nothing is."""
    pairs = [(row[columns[0]], row[columns[1]]) for row in rows(f"{name}.tsv") if row.get("label") == label]
    seen = sum(bool(decisive(*pair)) for pair in pairs)
    print(f"{name}, {what}: {seen:,} of {len(pairs):,}")
    assert abs(seen - told(name, what)) <= 0.01 * len(pairs)
