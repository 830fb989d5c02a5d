"""Which looked-at calls count, in which order, and as what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.ramp import recommend
from workbench.records import Basis, LabelVerdict, Policy
from workbench.stats.audit import AuditRow, DrawRow, combine, critical, from_rows, kappa, semantic, structural
from workbench.stats.harm import regressions

WORSE, SAME, BETTER, BAD = (
    LabelVerdict.CONTROL_BETTER,
    LabelVerdict.EQUAL,
    LabelVerdict.CANDIDATE_BETTER,
    LabelVerdict.BOTH_BAD,
)


def rows(pattern: str) -> list[AuditRow]:
    """Build rows in audit order: . agrees, ~ agrees after normalisation, others disagree.

    w worse, e equal, b better, x both bad, ? open, l lapsed.
    """
    verdicts = {"w": WORSE, "e": SAME, "b": BETTER, "x": BAD}
    return [
        AuditRow(
            f"c{i}",
            0,
            f"{i:04d}",
            agrees=each in ".~",
            identical=each == ".",
            verdict=verdicts.get(each),
            lapsed=each == "l",
        )
        for i, each in enumerate(pattern)
    ]


def test_the_audit_ends_before_the_first_open_disagreement() -> None:
    found = structural(rows("..w..e.b.?.w.e"))
    assert (found.compared, found.disagreements) == (14, 6)
    assert (found.audited, found.audited_disagreements, found.harms) == (9, 3, 1)
    assert (found.cleared, found.cleared_better, found.audited_better) == (3, 1, 1)


def test_agreeing_calls_before_the_first_open_disagreement_are_audited_for_free() -> None:
    assert structural(rows("....?...")).audited == 4
    assert structural(rows("........")).audited == 8


@settings(max_examples=60, deadline=None)
@given(
    pattern=st.text(alphabet="..~?weblx", min_size=2, max_size=40),
    copies=st.integers(2, 8),
    icc=st.floats(0.0, 1.0),
)
def test_duplicates_move_the_bound_only_as_clusters(pattern: str, copies: int, icc: float) -> None:
    """Copies of a request tell at most what calls over the planned effect tell; at an icc of 1, nothing."""
    once = [replace(each, request_hash=each.call_id) for each in rows(pattern)]
    again = [
        replace(each, call_id=f"{each.call_id}-{n}", audit_key=f"{each.audit_key}-{n}")
        for each in once
        for n in range(copies)
    ]
    policy = Policy(icc=icc)
    single = regressions(structural(once, icc=icc), policy.delta).estimate
    several = structural(again, icc=icc)
    effect = several.disagreement_effect.value
    assert effect >= 1 + (copies - 1) * icc - 1e-9
    found = regressions(several, policy.delta).estimate
    assert found.n_effective <= copies * len(once) / (1 + (copies - 1) * icc) + 1e-6
    apart = structural([replace(each, request_hash=each.call_id) for each in again], icc=icc)
    assert found.high >= regressions(apart, policy.delta).estimate.high - 1e-9
    if icc == 1.0:
        assert found.high >= single.high - 1e-9


@pytest.mark.parametrize("first", ["?", "l", "l" + "." * 40 + "l"])
def test_a_run_of_agreements_that_stands_first_proves_nothing_before_someone_judges(first: str) -> None:
    """Until a person has judged a disagreement in order, every disagreement counts, wherever it stands."""
    lucky = structural(rows("." * 150 + first + "." * 40 + "?" * 30 + "." * 100))
    bound = regressions(lucky, 0.05).estimate
    assert bound.high == pytest.approx(
        regressions(replace(lucky, audited=0, audited_disagreements=0, harms=0), 0.05).estimate.high
    )
    judged = structural(rows("." * 150 + "e" + "." * 40 + "?" * 30 + "." * 100))
    assert regressions(judged, 0.05).estimate.high < bound.high


def test_a_lapse_is_audited_harmful_and_no_look() -> None:
    found = structural(rows("..l..e.."))
    assert (found.audited, found.harms, found.cleared, found.looked) == (8, 1, 1, 1)


def test_both_bad_is_no_harm() -> None:
    found = structural(rows("x.w"))
    assert (found.harms, found.cleared) == (1, 1)


def test_the_worst_verdict_counts_until_adjudicated() -> None:
    assert combine([SAME, WORSE, BETTER]) is WORSE
    assert combine([SAME, WORSE], adjudicated=SAME) is SAME
    assert combine([]) is None


def test_a_later_batch_comes_after_an_earlier_one_whatever_its_keys() -> None:
    late = AuditRow("late", 1, "0000", agrees=False)
    found = structural([late, *rows("..w..")])
    assert (found.audited, found.harms) == (5, 1)


def test_labels_picked_by_hand_count_only_where_they_cover_everything() -> None:
    picked = [replace(row, picked=row.verdict is not None) for row in rows(".w.e.?")]
    found = structural(picked)
    assert (found.audited, found.cleared, found.harms, found.looked) == (1, 0, 0, 2)
    covering = [replace(row, picked=row.verdict is not None) for row in rows(".w.e.b")]
    found = structural(covering)
    assert (found.audited, found.cleared, found.harms) == (6, 2, 1)


def test_a_lapse_does_not_take_picked_harm_out_of_the_count() -> None:
    found = structural([replace(row, picked=row.verdict is not None) for row in rows(".w.w.l")])
    assert (found.audited, found.harms) == (6, 3)


def test_an_invalid_output_is_a_disagreement() -> None:
    odd = AuditRow("c", 0, "0", agrees=True, identical=True, invalid=True)
    assert structural([odd]).disagreements == 1


def test_harm_behind_normalisation_needs_a_second_reviewer_to_revoke() -> None:
    found = rows(".~~.w")
    found[1] = replace(found[1], verdict=WORSE)
    assert not structural(found).revoked
    found[1] = replace(found[1], confirmed=True)
    task = structural(found)
    assert (task.revoked, task.normalised, task.normalised_labelled, task.normalised_harms) == (True, 2, 1, 1)


def test_a_lapsed_check_of_the_normalisation_counts_as_confirmed() -> None:
    found = rows(".~~.w")
    found[2] = replace(found[2], lapsed=True)
    assert structural(found).revoked


def test_a_check_of_the_normalisation_picked_by_hand_proves_nothing_about_the_others() -> None:
    """Somebody chose which pairs to look at: their harmless ones neither dilute nor settle the drawn ones."""
    found = rows("....~~~~~w")
    found[4] = replace(found[4], verdict=WORSE, confirmed=True)
    for place in (5, 6, 7):
        found[place] = replace(found[place], verdict=SAME, picked=True)
    task = structural(found)
    assert (task.revoked, task.normalised_labelled, task.normalised_harms) == (True, 1, 1)
    lapsed = rows("....~~~w")
    lapsed[5] = replace(lapsed[5], verdict=SAME, picked=True, lapsed=True)
    assert structural(lapsed).revoked
    covering = [
        replace(row, verdict=SAME, picked=True) if not row.identical else row for row in rows("..~~~.")
    ]
    assert structural(covering).normalised_labelled == 3


def test_a_revocation_never_lowers_the_bound() -> None:
    found = structural([*rows("." * 300 + "~" * 20 + "e" * 10)])
    before = regressions(found, 0.05).estimate
    after = regressions(replace(found, normalised_labelled=20, revoked=True), 0.05).estimate
    assert after.high >= before.high


def test_groups_slices_and_fields_are_split() -> None:
    found = [
        replace(
            row,
            control_group="ab"[i % 2],
            candidate_group="ab"[i % 2] if row.agrees else "?",
            slices=(("language", "en" if i < 30 else "de"),),
            fields={"due": row.agrees or i % 2 == 0},
        )
        for i, row in enumerate(rows("." * 38 + "w?"))
    ]
    evidence = from_rows(found, basis=Basis.STRUCTURAL)
    assert [(each.value, each.traffic_share) for each in evidence.slices] == [("de", 0.25), ("en", 0.75)]
    assert {(g.kind, g.name): (g.n, g.agreements) for g in evidence.groups} == {
        ("label", "a"): (20, 19),
        ("label", "b"): (20, 19),
        ("field", "due"): (40, 39),
    }
    assert sum(cell.traffic_share for cell in evidence.cells) == pytest.approx(1)


@pytest.mark.parametrize("basis", list(Basis))
def test_a_slice_of_which_nothing_was_compared_gets_no_traffic(basis: Basis) -> None:
    """What the log holds and the sample lacks is unproven, not forgotten."""
    english, japanese = (("language", "en"),), (("language", "ja"),)
    found = [replace(row, slices=english) for row in rows("." * 100)]
    draws = [DrawRow(row.call_id, 1.0, SAME) for row in found] if basis is Basis.SEMANTIC else []
    evidence = from_rows(found, basis=basis, draws=draws, traffic={english: 180, japanese: 20}, days=10)
    assert [(each.value, each.traffic_share) for each in evidence.slices] == [("en", 0.9), ("ja", 0.1)]
    answer = recommend(evidence, Policy())
    assert [(each.value, each.status, each.share) for each in answer.slices] == [
        ("ja", "unproven", 0.0),
        ("en", "active", 0.01),
    ]
    assert answer.effective_share == pytest.approx(0.009)


def test_open_disagreements_are_critical_where_nothing_marks_what_is() -> None:
    found = rows("..?.?..")
    assert critical(found, basis=Basis.STRUCTURAL, marked=False).disagreements == 2
    assert critical(found, basis=Basis.STRUCTURAL, marked=True).disagreements == 0
    found[2] = replace(found[2], critical=True)
    assert critical(found, basis=Basis.STRUCTURAL, marked=True).disagreements == 1


def test_critical_harm_comes_from_marks_reasons_and_lapses() -> None:
    found = rows("w.w.e.l.w")
    found[0] = replace(found[0], critical=True)
    found[2] = replace(found[2], critical_reason=True)
    task = critical(found, basis=Basis.STRUCTURAL, marked=True)
    assert (task.harms, task.audited, task.compared) == (3, 9, 9)


def test_draws_count_up_to_the_first_open_one() -> None:
    draws = [
        DrawRow("c0", 1.25, SAME),
        DrawRow("c1", 0.3, WORSE),
        DrawRow("c2", 1.25, lapsed=True),
        DrawRow("c3", 1.25, BETTER),
        DrawRow("c4", 1.25),
        DrawRow("c5", 1.25, WORSE),
    ]
    found = semantic(rows("......"), draws, weight_max=1.25)
    assert [(each.weight, each.outcome) for each in found.draws] == [
        (1.25, 0),
        (0.3, 1),
        (1.25, 1),
        (1.25, -1),
    ]


def test_draws_that_fall_into_a_slice_estimate_the_harm_of_the_slice() -> None:
    """Weights inside a slice average to 1, so that the weighted mean is the slice's own harm."""
    rng = np.random.default_rng(5)
    share, n = 0.1, 4000
    everything = [
        AuditRow(
            f"c{i}",
            0,
            f"{i:05d}",
            agrees=i >= share * n,
            slices=(("s", "in" if i % 3 == 0 or i < 100 else "out"),),
        )
        for i in range(n)
    ]
    aimed = 0.8 * share + 0.2
    mismatches, matches = everything[: int(share * n)], everything[int(share * n) :]
    draws = []
    for _ in range(20_000):
        aim = rng.random() < aimed
        pool = mismatches if aim else matches
        row = pool[rng.integers(len(pool))]
        draws.append(DrawRow(row.call_id, share / aimed if aim else 1.25, WORSE if aim else SAME))
    part = [row for row in everything if row.slices == (("s", "in"),)]
    found = semantic(everything, draws, weight_max=1.25, part=part, icc=0.0)
    weights = [each.weight for each in found.draws]
    truth = sum(not row.agrees for row in part) / len(part)
    assert np.mean(weights) == pytest.approx(1, abs=0.02)
    assert np.mean([each.weight * each.outcome for each in found.draws]) == pytest.approx(truth, abs=0.02)
    assert max(weights) <= found.weight_max


def test_kappa_is_chance_corrected() -> None:
    assert kappa([("a", "a"), ("b", "b")]) == pytest.approx(1)
    assert kappa([("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")]) == pytest.approx(0)
    assert kappa([("a", "a")]) is None
    assert kappa([]) is None


@settings(deadline=None, max_examples=60)
@given(st.text(alphabet="..~webx?l", min_size=1, max_size=60))
def test_counts_are_consistent(pattern: str) -> None:
    """Whatever was looked at: harms are audited, cleared ones are disagreements, bounds are ordered."""
    found = structural(rows(pattern))
    assert (
        found.harms + found.audited_better <= found.audited_disagreements <= found.audited <= found.compared
    )
    assert found.harms <= found.disagreements - found.cleared <= found.disagreements
    estimate = regressions(found, 0.05).estimate
    assert 0 <= estimate.low <= 1
    assert 0 <= estimate.high <= 1


def test_both_bounds_together_err_no_more_than_promised() -> None:
    """Labels arrive in order, some cleared early; the smaller of both bounds keeps its promise."""
    rng = np.random.default_rng(2)
    wrong, runs, harm, disagree = 0, 150, 0.06, 0.12
    for _ in range(runs):
        kind = rng.choice([".", "w", "e"], size=400, p=[1 - disagree, harm, disagree - harm])
        truth_rows = rows("".join(kind))
        for stop in range(20, 401, 20):
            known = [
                row if row.agrees or i < stop else replace(row, verdict=None)
                for i, row in enumerate(truth_rows)
            ]
            if regressions(structural(known, icc=0.0), 0.05).estimate.high < harm:
                wrong += 1
                break
    assert wrong / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5


CALLS = st.lists(
    st.tuples(
        st.sampled_from(".~?webxl"),
        st.sampled_from(("en", "de", None)),
        st.sampled_from(("s1", "s2", None)),
        st.sampled_from("abc"),
        st.booleans(),
        st.booleans(),
    ),
    max_size=60,
)


@given(CALLS, st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_slice_or_group_is_judged_as_if_its_calls_were_all_there_are(
    calls: list[tuple[str, str | None, str | None, str, bool, bool]], drawn: bool
) -> None:
    """Own evidence only; all that a part takes from the task is a revocation, and the draws' weights."""
    made = [
        replace(
            row,
            slices=(("language", language),) if language else (),
            session=session,
            control_group=label,
            picked=picked and row.verdict is not None,
            invalid=invalid and not row.agrees,
        )
        for row, (_, language, session, label, picked, invalid) in zip(
            rows("".join(each[0] for each in calls)), calls, strict=True
        )
    ]
    draws = [DrawRow(row.call_id, 1.25 if row.agrees else 0.8, row.verdict, row.lapsed) for row in made[::2]]
    basis = Basis.SEMANTIC if drawn else Basis.STRUCTURAL
    found = from_rows(made, basis=basis, draws=draws, weight_max=1.25)
    parts = {
        (each.name, each.value): ([row for row in made if row.slices == ((each.name, each.value),)], each)
        for each in found.slices
    }
    parts |= {
        (each.kind, each.name): ([row for row in made if row.control_group == each.name], each)  # type: ignore[misc]
        for each in found.groups
    }
    assert {value for _, value in parts if value in ("en", "de")} == {each[1] for each in calls} - {None}
    for members, part in parts.values():
        if drawn:
            assert part.population == semantic(made, draws, weight_max=1.25, part=members)
        else:
            assert part.population == structural(members, revoked=found.task.revoked)


def test_a_guarded_label_among_others_has_a_group_of_its_own() -> None:
    """Every answer with it counts, alone or not, and agrees where the candidate gives that label, too."""
    made = [
        AuditRow("1", 0, "1", True, True, control_group="fraud", labels={"fraud": True}),
        AuditRow("2", 0, "2", False, control_group="a + fraud", labels={"fraud": True}),
        AuditRow("3", 0, "3", False, control_group="b + fraud", labels={"fraud": False}),
        AuditRow("4", 0, "4", False, control_group="b"),
    ]
    found = from_rows(made, basis=Basis.STRUCTURAL, critical_groups=[("label", "fraud"), ("label", "never")])
    groups = {each.name: (each.n, each.agreements, each.critical) for each in found.groups}
    assert groups == {"fraud": (3, 2, True), "never": (0, 0, True)}
    (fraud, _) = found.groups
    assert (fraud.population.compared, fraud.population.disagreements) == (3, 1)
