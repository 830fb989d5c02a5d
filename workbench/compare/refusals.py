"""Answers that refuse to answer, in English, German, French and Spanish."""

from __future__ import annotations

import re

from workbench.compare import judgement

LOOKED_AT = 300
"""Characters from the start in which a refusal stands."""

_EXCUSE = (
    r"(?:(?:i['’]?m|i\s+am|we['’]?re)\s+(?:really\s+|very\s+|so\s+|afraid\b)?(?:sorry\b)?|sorry|apologies|unfortunately"
    r"|(?:es\s+)?tut\s+mir\s+(?:sehr\s+)?leid|leider|entschuldigung|entschuldige?n?\s+sie"
    r"|(?:je\s+suis\s+)?(?:vraiment\s+)?désolée?|malheureusement|je\s+regrette|pardon"
    r"|lo\s+siento(?:\s+mucho)?|lamentablemente|desafortunadamente|lamento|perdón)"
)
_START = rf"^\W*(?:{_EXCUSE}\W+(?:(?:but|that|aber|dass|mais|que|pero)\s+)?){{0,2}}"
_HELP = (
    r"(?:help|assist|comply|fulfil+|provide|do\s+(?:that|this)|answer|respond|continue|support|engage|create|discuss"
    r"|share|write|generate|offer|complete|process|translate)"
)
REFUSALS = re.compile(
    "|".join(
        _START + each
        for each in (
            rf"(?:i|we)\s+(?:can(?:['’]t|not|\s+not)|(?:am|are|['’]m)\s+(?:not\s+able|unable)\s+to"
            rf"|won['’]t(?:\s+be\s+able\s+to)?|will\s+not)\s+{_HELP}",
            r"(?:i|we)\s+(?:must|have\s+to)\s+(?:respectfully\s+)?(?:decline|refuse)\b",
            rf"i['’]m\s+(?:not\s+able|unable)\s+to\s+{_HELP}",
            r"(?:dabei|damit|das|hier(?:bei)?)\s+kann\s+ich\s+(?:(?:dir|ihnen|euch|leider)\s+){0,2}(?:\w+\s+)?nicht\b",
            r"(?:ich\s+kann|kann\s+ich|wir\s+können)\s+(?:(?:dir|ihnen|euch|leider|dabei|damit|hierbei|das|diese\w*|solche\w*"
            r"|anfragen?|frage|inhalte|bei|text)\s+){1,5}nicht\s+(?:\w+\s+)?(?:helfen|weiterhelfen|beantworten|erfüllen"
            r"|bearbeiten|erstellen|unterstützen|nachkommen|tun|liefern|schreiben)",
            r"(?:ich\s+bin\s+)?nicht\s+in\s+der\s+lage\W+(?:\w+\s+){0,4}zu\s+",
            r"je\s+ne\s+(?:peux|puis|suis)\s+(?:malheureusement\s+)?pas\s+(?:en\s+mesure\s+d[e'’]\s?|capable\s+d[e'’]\s?)?"
            r"(?:(?:vous|te|t['’]|y|l['’]|le|la)\s*)?(?:aider|répondre|faire|fournir|continuer|assister|satisfaire|traiter"
            r"|donner|écrire|créer|générer|accéder|traduire)",
            r"(?:yo\s+)?no\s+(?:puedo|podemos|me\s+es\s+posible|soy\s+capaz\s+de|estoy\s+en\s+condiciones\s+de)\s+(?:ayudar|"
            r"responder|hacer|proporcionar|continuar|cumplir|asistir|atender|escribir|crear|generar|ofrecer|compartir|traducir)",
        )
    ),
    re.IGNORECASE,
)


def is_refusal(text: str | None) -> bool:
    """Say whether a text opens like a refusal (English, German, French, Spanish)."""
    if not text:
        return False
    return judgement.is_refusal(text) or REFUSALS.search(text[:LOOKED_AT]) is not None
