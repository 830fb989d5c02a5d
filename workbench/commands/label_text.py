"""An item to judge as a person reads it at a terminal: guidelines, request, answers, what differs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.review import ReviewItem

GUIDELINE_CHARS = 4_000
"""Longer guidelines are cut; `workbench label guidelines` prints them whole."""

MOST_DIFFERENCES = 40
"""Fields or stretches of words that are listed."""

CELL_CHARS = 120


def item_text(item: ReviewItem | None, *, how: str | None = None) -> str:
    """Return an item as a person reads it.

    Args:
        item: The item; None where nothing is left.
        how: The last line, which says how to answer; the command unless given.
    """
    from workbench.compare.differences import capped
    from workbench.review.handover import answer_text, request_text

    if item is None:
        return "Nothing waits for your label here."
    submit = f"workbench label submit {item.ticket} --as NAME --choice left|right|equal|both_bad"
    guidelines = capped(item.guidelines.strip(), GUIDELINE_CHARS)
    parts = [
        f"{item.progress.text}    ticket {item.ticket}" if how is None else item.progress.text,
        f"--- Guidelines (version {item.guideline_version[:6]})\n{guidelines}" if guidelines else "",
        f"--- Request\n{request_text(item.request)}",
        f"--- Response 1\n{answer_text(item.left)}",
        f"--- Response 2\n{answer_text(item.right)}",
        f"--- What differs\n{differences_text(item)}",
        submit if how is None else how,
    ]
    return "\n\n".join(each for each in parts if each)


def differences_text(item: ReviewItem) -> str:
    """Return what differs between both answers: by field where both have fields, else by word."""
    from workbench.compare.differences import comparable

    values = comparable(item.left, item.right)
    if values is not None and (found := _fields(item, *values)):
        return found
    return _words(item)


def _fields(item: ReviewItem, left: object, right: object) -> str:
    """Return the unequal fields, a line each, and how many are equal; empty where all are."""
    from workbench.compare.differences import field_diff, is_unequal

    rows = field_diff(left, right, item.field_rules)
    unequal = [each for each in rows if is_unequal(each)]
    if not unequal:
        return ""
    lines = [f"{len(unequal):,} of {len(rows):,} fields differ."]
    for each in unequal[:MOST_DIFFERENCES]:
        sides = (
            "not there" if each.state == "only candidate" else _cell(each.control),
            "not there" if each.state == "only frontier" else _cell(each.candidate),
        )
        lines.append(f"  {each.path}: {sides[0]} | {sides[1]}")
    ruled = [each for each in rows if each.state in ("equal by rule", "not compared")]
    lines += [f"  {each.path}: {each.state}" for each in ruled[:MOST_DIFFERENCES]]
    return "\n".join([*lines, *_more(len(unequal))])


def _words(item: ReviewItem) -> str:
    """Return the stretches of words that only one of both has, a line each."""
    from workbench.compare.differences import MAX_WORDS, capped, stretches, words_of
    from workbench.review.handover import answer_text

    texts = answer_text(item.left), answer_text(item.right)
    if texts[0] == texts[1]:
        return "Nothing: both are the same, character for character."
    words = [words_of(capped(each)) for each in texts]
    if max(map(len, words)) > MAX_WORDS:
        return "Too long to mark the differences by word."
    found = [(left, right) for equal, left, right in stretches(*words) if not equal]
    lines = [f"  {_cell(left)} | {_cell(right)}" for left, right in found[:MOST_DIFFERENCES]]
    return "\n".join([*lines, *_more(len(found))]) or "The differences lie beyond what is shown."


def _cell(text: str) -> str:
    """Return a text on one line, in quotes, so that where it begins and ends can be seen."""
    short = text if len(text) <= CELL_CHARS else f"{text[:CELL_CHARS]}…"
    return json.dumps(short, ensure_ascii=False) if short else "nothing"


def _more(number: int) -> list[str]:
    return [f"  and {number - MOST_DIFFERENCES:,} more"] if number > MOST_DIFFERENCES else []
