"""Slices that nobody declared: found from inputs, judged together, the worst first."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.records import Basis, LabelVerdict, Policy, to_json
from workbench.slices import OTHER
from workbench.slices_found import (
    attributes_with_few_values,
    cluster_count,
    clusters_and_tail,
    far_from_all,
    find,
    k_means,
    length_keys,
    length_limits,
    longest_within,
    masked,
    names_of,
    ranked,
    templates,
)
from workbench.slices_found.clusters import Vectors, neighbour_distance
from workbench.slices_found.ranking import AT_MOST
from workbench.stats import bounds
from workbench.stats.audit import AuditRow, from_rows
from workbench.stats.evidence import Population, SliceEvidence

POLICY = Policy()
WORSE = LabelVerdict.CONTROL_BETTER


def blobs(sizes: list[int], seed: int = 0, noise: float = 0.02) -> Vectors:
    """Points of length 1 around orthogonal directions."""
    rng = np.random.default_rng(seed)
    found = np.concatenate([np.tile(np.eye(len(sizes), 8)[i], (n, 1)) for i, n in enumerate(sizes)])
    found = found + noise * rng.standard_normal(found.shape)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("Sort order 4711 of 2026-01-31.", "Sort order # of #."),
        ('Translate "Guten Tag" please', "Translate “…” please"),
        ("Write to mia@example.org or https://a.b/c?d=1 now", "Write to @ or @ now"),
        ("Dear Mia Smith, thanks. Your order", "Dear ¤ thanks. Your order"),
        ("don't and won't stay as they are", "don't and won't stay as they are"),
        ("", ""),
    ],
)
def test_numbers_names_and_quoted_text_are_masked(text: str, shape: str) -> None:
    """What is filled into a template does not tell templates apart."""
    assert masked(text) == shape


@pytest.mark.parametrize("piece", ["x", "‘", "“", "a.", "a@", "@", "1.", "`", "A "])
def test_a_megabyte_is_masked_by_its_beginning(piece: str) -> None:
    """A text without an end says no more than its first 4,000 characters, and does not hang the command."""
    assert masked(piece * 1_000_000) == masked((piece * 4_000)[:4_000])


def test_a_template_is_the_system_prompt_or_how_the_input_begins() -> None:
    """Filled-in system prompts are one template; without different ones the first line counts."""
    prompts = ["You sort mails of Acme."] * 10 + ["You write replies for case 17."] * 10
    assert Counter(templates(prompts, ["x"] * 20)) == {
        "You sort mails of ¤": 10,
        "You write replies for case #.": 10,
    }
    texts = [f"Summarise mail {i}:\n{'body ' * i}" for i in range(10)] + ["Translate:\nx"] * 10
    filled = [f"Today is day {i}." for i in range(20)]
    assert Counter(templates(filled, texts)) == {"Summarise mail #:": 10, "Translate:": 10}


def test_templates_that_begin_alike_get_different_names() -> None:
    """Two long prompts are never shown as one slice."""
    start = "you are a careful assistant that answers questions about the things below "
    prompts = [f"{start}briefly"] * 6 + [f"{start}at length"] * 6
    assert len(set(templates(prompts, [""] * 12))) == 2


def test_attributes_with_few_values_are_found_and_ids_are_not() -> None:
    """Nested ones, too; rare ones, constants and free text are left alone."""
    calls = [
        {
            "attributes": {
                "tier": "gold" if i % 3 else "free",
                "user": f"u{i}",
                "app": {"channel": "web" if i % 2 else "phone"},
                "constant": 1,
                **({"seldom": "ab"[i % 2]} if i < 20 else {}),
            }
        }
        for i in range(100)
    ]
    assert attributes_with_few_values(calls) == ["app.channel", "tier"]


def test_every_call_has_a_value_in_every_slicing_and_rare_ones_are_other() -> None:
    """Only slicings that split the calls are returned."""
    calls = [
        {
            "language": "xx" if i == 7 else "yy" if i < 19 else "de" if i % 3 else "en",
            "input_chars": i,
            "turn_depth": 1,
            "tool_count": i % 2,
            "model": "frontier",
            "attributes": {"tier": "a" if i % 3 else "b"},
        }
        for i in range(100)
    ]
    found = find(calls, ["p"] * 100, [f"line {'one' if i % 2 else 'two'}" for i in range(100)])
    assert set(found) == {"language", "input_length", "tool_use", "tier", "template"}
    assert all(len(values) == 100 for values in found.values())
    assert Counter(found["language"])[OTHER] == 19
    assert len(set(found["input_length"])) == 5


def test_the_number_of_clusters_grows_with_the_root_of_the_inputs() -> None:
    """Few inputs make none, many at most twelve."""
    assert [cluster_count(n) for n in (99, 100, 500, 1_000, 100_000)] == [0, 2, 5, 7, 12]


def test_clusters_are_found_again_with_the_same_seed_and_named_by_their_words() -> None:
    """Groups of similar inputs are told apart, the largest first."""
    vectors = blobs([60, 100, 40])
    found = k_means(vectors, 3, seed=5)
    assert np.bincount(found).tolist() == [100, 60, 40]
    assert all(len(set(part.tolist())) == 1 for part in np.split(found, [60, 160]))
    assert (found == k_means(vectors, 3, seed=5)).all()
    words = (
        ["the invoice was charged twice"] * 60 + ["the parcel never arrived"] * 100 + ["the login fails"] * 40
    )
    names = names_of(words, found)
    assert [
        set(name.split(", ")) <= set(text.split())
        for name, text in zip(names, (words[60], words[0], words[-1]), strict=True)
    ] == [True] * 3
    assert not any("the" in name.split(", ") for name in names[:2])


def test_equal_inputs_do_not_break_the_clusters() -> None:
    """Centres without inputs of their own do no harm."""
    same = np.tile(np.eye(1, 8, dtype=np.float32), (50, 1))
    assert set(k_means(same, 3).tolist()) <= {0, 1, 2}
    assert len(set(names_of(["same"] * 50, k_means(same, 3)))) == len(
        names_of(["same"] * 50, k_means(same, 3))
    )


def test_the_long_tail_is_the_five_percent_of_calls_far_from_all_others() -> None:
    """Strays are found among tight groups, and as many calls are taken as fit into 5 %."""
    rng = np.random.default_rng(1)
    strays = rng.standard_normal((8, 8)).astype(np.float32)
    strays /= np.linalg.norm(strays, axis=1, keepdims=True)
    vectors = np.concatenate([blobs([100, 100]), strays])
    calls = np.ones(208, dtype=np.int64)
    far = far_from_all(vectors, calls)
    assert far[200:].sum() == 8
    assert far.sum() == 10
    assert neighbour_distance(vectors)[200:].min() > neighbour_distance(vectors)[:200].max()


@pytest.mark.parametrize("heavy", [11, 15, 50])
def test_an_input_of_many_calls_does_not_hide_the_tail(heavy: int) -> None:
    """Where the farthest input alone is more than 5 % of calls, the tail is made of the next ones."""
    rng = np.random.default_rng(1)
    strays = rng.standard_normal((8, 8)).astype(np.float32)
    strays /= np.linalg.norm(strays, axis=1, keepdims=True)
    vectors = np.concatenate([blobs([100, 92]), strays])
    farthest = int(neighbour_distance(vectors).argmax())
    calls = np.ones(200, dtype=np.int64)
    calls[farthest] = heavy
    far = far_from_all(vectors, calls)
    assert not far[farthest]
    assert far[192:].sum() == 7
    assert calls[far].sum() == int(0.05 * calls.sum())


def test_slices_by_embedding_cover_every_call() -> None:
    """A call without a vector is a value of its own; too few inputs make no groups."""
    vectors = blobs([60, 60])
    input_of = np.asarray([*range(120), 0, 1, *[-1] * 6])
    found = clusters_and_tail(vectors, input_of, ["alpha beta"] * 60 + ["gamma delta"] * 60)
    assert set(found) == {"similar inputs", "neighbourhood"}
    assert all(len(values) == 128 for values in found.values())
    assert found["similar inputs"].count("unknown") == 6
    assert clusters_and_tail(vectors[:50], np.arange(50), ["x"] * 50) == {}
    assert clusters_and_tail(vectors, np.full(5, -1), ["x"] * 120) == {}


# --- judging ----------------------------------------------------------------------------------


def part(value: str, n: int, harms: int, name: str = "language") -> SliceEvidence:
    population = Population(
        compared=n,
        disagreements=harms,
        audited=n,
        audited_disagreements=harms,
        harms=harms,
        looked=max(harms, 1),
    )
    return SliceEvidence(name, value, 0.1, population)


def test_bounds_are_corrected_for_every_slice_that_was_looked_at() -> None:
    """The worst of many is partly the unluckiest: delta over the slices and the limit."""
    slices = [part("de", 200, 40), part("en", 400, 2), part("fr", 15, 0), part("ja", 30, 3)]
    found = ranked(slices, POLICY)
    assert [(each.value, each.status) for each in found] == [
        ("de", "bad"),
        ("ja", "suspect"),
        ("fr", "unproven"),
        ("en", "fine"),
    ]
    each = found[0]
    assert each.harm.low == pytest.approx(bounds.anytime_lower(40, 200, 0.05 / 5))
    assert each.harm.high == pytest.approx(bounds.anytime_upper(40, 200, 0.05 / 5))
    assert each.harm.level == pytest.approx(0.99)
    alone = ranked(slices[:1], POLICY)[0]
    assert alone.harm.high < each.harm.high
    assert to_json(found)


def test_where_nobody_has_looked_the_slice_that_differs_most_stands_first() -> None:
    """None is proven bad: what differs stands for the estimate, and a slice without differences is last."""

    def unlooked(value: str, n: int, differing: int) -> SliceEvidence:
        audited = 0 if differing else n
        population = Population(compared=n, disagreements=differing, audited=audited)
        return SliceEvidence("language", value, 0.1, population)

    found = ranked([unlooked("aa", 60, 0), unlooked("bb", 60, 3), unlooked("cc", 60, 9)], POLICY)
    assert {each.status for each in found} == {"unproven"}
    assert [(each.value, each.differing) for each in found] == [("cc", 9), ("bb", 3), ("aa", 0)]


@given(st.lists(st.tuples(st.integers(1, 300), st.floats(0, 1)), min_size=2, max_size=12))
def test_more_slices_never_prove_more(parts: list[tuple[int, float]]) -> None:
    """Whatever is looked at besides, a slice's bounds only widen."""
    slices = [part(str(i), n, int(n * share)) for i, (n, share) in enumerate(parts)]
    many = {each.value: each.harm for each in ranked(slices, POLICY)}
    few = {each.value: each.harm for each in ranked(slices[:-1], POLICY)}
    assert all(many[value].low <= harm.low + 1e-12 for value, harm in few.items())
    assert all(many[value].high >= harm.high - 1e-12 for value, harm in few.items())


def world(rng: np.random.Generator, n: int, bad: bool) -> list[AuditRow]:
    """Three slicings; where `bad`, German calls get worse in 25 of 100 cases instead of 5."""
    rows = []
    for i in range(n):
        language = rng.choice(["en", "fr", "de", "es"])
        tenant = rng.choice(list("abcdef"))
        length = rng.choice(["short", "long"])
        harmed = rng.random() < (0.25 if bad and language == "de" else 0.05)
        rows.append(
            AuditRow(
                f"c{i}",
                0,
                f"{i:05d}",
                agrees=not harmed,
                identical=not harmed,
                verdict=WORSE if harmed else None,
                slices=(("language", language), ("tenant", tenant), ("length", length)),
            )
        )
    return rows


def worst_of(rows: list[AuditRow]) -> Any:
    return ranked(from_rows(rows, basis=Basis.STRUCTURAL).slices, POLICY)[0]


def test_a_planted_bad_slice_is_found() -> None:
    """Of twelve slices the one with 25 % harm stands first and is proven."""
    rng = np.random.default_rng(11)
    for _ in range(20):
        found = worst_of(world(rng, 1200, bad=True))
        assert (found.name, found.value, found.status) == ("language", "de", "bad")


def test_without_a_bad_slice_none_is_called_bad_more_often_than_delta_says() -> None:
    """Every slice has just the tolerated harm; in at most 5 % of worlds is any called worse."""
    rng = np.random.default_rng(12)
    worlds = 200
    called = sum(worst_of(world(rng, 400, bad=False)).status == "bad" for _ in range(worlds))
    assert called <= 0.05 * worlds


# --- the longest safe input -------------------------------------------------------------------


def by_length(lengths: np.ndarray[Any, Any], harmed: np.ndarray[Any, Any]) -> dict[int, SliceEvidence]:
    limits = length_limits(lengths.tolist())
    rows = [
        AuditRow(
            f"c{i}",
            0,
            f"{i:05d}",
            agrees=not bad,
            identical=not bad,
            verdict=WORSE if bad else None,
            slices=length_keys(int(length), limits),
        )
        for i, (length, bad) in enumerate(zip(lengths, harmed, strict=True))
    ]
    found = from_rows(rows, basis=Basis.STRUCTURAL).slices
    return {int(each.value): each for each in found if each.name == AT_MOST}


def test_the_longest_safe_input_lies_where_harm_begins() -> None:
    """Long inputs get worse: the limit stays below, and says how much traffic is within."""
    rng = np.random.default_rng(2)
    lengths = rng.integers(1, 1001, 2000)
    parts = by_length(lengths, rng.random(2000) < np.where(lengths > 600, 0.5, 0.01))
    found = longest_within(parts, POLICY)
    assert found is not None
    assert 500 <= found.chars <= 700
    assert found.traffic_share == pytest.approx((lengths <= found.chars).mean())
    assert found.harm.high <= POLICY.tolerance
    assert f"at most {found.chars:,} characters" in found.sentence
    later = {key: each for key, each in parts.items() if key > 700}
    assert longest_within(later, POLICY) is None


def test_the_first_failure_ends_the_sequence() -> None:
    """A longer limit that would pass is not looked at: that is what keeps delta whole."""
    good, bad = part("", 199, 1), part("", 199, 30)
    assert longest_within({100: bad, 200: good}, POLICY) is None
    few = part("", 20, 1)
    found = longest_within({50: few, 200: good, 300: bad, 400: good}, POLICY)
    assert found is not None
    assert (found.chars, found.tried) == (200, 2)


def test_a_length_over_tolerance_is_called_safe_in_at_most_delta_of_worlds() -> None:
    """Harm is above the tolerance from the shortest input on; the limit is then none."""
    rng = np.random.default_rng(4)
    wrong = 0
    for _ in range(200):
        lengths = rng.integers(1, 1001, 800)
        wrong += longest_within(by_length(lengths, rng.random(800) < 0.055), POLICY) is not None
    assert wrong <= 0.05 * 200


def test_without_lengths_there_is_no_limit() -> None:
    """Unknown lengths belong to no limit, nor do they break the grid."""
    assert length_limits([None, None]) == ()
    assert length_keys(None, (1, 2)) == ()
    assert length_keys(5, (4, 5, 6)) == ((AT_MOST, "5"), (AT_MOST, "6"))
    assert length_limits([7] * 30) == (7,)
    assert longest_within({}, POLICY) is None
    balance = replace(POLICY, harm="net")
    assert longest_within({9: part("", 400, 2)}, balance) is not None
