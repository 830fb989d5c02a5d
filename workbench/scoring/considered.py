"""A decision with what it was computed from, and a hash of both.

The hash is what a person accepts: it is the same as long as data, policy and answer are the same,
and another as soon as one of them changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from workbench import ramp
from workbench.compare import evaluator_version
from workbench.config import Workspace
from workbench.records import FRONTIER_RESERVE, Policy, Recommendation, as_builtins
from workbench.review import EffectiveVerdict, effective_verdicts
from workbench.scoring.control_window import control_window
from workbench.scoring.evidence import gather, gather_begun, wanted_of
from workbench.scoring.live_outcomes import live_alarm
from workbench.scoring.stage import live_compared, stage_of, state_of
from workbench.scoring.stricter import decide
from workbench.scoring.targets import fingerprint_of, refuse_control
from workbench.scoring.traffic_check import TrafficCheck, standing_check
from workbench.scoring.traffic_window import traffic_window
from workbench.specs import CONTROL, EvalConfig
from workbench.stats.ladder import EPSILON
from workbench.store import comparisons as rows
from workbench.store.compared import digest, evidence_frame
from workbench.store.labels import Scope

if TYPE_CHECKING:
    from workbench.store import Store

HASH_LENGTH = 16
DIGITS = 9
"""Significant digits of numbers in the hash: sums over many rows differ beyond them from run to run."""


@dataclass(frozen=True, slots=True)
class Considered:
    """A recommendation and all it rests on. `evidence_hash` stands for both."""

    task: str
    candidate: str
    fingerprint: str
    evaluator_version: str
    policy: Policy
    policy_version: str
    evidence: ramp.Evidence
    recommendation: Recommendation
    evidence_hash: str


def consider(
    workspace: Workspace,
    store: Store,
    task: str,
    candidate: str,
    *,
    current_share: float = 0.0,
    policy: Policy | None = None,
    drift_alarm: bool = False,
    check: TrafficCheck | None = None,
    now: datetime | None = None,
) -> Considered:
    """Gather the evidence, decide, and say what both were computed from.

    Args:
        workspace: Names the eval and the candidate.
        store: Holds comparisons, draws and labels.
        task: The task.
        candidate: The candidate's name.
        current_share: Share the candidate has now, 0..1.
        policy: Another policy than the eval's own, for what-if questions.
        drift_alarm: Whether the drift detector alarmed; that of live calls is asked anyway.
        check: A check of newly imported traffic that is not kept; it counts beside the newest that was.
        now: The present, to which a stage has lasted; this moment unless given.

    Raises:
        UsageError: The task or the candidate is unknown, or it is the control.
    """
    config = workspace.eval_for(task)
    refuse_control(candidate)
    spec = workspace.candidate(candidate)
    chosen = policy or config.policy
    fingerprint = fingerprint_of(workspace, store, candidate) or ""
    found = gather(store, config, fingerprint, chosen, workspace.serving(spec))
    found = replace(found, drift_alarm=drift_alarm)
    found, state = at_share(
        store, config, candidate, fingerprint, found, chosen, current_share, now or datetime.now(UTC)
    )
    answer = decided(store, config, fingerprint, found, chosen, state, check)
    version = evaluator_version(config)
    scope = Scope(task, fingerprint, version)
    data = {
        "task": task,
        "candidate": fingerprint,
        "evaluator": version,
        "guidelines": config.guideline_version,
        "compared": digest(evidence_frame(store, *scope.params, wanted=wanted_of(config))),
        "labels": _labels(effective_verdicts(store, *scope.params).values()),
    }
    return Considered(
        task=task,
        candidate=candidate,
        fingerprint=fingerprint,
        evaluator_version=version,
        policy=chosen,
        policy_version=policy_version(chosen),
        evidence=found,
        recommendation=answer,
        evidence_hash=evidence_hash(data, found, chosen, answer),
    )


def at_share(
    store: Store,
    config: EvalConfig,
    candidate: str,
    fingerprint: str,
    found: ramp.Evidence,
    policy: Policy,
    share: float,
    now: datetime,
) -> tuple[ramp.Evidence, ramp.State]:
    """Return the evidence and the state of a roll-out at the share that is served now.

    Args:
        store: Holds the log of decisions, and what is compared of live calls.
        config: The eval.
        candidate: The candidate's name.
        fingerprint: Its fingerprint.
        found: What `gather` returned.
        policy: What the team accepts.
        share: Served now, 0..1.
        now: The present.
    """
    if share <= EPSILON:
        return found, ramp.State(share=share)
    stage = stage_of(store, config.task, candidate, fingerprint, now)
    scope = Scope(config.task, fingerprint, evaluator_version(config))
    compared, _ = live_compared(store, scope, stage, wanted_of(config))
    state = state_of(stage, share, compared, now)
    if not found.drift_alarm and live_alarm(store, config, fingerprint, policy, stage):
        found = replace(found, drift_alarm=True)
    return found, state


def decided(
    store: Store,
    config: EvalConfig,
    fingerprint: str,
    found: ramp.Evidence,
    policy: Policy,
    state: ramp.State,
    check: TrafficCheck | None = None,
) -> Recommendation:
    """Return the decision on evidence that `gather` returned, held where a stricter reading holds it."""

    def begun() -> tuple[ramp.Evidence, int] | None:
        if not rows.has_begun(store, config.task, fingerprint):
            return None
        return gather_begun(store, config, fingerprint, policy, found)

    def newer_control(share: float) -> str | None:
        newer = control_window(store, config, fingerprint, policy, found)
        if newer is None or ramp.recommend(newer[0], policy, state).share >= share:
            return None
        return newer[1].sentence

    def newer_traffic(share: float) -> str | None:
        for each in (standing_check(store, config.task, fingerprint), check):
            newer = None if each is None else traffic_window(store, config, fingerprint, policy, found, each)
            if newer is not None and not newer.carries(share, policy, state):
                return newer.sentence
        return None

    tried = rows.candidates_tried(store, config.task, fingerprint, CONTROL)
    return decide(found, policy, state, begun, tried, (newer_control, newer_traffic))


def evidence_hash(
    data: dict[str, Any], evidence: ramp.Evidence, policy: Policy, answer: Recommendation
) -> str:
    """Return a hash of what a decision was computed from and of the decision.

    Args:
        data: Fingerprints of calls, comparisons and labels, as plain data.
        evidence: What was made of them.
        policy: What the team accepts.
        answer: The recommendation. What only stands beside it (`details`) is left out.
    """
    said = {key: value for key, value in as_builtins(answer).items() if key != "details"}
    known = as_builtins(replace(evidence, differing=None))
    # Where they stand follows from the data, which are in the hash.
    del known["differing"]
    return _hash([data, known, _facts(policy), said])[:HASH_LENGTH]


def policy_version(policy: Policy) -> str:
    """Return a short hash of a policy: equal policies have equal versions."""
    return _hash(_facts(policy))[:12]


def _facts(policy: Policy) -> dict[str, Any]:
    """Return a policy as plain data; a key that came later counts only where it is set."""
    found: dict[str, Any] = as_builtins(policy)
    if policy.frontier_reserve == FRONTIER_RESERVE:
        del found["frontier_reserve"]
    return found


def _labels(verdicts: Iterable[EffectiveVerdict]) -> str:
    """Return a hash of what counts of each standing label."""
    said = sorted(
        (each.replay_id, each.call_id, vote.annotator, vote.source, vote.verdict.value, sorted(vote.reasons))
        for each in verdicts
        for vote in each.votes
    )
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()


def _hash(content: Any) -> str:
    text = json.dumps(_rounded(content), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.{DIGITS}g}"
    if isinstance(value, dict):
        return {str(key): _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return value
