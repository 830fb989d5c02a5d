"""What the next labels on disagreements would do, from where these stand among the compared calls. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from workbench.records import Basis, LabelVerdict
from workbench.stats.audit import Audit, population_of
from workbench.stats.evidence import Population
from workbench.stats.rows import Differing, place_of_verdict


def open_disagreements(task: Population) -> int:
    """Return how many disagreements nobody has cleared or found harmful."""
    return max(task.disagreements - task.cleared - task.harms, 0)


def labelled_on(task: Population, k: int, differing: Differing, *, harmful: bool) -> Population:
    """Return a structural population whose next open disagreements are labelled, in order.

    Clusters are taken as they are known now. What was labelled out of order is taken in as far as the
    labels reach.

    Args:
        task: The population.
        k: How many get a label.
        differing: Where its disagreements stand.
        harmful: Whether each is found worse, or equal.
    """
    table = differing.table
    waiting = np.flatnonzero(~Audit.of(table).resolved)[:k]
    verdict, picked, elsewhere = table.verdict.copy(), table.picked.copy(), table.elsewhere.copy()
    verdict[waiting] = place_of_verdict(LabelVerdict.CONTROL_BETTER if harmful else LabelVerdict.EQUAL)
    picked[waiting] = elsewhere[waiting] = False
    labelled = replace(table, verdict=verdict, picked=picked, elsewhere=elsewhere)
    audit = Audit.of(labelled)
    reached = audit.audited
    found = population_of(
        labelled,
        audit,
        compared=task.compared,
        audited=int(differing.places[reached]) if reached < len(table) else task.compared,
        effects=(task.disagreement_effect, task.harm_effect),
        revoked=task.revoked,
    )
    return replace(
        found,
        normalised=task.normalised,
        normalised_labelled=task.normalised_labelled,
        normalised_harms=task.normalised_harms,
        looked=task.looked + k,
        unseen=task.unseen,
    )


def fewest_clean(
    task: Population, differing: Differing | None, enough: Callable[[Population], bool]
) -> int | None:
    """Return how few more labels without harm, on disagreements in order, make a population enough.

    Args:
        task: The population.
        differing: Where its disagreements stand; None where nobody knows.
        enough: Says whether a population is; one that has more such labels must be, too.

    Returns:
        At least 1; None where no number of them does, or it is not known.
    """
    most = open_disagreements(task)
    if differing is None or task.basis is Basis.SEMANTIC or not most:
        return None

    # All that are open are reached by a power of 2 below that.
    return least(lambda k: enough(labelled_on(task, min(k, most), differing, harmful=False)), 2 * most)


def least(does: Callable[[int], bool], most: int) -> int | None:
    """Return the least number from 1 on that does; None where the powers of 2 up to `most` show none.

    Args:
        does: Says whether a number does; whatever is greater than one that does must do, too.
        most: Where to end, in steps of doubling.
    """
    low, high = 0, 1
    while not does(high):
        low, high = high, 2 * high
        if high > most:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if does(middle) else (middle, high)
    return high
