"""Evidence over time: every step is what was known then, and the last one is the decision's own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.records import Basis, LabelVerdict, Policy
from workbench.stats.audit import AuditRow, DrawRow, semantic, structural
from workbench.stats.harm import regressions
from workbench.stats.ladder import cap_of
from workbench.stats.rows import Table, in_audit_order
from workbench.stats.trail import Arrival, AuditBoard, DrawBoard, Said, limits, reached, walk

POLICY = Policy()
VERDICTS = st.sampled_from([*LabelVerdict, None])
ROWS = st.lists(
    st.tuples(st.sampled_from(["same", "normalised", "differs", "invalid"]), st.booleans(), st.booleans()),
    min_size=1,
    max_size=40,
)
SAYINGS = st.lists(st.tuples(st.integers(0, 39), VERDICTS, st.booleans()), max_size=25)


def rows_of(kinds: list[tuple[str, bool, bool]]) -> list[AuditRow]:
    """Return rows in audit order, without a verdict."""
    return [
        AuditRow(
            call_id=f"{place:03d}",
            batch=0,
            audit_key=f"{place:03d}",
            agrees=kind in ("same", "normalised"),
            identical=kind == "same",
            invalid=kind == "invalid",
            lapsed=lapsed,
            confirmed=confirmed,
            session=str(place // 3),
        )
        for place, (kind, lapsed, confirmed) in enumerate(kinds)
    ]


def heard(rows: list[AuditRow], said: list[Said]) -> list[AuditRow]:
    """Return rows with what was said last of each."""
    now = {each.place: each for each in said}
    return [
        replace(
            row,
            verdict=now[place].verdict,
            picked=now[place].picked and now[place].verdict is not None,
            elsewhere=now[place].elsewhere and now[place].verdict is not None,
        )
        if place in now
        else row
        for place, row in enumerate(rows)
    ]


@given(ROWS, SAYINGS, st.data())
@settings(max_examples=150, deadline=None)
def test_a_step_of_an_audit_is_the_evidence_as_it_was_then(
    kinds: list[tuple[str, bool, bool]],
    sayings: list[tuple[int, LabelVerdict | None, bool]],
    data: st.DataObject,
) -> None:
    """Any prefix of calls and of what was said gives the evidence of just these, superseded or not."""
    rows = rows_of(kinds)
    said = [
        Said(place % len(rows), verdict, order, picked, elsewhere=picked and order % 2 == 0)
        for order, (place, verdict, picked) in enumerate(sayings)
    ]
    now = heard(rows, said)
    table = Table.of(in_audit_order(now))
    board = AuditBoard(table, said, 0.05)
    k = data.draw(st.integers(0, len(said)))
    n = data.draw(st.integers(1, len(rows)))
    for each in said[:k]:
        board.hear(each)
    found = board.population(n, 0)
    expected = structural(heard(rows, said[:k])[:n])
    effects = {
        "disagreement_effect": found.disagreement_effect,
        "harm_effect": found.harm_effect,
    }
    assert found == replace(expected, **effects)
    for each in said[k:]:
        board.hear(each)
    assert board.population(len(rows), 0) == structural(now)


@given(
    st.lists(st.tuples(st.floats(0.8, 1.25), st.booleans(), VERDICTS), min_size=1, max_size=15),
    st.permutations(range(15)),
)
@settings(max_examples=40, deadline=None)
def test_draws_count_in_their_order_whenever_they_are_answered(
    drawn: list[tuple[float, bool, LabelVerdict | None]], answering: list[int]
) -> None:
    """However late the first draw is answered, the last step is the queue's own evidence."""
    rows = rows_of([("differs" if place % 2 else "normalised", False, False) for place in range(20)])
    draws = [
        DrawRow(rows[place].call_id, weight, verdict, lapsed and verdict is None)
        for place, (weight, lapsed, verdict) in enumerate(drawn)
    ]
    said = [
        Said(place, drawn[place][2], 100 + order)
        for order, place in enumerate(each for each in answering if each < len(drawn) and drawn[each][2])
    ]
    whole = semantic(rows, draws, weight_max=1.25)
    table = Table.of(rows)
    board = DrawBoard(whole, draws, list(range(len(draws))), list(range(len(draws))), ~table.agrees)
    batches = [Arrival(0, len(rows), 0)]
    steps, _ = walk(board, Basis.SEMANTIC, batches, said, POLICY)
    assert steps[0].calls == len(rows)
    assert steps[-1].harm == regressions(whole, POLICY.delta).estimate
    assert [each.calls for each in steps] == [len(rows)] * len(steps)


def test_stages_are_marked_at_the_very_call_that_reaches_them() -> None:
    """Clean calls reach 5 % with the 20th, the least for any share, 10 % with the 36th, then 25 %."""
    table = Table.of(rows_of([("same", False, False)] * 400))
    table = replace(table, session=np.arange(400), request=np.arange(400))
    board = AuditBoard(table, [], 0.05)
    steps, marks = walk(board, Basis.STRUCTURAL, [Arrival(0, 400, 1)], [], POLICY)
    at = {each.stage: steps[each.step].calls for each in marks}
    # Nobody has looked, so that 25 % is the end.
    assert at == {0.01: 20, 0.05: 20, 0.1: 36, 0.25: 74}
    assert len(steps) < 70
    assert [each.harm.n for each in steps] == sorted(each.harm.n for each in steps)


def test_a_label_that_is_changed_later_counts_until_then() -> None:
    """One harmful label stops the way up; once it was taken back for a better one, the bound falls again."""
    rows = rows_of([("differs" if place == 5 else "same", False, False) for place in range(100)])
    said = [Said(5, LabelVerdict.CONTROL_BETTER, 10), Said(5, LabelVerdict.EQUAL, 11), Said(5, None, 12)]
    table = Table.of(heard(rows, said))
    table = replace(table, session=np.arange(100), request=np.arange(100))
    steps, marks = walk(AuditBoard(table, said, 0.05), Basis.STRUCTURAL, [Arrival(0, 100, 1)], said, POLICY)
    before, worse, equal, undone = steps[-4:]
    assert [each.labels for each in (before, worse, equal, undone)] == [0, 1, 1, 0]
    assert worse.harm.high == before.harm.high
    assert equal.harm.high < worse.harm.high
    assert undone.harm == before.harm
    # Once reached, a stage stays marked where it was, whatever came after.
    assert reached(steps, POLICY) == marks
    assert max(each.stage for each in marks) == 1.0
    assert undone.cap == 0.1


@given(
    st.floats(0.001, 0.3),
    st.floats(0.001, 0.3),
    st.lists(st.sampled_from([0.01, 0.02, 0.05, 0.1, 0.2, 0.5]), unique=True),
)
def test_each_limit_is_where_the_ladder_changes(tolerance: float, budget: float, stages: list[float]) -> None:
    """A bound at a line supports its stage; a bound a little above it supports less."""
    policy = Policy(tolerance=tolerance, exploration_budget=budget, ladder=(0.0, *sorted(stages), 1.0))
    lines = limits(policy)
    assert lines == sorted(lines, reverse=True)
    for bound, stage in lines:
        assert abs(cap_of(bound, policy) - stage) < 1e-9
        assert cap_of(bound + 1e-6, policy) < stage or bound + 1e-6 > 1


def test_many_calls_are_thinned_to_what_a_screen_shows() -> None:
    """However much there is, a batch of calls gives tens of points, and verdicts at most 160 more."""
    dice = np.random.default_rng(7)
    n = 100_000
    agrees = dice.random(n) > 0.02
    clean = np.zeros(n, dtype=np.bool_)
    everyone = np.arange(n, dtype=np.int64)
    table = Table(
        agrees=agrees,
        identical=agrees,
        invalid=clean,
        verdict=np.full(n, -1, dtype=np.int8),
        lapsed=clean,
        picked=clean,
        elsewhere=clean,
        confirmed=clean,
        critical=clean,
        critical_reason=clean,
        session=everyone,
        request=everyone,
    )
    differing = np.flatnonzero(~agrees)[:600]
    said = [Said(int(place), LabelVerdict.EQUAL, 10 + order) for order, place in enumerate(differing)]
    verdict = table.verdict.copy()
    verdict[differing] = 1
    now = replace(table, verdict=verdict)
    steps, _ = walk(AuditBoard(now, said, 0.05), Basis.STRUCTURAL, [Arrival(0, n, 1)], said, POLICY)
    assert len(steps) < 230
    assert steps[-1].labels == 600
