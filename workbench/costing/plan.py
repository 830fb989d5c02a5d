"""What a team declares about money in `workbench.toml`: `[[gpus]]` and `[costs]`. Plain frozen records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Gpu:
    """What one GPU costs an hour, in US dollars, on a date, from a source. Your own counts too."""

    name: str
    usd_per_hour: float
    as_of: date
    source: str


@dataclass(frozen=True, slots=True)
class SelfHosted:
    """How a small model would be served on own or rented GPUs (`[costs.self_hosted]`).

    `tokens_per_s` are tokens in and out that one replica was measured to serve a second, on `as_of`
    (`source` says how). `utilisation` is the part of that which is planned with, 0..1, `peak_to_mean`
    how much more the busiest minutes ask than the mean, and `warm_replicas` always run.
    """

    gpu: str
    tokens_per_s: float
    as_of: date
    source: str
    gpus_per_replica: int = 1
    utilisation: float = 0.5
    peak_to_mean: float = 3.0
    warm_replicas: int = 1


@dataclass(frozen=True, slots=True)
class CostPlan:
    """What a month costs beside tokens (`[costs]`), in US dollars; None where nobody has said.

    `hosted_model` names the row of `[[prices]]` of a small model that a provider hosts.
    `batchable_share` is the share of calls that can wait for a batch, 0..1. `one_off_usd` is the work
    of moving, which the savings pay back.
    """

    budget_usd_month: float | None = None
    engineering_usd_month: float | None = None
    labelling_usd_month: float | None = None
    retraining_usd_month: float | None = None
    one_off_usd: float | None = None
    batchable_share: float | None = None
    hosted_model: str | None = None
    self_hosted: SelfHosted | None = None

    @property
    def fixed_usd_month(self) -> float:
        """Return what keeping a small model costs a month, as far as it is known."""
        return sum(getattr(self, each) or 0.0 for each in FIXED)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Return the keys of the monthly costs that nobody has given."""
        return tuple(each for each in FIXED if getattr(self, each) is None)


FIXED = ("engineering_usd_month", "labelling_usd_month", "retraining_usd_month")
