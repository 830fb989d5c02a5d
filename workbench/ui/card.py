"""A pair to judge as one piece of HTML: the request, then both responses with what differs.

One piece rather than a tree of widgets: the browser shows it in a few milliseconds, so that
the next item is there as soon as a key is pressed. Nothing here says which model wrote what.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from workbench.compare.differences import FieldRow, capped, comparable, field_diff, is_unequal, parsed
from workbench.records import Message, Output, Request
from workbench.ui import answers, words
from workbench.ui.diff import word_diff, word_marks
from workbench.ui.markup import Safe, element, joined, may_scroll

BLIND = ("blind", "blind")
TURNS_OPEN = 3
"""So many of the last turns are read at once; earlier ones are folded, not left out."""

FIELDS_SHOWN = 500
SHORT_CHARS = 80
"""Answers up to this length, such as labels, are written larger."""

TITLES = ("Response 1", "Response 2")
_CALL = re.compile(r"Call \d+")


def request_card(request: Request) -> Safe:
    """Return a request to read: system prompt, earlier turns and tools folded, the last turns open.

    Args:
        request: What was asked.
    """
    system = [each for each in request.messages if each.role in ("system", "developer")]
    turns = [each for each in request.messages if each.role not in ("system", "developer")]
    early, late = turns[:-TURNS_OPEN], turns[-TURNS_OPEN:]
    pieces: list[Safe] = []
    if system:
        text = "\n\n".join(answers.message_text(each) for each in system)
        pieces.append(_folded("System prompt", _text(text)))
    if early:
        named = words.counted(len(early), "earlier turn")
        shown = early[-answers.MESSAGES_SHOWN :]
        if len(shown) < len(early):
            named += f", the last {len(shown)} of them"
        pieces.append(_folded(named, *(_turn(each) for each in shown)))
    if len(turns) == 1 and late[0].role == "user":
        pieces.append(_text(answers.message_text(late[0])))
    else:
        pieces += [_turn(each) for each in late]
    if request.tools:
        offered = words.counted(len(request.tools), "tool") + " offered"
        pieces.append(_folded(offered, _text(json.dumps(list(request.tools), ensure_ascii=False, indent=2))))
    return element("div", element("div", "Request", classes="wb-head"), *pieces, classes="wb-request")


def pair_card(
    left: Output,
    right: Output,
    *,
    rules: Mapping[str, bool] | None = None,
    titles: tuple[str, str] = TITLES,
    keys: tuple[str, str] | None = None,
) -> Safe:
    """Return two answers side by side: by field where both are JSON or call tools, else by word.

    Args:
        left: What stands left.
        right: What stands right.
        rules: What the eval's field rules said, by path; None where it has none.
        titles: What the sides are called; nothing that tells who wrote them in a blind review.
        keys: The key that prefers each side.
    """
    heads = [
        element("div", *([element("kbd", key), " "] if key else []), title, classes="wb-head")
        for title, key in zip(titles, keys or ("", ""), strict=True)
    ]
    values = comparable(left, right)
    if values is not None:
        rows = field_diff(*values, rules)
        shown = _fields(rows, (heads[0], heads[1]))
        if any(map(is_unequal, rows)) or left.text == right.text:
            return shown
        # Equal in every field, and yet not the same: the difference is in how they are written.
        sides = word_diff(left.text or "", right.text or "", BLIND)
        columns = [element("div", each, classes="wb-side") for each in (sides.left, sides.right)]
        return joined(
            shown, _folded("As they are written", element("div", *columns, classes="wb-pair"), is_open=True)
        )
    texts = _readable(left), _readable(right)
    sides = word_diff(*texts, BLIND)
    size = " wb-short" if max(map(len, texts)) <= SHORT_CHARS else ""
    columns = [
        element("div", head, side, classes=f"wb-side{size}")
        for head, side in zip(heads, (sides.left, sides.right), strict=True)
    ]
    said = "Both are the same, character for character." if texts[0] == texts[1] else sides.unmarked
    note = [element("div", said, classes="wb-note")] if said else []
    return joined(element("div", *columns, classes="wb-pair"), *note)


def _fields(rows: Sequence[FieldRow], heads: tuple[Safe, Safe]) -> Safe:
    unequal = [each for each in rows if is_unequal(each)]
    others = [each for each in rows if not is_unequal(each)]
    top = element("tr", element("th", "Field"), *(element("th", each) for each in heads))
    said = f"{len(unequal):,} of {words.counted(len(rows), 'field')} differ."
    pieces = [
        element("div", said, classes="wb-note"),
        element(
            "table",
            element("thead", top),
            element("tbody", *(_row(each, marked=True) for each in unequal[:FIELDS_SHOWN])),
            classes="wb-fields",
        ),
    ]
    if others:
        body = element("tbody", *(_row(each, marked=False) for each in others[:FIELDS_SHOWN]))
        table = element("table", body, classes="wb-fields")
        pieces.append(_folded(_others(others), table, is_open=not unequal))
    if len(rows) > FIELDS_SHOWN:
        pieces.append(
            element("div", f"At most {FIELDS_SHOWN} fields of a kind are shown.", classes="wb-note")
        )
    return joined(*pieces)


def _others(rows: Sequence[FieldRow]) -> str:
    counts = {
        state: sum(row.state == state for row in rows) for state in dict.fromkeys(r.state for r in rows)
    }
    return ", ".join(f"{number:,} {state}" for state, number in counts.items())


def _row(row: FieldRow, *, marked: bool) -> Safe:
    missing = element("span", "not there", classes="wb-missing")
    cells: tuple[str, str] = (row.control, row.candidate)
    if row.state == "only frontier":
        cells = (row.control, missing)
    elif row.state == "only candidate":
        cells = (missing, row.candidate)
    elif marked:
        cells = word_marks(*cells)
    name = element("th", _path(row.path), own_direction=True)
    return element("tr", name, *(element("td", each, own_direction=True) for each in cells))


def _path(path: str) -> str:
    call, _, rest = path.partition(".")
    return f"{call}: {rest.removeprefix('arguments.')}" if _CALL.fullmatch(call) else path


def _readable(output: Output) -> str:
    """Return an answer to read; JSON without a frame is spread over lines, so that fields align."""
    text = answers.output_text(output)
    if text[:1] in ("{", "[") and (value := parsed(text)) is not None:
        return json.dumps(value, ensure_ascii=False, indent=2)
    return text


def _turn(message: Message) -> Safe:
    role = answers.ROLES.get(message.role, "Other role")
    return joined(element("div", role, classes="wb-role"), _text(answers.message_text(message)))


def _text(text: str) -> Safe:
    shown = capped(text, answers.REQUEST_CHARS) or "(empty)"
    return element("div", shown, classes="wb-text", own_direction=True, reachable=may_scroll(shown))


def _folded(title: str, *content: Safe, is_open: bool = False) -> Safe:
    summary = element("summary", title)
    return element("details", summary, *content, classes="wb-fold", is_open=is_open)
