"""What could not be judged, by an evaluator of one's own or at all, is counted apart, told and found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scoring_world import World, make_world

from workbench.compare import EVALUATOR_ERROR, Comparator
from workbench.compare.custom import forget_loaded
from workbench.compare.fields import FieldsComparator
from workbench.compare.labels import LabelReader
from workbench.compare.text import TextComparator
from workbench.config import Workspace
from workbench.records import EvalKind, Output, Verdict
from workbench.scoring import compare
from workbench.specs import EvalConfig
from workbench.store import cases
from workbench.store.facets import facets

CODE = """
def shaky(control, observed, request):
    if "?" in observed.text:
        raise ValueError("no idea what a ? is" if "??" in observed.text else "?")
    return {"verdict": "match" if control.text == observed.text else "mismatch"}
shaky.version = "1"
shaky.structural = True
"""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    folder = tmp_path / "installed"
    info = folder / "shaky_evals-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "shaky_evals.py").write_text(CODE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shaky_evals\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[workbench.evaluators]\nshaky = shaky_evals:shaky\n")
    monkeypatch.syspath_prepend(str(folder))
    forget_loaded()
    (tmp_path / "space").mkdir()
    made = make_world(tmp_path / "space")
    path = made.workspace.root / "evals" / "rewrite" / "eval.toml"
    path.write_text(path.read_text() + 'evaluator = "shaky"\n')
    yield World(Workspace.load(made.workspace.root), made.store)
    made.store.close()
    forget_loaded()
    sys.modules.pop("shaky_evals", None)


def test_evaluator_errors_are_counted_apart_from_other_mismatches(world: World) -> None:
    """They stay mismatches, and the commonest reason stands in the text; without any nothing is said."""
    world.add("rewrite", [("a", "a")] * 5 + [("a", "b")])
    (clean,) = compare(world.workspace, world.store, "rewrite")
    assert (clean.evaluator_errors, clean.evaluator_errors_because) == (0, {})
    assert "evaluator" not in clean.text
    world.add("rewrite", [("a", "b?")] * 3 + [("a", "b??")], first=6, batch=1)
    (report,) = compare(world.workspace, world.store, "rewrite")
    assert (report.compared, report.match, report.mismatch, report.invalid) == (10, 5, 5, 0)
    assert report.evaluator_errors == 4
    assert report.evaluator_errors_because == {
        "evaluator shaky failed: ValueError: ?": 3,
        "evaluator shaky failed: ValueError: no idea what a ? is": 1,
    }
    assert "4 evaluator errors (mostly: evaluator shaky failed: ValueError: ?)" in report.text


@pytest.mark.parametrize(
    ("task", "kind", "good"),
    [("topics", LabelReader, "a"), ("orders", FieldsComparator, '{"id": 1}')],
)
def test_a_pair_on_which_the_workbench_itself_fails_is_one_of_them(
    task: str, kind: Any, good: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest is compared all the same, and the recorded answer keeps its group where that can be told."""
    name = "named" if kind is LabelReader else "read"
    plain = getattr(kind, name)

    def fails(self: Any, answer: Any) -> Any:
        if "boom" in (answer if isinstance(answer, str) else answer.text):
            raise RecursionError("maximum recursion depth exceeded")
        return plain(self, answer)

    monkeypatch.setattr(kind, name, fails)
    made = make_world(tmp_path)
    made.add(task, [(good, good)] * 3 + [(good, "boom"), ("boom", good)])
    (report,) = compare(made.workspace, made.store, task)
    assert (report.compared, report.match, report.mismatch, report.invalid) == (5, 3, 2, 0)
    assert report.evaluator_errors_because == {
        "the comparison failed: RecursionError: maximum recursion depth exceeded": 2
    }
    groups = made.store.rows(
        "SELECT control_group FROM comparisons WHERE verdict = 'mismatch' ORDER BY call_id"
    )
    known = "a" if kind is LabelReader else None
    assert [each["control_group"] for each in groups] == [known, None]
    made.store.close()


def test_a_pair_whose_similarity_cannot_be_asked_for_is_one_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text that can't be normalised ends neither the search for texts to embed nor the comparison."""
    plain = TextComparator.needs_similarity

    def fails(self: TextComparator, control: Output, candidate: Output) -> bool:
        if "boom" in (candidate.text or ""):
            raise RecursionError("too deep")
        return plain(self, control, candidate)

    def judge_fails(*parts: object) -> None:
        raise RecursionError("too deep")

    comparator = Comparator(EvalConfig("t", EvalKind.TEXT))
    monkeypatch.setattr(TextComparator, "needs_similarity", fails)
    assert not comparator.needs_similarity(Output("a"), Output("boom"))
    monkeypatch.setattr(comparator, "_judge", judge_fails)
    found = comparator.compare(Output("a"), Output("boom"))
    assert (found.verdict, found.score, found.flags) == (Verdict.MISMATCH, None, (EVALUATOR_ERROR,))


def test_the_command_prints_them(world: World, tmp_path: Path) -> None:
    """One JSON document, with count and reasons."""
    world.add("rewrite", [("a", "b?")] * 3)
    world.store.close()
    done = subprocess.run(
        [sys.executable, "-m", "workbench", "compare", "--json", "--workspace", str(world.workspace.root)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path / "installed"), *sys.path])},
    )
    (document,) = json.loads(done.stdout)
    assert document["evaluator_errors"] == 3
    assert document["evaluator_errors_because"] == {"evaluator shaky failed: ValueError: ?": 3}


def test_a_page_can_filter_by_them_however_many_other_flags_there_are(world: World) -> None:
    """The list of flags ends somewhere, and never before this one."""
    world.add("rewrite", [("a", "b?")] + [("a", "b")] * 3)
    (report,) = compare(world.workspace, world.store, "rewrite")
    with world.store.writing() as writer:
        for number in range(1, 4):
            writer.execute(
                "UPDATE comparisons SET flags = ? WHERE call_id = ?",
                ([f"own_{place}" for place in range(60)], f"rewrite-{number:05d}"),
            )
    pool = cases.Pool("rewrite", report.fingerprint, report.evaluator_version)
    assert list(facets(world.store, pool).flags.items())[:2] == [(EVALUATOR_ERROR, 1), ("own_0", 3)]
    (found,) = cases.case_page(world.store, pool, cases.CaseFilter(flag=EVALUATOR_ERROR))
    assert found.call_id == "rewrite-00000"
