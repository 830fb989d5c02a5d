"""The pages that show the figures: `docs/truth.md` and the table in the README are made from one run's rows.

    python -m evals.truth --json rows.json
    python -m evals.truth.page rows.json [more.json ...]

Rows of a later file take the place of a section's rows in an earlier one. What the README says is looked up
in the table of `docs/truth.md`, so that a figure or a bar stands in one place only.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.truth.table import AT_MOST, Row, markdown

ROOT = Path(__file__).parents[2]
PAGE, README = ROOT / "docs" / "truth.md", ROOT / "README.md"
BEGIN, END = "<!-- made by evals.truth.page -->", "<!-- end -->"
HEAD = "| section | world "

Key = tuple[str, str, str]
"""Section, how the world begins, how the promise begins."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the README: what is said of a world, the rows it is read from, and what others do there."""

    says: str
    own: tuple[Key, ...]
    usual: tuple[tuple[str, Key], ...] = ()
    template: str = "{}"


_RAMP, _DAYS = "ever says that harm is at most 5 %: ", "ever at 25 % of traffic or more: "
_SLICE = "2000 labelled calls, de 15 % harm"
_COLLAPSE = "90.0% common, one rare answer"


def _pace(world: str, stage: str) -> tuple[Key, ...]:
    return tuple(("pace", world, f"{what} to {stage}") for what in ("days", "labels"))


def _ramp(rate: int) -> Line:
    world = f"{rate}% harm, every n"
    return Line(
        f"harm is {rate} %, a look after every call up to 2,000: ever says “at most 5 %”",
        (("false ramp", world, f"{_RAMP}anytime bound"),),
        (
            ("above 95 % agree", ("false ramp", world, f"{_RAMP}more than 95 %")),
            ("Wilson", ("false ramp", world, f"{_RAMP}Wilson")),
        ),
    )


LINES = (
    _ramp(5),
    _ramp(6),
    Line(
        "harm is 5 %, 30 days of 100 calls: ever at 25 % of traffic",
        (("false ramp", "5% harm, 30 days", f"{_DAYS}this rule"),),
        (
            ("above 95 % agree", ("false ramp", "5% harm, 30 days", f"{_DAYS}more than 95 %")),
            ("Wilson", ("false ramp", "5% harm, 30 days", f"{_DAYS}Wilson")),
        ),
    ),
    Line(
        "harm is 1 %, equality compared: days (labels) to 100 %",
        _pace("structural, 1% harm", "100%"),
        template="{} ({})",
    ),
    Line(
        "harm is 2 %, equality compared: days (labels) to 100 %",
        _pace("structural, 2% harm", "100%"),
        template="{} ({})",
    ),
    Line(
        "harm is 1 %, texts compared by meaning: days (labels) to 100 %",
        _pace("semantic, 1% harm", "100%"),
        template="{} ({})",
    ),
    Line(
        "harm is 2 %, texts compared by meaning: days (labels) to 100 %",
        _pace("semantic, 2% harm", "100%"),
        template="{} ({})",
    ),
    Line(
        "confidence threshold called safe that is not (harm falls late with confidence)",
        (("thresholds", "harm falls late", "proven, but risk above 5 %: fixed-sequence, anytime, looks"),),
        (
            (
                "lowest with observed error at most 5 %",
                ("thresholds", "harm falls late", "risk above 5 %: lowest"),
            ),
        ),
    ),
    Line(
        "60 sessions of 10 alike calls, 5 % bad: bound below the truth",
        (("clusters", "5% bad", "corrected anytime bound below the truth"),),
        (("calls taken as independent", ("clusters", "5% bad", "uncorrected exact bound")),),
    ),
    Line(
        "live disagreement doubles from 5 %: calls until the alarm",
        (("drift", "5% rises to 10%, p0 = 5.0%", "calls until the alarm"),),
    ),
    Line(
        "nothing drifts: calls between false alarms",
        (("drift", "5% differ as evaluated, p0 = 5%", "calls between false alarms"),),
    ),
    Line(
        "one of four declared slices has 15 % harm: kept out",
        (("slices", _SLICE, "the bad slice is kept out"),),
        (("observed error lets it through", ("slices", _SLICE, "observed error at most 5 %")),),
    ),
    Line(
        "an undeclared group of similar inputs has 20 % harm: found and called bad",
        (("found slices", "1500 labelled calls, 20% harm in an undeclared topic", "it is called bad"),),
    ),
    Line(
        "harm is 5 % everywhere: any of all found slices is called bad",
        (("found slices", "1500 labelled calls, 5% harm everywhere", "any of all found slices"),),
        (
            (
                "observed harm above 5 %",
                ("found slices", "1500 labelled calls, 5% harm everywhere", "observed harm above 5 %"),
            ),
        ),
    ),
    Line(
        "a routing rule is learnt where harm is 5.5 % everywhere: any call is sent",
        (("routing before", "3000 labelled calls, 5.5% harm", "any leaf is sent"),),
        (
            (
                "observed harm where it was learnt",
                ("routing before", "3000 labelled calls, 5.5%", "a single split"),
            ),
        ),
    ),
    Line(
        "a rare answer given up while 94.7 % agree: held at 0 %",
        (("label collapse", _COLLAPSE, "held at 0 %"),),
        (("above 95 % agree moves it", ("label collapse", _COLLAPSE, "more than 95 % agree")),),
    ),
    Line(
        "labels lapse, outputs fail, labels turn worse: the share rises",
        (("missing evidence", "structural, a share of all of it", "the share rises"),),
    ),
)
_BAR = re.compile(r"(<=|>=) ([\d.,]+)(?: \(([\d.,]+) promised\))?")
_COUNTED = ("days", "labels", "calls until", "calls between")
"""How the promises begin whose figures are numbers, not shares."""


def joined(files: Sequence[Sequence[Mapping[str, Any]]]) -> list[Row]:
    """Return the rows of several runs, a section's from the last that has it, in the order of the first."""
    sections: dict[str, list[Row]] = {}
    for rows in files:
        fresh: dict[str, list[Row]] = {}
        for each in rows:
            cells = {key: value for key, value in each.items() if key != "verdict"}
            if cells["measured"] is None:
                # In JSON nothing stands for what was never reached.
                cells["measured"] = float("inf")
            fresh.setdefault(each["section"], []).append(Row(**cells))
        sections |= fresh
    return [row for rows in sections.values() for row in rows]


def parsed(page: str) -> list[dict[str, str]]:
    """Return the rows of the table in a page as texts, by the names of its columns."""
    lines = [line for line in page.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    names = [*cells[0][:-1], "verdict"]
    return [dict(zip(names, each, strict=True)) for each in cells[2:]]


def table(rows: Sequence[Row]) -> str:
    """Return what `docs/truth.md` holds between its marks: how many rows there are, and the table."""
    with_bar = sum(row.bar is not None for row in rows)
    missed = sum(not row.ok for row in rows)
    compact = re.sub(r" +\|", " |", markdown(rows))
    compact = re.sub(r"\| --+(?= \|)", "| ---", compact)
    return f"{len(rows)} rows, {with_bar} of them with a bar, {missed} missed.\n\n{compact}"


def readme(page: str) -> str:
    """Return what the README holds between its marks, read from the table of `docs/truth.md`."""
    rows = parsed(page)
    lines = [
        f"From its {len(rows)} rows ([all of them](docs/truth.md)):",
        "",
        "| world | measured | the usual way | bar |",
        "|---|---|---|---|",
    ]
    for line in LINES:
        own = [_row(rows, key) for key in line.own]
        measured = line.template.format(*(_figure(row, row["measured"]) for row in own))
        usual = "; ".join(f"{name}: {_share(rows, key)}" for name, key in line.usual)
        bars = line.template.format(*(_bar(row) for row in own))
        lines.append(f"| {line.says} | {measured} | {usual} | {bars} |")
    return "\n".join([*lines, "", _real(rows)])


def _real(rows: Sequence[dict[str, str]]) -> str:
    """Return what the README says of real candidates, from the rows on real labels."""
    said: dict[str, dict[str, str]] = {}
    for harm in ("regressions", "net"):
        mine = [each for each in rows if each["section"] == "real labels" and each["world"].endswith(harm)]
        said[harm] = {
            name: _row(mine, ("real labels", "", promise))["measured"]
            for name, promise in (("broken", "bound ever below"), ("reached", "reach a cap"))
        }
        ever = _row(mine, ("real labels", "", "hold any traffic"))
        labels, reached = (
            _row(mine, ("real labels", "", each)) for each in ("labels that takes", "reach a cap")
        )
        said[harm]["ever"], said[harm]["labels"] = f"{float(ever['measured']):.0f}", labels["measured"]
        said[harm]["worse"], said[harm]["pairs"] = re.findall(r"\d+", ever["world"])[:2]
        said[harm]["close"] = re.findall(r"\d+", reached["world"])[0]
    plain, net = said["regressions"], said["net"]
    text = (
        "On real answers with human truth (three public classification tasks, GPT-4o against "
        f"{plain['pairs']} pairs of task and open model of at most 14 B, gold labels as reviewers): of "
        f"{plain['worse']} that are provably more than 5 points worse {plain['ever']} held any traffic at "
        f"any look by regressions and {net['ever']} by net harm; the bound was ever below the truth for "
        f"{float(plain['broken']):.0%} of all pairs and {float(net['broken']):.0%}. Of the {plain['close']} "
        f"within 5 points {plain['reached']} reach a cap of 25 % and more by regressions and "
        f"{net['reached']} by net harm, in the median with the first {plain['labels']} labels. Most of the "
        "others are held by a rare label that they miss: [each of them](docs/truth-real.md)."
        f"{_between(int(plain['pairs']) - int(plain['worse']) - int(plain['close']))}"
    )
    return textwrap.fill(text, 110, break_on_hyphens=False, break_long_words=False)


def _between(pairs: int) -> str:
    """Return what is said of those that are neither within the tolerance nor provably beyond it."""
    if not pairs:
        return ""
    are = "is" if pairs == 1 else "are"
    return f" {pairs} {are} in neither group: more than 5 points worse, but not provably so."


def _share(rows: Sequence[dict[str, str]], key: Key) -> str:
    row = _row(rows, key)
    return _figure(row, row["measured"])


def _row(rows: Sequence[dict[str, str]], key: Key) -> dict[str, str]:
    """Return the one row that a key names.

    Raises:
        LookupError: There is none, or several.
    """
    section, world, promise = key
    found = [
        each
        for each in rows
        if each["section"] == section
        and each["world"].startswith(world)
        and each["what is promised"].startswith(promise)
    ]
    if len(found) != 1:
        raise LookupError(f"{len(found)} rows of docs/truth.md are {key}; name one")
    return found[0]


def _figure(row: dict[str, str], text: str) -> str:
    """Return a cell as the README says it: a share in per cent, a count as it is."""
    if row["what is promised"].startswith(_COUNTED):
        return text
    return f"{float(text.replace(',', '')):.1%}".replace(".0%", "%")


def _bar(row: dict[str, str]) -> str:
    """Return the bar in words: what is promised, and from which figure on a run with few worlds misses it."""
    found = _BAR.fullmatch(row["bar"])
    if found is None:
        raise LookupError(f"the row {row['world']!r} has no bar")
    words = "at most" if found[1] == AT_MOST else "at least"
    enforced = f"{words} {_figure(row, found[2])}"
    if found[3] is None:
        return enforced
    beyond = "above" if found[1] == AT_MOST else "below"
    return f"{words} {_figure(row, found[3])}; a run misses it {beyond} {_figure(row, found[2])}"


def bar_of(cell: str) -> tuple[float | None, str | None, float | None]:
    """Return the bar, its sense and what is promised, as a cell says; None for what is not there."""
    found = _BAR.fullmatch(cell)
    if found is None:
        return None, None, None
    bar, level = (None if each is None else float(each.replace(",", "")) for each in (found[2], found[3]))
    return bar, found[1], level


def replaced(text: str, block: str) -> str:
    """Return a page with what stands between its marks replaced.

    Raises:
        LookupError: It has no marks.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise LookupError(f"no {BEGIN} ... {END} in the page")
    return f"{before}{BEGIN}\n{block}\n{END}{after}"


def main(files: Sequence[str]) -> int:
    """Write both pages from the rows of one or more runs."""
    rows = joined([json.loads(Path(each).read_text(encoding="utf-8")) for each in files])
    page = replaced(PAGE.read_text(encoding="utf-8"), table(rows))
    text = replaced(README.read_text(encoding="utf-8"), readme(page))
    PAGE.write_text(page, encoding="utf-8")
    README.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
