"""What a latency probe tells people: percentiles with limits, load, errors. Pure."""

from __future__ import annotations

import math
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from workbench.engines.replies import CACHED
from workbench.records import told_errors
from workbench.replay.arrivals import Schedule
from workbench.replay.open_loop import DROPPED, MOST_IN_FLIGHT, Driven, Sent
from workbench.replay.report import ReplayReport, duration
from workbench.scoring.latency_pairs import PairedLatency, heading
from workbench.stats.percentiles import nearest_rank, percentile

QUANTILES = (0.50, 0.95, 0.99)
DELTA = 0.05
LATE_MS = 50.0
"""A machine that sends later than this is itself a part of what it measures."""
TIMELINE_POINTS = 300


@dataclass(frozen=True, slots=True)
class Percentile:
    """A percentile in ms with an upper and a lower limit, each of 95 % confidence.

    By nearest rank. None where so many calls got no answer, or so few were sent, that
    it lies beyond what was measured.
    """

    q: float
    ms: float | None
    low_ms: float | None
    high_ms: float | None


@dataclass(frozen=True, slots=True)
class SpeedRun:
    """One probe at one speed. Latencies count from the moment a call was due.

    `speed` is a multiple of production's pace where `rate_known`, else of the log's;
    `calls_per_s` is the mean rate of the schedule, `peak_per_s` that of the busiest hour.
    `unanswered` calls (dropped, timed out, refused as too many, failed by the server)
    count as infinitely slow in the percentiles; `errors` counts these and, apart from the
    percentiles, answers that are of no use. `cut_s` is idle time that was not
    waited for. `timeline` holds (seconds, in flight, waiting in the server's queue), `serving`
    the hash of what served the candidate.
    """

    probe_id: str
    speed: float
    rate_known: bool
    calls: int
    calls_per_s: float
    peak_per_s: float
    window_from: datetime | None
    window_to: datetime | None
    sent: int
    answered: int
    unanswered: int
    dropped: int
    errors: dict[str, int]
    retried: int
    latency: tuple[Percentile, ...]
    first_token: tuple[Percentile, ...]
    independent_calls: float
    most_in_flight: int
    mean_in_flight: float
    most_waiting: float | None
    mean_waiting: float | None
    late_p99_ms: float | None
    output_tokens_per_s: float | None
    seconds: float
    cut_s: float
    stopped_early: bool
    timeline: tuple[tuple[float, int, float | None], ...] = ()
    serving: str = ""

    @property
    def lines(self) -> list[str]:
        """Return the run as a person reads it."""
        pace = "production's" if self.rate_known else "the log's"
        rate = f"{self.calls_per_s:,.3g} calls/s" if self.calls_per_s else "all at once"
        lines = [
            f"  {self.speed:g} x {pace} pace: {self.sent:,} of {self.calls:,} calls at {rate} (mean of the "
            f"busiest hour {self.peak_per_s:,.3g}/s), {self.answered:,} answered in {duration(self.seconds)}."
        ]
        for name, found in (("latency", self.latency), ("first token", self.first_token)):
            if found:
                shown = ", ".join(_shown(each) for each in found)
                lines.append(f"    {name}: {shown}")
        load = f"    in flight: {self.mean_in_flight:,.1f} on average, {self.most_in_flight:,} at most"
        if self.most_waiting is not None:
            load += f"; waiting in the server: {self.mean_waiting:,.1f}, {self.most_waiting:,.0f} at most"
        lines.append(load)
        if self.errors:
            slow = f"{self.unanswered:,} of them count as infinitely slow"
            lines.append(f"    errors: {told_errors(self.errors)}; {slow}.")
        if cached := self.errors.get(CACHED, 0):
            lines.append(
                f"    {cached:,} answers came from a response cache and are left out: they say nothing about "
                "the model. Switch the cache off for the probe."
            )
        if self.dropped:
            lines.append(
                f"    {self.dropped:,} calls were not sent: {MOST_IN_FLIGHT} were in flight. The server does "
                "not keep up with this pace."
            )
        if self.retried:
            lines.append(f"    {self.retried:,} calls were sent more than once; the waiting counts.")
        if self.cut_s >= 1:
            lines.append(f"    {duration(self.cut_s)} in which nothing was in flight were not waited for.")
        if self.stopped_early:
            lines.append("    Time or money ran out before all were sent: allow more, or lower --limit.")
        if self.late_p99_ms is not None and self.late_p99_ms > LATE_MS:
            lines.append(
                f"    This machine sent up to {self.late_p99_ms:,.0f} ms late (p99): it is a part of what "
                "was measured."
            )
        return lines


def _shown(each: Percentile) -> str:
    if each.ms is None:
        return f"p{each.q * 100:g} never (too many calls got no answer)"
    high = "?" if each.high_ms is None else f"{each.high_ms:,.0f}"
    low = "?" if each.low_ms is None else f"{each.low_ms:,.0f}"
    return f"p{each.q * 100:g} {each.ms:,.0f} ms [{low} - {high}]"


@dataclass(frozen=True, slots=True)
class LatencyReport:
    """What a latency probe measured. Times in ms, durations in s.

    `engine_start_s` is how long the engine took until it could answer, `cold_ms` and
    `cold_first_token_ms` what the first call took, alone and outside the percentiles.
    `control_*` is the frontier's own latency for the calls of the first run, where logged, and
    `compared` sets both against each other on the same calls, at production's pace. `planned` is what a
    probe would take, where nothing was sent; `cost_usd` what one took, where the model has a price.
    """

    task: str
    candidate: str
    fingerprint: str
    runs: tuple[SpeedRun, ...]
    engine_start_s: float
    cold_ms: float | None
    cold_first_token_ms: float | None
    control_calls: int = 0
    control_p50_ms: float | None = None
    control_p95_ms: float | None = None
    compared: PairedLatency | None = None
    notes: tuple[str, ...] = ()
    planned: ReplayReport | None = None
    cost_usd: float | None = None

    @property
    def text(self) -> str:
        """Return the report as a person reads it."""
        if self.planned is not None:
            return self.planned.text
        lines = [f"{self.task} / {self.candidate}: latency at the pace of the log, [limits 95 % sure each]"]
        cold = f"  Cold start: engine ready after {duration(self.engine_start_s)}"
        if self.cold_ms is not None:
            cold += f", first call {self.cold_ms:,.0f} ms"
        if self.cold_first_token_ms is not None:
            cold += f" (first token {self.cold_first_token_ms:,.0f} ms)"
        lines.append(cold + ".")
        for run in self.runs:
            lines += run.lines
        if self.control_p50_ms is not None and self.control_p95_ms is not None:
            lines.append(
                f"  The frontier took, by the log: p50 {self.control_p50_ms:,.0f} ms, p95 "
                f"{self.control_p95_ms:,.0f} ms ({self.control_calls:,} calls)."
            )
        if self.compared is not None and self.compared.pairs:
            lines.append(f"  {heading(self.compared)}:")
            lines += [f"    {line}" for line in self.compared.lines]
        if self.cost_usd:
            lines.append(f"  Cost: {self.cost_usd:,.4f} USD by the price table.")
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


def summarise(
    driven: Driven,
    schedule: Schedule,
    speed: float,
    rate_known: bool,
    timeline: Sequence[tuple[float, int, float | None]] = (),
) -> SpeedRun:
    """Return what a driven schedule shows. Pure.

    Args:
        driven: What was sent, and what came of it.
        schedule: When it was to be sent.
        speed: The multiple of the pace.
        rate_known: Whether that is production's.
        timeline: (seconds, in flight, waiting) as it was seen.
    """
    sent = driven.sent
    counted = latencies(sent)
    first = [each.first_token_ms for each in sent if each.first_token_ms is not None]
    waits = [waiting for _, _, waiting in timeline if waiting is not None]
    late = nearest_rank([each.late_ms for each in sent], 0.99)
    # Little's law, exactly: time spent in flight over the time that passed.
    flight_s = sum((each.latency_ms or 0.0) - each.late_ms for each in sent if each.latency_ms) / 1000
    tokens = [each.output_tokens for each in sent if each.output_tokens is not None]
    dropped = sum(each.error_kind == DROPPED for each in sent)
    p95 = percentile(counted, 0.95, DELTA)
    return SpeedRun(
        probe_id=uuid.uuid4().hex,
        speed=speed,
        rate_known=rate_known,
        calls=len(schedule.positions),
        calls_per_s=schedule.calls_per_s,
        peak_per_s=schedule.peak_per_s,
        window_from=schedule.window[0] if schedule.window else None,
        window_to=schedule.window[1] if schedule.window else None,
        sent=len(sent) - dropped,
        answered=sum(each.error_kind is None for each in sent),
        unanswered=sum(each.unanswered for each in sent),
        dropped=dropped,
        errors=dict(Counter(each.error_kind for each in sent if each.error_kind is not None)),
        retried=sum(each.attempts > 1 for each in sent),
        latency=tuple(_percentile(counted, q) for q in QUANTILES) if counted else (),
        first_token=tuple(_percentile(first, q) for q in QUANTILES) if first else (),
        independent_calls=p95.n_effective,
        most_in_flight=driven.most_in_flight,
        mean_in_flight=flight_s / driven.seconds if driven.seconds else 0.0,
        most_waiting=max(waits, default=None),
        mean_waiting=sum(waits) / len(waits) if waits else None,
        late_p99_ms=late,
        output_tokens_per_s=sum(tokens) / driven.seconds if tokens and driven.seconds else None,
        seconds=round(driven.seconds, 3),
        cut_s=round(driven.cut_s, 3),
        stopped_early=driven.stopped_early,
        timeline=tuple(timeline[:: max(len(timeline) // TIMELINE_POINTS, 1)]),
    )


def latencies(sent: Sequence[Sent]) -> list[float]:
    """Return latencies in ms in the order of sending, infinite where no answer came.

    Answers that are of no use (an empty one, a refused request) are left out: they
    count against the candidate as invalid outputs, and may be quick.
    """
    return [
        math.inf if each.unanswered else each.latency_ms or 0.0
        for each in sent
        if each.unanswered or (each.error_kind is None and each.latency_ms is not None)
    ]


def _percentile(values: Sequence[float], q: float) -> Percentile:
    found = percentile(values, q, DELTA)
    known = found.point is not None and math.isfinite(found.point)
    return Percentile(
        q,
        found.point if known else None,
        found.low if found.low > 0 and math.isfinite(found.low) else None,
        found.high if math.isfinite(found.high) else None,
    )
