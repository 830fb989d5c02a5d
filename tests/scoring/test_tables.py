"""What an agreement is made of, label by label and field by field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from scoring_world import World, failed, make_world

from workbench.cli import cli
from workbench.compare.ranking import figures
from workbench.config import Workspace
from workbench.records import Output, Policy, to_json
from workbench.scoring import CompareReport, comparing
from workbench.scoring.slice_map import slice_map
from workbench.scoring.spread import effect_on, spread_of
from workbench.scoring.tables import FieldTables, InvalidText, LabelPair, LabelTables, RankingTables, tables
from workbench.stats import bounds
from workbench.stats.agreement import cohen_kappa, gwet_ac1
from workbench.store import label_pairs
from workbench.store.cases import INVALID

DELTA = Policy().delta


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    yield made
    made.store.close()


def compared(world: World, task: str = "topics") -> CompareReport:
    (report,) = comparing.compare(world.workspace, world.store, task)
    return report


def declare(world: World, task: str, text: str) -> World:
    """Return the world under another eval of a task."""
    path = Path(world.workspace.eval_for(task).root) / "eval.toml"
    path.write_text(f'task = "{task}"\n{text}', encoding="utf-8")
    return World(Workspace.load(world.workspace.root), world.store)


PAIRS: list[tuple[str | Output | None, str | Output]] = [
    *[("a", "a")] * 30,
    *[("a", "A.")] * 10,
    *[("a", "b")] * 4,
    *[("b", "b")] * 5,
    *[("b", "a")] * 3,
    *[("b", "I think b")] * 2,
    ("a", "neither"),
    ("a", failed()),
    ("neither", "a"),
    (failed(), "a"),
]


def test_labels_are_counted_by_pair_with_invalid_answers_in_a_column_of_their_own(world: World) -> None:
    """The table holds every compared call once; what is no label disagrees with every label."""
    world.add("topics", PAIRS)
    report = compared(world)
    found = report.tables
    assert isinstance(found, LabelTables)
    assert found.confusion is not None
    assert found.confusion.categories == (INVALID, "a", "b")
    assert found.confusion.counts == ((0, 0, 0), (2, 40, 4), (2, 3, 5))
    assert found.confusion.n == report.compared == 56
    assert found.pairs[0] == LabelPair("a", "a", 40)
    assert sum(pair.n for pair in found.pairs) == 56


def test_a_call_that_was_replayed_again_counts_once_in_report_and_tables(world: World) -> None:
    """Asking the same calls anew makes no limit narrower; the first replay of a call counts."""
    world.add("topics", PAIRS)
    once = compared(world)
    world.add("topics", [("a", "b")] * len(PAIRS), replay="again", known_calls=True)
    twice = compared(world)
    assert twice.new == len(PAIRS)
    assert (twice.compared, twice.match, twice.agreement) == (once.compared, once.match, once.agreement)
    assert twice.tables == once.tables


def test_agreement_within_each_label_has_limits_that_hold_however_often_anyone_looks(world: World) -> None:
    """By the frontier's answer, the commonest first; a rare answer's share is its own."""
    world.add("topics", PAIRS)
    found = compared(world).tables
    assert isinstance(found, LabelTables)
    assert found.agreement == {"a": bounds.anytime(40, 46, DELTA), "b": bounds.anytime(5, 10, DELTA)}
    assert list(found.agreement) == ["a", "b"]
    assert found.confusion is not None
    assert found.kappa == cohen_kappa(found.confusion, DELTA)
    assert found.ac1 == gwet_ac1(found.confusion, DELTA)


def test_what_is_no_label_is_a_figure_of_its_own_with_its_commonest_texts(world: World) -> None:
    """Errors stand by their kind, texts by how often they came; both are within the disagreements."""
    world.add("topics", PAIRS)
    report = compared(world)
    assert isinstance(report.tables, LabelTables)
    assert report.invalid_share == bounds.anytime(4, 56, DELTA)
    assert report.tables.invalid_texts == (InvalidText("I think b", 2), InvalidText("neither", 1))
    assert report.errors == {"timeout": 1}


def test_several_labels_are_tabled_by_their_sets(world: World) -> None:
    """The answer's group is the set; order makes no cell of its own."""
    world.add("topics", [("a, b", "b, a"), ("b; a", "a"), ("a", "a")])
    changed = declare(world, "topics", 'kind = "label"\nlabels = ["a", "b"]\nseveral = true\n')
    found = compared(changed).tables
    assert isinstance(found, LabelTables)
    assert {(pair.control, pair.candidate): pair.n for pair in found.pairs} == {
        ("a + b", "a + b"): 1,
        ("a + b", "a"): 1,
        ("a", "a"): 1,
    }


def test_too_many_groups_get_no_square_table(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pairs and the agreement within each label stay."""
    monkeypatch.setattr("workbench.scoring.tables.MAX_GROUPS", 2)
    world.add("topics", PAIRS)
    found = compared(world).tables
    assert isinstance(found, LabelTables)
    assert (found.confusion, found.kappa, found.ac1) == (None, None, None)
    assert set(found.agreement) == {"a", "b"}
    assert len(found.pairs) == 6


def test_many_pairs_are_compared_in_parts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few kinds and few pairs at a time store what all at once store."""
    world.add("topics", PAIRS)
    whole = compared(world)
    monkeypatch.setattr(comparing, "PAIRS_AT_ONCE", 7)
    monkeypatch.setattr(comparing, "KINDS_AT_ONCE", 2)
    again = declare(world, "topics", 'kind = "label"\nlabels = ["a", "b"]\naliases = { x = "a" }\n')
    heard: list[int] = []
    (report,) = comparing.compare(
        again.workspace, world.store, "topics", listener=lambda progress: heard.append(progress.done)
    )
    assert report.tables == whole.tables
    assert heard == sorted(heard)
    assert heard[-1] == len(PAIRS)
    assert len(heard) > len(PAIRS) / 7


def test_verdicts_that_are_not_kept_end_in_an_error_rather_than_in_a_loop(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same pairs must not come again."""
    world.add("topics", PAIRS)
    monkeypatch.setattr(comparing, "KINDS_AT_ONCE", 1)
    monkeypatch.setattr(label_pairs, "add", lambda *_, **__: None)
    with pytest.raises(RuntimeError, match="not stored"):
        compared(world)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ('kind = "fields"\n[[fields]]\npath = "id"\n', False),
        ('kind = "ranking"\noptions = ["a", "b"]\n', True),
    ],
)
def test_requests_are_read_only_where_a_comparison_may_look_into_them(
    world: World, kind: str, given: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The options of a ranking may stand in any request; fields are compared without it."""
    seen: list[bool] = []
    read = comparing.rows.pending_outputs

    def reading(*arguments: Any, **more: Any) -> Any:
        found = read(*arguments, **more)
        seen.extend(row["request"] is not None for row in found)
        return found

    world.add("orders", [('{"id": 1}', '{"id": 1}')] * 2)
    monkeypatch.setattr(comparing.rows, "pending_outputs", reading)
    compared(declare(world, "orders", kind), "orders")
    assert seen == [given, given]


def test_fields_have_their_own_agreement_over_the_calls_that_have_them(world: World) -> None:
    """A field that neither side has does not count; an answer that can't be read differs in all."""
    world.add(
        "orders",
        [
            *[('{"id": 1}', '{"id": 1}')] * 6,
            ('{"id": 1, "note": "x"}', '{"id": 1, "note": "x"}'),
            ('{"id": 1, "note": "x"}', '{"id": 2, "note": "y"}'),
            ('{"id": 1}', '{"id": 1, "note": "z"}'),
            ('{"id": 1}', "no JSON"),
            ('{"id": 1}', failed()),
            ("no JSON", '{"id": 1}'),
        ],
    )
    report = compared(world, "orders")
    found = report.tables
    assert isinstance(found, FieldTables)
    assert {each.path: (each.required, each.agreement) for each in found.fields} == {
        "id": (True, bounds.anytime(8, 11, DELTA)),
        "note": (False, bounds.anytime(1, 5, DELTA)),
    }
    assert found.schema_valid is None
    assert "schema" not in report.text


SCHEMA = """kind = "fields"
repair = true
[[fields]]
path = "id"
[schema]
type = "object"
required = ["id"]
[schema.properties.id]
type = "integer"
"""


def test_keeping_the_schema_is_a_figure_apart_from_agreement(world: World) -> None:
    """An answer may keep the schema and differ, or break it as the frontier did and agree."""
    world.add(
        "orders",
        [
            *[('{"id": 1}', '{"id": 1}')] * 5,
            ('{"id": 1}', '{"id": 2}'),
            ('{"id": 1}', '{"id": "1"}'),
            ('{"id": "x"}', '{"id": "x"}'),
            ('{"id": 1}', "no JSON"),
            ('{"id": 1}', '{"id": 1,'),
            ("{id: 1", '{"id": 1}'),
        ],
    )
    report = compared(declare(world, "orders", SCHEMA), "orders")
    found = report.tables
    assert isinstance(found, FieldTables)
    assert found.schema_valid == bounds.anytime(8, 11, DELTA)
    assert (found.repaired, found.control_repaired) == (1, 1)
    assert (report.match, report.invalid) == (8, 2)
    assert report.text.endswith("2 invalid, 72.7 % keep the schema, 1 read only after their JSON was mended.")


def test_the_tables_of_a_changed_eval_start_anew(world: World) -> None:
    """Verdicts under another evaluator version are never mixed into them."""
    world.add("topics", PAIRS)
    compared(world)
    changed = declare(world, "topics", 'kind = "label"\nlabels = ["a", "b"]\naliases = { neither = "b" }\n')
    config = changed.workspace.eval_for("topics")
    empty = tables(world.store, config, world.fingerprint("small"))
    assert empty == LabelTables(None, (), {}, None, None, ())
    compared(changed)
    found = tables(world.store, config, world.fingerprint("small"))
    assert isinstance(found, LabelTables)
    assert ("b", "a") in {(pair.control, pair.candidate) for pair in found.pairs}


def test_orders_have_their_mean_figures_with_limits_and_n(world: World) -> None:
    """First place, NDCG and tau over all compared pairs; what is no order has missed and gained nothing."""
    three = "a > b > c"
    changed = declare(world, "orders", 'kind = "ranking"\noptions = ["a", "b", "c"]\n')
    changed.add(
        "orders", [(three, three), (three, "a > c > b"), (three, "c > b > a"), (three, "?"), ("?", three)]
    )
    report = compared(changed, "orders")
    found = report.tables
    assert isinstance(found, RankingTables)
    assert found.top_1 == bounds.anytime(2, 4, DELTA)
    gains = [
        figures(*(tuple((each,) for each in side) for side in ("abc", other))).ndcg
        for other in ("acb", "cba")
    ]
    assert found.ndcg.point == pytest.approx((1 + sum(gains)) / 4)
    assert 0 < found.ndcg.low < found.ndcg.point < found.ndcg.high <= 1
    assert (found.kendall_tau.point, found.kendall_tau.n) == (pytest.approx((1 + 1 / 3 - 1) / 3), 3)
    assert -1 <= found.kendall_tau.low < found.kendall_tau.point < found.kendall_tau.high <= 1
    assert "first place the same in 50.0 % (" in report.text
    assert "mean NDCG" in report.text
    assert "mean Kendall's tau 0.11 (" in report.text
    document = to_json(report).decode()
    assert json.loads(document)["tables"]["kendall_tau"]["n"] == 3


def test_the_first_places_alone_do_not_make_the_figures_whole(world: World) -> None:
    """Where only `top` places decide, a match may still have an NDCG below one."""
    changed = declare(world, "orders", 'kind = "ranking"\noptions = ["a", "b", "c"]\ntop = 1\n')
    changed.add("orders", [("a > b > c", "a > c > b")] * 3)
    report = compared(changed, "orders")
    found = report.tables
    assert isinstance(found, RankingTables)
    assert (report.match, found.top_1.point, found.kendall_tau.point) == (3, 1.0, pytest.approx(1 / 3))


def test_texts_have_no_tables(world: World) -> None:
    """There is neither a label nor a field to count by."""
    assert tables(world.store, world.workspace.eval_for("rewrite"), "x") is None


def test_compare_json_carries_the_tables_and_the_text_stays_short(world: World) -> None:
    """A script finds every figure; a person gets one line."""
    world.add("topics", PAIRS)
    world.store.close()
    command = ["compare", "--task", "topics", "--workspace", str(world.workspace.root)]
    done = CliRunner().invoke(cli, [*command, "--json"])
    assert done.exit_code == 0, done.output
    (document,) = json.loads(done.stdout)
    assert document["tables"]["confusion"]["counts"] == [[0, 0, 0], [2, 40, 4], [2, 3, 5]]
    assert document["tables"]["agreement"]["b"]["n"] == 10
    assert document["tables"]["invalid_texts"][0] == {"text": "I think b", "n": 2}
    assert document["invalid_share"]["point"] == pytest.approx(4 / 56)
    assert len(CliRunner().invoke(cli, command).stdout.splitlines()) == 1


def test_a_report_counts_ignored_pairs_by_rule(world: World) -> None:
    """The line names the rules, the commonest first; a pair that needed two counts for both."""
    rules = '[[ignore]]\nname = "notes"\nfield = "note"\n[[ignore]]\nname = "marks"\npattern = "#[0-9]"\n'
    declared = 'kind = "fields"\n[[fields]]\npath = "id"\n[[fields]]\npath = "note"\nrequired = false\n'
    changed = declare(world, "orders", declared + rules)
    control = '{"id": "7#1", "note": "x"}'
    changed.add(
        "orders",
        [
            (control, control.replace("x", "y")),
            (control, control.replace("#1", "#2")),
            (control, control.replace("#1", "#2").replace("x", "y")),
            (control, control),
        ],
    )
    report = compared(changed, "orders")
    assert report.ignored_by == {"notes": 1, "marks": 1, "notes + marks": 1}
    assert "3 equal by an ignore rule (notes: 2, marks: 2)" in report.text


def test_calls_of_one_session_count_as_fewer_in_every_table(world: World) -> None:
    """Ten sessions of forty calls that go right or wrong together prove no more than about ten calls."""
    for number in range(10):
        said = "a" if number < 7 else "b"
        world.add("topics", [("a", said)] * 40, first=40 * number, replay=f"r{number}", session=f"s{number}")
    report = compared(world)
    found = report.tables
    assert isinstance(found, LabelTables)
    assert report.compared == 400
    for each in (report.agreement, found.agreement["a"]):
        assert each.point == pytest.approx(0.7)
        assert each.n == 400
        assert 5 < each.n_effective < 20
        assert each.low < 0.4
    cells = slice_map(world.workspace, world.store, "topics", "small", "language")
    assert sum(each.differing.n for each in cells) == 400
    assert all(each.differing.n_effective < 10 for each in cells)
    spread = spread_of(world.store, world.workspace.eval_for("topics"), world.fingerprint("small"))
    assert spread.by_label["a"] == pytest.approx(spread.agreement)
    assert effect_on(spread.agreement, 3) == 3


def test_independent_calls_count_for_themselves(world: World) -> None:
    """Without sessions and equal requests nothing is divided."""
    world.add("topics", PAIRS)
    report = compared(world)
    assert isinstance(report.tables, LabelTables)
    assert report.agreement.n_effective == report.compared
    assert report.tables.agreement["a"].n_effective == 46
