"""`workbench profile`: what the traffic consists of, what it costs, what of it could move."""

from __future__ import annotations

import click

from workbench.commands.base import common, open_workspace
from workbench.errors import UsageError
from workbench.terminal import emit, parse_share, progress_listener

PROFILE_MB = 400
"""What the database may take, so that the command stays below 1 GB however many calls there are; it takes
more where they are long."""


@click.command()
@click.option("--again", is_flag=True, help="Look at all calls anew, also where nothing has changed.")
@click.option(
    "--draft-eval",
    "drafted",
    multiple=True,
    metavar="WORKLOAD",
    help="Make a workload a task: draft its eval.toml. Several become one task.",
)
@click.option("--as", "task", metavar="TASK", help="The task's name, for --draft-eval.")
@click.option(
    "--exclude-mark",
    "exclude_marks",
    multiple=True,
    metavar="MARK",
    help="Leave calls with this mark out, such as cache_hit, beside those that an eval leaves out.",
)
@click.option("--costs", "priced", is_flag=True, help="Show four ways to pay, and where a GPU pays.")
@click.option("--workload", help="Whose costs; all together without it.")
@click.option("--candidate", "candidate_name", help="The small model, for --costs.")
@click.option("--share", default="100%", show_default=True, help="Of the calls on it, for --costs.")
@common
def profile(
    again: bool,
    drafted: tuple[str, ...],
    task: str | None,
    exclude_marks: tuple[str, ...],
    priced: bool,
    workload: str | None,
    candidate_name: str | None,
    share: str,
    workspace: str | None,
    as_json: bool,
) -> None:
    """Say what the traffic consists of, what it costs, and what of it could move."""
    if drafted and priced:
        raise UsageError("--draft-eval and --costs do not go together.", "Run one after the other.")
    if task is not None and not drafted:
        raise UsageError("--as names the task of --draft-eval.", "Add --draft-eval WORKLOAD.")
    if (workload is not None or candidate_name is not None) and not priced:
        raise UsageError("--workload and --candidate belong to --costs.", "Add --costs.")
    if exclude_marks and (drafted or priced):
        raise UsageError(
            "--exclude-mark goes with the profile alone.",
            "Set exclude_marks in the task's eval.toml: then it holds for costs too.",
        )
    space, store = open_workspace(workspace, memory_mb=PROFILE_MB)
    from workbench.store.calls import longest_run

    with store, progress_listener() as listener:
        # What is read of a vector is held beside it.
        store.make_room(2 * longest_run(store))
        if drafted:
            from workbench.profiling.naming import name_workloads

            named = name_workloads(space, store, drafted, task, listener=listener)
            document: object = named
            text = named.text
        elif priced:
            from workbench.profiling.costs import costs

            found = costs(
                space, store, workload, candidate=candidate_name, share=parse_share(share), listener=listener
            )
            document, text = found, found.text
        else:
            from workbench.profiling import profile as run

            report = run(space, store, again=again, exclude_marks=exclude_marks, listener=listener)
            document, text = report, report.text
    emit(document, as_json=as_json, text=text)
