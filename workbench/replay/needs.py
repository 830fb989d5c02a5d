"""What a sample asks of a candidate, read off the stored requests."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.engines.base import limit_of
from workbench.engines.conformance import Needs
from workbench.records import EvalKind
from workbench.specs import Candidate, EvalConfig
from workbench.store import Store
from workbench.store.probes import arrivals, sample_shape

QUANTILES = 1_000
"""Lengths of a larger sample are given as so many quantiles, the longest among them."""


def sample_needs(
    store: Store, call_ids: Sequence[str], candidate: Candidate, eval_config: EvalConfig
) -> Needs:
    """Say what a sample asks, for `check_conformance`.

    Args:
        store: Holds the calls.
        call_ids: The sample.
        candidate: Its `parameters` and its prompt patch override what the log asked.
        eval_config: The task's eval.

    Returns:
        What its requests hold. Lengths are the frontier's token counts where the log has
        them, else a token for four characters, each with the room for the answer.
    """
    own_limit = limit_of(candidate.parameters)
    shape = sample_shape(store, call_ids, own_limit, QUANTILES)
    formats = shape.response_formats
    has_system = shape.has_system
    if candidate.patch is not None:
        if candidate.patch.response_format:
            formats = (str(candidate.patch.response_format.get("type")),)
        if candidate.patch.system is not None:
            has_system = bool(candidate.patch.system)
    structured = bool(candidate.parameters.get("structured_outputs"))
    return Needs(
        has_system=has_system,
        has_turns=shape.has_turns or bool(candidate.patch and candidate.patch.examples),
        has_tools=shape.has_tools,
        response_formats=tuple({_format(each): None for each in formats if each != "text"}),
        wants_labels=structured and eval_config.names_one_label,
        wants_schema=structured and eval_config.kind is EvalKind.FIELDS and bool(eval_config.schema),
        wants_logprobs=bool(candidate.parameters.get("logprobs", True)),
        lengths=shape.lengths,
    )


def task_needs(store: Store, candidate: Candidate, eval_config: EvalConfig) -> Needs | None:
    """Say what all calls of a task ask, or None where it has none yet."""
    ids = [each.call_id for each in arrivals(store, eval_config.task)]
    return sample_needs(store, ids, candidate, eval_config) if ids else None


def _format(kind: str) -> str:
    """Return the type of a response format; a bare schema in its place is one, too."""
    return kind if kind == "json_object" else "json_schema"
