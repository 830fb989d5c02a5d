"""Evaluators from entry points: used under their name and version, and their errors never agree."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scoring_world import World, make_world

from workbench import scoring
from workbench.compare import (
    EVALUATOR_ERROR,
    Comparator,
    Evaluator,
    Judgement,
    basis,
    compare_outputs,
    custom,
    evaluator_version,
)
from workbench.errors import ConfigError
from workbench.records import Basis, EvalKind, Message, Output, Request, Verdict
from workbench.specs import EvalConfig, IgnoreRule

CODE = """
    from workbench.compare import Judgement
    from workbench.records import Verdict

    def same_length(control, observed, request):
        same = len(control.text) == len(observed.text)
        return {
            "verdict": "match" if same else "mismatch",
            "score": 0.75,
            "reason": "" if same else "another length",
            "details": {"asked": request.messages[-1].content if request else None},
        }

    same_length.version = "3"

    class Equal:
        version = "1.0"
        structural = True

        def __call__(self, control, observed, request):
            same = control.text == observed.text
            return Judgement(Verdict.MATCH if same else Verdict.MISMATCH, flags=() if same else ("other",))

    class Says:
        version = "1"

        def __call__(self, control, observed, request):
            return eval(observed.text)

    class SaysEqual(Says):
        structural = True

    class Raises:
        version = "1"

        def __call__(self, control, observed, request):
            raise {"recursion": RecursionError, "key": KeyError}.get(observed.text, ValueError)(observed.text)

    class Excuses:
        version = "1"

        def __call__(self, control, observed, request):
            bad = "lost" in control.text or "bad" in observed.text
            return {"verdict": "uncomparable" if bad else "match", "reason": "no idea"}

    class NoVersion:
        def __call__(self, control, observed, request):
            return {"verdict": "match"}

    class Broken:
        version = "1"

        def __init__(self):
            raise RuntimeError("no licence file")

    NUMBER = 3
"""
NAMES = (
    "same_length",
    "Equal",
    "Says",
    "SaysEqual",
    "Raises",
    "Excuses",
    "NoVersion",
    "Broken",
    "NUMBER",
    "gone",
)


def install(folder: Path, distribution: str, module: str, code: str, entries: dict[str, str]) -> None:
    """Put a distribution into a folder, as pip leaves it: a module and its metadata."""
    (folder / f"{module}.py").write_text(textwrap.dedent(code))
    info = folder / f"{distribution}-2.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 2.1\n")
    lines = "".join(f"{name} = {value}\n" for name, value in entries.items())
    (info / "entry_points.txt").write_text(f"[workbench.evaluators]\n{lines}")


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Install a distribution of evaluators into a folder of its own, and forget it afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    entries = {name.lower(): f"acme_evaluators:{name}" for name in NAMES}
    install(folder, "acme_evaluators", "acme_evaluators", CODE, entries)
    monkeypatch.syspath_prepend(str(folder))
    custom.forget_loaded()
    yield folder
    custom.forget_loaded()
    sys.modules.pop("acme_evaluators", None)


def text_eval(name: str, **keys: Any) -> EvalConfig:
    return EvalConfig("t", EvalKind.TEXT, evaluator=name, **keys)


def judged(config: EvalConfig, control: str, observed: str, request: Request | None = None) -> Judgement:
    return compare_outputs(config, request, Output(control), Output(observed))


def test_an_entry_point_decides_and_signs_every_comparison(acme: Path) -> None:
    """Verdict, score, reason and details are its own; name and version stand in the details."""
    request = Request((Message("user", "how long?"),))
    config = text_eval("same_length")
    found = judged(config, "abc", "xyz", request)
    assert (found.verdict, found.score, found.identical) == (Verdict.MATCH, 0.75, False)
    assert found.details == {"asked": "how long?", "evaluator": {"name": "same_length", "version": "3"}}
    assert judged(config, "abc", "xy").reason == "another length"
    for control, observed in (("", "x"), ("x", "")):
        stored = judged(config, control, observed).of("r", "c", 0, "v")
        assert stored.details["evaluator"]["version"] == "3", "also where the kind decides"
    assert not Comparator(config).needs_similarity(Output("abc"), Output("xyz"))


def test_what_the_kind_refuses_never_reaches_an_evaluator(acme: Path) -> None:
    """A label outside the set stays invalid, a broken control uncomparable, and groups stay known."""
    config = EvalConfig("t", EvalKind.LABEL, labels=("ab", "xy", "long"), evaluator="same_length")
    assert judged(config, "ab", "zz").invalid
    assert judged(config, "zz", "ab").verdict is Verdict.UNCOMPARABLE
    found = judged(config, "ab", "xy")
    assert (found.verdict, found.control_group, found.candidate_group) == (Verdict.MATCH, "ab", "xy")


def test_name_and_version_are_part_of_the_evaluator_version(
    acme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another evaluator, or the same in another version, compares everything anew."""
    versions = {
        evaluator_version(each)
        for each in (
            EvalConfig("t", EvalKind.TEXT),
            text_eval("same_length"),
            text_eval("equal"),
            text_eval("says"),
        )
    }
    assert len(versions) == 4
    before = evaluator_version(text_eval("same_length"))
    import acme_evaluators  # type: ignore[import-not-found]

    monkeypatch.setattr(acme_evaluators.same_length, "version", "4")
    custom.forget_loaded()
    assert evaluator_version(text_eval("same_length")) != before


def test_an_evaluator_is_semantic_unless_it_says_otherwise(acme: Path) -> None:
    """Foreign agreement proves nothing, whatever the kind, unless it is declared an equality."""
    labels = EvalConfig("t", EvalKind.LABEL, labels=("a", "b"), evaluator="same_length")
    assert basis(labels) is Basis.SEMANTIC
    assert basis(text_eval("same_length")) is Basis.SEMANTIC
    assert basis(text_eval("equal")) is Basis.STRUCTURAL


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("None", "answers with NoneType"),
        ("True", "answers with bool"),
        ("{}", "verdict is None"),
        ('{"verdict": "tie"}', "verdict is 'tie'"),
        ('{"verdict": "ignored"}', "verdict is 'ignored'"),
        ('{"verdict": "match", "score": 10}', "score is 10"),
        ('{"verdict": "match", "score": float("nan")}', "score is nan"),
        ('{"verdict": "match", "score": True}', "score is True"),
        ('{"verdict": "match", "note": 1}', "unknown key 'note'"),
        ('{"verdict": "match", "details": {"x": object()}}', "details are not JSON"),
        ('{"verdict": "match", "details": [1]}', "details are list"),
        ('{"verdict": "match", "reason": 5}', "reason or flag is int"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_an_answer_that_is_no_judgement_is_an_error_and_not_a_verdict(
    acme: Path, answer: str, words: str
) -> None:
    """Nothing is guessed: a mismatch without a score, flagged and not blamed on the candidate."""
    found = judged(text_eval("says"), "control", answer)
    assert (found.verdict, found.score, found.invalid) == (Verdict.MISMATCH, None, False)
    assert EVALUATOR_ERROR in found.flags
    assert "evaluator says failed" in found.reason
    assert words in found.reason


def test_a_verdict_without_a_score_gets_that_of_its_verdict(acme: Path) -> None:
    """No score at all is kept for errors, of which nothing is known."""
    assert judged(text_eval("equal"), "a", "a").score == 1.0
    found = judged(text_eval("equal"), "a", "b")
    assert (found.verdict, found.score, found.flags) == (Verdict.MISMATCH, 0.0, ("other",))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(control=st.text(max_size=30), observed=st.sampled_from(["recursion", "key", "\ud800"]) | st.text())
def test_an_evaluator_that_fails_never_agrees(acme: Path, control: str, observed: str) -> None:
    """An exception is a mismatch, also of equal answers and under an ignore rule; junk does not stop it."""
    rules = (IgnoreRule("everything", r"(?s).*"), IgnoreRule("nothing", r"\Z"))
    for config in (text_eval("raises"), text_eval("raises", ignore=rules)):
        for pair in ((control, observed), (observed, observed)):
            found = judged(config, *pair)
            assert found.verdict in (Verdict.MISMATCH, Verdict.UNCOMPARABLE)
            if found.verdict is Verdict.UNCOMPARABLE:
                plain = judged(EvalConfig("t", EvalKind.TEXT), *pair)
                assert plain.verdict is Verdict.UNCOMPARABLE, "only the kind may leave a pair out"
            json.dumps(found.details).encode()
            found.reason.encode()


def test_an_ignore_rule_does_not_turn_an_error_into_an_agreement(acme: Path) -> None:
    """Where the evaluator failed on what was said, what it says of a part of it does not count."""
    match = "{'verdict': 'match'}"
    config = text_eval("says", ignore=(IgnoreRule("prefix", r"^1/0 or "),))
    assert judged(config, match, match).verdict is Verdict.MATCH
    found = judged(config, match, f"1/0 or {match}")
    assert (found.verdict, found.ignored_by) == (Verdict.MISMATCH, None)


def test_an_evaluator_may_leave_out_a_control_and_not_a_candidate(acme: Path) -> None:
    """Uncomparable counts only where the control alone is the reason: bad answers can't be excused."""
    config = text_eval("excuses")
    assert judged(config, "lost", "fine").verdict is Verdict.UNCOMPARABLE
    found = judged(config, "plain", "bad")
    assert (found.verdict, found.flags) == (Verdict.MISMATCH, (EVALUATOR_ERROR,))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "same_lenght",
            ["not installed", "Installed are", "Did you mean 'same_length'", "workbench.evaluators"],
        ),
        ("gone", ["can't be loaded", "acme_evaluators 2.1"]),
        ("broken", ["can't be loaded", "RuntimeError: no licence file"]),
        ("noversion", ["has no `version`", 'version = "1"']),
        ("number", ["can't be called"]),
    ],
)
def test_an_evaluator_that_can_t_be_used_is_a_message_with_the_next_step(
    acme: Path, name: str, words: list[str]
) -> None:
    """The message names the file and the key, what is installed, and what to do."""
    config = replace(text_eval(name), root="/here/evals/t")
    for use in (Comparator, evaluator_version, basis):
        use_it: Callable[[EvalConfig], Any] = use
        with pytest.raises(ConfigError) as caught:
            use_it(config)
        for word in ["/here/evals/t/eval.toml", f"evaluator {name!r}", *words]:
            assert word in str(caught.value)


def test_one_name_from_two_distributions_is_ambiguous(acme: Path) -> None:
    """Which of the two was meant is not decided by the order of folders."""
    install(acme, "other_evaluators", "other_evaluators", CODE, {"equal": "other_evaluators:Equal"})
    with pytest.raises(ConfigError, match=r"ambiguous.*acme_evaluators.* and .*other_evaluators"):
        basis(text_eval("equal"))


def test_an_object_with_a_version_and_a_call_keeps_the_protocol() -> None:
    """The protocol is checked by the type checker, for whoever writes an evaluator."""

    class Mine:
        version = "1"

        def __call__(self, control: Output, observed: Output, request: Request | None) -> dict[str, object]:
            return {"verdict": "match" if control.text == observed.text else "mismatch"}

    mine: Evaluator = Mine()
    assert mine(Output("a"), Output("a"), None) == {"verdict": "match"}


def world_with(root: Path, task: str, text: str) -> World:
    folder = root / "evals" / task
    folder.mkdir(parents=True)
    (folder / "eval.toml").write_text(f'task = "{task}"\n{text}')
    return make_world(root)


def test_errors_of_an_evaluator_are_shown_and_hold_traffic_back(acme: Path, tmp_path: Path) -> None:
    """Of 60 equal answers the evaluator fails on 30: they stay in the count, and the share falls."""
    kinds = 'kind = "label"\nlabels = ["{}", "{}"]\nevaluator = "{}"\n'
    match, fail = "{'verdict': 'match'}", "1 / 0"
    shares = []
    for number, second in enumerate((match, fail)):
        root = tmp_path / str(number)
        world = world_with(root, "own", kinds.format(match, fail, "saysequal"))
        with world.store:
            world.add("own", [(match, match)] * 30 + [(second, second)] * 30)
            (report,) = scoring.compare(world.workspace, world.store, "own", "small")
            assert (report.compared, report.match, report.uncomparable) == (60, 60 - 30 * number, 0)
            assert report.invalid == 0
            reasons = world.store.frame("SELECT reason, flags, details FROM comparisons")
            failing = [reason for reason in reasons["reason"] if "evaluator saysequal failed" in reason]
            assert len(failing) == 30 * number
            assert all('"version":"1"' in details for details in reasons["details"])
            shares.append(scoring.recommend(world.workspace, world.store, "own", "small").share)
    assert shares[0] > 0
    assert shares[1] == 0
