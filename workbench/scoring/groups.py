"""Outcome groups of an eval: which there are, which are critical, and which were found lost."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec
import numpy as np

from workbench.compare.fields import FieldsComparator
from workbench.compare.labels import labels_of
from workbench.records import EvalKind, Policy
from workbench.specs import EvalConfig
from workbench.stats import bounds
from workbench.stats.calls import Calls
from workbench.stats.cluster import design_effect
from workbench.stats.evidence import GROUP_MINIMUM
from workbench.stats.guards import COLLAPSED
from workbench.stats.rows import Bools, Places, count

_decoder = msgspec.json.Decoder(list[tuple[str, bool, bool, bool]])


def critical_groups(config: EvalConfig) -> frozenset[tuple[str, str]]:
    """Return (kind, name) of the outcome groups that an eval marks as critical.

    Where answers hold several labels, the group of a critical one are all answers with it, alone or
    among others.
    """
    fields = {("field", path) for path, critical in guarded_fields(config).items() if critical}
    labels = config.critical_labels if config.kind is EvalKind.LABEL else ()
    return frozenset(fields | {("label", label) for label in labels})


def latched_groups(
    calls: Calls, policy: Policy, critical: Collection[tuple[str, str]] = ()
) -> frozenset[tuple[str, str]]:
    """Return the outcome groups found collapsed after any closed batch of this window.

    Once an answer is found lost, later batches alone do not bring it back.

    Args:
        calls: Compared calls.
        policy: Its level is that of the bound.
        critical: (kind, name) of the groups that are guarded however few calls they have.
    """
    batches = np.unique(calls.batch)
    if batches.size < 2:
        return frozenset()
    found = set()
    for kind, name, places, agrees, _ in calls.groups():
        fewest = 1 if (kind, name) in critical else GROUP_MINIMUM
        ends = np.unique(np.searchsorted(calls.batch[places], batches, side="right")).tolist()
        if any(_collapsed(calls, places[:end], agrees[:end], policy, fewest) for end in ends):
            found.add((kind, name))
    return frozenset(found)


def _collapsed(calls: Calls, places: Places, agrees: Bools, policy: Policy, minimum: int) -> bool:
    """Say whether agreement within a group is surely too low, as the decision's own guard does."""
    n, agreeing = int(places.size), count(agrees)
    if n < minimum or bounds.anytime(agreeing, n, policy.delta).high >= COLLAPSED:
        return False
    effect = design_effect(~agrees, [each[places] for each in calls.table.clusters], policy.icc)
    return bounds.anytime(agreeing, n, policy.delta, deff=effect.value).high < COLLAPSED


def critical_labels(
    config: EvalConfig, control: str | None, candidate: str | None
) -> tuple[dict[str, bool], bool]:
    """Return what a pair of answers says of the labels that an eval marks as critical.

    Args:
        config: The eval.
        control: Outcome group of the frontier's answer.
        candidate: Outcome group of the candidate's; None where it is no answer.

    Returns:
        Of several labels, for each critical one of the control whether the candidate gives it, too; and
        whether the pair is about a critical label: the control's or, of several, either side's.
    """
    critical = frozenset(config.critical_labels) if config.kind is EvalKind.LABEL else frozenset()
    if not critical:
        return {}, False
    if not config.several:
        return {}, control in critical
    there = labels_of(candidate)
    kept = {label: label in there for label in sorted(critical & labels_of(control))}
    return kept, bool(kept) or bool(critical & there)


def guarded_fields(config: EvalConfig) -> dict[str, bool]:
    """Return the required and the critical fields of an eval, and whether each is critical."""
    if config.kind is not EvalKind.FIELDS:
        return {}
    return {
        rule.path: rule.critical
        for rule in FieldsComparator(config).rules
        if (rule.required or rule.critical) and rule.path and rule.compare != "ignore"
    }


def field_agreement(
    parts: Any, required: Mapping[str, bool], *, invalid: bool
) -> tuple[dict[str, bool], bool]:
    """Return agreement by required field of the control, and whether a critical field differs.

    Args:
        parts: What a comparison keeps of its fields, as JSON (see `store.comparisons.parts_of`).
        required: The guarded fields, and whether each is critical.
        invalid: Whether the candidate's answer is none.
    """
    if not required:
        return {}, False
    shown = _decoder.decode(parts) if isinstance(parts, str) else []
    if not shown:
        # An answer that can't be read has none of its fields.
        return (dict.fromkeys(required, False), any(required.values())) if invalid else ({}, False)
    found = {path: equal for path, equal, there, _ in shown if path in required and there}
    return found, any(critical and not equal for _, equal, _, critical in shown)
