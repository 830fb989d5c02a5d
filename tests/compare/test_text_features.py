"""Texts: contradictions in four languages, and the notes that stand beside a pair."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.compare import (
    CONTRADICTIONS,
    NOTES,
    Comparator,
    Judgement,
    compare_outputs,
    contradictions,
    evaluator_version,
    is_refusal,
)
from workbench.compare.features import MAX_REQUEST_CHARS, formats, in_words, new_facts
from workbench.compare.flags import contents
from workbench.records import EvalKind, Message, Output, Request, ToolCall, Verdict
from workbench.specs import EvalConfig

TEXT = EvalConfig("t", EvalKind.TEXT)


def asked(*texts: str) -> Request:
    return Request(tuple(Message("user", text) for text in texts))


def judged(
    control: str, candidate: str, request: Request | None = None, similarity: float = 0.95
) -> Judgement:
    return compare_outputs(TEXT, request, Output(control), Output(candidate), similarity=similarity)


def decisive(one: str, other: str) -> set[str]:
    return set(contradictions(one, other)) & set(CONTRADICTIONS)


@pytest.mark.parametrize(
    ("flag", "one", "other"),
    [
        (
            "numbers",
            "The total is 1,200.50 euros for the order.",
            "The total is 1,250.50 euros for the order.",
        ),
        (
            "numbers",
            "Der Betrag ist 1.200,50 Euro für die Bestellung.",
            "Der Betrag ist 1.250,50 Euro für die Bestellung.",
        ),
        (
            "numbers",
            "Le total est de 1 200,50 € pour la commande.",
            "Le total est de 1 250,50 € pour la commande.",
        ),
        ("numbers", "El total es de 1.200,50 € para el pedido.", "El total es de 1.250,50 € para el pedido."),
        ("numbers", "You have two weeks to return it.", "You have three weeks to return it."),
        (
            "numbers",
            "Sie haben zwei Wochen Zeit für die Rückgabe.",
            "Sie haben drei Wochen Zeit für die Rückgabe.",
        ),
        ("numbers", "Vous avez deux semaines pour le retour.", "Vous avez trois semaines pour le retour."),
        (
            "numbers",
            "Usted tiene dos semanas para la devolución.",
            "Usted tiene tres semanas para la devolución.",
        ),
        ("numbers", "It costs 5 million dollars.", "It costs 5 billion dollars."),
        ("units", "The parcel arrives in 3 days.", "The parcel arrives in 3 weeks."),
        ("units", "Das Paket kommt in 3 Tagen an.", "Das Paket kommt in 3 Wochen an."),
        ("units", "Le colis arrive dans 3 jours.", "Le colis arrive dans 3 semaines."),
        ("units", "El paquete llega en 3 días.", "El paquete llega en 3 semanas."),
        ("units", "Es kostet 50 Euro.", "Es kostet 50 Dollar."),
        ("units", "La remise est de 15 pour cent.", "La remise est de 15 euros."),
        ("units", "El descuento es del 15 por ciento.", "El descuento es de 15 euros."),
        ("dates", "It is due on March 3.", "It is due on March 4."),
        ("dates", "Es ist am 3. März fällig.", "Es ist am 4. März fällig."),
        ("dates", "La date limite est le 3 mars.", "La date limite est le 4 mars."),
        ("dates", "La fecha límite es el 3 de marzo.", "La fecha límite es el 4 de marzo."),
        ("dates", "We will call you on Monday.", "We will call you on Tuesday."),
        ("dates", "Wir rufen Sie am Montag an.", "Wir rufen Sie am Dienstag an."),
        ("dates", "Nous vous appelons lundi.", "Nous vous appelons mardi."),
        ("dates", "Le llamamos el lunes.", "Le llamamos el martes."),
        ("dates", "The offer ends in March 2024.", "The offer ends in April 2024."),
        ("dates", "L'offre se termine en mars 2024.", "L'offre se termine en avril 2024."),
        ("dates", "Wir öffnen um 15 Uhr.", "Wir öffnen um 16 Uhr."),
        ("dates", "Nous ouvrons à 15h30.", "Nous ouvrons à 16h30."),
        ("dates", "Abrimos a las 15:30.", "Abrimos a las 16:30."),
        ("dates", "It ships today from the store.", "It ships tomorrow from the store."),
        ("dates", "Es wird heute von uns verschickt.", "Es wird morgen von uns verschickt."),
        ("dates", "Le colis part aujourd'hui de la boutique.", "Le colis part demain de la boutique."),
        ("dates", "El pedido sale hoy de la tienda.", "El pedido sale mañana de la tienda."),
        ("dates", "The meeting is in September.", "The meeting is in October."),
        ("dates", "Das Treffen ist im September.", "Das Treffen ist im Oktober."),
        ("dates", "La réunion est en septembre.", "La réunion est en octobre."),
        ("dates", "La reunión es en septiembre.", "La reunión es en octubre."),
        ("negation", "Your warranty covers this damage.", "Your warranty does not cover this damage."),
        ("negation", "Ihre Garantie deckt diesen Schaden.", "Ihre Garantie deckt diesen Schaden nicht."),
        ("negation", "Wir haben eine Filiale in der Stadt.", "Wir haben keine Filiale in der Stadt."),
        ("negation", "Votre garantie couvre ce dommage.", "Votre garantie ne couvre pas ce dommage."),
        ("negation", "Le produit est encore disponible.", "Le produit n'est plus disponible."),
        ("negation", "Su garantía cubre este daño.", "Su garantía no cubre este daño."),
        ("negation", "Siempre se cobra una tasa por el envío.", "Nunca se cobra una tasa por el envío."),
        ("negation", "Der Gutschein ist gültig.", "Der Gutschein ist ungültig."),
        ("negation", "C'est possible pour vous.", "C'est impossible pour vous."),
        ("negation", "El pago es legal en el país.", "El pago es ilegal en el país."),
        ("negation", "Il est activé dans le compte.", "Il est désactivé dans le compte."),
        ("names", "Please ask for Anna Meyer at the desk.", "Please ask for Bob Meyer at the desk."),
        (
            "names",
            "Bitte fragen Sie nach Frau Meyer am Empfang.",
            "Bitte fragen Sie nach Frau Schmidt am Empfang.",
        ),
        ("names", "Ihr Paket wird nach Berlin geschickt.", "Ihr Paket wird nach Hamburg geschickt."),
        (
            "names",
            "Wir haben mit Anna Meyer gesprochen und sie ist zufrieden.",
            "Wir haben mit Anna Schulze gesprochen und sie ist zufrieden.",
        ),
        ("names", "Votre colis est envoyé à Paris.", "Votre colis est envoyé à Lyon."),
        ("names", "Su paquete se envía a Madrid.", "Su paquete se envía a Sevilla."),
        (
            "names",
            "Stadt: Berlin\nDas ist der Ort für die Lieferung.",
            "Stadt: Rom\nDas ist der Ort für die Lieferung.",
        ),
    ],
)
def test_a_contradiction_is_seen_in_english_german_french_and_spanish(
    flag: str, one: str, other: str
) -> None:
    """Another number, unit, day, name or a negation is flagged either way round, and a mismatch."""
    assert decisive(one, other) - {"numbers"} == {flag} - {"numbers"}
    assert flag in decisive(one, other)
    assert contradictions(one, other) == contradictions(other, one)
    assert judged(one, other, similarity=0.99).verdict is Verdict.MISMATCH
    assert decisive(one, one) == set()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The total is 1,200.50 euros.", "The total is €1200.50."),
        ("Der Betrag ist 1.200 Euro für die Bestellung.", "Der Betrag für die Bestellung ist 1200 €."),
        ("Le total est de 1 200 € pour la commande.", "Le total est de 1200 euros pour la commande."),
        ("El total es de 1.200 € para el pedido.", "El total es de 1200 euros para el pedido."),
        ("It costs 5 million dollars.", "It costs $5,000,000."),
        ("Es kostet 2 Mrd. Euro und das ist viel.", "Es kostet 2 Milliarden Euro und das ist viel."),
        ("Sie haben zwei Wochen Zeit für die Rückgabe.", "Sie haben 2 Wochen Zeit für die Rückgabe."),
        ("Vous avez deux semaines pour le retour.", "Vous avez 2 semaines pour le retour."),
        ("Usted tiene dos semanas para la devolución.", "Usted tiene 2 semanas para la devolución."),
        ("La remise est de 15 pour cent.", "La remise est de 15 %."),
        ("El descuento es del 15 por ciento.", "El descuento es del 15 %."),
        ("It is due on March 3, 2024.", "It is due on 3 March."),
        ("Es ist am 3. März 2024 fällig.", "Es ist am 03.03.2024 fällig."),
        ("La date limite est le 3 mars 2024.", "La date limite est le 3 mars."),
        ("La fecha límite es el 3 de marzo de 2024.", "La fecha límite es el 3 de marzo."),
        ("We will call you on Monday, 4 March 2024.", "We will call you on 2024-03-04."),
        ("Wir öffnen um 15 Uhr.", "Wir öffnen um 15:00 Uhr."),
        ("Nous ouvrons à 15h30.", "Nous ouvrons à 15:30."),
        ("Please do not hesitate to contact us.", "Feel free to contact us."),
        ("No hay nada que pagar por el envío.", "No se debe pagar por el envío."),
        ("Il n'y a rien à payer pour la livraison.", "Vous ne devez pas payer pour la livraison."),
        (
            "N'hésitez pas à nous contacter pour toute question.",
            "Vous pouvez nous contacter pour toute question.",
        ),
        ("Zögern Sie nicht, uns zu schreiben.", "Sie können uns gern schreiben."),
        ("Das Paket kommt bald bei Ihnen an.", "Die Sendung kommt bald bei Ihnen an."),
        (
            "Wir senden Ihnen die Rechnung nach Erhalt der Zahlung.",
            "Nach Eingang des Betrags senden wir Ihnen die Rechnung.",
        ),
        (
            "Une personne va vous appeler et le colis est prêt.",
            "Quelqu'un va vous appeler et le colis est prêt.",
        ),
        ("Le colis est plus grand que prévu.", "Le colis est grand, et c'est une surprise."),
        ("Guten Morgen, wir prüfen das heute für Sie.", "Guten Tag, wir prüfen das heute für Sie."),
        ("We spoke with José about it.", "We spoke with Jose about it."),
        ("The 24-hour service is open to you.", "The service is open to you for 24 hours."),
        ("In Kürze erhalten Sie von uns eine Antwort.", "Sie erhalten von uns bald eine Antwort."),
        ("Je vous appelle demain matin à Paris.", "Je vous appelle à Paris demain."),
        (
            "Sie können die Ware innerhalb von 14 Tagen zurückgeben.",
            "Die Rückgabe der Ware ist 14 Tage lang möglich.",
        ),
    ],
)
def test_the_same_said_otherwise_is_no_contradiction_in_four_languages(one: str, other: str) -> None:
    """Ways to write numbers, units and days, polite turns, double negation and nouns raise no flag."""
    assert decisive(one, other) == set()
    assert judged(one, other).verdict is Verdict.MATCH


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I cannot assist with this request.",
        "Sorry, I can’t do that.",
        "I must decline.",
        "Unfortunately, I am unable to provide that information.",
        "I won't be able to help you with this.",
        "As an AI language model, I cannot give medical advice.",
        "Dabei kann ich leider nicht helfen.",
        "Es tut mir leid, aber ich kann Ihnen dabei nicht helfen.",
        "Leider kann ich diese Anfrage nicht bearbeiten.",
        "Das kann ich nicht beantworten.",
        "Ich kann dir damit nicht weiterhelfen.",
        "Tut mir leid, ich bin nicht in der Lage, das zu tun.",
        "Je suis désolé, mais je ne peux pas vous aider.",
        "Désolée, je ne peux pas répondre à cette question.",
        "Je ne peux pas vous aider avec cela.",
        "Malheureusement, je ne suis pas en mesure de répondre.",
        "Lo siento, pero no puedo ayudarte con eso.",
        "No puedo ayudar con esa solicitud.",
        "Lamentablemente, no puedo proporcionar esa información.",
        "Lo siento, no me es posible responder.",
    ],
)
def test_a_refusal_is_seen_in_four_languages(text: str) -> None:
    """The usual openings of a refusal, with and without an excuse before them."""
    assert is_refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "I can help you with that.",
        "I'm sorry to hear that your parcel is late. We will send a new one.",
        "I can't believe how fast it was! Thanks.",
        "Unfortunately your parcel is late, we will refund you.",
        "You cannot return this item.",
        "The answer is: I can't provide more.",
        "Ich kann Ihnen dabei helfen.",
        "Es tut mir leid, dass Ihr Paket zu spät ist. Wir schicken ein neues.",
        "Das ist nicht möglich, weil der Gutschein abgelaufen ist.",
        "Leider ist die Ware nicht lieferbar.",
        "Je suis désolé pour le retard. Votre colis arrive demain.",
        "Vous ne pouvez pas retourner cet article.",
        "Je ne suis pas disponible lundi, mais mardi oui.",
        "Lo siento por la demora. Su paquete llega mañana.",
        "No puede devolver este artículo.",
        "No, gracias.",
    ],
)
def test_an_apology_or_a_no_is_not_a_refusal_to_answer(text: str) -> None:
    """Bad news for a customer is an answer."""
    assert not is_refusal(text)


def test_a_refusal_on_one_side_alone_is_flagged_with_its_side() -> None:
    """The candidate's stands beside the verdict; the control's leaves nothing to compare with."""
    answer, refusal = "The parcel is on its way to you.", "I'm sorry, but I can't help with that."
    found = judged(answer, refusal, similarity=0.1)
    assert ("refusal" in found.flags, found.details["refusal"]) == (True, "candidate")
    back = judged(refusal, answer)
    assert (back.verdict, back.flags, back.details) == (
        Verdict.UNCOMPARABLE,
        ("refusal",),
        {"refusal": "control"},
    )
    both = judged(refusal, "I cannot assist with this request.")
    assert (both.verdict, both.flags) == (Verdict.UNCOMPARABLE, ())
    filtered = Output("", finish_reason="content_filter")
    assert compare_outputs(TEXT, None, filtered, Output(answer)).flags == ("refusal",)
    assert compare_outputs(TEXT, None, filtered, filtered).flags == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# Title\n\n- a\n- b\n", {"headings", "bullets"}),
        ("* a\n* b", {"bullets"}),
        ("1. a\n2. b", {"numbered list"}),
        ("Only - one\n- bullet", set()),
        ('```json\n{"a": 1}\n```', {"json"}),
        ('{"a": 1}', {"json"}),
        ("```python\nx = 1\n- a\n- b\n```\nDone.", {"code block"}),
        ("```\nnever closed", {"code block"}),
        ("| a | b |\n|---|:-:|\n| 1 | 2 |", {"table"}),
        ("Title\n=====\ntext", {"headings"}),
        ("It is 3 - 2 = 1. See #5.", set()),
        ("", set()),
    ],
)
def test_the_form_of_a_text_is_known(text: str, found: set[str]) -> None:
    """Lists, JSON, code, tables and headings are told apart; what stands in a code block is code."""
    assert formats(text) == found


def test_another_form_is_noted_by_side_and_does_not_decide() -> None:
    """A list against a sentence may be the same answer: the flag is a note."""
    found = judged("- red\n- green", "# Colours\nred and green")
    assert (found.verdict, found.flags) == (Verdict.MATCH, ("format",))
    assert found.details["formats"] == {"control": ["bullets"], "candidate": ["headings"]}


def test_length_and_language_stand_in_the_details() -> None:
    """The ratio is the candidate's length to the control's; both languages are named."""
    english = "The parcel is on the way to you and it will be there in the morning."
    found = judged(english, english + " " + english[:20])
    assert found.details["length_ratio"] == pytest.approx((len(english) + 21) / len(english), abs=1e-3)
    other = judged(english, "Das Paket ist auf dem Weg zu Ihnen und wird am Morgen da sein.")
    assert "language" in other.flags
    assert other.details["languages"] == {"control": "en", "candidate": "de"}


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Your order has shipped.", "en"),
        ("Ihre Bestellung wurde verschickt.", "de"),
        ("Votre commande a été expédiée.", "fr"),
        ("Su pedido ha sido enviado.", "es"),
        ("12345", None),
    ],
)
def test_the_language_of_a_short_answer_is_known(text: str, language: str | None) -> None:
    """Where its commonest words are too few, the detector of the slices decides; digits have no language."""
    assert contents(text).language == language


def test_facts_from_nowhere_are_flagged_by_kind() -> None:
    """Numbers, names and days that neither the request nor the control holds are notes of their own."""
    request = asked("My order 4711 of 2 May 2024 to Hamburg is late, says Ms Weber.")
    control = "We are sorry that your order is late."
    found = judged(
        control,
        "We are sorry: order 4711, sent on 3 May 2024 by Mr Kowalski to Hamburg, costs 99 euros.",
        request,
    )
    assert found.details["new"] == {"number": ["99 eur"], "name": ["kowalski", "mr"], "date": ["2024-05-03"]}
    assert {"new_number", "new_name", "new_date"} <= set(found.flags)
    known = judged(control, "We are sorry that order 4711 of 2 May to Hamburg is late, dear Weber.", request)
    assert not {each for each in known.flags if each.startswith("new")}


def test_a_fact_that_the_control_holds_too_is_not_new() -> None:
    """What the frontier says as well is not an invention of the candidate's."""
    request = asked("When do you open?")
    assert new_facts("We open at 9 am in Berlin.", "In Berlin, we open at 9 am.", request) == {}
    assert new_facts("We open soon.", "The shop opens at 9 am, 365 days.", request) == {
        "number": ["365 d"],
        "date": ["09:00"],
    }


def test_nothing_is_called_new_where_the_request_can_t_be_read_whole() -> None:
    """Without the request, with a picture in it, or beyond its limit, the fact may stand there."""
    pair = ("We open soon.", "We open at 9 am.")
    picture = Request((Message("user", [{"type": "text", "text": "Read this"}, {"type": "image_url"}]),))
    for request in (None, picture, asked("x" * (MAX_REQUEST_CHARS + 1))):
        assert new_facts(*pair, request) == {}
    assert new_facts(*pair, asked("Read this")) == {"date": ["09:00"]}


def test_the_answers_of_tools_are_part_of_the_request() -> None:
    """What a tool returned, or was asked, is no invention."""
    request = Request(
        (
            Message("user", "How warm is it?"),
            Message("assistant", None, tool_calls=(ToolCall("weather", {"city": "Oslo"}),)),
            Message("tool", '{"celsius": 21}'),
        )
    )
    assert new_facts("It is warm.", "It is 21 degrees in Oslo.", request) == {}
    assert new_facts("It is warm.", "It is 25 degrees in Bergen.", request) == {
        "number": ["25"],
        "name": ["bergen"],
    }


def test_what_differs_is_named_by_side_and_said_in_words() -> None:
    """The details hold the values, and the sentences for a page say them."""
    found = judged("It costs 50 euros in Rome.", "It costs 60 euros in Milan.", asked("Price?"))
    assert found.details["differs"] == {
        "numbers": {"control": ["50 eur"], "candidate": ["60 eur"]},
        "names": {"control": ["rome"], "candidate": ["milan"]},
    }
    assert in_words(found.flags, found.details) == [
        "Numbers differ: 50 eur (control only); 60 eur (candidate only).",
        "Names differ: rome (control only); milan (candidate only).",
        "In neither request nor control: number 60 eur.",
        "In neither request nor control: name milan.",
    ]


def test_only_contradictions_decide_and_similarity_is_never_turned_up_by_flags() -> None:
    """Notes leave a match a match; a contradiction only ever takes a match away."""
    assert not set(CONTRADICTIONS) & set(NOTES)
    noted = judged("- red\n- green", "# Colours\nred and green", asked("Which?"), 0.9)
    assert noted.verdict is Verdict.MATCH
    low = judged("It is red.", "It is green.", None, 0.5)
    assert (low.verdict, low.flags) == (Verdict.MISMATCH, ())


def test_an_eval_says_which_flags_contradict() -> None:
    """Any flag may, notes among them; what it names is the reason, and the rest leaves a match a match."""
    pair = Output("It costs 50 euros."), Output("It costs 60 euros in all. " * 4)
    for flags, verdict, reason in (
        (CONTRADICTIONS, Verdict.MISMATCH, "differs in numbers"),
        (("names",), Verdict.MATCH, "similarity"),
        ((), Verdict.MATCH, "similarity"),
        (("length", "numbers"), Verdict.MISMATCH, "differs in numbers and length"),
    ):
        found = compare_outputs(
            EvalConfig("t", EvalKind.TEXT, contradictions=flags), None, *pair, similarity=0.95
        )
        assert (found.verdict, "numbers" in found.flags) == (verdict, True)
        assert reason in found.reason


def test_which_flags_contradict_is_part_of_the_evaluator() -> None:
    """Verdicts under other flags never mix; their order and kinds without texts do not matter."""
    given = [
        EvalConfig("t", EvalKind.TEXT, contradictions=each) for each in ((), ("names",), ("names", "units"))
    ]
    assert len({*map(evaluator_version, given), evaluator_version(TEXT)}) == 4
    turned = EvalConfig("t", EvalKind.TEXT, contradictions=("units", "names", "units"))
    assert evaluator_version(turned) == evaluator_version(given[2])
    labels = EvalConfig("t", EvalKind.LABEL, labels=("a", "b"))
    assert evaluator_version(labels) == evaluator_version(replace(labels, contradictions=()))


texts = st.one_of(
    st.text(max_size=80),
    st.sampled_from(
        [
            *(
                "3 März 2024 um 25 Uhr",
                "à 99 h",
                "las 3",
                "31 31 February",
                "1 000 000 000 000 mil millones de",
            ),
            *("```", "|---|---|", "# ", "Frau ", "Herr Dr. Prof. Weber", "\ud800 5 €", "５０％", "n'ni plus"),
            *("May 5", "mars 2024 mars", "-1,2,3.4.5 kg", "quatre-vingt-dix", "Answer: B", "1e999 km"),
        ]
    ),
)


@settings(max_examples=150, deadline=None)
@given(one=texts, other=texts, question=st.none() | texts, similarity=st.none() | st.floats(-1, 1))
def test_the_laws_of_every_comparator_hold_for_texts(
    one: str, other: str, question: str | None, similarity: float | None
) -> None:
    """Nothing raises, flags are known and symmetric but for what is new, a text agrees with itself."""
    comparator = Comparator(TEXT)
    request = None if question is None else asked(question)
    found = comparator.compare(Output(one), Output(other), request, similarity)
    assert found.score is None or 0 <= found.score <= 1
    assert set(found.flags) <= {*CONTRADICTIONS, *NOTES}
    json.dumps(found.details, allow_nan=False)
    assert in_words(found.flags, found.details) is not None
    same = comparator.compare(Output(one), Output(one), request, similarity)
    assert same.verdict in (Verdict.MATCH, Verdict.UNCOMPARABLE)
    back = comparator.compare(Output(other), Output(one), request, similarity)
    if Verdict.UNCOMPARABLE not in (found.verdict, back.verdict) and not found.invalid and not back.invalid:
        assert (found.verdict, found.score) == (back.verdict, back.score)
        assert _without_new(found) == _without_new(back)


def _without_new(found: Judgement) -> set[str]:
    return {each for each in found.flags if not each.startswith("new_")}
