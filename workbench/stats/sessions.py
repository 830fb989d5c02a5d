"""Sessions: the share of them that hold at least one call that gets worse. Pure.

What is claimed: of the task's sessions with compared calls, how many hold a call that
a reviewer finds worse. A call without a session is a session of one, and regressions
count here even where the policy looks at the balance.

What is not claimed: a session with calls in the log that were never compared may hold
harm that nobody has seen. The lower bound and the estimate speak of the compared calls
only; the upper bound counts every such session as harmed, so that leaving calls out never
promotes. Calls whose control can't be compared, or that the log does not hold, stand
outside, as they do for the task. A session that goes on is judged by what there is of it now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from workbench.records import Basis, Estimate
from workbench.stats.cluster import design_effect, firsts
from workbench.stats.evidence import Population, SessionEvidence, WeightedOutcome
from workbench.stats.harm import regressions
from workbench.stats.rows import Bools, Places, Table, count


def session_rate(found: SessionEvidence, delta: float) -> Estimate:
    """Return the share of sessions with a harmed call; what it claims stands at the module's head.

    U = min(U(harmed + open, all sessions), U(harmed, sessions in audit order before the first open one)),
    two that invert one process, as in `regressions`; sessions seen in part count as harmed. For drawn labels
    it is the bound on harmed calls times calls a session: more sessions than harmed calls can't be harmed.
    Source: the bounds, Waudby-Smith and Ramdas, Journal of the Royal Statistical Society B 86, 2024; a
    cluster as the unit, Kish, Survey Sampling, 1965.

    Args:
        found: The evidence.
        delta: Error probability of each bound, over all looks together.
    """
    seen, doubted = regressions(found.seen, delta).estimate, regressions(found.doubted, delta).estimate
    semantic = found.seen.basis is Basis.SEMANTIC
    high = doubted.high + (found.unseen / found.n if semantic and found.n else 0.0)
    return replace(
        seen,
        # A harmed call more or less says nothing of how many sessions harmed calls fall into.
        point=None if semantic and found.longest > 1 else seen.point,
        high=min(1.0, max(high, seen.low)),
        method=doubted.method,
        n=found.n,
        n_effective=doubted.n_effective,
    )


def unseen_sessions(table: Table, logged: Places | None) -> Bools:
    """Return which sessions hold comparable calls that were not compared.

    Args:
        table: Compared calls in audit order.
        logged: Comparable calls of each call's session in the log, 0 without a session; None says
            that all were compared.
    """
    sizes = np.bincount(table.session)
    if logged is None:
        return np.zeros(sizes.size, dtype=np.bool_)
    return np.asarray(logged[firsts(table.session)] > sizes, dtype=np.bool_)


def structural_sessions(
    table: Table,
    *,
    harmful: Bools,
    waiting: Bools,
    lapsed: Bools,
    differs: Bools,
    doubtful: Bools,
    unseen: Bools,
    icc: float,
) -> SessionEvidence:
    """Return the evidence of a structural comparison by session, in the order of their first calls.

    Args:
        table: Compared calls in audit order, at least one.
        harmful: Calls that count as harmful.
        waiting: Disagreements that are still open.
        lapsed: Disagreements that were drawn and never judged.
        differs: All disagreements.
        doubtful: Agreeing calls that may be harmful and that no label will settle in order.
        unseen: Sessions with calls that were not compared.
        icc: Planned correlation of sessions that ask exactly the same.
    """
    session = table.session
    sizes = np.bincount(session)
    n = int(sizes.size)

    def holds(marked: Bools) -> Bools:
        return np.asarray(np.bincount(session, weights=marked, minlength=n) > 0, dtype=np.bool_)

    worse, open_, differing = holds(harmful), holds(waiting), holds(differs)
    judged = holds(differs & ~lapsed & ~waiting)
    first = np.flatnonzero(open_)
    audited = int(first[0]) if first.size else n
    prefix = slice(audited)
    same = _alike(session, table.request, n)

    def population(bad: Bools) -> Population:
        return Population(
            basis=Basis.STRUCTURAL,
            compared=n,
            disagreements=count(bad | open_),
            audited=audited,
            audited_disagreements=count(differing[prefix]),
            audited_lapses=count((differing & ~judged)[prefix]),
            harms=count(bad[prefix]),
            looked=count(holds(table.looked)),
            disagreement_effect=design_effect(bad | open_, [same], icc),
            harm_effect=design_effect(bad[prefix], [same[prefix]], icc),
        )

    return SessionEvidence(
        n=n,
        several=count(sizes > 1),
        unseen=count(unseen),
        longest=int(sizes.max()),
        seen=population(worse),
        doubted=population(worse | unseen | holds(doubtful)),
    )


def drawn_sessions(
    task: Population, session: Places, drawn: Sequence[int | None], unseen: Bools
) -> SessionEvidence:
    """Return the evidence of a semantic comparison by session: from drawn labels only.

    Draws are of calls, so a session is never known whole. Summed over calls, harm is at
    least the number of harmed sessions; summed with one over the session's length it is
    at most that number. The first carries the upper bound, the second the lower one.

    Args:
        task: The task's draws.
        session: Number of each compared call's session, at least one call.
        drawn: Where the call of each of the task's draws stands; None is a call that is
            no longer among the compared ones.
        unseen: Sessions with calls that were not compared.
    """
    sizes = np.bincount(session)
    mean, longest = session.size / sizes.size, int(sizes.max())
    length = [longest if place is None else int(sizes[session[place]]) for place in drawn]
    largest = task.weight_max * mean
    below = tuple(
        WeightedOutcome(each.weight * mean / size, each.outcome, each.ceiling * mean)
        for each, size in zip(task.draws, length, strict=True)
    )
    above = tuple(
        WeightedOutcome(each.weight * mean, each.outcome, each.ceiling * mean) for each in task.draws
    )
    return SessionEvidence(
        n=int(sizes.size),
        several=count(sizes > 1),
        unseen=count(unseen),
        longest=longest,
        seen=replace(task, draws=below, weight_max=largest),
        doubted=replace(task, draws=above, weight_max=largest),
    )


def _alike(session: Places, request: Places, n: int) -> Places:
    """Return one number for sessions with the same set of requests: such sessions are a cluster."""
    if n == session.size:  # Each session is one call, and they stand in the order of their numbers.
        return request
    kinds = int(request.max()) + 1
    pairs = np.unique(session * kinds + request)
    codes = np.random.default_rng(0).integers(1, 1 << 62, size=kinds, dtype=np.int64)
    # Sums wrap around; two different sets with one sum are as likely as two equal hashes.
    sums = np.add.reduceat(codes[pairs % kinds], np.searchsorted(pairs // kinds, np.arange(n)))
    _, alike = np.unique(sums, return_inverse=True)
    return np.asarray(alike, dtype=np.int64)
