"""What the usual rule would say, and that the difference is explained by what it overlooks."""

from workbench.records import Action, Basis, Estimate, Recommendation
from workbench.ui.heuristic import usual_rule


def agreement(point: float | None, n: int = 1000) -> Estimate:
    return Estimate(point, 0.0, 1.0, 0.95, "anytime", n, n)


def recommendation(share: float, cap: float, high: float, basis: Basis = Basis.STRUCTURAL) -> Recommendation:
    harm = Estimate(high / 2, 0.0, high, 0.95, "anytime", 1000, 1000)
    action = Action.RAMP if share else Action.HOLD
    return Recommendation(
        action, share, cap, 0.0, share, harm, harm, basis, "the binding reason", (), (), None, (), ()
    )


def test_similar_texts_that_nobody_saw_prove_nothing() -> None:
    """The usual rule moves 10 % on similarity; the answer here is that nobody has looked."""
    found = usual_rule(agreement(0.98), recommendation(0, 0, 1.0, Basis.SEMANTIC), looked=0)
    assert found.share == 0.10
    assert "Nobody has looked" in found.why


def test_a_blocked_candidate_names_the_binding_reason() -> None:
    """High agreement over all calls can hide one lost answer; the reason says which."""
    found = usual_rule(agreement(0.96), recommendation(0, 0, 0.06), looked=0)
    assert "the binding reason" in found.why


def test_a_smaller_first_step_is_explained() -> None:
    """Where both move, the difference is the bound and one stage at a time."""
    found = usual_rule(agreement(0.96), recommendation(0.01, 0.10, 0.062))
    assert "one stage at a time" in found.why
    assert "6.2" in found.why


def test_disagreement_is_not_harm() -> None:
    """Labels can clear a candidate that agrees on 88 % only."""
    found = usual_rule(agreement(0.88), recommendation(0.01, 1.0, 0.032))
    assert found.share == 0
    assert "not a worse one" in found.why


def test_exactly_95_percent_is_not_more_than_95_percent() -> None:
    """The usual rule says more than."""
    assert usual_rule(agreement(0.95), recommendation(0, 0, 0.07)).share == 0


def test_nothing_compared_says_so() -> None:
    """Without a comparison neither rule has anything to say."""
    assert usual_rule(agreement(None, 0), recommendation(0, 0, 1.0)).agreement is None
