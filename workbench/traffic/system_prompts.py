"""System prompts of which a log has few: each of them is a workload, however much they share. Pure.

What a program writes into a prompt for each call, such as a name or an order, gives as many prompts as there
are calls. Of few prompts with many different requests each, every one was written by somebody.
"""

from __future__ import annotations

from collections.abc import Sequence

from workbench.traffic.prompts import CHANNELS, Tokens

FEW_SHARE = 0.05
"""Of the requests of a group, so many have one of the prompts, or it is a value of a slot."""
COVERED = 0.9
"""So many requests of a group have one of the few prompts, or its prompts are not few."""

BEGINNINGS = (6, 12, 24, None)
"""So many tokens, or all: behind a beginning that somebody wrote, a program may fill something in."""

_CALENDAR_WORDS = (
    "monday tuesday wednesday thursday friday saturday sunday mon tue wed thu fri sat sun am pm "
    "january february march april may june july august september october november december "
    "jan feb mar apr jun jul aug sep sept oct nov dec "
    "montag dienstag mittwoch donnerstag freitag samstag sonntag "
    "januar februar märz mai juni juli oktober dezember "
    "lundi mardi mercredi jeudi vendredi samedi dimanche "
    "janvier février mars avril juin juillet août septembre octobre novembre décembre "
    "lunes martes miércoles jueves viernes sábado domingo "
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"
)
_CALENDAR = frozenset(_CALENDAR_WORDS.split())
"""Words of dates: a prompt that says the day is the same on all of them, as it is with other numbers."""


def prompt_sets(docs: Sequence[Tokens], least: int) -> list[list[int]]:
    """Return which requests have each system prompt or beginning of one, as bits, but for rare ones.

    Args:
        docs: The tokens of each request.
        least: A prompt is rare below so many requests.

    Returns:
        The sets of each length of `BEGINNINGS`.
    """
    channel = CHANNELS.index("system_prompt")
    found: list[dict[tuple[str, ...], int]] = [{} for _ in BEGINNINGS]
    for index, doc in enumerate(docs):
        said = tuple("" if each.casefold() in _CALENDAR else each for each in doc[channel])
        for length, sets in zip(BEGINNINGS, found, strict=True):
            begins = said[:length]
            sets[begins] = sets.get(begins, 0) | 1 << index
    return [[bits for bits in sets.values() if bits.bit_count() >= least] for sets in found]


def few_prompts(written: Sequence[Sequence[int]], group: int, least: int) -> list[list[int]]:
    """Return which requests of a group have each of its prompts, of each length at which these are few.

    Args:
        written: What `prompt_sets` returned.
        group: The requests, as bits.
        least: A prompt is a value of a slot below so many requests.
    """
    size = group.bit_count()
    needed = max(least, FEW_SHARE * size)
    found = []
    for sets in written:
        here = [own for bits in sets if (own := bits & group).bit_count() >= needed]
        if len(here) > 1 and sum(own.bit_count() for own in here) >= COVERED * size:
            found.append(here)
    return found


def parts(here: int, prompts: Sequence[int]) -> bool:
    """Say whether some requests are all of those with some of few prompts, and none of those with the others.

    Args:
        here: The requests, as bits.
        prompts: Requests with each prompt, of one length of those that `few_prompts` returned.
    """
    held = [bits & here for bits in prompts]
    return any(held) and all(own in (0, bits) for own, bits in zip(held, prompts, strict=True))
