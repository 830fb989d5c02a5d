"""Words that carry meaning in several languages: units, numbers, and the commonest ones."""

from __future__ import annotations

import unicodedata


def bare(word: str) -> str:
    """Return a word without accents: José is Jose."""
    if word.isascii():
        return word
    return "".join(each for each in unicodedata.normalize("NFKD", word) if not unicodedata.combining(each))


def listed(words: str) -> frozenset[str]:
    """Return the words of a text with spaces between them."""
    return frozenset(words.split())


def _by_word(table: dict[str, str]) -> dict[str, str]:
    return {word: name for name, words in table.items() for word in words.split()}


UNITS = _by_word(
    {
        "%": "% percent prozent pct pourcent porcentaje",
        "‰": "‰ promille",
        "usd": "$ dollar dollars usd dólar dólares dolar dolares dollari dólares",
        "eur": "€ euro euros eur",
        "gbp": "£ gbp",
        "chf": "chf franken francs franc",
        "jpy": "¥ yen jpy",
        "inr": "₹ inr rupees",
        "km": "km kilometers kilometres kilometer kilometre kilometern kilomètre kilómetro kilómetros",
        "m²": "m² m2 qm sqm quadratmeter quadratmetern",
        "m³": "m³ m3 cbm kubikmeter kubikmetern",
        "m": "m meters metres meter metre metern mètre mètres metro metros",
        "cm": "cm centimeters centimetres zentimeter centimètres centímetros",
        "mm": "mm millimeter millimeters millimetres millimètres milímetros",
        "mi": "mi miles mile meilen millas",
        "kg": "kg kilograms kilogram kilo kilos kilogramm kilogrammes kilogramos",
        "g": "g grams gram gramm gramme grammes gramo gramos",
        "mg": "mg milligrams milligramm milligrammes miligramos",
        "lb": "lb lbs pounds libras",
        "oz": "oz ounces unzen onces onzas",
        "ft": "ft feet foot",
        "l": "l liters litres liter litre litern litro litros",
        "ml": "ml milliliter millilitres milliliters mililitros",
        "tb": "tb",
        "gb": "gb",
        "mb": "mb",
        "kb": "kb",
        "ms": "ms millisekunden milliseconds millisecondes milisegundos",
        "s": "s second seconds sec secs sekunde sekunden seconde secondes segundo segundos",
        "min": "min mins minute minutes minuten minuto minutos minuti",
        "h": "h hr hrs hour hours std stunde stunden heure heures hora horas ore",
        "d": "d day days tag tage tagen jour jours día días dia dias giorni",
        "wk": "week weeks woche wochen semaine semaines semana semanas settimane",
        "mo": "month months monat monate monaten mois mes meses mesi",
        "yr": "year years jahr jahre jahren ans année années año años anno anni anos",
        "°c": "°c celsius",
        "°f": "°f fahrenheit",
        "°": "°",
        "w": "w watt watts",
        "kw": "kw kilowatt kilowatts",
        "kwh": "kwh kilowattstunden",
        "mph": "mph",
        "km/h": "kmh",
    }
)
"""Unit by how it is written; other words after a number are not units."""

_LONG_SCALE = "de fr es it pt nl pl cs da sv".split()  # noqa: SIM905 - a list of words
_SCALES = {
    "k": 1e3,
    **dict.fromkeys("thousand tausend tsd mille mil mila".split(), 1e3),  # noqa: SIM905 - a list of words
    **dict.fromkeys("million millions mio millionen millón millones milioni milhões".split(), 1e6),  # noqa: SIM905
    **dict.fromkeys("mrd milliarde milliarden milliard milliards miliardi bn".split(), 1e9),  # noqa: SIM905
    **dict.fromkeys("billion billions billionen billón billones".split(), 1e9),  # noqa: SIM905 - a list
    **dict.fromkeys("trillion trillions".split(), 1e12),  # noqa: SIM905 - a list of words
}


def scale_of(word: str, language: str | None) -> float | None:
    """Return what a number is multiplied by, or None; a billion is a million millions in most of Europe."""
    scale = _SCALES.get(word)
    if scale == 1e9 and word.startswith("bill") and language in _LONG_SCALE:
        return 1e12
    return scale


def _numbered(words: str, numbers: tuple[int, ...]) -> dict[str, float]:
    return {
        word: float(number)
        for group, number in zip(words.split(), numbers, strict=True)
        for word in group.split("/")
    }


_COUNT = (*range(2, 21), 30, 40, 50, 60, 70, 80, 90, 100, 1000)
NUMBER_WORDS: dict[str, dict[str, float]] = {
    "en": _numbered(
        "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand",
        _COUNT,
    ),
    "de": _numbered(
        "zwei/zwo drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn "
        "siebzehn achtzehn neunzehn zwanzig dreißig/dreissig vierzig fünfzig sechzig siebzig achtzig "
        "neunzig hundert/einhundert tausend/eintausend",
        _COUNT,
    ),
    "fr": _numbered(
        "deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept "
        "dix-huit dix-neuf vingt trente quarante cinquante soixante soixante-dix/septante "
        "quatre-vingts/quatre-vingt/huitante quatre-vingt-dix/nonante cent mille",
        _COUNT,
    ),
    "es": _numbered(
        "dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis "
        "diecisiete dieciocho diecinueve veinte treinta cuarenta cincuenta sesenta setenta ochenta "
        "noventa cien/ciento mil",
        _COUNT,
    ),
    "it": _numbered("due tre quattro cinque sei sette otto nove dieci", tuple(range(2, 11))),
    "pt": _numbered("dois/duas três quatro cinco seis sete oito nove dez", tuple(range(2, 11))),
    "nl": _numbered("twee drie vier vijf zes zeven acht negen tien", tuple(range(2, 11))),
}
"""Numbers by word and language. One is left out: in most languages it is an article, too."""

_AMBIGUOUS = frozenset("once sei seis due cent mil neuf acht six dix sept mille onze".split())  # noqa: SIM905
ANY_NUMBER_WORD = {
    word: number
    for words in NUMBER_WORDS.values()
    for word, number in words.items()
    if word not in _AMBIGUOUS
}
"""Used where the language is not known: without words that mean something else in another language."""

HONORIFICS = frozenset("herr herrn frau dr prof familie firma professor doktor".split())  # noqa: SIM905
"""German words that a name follows."""
NO_PLACES = frozenset(
    "hause haus ordnung kürze höhe form bezug zukunft betrieb kraft anspruch angriff frage raten arbeit "  # noqa: SIM905
    "erhalt eingang absprache rücksprache ablauf wunsch bedarf versehen sicht verbindung zusammenhang "
    "gründen angaben minuten stunden tagen wochen monaten jahren euro folge ruhe fällen teilen sachen "
    "stand gang not eile wahrheit wirklichkeit summe anlehnung auftrag absicht".split()
)
"""German nouns that stand behind in, nach or aus without an article and are no places."""

REPLIES = listed(
    "yes no yeah yep nope ok okay sure certainly absolutely definitely indeed right correct exactly "
    "perfect great good fine done agreed understood noted confirmed approved accepted thanks thank you "
    "welcome hello hi hey dear goodbye bye cheers sorry please sincerely regards wishes best kind warm "
    "team support customer service sir madam ja nein klar gern gerne natürlich sicher richtig genau "
    "danke bitte hallo guten tag grüße freundliche liebe sehr geehrte verstanden erledigt bestätigt "
    "oui non bien sûr merci bonjour salut cordialement parfait compris confirmé accepté sí si claro "
    "gracias hola buenos días saludos cordiales perfecto entendido hecho confirmado sì grazie ciao "
    "prego certo obrigado olá sim"
)
"""What is said for itself, with a capital letter, and is no name."""

WEEKDAYS = {
    word: day
    for day, words in enumerate(
        (
            "monday montag lundi lunes lunedì",
            "tuesday dienstag mardi martes martedì",
            "wednesday mittwoch mercredi miércoles mercoledì",
            "thursday donnerstag jeudi jueves giovedì",
            "friday freitag vendredi viernes venerdì",
            "saturday samstag sonnabend samedi sábado sabato",
            "sunday sonntag dimanche domingo domenica",
        )
    )
    for word in words.split()
}
RELATIVE_DAYS = {
    "en": {"yesterday": -1, "today": 0, "tonight": 0, "tomorrow": 1},
    "de": {"gestern": -1, "heute": 0, "morgen": 1, "übermorgen": 2},
    "fr": {"hier": -1, "aujourd'hui": 0, "demain": 1, "après-demain": 2},
    "es": {"ayer": -1, "hoy": 0, "mañana": 1},
}
"""Days counted from today. The morning (`heute morgen`, `la mañana`) is told apart where it is read."""


def _sets(table: dict[str, str]) -> dict[str, frozenset[str]]:
    return {language: frozenset(words.split()) for language, words in table.items()}


STOPWORDS = _sets(
    {
        "en": "the and is are of to in that for with was this have you it be on as from your we",
        "de": "der die das und ist sind von zu den mit für auf ein eine wir sie ich dem wird auch nicht",
        "fr": "le les des et est une dans pour que qui avec sur vous nous je au ce du votre pas",
        "es": "el los las y es una en para que con por su del usted se lo al como está gracias",
        "it": "il gli le e è una di per che con del della sono non si nel questo grazie",
        "pt": "o os as e é uma em para que com por do da não se no na você um obrigado",
        "nl": "de het een en is van voor met op dat te niet zijn wij u aan ook naar",
        "sv": "och är att det en som för på med av till inte den vi har",
        "da": "og er at det en som for på med af til ikke den vi har",
        "pl": "i w na z jest do się nie że to jak dla proszę od",
        "cs": "a je v na se že do s pro jsou to jak prosím",
        "ru": "и в на с что это по не как для вы мы от",
        "tr": "ve bir bu için ile da de çok olarak var",
    }
)
