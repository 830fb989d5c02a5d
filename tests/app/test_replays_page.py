"""Replays: what a run may take, how it goes, and the measurements beside it."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import MISSING, fields
from datetime import UTC, date, datetime
from typing import Any

import pytest
from app_building import Filled, Pair, answer, store_calls
from app_reading import Visit, fine, said

from workbench.compare import evaluator_version
from workbench.config import Workspace
from workbench.exporting import Asked, table_bytes
from workbench.records import Estimate, to_json
from workbench.replay.heartbeat import Heartbeat
from workbench.replay.latency_report import Percentile, SpeedRun
from workbench.scoring.noise import NoiseFloor, keep
from workbench.ui import jobs

FAR = '\n[[candidates]]\nname = "far"\nengine = "openai"\nmodel = "m"\nprice = "small-model"\n'
CONTROL = '\n[[candidates]]\nname = "control"\nengine = "openai"\n'
NOW = datetime.now(UTC)


def declare(place: Filled, *tables: str) -> Workspace:
    """Add tables to the workspace's file; engines of the network stand where nobody listens."""
    path = place.workspace.root / "workbench.toml"
    text = "".join(tables).replace(
        'engine = "openai"', 'engine = "openai"\nbase_url = "http://127.0.0.1:9/v1"'
    )
    path.write_text(path.read_text() + text)
    return Workspace.load(place.workspace.root)


def measured(place: Filled, point: float = 0.8) -> NoiseFloor:
    """Store a floor of the task triage."""
    version = evaluator_version(place.workspace.eval_for("triage"))
    r = Estimate(point, 0.72, 0.86, 0.95, "anytime", 200, 200)
    left_out = {"cached": 3}
    floor = NoiseFloor(
        "triage", version, "asked_again", r, True, {"frontier-1": 200}, NOW, {}, left_out, ("A note [x](y).",)
    )
    keep(place.store, floor)
    return floor


def probe(place: Filled, fingerprint: str, latency: tuple[Percentile, ...], **changes: Any) -> None:
    """Store a latency probe of the task triage."""
    plain: dict[str, Any] = {each.name: None for each in fields(SpeedRun) if each.default is MISSING}
    plain |= dict.fromkeys(("calls", "sent", "answered", "unanswered", "dropped", "retried"), 0)
    plain |= dict.fromkeys(("calls_per_s", "peak_per_s", "independent_calls", "mean_in_flight"), 1.0)
    plain |= {"probe_id": "p1", "speed": 2.0, "rate_known": True, "most_in_flight": 4, "errors": {}}
    plain |= {"latency": latency, "first_token": (), "seconds": 9.0, "cut_s": 0.0, "stopped_early": False}
    row = {
        "probe_id": "p1",
        "task": "triage",
        "candidate": "far",
        "candidate_fingerprint": fingerprint,
        "speed": 2.0,
        "rate_known": True,
        "calls_per_s": 1.0,
        "report": to_json(plain | changes).decode(),
        "created_at": NOW,
    }
    place.store.append("latency_probes", [row])


def commands(at: Any) -> str:
    """Return every command that the page shows."""
    return "\n".join(each.value for each in at.code if each.value.startswith("workbench "))


def test_what_a_run_may_take_becomes_options_of_its_command(visit: Visit, filled: Filled) -> None:
    """Money, minutes, requests in flight and checks: what a person sets is in the command, nothing else."""
    declare(filled, FAR)
    at = fine(visit(filled, "replays", task="triage", candidate="far"))
    assert "--budget" not in commands(at)
    at.number_input(key="usd-triage-far").set_value(2.5)
    at.number_input(key="minutes-triage-far").set_value(90.0)
    at.number_input(key="most-triage-far").set_value(8)
    at.checkbox(key="checks-triage-far").set_value(False)
    fine(at.run())
    assert "--limit 240 --budget-usd 2.5 --budget-minutes 90 --concurrency 8 --no-checks" in commands(at)


def test_money_is_no_limit_where_there_is_no_price(visit: Visit, filled: Filled) -> None:
    """Without a price nothing can be counted: the field says so instead of failing later."""
    declare(filled, FAR.replace('price = "small-model"', ""))
    at = fine(visit(filled, "replays", task="triage", candidate="far"))
    field = at.number_input(key="usd-triage-far")
    assert field.disabled
    assert "[[prices]]" in field.help


def test_an_estimate_is_of_the_candidate_it_was_made_for(visit: Visit, filled: Filled) -> None:
    """Another candidate's page does not show it."""
    at = fine(visit(filled, "replays", task="triage", candidate="small"))
    at.button(key="estimate").click()
    fine(at.run())
    assert "Would be sent" in said(at)
    next(each for each in at.selectbox if each.label == "Candidate").set_value("planted")
    assert "Would be sent" not in said(fine(at.run()))


def test_calls_of_no_eval_lead_to_where_one_is_drafted(visit: Visit, empty: Filled) -> None:
    """With nothing that says how to compare them, the page leads to Traffic instead of ending."""
    store_calls(empty.store, [Pair("nameless", 1, "Hello?", answer("Hi."), answer("Hi."))])
    at = fine(visit(empty, "replays"))
    assert "No task with calls has an eval yet" in said(at)
    assert "empty-traffic" in {each.key for each in at.button}


def test_an_estimate_is_of_the_run_it_was_made_for(visit: Visit, filled: Filled) -> None:
    """Once a person changes how many calls are sent, the figures of the run before are gone."""
    at = fine(visit(filled, "replays", task="triage", candidate="small"))
    at = fine(at.button(key="estimate").click().run())
    assert "Would be sent" in said(at)
    at.number_input(key="limit-triage").set_value(10)
    assert "Would be sent" not in said(fine(at.run()))


def test_the_control_is_offered_as_no_candidate(visit: Visit, filled: Filled) -> None:
    """Choices of candidates on all pages leave it out; its own tab asks it again."""
    declare(filled, CONTROL)
    for page in ("replays", "compare", "ramp"):
        at = fine(visit(filled, page))
        assert all("control" not in each.options for each in at.selectbox), page
    at = fine(visit(filled, "replays", task="triage", candidate="small"))
    assert at.button(key="start-noise").label == "Ask the frontier again"
    assert "--candidate control --limit 200" in commands(at)
    compares = [each for each in commands(at).splitlines() if each.startswith("workbench compare")]
    assert not any("--candidate control" in each for each in compares)


def test_without_a_control_the_log_is_looked_at(visit: Visit, filled: Filled) -> None:
    """The page says how to declare one, and offers the duplicates."""
    at = fine(visit(filled, "replays", task="triage", candidate="small"))
    assert at.button(key="start-noise").label == "Look for duplicates in the log"
    assert "workbench candidate add control" in commands(at)
    assert "Not measured yet" in said(at)


def test_the_floor_stands_beside_the_candidates_agreement(visit: Visit, filled: Filled) -> None:
    """Replays, Overview and Ramp say the same of it; its notes are quoted, not read as Markdown."""
    measured(filled)
    words = said(fine(visit(filled, "replays", task="triage", candidate="small")))
    assert "Agrees with itself 80.0 %" in words
    assert "A candidate, at most 89.4 %" in words
    assert "Nobody reaches 95 % agreement here" in words
    assert "this one agrees on 97.5 %" in words
    assert "Left out: 3 that came from a response cache" in words
    assert "A note" in words
    assert "[x](y)" not in words
    overview = said(fine(visit(filled, "overview"))).replace("\\", "")
    assert "The frontier agrees with itself in 80.0 % (72.0–86.0 %, n = 200)" in overview
    ramp = said(fine(visit(filled, "ramp", task="triage", candidate="small")))
    assert "agrees with itself in 80.0 %" in ramp


def test_a_model_about_to_leave_is_noted_until_its_floor_is_measured(visit: Visit, filled: Filled) -> None:
    """Overview and Replays say so while there is time, and after; measured, they are silent."""
    gone = date(2020, 1, 1).isoformat()
    declare(filled, f'\n[[models]]\nmodel = "frontier-1"\nretires_on = {gone}\nsource = "a *mail*"\n')
    for page in ("overview", "replays"):
        words = said(fine(visit(filled, page, task="triage", candidate="small")))
        assert "The model frontier-1 left on 2020-01-01" in words.replace("\\", "")
        assert "a \\*mail\\*" in words
    measured(filled)
    assert "of 'triage'" not in said(fine(visit(filled, "overview")))


def test_latency_is_a_table_with_limits(visit: Visit, filled: Filled) -> None:
    """Each pace with its percentiles; what lies beyond the measured is said, not invented."""
    workspace = declare(filled, FAR)
    at = fine(visit(filled, "replays", task="triage", candidate="far"))
    assert "Latency is not measured yet" in said(at)
    found = (
        Percentile(0.5, 812.0, 640.0, 1020.0),
        Percentile(0.95, 2400.0, 1900.0, None),
        Percentile(0.99, None, None, None),
    )
    errors = {"timeout": 3}
    probe(
        filled,
        workspace.fingerprint(workspace.candidate("far")),
        found,
        calls=300,
        answered=297,
        errors=errors,
    )
    at = fine(visit(filled, "replays", task="triage", candidate="far"))
    table = next(each.value for each in at.dataframe if "p95" in each.value)
    (row,) = table.to_dict("records")
    assert (row["Pace"], row["p50"], row["p95"], row["p99"]) == (
        "2 × production",
        "812 (640–1,020)",
        "2,400 (1,900–?)",
        "never",
    )
    assert (row["Answered"], row["Errors"]) == ("297 of 300", "3 × no answer in time")
    content = table_bytes(workspace, filled.store, "latency-runs", Asked("triage", "far"), "csv").decode(
        "utf-8-sig"
    )
    (kept,) = csv.DictReader(io.StringIO(content))
    assert (float(kept["latency_p95_ms"]), kept["latency_p95_ms_high"]) == (2400.0, "")
    assert (kept["latency_p99_ms"], kept["answered"], kept["speed"]) == ("", "297", "2.0")
    assert "export table latency-runs" in commands(at)
    at.get("button_group")[0].set_value([1, 4])
    assert "--speed 1 --speed 4" in commands(fine(at.run()))


def test_the_open_tab_is_in_the_address(visit: Visit, filled: Filled) -> None:
    """A link opens the tab that was open; one that is not there opens the first, and says so."""
    at = fine(visit(filled, "replays", task="triage", candidate="small", measure="noise"))
    assert at.session_state["address.measure"] == "Noise floor"
    at.session_state["address.measure"] = "Latency"
    assert fine(at.run()).query_params["measure"] in ("latency", ["latency"])
    at.session_state["address.measure"] = "Replay"
    assert "measure" not in fine(at.run()).query_params
    at = fine(visit(filled, "replays", task="triage", candidate="small", measure="<b>"))
    assert "not here (Tab)" in said(at)
    at = fine(visit(filled, "traffic", workload="triage", part="answers"))
    assert at.session_state["address.part"] == "Answers"


def test_a_recorded_candidate_has_no_latency(visit: Visit, filled: Filled) -> None:
    """No model runs, and the page says so instead of offering what would be refused."""
    at = fine(visit(filled, "replays", task="triage", candidate="small"))
    assert "no model runs" in said(at)
    assert not any(each.key == "start-latency" for each in at.button)


def test_a_running_replay_shows_its_pace_and_money(visit: Visit, filled: Filled) -> None:
    """Calls and tokens a second, requests in flight, time left, money, what was sent again."""
    place = filled.workspace
    replay_id = filled.replays["orders"]
    filled.store.append(
        "replay_calls",
        [
            {
                "replay_id": replay_id,
                "call_id": f"more-{number}",
                "batch": 2,
                "rank": number,
                "audit_key": str(number),
                "inclusion_probability": 1.0,
            }
            for number in range(30)
        ],
    )
    beat = Heartbeat(place.spool, replay_id, total=60, before=30, done=10, output_tokens=400)
    beat.in_flight, beat.limit, beat.spent_usd = 3, 8, 0.42
    beat.retry("timeout")
    beat.errors["http"] = 2
    beat.write()
    at = fine(visit(filled, "replays", task="orders", candidate="small"))
    shown = {each.label: each.value for each in at.metric}
    assert shown["In flight"] == "3 of 8"
    assert shown["Spent"] == "$0.42"
    assert {"Calls a second", "Tokens a second", "Left"} <= shown.keys()
    assert "1 request sent again" in said(at)
    assert any("error from the server" in str(each.value.to_dict("list")) for each in at.dataframe)


def test_checks_before_the_first_call_are_listed(visit: Visit, filled: Filled) -> None:
    """What passed and what only warned, in the words of the check."""
    detail = {"chat": ["passed", "answered 'x'"], "labels": ["warning", "says *more*"]}
    event = {"replay_id": filled.replays["orders"], "event": "checked", "detail": json.dumps(detail)}
    filled.store.append("replay_events", [event | {"created_at": NOW}])
    at = fine(visit(filled, "replays", task="orders", candidate="small"))
    assert any("checks before the first call, 1 to read" in each.label for each in at.expander)
    assert "says *more*" in said(at)


def test_a_paused_replay_says_why_and_keeps_its_budget(
    visit: Visit, filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Going on repeats the command that began it, with the size of the sample as it is."""
    replay_id = filled.replays["orders"]
    call = {"replay_id": replay_id, "call_id": "one-more", "batch": 2, "rank": 0, "audit_key": "0"}
    filled.store.append("replay_calls", [call | {"inclusion_probability": 1.0}])
    detail = json.dumps({"message": "The budget of 1 USD has no room for another call."})
    filled.store.append(
        "replay_events", [{"replay_id": replay_id, "event": "paused", "detail": detail, "created_at": NOW}]
    )
    begun = jobs.replay_commands(filled.workspace, "orders", "small", 500, options=["--budget-usd", "1"])
    folder = jobs.folder(filled.workspace)
    folder.mkdir()
    note = {"task": "orders", "candidate": "small", "commands": begun, "started_at": NOW.isoformat()}
    (folder / "20260101T000000-a.json").write_text(json.dumps(note))
    (folder / "20260101T000000-a.lock").write_text("1")
    (folder / "20260101T000000-a.code").write_text("0")
    started: list[Any] = []
    monkeypatch.setattr(jobs, "start", lambda *arguments: started.append(arguments))
    at = fine(visit(filled, "replays", task="orders", candidate="small"))
    words = said(at)
    assert "The budget of 1 USD has no room" in words
    assert "Going on keeps its budget" in words
    at.button(key=f"resume-{replay_id}").click()
    at.run()
    ((_, task, candidate, again),) = started
    assert (task, candidate) == ("orders", "small")
    assert again[0][-4:] == ["--limit", "31", "--budget-usd", "1"]
    assert again[1][0] == "compare"


def test_replays_to_compare_are_told_apart_by_when_they_began(visit: Visit, filled: Filled) -> None:
    """The time comes first, to the second: the end of a name is cut off where the page is narrow."""
    box = fine(visit(filled, "replays", task="triage", candidate="small")).selectbox(key="address.first")
    assert box.options[0] == "choose one"
    assert len(box.options) > 2
    for each in box.options[1:]:
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d · (small|planted) · triage · ", each)
