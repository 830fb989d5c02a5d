"""A report as one HTML file: no script, nothing loaded from anywhere, printable to PDF."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from workbench.normal import visible
from workbench.report import drawing, wording
from workbench.report.facts import Report

LONGEST_WORD = 18
"""Characters of a word that a printed table's column always has room for."""
_BETWEEN_WORDS = re.compile(r"[\s-]+")
_BEFORE_UNIT = re.compile(r"(?<=\d) (?=%)")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark; --ink: #16202b; --paper: #fff; --soft: #5b6673; --line: #d5dbe2;
  --blue: #0b5cab; --orange: #b8500b; --pale: #f3d3b8; --open: #eef1f5; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8edf3; --paper: #12181f; --soft: #9aa6b3;
  --line: #2d3742; --blue: #7db4ee; --orange: #f0975a; --pale: #5d3d18; --open: #1d252e; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0; }
main { max-width: 46rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
.headline { font-size: 1.2rem; font-weight: 600; margin: .5rem 0 1.2rem; }
.alarm { border: 2px solid var(--orange); border-left-width: 8px; padding: .6rem .8rem;
  overflow-wrap: anywhere; }
.soft { color: var(--soft); }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr));
  gap: .8rem 1.4rem; margin: 1.2rem 0; }
dt { color: var(--soft); font-size: .85rem; }
dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
svg { width: 100%; height: auto; display: block; margin: .6rem 0; }
svg text { fill: var(--ink); font-size: 13px; } svg .strong { font-weight: 700; }
svg .reached { fill: var(--orange); } svg .supported { fill: var(--pale); }
svg .open { fill: var(--open); stroke: var(--line); }
svg .axis { stroke: var(--line); stroke-width: 2; } svg .limit { stroke: var(--blue); stroke-width: 2; }
svg .allowed { stroke: var(--soft); stroke-width: 1.5; stroke-dasharray: 3 3; }
svg .quiet { fill: var(--soft); }
svg .band { stroke: var(--orange); stroke-width: 8; stroke-linecap: round; } svg .point { fill: var(--ink); }
.wide { overflow-x: auto; } .many { min-width: 42rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem .35rem 0;
  border-bottom: 1px solid var(--line); overflow-wrap: break-word; }
th { color: var(--soft); font-weight: 600; }
@media print { :root { --ink: #000; --paper: #fff; --soft: #444; --line: #bbb; --blue: #0b5cab;
  --pale: #f3d3b8;
  --orange: #b8500b; --open: #f4f4f4; } main { max-width: none; padding: 0; } h2 { break-after: avoid; }
  tr, svg, dl { break-inside: avoid; } .wide { overflow: visible; }
  td.long { overflow-wrap: anywhere; } .many { min-width: 0; } }
"""


def as_html(report: Report) -> str:
    """Return a report as one HTML document.

    Args:
        report: What `gather_report` found.
    """
    found, policy = report.row.recommendation, report.policy
    parts = [
        f"<h1>{text(wording.title(report))}</h1>",
        f'<p class="headline">{text(wording.headline(report))}</p>',
    ]
    if alarm := wording.alarm(report):
        parts.append(f'<p class="alarm" role="alert"><strong>Override.</strong> {text(alarm)}</p>')
    if report.row.synthetic:
        parts.append(f"<p>{text(wording.SYNTHETIC)}</p>")
    if report.description:
        parts.append(f'<p class="soft">{text(report.description)}</p>')
    parts += [
        drawing.ladder(policy.ladder, found.current_share, found.share, found.cap),
        drawing.harm(found.harm, policy, found.share),
        "<dl>",
        *(figure(name, value) for name, value in wording.key_figures(report)),
        "</dl>",
        "<h2>Why</h2>",
        items(wording.reasons(report)),
        "<h2>What is missing</h2>",
        items(found.missing) if found.missing else "<p>Nothing for the next stage.</p>",
    ]
    for table in wording.tables(report):
        parts.append(f"<h2>{text(table.title)}</h2>")
        parts.append(table_of(table) if table.rows else f"<p>{text(table.empty)}</p>")
    parts.append("<h2>Method</h2>")
    parts += [f"<p><strong>{text(name)}.</strong> {text(said)}</p>" for name, said in wording.METHODS]
    made = wording.moment(report.made_at)
    parts.append(f'<p class="soft">Made on {made}. No text of any call is in this report.</p>')
    return page(wording.title(report), parts)


def page(title: str, parts: Sequence[str]) -> str:
    """Return a whole document around its parts.

    Args:
        title: Plain text.
        parts: HTML, escaped where it holds text from outside.
    """
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{_STYLE}</style></head><body><main>"
        + "\n".join(parts)
        + "</main></body></html>\n"
    )


def figure(name: str, value: str) -> str:
    """Return one key figure."""
    return f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>"


def items(texts: Sequence[str]) -> str:
    """Return a list of sentences."""
    return "<ul>" + "".join(f"<li>{text(each)}</li>" for each in texts) + "</ul>"


def table_of(table: wording.Table) -> str:
    """Return a table."""
    head = "".join(f'<th scope="col">{text(each)}</th>' for each in table.header)
    body = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in table.rows)
    many = ' class="many"' if len(table.header) > 4 else ""
    return f'<div class="wide"><table{many}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(plain: str) -> str:
    """Return a cell; on paper only a word that is too long for its column, such as a hash, is broken."""
    longest = max(map(len, _BETWEEN_WORDS.split(plain)), default=0)
    kind = ' class="long"' if longest > LONGEST_WORD else ""
    return f"<td{kind}>{text(plain)}</td>"


def text(plain: str) -> str:
    """Return text from anywhere as HTML that shows it and does nothing else.

    No line breaks between a number and its per cent sign.
    """
    return escape(_BEFORE_UNIT.sub("\u202f", visible(plain)))
