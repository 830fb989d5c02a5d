"""What is known about a candidate, as counts: the whole input of the decision.

`audit` fills these records from rows; `harm` turns a `Population` into bounds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from workbench.records import Basis, Estimate
from workbench.stats.cluster import NO_EFFECT, DesignEffect
from workbench.stats.rows import Differing

GROUP_MINIMUM = 20
"""Outcome groups with fewer calls say nothing yet."""


class Lack(StrEnum):
    """What kind of evidence is missing. CANDIDATE says that no evidence helps, but another candidate may."""

    CALLS = "calls"
    LABELS = "labels"
    LATENCY = "latency"
    MEASUREMENT = "measurement"
    TIME = "time"
    LIVE = "live"
    CANDIDATE = "candidate"


@dataclass(frozen=True, slots=True)
class WeightedOutcome:
    """One labelled draw: `weight` is share over probability.

    `outcome` is +1 control better (or skipped, or lapsed), -1 candidate better, 0 otherwise.
    `ceiling` is the largest weight that this draw could have had, known before it was made; 0 stands for
    the `weight_max` of the population.
    """

    weight: float
    outcome: int
    ceiling: float = 0.0


@dataclass(frozen=True, slots=True)
class Population:
    """Evidence about a set of calls: a task, a slice or an outcome group.

    Structural evidence: calls stand in audit order; `audited` counts those before the
    first open disagreement, `audited_disagreements` the disagreements among them,
    `audited_lapses` those of them that were skipped or lapsed and so never seen,
    `harms` those of them that are harmful, skipped or lapsed, `audited_better` those
    where the candidate was better. `cleared` counts disagreements labelled not
    harmful in any order, `cleared_better` those of them where the candidate was
    better. `set_aside` counts disagreements past the audited calls that are failures, or
    that somebody has judged or let lapse. `normalised` counts pairs that agree only after normalisation,
    `normalised_labelled` those of them drawn and labelled or lapsed,
    `normalised_harms` the harmful or lapsed ones, and `revoked` says that one of
    those was confirmed.

    Semantic evidence: `draws` in order, up to the first one still open, none with a
    weight above its ceiling; `weight_max` is that of draws to come.

    `looked` counts calls with a verdict, `unseen` those of them whose verdict nobody gave here: it is from
    an import or a gold answer alone. Lapses are no verdicts.
    """

    basis: Basis = Basis.STRUCTURAL
    compared: int = 0
    disagreements: int = 0
    audited: int = 0
    audited_disagreements: int = 0
    audited_lapses: int = 0
    harms: int = 0
    audited_better: int = 0
    cleared: int = 0
    cleared_better: int = 0
    set_aside: int = 0
    normalised: int = 0
    normalised_labelled: int = 0
    normalised_harms: int = 0
    revoked: bool = False
    draws: tuple[WeightedOutcome, ...] = ()
    weight_max: float = 1.0
    looked: int = 0
    unseen: int = 0
    disagreement_effect: DesignEffect = NO_EFFECT
    harm_effect: DesignEffect = NO_EFFECT

    @property
    def by_people(self) -> int:
        """Return how many calls have a verdict that a person gave after a look at the outputs, here."""
        return self.looked - self.unseen

    @property
    def audit_begun(self) -> bool:
        """Return whether a person has judged the first disagreements in order.

        Before that the audited calls are just the run of agreements that happens to
        stand first, and a bound from them alone would be luck.
        """
        return not self.disagreements or self.audited_disagreements > self.audited_lapses

    @property
    def calmest(self) -> tuple[int, int]:
        """Return how many calls could be worse and better if all that is set aside were better for it.

        The harms found in order and what is still open past them are left as they are.
        """
        waiting = max(self.disagreements - self.audited_disagreements - self.set_aside, 0)
        worse = min(self.disagreements - self.cleared, self.harms + waiting)
        return worse, max(self.cleared_better, self.audited_better + self.set_aside)

    @property
    def ceilings(self) -> list[float]:
        """Return the largest weight that each draw could have had."""
        return [each.ceiling or self.weight_max for each in self.draws]

    @property
    def effective_pairs(self) -> float:
        """Return how many independent pairs the compared ones are worth."""
        return self.compared / self.disagreement_effect.value


@dataclass(frozen=True, slots=True)
class SliceEvidence:
    """What is known of one value of one slice. `traffic_share` is 0..1 of the task."""

    name: str
    value: str
    traffic_share: float
    population: Population


@dataclass(frozen=True, slots=True)
class SliceCell:
    """Calls that share their value in every slice: (name, value) pairs and traffic share."""

    keys: tuple[tuple[str, str], ...]
    traffic_share: float


@dataclass(frozen=True, slots=True)
class OutcomeGroup:
    """What is known of calls with one frontier label or one required field.

    `kind` is label or field. `latched` says that the group was found collapsed
    earlier in this evidence window, `critical` that the eval marks it as critical: then
    it is guarded however few calls it has.
    """

    kind: str
    name: str
    n: int
    agreements: int
    population: Population = Population()
    latched: bool = False
    critical: bool = False


@dataclass(frozen=True, slots=True)
class SessionEvidence:
    """What is known of sessions with compared calls; `sessions.session_rate` makes a rate of it.

    `n` counts them, `several` those with more than one compared call, `unseen` those with
    calls that were not compared, and `longest` is the most compared calls of one.
    `seen` is what the compared calls show, the session being the unit; `doubted` is the
    same with all that nobody has seen counted as harm.
    """

    n: int
    several: int
    unseen: int
    longest: int
    seen: Population
    doubted: Population


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a recommendation rests on.

    `uncomparable` calls stand outside `task.compared`; `invalid` and `ignored` inside.
    `days` is how much traffic the evidence spans, `calls_per_day` its volume; None
    where the log does not say. `kappa` is Cohen's, between control and candidate labels.
    `critical` holds critical harm over all calls, `sessions` harm by session; None where it
    was not measured.
    `latency_p95_ms` is the measured interval at production rate. `candidates` is the
    number of candidates the best one was picked from on these data. `noise` is the
    frontier's agreement with itself. `held` says why the share must not grow although the
    evidence here would let it. `differing` says where the disagreements of a structural comparison stand,
    for what the next labels would do; None where nobody asks. It decides nothing.
    """

    task: Population = Population()
    uncomparable: int = 0
    invalid: int = 0
    ignored: int = 0
    days: float | None = None
    calls_per_day: float | None = None
    slices: tuple[SliceEvidence, ...] = ()
    cells: tuple[SliceCell, ...] = ()
    groups: tuple[OutcomeGroup, ...] = ()
    kappa: float | None = None
    critical: Population | None = None
    sessions: SessionEvidence | None = None
    latency_p95_ms: Estimate | None = None
    candidates: int = 1
    drift_alarm: bool = False
    noise: Estimate | None = None
    held: tuple[str, ...] = ()
    differing: Differing | None = field(default=None, compare=False, repr=False)
