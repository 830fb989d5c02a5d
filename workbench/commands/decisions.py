"""`workbench accept` and `workbench decisions`: who accepted which share when."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from workbench.commands.base import common, open_workspace
from workbench.records import as_builtins
from workbench.terminal import emit, parse_share

if TYPE_CHECKING:
    from workbench.rollout import LogEntry, Standing


@click.command()
@click.option("--task", required=True)
@click.option("--candidate", "candidate_name", required=True)
@click.option("--share", required=True, help="What is accepted, such as 5%.")
@click.option(
    "--evidence",
    required=True,
    metavar="HASH",
    help="`evidence` of the recommendation you looked at; refused if it is another by now.",
)
@click.option(
    "--current-share", help="Share it served when you looked; default: what is in force. More needs a reason."
)
@click.option(
    "--reason",
    default="",
    help="Why; needed for another share than the recommended one, or a current share above what is in force.",
)
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
    help="When another share than the recommended one ends (UTC), at most 30 days from now.",
)
@click.option("--who", help="Who accepts; default: the account that runs this.")
@common
def accept(
    task: str,
    candidate_name: str,
    share: str,
    evidence: str,
    current_share: str | None,
    reason: str,
    until: datetime | None,
    who: str | None,
    workspace: str | None,
    as_json: bool,
) -> None:
    """Accept a share of a task's traffic for a candidate, and write it into the decision log.

    Nothing is accepted if evidence, policy or recommendation changed since they were shown. A share other
    than the recommended one is an override: it needs a reason and an end, and falls back when it ends.
    """
    from workbench.rollout import accept as run
    from workbench.rollout import in_force

    wanted = parse_share(share)
    served = None if current_share is None else parse_share(current_share)
    space, store = open_workspace(workspace)
    with store:
        made = run(
            space,
            store,
            task,
            candidate_name,
            share=wanted,
            shown=evidence,
            who=who,
            current_share=served,
            reason=reason,
            until=until,
        )
        standing = in_force(space, store, task, candidate_name)
    emit(made, as_json=as_json, text=f"{task} / {candidate_name}: {standing.sentence}")


@click.command()
@click.option("--task", help="One task; default: all.")
@click.option("--candidate", "candidate_name", help="One candidate; default: all.")
@common
def decisions(task: str | None, candidate_name: str | None, workspace: str | None, as_json: bool) -> None:
    """Show the decision log, newest first, and what is in force. Entries are never changed."""
    from workbench.rollout import decisions as run
    from workbench.rollout import in_force

    space, store = open_workspace(workspace)
    with store:
        found = run(store, task, candidate_name)
        pairs = dict.fromkeys((each.decision.task, each.decision.candidate) for each in found)
        declared = {each.name for each in space.config.candidates}
        force = {
            pair: in_force(space, store, *pair)
            for pair in pairs
            if pair[0] in space.evals and pair[1] in declared
        }
    emit(
        {
            "in_force": [
                {"task": of, "candidate": name} | as_builtins(each) | {"share": each.share}
                for (of, name), each in force.items()
            ],
            "decisions": [_document(each) for each in found],
        },
        as_json=as_json,
        text=_text(found, force),
    )


def _document(entry: LogEntry) -> dict[str, Any]:
    document: dict[str, Any] = as_builtins(entry.decision)
    more = {"in_force_then": entry.in_force_then, "claimed": entry.claimed}
    return document | {"override": entry.decision.override, "intact": entry.intact} | more


def _text(found: list[LogEntry], force: dict[tuple[str, str], Standing]) -> str:
    if not found:
        return "No share was accepted yet. `workbench recommend` shows what could be."
    from workbench.stats.wording import percent

    lines = [f"In force, {of} / {name}: {each.sentence}" for (of, name), each in force.items()]
    for entry in found:
        each = entry.decision
        line = (
            f"{each.decided_at:%Y-%m-%d %H:%M} UTC  {each.task} / {each.candidate}  {percent(each.share)}"
            f"  by {each.decided_by}, recommended {percent(each.recommended_share)}"
            f", served then {entry.served_then}"
            f"  (evidence {each.evidence_hash}, policy {each.policy_version})"
        )
        if each.override is not None:
            line += f"  OVERRIDE {each.override.upper()} until {each.expires_at:%Y-%m-%d %H:%M} UTC"
        lines.append(line)
        if each.reason:
            lines.append(f"    reason: {' '.join(each.reason.split())}")
        if not entry.intact:
            lines.append("    This entry is not as it was written, or one before it is gone or changed.")
    return "\n".join(lines)
