"""What a sample can prove before it is paid for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workbench.records import Basis, Policy
from workbench.stats import bounds
from workbench.stats.ladder import cap_of
from workbench.stats.reach import reach

POLICY = Policy(tolerance=0.05)


@given(st.integers(1, 5_000), st.integers(1, 5_000), st.none() | st.floats(0, 1))
def test_more_calls_never_prove_less(one: int, other: int, rate: float | None) -> None:
    """The best bound falls with the sample, the stage never does; harm never helps."""
    small, large = (reach(n, POLICY, rate) for n in sorted((one, other)))
    assert large.best <= small.best
    assert large.cap >= small.cap
    for each in (small, large):
        assert each.bound is None or each.bound >= each.best - 1e-12
        assert each.stage is None or each.stage <= each.cap


def test_the_next_stage_takes_the_calls_it_says() -> None:
    """With one call less the stage is not reached, with so many it is."""
    found = reach(30, POLICY)
    assert found.next_stage is not None
    assert found.next_calls is not None
    assert cap_of(bounds.anytime_upper(0.0, found.next_calls, POLICY.delta), POLICY) >= found.next_stage
    assert cap_of(bounds.anytime_upper(0.0, found.next_calls - 1, POLICY.delta), POLICY) < found.next_stage


def test_the_sentence_says_that_labels_are_needed_where_they_prove() -> None:
    """Where only people prove, the sample counts once it is labelled."""
    assert "each labelled" in reach(100, POLICY).sentence(Basis.SEMANTIC)
    assert "labelled" not in reach(100, POLICY).sentence(Basis.STRUCTURAL)
    assert "differ so far" in reach(100, POLICY, 0.1).sentence(Basis.STRUCTURAL)
