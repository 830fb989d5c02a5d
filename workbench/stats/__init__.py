"""Statistics that need neither store nor app: bounds, thresholds, agreement, drift.

>>> from workbench.stats import anytime_upper
>>> round(anytime_upper(0, 74, 0.05), 3)
0.05

Each name is imported when it is first asked for, so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.stats.agreement import (
        agreement_by_label,
        cohen_kappa,
        confusion,
        gwet_ac1,
        krippendorff_alpha,
        pairwise_kappa,
    )
    from workbench.stats.bounds import (
        anytime,
        anytime_lower,
        anytime_upper,
        calls_needed,
        exact,
        exact_lower,
        exact_upper,
        size_needed,
    )
    from workbench.stats.calibration import calibrated
    from workbench.stats.cluster import design_effect
    from workbench.stats.content import told_apart, told_limits, two_sample
    from workbench.stats.drift import EDetector
    from workbench.stats.harm import net, regressions
    from workbench.stats.latency_pairs import compare_latencies
    from workbench.stats.looks import level_of_look
    from workbench.stats.mix import moved_limits, moved_share, population_stability
    from workbench.stats.noise import asked_again as noise_asked_again
    from workbench.stats.noise import ceiling as noise_ceiling
    from workbench.stats.noise import from_pairs as noise_from_pairs
    from workbench.stats.noise import pair_share as noise_pair_share
    from workbench.stats.paired import mcnemar, tango
    from workbench.stats.percentiles import percentile
    from workbench.stats.prediction import ppi_mean, predicted_harm
    from workbench.stats.reweighting import reweighted
    from workbench.stats.sessions import session_rate
    from workbench.stats.thresholds import auroc, frozen_grid, is_for_tuning, learn_then_test
    from workbench.stats.weighted import lower as weighted_lower
    from workbench.stats.weighted import upper as weighted_upper

__all__ = [
    "EDetector",
    "agreement_by_label",
    "anytime",
    "anytime_lower",
    "anytime_upper",
    "auroc",
    "calibrated",
    "calls_needed",
    "cohen_kappa",
    "compare_latencies",
    "confusion",
    "design_effect",
    "exact",
    "exact_lower",
    "exact_upper",
    "frozen_grid",
    "gwet_ac1",
    "is_for_tuning",
    "krippendorff_alpha",
    "learn_then_test",
    "level_of_look",
    "mcnemar",
    "moved_limits",
    "moved_share",
    "net",
    "noise_asked_again",
    "noise_ceiling",
    "noise_from_pairs",
    "noise_pair_share",
    "pairwise_kappa",
    "percentile",
    "population_stability",
    "ppi_mean",
    "predicted_harm",
    "regressions",
    "reweighted",
    "session_rate",
    "size_needed",
    "tango",
    "told_apart",
    "told_limits",
    "two_sample",
    "weighted_lower",
    "weighted_upper",
]

_HOMES = {
    "agreement": (
        "agreement_by_label",
        "cohen_kappa",
        "confusion",
        "gwet_ac1",
        "krippendorff_alpha",
        "pairwise_kappa",
    ),
    "bounds": (
        "anytime",
        "anytime_lower",
        "anytime_upper",
        "calls_needed",
        "exact",
        "exact_lower",
        "exact_upper",
        "size_needed",
    ),
    "calibration": ("calibrated",),
    "cluster": ("design_effect",),
    "content": ("told_apart", "told_limits", "two_sample"),
    "drift": ("EDetector",),
    "harm": ("net", "regressions"),
    "latency_pairs": ("compare_latencies",),
    "looks": ("level_of_look",),
    "mix": ("moved_limits", "moved_share", "population_stability"),
    "noise": ("noise_asked_again", "noise_ceiling", "noise_from_pairs", "noise_pair_share"),
    "paired": ("mcnemar", "tango"),
    "percentiles": ("percentile",),
    "prediction": ("ppi_mean", "predicted_harm"),
    "reweighting": ("reweighted",),
    "sessions": ("session_rate",),
    "thresholds": ("auroc", "frozen_grid", "is_for_tuning", "learn_then_test"),
    "weighted": ("weighted_lower", "weighted_upper"),
}
_IN_FRONT = ("noise", "weighted")
"""Modules whose names say little without them: in public they carry it in front."""
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOME[name]
    inner = name.removeprefix(f"{home}_") if home in _IN_FRONT else name
    return getattr(import_module(f"{__name__}.{home}"), inner)


def __dir__() -> list[str]:
    return __all__
