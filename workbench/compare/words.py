"""Words that carry meaning in several languages: units, numbers, negations, and the commonest ones."""

from __future__ import annotations


def _by_word(table: dict[str, str]) -> dict[str, str]:
    return {word: name for name, words in table.items() for word in words.split()}


UNITS = _by_word(
    {
        "%": "% percent prozent pct pourcent",
        "‰": "‰",
        "usd": "$ dollar dollars usd",
        "eur": "€ euro euros eur",
        "gbp": "£ gbp",
        "jpy": "¥ yen jpy",
        "inr": "₹ inr rupees",
        "km": "km kilometers kilometres kilometer kilometre",
        "m": "m meters metres meter metre",
        "cm": "cm",
        "mm": "mm",
        "mi": "mi miles mile",
        "kg": "kg kilograms kilogram kilo kilos",
        "g": "g grams gram gramm",
        "mg": "mg milligrams",
        "lb": "lb lbs pounds",
        "oz": "oz ounces",
        "ft": "ft feet foot",
        "l": "l liters litres liter litre",
        "ml": "ml",
        "tb": "tb",
        "gb": "gb",
        "mb": "mb",
        "kb": "kb",
        "ms": "ms",
        "s": "s second seconds sec secs sekunden",
        "min": "min mins minute minutes minuten",
        "h": "h hr hrs hour hours stunde stunden heures horas",
        "d": "d day days tag tage jours días",
        "wk": "week weeks woche wochen semaines semanas",
        "mo": "month months monat monate mois meses",
        "yr": "year years jahr jahre ans años",
        "thousand": "k thousand tausend",
        "million": "million millions mio millionen",
        "billion": "billion billions mrd milliarden",
        "°c": "°c",
        "°f": "°f",
        "°": "°",
        "w": "w",
        "kw": "kw",
        "kwh": "kwh",
        "mph": "mph",
    }
)
"""Unit by how it is written; other words after a number are not units."""

NUMBER_WORDS = {
    word: float(number)
    for word, number in _by_word(
        {
            "2": "two zwei deux dos due dois twee",
            "3": "three drei trois tres tre três drie",
            "4": "four vier quatre cuatro quattro quatro",
            "5": "five fünf cinq cinco cinque vijf",
            "6": "six sechs seis sei zes",
            "7": "seven sieben sept siete sette sete zeven",
            "8": "eight acht huit ocho otto oito",
            "9": "nine neun neuf nueve nove negen",
            "10": "ten zehn dix diez dieci dez tien",
            "11": "eleven elf onze once undici",
            "12": "twelve zwölf douze doce dodici doze twaalf",
            "20": "twenty zwanzig vingt veinte venti vinte",
            "100": "hundred hundert cent cien cento cem honderd",
        }
    ).items()
}


def _sets(table: dict[str, str]) -> dict[str, frozenset[str]]:
    return {language: frozenset(words.split()) for language, words in table.items()}


NEGATIONS = _sets(
    {
        "en": "not no never none nobody nothing neither nor without cannot nowhere",
        "de": "nicht nie niemals nichts niemand ohne weder nirgends kein keine keinen keinem keiner keines",
        "fr": "pas jamais aucun aucune rien sans ni personne",
        "es": "no nunca jamás ningún ninguna ninguno nada nadie sin tampoco ni",
        "it": "non mai nessun nessuno nessuna niente nulla senza né",
        "pt": "não nunca jamais nenhum nenhuma nada ninguém sem nem",
        "nl": "niet geen nooit niets niemand zonder noch",
        "sv": "inte ej ingen inget inga aldrig utan",
        "da": "ikke ingen intet aldrig uden",
        "pl": "nie nigdy nikt nic bez żaden żadna ani",
        "cs": "ne není nikdy nikdo nic bez žádný ani nejsou",
        "ru": "не нет никогда ничего никто без ни нельзя",
        "tr": "değil yok hiç asla olmadan",
    }
)
"""Words that negate. French `ne` is left out, since `ne ... pas` is one negation."""

_ELSEWHERE = frozenset("no ni non sin mai sem né personne bez ej".split())  # noqa: SIM905 - a list of words
ANY_NEGATION = frozenset().union(*NEGATIONS.values()) - _ELSEWHERE | {"no"}
"""Used where the language is not known: without words that mean something else in another language."""

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
