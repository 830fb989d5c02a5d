"""Accepting a share: what was shown is what is accepted, the log only grows, overrides end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from scoring_world import START, World, make_world

import workbench
from workbench import Workbench
from workbench.cli import cli
from workbench.config import Workspace
from workbench.errors import GateRefused, UsageError
from workbench.records import Action, Estimate, LabelVerdict, Policy, SliceShare
from workbench.rollout import (
    Decision,
    Moves,
    accept,
    broken_entries,
    decisions,
    export_ramp,
    in_force,
    standing,
    what_if,
    write_ramp,
)
from workbench.rollout.decisions import Force, Override, fallback_share
from workbench.scoring import compare, recommend
from workbench.scoring.considered import consider
from workbench.store.decisions import decision_rows

NOW = datetime(2026, 5, 4, 9, tzinfo=UTC)
DAY = timedelta(days=1)
HOSTILE = "<script>alert(1)</script> ![x](http://evil.example/x.png) =cmd()\n\u202egnp.exe"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Give a task of which 300 calls agree: 1 % may move, the evidence supports 10 %."""
    each = make_world(tmp_path)
    with each.store:
        each.add("topics", [("a", "a")] * 300)
        compare(each.workspace, each.store, "topics")
        yield each


def shown(world: World, current: float = 0.0, now: datetime | None = None) -> str:
    """Return the hash of the recommendation as it is now."""
    made = consider(world.workspace, world.store, "topics", "small", current_share=current, now=now)
    return made.evidence_hash


def taken(world: World, share: float, **more: Any) -> Decision:
    """Accept a share on the evidence as it is now."""
    asked = {"who": "ada", "now": NOW} | more
    current = in_force(world.workspace, world.store, "topics", "small", now=asked["now"]).share
    asked.setdefault("shown", shown(world, current, asked["now"]))
    return accept(world.workspace, world.store, "topics", "small", share=share, **asked)


def test_what_was_recommended_is_accepted_as_it_was_shown(world: World) -> None:
    """The entry holds who, when, the share, the evidence and the policy; the share is in force."""
    assert in_force(world.workspace, world.store, "topics", "small").force is Force.NONE
    made = taken(world, 0.01)
    assert (made.share, made.recommended_share, made.supported_share) == (0.01, 0.01, 0.1)
    assert (made.decided_by, made.decided_at, made.override, made.expires_at) == ("ada", NOW, None, None)
    assert made.evidence_hash == shown(world)
    assert {each.name: each.share for each in made.moves.slices} == {"language": 0.01}
    assert made.moves.effective_share == pytest.approx(0.01)
    held = in_force(world.workspace, world.store, "topics", "small", now=NOW + 400 * DAY)
    assert (held.force, held.share) == (Force.ACCEPTED, 0.01)
    (entry,) = decisions(world.store)
    assert entry.intact
    assert entry.decision == made


def test_nothing_is_accepted_on_evidence_that_changed(world: World) -> None:
    """A label that came in between refuses the decision, says so, and leaves the log as it was."""
    before = shown(world)
    world.label("topics", 3, LabelVerdict.EQUAL)
    with pytest.raises(GateRefused, match="changed since it was shown") as refused:
        taken(world, 0.01, shown=before)
    assert refused.value.exit_code == 1
    assert shown(world) in refused.value.message
    assert decisions(world.store) == []


def test_a_label_that_comes_while_a_share_is_accepted_refuses_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading the evidence and writing the entry nothing slips in."""
    before = shown(world)
    reached = []
    plain = world.store.writing

    def late() -> Any:
        if not reached:
            reached.append(True)
            world.label("topics", 3, LabelVerdict.EQUAL)
        return plain()

    monkeypatch.setattr(world.store, "writing", late)
    with pytest.raises(GateRefused):
        taken(world, 0.01, shown=before)
    assert reached
    assert decisions(world.store) == []


def test_more_served_than_was_accepted_needs_a_reason_and_shows_in_the_log(world: World) -> None:
    """A claim takes traffic further than the log did: nobody makes it in silence, and it stays to be seen."""
    claimed = {"current_share": 0.05, "shown": shown(world, 0.05)}
    share = recommended(world, 0.05)
    for reason in ("", "  \n"):
        with pytest.raises(
            UsageError, match="5 % is said to be served, and 0 % is in force: that needs a reason"
        ):
            taken(world, share, reason=reason, **claimed)
    assert decisions(world.store) == []
    made = taken(world, share, reason="moved by hand in April", **claimed)
    assert (made.recommended_share, made.current_share, made.override) == (share, 0.05, None)
    assert made.reason == "moved by hand in April"
    # What is in force, and less than that, is no claim.
    taken(world, recommended(world, share), now=NOW + DAY)
    less = {"current_share": 0.01, "shown": shown(world, 0.01), "now": NOW + 2 * DAY}
    made = taken(world, recommended(world, 0.01), **less)
    told = [(each.served_then, each.claimed, each.in_force_then) for each in decisions(world.store)]
    assert told == [
        ("1 %", False, share),
        (f"{100 * share:g} %", False, share),
        ("5 % (said; 0 % was in force)", True, 0.0),
    ]
    run = CliRunner().invoke(cli, ["decisions", "--workspace", str(world.workspace.root)])
    assert "served then 5 % (said; 0 % was in force)" in run.output
    assert f"{100 * share:g} %  by " in run.output, "stages read as people set them"
    run = CliRunner().invoke(cli, ["decisions", "--json", "--workspace", str(world.workspace.root)])
    assert [each["claimed"] for each in json.loads(run.output)["decisions"]] == [False, False, True]


def recommended(world: World, current: float) -> float:
    """Return the share that is recommended where so much is served."""
    return recommend(world.workspace, world.store, "topics", "small", current_share=current).share


def test_what_was_in_force_then_is_told_after_an_override_ended(world: World) -> None:
    """An override that has ended is in force no more: to say that its share is served is a claim."""
    taken(world, 0.5, reason="launch", until=NOW + DAY)
    late = {"now": NOW + 2 * DAY, "current_share": 0.5, "shown": shown(world, 0.5)}
    with pytest.raises(UsageError, match="50 % is said to be served, and 0 % is in force"):
        taken(world, recommended(world, 0.5), **late)
    taken(world, recommended(world, 0.5), reason="nobody stepped down", **late)
    (last, first) = decisions(world.store)
    assert last.claimed
    assert not first.claimed


def test_nobody_undoes_a_decision_that_they_have_not_seen(world: World) -> None:
    """A step down during an incident is not overwritten by a page that was opened before it."""
    stale = shown(world)
    down = taken(world, 0.0, reason="incident", until=NOW + DAY, latest="")
    with pytest.raises(GateRefused, match="ada accepted 0 %"):
        taken(world, 0.01, shown=stale, latest="", current_share=0.0, who="bob")
    assert len(decisions(world.store)) == 1
    assert taken(world, 0.01, latest=down.decision_id, who="bob").share == 0.01


@pytest.mark.parametrize(
    ("share", "more", "says"),
    [
        (0.25, {}, "needs a reason"),
        (0.0, {}, "needs a reason"),
        (0.25, {"reason": "  \n "}, "needs a reason"),
        (0.25, {"reason": "launch"}, "needs an end"),
        (0.25, {"reason": "launch", "until": NOW}, "is past"),
        (0.25, {"reason": "launch", "until": NOW + 31 * DAY}, "at most 30 days"),
        (0.01, {"until": NOW + DAY}, "needs no end"),
        (0.25, {"reason": "x" * 2_001, "until": NOW + DAY}, "2,000"),
        (1.5, {}, "no share"),
        (float("nan"), {}, "no share"),
        (0.01, {"who": " "}, "needs the name"),
    ],
)
def test_an_override_needs_a_reason_and_an_end(
    world: World, share: float, more: dict[str, Any], says: str
) -> None:
    """Whatever is missing is named, and nothing is written."""
    with pytest.raises(UsageError, match=says):
        taken(world, share, **more)
    assert decisions(world.store) == []


def test_an_upward_override_is_loud_and_falls_back(world: World) -> None:
    """It stands in the export with its end and with what holds after it; then the lower share holds."""
    taken(world, 0.01)
    made = taken(world, 0.5, reason=HOSTILE, until=NOW + 2 * DAY)
    assert made.override is Override.UP
    assert made.reason == HOSTILE.strip()
    assert made.fallback.share == 0.01
    # The task goes beyond its cap, a slice never beyond its own.
    assert {each.share for each in made.moves.slices} == {0.25}
    loud = export_ramp(world.workspace, world.store, now=NOW + DAY).ramps[0]
    assert (loud.share, loud.force) == (0.5, Force.OVERRIDE)
    assert loud.override is not None
    assert (loud.override.direction, loud.override.then_share) == (Override.UP, 0.01)
    assert loud.override.expires_at == NOW + 2 * DAY
    assert any("above the recommended 1 %" in each for each in loud.warnings)
    quiet = export_ramp(world.workspace, world.store, now=NOW + 2 * DAY).ramps[0]
    assert (quiet.share, quiet.force, quiet.override) == (0.01, Force.EXPIRED, None)
    assert any("ended" in each for each in quiet.warnings)


def test_an_override_never_becomes_the_accepted_share_by_itself(world: World) -> None:
    """While it is in force its share is none that was reached: to keep it needs a reason and an end again."""
    first = taken(world, 0.05, reason="launch", until=NOW + 2 * DAY)
    assert (first.recommended_share, first.supported_share) == (0.01, 0.1)
    later: dict[str, Any] = {"now": NOW + DAY}
    less = later | {"current_share": 0.04, "shown": shown(world, 0.04, NOW + DAY)}
    for share, asked in ((0.05, later), (0.04, less)):
        with pytest.raises(UsageError, match="above the recommended one: it needs a reason"):
            taken(world, share, **asked)
    again = taken(world, 0.05, reason="one more week", until=NOW + 9 * DAY, **later)
    assert (again.recommended_share, again.override) == (0.01, Override.UP)
    assert again.fallback.share == 0.0, "nobody has accepted 1 % yet"
    answer = recommend(world.workspace, world.store, "topics", "small", current_share=0.05, now=NOW + 2 * DAY)
    assert (answer.action, answer.share, answer.cap) == (Action.STEP_DOWN, 0.01, 0.1)
    assert answer.binding_reason == (
        "An override holds 5 %, and is no stage on the ladder: without it 0 % is in force, and 1 % is the "
        "next stage."
    )
    (ramp,) = export_ramp(world.workspace, world.store, now=NOW + 2 * DAY).ramps
    assert (ramp.share, ramp.recommended_share) == (0.05, 0.01)
    made = taken(world, 0.01, now=NOW + 2 * DAY)
    assert (made.override, made.recommended_share) == (None, 0.01)
    held = in_force(world.workspace, world.store, "topics", "small", now=NOW + 30 * DAY)
    assert (held.force, held.share) == (Force.ACCEPTED, 0.01)


def test_what_evidence_has_to_say_about_the_first_stage_holds_under_an_override(world: World) -> None:
    """Where 0 % would be held without the override, the first stage is not reached by it, either."""
    taken(world, 0.05, reason="launch", until=NOW + 9 * DAY)
    world.add("topics", [("a", "b")] * 60, replay="r2", first=300, observed=50)
    compare(world.workspace, world.store, "topics")
    assert recommended(world, 0.0) == 0.0
    answer = recommend(world.workspace, world.store, "topics", "small", current_share=0.05, now=NOW + DAY)
    assert (answer.action, answer.share) == (Action.ROLLBACK, 0.0)


def test_an_export_without_a_decision_moves_nothing_and_says_so(world: World, tmp_path: Path) -> None:
    """A recommendation is no decision; the file holds what the export says."""
    found = export_ramp(world.workspace, world.store)
    (ramp,) = found.ramps
    assert (ramp.share, ramp.recommended_share) == (0.0, 0.01)
    assert any("No share was accepted" in each for each in ramp.warnings)
    write_ramp(found, tmp_path / "ramp.json")
    document = json.loads((tmp_path / "ramp.json").read_text())
    assert document["ramps"][0]["share"] == 0.0
    assert document["version"] == 1


def test_an_export_warns_where_the_evidence_no_longer_carries_what_was_accepted(world: World) -> None:
    """What was accepted is exported, with a warning that names what is recommended now."""
    taken(world, 0.01)
    world.add("topics", [("a", "b")] * 200, replay="r2", first=300)
    compare(world.workspace, world.store, "topics")
    (ramp,) = export_ramp(world.workspace, world.store, now=NOW).ramps
    assert ramp.share == 0.01
    assert ramp.recommended_share == 0.0
    assert any("no longer carries" in each for each in ramp.warnings)


def test_a_decision_binds_the_candidate_as_it_was(world: World) -> None:
    """Where the candidate's configuration changes, nothing of an earlier decision is in force."""
    taken(world, 0.01)
    outputs = world.workspace.root / "small.csv"
    outputs.write_text("row,out\n0,other\n", encoding="utf-8")
    held = in_force(Workspace.load(world.workspace.root), world.store, "topics", "small", now=NOW)
    assert (held.force, held.share) == (Force.REPLACED, 0.0)


def test_another_policy_is_told_in_the_export(world: World) -> None:
    """The policy that was accepted under has a version; another one in eval.toml shows."""
    taken(world, 0.01)
    path = world.workspace.root / "evals" / "topics" / "eval.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("[[slices]]", "[policy]\ntolerance = 0.06\n[[slices]]"), encoding="utf-8")
    (ramp,) = export_ramp(Workspace.load(world.workspace.root), world.store, now=NOW).ramps
    assert any("another policy" in each for each in ramp.warnings)


# --- Laws ----------------------------------------------------------------------------------------


def test_the_hash_changes_if_and_only_if_an_input_changes(world: World) -> None:
    """Labels, comparisons, policy, guidelines and the present share are inputs; all else is not."""
    same = shown(world)
    assert shown(world) == same
    world.add("orders", [('{"id": 1}', '{"id": 1}')] * 5, replay="o1")
    compare(world.workspace, world.store, "orders")
    world.store.append("openings", [_opening()])
    taken(world, 0.01)
    assert shown(world) == same, "another task, an opened case and a decision change nothing"
    world.label("topics", 5, LabelVerdict.EQUAL)
    labelled = shown(world)
    world.store.append("labels", [_by_hand()])
    assert shown(world) == labelled, "a first look by hand enters nothing"
    assert labelled != same
    seen = {same, labelled, shown(world, 0.01)}
    world.label("topics", 5, LabelVerdict.BOTH_BAD, by="bob")
    seen.add(shown(world))
    world.add("topics", [("a", "a")] * 5, replay="r2", first=300)
    compare(world.workspace, world.store, "topics")
    seen.add(shown(world))
    guidelines = world.workspace.root / "evals" / "topics" / "guidelines.md"
    guidelines.write_text("Prefer the shorter.", encoding="utf-8")
    seen.add(shown(World(Workspace.load(world.workspace.root), world.store)))
    assert len(seen) == 6


def test_every_field_of_a_policy_is_an_input(world: World) -> None:
    """Two policies that differ in anything have different versions and hashes."""
    saved = world.workspace.eval_for("topics").policy
    other: dict[str, Any] = {
        "harm": "net",
        "ladder": (0.0, 0.5, 1.0),
        "minimum_pairs": 21,
        "minimum_live_calls": 51,
        "planned_labels": 30,
    }
    hashes, versions = set(), set()
    for each in fields(Policy):
        value = other.get(each.name, 0.03)
        policy = replace(saved, **{each.name: value})
        made = consider(world.workspace, world.store, "topics", "small", policy=policy)
        hashes.add(made.evidence_hash)
        versions.add(made.policy_version)
    assert len(hashes) == len(versions) == len(fields(Policy))


def test_what_if_never_writes_and_can_not_be_accepted(world: World) -> None:
    """The store and eval.toml stay as they are, and its answer has no hash that would be accepted."""
    folder = world.workspace.root / "evals" / "topics"
    files = {each: each.read_bytes() for each in folder.iterdir()}
    version = world.store.version()
    policy = replace(world.workspace.eval_for("topics").policy, tolerance=0.002, level=0.8)
    found = what_if(world.workspace, world.store, "topics", "small", policy)
    assert found.answer.cap == 0.05
    assert found.changed == ("tolerance", "level")
    assert "evidence_hash" not in found.answer.details
    assert world.store.version() == version
    assert files == {each: each.read_bytes() for each in folder.iterdir()}
    tried = consider(world.workspace, world.store, "topics", "small", policy=policy)
    with pytest.raises(GateRefused):
        taken(world, 0.01, shown=tried.evidence_hash)


SHARES = st.sampled_from([0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0])


def entry(share: float, recommended: float, fallback: float, hours: int, seq: int) -> Decision:
    """Return a decision with an end where it is an override."""
    harm = Estimate(0.0, 0.0, 0.1, 0.95, "m", 1, 1.0)
    each = SliceShare("language", "en", 1.0, 100, harm, 0.25, min(share, 0.25), "active", "")
    return Decision(
        decision_id=str(seq),
        seq=seq,
        task="t",
        candidate="c",
        candidate_fingerprint="f",
        evaluator_version="e",
        action="RAMP",
        share=share,
        recommended_share=recommended,
        supported_share=recommended,
        current_share=0.0,
        moves=Moves(share, min(share, 0.25), (each,)),
        fallback=Moves(fallback, fallback),
        harm=harm,
        binding_reason="",
        reason="why" if share != recommended else "",
        expires_at=None if share == recommended else NOW + timedelta(hours=hours),
        decided_by="ada",
        decided_at=NOW + timedelta(minutes=seq),
        evidence_hash="h",
        policy_version="p",
        policy="{}",
        previous_hash="",
        entry_hash="",
    )


@given(
    st.lists(st.tuples(SHARES, SHARES, st.integers(1, 40)), max_size=5),
    st.tuples(SHARES, SHARES, st.integers(1, 40)),
    st.integers(0, 100),
)
def test_an_override_that_ended_raises_nothing(
    earlier: list[tuple[float, float, int]], last: tuple[float, float, int], hours: int
) -> None:
    """Once it has ended, no more moves than without it; and when it ends, traffic never rises."""
    log: list[Decision] = []
    for share, recommended, lasts in [*earlier, last]:
        when = NOW + timedelta(minutes=len(log))
        before = standing(log, "f", when).without_override
        back = fallback_share(share, recommended, before)
        log.append(entry(share, recommended, back, lasts, len(log)))
    now = NOW + timedelta(hours=hours)
    with_it, without = standing(log, "f", now), standing(log[:-1], "f", log[-1].decided_at)
    if with_it.force is Force.EXPIRED:
        assert with_it.share <= min(without.share, log[-1].share, log[-1].recommended_share)
    else:
        assert with_it.share == log[-1].share
    later = standing(log, "f", now + timedelta(days=60))
    assert later.share <= with_it.share
    assert later.raised is False
    # A clock that goes back revives nothing that ended before the newest entry.
    assert standing(log, "f", NOW - timedelta(days=400)).share == standing(log, "f", log[-1].decided_at).share
    assert standing(log, "another", now).share == 0.0


def test_the_log_only_grows_and_a_changed_row_shows(world: World) -> None:
    """Earlier rows stay byte for byte; one that was changed or taken out breaks itself and what follows."""
    taken(world, 0.01)
    first = decision_rows(world.store)
    taken(world, 0.0, reason="incident", until=NOW + DAY)
    taken(world, 0.5, reason="launch", until=NOW + DAY)
    rows = decision_rows(world.store)
    assert rows[:1] == first
    assert len(rows) == 3
    assert broken_entries(rows) == set()
    assert broken_entries([rows[0], rows[2]]) == {rows[2]["decision_id"]}
    for name in rows[1]:
        if name in ("seq", "decision_id"):
            continue
        value = rows[1][name]
        forged = (
            value + DAY if isinstance(value, datetime) else value + 1 if isinstance(value, float) else "x"
        )
        changed = [rows[0], rows[1] | {name: forged}, rows[2]]
        assert rows[1]["decision_id"] in broken_entries(changed), name
    with world.store.writing() as writer:
        writer.execute("UPDATE ramp_decisions SET share = 1.0 WHERE seq = ?", (rows[0]["seq"],))
    assert [each.intact for each in decisions(world.store)] == [False, False, False]
    assert any("not as it was written" in each for each in export_ramp(world.workspace, world.store).warnings)


def test_no_code_changes_or_deletes_a_decision() -> None:
    """No statement of the product names the log but to add to it and to read it."""
    package = Path(workbench.__file__).parent
    for path in [*package.rglob("*.py"), *package.rglob("*.sql")]:
        text = " ".join(path.read_text(encoding="utf-8").upper().split())
        for word in ("UPDATE RAMP_DECISIONS", "DELETE FROM RAMP_DECISIONS", "DROP TABLE RAMP_DECISIONS"):
            assert word not in text, path


# --- On the command line -------------------------------------------------------------------------


def run(*words: str, root: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a process of its own."""
    command = [sys.executable, "-m", "workbench", *words, "--workspace", str(root)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ.copy())


def test_a_share_is_accepted_on_the_command_line(world: World) -> None:
    """Accept what was shown, read the log, export; a stale hash is refused with exit code 1."""
    root, hash_seen = world.workspace.root, shown(world)
    where = ("--task", "topics", "--candidate", "small", "--evidence", hash_seen, "--share")
    done = run("accept", *where, "1%", "--who", "ada", "--json", root=root)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["share"] == 0.01
    again = run("accept", *where, "1%", root=root)
    assert again.returncode == 1
    assert "changed since it was shown" in again.stderr
    assert "Traceback" not in again.stderr
    missing = called("accept", *where, "25%", "--current-share", "0%", root=root, code=2)
    assert "needs a reason" in missing["error"]
    log = called("decisions", root=root)
    assert [each["decided_by"] for each in log["decisions"]] == ["ada"]
    assert log["decisions"][0]["intact"] is True
    assert log["in_force"][0]["share"] == 0.01
    assert called("export", "ramp", root=root)["ramps"][0]["share"] == 0.01
    seen = called("recommend", *where[:4], root=root)
    assert seen["current_share"] == 0.01, "what was accepted is what is served"
    seen = called("recommend", *where[:4], "--current-share", "0%", root=root)
    assert seen["details"]["evidence_hash"] == hash_seen


def called(*words: str, root: Path, code: int = 0) -> dict[str, Any]:
    """Call a command in this process and return its document."""
    done = CliRunner().invoke(cli, [*words, "--json", "--workspace", str(root)])
    assert done.exit_code == code, done.output
    document: dict[str, Any] = json.loads(done.stdout.splitlines()[0])
    return document


def test_the_facade_does_what_the_commands_do(world: World, tmp_path: Path) -> None:
    """A notebook recommends, accepts, reads the log and exports."""
    with Workbench(world.workspace.root) as bench:
        answer = bench.recommend("topics", "small")
        made = bench.accept("topics", "small", 0.01, shown=answer.details["evidence_hash"], who="ada")
        assert bench.in_force("topics", "small").share == 0.01
        assert [each.decision for each in bench.decisions("topics")] == [made]
        assert bench.export_ramp(path=tmp_path / "out.json").ramps[0].share == 0.01
        tried = bench.what_if("topics", "small", Policy(tolerance=0.2))
        assert tried.lines == "[policy]\ntolerance = 0.2"
    assert recommend(world.workspace, world.store, "topics", "small").details["evidence_hash"]


def _opening() -> dict[str, Any]:
    return {"replay_id": "r1", "call_id": "topics-00001", "annotator": "mia", "created_at": START}


def _by_hand() -> dict[str, Any]:
    return {
        "label_id": "hand",
        "replay_id": "r1",
        "call_id": "topics-00009",
        "verdict": "control_better",
        "annotator": "mia",
        "reasons": [],
        "note": "",
        "source": "by_hand",
        "skipped": False,
        "created_at": START,
    }


@pytest.mark.parametrize(("saved", "kept"), [("", 0.02), ("frontier_reserve = 0.05\n", 0.05)])
def test_an_export_of_all_traffic_leaves_a_reserve_on_the_frontier(
    world: World, saved: str, kept: float
) -> None:
    """What a gateway is told never takes it; what was accepted stands beside it."""
    path = world.workspace.root / "evals" / "topics" / "eval.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.split("[[slices]]")[0] + f"[policy]\n{saved}", encoding="utf-8")
    space = World(Workspace.load(world.workspace.root), world.store)
    world.add("topics", [("a", "a")] * 900, replay="r2", first=300)
    compare(space.workspace, world.store, "topics")
    taken(space, 1.0, reason="all of it", until=NOW + DAY)
    (ramp,) = export_ramp(space.workspace, world.store, now=NOW).ramps
    assert (ramp.accepted_share, ramp.frontier_reserve) == (1.0, kept)
    assert ramp.share == ramp.effective_share == 1 - kept
