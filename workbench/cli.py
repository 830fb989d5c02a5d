"""The command line: each command reads its arguments, calls one use case, prints."""

from __future__ import annotations

from pathlib import Path

import click

from workbench import setup
from workbench.commands.accesses import access_command
from workbench.commands.base import common, open_workspace
from workbench.commands.candidates import candidate
from workbench.commands.decisions import accept, decisions
from workbench.commands.exports import export
from workbench.commands.imports import conflicts, import_
from workbench.commands.judges import judge
from workbench.commands.labels import label
from workbench.commands.profiles import profile
from workbench.commands.replays import replay
from workbench.commands.reports import report
from workbench.commands.slices import slices
from workbench.commands.statuses import status
from workbench.commands.thresholds import thresholds
from workbench.commands.watch import watch
from workbench.config import Workspace
from workbench.errors import EXIT_ENVIRONMENT, UsageError
from workbench.terminal import (
    emit,
    find_workspace,
    parse_share,
    progress_listener,
    recommendation_document,
    recommendation_text,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="shadow-workbench")
def cli() -> None:
    """Find out how much traffic can move from a frontier model to a small one, from your own logs."""


cli.add_command(access_command)
cli.add_command(accept)
cli.add_command(candidate)
cli.add_command(conflicts)
cli.add_command(decisions)
cli.add_command(export)
cli.add_command(import_)
cli.add_command(judge)
cli.add_command(label)
cli.add_command(profile)
cli.add_command(replay)
cli.add_command(report)
cli.add_command(slices)
cli.add_command(status)
cli.add_command(thresholds)
cli.add_command(watch)


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path), default=".")
@common
def init(folder: Path, workspace: str | None, as_json: bool) -> None:
    """Make FOLDER a workspace: workbench.toml and evals/."""
    made = setup.init(Path(workspace) if workspace else folder)
    emit(
        {"workspace": str(made.root), "created": made.created},
        as_json=as_json,
        text=f"Made a workspace in {made.root}.\nNext: workbench import LOG --workspace {made.root}",
    )


@cli.command()
@click.option("--task")
@click.option("--candidate", "candidate_name")
@common
def compare(task: str | None, candidate_name: str | None, workspace: str | None, as_json: bool) -> None:
    """Compare what candidates answered with the recorded outputs."""
    from workbench.scoring import compare as run

    space, store = open_workspace(workspace, task=task)
    with store, progress_listener() as listener:
        reports = run(space, store, task, candidate_name, listener=listener)
    nothing = "Nothing to compare. Replay a task first: workbench replay --task T --candidate C"
    emit(reports, as_json=as_json, text="\n".join(each.text for each in reports) or nothing)


@cli.command()
@click.option("--task", required=True)
@click.option("--candidate", "candidate_name", required=True)
@click.option("--current-share", help="Share it serves now, such as 5%; default: what was accepted.")
@common
def recommend(
    task: str, candidate_name: str, current_share: str | None, workspace: str | None, as_json: bool
) -> None:
    """Say how much of a task's traffic may move to a candidate, and how sure that is."""
    from workbench.rollout import in_force
    from workbench.scoring import recommend as run

    share = None if current_share is None else parse_share(current_share)
    space, store = open_workspace(workspace)
    with store:
        if share is None:
            share = in_force(space, store, task, candidate_name).share
        answer = run(space, store, task, candidate_name, current_share=share)
    emit(
        recommendation_document(task, candidate_name, answer),
        as_json=as_json,
        text=recommendation_text(task, candidate_name, answer),
    )


@cli.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8501, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Only this machine without sign-in.")
@click.option("--open/--no-open", "open_browser", default=False, help="Open a browser.")
@common
def app(port: int, host: str, open_browser: bool, workspace: str | None, as_json: bool) -> None:
    """Start the app on this machine."""
    from workbench.app_server import serve

    space = Workspace.load(find_workspace(workspace))
    if as_json:
        raise UsageError("The app prints no JSON document.", "Leave --json out.")
    raise SystemExit(serve(space, port=port, host=host, open_browser=open_browser))


@cli.command()
@click.option("--root", type=click.Path(path_type=Path), default="demo", show_default=True)
@click.option("--app/--no-app", "start_app", default=True, help="Start the app at the end.")
@click.option("--port", type=click.IntRange(1, 65535), default=8501, show_default=True)
@click.option("--without-model", is_flag=True, help="Leave the real small model out.")
@common
def demo(
    root: Path, start_app: bool, port: int, without_model: bool, workspace: str | None, as_json: bool
) -> None:
    """Build a workspace from the sample logs, replay it through a real small model, and show it."""
    from workbench.demo import build, render_table

    folder = Path(workspace) if workspace else root
    with progress_listener() as listener:
        report = build(folder, without_model=without_model, listener=listener)
    emit(report, as_json=as_json, text=render_table(report))
    if start_app and not as_json:
        from workbench.app_server import serve

        raise SystemExit(serve(Workspace.load(folder), port=port))


@cli.command()
@common
def doctor(workspace: str | None, as_json: bool) -> None:
    """Check this machine and the workspace; say how to mend what is missing."""
    from workbench.doctor import examine

    checks = examine(find_workspace(workspace))
    marks = {"ok": "ok     ", "note": "note   ", "problem": "problem"}
    lines = [f"{marks[each.state]} {each.name}: {each.message}" for each in checks]
    emit(checks, as_json=as_json, text="\n".join(lines))
    if any(each.state == "problem" for each in checks):
        raise SystemExit(EXIT_ENVIRONMENT)
