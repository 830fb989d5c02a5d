"""Have live outcomes become worse than the evaluated ones?

The e-detector (Shin, Ramdas and Rinaldo 2023) may be looked at after every call. Another mix
is seen by `mix`, another content by `content`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FACTORS = (1.5, 2.0, 3.0, 5.0)
"""Rates that are looked out for, as multiples of the evaluated one."""
MOST = 0.999
ALARM = 10_000.0
"""At this value the detector alarms: without drift on average once in so many calls at the earliest."""


@dataclass(slots=True)
class EDetector:
    """Watch the rate of a live outcome for a rise above the evaluated one.

    For each p1 in 1.5, 2, 3, 5 times p0: M = (1 + M) L with L = (p1/p0)^x ((1-p1)/(1-p0))^(1-x); the mean
    of the four is watched. Under any rate up to p0 each L has a mean of at most 1, so that calls
    until a false alarm are at least the threshold on average.
    Source: Shin, Ramdas and Rinaldo, New England Journal of Statistics in Data Science, 2023; each M is
    the procedure of Shiryaev, 1963, and Roberts, 1966.

    Args:
        p0: The anytime upper bound on the same rate from the evaluation, in 0..1.
        alarm_at: The value that alarms.

    Raises:
        ValueError: p0 is not inside 0..1: 1 leaves nothing to rise to. Or `alarm_at` is below 1, which the
            first calls would reach.
    """

    p0: float
    alarm_at: float = ALARM
    calls: int = 0
    alarms: list[int] = field(default_factory=list)
    _rise: NDArray[np.float64] = field(init=False, repr=False)
    _fall: NDArray[np.float64] = field(init=False, repr=False)
    _values: NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 < self.p0 < MOST:
            raise ValueError(f"a rate of {self.p0:g} can't be watched for a rise")
        if not self.alarm_at >= 1:
            raise ValueError(f"an alarm at {self.alarm_at:g} would be raised by nothing")
        rates = np.minimum(np.asarray(FACTORS) * self.p0, MOST)
        self._rise, self._fall = np.log(rates / self.p0), np.log((1 - rates) / (1 - self.p0))
        self._values = np.zeros(len(FACTORS))

    @property
    def value(self) -> float:
        """Return the evidence for a rise so far."""
        return float(self._values.mean())

    def observe(self, outcome: float) -> bool:
        """Take the next call; return whether it alarms. After an alarm the detector starts anew.

        Args:
            outcome: 0..1, 1 for a disagreement or a harmed call.

        Raises:
            ValueError: The outcome is missing or outside 0..1.
        """
        if not 0 <= outcome <= 1:
            raise ValueError(f"an outcome of {outcome:g} is not in 0..1")
        self.calls += 1
        self._values = (1 + self._values) * np.exp(self._rise * outcome + self._fall * (1 - outcome))
        if self.value < self.alarm_at:
            return False
        self.alarms.append(self.calls)
        self._values = np.zeros(len(FACTORS))
        return True

    def run(self, outcomes: Iterable[float]) -> list[int]:
        """Take many calls; return after how many the detector alarmed, counted from its start."""
        before = len(self.alarms)
        for outcome in outcomes:
            self.observe(float(outcome))
        return self.alarms[before:]
