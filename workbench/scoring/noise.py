"""The noise floor of a task: measured from answers to a second asking, or from duplicates in the log."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

from workbench.access import requires
from workbench.compare import Comparator, basis, control_problem, evaluator_version
from workbench.embed import Embedder, similarities
from workbench.normal import content_hash
from workbench.progress import Listener, Progress, silent
from workbench.records import Basis, Estimate, Output, Request, Verdict, from_json, to_json
from workbench.roles import Right
from workbench.specs import EvalConfig
from workbench.stats import noise
from workbench.stats.wording import count, plural
from workbench.store import noise as kept
from workbench.store.compared import NO_SESSION, evidence_frame

if TYPE_CHECKING:
    from workbench.store import Store

ASKED_AGAIN, DUPLICATES = "asked_again", "duplicates"
REQUESTS, ANSWERS = 1_000, 8
"""How many repeated requests are read, drawn by chance, and how many answers to each, the earliest."""
CACHED = "cached"
"""Flag of an answer that a response cache gave, and mark of a call that the log says was one."""
RETRY = timedelta(minutes=10)
"""The same request of a session that comes so soon again was made for the answer's sake: an agent's retry."""
_TAKEN = ("replay_id", "call_id", "verdict", "score", "session", "request")
_AGREES = (Verdict.MATCH, Verdict.IGNORED)
_CACHE_MARK = "cache_hit"

LEFT_OUT = {
    "failed": "failed",
    "cached": "came from a response cache",
    "cut_off": "are cut off or refused",
    "uncomparable": "can't be compared",
    "undated": "have no time, so that they may be one call exported twice",
    "copies": "have the id or the time of another, and count as one call exported twice",
    "retries": "came minutes after the same request of their session: asked again for their answer",
}
"""Why an answer says nothing about the frontier's agreement with itself."""


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """How often the frontier agrees with itself on one task, under one evaluator version.

    `source` is asked_again or duplicates. `models` counts the compared calls by the
    model that the log names, `answered_by` the second answers by the model that gave
    them. `left_out` counts answers that say nothing, by the keys of `LEFT_OUT`.
    """

    task: str
    evaluator_version: str
    source: str
    agreement: Estimate
    structural: bool
    models: dict[str, int]
    measured_at: datetime
    answered_by: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def ceiling(self) -> Estimate:
        """Return the most that a candidate can agree with logged answers: the square root of r."""
        r = self.agreement
        point = None if r.point is None else noise.ceiling(r.point)
        return Estimate(
            point, noise.ceiling(r.low), noise.ceiling(r.high), r.level, r.method, r.n, r.n_effective
        )


@dataclass(frozen=True, slots=True)
class Measured:
    """What a measurement found: a floor, or why there is none."""

    floor: NoiseFloor | None
    left_out: dict[str, int]
    why_not: str = ""


@requires(Right.SEE, task=lambda given: given["config"].task)
def floor_of(store: Store, config: EvalConfig) -> NoiseFloor | None:
    """Return the floor that was measured last under an eval as it stands, or None."""
    version = evaluator_version(config)
    found = kept.newest_floors(store, config.task)
    text = next((row["floor"] for row in found if row["evaluator_version"] == version), None)
    return from_json(text, NoiseFloor) if text else None


def keep(store: Store, floor: NoiseFloor) -> None:
    """Keep a floor, unless the newest one says the same."""
    for row in kept.newest_floors(store, floor.task):
        if row["evaluator_version"] == floor.evaluator_version:
            known = from_json(row["floor"], NoiseFloor)
            if _said(known) == _said(floor):
                return
    text = to_json(floor).decode()
    kept.keep_floor(store, floor.task, floor.evaluator_version, text, floor.measured_at)


def _said(floor: NoiseFloor) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(to_json(floor))
    del said["measured_at"]
    return said


def from_second_answers(store: Store, config: EvalConfig, fingerprint: str, now: datetime) -> Measured:
    """Measure from calls that were asked once more and compared, each in a closed batch.

    An answer that is an error, cut off, refused or from a cache stays outside, as such a
    recorded answer does: it is no second answer.

    Args:
        store: Holds the comparisons.
        config: The eval.
        fingerprint: Under which the frontier was asked.
        now: When this is measured, in UTC.
    """
    version = evaluator_version(config)
    frame = evidence_frame(store, config.task, fingerprint, version, wanted=("call_id",))
    answers = kept.second_answers(store, config.task, fingerprint)
    left_out: Counter[str] = Counter()
    models: Counter[str] = Counter()
    answered: Counter[str] = Counter()
    agreeing: list[bool] = []
    sessions: list[int | None] = []
    requests: list[int | None] = []
    for replay_id, call_id, verdict, score, session, request in zip(
        *(frame[name] for name in _TAKEN), strict=True
    ):
        answer = answers[replay_id, call_id]
        # Without a similarity, or where an evaluator failed, a mismatch has no score: nothing is known of it.
        missing = verdict == Verdict.MISMATCH and math.isnan(score)
        if why := _silent(answer, Verdict.UNCOMPARABLE if missing else verdict):
            left_out[why] += 1
            continue
        models[answer["logged"] or ""] += 1
        answered[answer["answered"] or ""] += 1
        agreeing.append(verdict in _AGREES)
        sessions.append(None if session == NO_SESSION else session)
        requests.append(request)
    if len(agreeing) < noise.MINIMUM:
        return Measured(None, dict(left_out), _too_few(len(agreeing), "second answer"))
    policy = config.policy
    return Measured(
        NoiseFloor(
            task=config.task,
            evaluator_version=version,
            source=ASKED_AGAIN,
            agreement=noise.asked_again(agreeing, [sessions, requests], policy.delta, policy.icc),
            structural=basis(config) is Basis.STRUCTURAL,
            models=dict(models.most_common()),
            measured_at=now,
            answered_by=dict(answered.most_common()),
            left_out=dict(left_out),
            notes=_other_models(models, answered),
        ),
        dict(left_out),
    )


def _silent(answer: Mapping[str, Any], verdict: str) -> str | None:
    """Return why an answer says nothing, or None where it does."""
    flags = _flags(answer["flags"])
    if answer["error_kind"]:
        return "failed"
    if CACHED in flags:
        return "cached"
    if control_problem(None, answer["finish_reason"], flags):
        return "cut_off"
    return "uncomparable" if verdict == Verdict.UNCOMPARABLE else None


def _flags(text: str | None) -> tuple[str, ...]:
    return tuple(json.loads(text)) if text else ()


def _too_few(n: int, noun: str) -> str:
    return f"only {plural(n, noun)} can be compared, and at least {noise.MINIMUM} are needed"


def _other_models(logged: Counter[str], answered: Counter[str]) -> tuple[str, ...]:
    """Say where the second answers came from another snapshot than the recorded ones."""
    others = {name: n for name, n in answered.items() if name and name not in logged}
    if not others or not any(logged):
        return ()
    of = ", ".join(name for name in logged if name)
    return (
        f"{count(sum(others.values()))} of the second answers came from {', '.join(others)}, the log names "
        f"{of}: where these are two versions, the floor also holds how they differ.",
    )


def from_duplicates(
    store: Store,
    config: EvalConfig,
    now: datetime,
    *,
    embedder: Callable[[str], Embedder],
    listener: Listener = silent,
) -> Measured:
    """Measure from requests that the log holds more than once, answered by one model at several times.

    Which calls count is decided without a look at their answers: those with an id and a
    time of their own. Rows of equal id or equal time may be one call exported twice, and
    of a session's retries the first counts.

    Args:
        store: Holds the calls.
        config: The eval; its comparator judges every pair, in both directions.
        now: When this is measured, in UTC.
        embedder: Opens an embedder by name; for texts alone.
        listener: Hears how far it is.
    """
    left_out: Counter[str] = Counter()
    groups = [
        _Group(answers, group)
        for group in _same_requests(
            kept.repeated_requests(store, config.task, limit=REQUESTS, answers=ANSWERS)
        )
        if len(answers := _independent(group, left_out)) > 1
    ]
    comparator = Comparator(config)
    known = _similarities(store, config, comparator, groups, embedder, listener)
    shares: list[float] = []
    sessions: list[str | None] = []
    models: Counter[str] = Counter()
    for place, group in enumerate(groups, start=1):
        share = noise.pair_share(group.times, group.judged(comparator, known))
        if share is None:
            left_out["uncomparable"] += sum(group.times)
        else:
            shares.append(share)
            sessions.append(group.session)
            models[group.model] += sum(group.times)
        if place % 100 == 0 or place == len(groups):
            listener(Progress("comparing", place, len(groups), "requests"))
    if len(shares) < noise.MINIMUM:
        why = _too_few(len(shares), "request") if shares or left_out else "the log holds no request twice"
        return Measured(None, dict(left_out), why)
    policy = config.policy
    return Measured(
        NoiseFloor(
            task=config.task,
            evaluator_version=evaluator_version(config),
            source=DUPLICATES,
            agreement=noise.from_pairs(shares, [sessions], policy.delta, policy.icc),
            structural=basis(config) is Basis.STRUCTURAL,
            models=dict(models.most_common()),
            measured_at=now,
            left_out=dict(left_out),
            notes=(
                "Requests that come back are no random sample of the traffic: short and common ones come "
                "back more often, and are mostly answered more alike.",
            ),
        ),
        dict(left_out),
    )


def _same_requests(found: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Yield calls of the same request: messages, tools, parameters and the model that answered."""
    for _, group in groupby(found, key=lambda row: row["request_hash"]):
        parts: dict[str, list[Mapping[str, Any]]] = {}
        for row in group:
            key = content_hash(row["logged"], json.loads(row["parameters"] or "{}"))
            parts.setdefault(key, []).append(row)
        yield from (rows for rows in parts.values() if len(rows) > 1)


def _independent(group: Sequence[Mapping[str, Any]], left_out: Counter[str]) -> list[Output]:
    """Return the answers of one request that were surely given apart, and count the others."""
    kept_answers: list[Output] = []
    ids: set[str] = set()
    times: set[datetime] = set()
    asked: dict[str, datetime] = {}
    for row in group:
        control = from_json(row["control"], Output)
        if row["occurred_at"] is None:
            left_out["undated"] += 1
        elif row["native_id"] in ids or row["occurred_at"] in times:
            left_out["copies"] += 1
        elif _is_retry(row, asked):
            left_out["retries"] += 1
        elif _CACHE_MARK in row["marks"]:
            left_out["cached"] += 1
        elif control_problem(row["error_kind"], control.finish_reason, control.flags):
            left_out["cut_off"] += 1
        else:
            kept_answers.append(control)
        ids.add(row["native_id"])
        times.add(row["occurred_at"])
        if row["session_id"] is not None and row["occurred_at"] is not None:
            asked[row["session_id"]] = row["occurred_at"]
    return kept_answers


def _is_retry(row: Mapping[str, Any], asked: Mapping[str, datetime]) -> bool:
    """Say whether a session asked the same only minutes before: what it got decided that it asked again."""
    before = asked.get(row["session_id"])
    return before is not None and row["occurred_at"] - before <= RETRY


Known = Mapping[tuple[str, str], float | None]


class _Group:
    """The answers to one request: each distinct one, and how often it was given."""

    def __init__(self, answers: Sequence[Output], calls: Sequence[Mapping[str, Any]]) -> None:
        distinct: dict[str, Output] = {}
        times: Counter[str] = Counter()
        for each in answers:
            key = content_hash(each.text, [[call.name, call.arguments] for call in each.tool_calls])
            distinct.setdefault(key, each)
            times[key] += 1
        self.outputs = list(distinct.values())
        self.times = [times[key] for key in distinct]
        first = calls[0]
        self.session: str | None = first["session_id"]
        self.model: str = first["logged"] or ""
        self._request = from_json(first["request"], Request) if first["request"] else None

    def needy(self, comparator: Comparator) -> Iterator[tuple[str, str]]:
        """Yield the pairs of texts that can only be judged with a similarity."""
        for one in self.outputs:
            for other in self.outputs:
                if one is not other and comparator.needs_similarity(one, other):
                    yield one.text or "", other.text or ""

    def judged(self, comparator: Comparator, known: Known) -> list[list[bool | None]]:
        """Return for each ordered pair of distinct answers whether they agree."""

        def verdict(one: Output, other: Output) -> bool | None:
            similarity = known.get((one.text or "", other.text or ""))
            found = comparator.compare(one, other, self._request, similarity)
            unknown = found.verdict is Verdict.UNCOMPARABLE or found.score is None
            return None if unknown else found.verdict in _AGREES

        return [[verdict(one, other) for other in self.outputs] for one in self.outputs]


def _similarities(
    store: Store,
    config: EvalConfig,
    comparator: Comparator,
    groups: Sequence[_Group],
    embedder: Callable[[str], Embedder],
    listener: Listener,
) -> Known:
    pairs = list(dict.fromkeys(pair for group in groups for pair in group.needy(comparator)))
    if not pairs:
        return {}
    found = similarities(store, embedder(config.embedder), pairs, listener=listener)
    return dict(zip(pairs, found.values, strict=True))


def utc_now() -> datetime:
    """Return the time, in UTC; use cases take it as an argument where a test needs another."""
    return datetime.now(UTC)
