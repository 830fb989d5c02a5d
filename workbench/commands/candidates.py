"""`workbench candidate`: the small models that may take over."""

from __future__ import annotations

from typing import Any

import click

from workbench import setup
from workbench.commands.base import common
from workbench.config import Workspace
from workbench.errors import EXIT_ENVIRONMENT
from workbench.terminal import emit, find_workspace, parse_mapping


@click.group()
def candidate() -> None:
    """The small models that may take over."""


@candidate.command("add")
@click.argument("name")
@click.option("--engine", required=True, help="openai, transformers or recorded.")
@click.option("--model", help="Model id, folder, or packaged:NAME.")
@click.option("--revision", help="Commit that pins a model from a hub.")
@click.option("--base-url", help="Address of an OpenAI-compatible endpoint, ending in /v1.")
@click.option("--api-key-env", help="Name of the environment variable that holds the key.")
@click.option("--zone", help="Where its endpoint stands: internal or external.")
@click.option("--outputs", help="File of outputs made elsewhere (engine recorded).")
@click.option("--map", "pairs", multiple=True, metavar="FIELD=PATH", help="Fields of that file.")
@click.option("--param", "parameters", multiple=True, metavar="KEY=VALUE", help="Such as max_tokens=64.")
@click.option("--price", help="Row of [[prices]] it is paid by; default: its model.")
@common
def candidate_add(
    name: str,
    pairs: tuple[str, ...],
    parameters: tuple[str, ...],
    workspace: str | None,
    as_json: bool,
    **keys: str | None,
) -> None:
    """Add a candidate to workbench.toml."""
    table: dict[str, Any] = {"name": name} | {key: value for key, value in keys.items() if value}
    if pairs:
        table["map"] = parse_mapping(pairs)
    if parameters:
        table["parameters"] = setup.parse_parameters(parameters)
    added = setup.add_candidate(find_workspace(workspace), table)
    emit(
        added,
        as_json=as_json,
        text=f"Added candidate {added.name}. Try it: workbench candidate test {added.name}",
    )


@candidate.command("list")
@common
def candidate_list(workspace: str | None, as_json: bool) -> None:
    """List the candidates of the workspace."""
    space = Workspace.load(find_workspace(workspace))
    rows = [
        {
            "name": each.name,
            "engine": each.engine,
            "model": each.model or each.outputs,
            "zone": each.effective_zone,
            "price": price.as_of.isoformat() if (price := space.price_of(each.price or each.model)) else None,
            "synthetic": each.synthetic,
        }
        for each in space.config.candidates
    ]
    lines = [
        f"{row['name']:<20} {row['engine']:<13} {row['zone']:<9} {row['model'] or ''}"
        + ("  (synthetic)" if row["synthetic"] else "")
        for row in rows
    ]
    emit(rows, as_json=as_json, text="\n".join(lines) or "No candidates. Add one: workbench candidate add")


@candidate.command("test")
@click.argument("name")
@common
def candidate_test(name: str, workspace: str | None, as_json: bool) -> None:
    """Send two tiny calls to a candidate and say what came back."""
    from workbench.engines import test_candidate

    space = Workspace.load(find_workspace(workspace))
    report = test_candidate(space, space.candidate(name))
    emit(report, as_json=as_json, text=report.text)
    if not report.ok:
        raise SystemExit(EXIT_ENVIRONMENT)
