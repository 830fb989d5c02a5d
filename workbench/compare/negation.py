"""Whether a text negates, and whether two texts say the opposite, in several languages.

Two texts differ where one side negates, or where a word on one side and its opposite (`possible`
and `impossible`, `hot` and `cold`) stand against each other; where both hold they cancel out: `not
fat` is `thin`, `nicht möglich` is `unmöglich`.
"""

from __future__ import annotations

import re
import unicodedata

from workbench.compare.opposites import OPPOSITES
from workbench.compare.words import bare, listed


def _sets(table: dict[str, str]) -> dict[str, frozenset[str]]:
    return {language: frozenset(words.split()) for language, words in table.items()}


NEGATIONS = _sets(
    {
        "en": "not no never none nobody nothing neither nor without cannot nowhere dont cant wont "
        "doesnt didnt isnt arent wasnt couldnt shouldnt wouldnt hardly scarcely barely "
        "rarely seldom unable impossible unlikely refuse refuses refused refusing fail fails "
        "failed lack lacks lacked lacking deny denies denied decline declines declined "
        "reject rejects rejected rejecting prohibited forbidden infrequently",
        "de": "nicht nie niemals nichts niemand niemanden niemandem ohne weder nirgends nirgendwo "
        "nein keinesfalls keineswegs kein keine keinen keinem keiner keines keins kaum "
        "selten unmöglich außerstande verweigert verweigern weigert weigern abgelehnt "
        "verboten untersagt fehlt fehlen",
        "fr": "pas jamais aucun aucune rien sans ni non nulle guère impossible incapable interdit "
        "interdite refuse refusent refusé refusée rarement",
        "es": "no nunca jamás ningún ninguna ninguno ningunos ningunas nada nadie sin tampoco ni "
        "imposible incapaz prohibido prohibida rechaza rechazado rechazada niega apenas "
        "raramente",
        "it": "non mai nessun nessuno nessuna niente nulla senza né impossibile incapace vietato "
        "vietata rifiuta rifiutato rifiutata raramente",
        "pt": "não nunca jamais nenhum nenhuma nada ninguém sem nem impossível incapaz proibido "
        "proibida recusa recusado recusada raramente",
        "nl": "niet geen nooit niets niemand zonder noch onmogelijk nauwelijks zelden verboden "
        "weigert geweigerd",
        "sv": "inte ej ingen inget inga aldrig utan omöjligt omöjlig knappast sällan förbjudet vägrar",
        "da": "ikke ingen intet aldrig uden umuligt umulig næppe sjældent forbudt nægter",
        "no": "ikke ingen intet aldri uten umulig neppe sjelden forbudt nekter",
        "fi": "ei en et emme ette eivät eikä älä älkää ilman koskaan mahdoton mahdotonta tuskin "
        "harvoin kielletty",
        "pl": "nie nigdy nikt nic bez żaden żadna ani niemożliwe rzadko zabronione odmawia",
        "cs": "ne není nikdy nikdo nic bez žádný ani nejsou nelze nemožné zřídka zakázáno odmítá",
        "sk": "nie nikdy nikto nič bez žiadny ani nemožné zakázané odmieta",
        "ru": "не нет никогда ничего никто без ни нельзя невозможно невозможен невозможна едва "
        "редко запрещено отказано отказывается",
        "uk": "не ні немає ніколи нічого ніхто без неможливо заборонено ледве рідко",
        "bg": "не няма никога нищо никой без невъзможно забранено рядко",
        "tr": "değil yok hiç asla olmadan imkansız imkânsız hayır nadiren yasak",
        "el": "δεν δε μη μην όχι ποτέ χωρίς τίποτα κανείς κανένας καμία κανένα ούτε αδύνατο αδύνατον σπάνια",
        "ar": "لا لم لن ليس ليست لست ليسوا غير بدون بلا ولا ولم ولن وليس أبدا مستحيل ممنوع نادرا",
        "he": "לא אין אל בלי אינו אינה אינם ולא שלא ואין לעולם אסור",
        "fa": "نه نیست نیستند نمی هرگز بدون هیچ ندارد نشد نخواهد غیرممکن",
        "hi": "नहीं नही न मत ना बिना कभी असंभव नामुमकिन",
        "id": "tidak bukan tanpa jangan belum tak mustahil jarang dilarang",
        "vi": "không chẳng chưa đừng chả",
        "ro": "nu niciodată fără nici nimic nimeni imposibil interzis rareori",
        "hu": "nem ne nincs nincsen soha sem nélkül semmi senki lehetetlen ritkán tilos",
    }
)
"""Words that negate, also within themselves. French `ne` is left out, since `ne ... pas` is one negation."""

CONCORD = frozenset("fr es it pt ru uk bg pl cs sk el ro hu".split())  # noqa: SIM905 - a list of words
"""Languages in which several such words are one negation (`no hay nada`): clauses are counted there."""

_ELSEWHERE = listed(
    "apenas no ni non sin mai sem né personne bez ej en et ei ne nu na tak fail refuse impossible ilman utan"
)
ANY_NEGATION = frozenset().union(*NEGATIONS.values()) - _ELSEWHERE | {"no", "impossible"}
"""Used where the language is not known: without words that mean something else in another language."""

_NOT_NEGATION = re.compile(
    r"\bnot only\b|\bno (?:later|more|less|fewer|sooner) than\b|\b(?:do not|don't) hesitate\b"
    r"|\bno (?:problem|worries|doubt)\b|\bwithout (?:fail|(?:a )?doubt)\b"
    r"|\bnot just\b|\bnicht nur\b|\bzögern sie (?:bitte )?nicht\b|\bkein problem\b|\bohne weiteres\b"
    r"|\bnon seulement\b|\bn'hésitez pas\b|\bpas de (?:problème|souci)\b|\bsans (?:problème|faute|doute)\b"
    r"|\bno (?:solo|sólo|solamente)\b|\bno dud(?:e|es|en)\b|\bsin (?:problema|duda|falta)\w*"
)
"""Turns of phrase in which a negating word negates nothing; they come and go between equal answers."""

_NE_PLUS = re.compile(r"\bn(?:e\s+|')\w+(?:\s+\w+)?\s+(?:plus|personne|point)\b")
"""French `ne ... plus` and `ne ... personne`: alone, the second words mean more, and a person."""

_CLAUSE_END = re.compile(r"[.,;:!?\n]|\b(?:y|e|et|und|mais|pero|ma|mas|porque|car|că|że|ale|а|но|и|και|és)\b")
_SIGNS = {
    "zh": re.compile(r"[不没沒無无非未莫]"),
    "ja": re.compile(r"ない|ません|なかった|なく|[不無非未]"),
    "ko": re.compile(r"않|없|못|아니|아닙|아닌|불가|말아|마세요|마십시오|(?<![가-힣])안(?=[ 되돼됩])"),
    "th": re.compile(r"ไม่|มิได้|อย่า(?!ง)"),
}
"""What negates where words are not parted by spaces."""

LANGUAGES = tuple(sorted({*NEGATIONS, *_SIGNS}))
"""Languages in which negations are known."""

_TURKISH = re.compile(
    r"[^\W\d_]{2,}(?:m[ae]z|m[ae]zs[ıi]n|m[ae]zl[ae]r|m[ıiuü]yor|m[ae]d[ıi]|m[ae]m[ıi]ş|m[ae]y[ae]c[ae][kğ]"
    r"|m[ae]m[ae]l[ıi]|m[ae]y[ıi]n)[^\W\d_]*"
)
"""Turkish verbs are negated by their ending: gelmez, gelmiyor, gelmedi, gelemez."""
_NOT_TURKISH = frozenset({"namaz", "temmuz"})

PREFIXES = (
    "un",
    "in",
    "im",
    "ir",
    "il",
    "i",
    "dis",
    "des",
    "dés",
    "non",
    "non-",
    "anti",
    "a",
    "on",
    "o",
    "u",
)
_PREFIXES_BY_LANGUAGE = {
    "ru": ("не", "без", "бес"),
    "uk": ("не", "без"),
    "bg": ("не", "без"),
    "pl": ("nie", "bez"),
    "cs": ("ne", "bez"),
    "sk": ("ne", "bez"),
    "ko": ("불", "비", "미", "무"),
    "el": ("αν", "α"),
    "hi": ("अ", "ना", "बे"),
    "fi": ("epä",),
    "tr": ("na",),
}
_SHORT_PREFIXES = {"a": ("fr", "it", "es", "pt"), "on": ("nl",), "o": ("sv",), "u": ("da", "no")}
"""Prefixes that mean something else in other languages."""
_SUFFIXES = {"en": ("less",), "de": ("los",), "tr": ("sız", "siz", "suz", "süz"), "fi": ("ton", "tön")}
SHORTEST_STEM = 4


def count_negations(text: str, language: str | None) -> int:
    """Return how often a text negates; in languages that double it, in how many clauses.

    Args:
        text: The text.
        language: Its language, where known.
    """
    if language in _SIGNS:
        return len(_SIGNS[language].findall(text))
    text = _NOT_NEGATION.sub(" ", text.casefold())
    if language in CONCORD:
        extra = _NE_PLUS if language == "fr" else None
        return sum(
            bool((extra and extra.search(part)) or any(_negates(word, language) for word in words_in(part)))
            for part in _CLAUSE_END.split(text)
        )
    return sum(_negates(word, language) for word in words_in(text))


_MARKS = "".join(chr(code) for code in range(0x300, 0xE50) if unicodedata.category(chr(code))[0] == "M")
"""Vowels and points that are written on a letter: without them a word of Hindi falls apart."""
_WORD = re.compile(rf"[^\W\d_](?:[^\W\d_]|[{_MARKS}])*(?:['’\-][^\W\d_](?:[^\W\d_]|[{_MARKS}])*)*")


def words_in(text: str) -> list[str]:
    """Return the words of a text as they stand there."""
    return _WORD.findall(text)


def _negates(word: str, language: str | None) -> bool:
    known = NEGATIONS.get(language, frozenset()) if language else ANY_NEGATION
    return (
        word in known
        or (language in (None, "en") and word.endswith("n't"))
        or (language in (None, "en") and word.startswith("non-"))
        or (language == "tr" and word not in _NOT_TURKISH and _TURKISH.fullmatch(word) is not None)
    )


_STANDS_ALONE = {language: frozenset(map(bare, words)) for language, words in NEGATIONS.items()}
"""Words that negate by themselves, without accents: they are counted, and stand for no opposite."""


_OPPOSITES = {
    language: tuple((one - _STANDS_ALONE[language], other - _STANDS_ALONE[language]) for one, other in pairs)
    for language, pairs in OPPOSITES.items()
}


def says_the_opposite(these: frozenset[str], those: frozenset[str], language: str | None) -> bool:
    """Say whether a word stands on one side alone and its opposite on the other alone. Symmetric.

    Args:
        these: The words of one text, without accents.
        those: The words of the other.
        language: The language of both; None where it is not known.
    """
    here, there = these - those, those - these
    if not here or not there:
        return False
    return (
        _is_derived(here, there, language)
        or _is_derived(there, here, language)
        or any(
            _parted(one, other, these, those) or _parted(other, one, these, those)
            for one, other in _OPPOSITES.get(language or "en", ())
        )
    )


def _parted(one: frozenset[str], other: frozenset[str], these: frozenset[str], those: frozenset[str]) -> bool:
    """Say whether only the first text has words of one side, and only the second of the other."""
    here, there = (each.isdisjoint for each in (these, those))
    return not here(one) and here(other) and not there(other) and there(one)


def _is_derived(plain: frozenset[str], opposite: frozenset[str], language: str | None) -> bool:
    alone = _STANDS_ALONE.get(language or "en", frozenset())
    prefixes = [
        *(each for each in PREFIXES if each not in _SHORT_PREFIXES or language in _SHORT_PREFIXES[each]),
        *map(bare, _PREFIXES_BY_LANGUAGE.get(language or "", ())),
    ]
    signs = _SIGNS.get(language or "")
    suffixes = [bare(each) for each in _SUFFIXES.get(language or "", ())]
    return any(
        derived in opposite and derived not in alone and not (signs and signs.search(_whole(derived)))
        for word in plain
        if len(word) >= SHORTEST_STEM
        for derived in (*(prefix + word for prefix in prefixes), *(word + suffix for suffix in suffixes))
    )


def _whole(word: str) -> str:
    """Return a word whose syllables were taken apart with its accents."""
    return unicodedata.normalize("NFC", word)
