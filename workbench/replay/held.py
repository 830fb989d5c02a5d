"""What the eval holds a candidate's answers to, and that one replay holds answers of one kind alone."""

from __future__ import annotations

from workbench.engines.dialects import wants_structure
from workbench.errors import UsageError
from workbench.normal import content_hash
from workbench.records import EvalKind
from workbench.replay.plan import HELD_TO, Plan
from workbench.specs import Candidate, EvalConfig
from workbench.store import Store
from workbench.store.replays import replays_of


def held_to(candidate: Candidate, eval_config: EvalConfig) -> str:
    """Return a hash of the labels or the schema that bind a candidate's answers; empty where nothing does.

    They stand in the eval and not in the candidate, so that its fingerprint knows nothing of them.
    """
    if candidate.engine == "transformers":
        binds = bool(candidate.parameters.get("score_labels", True))
        return _labels(eval_config) if binds else ""
    if candidate.engine == "recorded" or not wants_structure(candidate):
        return ""
    if eval_config.kind is EvalKind.FIELDS and eval_config.schema:
        return content_hash("schema", eval_config.schema)
    return _labels(eval_config)


def _labels(eval_config: EvalConfig) -> str:
    if not eval_config.names_one_label or not eval_config.labels:
        return ""
    return content_hash("labels", sorted(eval_config.labels))


def refuse_mixed(store: Store, plan: Plan, candidate: Candidate, eval_config: EvalConfig) -> None:
    """Refuse to ask under other labels, or another schema, than earlier replays of the candidate did.

    Their answers count as one candidate's: an answer that could not be given once must not
    stand beside those that could.

    Raises:
        UsageError: The eval was changed so since this candidate was first replayed.
    """
    row, now = plan.replay, held_to(candidate, eval_config)
    earlier = replays_of(store, row.task, row.candidate_fingerprint)
    # Replays of older versions do not say.
    if any(each.plan.get(HELD_TO, now) != now for each in earlier):
        raise changed_form(row.task, candidate)


def changed_form(task: str, candidate: Candidate) -> UsageError:
    """Return the error of labels or a schema that were changed between two runs."""
    return UsageError(
        f"The eval of {task!r} holds the answers of {candidate.name!r} to other labels, or to another "
        "schema, than when it was first asked: answers under both must not be mixed.",
        "Take that change of eval.toml back, or make it another candidate, which is asked anew: set "
        f'`edition` of {candidate.name!r} in workbench.toml to a text it did not have yet, such as "2".',
    )
