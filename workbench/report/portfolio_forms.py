"""The report on all tasks as one HTML file, and as Markdown."""

from __future__ import annotations

from workbench.report import drawing, html, markdown
from workbench.report import portfolio as said
from workbench.report.portfolio import PortfolioReport


def portfolio_html(report: PortfolioReport) -> str:
    """Return a report on all tasks as one HTML document.

    Args:
        report: What `gather_portfolio` found.
    """
    best = {each.task: each.candidate for each in report.portfolio.parts}
    parts = [
        f"<h1>{html.text(said.TITLE)}</h1>",
        f'<p class="headline">{html.text(said.title_line(report))}</p>',
        *(
            f'<p class="alarm" role="alert"><strong>{said.ALARM}</strong> {html.text(each)}</p>'
            for each in report.alarms
        ),
        "<dl>",
        *(html.figure(name, value) for name, value in said.key_figures(report)),
        "</dl>",
        f"<p>{html.text(report.portfolio.harm_sentence)}</p>",
    ]
    if report.portfolio.synthetic_left_out:
        parts.append('<p class="soft">Synthetic candidates are left out of these figures.</p>')
    first, *others = said.tables(report)
    parts += ["<h2>Tasks</h2>", html.table_of(first) if first.rows else f"<p>{html.text(first.empty)}</p>"]
    for row in report.rows:
        if best.get(row.task) != row.candidate:
            continue
        answer = row.recommendation
        parts += [
            f"<h2>{html.text(row.task)}: {html.text(row.candidate)}</h2>",
            drawing.ladder(report.policies[row.task].ladder, answer.current_share, answer.share, answer.cap),
            drawing.harm(answer.harm, report.policies[row.task], answer.share),
            f"<p>{html.text(answer.binding_reason)}</p>",
        ]
    for table in others:
        parts.append(f"<h2>{html.text(table.title)}</h2>")
        parts.append(html.table_of(table) if table.rows else f"<p>{html.text(table.empty)}</p>")
    parts.append("<h2>Method</h2>")
    parts += [
        f"<p><strong>{html.text(name)}.</strong> {html.text(text)}</p>" for name, text in said.methods()
    ]
    parts.append(f'<p class="soft">{html.text(said.footnote(report))}</p>')
    return html.page(said.TITLE, parts)


def portfolio_markdown(report: PortfolioReport) -> str:
    """Return a report on all tasks as one Markdown document.

    Args:
        report: What `gather_portfolio` found.
    """
    lines = [f"# {said.TITLE}", "", f"**{markdown.plain(said.title_line(report))}**", ""]
    for each in report.alarms:
        lines += [f"> **{said.ALARM}** {markdown.plain(each)}", ""]
    lines += [f"- {name}: {markdown.plain(value)}" for name, value in said.key_figures(report)]
    lines += ["", markdown.plain(report.portfolio.harm_sentence)]
    if report.portfolio.synthetic_left_out:
        lines += ["", "Synthetic candidates are left out of these figures."]
    for table in said.tables(report):
        lines += markdown.table_lines(table)
    lines += ["", "## Method", ""]
    lines += [f"- **{name}.** {text}" for name, text in said.methods()]
    lines += ["", markdown.plain(said.footnote(report)), ""]
    return "\n".join(lines)
