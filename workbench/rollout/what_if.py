"""What another policy would say of the same evidence: an answer to look at, never to act on.

A `WhatIf` is no recommendation: it has no evidence hash, so that nothing can be accepted by it, and
whatever reads the log or exports the ramp decides under the saved policy.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from workbench.access import requires
from workbench.config import Workspace
from workbench.eval_checks import check_policy
from workbench.records import Policy, Recommendation
from workbench.roles import Right
from workbench.scoring.considered import consider

if TYPE_CHECKING:
    from workbench.store import Store

CONFIDENCE = frozenset({"level", "icc", "harm"})
"""What a bound is computed with: to choose it after the bound was seen changes how sure the bound is."""
LIMITS = frozenset(
    {"tolerance", "critical_tolerance", "session_tolerance", "maximum_invalid", "latency_p95_ms"}
)
"""What a bound is held against: the bound stays as sure as it was, the limit stops being one."""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What would be recommended under a policy that is not saved.

    `changed` names the fields that differ from the saved policy, `lines` is what `eval.toml` would
    have to say, and `notes` say what a change after the look does to the promise.
    """

    saved: Policy
    tried: Policy
    changed: tuple[str, ...]
    answer: Recommendation
    lines: str
    notes: tuple[str, ...]


@requires(Right.SEE)
def what_if(
    workspace: Workspace,
    store: Store,
    task: str,
    candidate: str,
    policy: Policy,
    *,
    current_share: float = 0.0,
) -> WhatIf:
    """Ask the decision again under another policy. Nothing is saved, and nothing can be accepted by it.

    Args:
        workspace: Names the eval and the candidate.
        store: Holds the evidence.
        task: The task.
        candidate: The candidate's name.
        policy: The policy to try.
        current_share: Share that the candidate serves now, 0..1.

    Raises:
        UsageError: A name is unknown, or the policy could not stand in eval.toml.
    """
    config = workspace.eval_for(task)
    check_policy(policy, workspace.root / "evals" / task / "eval.toml")
    made = consider(workspace, store, task, candidate, current_share=current_share, policy=policy)
    changed = changed_fields(config.policy, policy)
    return WhatIf(
        saved=config.policy,
        tried=policy,
        changed=changed,
        answer=made.recommendation,
        lines=policy_lines(policy, changed),
        notes=promises(config.policy, policy),
    )


def changed_fields(saved: Policy, tried: Policy) -> tuple[str, ...]:
    """Return the names of the fields in which two policies differ, in their order."""
    return tuple(
        each.name for each in fields(Policy) if getattr(saved, each.name) != getattr(tried, each.name)
    )


def policy_lines(policy: Policy, names: tuple[str, ...]) -> str:
    """Return fields of a policy as they stand in `[policy]` of eval.toml.

    A field that has no value any more is one to take out, which a comment says.
    """
    lines = ["[policy]"]
    for name in names:
        value = getattr(policy, name)
        lines.append(f"# take out: {name}" if value is None else f"{name} = {_toml(value)}")
    return "\n".join(lines)


def promises(saved: Policy, tried: Policy) -> tuple[str, ...]:
    """Say what each change does to the promise, if it is made because of what the evidence looks like.

    The bound at one level holds however often anybody looks, and against every limit at once
    (Ville's inequality): P(harm is ever above U) is at most 1 - level, whatever U is compared with.
    It says nothing of a level that is chosen once U is known.
    """
    changed = set(changed_fields(saved, tried))
    found = []
    if changed & LIMITS:
        found.append(
            "A limit that moves after the look: the bound stays as sure as it was, since it holds against "
            "every limit at once. But a tolerance set to fit the evidence limits nothing any more. Move it "
            "only for a reason that stood before you looked, such as what a bad answer costs."
        )
    if "level" in changed:
        least = min(saved.level, tried.level)
        found.append(
            "A confidence that moves after the look is a peek: whoever would have settled for "
            f"{100 * least:g} % was {100 * least:g} % sure all along, whatever the page says. The promise is "
            "only as strong as the weakest confidence that you were ready to take."
        )
    if "harm" in changed:
        found.append(
            "Choosing how harm is counted after seeing both is a second chance: either bound errs with "
            f"{100 * tried.delta:.3g} %, the better of the two with up to {200 * tried.delta:.3g} %."
        )
    if "icc" in changed:
        found.append(
            "The correlation within sessions is an assumption about the traffic. Lowered because the bound "
            "is too high, it makes the bound look surer than it is."
        )
    if changed & {"ladder", "exploration_budget"}:
        found.append(
            "Other stages or another budget leave every bound as it is. They change how many calls are "
            "exposed while the bound is still above the tolerance."
        )
    if changed - CONFIDENCE - LIMITS - {"ladder", "exploration_budget"}:
        found.append(
            "The other rules are guards against what no bound sees. Lowered, they no longer guard; no bound "
            "makes up for that."
        )
    return tuple(found)


def _toml(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(each) for each in value)}]"
    return repr(value)
