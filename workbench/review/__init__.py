"""Blind review: the queue, labels, gold answers, and labels as files.

>>> from workbench.review import order_shown
>>> order_shown("mia", "call-1", "replay-1") in ("control_left", "candidate_left")
True
"""

from workbench.review.exporting import export_labels
from workbench.review.forecast import progress
from workbench.review.gold import gold_verdict, label_from_gold
from workbench.review.importing import LabelReport, import_labels
from workbench.review.items import REASONS, ReviewItem, ReviewProgress, order_shown
from workbench.review.judging import adjudicate, amend, disputes, history, skip, submit, undo
from workbench.review.queue import next_item, normalisation_revoked
from workbench.review.states import (
    COUNTED_SOURCES,
    LEASE,
    DrawState,
    EffectiveVerdict,
    Plan,
    State,
    Vote,
    draw_states,
    effective_verdicts,
)
from workbench.store.labels import Scope

__all__ = [
    "COUNTED_SOURCES",
    "LEASE",
    "REASONS",
    "DrawState",
    "EffectiveVerdict",
    "LabelReport",
    "Plan",
    "ReviewItem",
    "ReviewProgress",
    "Scope",
    "State",
    "Vote",
    "adjudicate",
    "amend",
    "disputes",
    "draw_states",
    "effective_verdicts",
    "export_labels",
    "gold_verdict",
    "history",
    "import_labels",
    "label_from_gold",
    "next_item",
    "normalisation_revoked",
    "order_shown",
    "progress",
    "skip",
    "submit",
    "undo",
]
