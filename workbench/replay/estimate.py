"""What a replay would take: requests, time, tokens, money; nothing is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from workbench.config import Workspace
from workbench.costing import tokens_cost_usd
from workbench.prompts import characters
from workbench.records import Request
from workbench.replay.budget import CHARS_PER_TOKEN, Budget, budget_of
from workbench.replay.held import refuse_mixed
from workbench.replay.patching import patcher
from workbench.replay.plan import Plan
from workbench.replay.report import ReplayReport, duration
from workbench.specs import Candidate
from workbench.store import Store
from workbench.store.replays import pending, requests_of, tally, typical_latency_ms
from workbench.store.spending import last_pace, recorded

LOOKED_AT = 200
"""Requests whose patched length is measured; those of the others are taken to change alike."""

_read_request = msgspec.json.Decoder(Request).decode


def dry_run(
    workspace: Workspace,
    store: Store,
    spec: Candidate,
    task: str,
    drawn: Callable[[], Plan],
    *,
    concurrency: int,
    budgets: Mapping[str, float | None],
) -> ReplayReport:
    """Say what a run would ask; nothing is sent, and nothing stored.

    Args:
        workspace: The workspace.
        store: Its store.
        spec: The candidate.
        task: Whose calls.
        drawn: Makes the plan, once all parts are loaded.
        concurrency: Requests in flight at most.
        budgets: `usd` and `minutes`, as of `open_budget`.
    """
    patch = None if spec.patch is None else patcher(store, spec, task)
    store.absorb(wait_s=0)
    plan = drawn()
    budget, _ = budget_of(workspace, store, spec, plan, **budgets)
    return estimate(workspace, store, spec, plan, concurrency=concurrency, budget=budget, patch=patch)


def estimate(
    workspace: Workspace,
    store: Store,
    spec: Candidate,
    plan: Plan,
    *,
    concurrency: int,
    budget: Budget,
    patch: Callable[[Request], Request] | None,
) -> ReplayReport:
    """Say what a run would ask, from what the frontier model read and wrote for these calls.

    Args:
        workspace: The workspace.
        store: The store.
        spec: The candidate. Each of its `samples` is a request more for every call.
        plan: What the run is to do.
        concurrency: Requests in flight at most.
        budget: What the run may cost; said where it will not do.
        patch: The candidate's prompt patch; its requests are longer or shorter.
    """
    row = plan.replay
    asked = [] if plan.is_new else [call_id for call_id, _ in pending(store, row.replay_id, row.repeats)]
    asked += [each.call_id for each in plan.added for _ in range(row.repeats)]
    if asked:
        refuse_mixed(store, plan, spec, workspace.eval_for(row.task))
    notes = list(plan.notes)
    tokens_in, tokens_out = tokens_of(store, spec, asked, patch, notes)
    seconds = _seconds(store, row.candidate_fingerprint, len(asked), concurrency)
    cost = cost_of(budget, tokens_in, tokens_out)
    if budget.price is None and tokens_in:
        notes.append(
            "What it costs is not known: workbench.toml has no [[prices]] row of "
            f"{spec.price or spec.model!r}."
        )
    if spec.samples > 0 and asked:
        notes.append(f"Each call is {1 + spec.samples} requests: {spec.samples} samples beside the answer.")
    notes += what_the_budget_says(budget, cost, seconds)
    done = 0 if plan.is_new else tally(store, row).done
    return ReplayReport(
        replay_id=None if plan.is_new else row.replay_id,
        task=row.task,
        candidate=spec.name,
        state="planned",
        calls=plan.already + len(plan.added),
        batches=0,
        planned=done + len(asked),
        done=done,
        answered=0,
        dry_run=True,
        requests=len(asked) * (1 + max(spec.samples, 0)),
        estimated_seconds=seconds,
        estimated_input_tokens=tokens_in,
        estimated_output_tokens=tokens_out,
        estimated_cost_usd=cost,
        notes=tuple(notes),
    )


def cost_of(budget: Budget, tokens_in: int | None, tokens_out: int | None) -> float | None:
    """Return what tokens cost in USD by a budget's price; None where that or they are not known."""
    if budget.price is None or tokens_in is None or tokens_out is None:
        return None
    return tokens_cost_usd(tokens_in, 0, tokens_out, budget.price)


def tokens_of(
    store: Store,
    spec: Candidate,
    asked: Sequence[str],
    patch: Callable[[Request], Request] | None,
    notes: list[str],
) -> tuple[int | None, int | None]:
    """Return tokens in and out of calls, by what the log says of them; a recorded output has none any more.

    Args:
        store: Holds the log.
        spec: Who would be asked.
        asked: Ids of calls; one that stands twice is asked twice.
        patch: The candidate's prompt patch.
        notes: What a person should know is added here.
    """
    if spec.engine == "recorded":
        return None, None
    unique = list(dict.fromkeys(asked))
    if not unique:
        return 0, 0
    volume = recorded(store, unique)
    times = len(asked) / len(unique) * (1 + max(spec.samples, 0))
    tokens_in = volume.input_tokens + volume.unknown_characters / CHARS_PER_TOKEN
    tokens_out = volume.output_tokens + volume.unknown_text_characters / CHARS_PER_TOKEN
    if volume.unknown:
        notes.append(
            f"{volume.unknown:,} calls log no tokens: theirs are taken from the lengths of the texts, "
            f"{CHARS_PER_TOKEN} characters a token."
        )
    if patch is not None:
        per_call = _patch_characters(store, unique, patch)
        tokens_in = max(tokens_in + volume.calls * per_call / CHARS_PER_TOKEN, 0.0)
        longer = "longer" if per_call >= 0 else "shorter"
        notes.append(f"The prompt patch makes a request about {abs(per_call):,.0f} characters {longer}.")
    return round(tokens_in * times), round(tokens_out * times)


def _patch_characters(store: Store, call_ids: Sequence[str], patch: Callable[[Request], Request]) -> float:
    """Return by how many characters a prompt patch makes a request longer on average."""
    step = max(len(call_ids) // LOOKED_AT, 1)
    found = requests_of(store, list(call_ids[::step][:LOOKED_AT]))
    requests = [_read_request(request) for _, request in found.values()]
    grown = [characters(patch(each)) - characters(each) for each in requests]
    return sum(grown) / len(grown) if grown else 0.0


def _seconds(store: Store, fingerprint: str, calls: int, concurrency: int) -> float | None:
    """Return how long so many calls take, by the last run's pace, else by earlier latencies."""
    if not calls:
        return 0.0
    pace = last_pace(store, fingerprint)
    if pace is not None:
        return calls / pace
    latency_ms = typical_latency_ms(store, fingerprint)
    return None if latency_ms is None else latency_ms / 1000 * calls / min(concurrency, calls)


def what_the_budget_says(budget: Budget, cost: float | None, seconds: float | None) -> list[str]:
    """Return whether a budget will do for what a run takes, in USD and in seconds where they are known."""
    notes = []
    if budget.usd is not None:
        left = budget.usd - budget.spent_usd
        spent = f" ({budget.spent_usd:.4f} USD of it spent)" if budget.spent_usd else ""
        if cost is not None and cost > left:
            notes.append(
                f"The budget of {budget.usd:g} USD{spent} will not do: about {cost:.4f} USD are needed. "
                f"The run will pause after about {100 * max(left, 0) / cost:.0f} % of what is left."
            )
        elif cost is not None:
            notes.append(f"The budget of {budget.usd:g} USD{spent} will do.")
    if budget.minutes is not None and seconds is not None:
        will = "will do" if seconds <= 60 * budget.minutes else "will not do for all calls"
        notes.append(f"{budget.minutes:g} minutes {will}: about {duration(seconds)} are needed.")
    elif budget.minutes is not None:
        notes.append("How long it takes is not known before this candidate has answered.")
    return notes
