"""Which signal of confidence a candidate's answers have, and what each call took on either side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from workbench.scoring.gathered import Gathered
from workbench.store.confidences import SIGNALS, answered

if TYPE_CHECKING:
    from workbench.store import Store


def signals_of(store: Store, found: Gathered) -> pd.DataFrame:
    """Return what `store.confidences.answered` does, one row for each compared call, in their order."""
    answers = answered(store, found.config.task, found.fingerprint)
    return found.frame[["replay_id", "call_id", "batch_order"]].merge(
        answers, on=["replay_id", "call_id"], how="left"
    )


def chosen_signal(answers: pd.DataFrame) -> str | None:
    """Return the first signal that most answers have, or None where no signal has so many.

    Args:
        answers: One column for each of `SIGNALS`, NaN where an answer has none.
    """
    known = answers[list(SIGNALS)].notna().sum()
    return next((signal for signal in SIGNALS if 2 * int(known[signal]) > len(answers)), None)
