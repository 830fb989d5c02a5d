"""Blind review: the queue, labels, gold answers, and labels as files.

>>> from workbench.review import order_shown
>>> order_shown("mia", "call-1", "replay-1") in ("control_left", "candidate_left")
True
"""

from workbench.review.absolute import (
    FieldTruth,
    PairedTruth,
    amend_absolute,
    paired_truth,
    submit_absolute,
    verdict_from_absolute,
)
from workbench.review.adjudicating import (
    CastVote,
    Conflict,
    ConflictHead,
    Decision,
    adjudicate,
    conflicts,
    decision_of,
    decisions,
    disputes,
    open_conflict,
    take_decision_back,
)
from workbench.review.agreeing import AgreementReport, PairAgreement, VersionAgreement, agreement
from workbench.review.apart import Attention, ByHand, attention, by_hand, next_by_hand, pick
from workbench.review.effects import Effect, LabelMove, effect_of, label_moves, what_would_change
from workbench.review.exporting import export_labels
from workbench.review.forecast import progress
from workbench.review.gold import gold_verdict, label_from_gold
from workbench.review.gold_sets import (
    GoldAnswer,
    GoldSet,
    gold_answers,
    write_gold_set,
    write_training_set,
)
from workbench.review.guideline_texts import GuidelineText, guideline_text, guideline_texts
from workbench.review.handover import HandOver, hand_over
from workbench.review.history import choice_made, history, look_again, own_label
from workbench.review.importing import import_labels
from workbench.review.items import REASONS, ReviewItem, ReviewProgress, choice_of, order_shown
from workbench.review.judging import amend, skip, submit, undo
from workbench.review.queue import next_item
from workbench.review.states import (
    APART_SOURCES,
    COUNTED_SOURCES,
    LEASE,
    DrawState,
    EffectiveVerdict,
    Plan,
    State,
    Vote,
    draw_states,
    effective_verdicts,
    normalisation_revoked,
)
from workbench.review.status import QueueStatus, ReviewerWork, queue_status
from workbench.review.tallying import LabelReport
from workbench.review.tickets import item_of
from workbench.review.told import ToldMove, told_moves
from workbench.review.turn import Answer, Turn, answer, answer_by_hand, prepare
from workbench.review.verdicts import (
    PastVerdict,
    VerdictHistory,
    hidden_from,
    note_read,
    open_history,
    verdict_history,
)
from workbench.store.labels import Scope

__all__ = [
    "APART_SOURCES",
    "COUNTED_SOURCES",
    "LEASE",
    "REASONS",
    "AgreementReport",
    "Answer",
    "Attention",
    "ByHand",
    "CastVote",
    "Conflict",
    "ConflictHead",
    "Decision",
    "DrawState",
    "Effect",
    "EffectiveVerdict",
    "FieldTruth",
    "GoldAnswer",
    "GoldSet",
    "GuidelineText",
    "HandOver",
    "LabelMove",
    "LabelReport",
    "PairAgreement",
    "PairedTruth",
    "PastVerdict",
    "Plan",
    "QueueStatus",
    "ReviewItem",
    "ReviewProgress",
    "ReviewerWork",
    "Scope",
    "State",
    "ToldMove",
    "Turn",
    "VerdictHistory",
    "VersionAgreement",
    "Vote",
    "adjudicate",
    "agreement",
    "amend",
    "amend_absolute",
    "answer",
    "answer_by_hand",
    "attention",
    "by_hand",
    "choice_made",
    "choice_of",
    "conflicts",
    "decision_of",
    "decisions",
    "disputes",
    "draw_states",
    "effect_of",
    "effective_verdicts",
    "export_labels",
    "gold_answers",
    "gold_verdict",
    "guideline_text",
    "guideline_texts",
    "hand_over",
    "hidden_from",
    "history",
    "import_labels",
    "item_of",
    "label_from_gold",
    "label_moves",
    "look_again",
    "next_by_hand",
    "next_item",
    "normalisation_revoked",
    "note_read",
    "open_conflict",
    "open_history",
    "order_shown",
    "own_label",
    "paired_truth",
    "pick",
    "prepare",
    "progress",
    "queue_status",
    "skip",
    "submit",
    "submit_absolute",
    "take_decision_back",
    "told_moves",
    "undo",
    "verdict_from_absolute",
    "verdict_history",
    "what_would_change",
    "write_gold_set",
    "write_training_set",
]
