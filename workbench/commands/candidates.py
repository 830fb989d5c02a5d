"""`workbench candidate`: the small models that may take over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from workbench import setup
from workbench.commands.base import common, open_workspace
from workbench.config import Workspace
from workbench.errors import EXIT_ENVIRONMENT, UsageError
from workbench.terminal import emit, find_workspace, parse_mapping, progress_listener


@click.group()
def candidate() -> None:
    """The small models that may take over."""


@candidate.command("add")
@click.argument("name")
@click.option("--engine", help="openai, vllm, transformers or recorded.")
@click.option("--parent", help="Take over all keys of this candidate that are not given here.")
@click.option("--model", help="Model id, folder, or packaged:NAME.")
@click.option("--revision", help="Commit that pins a model from a hub.")
@click.option("--base-url", help="Address of an OpenAI-compatible endpoint, ending in /v1.")
@click.option("--api-key-env", help="Name of the environment variable that holds the key.")
@click.option("--zone", help="Where its endpoint stands: internal or external.")
@click.option("--outputs", help="File of outputs made elsewhere (engine recorded).")
@click.option("--map", "pairs", multiple=True, metavar="FIELD=PATH", help="Fields of that file.")
@click.option("--param", "parameters", multiple=True, metavar="KEY=VALUE", help="Such as max_tokens=64.")
@click.option("--server", "server", multiple=True, metavar="KEY=VALUE", help="Such as max_model_len=8192.")
@click.option("--dialect", help="How the server takes labels and schemas; default: asked of the server.")
@click.option("--stream", is_flag=True, default=None, help="Ask for the time to the first token.")
@click.option("--samples", type=int, help="Ask so many times more; how often they agree is a signal.")
@click.option("--samples-temperature", type=float, help="Temperature of these; default 0.7.")
@click.option("--dtype", help="Precision of the weights, such as bfloat16.")
@click.option("--timeout-s", type=float, help="Seconds that one call may take; default 120.")
@click.option("--concurrency", type=int, help="Requests in flight at most; default 64.")
@click.option("--size-billions", type=float, help="Parameters in billions; default: as its name says.")
@click.option("--price", help="Row of [[prices]] it is paid by; default: its model.")
@click.option("--edition", help="Any text: another one makes another candidate, asked anew.")
@common
def candidate_add(
    name: str,
    pairs: tuple[str, ...],
    parameters: tuple[str, ...],
    server: tuple[str, ...],
    workspace: str | None,
    as_json: bool,
    **keys: Any,
) -> None:
    """Add a candidate to workbench.toml."""
    table: dict[str, Any] = {"name": name}
    table |= {key: value for key, value in keys.items() if value is not None and value != ""}
    if keys.get("engine") is None and keys.get("parent") is None:
        raise UsageError("A candidate needs an engine.", "Give --engine, or --parent to take over its own.")
    if pairs:
        table["map"] = parse_mapping(pairs)
    if parameters:
        table["parameters"] = setup.parse_parameters(parameters)
    if server:
        table["server"] = setup.parse_parameters(server, "--server")
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
            "parent": each.parent,
            "price": price.as_of.isoformat() if (price := space.price_of(each.price or each.model)) else None,
            "synthetic": each.synthetic,
        }
        for each in space.config.candidates
    ]
    lines = [
        f"{row['name']:<20} {row['engine']:<13} {row['zone']:<9} {row['model'] or ''}"
        + (f"  (from {row['parent']})" if row["parent"] else "")
        + ("  (synthetic)" if row["synthetic"] else "")
        for row in rows
    ]
    emit(rows, as_json=as_json, text="\n".join(lines) or "No candidates. Add one: workbench candidate add")


@candidate.command("test")
@click.argument("name")
@click.option("--task", help="Check what this task's calls ask; without it, all that a task could ask.")
@common
def candidate_test(name: str, task: str | None, workspace: str | None, as_json: bool) -> None:
    """Send at most five tiny calls to a candidate and say what came back."""
    from workbench.engines import test_candidate

    if task is None:
        space = Workspace.load(find_workspace(workspace))
        with progress_listener() as listener:
            report = test_candidate(space, space.candidate(name), listener=listener)
    else:
        from workbench.replay.needs import task_needs

        space, store = open_workspace(workspace)
        with store:
            config, spec = space.eval_for(task), space.candidate(name)
            needs = task_needs(store, spec, config)
        with progress_listener() as listener:
            report = test_candidate(space, spec, config, needs, listener)
    emit(report, as_json=as_json, text=report.text)
    if not report.ok:
        raise SystemExit(EXIT_ENVIRONMENT)


@candidate.command("patch")
@click.argument("name")
@click.option("--parent", required=True, help="The candidate that this one is, but for its prompt.")
@click.option("--system", metavar="TEXT|@FILE", help="Replaces the system prompt; empty takes it out.")
@click.option("--trim", "trims", multiple=True, metavar="REGEX", help="Taken out of the system prompt.")
@click.option("--suffix", metavar="TEXT|@FILE", help="Put behind the last user message.")
@click.option(
    "--examples", type=click.IntRange(min=1), help="Pick so many solved calls outside every sample."
)
@click.option("--example", "example_ids", multiple=True, metavar="ID", help="A call to show; repeatable.")
@click.option("--task", help="Whose calls the examples are.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the picked examples.")
@click.option("--response-format", metavar="@FILE", help="JSON that replaces the request's own.")
@click.option("--description", default="", help="For people.")
@common
def candidate_patch(
    name: str,
    parent: str,
    system: str | None,
    trims: tuple[str, ...],
    suffix: str | None,
    examples: int | None,
    example_ids: tuple[str, ...],
    task: str | None,
    seed: int,
    response_format: str | None,
    description: str,
    workspace: str | None,
    as_json: bool,
) -> None:
    """Add a candidate that is another one with its prompt changed."""
    from workbench.replay.patch_setup import patch_candidate

    shape = None if response_format is None else _json_of(response_format)
    space, store = open_workspace(workspace)
    with store:
        added = patch_candidate(
            space,
            store,
            name,
            parent,
            system=_text_of(system, "--system"),
            system_trim=trims,
            suffix=_text_of(suffix, "--suffix"),
            response_format=shape,
            examples=examples or 0,
            example_ids=example_ids,
            task=task,
            seed=seed,
            description=description,
        )
    shown = f" It shows {len(added.patch.examples)} examples." if added.patch and added.patch.examples else ""
    emit(
        added,
        as_json=as_json,
        text=f"Added candidate {name}, from {parent}.{shown}\n"
        f"Next: workbench candidate preview {name} --task {task or 'T'}",
    )


@candidate.command("preview")
@click.argument("name")
@click.option("--task", required=True)
@click.option("--call", help="The log's id of a call, or its call_id; default: the first of the sample.")
@common
def candidate_preview(name: str, task: str, call: str | None, workspace: str | None, as_json: bool) -> None:
    """Show what a candidate will be asked for one call, beside what was logged. Sends nothing."""
    from workbench.replay.patch_setup import preview_patch

    space, store = open_workspace(workspace)
    with store:
        report = preview_patch(space, store, name, task, call)
    emit(report, as_json=as_json, text=report.text)


def _text_of(value: str | None, option: str) -> str | None:
    """Return the text of an option, or of the file behind an @; the file's last line end is left out."""
    if value is None or not value.startswith("@"):
        return value
    path = Path(value[1:])
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror or str(error)) if isinstance(error, OSError) else "it is no text in UTF-8"
        raise UsageError(
            f"{option} {value}: the file can't be read: {why}.", "Name a text file in UTF-8."
        ) from error


def _json_of(value: str) -> dict[str, Any]:
    text = _text_of(value, "--response-format") or ""
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"--response-format {value[:60]}: not JSON: {error}.",
            "Name a file: --response-format @shape.json.",
        ) from error
    if not isinstance(found, dict):
        raise UsageError("--response-format is no JSON object.", 'For example {"type": "json_object"}.')
    return found
