"""Who acts: every use case begins with a check, and where nobody is named nothing is done."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workbench import Workbench, access, ingest, profiling, replay, report, review, scoring, setup
from workbench.config import Workspace
from workbench.errors import AccessRefused
from workbench.roles import Actor, Grant, Right, Role, all_rights

ROOT = Path(__file__).parents[1]
REVIEWER = Actor("rita@example.com", frozenset({Grant(Role.REVIEWER, "triage")}), signed_in=True)
SIGN_IN = """
[sign_in]
client_id = "workbench"
discovery_url = "https://login.example.com/.well-known/openid-configuration"
redirect_uri = "https://workbench.example.com/oauth2callback"
[[access.people]]
email = "rita@example.com"
roles = ["reviewer"]
tasks = ["triage"]
[[access.people]]
email = "emil@example.com"
roles = ["engineer"]
"""


@pytest.fixture(autouse=True)
def process(monkeypatch: pytest.MonkeyPatch) -> access.Process:
    """Give a process of which nothing is known, and forget it afterwards."""
    fresh = access.Process()
    monkeypatch.setattr(access, "_process", fresh)
    return fresh


@pytest.fixture
def guarded(tmp_path: Path) -> Workspace:
    """Give a workspace in which people sign in."""
    folder = tmp_path / "w"
    (folder / "evals" / "triage").mkdir(parents=True)
    (folder / "workbench.toml").write_text(SIGN_IN)
    (folder / "evals" / "triage" / "eval.toml").write_text(
        'task = "triage"\nkind = "label"\nlabels = ["a", "b"]\n'
    )
    return Workspace.load(folder)


@access.requires(Right.RAMP)
def accept(task: str) -> str:
    return inner(task)


@access.requires(Right.IMPORT)
def inner(task: str) -> str:
    return f"done on {task}"


def test_at_a_terminal_whoever_runs_the_program_may_do_everything() -> None:
    assert accept("triage") == "done on triage"
    assert not access.current().signed_in


def test_where_people_sign_in_nobody_acts_without_being_named(guarded: Workspace) -> None:
    """Reading such a workspace is enough: from then on an unnamed caller is refused."""
    with pytest.raises(AccessRefused, match="Nobody is signed in"):
        accept("triage")
    with pytest.raises(AccessRefused):
        scoring.recommend(guarded, None, "triage", "small")  # type: ignore[arg-type]


def test_the_app_refuses_where_a_visit_says_nobody(process: access.Process) -> None:
    """A default that a command has set earlier in the process does not count for visits."""
    access.run_as(all_rights("root"))
    access.serve(lambda: None)
    with pytest.raises(AccessRefused):
        accept("triage")


def test_a_right_on_a_task_opens_this_task_alone() -> None:
    owner = Actor("ada", frozenset({Grant(Role.ADMIN, "triage")}), signed_in=True)
    with access.acting(owner):
        assert accept("triage") == "done on triage"
        with pytest.raises(AccessRefused, match="'orders'"):
            accept("orders")


def test_the_refusal_names_who_what_and_the_role_it_takes() -> None:
    with access.acting(REVIEWER), pytest.raises(AccessRefused) as caught:
        accept("triage")
    assert "rita@example.com" in caught.value.message
    assert "admin" in caught.value.message
    assert "[access]" in caught.value.hint


def test_an_admitted_use_case_may_use_others_and_leaves_no_door_open() -> None:
    """What it calls is its own work; after it, and after it failed, checks hold again."""
    ramper = Actor("x", frozenset({Grant(Role.ADMIN)}), withheld=frozenset({(Role.ADMIN, Right.IMPORT)}))

    @access.requires(Right.RAMP)
    def failing(task: str) -> None:
        raise ValueError(task)

    with access.acting(ramper):
        assert accept("triage")
        with pytest.raises(ValueError, match="triage"):
            failing("triage")
        with pytest.raises(AccessRefused):
            inner("triage")


def test_a_thread_acts_for_nobody_unless_the_actor_is_carried(guarded: Workspace) -> None:
    """A pool's thread would otherwise act for whoever used it last."""
    found: list[Any] = []

    def run(function: Any) -> None:
        try:
            found.append(function("triage"))
        except AccessRefused:
            found.append("refused")

    owner = Actor("ada", frozenset({Grant(Role.ADMIN, "triage")}), signed_in=True)
    with access.acting(owner):
        carried = access.carried(accept)
        for function in (accept, carried):
            thread = threading.Thread(target=run, args=(function,))
            thread.start()
            thread.join()
    assert found == ["refused", "done on triage"]


def test_a_signed_in_person_labels_under_their_address_alone() -> None:
    with access.acting(REVIEWER):
        assert review.items.reviewer_name("rita@example.com") == "rita@example.com"
        with pytest.raises(AccessRefused, match="not as 'mia'"):
            review.items.reviewer_name("mia")
    assert review.items.reviewer_name("mia") == "mia"


def test_a_notebook_on_such_a_workspace_acts_as_its_user(guarded: Workspace) -> None:
    """Whoever can open the file holds every right; the name is in the log."""
    with Workbench(guarded.root) as bench:
        assert bench.settings().people
        assert bench.access_log() == []
        assert not access.current().signed_in


@pytest.mark.parametrize(
    ("email", "verified", "words"),
    [
        ("emil@example.com", True, "no calls"),
        ("rita@example.com", True, "needs the role engineer or admin"),
        ("gone@example.com", True, "needs the role engineer or admin"),
    ],
)
def test_a_command_that_the_app_started_has_the_rights_of_whom_it_was_for(
    guarded: Workspace, email: str, verified: bool, words: str
) -> None:
    """It is not a way round one's role: the child looks the role up anew, and has no other."""
    actor = Actor(email, signed_in=True, verified=verified)
    environment = access.for_child({"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}, actor)
    done = subprocess.run(
        [sys.executable, "-m", "workbench", "compare", "--workspace", str(guarded.root)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = done.stdout + done.stderr
    if words == "no calls":
        assert "Nothing to compare" in said
    else:
        assert done.returncode == 2
        assert words in said


def use_cases() -> Iterator[tuple[str, Any]]:
    """Yield the public functions of the use cases that take a store."""
    for package in (ingest, profiling, replay, report, review, scoring):
        for name in package.__all__:
            function = getattr(package, name)
            if inspect.isfunction(function) and "store" in inspect.signature(function).parameters:
                yield f"{package.__name__}.{name}", function
    from workbench.profiling.costs import costs
    from workbench.profiling.naming import name_workloads, set_budget
    from workbench.replay.batch_export import export_batch
    from workbench.replay.judge import judge
    from workbench.replay.latency import probe_latency
    from workbench.replay.noise import measure_noise_floor
    from workbench.replay.on_ray import replay_on_ray
    from workbench.replay.patch_setup import patch_candidate, preview_patch
    from workbench.scoring.found import found_slices, routing_rule
    from workbench.scoring.latency_pairs import paired_latency
    from workbench.scoring.predicted import predicted
    from workbench.scoring.thresholds import thresholds
    from workbench.scoring.watching import watch

    for function in (
        *(costs, name_workloads, set_budget, export_batch, judge, probe_latency, measure_noise_floor),
        *(replay_on_ray, patch_candidate, preview_patch, found_slices, routing_rule, paired_latency),
        *(predicted, thresholds, watch, setup.add_candidate),
    ):
        yield f"{function.__module__}.{function.__name__}", function


INNER = {
    "workbench.review.draw_states",
    "workbench.review.effective_verdicts",
    "workbench.review.label_from_gold",
    "workbench.scoring.with_remarks",
}
"""Steps that use cases share, which no page, command or notebook method calls."""


def test_every_use_case_asks_who_acts() -> None:
    """A use case that forgets its check fails here, before anybody finds it."""
    found = dict(use_cases())
    assert len(found) > 50
    unchecked = {name for name, each in found.items() if not hasattr(each, "requires")}
    assert sorted(unchecked - INNER) == [], "begin each with @requires(Right....)"
    assert unchecked >= INNER, "take out of INNER what is checked by now"


OWN = {"standing.py reads workbench.ui.standing._stamps"}
"""Functions of pages that hand on what checked ones say."""


def read_by_pages() -> Iterator[tuple[str, str, str]]:
    """Yield (module of ui, what it imports or makes, the function) of each call of `read` and `ask`."""
    for path in sorted((ROOT / "workbench" / "ui").glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {
            alias.asname or alias.name: (node.module, alias.name)
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        }
        own = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        names |= {each: (f"workbench.ui.{path.stem}", each) for each in own if each not in ("read", "ask")}
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
                continue
            if (
                node.func.id not in ("read", "ask")
                or names.get(node.func.id, ("",))[0] != "workbench.ui.session"
            ):
                continue
            dotted = ast.unparse(node.args[0])
            first, _, rest = dotted.partition(".")
            if first in names:
                module, name = names[first]
                yield path.name, f"{module}.{name}", rest


def test_what_pages_read_is_checked_too() -> None:
    """Whatever a page hands to `read` or `ask` asks who acts; a page that hides it is no protection."""
    found = sorted(set(read_by_pages()))
    assert len(found) > 20
    unchecked = []
    for page, place, rest in found:
        module, _, name = place.rpartition(".")
        owner, attribute = (place, rest) if rest else (module, name)
        if not hasattr(getattr(importlib.import_module(owner), attribute), "requires"):
            unchecked.append(f"{page} reads {owner}.{attribute}")
    assert sorted({*unchecked} - OWN) == [], "begin each with @requires(Right....)"
