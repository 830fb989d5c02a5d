"""Routing before the small model is asked: a readable rule, proven on calls it was not learnt from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from workbench.records import Basis, LabelVerdict, Policy, to_json
from workbench.routing import Condition, Tree, features_of, grow, in_words, learning_half, route
from workbench.slices_found import ranked
from workbench.stats import bounds
from workbench.stats.audit import AuditRow, DrawRow, from_rows

POLICY = Policy()
WORSE, EQUAL = LabelVerdict.CONTROL_BETTER, LabelVerdict.EQUAL


def rows_of(harmed: NDArray[Any], *, labelled: bool = True, session: int | None = None) -> list[AuditRow]:
    return [
        AuditRow(
            f"c{i}",
            0,
            f"{i:06d}",
            agrees=not bad,
            identical=not bad,
            verdict=WORSE if bad and labelled else None,
            session=None if session is None else f"s{i // session}",
        )
        for i, bad in enumerate(harmed)
    ]


def world(rng: np.random.Generator, n: int, bad: float = 0.3) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """Long German inputs go wrong, everything else hardly ever."""
    columns = {
        "input characters": rng.integers(1, 1001, n).astype(np.float64),
        "turns": rng.integers(1, 4, n).astype(np.float64),
        "language": rng.choice(np.asarray(["de", "en", "fr"], dtype=object), n),
    }
    hard = (columns["input characters"] > 500) & (columns["language"] == "de")
    return rng.random(n) < np.where(hard, bad, 0.01), columns


def test_net_harm_is_said_as_a_balance_and_never_as_a_negative_share() -> None:
    """Four in a hundred calls get worse and sixteen better: the balance is no share that gets worse."""
    rng = np.random.default_rng(0)
    said = rng.choice([0, 1, 2], size=3000, p=[0.8, 0.04, 0.16])
    verdicts = {1: WORSE, 2: LabelVerdict.CANDIDATE_BETTER}
    rows = [
        AuditRow(
            f"c{i}",
            0,
            f"{i:06d}",
            agrees=not each,
            identical=not each,
            verdict=verdicts.get(each),
            slices=(("side", "left" if i % 2 else "right"),),
        )
        for i, each in enumerate(said.tolist())
    ]
    side = np.asarray(["left" if i % 2 else "right" for i in range(3000)], dtype=object)
    policy = Policy(harm="net")
    report = route(rows, {"side": side}, policy, confidence=rng.random(3000).tolist())
    slices = ranked(list(from_rows(rows, basis=Basis.STRUCTURAL).slices), policy)
    sentences = [each.sentence for each in (*report.leaves, *report.ways, *slices)]
    assert len(sentences) >= 6
    for each in sentences:
        assert "n balance at least" in each
        assert "get better" in each
        assert "-" not in each.replace("By confidence of at least", "")


# --- the tree ---------------------------------------------------------------------------------


def test_the_tree_finds_what_makes_calls_hard_and_says_it_in_words() -> None:
    """Length and language are the rule; what has nothing to do with harm is not."""
    harmed, columns = world(np.random.default_rng(0), 4000)
    tree = grow(columns, harmed.astype(float), np.ones(4000), tolerance=0.05, delta=0.05, least=20, depth=3)
    assert 2 <= len(tree.leaves) <= 8
    assert max(len(each) for each in tree.leaves) <= 3
    said = " / ".join(in_words(each) for each in tree.leaves)
    assert "language is 'de'" in said
    assert "input characters" in said
    leaf = tree.leaf_of(columns)
    rates = np.bincount(leaf, weights=harmed) / np.bincount(leaf)
    assert rates.max() > 0.2
    assert sorted(set(leaf.tolist())) == list(range(len(tree.leaves)))


def test_leaves_that_would_be_routed_alike_are_joined() -> None:
    """Half a percent and one percent of harm are no difference to a router."""
    rng = np.random.default_rng(1)
    side = rng.integers(0, 2, 4000).astype(float)
    harmed = rng.random(4000) < np.where(side > 0, 0.012, 0.003)
    tree = grow({"side": side}, harmed.astype(float), np.ones(4000), tolerance=0.05, delta=0.05, least=20)
    assert tree == Tree(((),))
    assert in_words(()) == "every call"


def test_what_nothing_is_proven_from_is_not_split() -> None:
    """Poor and doubtful calls go to the frontier alike: telling them apart costs certainty for nothing."""
    rng = np.random.default_rng(13)
    side = rng.integers(0, 2, 400).astype(float)
    harmed = rng.random(400) < np.where(side > 0, 0.5, 0.06)
    split = {"tolerance": 0.05, "delta": 0.05, "least": 20}
    assert grow({"side": side}, harmed.astype(float), np.ones(400), **split) == Tree(((),))  # type: ignore[arg-type]
    split["tolerance"] = 0.2
    assert len(grow({"side": side}, harmed.astype(float), np.ones(400), **split).leaves) == 2  # type: ignore[arg-type]


def test_every_call_is_in_one_leaf_with_unknown_values_too() -> None:
    """What is missing or new goes where the condition does not hold."""
    tree = Tree(
        (
            (Condition("n", 5.0), Condition("language", "de")),
            (Condition("n", 5.0), Condition("language", "de", holds=False)),
            (Condition("n", 5.0, holds=False),),
        )
    )
    columns = {
        "n": np.asarray([1.0, 1.0, 9.0, np.nan]),
        "language": np.asarray(["de", "never seen", "de", "de"], dtype=object),
    }
    assert tree.leaf_of(columns).tolist() == [0, 1, 2, 2]
    assert in_words(tree.leaves[1]) == "n at most 5, language is not 'de'"
    assert in_words((Condition("n", 5.0, holds=False), Condition("n", 9.0))) == "n above 5 and at most 9"


def test_calls_of_unknown_outcome_teach_nothing() -> None:
    """Weights of 0 leave a call out; without any known one there is one leaf."""
    harmed, columns = world(np.random.default_rng(2), 500)
    loss = harmed.astype(float)
    assert grow(columns, loss, np.zeros(500), tolerance=0.05, delta=0.05, least=20) == Tree(((),))


# --- halves -----------------------------------------------------------------------------------


def test_a_session_is_never_split_and_halves_do_not_move() -> None:
    """The half is a hash: more calls later leave the earlier ones where they are."""
    rows = rows_of(np.zeros(1000, dtype=bool), session=4)
    half = learning_half(rows)
    assert all(len(set(part.tolist())) == 1 for part in np.split(half, 250))
    assert 400 < half.sum() < 600
    assert (learning_half(rows[:200]) == half[:200]).all()
    assert (learning_half(rows, seed=1) != half).any()


# --- the report -------------------------------------------------------------------------------


def test_what_is_proven_is_sent_and_both_wrong_paths_are_bounded() -> None:
    """The rule keeps hard calls on the frontier and says what each path gets wrong."""
    harmed, columns = world(np.random.default_rng(3), 6000)
    found = route(rows_of(harmed), columns, POLICY)
    sends = found.sends(columns)
    hard = (columns["input characters"] > 520) & (columns["language"] == "de")
    assert sends[~hard].mean() > 0.9
    assert sends[hard].mean() < 0.05
    proving = ~learning_half(rows_of(harmed))
    assert found.proven_on == proving.sum()
    sent = found.sent_though_harmed.of_path
    assert sent is not None
    assert sent.point == pytest.approx(harmed[proving & sends].mean())
    assert sent.low <= 0.01 <= sent.high <= 0.05
    kept = found.kept_though_fine.of_path
    assert kept is not None
    assert kept.low <= 0.7 <= kept.high
    assert found.ways[0].share == pytest.approx(sends[proving].mean())
    text = found.text
    assert "to the candidate" in text
    assert "to the frontier" in text
    assert "Kept on the frontier though fine" in text
    assert to_json(found.leaves)


def test_each_leaf_is_proven_at_delta_over_the_leaves_on_calls_not_learnt_from() -> None:
    """The bound of a leaf counts only calls of the other half."""
    harmed, columns = world(np.random.default_rng(4), 3000)
    rows = rows_of(harmed)
    found = route(rows, columns, POLICY)
    leaf, proving = found.tree.leaf_of(columns), ~learning_half(rows)
    for number, claim in enumerate(found.leaves):
        inside = proving & (leaf == number)
        assert claim.calls == inside.sum()
        expected = bounds.anytime_upper(
            int(harmed[inside].sum()), int(inside.sum()), 0.05 / len(found.leaves)
        )
        assert claim.harm.high == pytest.approx(expected)
        assert claim.to_candidate == (expected <= 0.05)


def test_a_rule_over_tolerance_is_sent_in_at_most_delta_of_worlds() -> None:
    """Harm is everywhere just above the tolerance: hardly ever is any leaf called safe."""
    rng = np.random.default_rng(5)
    wrong = 0
    for _ in range(100):
        _, columns = world(rng, 800)
        wrong += any(
            each.to_candidate for each in route(rows_of(rng.random(800) < 0.055), columns, POLICY).leaves
        )
    assert wrong <= 5


def test_without_evidence_nothing_is_sent() -> None:
    """No calls, no features, no labels of a semantic task: the frontier answers."""
    assert not route([], {}, POLICY).leaves[0].to_candidate
    assert route([], {}, POLICY, confidence=[]).ways[-1].share == 0
    assert "every call" in route([], {}, POLICY).text.lower()
    harmed, columns = world(np.random.default_rng(6), 500)
    semantic = route(rows_of(harmed, labelled=False), columns, POLICY, basis=Basis.SEMANTIC)
    assert not semantic.sends(columns).any()
    assert semantic.sent_though_harmed.of_path is None


def test_open_disagreements_are_harm_to_the_rule() -> None:
    """Without labels the rule sends no more than with all of them harmful."""
    harmed, columns = world(np.random.default_rng(7), 3000)
    labelled = route(rows_of(harmed), columns, POLICY)
    unlabelled = route(rows_of(harmed, labelled=False), columns, POLICY)
    assert unlabelled.tree == labelled.tree
    assert unlabelled.ways[0].share <= labelled.ways[0].share
    kept = unlabelled.kept_though_fine.of_path
    assert kept is not None
    assert kept.high == 1.0


def test_drawn_labels_teach_and_prove_a_semantic_rule() -> None:
    """Each half is learnt from or proven with its own draws."""
    rng = np.random.default_rng(8)
    harmed, columns = world(rng, 4000, bad=0.6)
    drawn = rng.choice(4000, 2500, replace=False)
    draws = [DrawRow(f"c{i}", 1.0, WORSE if harmed[i] else EQUAL) for i in drawn]
    rows = rows_of(np.zeros(4000, dtype=bool))
    found = route(rows, columns, POLICY, basis=Basis.SEMANTIC, draws=draws)
    sends = found.sends(columns)
    assert sends.mean() > 0.5
    assert harmed[sends].mean() < 0.05


def test_confidence_and_both_stand_beside_the_rule() -> None:
    """Where confidence knows what inputs don't show, both together send more than either."""
    rng = np.random.default_rng(9)
    harmed, columns = world(rng, 8000)
    confidence = np.clip(np.where(harmed, 0.3, 0.7) + 0.12 * rng.standard_normal(8000), 0, 1)
    found = route(rows_of(harmed), columns, POLICY, confidence=confidence.tolist())
    rule, sure, both = found.ways
    assert (rule.way, sure.way, both.way) == ("rule", "confidence", "both")
    assert 0 < rule.share < both.share
    assert all(each.harm_at_most is not None and each.harm_at_most <= 0.05 for each in found.ways)
    assert both.threshold is not None
    assert sure.threshold is not None
    proving = ~learning_half(rows_of(harmed))
    assert sure.share == pytest.approx((confidence[proving] >= sure.threshold).mean())
    assert sum(each.sentence in found.text for each in found.ways) == 3
    leaf = found.tree.leaf_of(columns)
    for each in found.ways:
        assert each.sends(leaf, confidence)[proving].mean() == pytest.approx(each.share)
    assert (rule.sends(leaf, confidence) == found.sends(columns)).all()


def test_confidence_that_knows_nothing_sends_nothing_unsafe() -> None:
    """Unknown confidences are below every threshold."""
    rng = np.random.default_rng(10)
    harmed = rng.random(2000) < 0.2
    columns = {"turns": rng.integers(1, 4, 2000).astype(np.float64)}
    blind = route(rows_of(harmed), columns, POLICY, confidence=rng.random(2000).tolist())
    assert [each.share for each in blind.ways] == [0.0, 0.0, 0.0]
    unknown = route(rows_of(harmed), columns, POLICY, confidence=[None] * 2000)
    assert [each.harm_at_most for each in unknown.ways] == [None, None, None]


def test_features_are_what_is_known_before_the_call() -> None:
    """Numbers stay numbers, attributes with few values are taken, ids are not."""
    calls = [
        {
            "input_chars": i,
            "turn_depth": None if i == 3 else 1,
            "tool_count": 0,
            "language": "de" if i % 2 else "en",
            "model": "frontier",
            "attributes": {"tier": "ab"[i % 2], "id": f"x{i}"},
        }
        for i in range(60)
    ]
    found = features_of(calls, ["p"] * 60, ["Sort this:" if i % 2 else "Write:" for i in range(60)])
    assert set(found) == {
        "input characters",
        "turns",
        "tools",
        "language",
        "model",
        "tier",
        "template",
    }
    assert np.isnan(found["turns"][3])
    assert found["input characters"].dtype == np.float64
    assert set(found["template"]) == {"Sort this:", "Write:"}
    harmed = np.asarray([i % 2 == 1 for i in range(60)])
    assert route(rows_of(harmed), found, POLICY).proven_on > 0
