"""One run of a judge, through the replay's own loop: its limiter, deadlines, retries, ledger and lease."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from workbench.compare.judge import Unreadable, read_vote, reason_in, requests
from workbench.config import Workspace
from workbench.engines import Engine, listen
from workbench.errors import ConfigError, StoreBusy, WorkbenchError
from workbench.progress import Listener
from workbench.records import Observation, Output, Request, from_json, to_json
from workbench.replay.budget import Budget
from workbench.replay.event_loop import new_event_loop
from workbench.replay.garbage import rare_collections
from workbench.replay.heartbeat import Heartbeat
from workbench.replay.journal import PartWriter
from workbench.replay.judge_setup import Arms
from workbench.replay.lease import ReplayLease
from workbench.replay.loop import Ended, Run, note_of
from workbench.replay.outcomes import WINDOW, Outcomes
from workbench.replay.session import limiter_of
from workbench.specs import Candidate, EvalConfig
from workbench.store import Store, judgements
from workbench.store.judgements import VOTES, JudgeScope
from workbench.store.spending import BILLED, is_metered

USELESS_FROM = 20
"""From so many votes on, a run ends where most of the last are none: going on would only cost money."""


class UselessJudge(ConfigError):
    """Most of what a judge answers is no vote."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One vote that is wanted: a pair, in one order."""

    replay_id: str
    call_id: str
    control_first: bool

    @property
    def key(self) -> str:
        """Return what names it in the loop."""
        return f"{'control' if self.control_first else 'candidate'}-first {self.replay_id} {self.call_id}"


@dataclass(frozen=True, slots=True)
class Judging:
    """Who is asked for whose pairs, under which prompt."""

    workspace: Workspace
    store: Store
    config: EvalConfig
    spec: Candidate
    scope: JudgeScope
    arms: Arms


def prompts(judging: Judging, asks: Sequence[Ask]) -> dict[str, str]:
    """Return the request of each ask, as JSON, by its key.

    Args:
        judging: Whose pairs.
        asks: The votes that are wanted.
    """
    pairs = list(dict.fromkeys((each.replay_id, each.call_id) for each in asks))
    written = {
        pair: requests(
            from_json(request, Request),
            from_json(control, Output),
            from_json(observed, Output),
            judging.config.guidelines,
        )
        for pair, (request, control, observed) in judgements.contents(judging.store, pairs).items()
    }
    return {
        each.key: to_json(written[each.replay_id, each.call_id][0 if each.control_first else 1]).decode()
        for each in asks
    }


class Asking:
    """One run: from the engine's first check to the last vote, on a loop of its own.

    Args:
        judging: Who is asked for whose pairs.
        engine: The judge's engine; closed at the end.
        lease: The right to ask.
        beat: Where the run stands.
        budget: What it may cost.
        asks: The votes that are wanted.
        concurrency: Requests in flight at most; None for the engine's own number.
        listener: Told once a second.
    """

    def __init__(
        self,
        judging: Judging,
        engine: Engine,
        lease: ReplayLease,
        beat: Heartbeat,
        budget: Budget,
        asks: Sequence[Ask],
        concurrency: int | None,
        listener: Listener,
    ) -> None:
        self._judging, self._engine, self._lease = judging, engine, lease
        self.beat, self._budget = beat, budget
        self._asks = {each.key: each for each in asks}
        self._characters: dict[str, int] = {}
        self._concurrency, self._listener = concurrency, listener
        self._dropped_usd = 0.0
        self._votes: VoteOutcomes | None = None

    @property
    def failed(self) -> int:
        """Return how many recorded votes of this run are none."""
        return sum(self._votes.errors.values()) if self._votes else 0

    @property
    def commonest_error(self) -> str:
        """Return why most of these are none."""
        errors = self._votes.errors if self._votes else {}
        return max(errors, key=lambda each: errors[each], default="nothing came")

    def run(self) -> Ended:
        """Check the engine, then ask for all that is wanted.

        Raises:
            WorkbenchError: The judge is not fit to be asked; nothing is stored.
        """
        with rare_collections(), asyncio.Runner(loop_factory=new_event_loop) as runner:
            try:
                listen(self._engine, self._listener)
                runner.run(self._engine.check())
                run = self._begin()
                try:
                    return runner.run(run.run())
                except WorkbenchError as error:
                    return Ended("failed", error)
                finally:
                    self._dropped_usd = run.dropped_usd
            finally:
                runner.run(self._engine.close())

    def note_end(self, state: str, message: str) -> None:
        """Write how the run ended, where the store is free."""
        detail: dict[str, Any] = {"answered": self.beat.done, "seconds": round(self.beat.seconds, 3)}
        if message:
            detail["message"] = message
        if unrecorded_usd := self._budget.extra_usd + self._dropped_usd:
            detail["unrecorded_usd"] = unrecorded_usd
        with contextlib.suppress(StoreBusy):
            judgements.note_run(self._judging.store, self._judging.scope, state, detail)

    def _begin(self) -> Run:
        judging, spec = self._judging, self._judging.spec
        limiter = limiter_of(self._engine, spec, self._concurrency)
        self._votes = VoteOutcomes(
            spec.name,
            spec.base_url or spec.engine,
            judgements.has_voted(judging.store, judging.scope),
            role="Judge",
            work="judging",
        )
        self._votes.arms = judging.arms
        return Run(
            engine=self._engine,
            replay_id=self.beat.replay_id,
            pending=[(key, 0) for key in self._asks],
            fetch=self._fetch,
            writer=PartWriter(
                judging.workspace.spool,
                self.beat.replay_id,
                self._lease,
                note_of(self.beat),
                absorb=partial(judging.store.absorb, wait_s=0, rest=True),
                table=VOTES,
            ),
            outcomes=self._votes,
            beat=self.beat,
            concurrency=limiter.maximum,
            listener=self._listener,
            limiter=limiter,
            budget=self._budget,
            deadline_s=limiter.deadline_s,
            lease=self._lease,
            row_of=self._row_of,
            stage="judge",
        )

    def _fetch(self, keys: Sequence[str]) -> dict[str, tuple[str, str]]:
        written = prompts(self._judging, [self._asks[key] for key in keys])
        self._characters |= {key: len(prompt) for key, prompt in written.items()}
        return {key: (key, prompt) for key, prompt in written.items()}

    def _row_of(self, observation: Observation) -> dict[str, Any]:
        """Return the row of a vote, or of the error in its place."""
        output, ask = observation.output, self._asks[observation.call_id]
        vote = read_vote(output)
        error = vote.reason if isinstance(vote, Unreadable) else None
        usage = output.usage
        worked = output.error is None or output.error.kind in BILLED
        return {
            "replay_id": ask.replay_id,
            "call_id": ask.call_id,
            "judge": self._judging.scope.judge,
            "prompt_version": self._judging.scope.prompt_version,
            "control_first": ask.control_first,
            "vote": None if error else str(vote),
            "error": error,
            "said": reason_in(output),
            "model": output.model,
            "attempts": observation.attempts,
            "latency_ms": None if output.latency_ms is None else float(output.latency_ms),
            "input_tokens": usage.input_tokens,
            "cached_input_tokens": usage.cached_input_tokens,
            "output_tokens": usage.output_tokens,
            "unmetered": worked and not is_metered(output),
            "request_chars": self._characters.pop(observation.call_id, 0),
            "text_chars": len(output.text or ""),
            "started_at": observation.started_at,
        }


class VoteOutcomes(Outcomes):
    """The replay's rules for failures, and two more: a judge must give votes, and be a third model.

    `arms` are the two models that it compares; `errors` counts recorded votes that are none, by why.
    """

    arms: Arms

    def __post_init__(self) -> None:
        super().__post_init__()
        self.errors: dict[str, int] = {}
        self._lately: deque[bool] = deque(maxlen=WINDOW)
        self._sides: dict[str, str] = {}

    def take(self, row: dict[str, Any], output: Output) -> list[tuple[dict[str, Any], Output]]:
        """Take a vote or the error in its place; return what can be recorded now."""
        side = self._side_of(output.model)
        if side:
            row |= {"vote": None, "error": f"the judge answered as {side}"}
        taken = super().take(row, output)
        self._count(taken[-1:])  # What was held back before it was counted when it was released.
        if side and self.stop is None:
            self.stop = ConfigError(
                f"Judge {self.name!r} answers as {output.model!r}, which is {side}: no model judges its own "
                "answers.",
                "Name a candidate in [judge] that is a third model.",
            )
        bad = sum(self._lately)
        if self.stop is None and len(self._lately) >= USELESS_FROM and 2 * bad > len(self._lately):
            self.stop = UselessJudge(
                f"Judge {self.name!r}: {bad} of its last {len(self._lately)} answers are no vote.",
                "They count as errors, never as ties. Use a judge that keeps a JSON schema.",
            )
        return taken

    def release(self) -> list[tuple[dict[str, Any], Output]]:
        """Return what was held back, to be recorded."""
        released = super().release()
        self._count(released)
        return released

    def _count(self, rows: list[tuple[dict[str, Any], Output]]) -> None:
        for row, _ in rows:
            self._lately.append(row["vote"] is None)
            if row["vote"] is None:
                self.errors[row["error"]] = self.errors.get(row["error"], 0) + 1

    def _side_of(self, model: str | None) -> str:
        if model is None:
            return ""
        if model not in self._sides:
            self._sides[model] = self.arms.side_of(model)
        return self._sides[model]
