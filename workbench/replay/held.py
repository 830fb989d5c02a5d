"""What decides a candidate's answers beside its keys, and that its replays hold answers of one kind alone."""

from __future__ import annotations

from workbench.engines.dialects import wants_structure
from workbench.errors import UsageError
from workbench.normal import content_hash
from workbench.records import EvalKind
from workbench.replay.patching import Patcher, find_examples, patcher, shows_examples
from workbench.replay.plan import HELD_TO, SHOWN, Plan
from workbench.specs import Candidate, EvalConfig
from workbench.store import Store
from workbench.store.examples import changed_since
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


def refuse_mixed(
    store: Store, plan: Plan, candidate: Candidate, eval_config: EvalConfig, patch: Patcher | None = None
) -> None:
    """Refuse to ask otherwise than earlier replays of the candidate did, though its keys are the same.

    Their answers count as one candidate's: an answer that could not be given once must not
    stand beside those that could, nor one to another prompt.

    Args:
        store: The store.
        plan: What is to be asked.
        candidate: Who is asked.
        eval_config: The task's eval.
        patch: What requests will be changed by; read from the store where it is left out.

    Raises:
        UsageError: The eval's labels or schema that bind its answers, or what its examples show, were
            changed since this candidate was first replayed.
    """
    row, now = plan.replay, held_to(candidate, eval_config)
    earlier = replays_of(store, row.task, row.candidate_fingerprint)
    # Replays of older versions do not say.
    if any(each.plan.get(HELD_TO, now) != now for each in earlier):
        raise changed_form(row.task, candidate)
    if not shows_examples(candidate):
        return
    shown = (patch or patcher(store, candidate, row.task)).shown
    ids = [each.call_id for each in find_examples(store, candidate, row.task)]
    for each in (*earlier, row):
        was = each.plan.get(SHOWN)
        # Replays of older versions do not say; the log says what was changed since.
        if was != shown and (was is not None or changed_since(store, ids, each.created_at)):
            raise changed_examples(row.task, candidate)


def changed_form(task: str, candidate: Candidate) -> UsageError:
    """Return the error of labels or a schema that were changed between two runs."""
    return UsageError(
        f"The eval of {task!r} holds the answers of {candidate.name!r} to other labels, or to another "
        "schema, than when it was first asked: answers under both must not be mixed.",
        "Take that change of eval.toml back, or make it another candidate, which is asked anew: set "
        f'`edition` of {candidate.name!r} in workbench.toml to a text it did not have yet, such as "2".',
    )


def changed_examples(task: str, candidate: Candidate) -> UsageError:
    """Return the error of examples whose calls were changed in the log between two runs."""
    return UsageError(
        f"A call of {task!r} that {candidate.name!r} is shown as an example has another request or answer in "
        "the log than when the candidate was first asked (a conflict was resolved, or another import "
        "brought it): answers to both prompts must not be mixed.",
        f"Make it another candidate, which is asked anew: set `edition` of {candidate.name!r} in "
        'workbench.toml to a text it did not have yet, such as "2", or name other calls in `patch.examples`.',
    )
