"""How much error a look may cost where somebody looks again and again. Pure."""

from __future__ import annotations

from workbench.stats.arguments import check_delta


def level_of_look(look: int, delta: float) -> float:
    """Return the error probability of the k-th look: delta_k = delta / (k (k + 1)).

    All looks together cost at most delta, however many there are and however much they depend on each other,
    since 1/2 + 1/6 + 1/12 + ... = 1.
    Source: error spent look by look, Lan and DeMets, Biometrika 70, 1983; that levels may be added up
    whatever the dependence, Bonferroni, 1936.

    Args:
        look: Which look it is, counted from 1. The same data looked at again is no other look.
        delta: Error probability of all looks together, 0..1.

    Raises:
        ValueError: `delta` is no error probability, or the look is not counted from 1.
    """
    check_delta(delta)
    if look < 1:
        raise ValueError(f"looks are counted from 1; {look} is none")
    return delta / (look * (look + 1))
