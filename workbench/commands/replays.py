"""`workbench replay`: ask candidates what the frontier model was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from workbench.commands.base import POSITIVE, common, open_workspace
from workbench.errors import UsageError
from workbench.specs import CONTROL
from workbench.terminal import emit, progress_listener

if TYPE_CHECKING:
    from workbench.config import Workspace
    from workbench.progress import Listener
    from workbench.store import Store

_BUDGETS = ("budget_usd", "budget_minutes")
_NOT_FOR_PROBES = ("concurrency", "new")


@click.command()
@click.option("--task", required=True, help="Whose calls are asked.")
@click.option(
    "--candidate",
    "candidates",
    multiple=True,
    required=True,
    help="Who answers; several are asked one after another. `control` is the recorded model itself.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Calls to replay; a larger one grows the sample.")
@click.option("--concurrency", type=click.IntRange(min=1), help="Requests in flight at most.")
@click.option(
    "--repeats",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How often each call is asked.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the drawn sample.")
@click.option("--new", is_flag=True, help="Start another replay instead of going on with the last.")
@click.option("--dry-run", is_flag=True, help="Estimate time and cost; send nothing.")
@click.option(
    "--budget-usd",
    type=POSITIVE,
    help="Pause when the whole replay has cost this much, by the price table; --probe ends there.",
)
@click.option(
    "--budget-minutes",
    type=POSITIVE,
    help="Pause after so many minutes; --probe ends there.",
)
@click.option(
    "--checks/--no-checks",
    default=True,
    show_default=True,
    help="Check the candidate with at most five tiny calls first.",
)
@click.option(
    "--probe", type=click.Choice(["latency"]), help="Measure latency at the log's own pace instead."
)
@click.option(
    "--speed",
    multiple=True,
    type=POSITIVE,
    help="Multiple of production's pace, for --probe; several are measured one after another.",
)
@click.option(
    "--live",
    is_flag=True,
    help="Ask the frontier for some of the calls that the candidate served itself, and compare.",
)
@click.option("--on", "where", type=click.Choice(["ray"]), help="Spread the replay over a Ray cluster.")
@click.option("--ray-address", help="Address of the cluster; one is started on this machine without it.")
@click.option("--actors", type=click.IntRange(min=1), help="Ray actors that answer.")
@common
def replay(
    task: str, candidates: tuple[str, ...], workspace: str | None, as_json: bool, **options: Any
) -> None:
    """Send a task's recorded requests to a candidate. The same command again resumes."""
    _refuse_what_does_not_go_together(candidates, options)
    space, store = open_workspace(workspace, task=task)
    with store, progress_listener() as listener:
        reports = _reports(space, store, task, list(dict.fromkeys(candidates)), listener, options)
    document = reports[0] if len(reports) == 1 else reports
    emit(document, as_json=as_json, text="\n".join(each.text for each in reports))
    worst = max((getattr(each, "exit_code", 0) for each in reports), default=0)
    if worst:
        raise SystemExit(worst)


def _reports(
    space: Workspace,
    store: Store,
    task: str,
    candidates: list[str],
    listener: Listener,
    options: dict[str, Any],
) -> list[Any]:
    """Call the one use case that the options ask for."""
    first = candidates[0]
    if first == CONTROL:
        from workbench.replay.noise import measure_noise_floor

        names = ("limit", "concurrency", "new", "dry_run", "seed", *_BUDGETS, "checks")
        chosen = {name: options[name] for name in names}
        return [measure_noise_floor(space, store, task, **chosen, listener=listener)]
    if options["probe"]:
        from workbench.replay.latency import probe_latency

        chosen = {name: options[name] for name in ("limit", *_BUDGETS, "dry_run", "seed")}
        chosen["speed"] = options["speed"] or (1.0,)
        return [probe_latency(space, store, task, first, **chosen, listener=listener)]
    if options["live"]:
        from workbench.replay.live import replay_live

        wanted = ("limit", "concurrency", "dry_run", "seed", *_BUDGETS, "checks")
        chosen = {name: options[name] for name in wanted}
        return [replay_live(space, store, task, first, **chosen, listener=listener)]
    if options["where"]:
        from workbench.replay.on_ray import replay_on_ray

        shared = ("limit", "repeats", "new", "dry_run", "seed", "concurrency", "actors", *_BUDGETS, "checks")
        chosen = {name: options[name] for name in shared} | {"address": options["ray_address"]}
        return [replay_on_ray(space, store, task, first, **chosen, listener=listener)]
    names = ("limit", "concurrency", "repeats", "new", "dry_run", "seed", "budget_usd", "budget_minutes")
    chosen = {name: options[name] for name in (*names, "checks")}
    from workbench import replay as use_case

    if len(candidates) == 1:
        return [use_case.replay(space, store, task, first, **chosen, listener=listener)]
    return list(use_case.replay_all(space, store, task, candidates, **chosen, listener=listener))


def _refuse_what_does_not_go_together(candidates: tuple[str, ...], options: dict[str, Any]) -> None:
    special = [
        name
        for name, given in (
            (f"--candidate {CONTROL}", CONTROL in candidates),
            ("--probe", options["probe"]),
            ("--live", options["live"]),
            ("--on", options["where"]),
        )
        if given
    ]
    if len(special) > 1:
        raise UsageError(f"{special[0]} and {special[1]} do not go together.", "Give one of them.")
    if special and len(set(candidates)) > 1:
        raise UsageError(f"{special[0]} takes one candidate.", "Run the command once for each.")
    if CONTROL in candidates and options["repeats"] > 1:
        raise UsageError(f"{CONTROL} is asked each call once more.", "Leave --repeats out.")
    if options["probe"]:
        unused = [f"--{name}" for name in _NOT_FOR_PROBES if options[name]]
        unused += ["--repeats"] if options["repeats"] > 1 else []
        unused += [] if options["checks"] else ["--no-checks"]
        if unused:
            raise UsageError(
                f"{unused[0]} means nothing to --probe: a probe checks nothing, and sends each call once, "
                "at the time the log gives it.",
                f"Leave {unused[0]} out.",
            )
    if options["live"] and (options["new"] or options["repeats"] > 1):
        name = "--new" if options["new"] else "--repeats"
        raise UsageError(f"{name} means nothing to --live: each call is asked once.", f"Leave {name} out.")
    for name, needs in (("speed", "probe"), ("ray_address", "where"), ("actors", "where")):
        if options[name] not in (None, ()) and not options[needs]:
            other = "--probe latency" if needs == "probe" else "--on ray"
            raise UsageError(f"--{name.replace('_', '-')} belongs to {other}.", f"Add {other}.")
