"""What a judge's stored votes come to: how far it can be believed, and what it predicts.

Nothing here decides: no verdict, no bound and no share depends on it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench import access, review
from workbench.access import requires
from workbench.compare import basis, evaluator_version
from workbench.compare.judge import (
    JudgeFigures,
    Ruling,
    Unreadable,
    Vote,
    measure,
    prompt_version,
    rule,
)
from workbench.config import CONFIG_NAME, Workspace
from workbench.errors import ConfigError, UsageError, did_you_mean
from workbench.records import Basis, Estimate, LabelVerdict, Verdict
from workbench.review.states import settle
from workbench.roles import Right
from workbench.scoring.gathered import gather_of
from workbench.scoring.predicted import PredictedHarm, predict
from workbench.specs import Candidate, EvalConfig
from workbench.stats.wording import count, measured, plural
from workbench.store import judgements
from workbench.store import labels as label_rows
from workbench.store.judgements import JudgeScope

if TYPE_CHECKING:
    from workbench.store import Store

MINIMUM_SHARED = 50
"""Pairs that a judge and people have in common from which its predictions may serve: at 80 % agreement the
limits are then some 10 points away on either side."""
GOLD = "gold"
"""Source of labels that no person gave to a pair."""
REASONS_SHOWN = 10

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class JudgeResults:
    """What a judge said of one candidate's pairs, and how far it can be believed.

    `verdicts` counts what both orders together say, `errors_because` why there is no verdict.
    `figures` hold position bias and agreement with people; see `compare.judge.JudgeFigures`.
    `predicted` is the estimate of harm with the judge as its predictor; None where it may not serve as one.
    """

    judge: str
    fingerprint: str
    model: str | None
    prompt_version: str
    figures: JudgeFigures
    verdicts: dict[str, int] = field(default_factory=dict)
    errors_because: dict[str, int] = field(default_factory=dict)
    predicted: PredictedHarm | None = None

    @property
    def lines(self) -> list[str]:
        """Return the results as a person reads them."""
        found = self.figures
        said = [f"{count(n)} {_WORDS[LabelVerdict(verdict)]}" for verdict, n in self.verdicts.items()]
        by = f"{self.judge} ({self.model})" if self.model else self.judge
        lines = [f"{plural(found.pairs, 'pair')} judged by {by}: {', '.join(said) or 'no verdict'}."]
        if found.errors:
            why = "; ".join(f"{count(n)} × {reason}" for reason, n in list(self.errors_because.items())[:3])
            lines.append(f"Without a verdict: {plural(found.errors, 'pair')} ({why}).")
        if found.swayed is not None and found.position_bias is not None:
            place = "first" if found.position_bias > 0 else "second"
            towards = f" for the {place} place" if found.position_bias else ""
            lines.append(
                f"Swayed by the order: {measured(found.swayed)} of verdicts; position bias "
                f"{measured(abs(found.position_bias))}{towards}."
            )
        if found.compared and found.agreement.point is not None:
            kappa = "" if found.kappa.point is None else f", kappa {found.kappa.point:.2f}"
            limits = f"{measured(found.agreement.low)} to {measured(found.agreement.high)}"
            lines.append(
                f"Agrees with people on {measured(found.agreement.point)} of "
                f"{plural(found.compared, 'pair')} ({limits}){kappa}."
            )
        else:
            lines.append("No person has judged any of these pairs: how far to believe it is not known.")
        if self.predicted is not None and self.predicted.estimate is not None:
            lines.append(self.predicted.sentence)
        lines.append("A judge explains; it moves no traffic.")
        return lines


_WORDS = {
    LabelVerdict.CONTROL_BETTER: "frontier better",
    LabelVerdict.EQUAL: "equal",
    LabelVerdict.CANDIDATE_BETTER: "candidate better",
}


@dataclass(frozen=True, slots=True)
class JudgePredictions:
    """What a judge predicts of harm, by call, and whether that may be used.

    `harm` is 1.0 where both orders say that the control is better, 0.5 where one does, else 0.0; calls
    without a verdict are left out. So are pairs that a judge is never asked for because both answers are
    the same, character for character, or, where agreement is a declared equality, by its rules: nothing
    is predicted of these, and none is a part of a random sample of the others. `shared` pairs were judged
    by people, too; `usable` says that these are at least `MINIMUM_SHARED`, else `why_not` says so.
    """

    harm: dict[str, float]
    shared: int
    agreement: Estimate
    kappa: Estimate
    usable: bool
    why_not: str = ""


def judge_of(workspace: Workspace, config: EvalConfig) -> Candidate:
    """Return the model that an eval names as its judge.

    Raises:
        ConfigError: It names none, or one that is unknown or can't judge.
    """
    file = f"{config.root}/eval.toml" if config.root else f"the eval of {config.task!r}"
    if config.judge is None:
        raise ConfigError(
            f"{file} names no judge.",
            'Add a table [judge] with candidate = "NAME", a candidate that is another model than the two '
            "compared.",
        )
    name = config.judge.candidate
    known = {each.name: each for each in workspace.config.candidates}
    if name not in known:
        raise ConfigError(
            f"{file}: judge.candidate = {name!r} is no candidate of {workspace.root / CONFIG_NAME}.",
            f"{did_you_mean(name, known)} Add it with `workbench candidate add {name}`.".strip(),
        )
    spec = known[name]
    where = f"{file}: judge.candidate = {name!r}"
    if spec.engine == "recorded":
        raise ConfigError(
            f"{where} has the engine recorded: it can't be asked.", "Name a candidate with another engine."
        )
    if spec.patch is not None or spec.samples:
        key = "patch" if spec.patch is not None else "samples"
        raise ConfigError(
            f"{where} has `{key}`, which means nothing to a judge.",
            f"Name a candidate without `{key}`.",
        )
    return spec


def scope_of(
    workspace: Workspace, config: EvalConfig, fingerprint: str, spec: Candidate | None = None
) -> JudgeScope:
    """Return what the votes of an eval's judge on one candidate are stored under.

    Args:
        workspace: Knows the judge.
        config: The task's eval.
        fingerprint: The candidate's.
        spec: The judge, where it is at hand.

    Raises:
        ConfigError: The eval names no judge that can be asked.
    """
    judge = spec or judge_of(workspace, config)
    version = prompt_version(config.guidelines)
    return JudgeScope(config.task, fingerprint, workspace.fingerprint(judge), version)


@requires(Right.SEE, task=lambda given: given["config"].task)
def judge_results(
    workspace: Workspace, store: Store, config: EvalConfig, fingerprint: str
) -> JudgeResults | None:
    """Return what the eval's judge said of a candidate; None where it said nothing.

    Why there is no verdict may quote the judge's answer: whoever may not read gets no reasons.

    Args:
        workspace: Knows the judge.
        store: Holds votes and labels.
        config: The task's eval. Votes of another judge, or under other guidelines, don't count.
        fingerprint: The candidate's.
    """
    try:
        spec = judge_of(workspace, config)
        scope = scope_of(workspace, config, fingerprint, spec)
    except UsageError:
        return None
    found = rulings(store, scope)
    if not found:
        return None
    people = people_on(store, config, fingerprint)
    figures = measure(((each, people.get(pair)) for pair, each in found.items()), config.policy.delta)
    ruled = Counter(str(each.verdict) for each in found.values() if each.verdict is not None)
    reads = access.may(Right.READ, config.task)
    failed = Counter(each.error for each in found.values() if each.verdict is None and reads)
    return JudgeResults(
        judge=spec.name,
        fingerprint=scope.judge,
        model=spec.model,
        prompt_version=scope.prompt_version,
        figures=figures,
        verdicts={verdict.value: ruled[verdict.value] for verdict in _WORDS if ruled[verdict.value]},
        errors_because=dict(sorted(failed.items(), key=lambda each: (-each[1], each[0]))[:REASONS_SHOWN]),
        predicted=judged_harm(workspace, store, config, fingerprint)
        if figures.compared >= MINIMUM_SHARED
        else None,
    )


def judged_harm(
    workspace: Workspace, store: Store, config: EvalConfig, fingerprint: str
) -> PredictedHarm | None:
    """Return harm as estimated with the judge's verdicts for all calls; None where it may not predict.

    A judge is asked first for what people labelled, so pairs that it has not seen are no sample of all:
    it has to have seen every pair that it can be asked for. Where it gave no verdict, nothing is known
    (0.5); answers that are the same, or equal by declared rules, can't be worse (0), and a failed answer
    is (1). Whatever these say, they bias nothing: see `stats.prediction`.

    Args:
        workspace: Knows the judge.
        store: Holds votes and labels.
        config: The task's eval.
        fingerprint: The candidate's.
    """
    said = predictions(workspace, store, config, fingerprint)
    if said is None or not said.usable:
        return None
    scope = scope_of(workspace, config, fingerprint)
    semantic = basis(config) is Basis.SEMANTIC
    pairs = judgements.pairs_for(store, scope, evaluator_version(config), all_differing=semantic, seed=0)
    if not all(pair.is_judged for pair in pairs):
        return None
    found = gather_of(store, config, fingerprint)
    asked = {pair.call_id for pair in pairs}
    differs = found.frame["verdict"] == Verdict.MISMATCH.value
    return predict(
        found,
        {
            call: said.harm.get(call, 0.5 if call in asked else float(different))
            for call, different in zip(found.frame["call_id"], differs, strict=True)
        },
    )


def predictions(
    workspace: Workspace, store: Store, config: EvalConfig, fingerprint: str
) -> JudgePredictions | None:
    """Return what the eval's judge predicts of harm; None where it said nothing.

    Args:
        workspace: Knows the judge.
        store: Holds votes and labels.
        config: The task's eval.
        fingerprint: The candidate's.
    """
    try:
        scope = scope_of(workspace, config, fingerprint)
    except UsageError:
        return None
    rows = judgements.votes(store, scope)
    if not rows:
        return None
    ruled = {(row["replay_id"], row["call_id"]): _ruling(row) for row in rows}
    people = people_on(store, config, fingerprint)
    figures = measure(((each, people.get(pair)) for pair, each in ruled.items()), config.policy.delta)
    harm: dict[str, float] = {}
    for row in rows:
        if ruled[row["replay_id"], row["call_id"]].verdict is not None:
            against = (row["first_vote"] == Vote.FIRST) + (row["second_vote"] == Vote.SECOND)
            harm.setdefault(row["call_id"], against / 2)
    usable = figures.compared >= MINIMUM_SHARED
    why_not = f"{figures.compared} pairs judged by people, too; {MINIMUM_SHARED} are needed"
    return JudgePredictions(
        harm, figures.compared, figures.agreement, figures.kappa, usable, "" if usable else why_not
    )


def rulings(store: Store, scope: JudgeScope) -> dict[Pair, Ruling]:
    """Return what a judge rules of each pair that it has seen in both orders, by (replay, call)."""
    return {(row["replay_id"], row["call_id"]): _ruling(row) for row in judgements.votes(store, scope)}


def people_on(store: Store, config: EvalConfig, fingerprint: str) -> dict[Pair, LabelVerdict]:
    """Return what people said of a candidate's pairs, by (replay, call); gold answers are no opinion.

    Args:
        store: Holds the labels.
        config: The task's eval.
        fingerprint: The candidate's.
    """
    scope = review.Scope(config.task, fingerprint, evaluator_version(config))
    standing = [row for row in label_rows.standing_labels(store, scope) if row["source"] != GOLD]
    return {pair: each.verdict for pair, each in settle(standing).items()}


def _ruling(row: dict[str, str | None]) -> Ruling:
    return rule(*(_vote(row[f"{place}_vote"], row[f"{place}_error"]) for place in ("first", "second")))


def _vote(vote: str | None, error: str | None) -> Vote | Unreadable:
    return Unreadable(error or "the judge's vote is missing") if vote is None else Vote(vote)
