"""Measure a candidate's latency at the pace of production: `workbench replay --probe latency`.

A replay asks as fast as the server can answer, so its latencies say nothing about
production and are never set against the control's. A probe sends the log's calls at the
log's own times, in an open loop (see `open_loop`), and looks at nothing but the time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from itertools import pairwise

import msgspec

from workbench.access import requires
from workbench.config import Workspace
from workbench.engines import CallContext, Engine, listen, open_engine
from workbench.engines.privacy import open_gate
from workbench.engines.server_facts import requests_waiting
from workbench.errors import ConfigError, UsageError
from workbench.progress import Listener, Progress, silent
from workbench.records import ErrorKind, Output, Request, to_json, told_error
from workbench.replay.apart import run_apart
from workbench.replay.arrivals import Schedule
from workbench.replay.budget import Budget, check_limits, expect_as_logged, open_budget
from workbench.replay.estimate import cost_of, tokens_of, what_the_budget_says
from workbench.replay.event_loop import new_event_loop
from workbench.replay.latency_report import LatencyReport, SpeedRun, summarise
from workbench.replay.lease import ReplayLease
from workbench.replay.open_loop import IDLE_S, MOST_IN_FLIGHT, Driven, OpenLoop
from workbench.replay.outcomes import is_refusal
from workbench.replay.pace import Pace, pace_of
from workbench.replay.patching import patcher
from workbench.replay.report import ReplayReport
from workbench.roles import Right
from workbench.scoring.latency_pairs import paired_latency
from workbench.specs import Candidate, EvalConfig
from workbench.stats.percentiles import nearest_rank
from workbench.store import Store
from workbench.store.probes import control_latencies, write_probe
from workbench.store.replays import requests_of

LIMIT = 300
"""Calls of a probe: enough for a 99th percentile with an upper end, if they don't queue."""
MINUTES = 10.0
TICK_S = 0.5
_read_request = msgspec.json.Decoder(Request).decode


@requires(Right.REPLAY)
def probe_latency(
    workspace: Workspace,
    store: Store,
    task: str,
    candidate: str,
    *,
    limit: int | None = None,
    speed: float | Sequence[float] = 1.0,
    budget_usd: float | None = None,
    budget_minutes: float | None = None,
    dry_run: bool = False,
    seed: int = 0,
    listener: Listener = silent,
) -> LatencyReport:
    """Send calls at the log's own times and measure how long answers take.

    Nothing is compared: the outputs are not kept, and no replay changes.

    Args:
        workspace: The workspace.
        store: Its store; free for others while the candidate answers.
        task: Whose calls.
        candidate: Who answers.
        limit: Calls a speed; 300 unless given.
        speed: Multiples of production's pace, measured one after another on different calls.
        budget_usd: Most that all speeds together may cost.
        budget_minutes: Time for all speeds together; 10 a speed unless given.
        dry_run: Say what it would take; send nothing.
        seed: Seed of what is spread at random.
        listener: Told twice a second.

    Returns:
        A run for each speed, stored where the decision finds it.

    Raises:
        UsageError: The task or the candidate can't be probed, or a budget is no limit.
        ConfigError: There is a budget in USD, but the model has no price.
        PrivacyRefused: The task's data may not go to this candidate; nothing was sent.
        EnvironmentalError: The server does not answer, or a replay of this candidate runs.
        KeyboardInterrupt: Stopped by a signal; speeds that were measured whole are kept.
    """
    check_limits(usd=budget_usd, minutes=budget_minutes)
    speeds = [float(speed)] if isinstance(speed, int | float) else [float(each) for each in speed]
    if not speeds or any(not 0 < each < 1e6 for each in speeds) or (limit is not None and limit < 2):
        raise UsageError(
            "`speed` must be above 0 and `limit` at least 2.", "For example: --speed 1 --limit 300"
        )
    eval_config = workspace.eval_for(task)
    spec = workspace.candidate(candidate)
    open_gate(spec, eval_config)
    if spec.engine == "recorded":
        raise UsageError(
            f"Candidate {candidate!r} is recorded: no model runs, so there is no latency to measure.",
            "Probe the server that made the outputs, as a candidate of engine openai.",
        )
    fingerprint = workspace.fingerprint(spec)
    budget = open_budget(workspace, replace(spec, samples=0), usd=budget_usd, minutes=None)
    if dry_run:
        store.absorb(wait_s=0)
        pace = pace_of(store, eval_config, limit or LIMIT, seed)
        planned = _planned(workspace, store, spec, task, pace, speeds, budget, budget_minutes)
        return LatencyReport(task, spec.name, fingerprint, (), 0.0, None, None, planned=planned)
    with ReplayLease(workspace.spool, f"{task}-{fingerprint}"):
        store.absorb()
        pace = pace_of(store, eval_config, limit or LIMIT, seed)
        patch = patcher(store, spec, task)
        count = len(pace.schedule.positions)
        chosen = [_calls(pace, index) for index in range(len(speeds))]
        cold = pace.call_ids[(pace.schedule.positions[0] - 1) % len(pace.call_ids)]
        found = requests_of(store, sorted({cold, *(each for ids in chosen for each in ids)}))
        requests = {call_id: patch(_read_request(text)) for call_id, (_, text) in found.items()}
        _require_room(budget, store, requests[cold], chosen[0])
        notes = list(pace.notes)
        if len(pace.call_ids) < count * len(speeds):
            notes.append("The log is short: later speeds ask calls again, and caches may help them.")
        budget_s = 60 * (budget_minutes or MINUTES * len(speeds)) / len(speeds)
        prober = _Prober(workspace, spec, eval_config, requests, budget, budget_s, listener, notes)

        kept: list[float] = []

        def keep(run: SpeedRun, driven: Driven, ids: Sequence[str]) -> None:
            _keep(store, task, spec, fingerprint, run, driven, ids)
            kept.append(run.speed)

        try:
            runs = run_apart(lambda: prober.run(pace, list(zip(speeds, chosen, strict=True)), cold, keep))
        except KeyboardInterrupt:
            raise _interrupted(kept) from None
        if not prober.has_room:
            notes.append(budget.why())
        control = control_latencies(store, chosen[0])
        return LatencyReport(
            task=task,
            candidate=spec.name,
            fingerprint=fingerprint,
            runs=tuple(runs),
            engine_start_s=round(prober.start_s, 3),
            cold_ms=prober.cold_ms,
            cold_first_token_ms=prober.cold_first_token_ms,
            control_calls=len(control),
            control_p50_ms=nearest_rank(control, 0.50),
            control_p95_ms=nearest_rank(control, 0.95),
            compared=paired_latency(workspace, store, task, candidate),
            notes=tuple(notes),
            cost_usd=budget.total_usd,
        )


def _interrupted(kept: Sequence[float]) -> KeyboardInterrupt:
    """Return what a probe that was stopped by a signal raises: part of a speed would be another schedule."""
    whole = f" Whole speeds are kept: {', '.join(f'{each:g} x' for each in kept)}." if kept else ""
    return KeyboardInterrupt(
        f"Interrupted; of a speed that was not measured whole nothing is kept.{whole} A probe does not go on "
        "where it stopped: the same command measures anew."
    )


def _require_room(budget: Budget, store: Store, first: Request, call_ids: Sequence[str]) -> None:
    """Refuse a budget that ends before the first call; tell it how many tokens calls take.

    Raises:
        UsageError: There is no room for the one call that is asked before any is measured.
    """
    if budget.price is None:
        return
    expect_as_logged(budget, store, call_ids)
    estimate_usd = budget.estimate_usd(len(to_json(first)))
    if budget.usd is not None and estimate_usd > budget.usd:
        raise UsageError(
            f"The budget of {budget.usd:g} USD has no room for a single call: about {estimate_usd:.2g} USD.",
            "Nothing was sent. Allow more; --dry-run says what the whole probe takes.",
        )


def _planned(
    workspace: Workspace,
    store: Store,
    spec: Candidate,
    task: str,
    pace: Pace,
    speeds: Sequence[float],
    budget: Budget,
    minutes: float | None,
) -> ReplayReport:
    """Say what a probe would ask, from what the frontier read and wrote for these calls."""
    patch = None if spec.patch is None else patcher(store, spec, task)
    asked = [each for index in range(len(speeds)) for each in _calls(pace, index)]
    notes = list(pace.notes)
    tokens_in, tokens_out = tokens_of(store, replace(spec, samples=0), asked, patch, notes)
    cost = cost_of(budget, tokens_in, tokens_out)
    seconds = 0.0
    for speed in speeds:
        offsets = pace.schedule.faster(speed).offsets_s
        seconds += sum(min(after - before, IDLE_S) for before, after in pairwise(offsets))
    most_s = 60 * (minutes or MINUTES * len(speeds))
    return ReplayReport(
        replay_id=None,
        task=task,
        candidate=spec.name,
        state="planned",
        calls=len(asked),
        batches=0,
        planned=len(asked),
        done=0,
        answered=0,
        dry_run=True,
        requests=len(asked),
        estimated_seconds=min(seconds, most_s),
        estimated_input_tokens=tokens_in,
        estimated_output_tokens=tokens_out,
        estimated_cost_usd=cost,
        at_log_pace=True,
        notes=(*notes, *what_the_budget_says(budget, cost, seconds)),
    )


def _calls(pace: Pace, index: int) -> list[str]:
    """Return the calls of a speed: each has its own, so that prefix caches don't help the later ones."""
    count, ids = len(pace.schedule.positions), pace.call_ids
    return [ids[(position + index * count) % len(ids)] for position in pace.schedule.positions]


Keep = Callable[[SpeedRun, Driven, Sequence[str]], None]


class _Prober:
    """Open the engine, warm it with one call, and drive every speed."""

    def __init__(
        self,
        workspace: Workspace,
        spec: Candidate,
        eval_config: EvalConfig,
        requests: dict[str, Request],
        budget: Budget,
        budget_s: float,
        listener: Listener,
        notes: list[str],
    ) -> None:
        self._workspace = workspace
        self._spec = spec
        self._eval = eval_config
        self._requests = requests
        self._budget = budget
        self._budget_s = budget_s
        self._listener = listener
        self._notes = notes
        self._lengths: dict[str, int] = {}
        self.has_room = True
        self.start_s = 0.0
        self.cold_ms: float | None = None
        self.cold_first_token_ms: float | None = None

    def run(self, pace: Pace, jobs: list[tuple[float, list[str]]], cold: str, keep: Keep) -> list[SpeedRun]:
        """Return a run for each speed; each is kept as soon as it is over."""
        found = []
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            engine = runner.run(self._open(cold))
            try:
                for speed, ids in jobs:
                    schedule = pace.schedule.faster(speed)
                    driven, timeline = runner.run(self._drive(engine, schedule, ids, speed))
                    run = summarise(driven, schedule, speed, pace.rate_known, timeline)
                    run = replace(run, serving=self._workspace.serving(self._spec))
                    if driven.sent:  # One without a call would stand in the place of the last that has some.
                        keep(run, driven, ids)
                    found.append(run)
            finally:
                runner.run(engine.close())
        return found

    async def _open(self, cold: str) -> Engine:
        """Open the engine and ask one call alone, streamed where the server can."""
        streams = self._spec.engine in ("openai", "vllm")
        for stream in (True, False) if streams else (False,):
            spec = replace(self._spec, stream=stream)
            started = time.perf_counter()
            engine = open_engine(self._workspace, spec, self._eval)
            listen(engine, self._listener)
            try:
                await engine.check()
                self.start_s = self.start_s or time.perf_counter() - started
                asked = time.perf_counter()
                output = await engine.complete(self._requests[cold], CallContext("probe-cold", "probe-cold"))
                taken_ms = (time.perf_counter() - asked) * 1000
                length = self._length(cold)
                self._budget.book(self._budget.estimate_usd(length), length, output)
            except BaseException:
                await engine.close()
                raise
            refused = output.error is not None and (
                is_refusal(output) or output.error.kind is ErrorKind.WRONG_MODEL
            )
            if not refused:
                if output.error is None:
                    self.cold_ms = taken_ms
                    self.cold_first_token_ms = output.time_to_first_token_ms
                else:
                    why = f"{told_error(output.error.kind)}: {output.error.message}"
                    self._notes.append(f"The first call failed: {why}.")
                return engine
            await engine.close()
            if not (stream and output.error is not None and (output.error.status or 0) in (400, 422, 501)):
                break
            self._notes.append("The server refuses to stream: no time to the first token.")
        raise self._refused(output)

    def _length(self, call_id: str) -> int:
        """Return how many bytes a request is long."""
        if call_id not in self._lengths:
            self._lengths[call_id] = len(to_json(self._requests[call_id]))
        return self._lengths[call_id]

    def _refused(self, output: Output) -> ConfigError:
        error = output.error
        why = f"status {error.status}: {error.message}" if error else ""
        return ConfigError(
            f"Candidate {self._spec.name!r} can't be probed: {why}.",
            f"Nothing was measured. See with `workbench candidate test {self._spec.name}`.",
        )

    async def _drive(
        self, engine: Engine, schedule: Schedule, ids: list[str], speed: float
    ) -> tuple[Driven, list[tuple[float, int, float | None]]]:
        estimates: dict[int, float] = {}

        def room(position: int) -> bool:
            estimates[position] = self._budget.estimate_usd(self._length(ids[position]))
            self.has_room = self.has_room and self._budget.take(estimates[position])
            return self.has_room

        async def ask(position: int, context: CallContext) -> Output:
            output = await engine.complete(self._requests[ids[position]], context)
            late = context.retried.count(ErrorKind.TIMEOUT)
            self._budget.settle(estimates[position], self._length(ids[position]), output, late)
            return output

        loop = OpenLoop(
            ask,
            schedule.offsets_s,
            most_in_flight=MOST_IN_FLIGHT,
            deadline_s=self._budget_s,
            room=room,
        )
        timeline: list[tuple[float, int, float | None]] = []
        watching = asyncio.create_task(self._watch(engine, loop, timeline, len(ids), speed))
        try:
            return await loop.run(), timeline
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _watch(
        self,
        engine: Engine,
        loop: OpenLoop,
        timeline: list[tuple[float, int, float | None]],
        total: int,
        speed: float,
    ) -> None:
        started = time.perf_counter()
        tells = True
        while True:
            waiting = await requests_waiting(engine) if tells else None
            tells = waiting is not None
            timeline.append((round(time.perf_counter() - started, 3), loop.in_flight, waiting))
            note = f"{speed:g} x, {loop.in_flight:,} in flight"
            self._listener(Progress("probe", len(loop.driven.sent), total, note=note))
            await asyncio.sleep(TICK_S)


def _keep(
    store: Store,
    task: str,
    spec: Candidate,
    fingerprint: str,
    run: SpeedRun,
    driven: Driven,
    ids: Sequence[str],
) -> None:
    head = {
        "probe_id": run.probe_id,
        "task": task,
        "candidate": spec.name,
        "candidate_fingerprint": fingerprint,
        "speed": run.speed,
        "rate_known": run.rate_known,
        "calls_per_s": run.calls_per_s,
        "report": run,
    }
    rows = []
    for each in driven.sent:
        row = asdict(each) | {"probe_id": run.probe_id, "call_id": ids[each.position]}
        # A useless answer's time is no latency of an answer.
        row["latency_ms"] = each.latency_ms if each.error_kind is None else None
        del row["output_tokens"]
        rows.append(row)
    write_probe(store, head, rows)
