"""The noise floor: asked again by a replay, from duplicates, or not measurable; it never moves a share."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from replay_world import add_calls, candidate_toml, make_workspace, open_store
from servers import Server, answer_to, serving

from workbench.compare.labels import LabelReader
from workbench.config import Workspace
from workbench.doctor import examine
from workbench.errors import ConfigError, PrivacyRefused, UsageError
from workbench.normal import content_hash
from workbench.records import Message, Output, Recommendation, Request, to_json
from workbench.replay import replay
from workbench.replay.noise import NoiseReport, measure_noise_floor
from workbench.scoring import compare, evidence, overview, recommend, savings
from workbench.scoring.noise import floor_of
from workbench.scoring.retirement import leaving
from workbench.specs import CONTROL
from workbench.store import Store

START = datetime(2026, 3, 1, tzinfo=UTC)
TODAY = date(2026, 3, 10)
LEAVES = '[[models]]\nmodel = "frontier"\nretires_on = {day}\nsource = "mail"\n'


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A stub server in a process of its own, its counts cleared by each test."""
    with serving() as found:
        yield found


def world(root: Path, server: Server, behaviour: str = "good", *more: str, **keys: Any) -> Workspace:
    """Make a workspace with 60 calls of `frontier`, that model as the control, and a candidate `c`."""
    server.reset()
    endpoint = {"engine": "openai", "timeout_s": 5}
    control = candidate_toml(CONTROL, **(endpoint | {"base_url": server.url(behaviour)} | keys))
    candidate = candidate_toml("c", **endpoint, base_url=server.url("good"), model="m")
    workspace = make_workspace(root, control, candidate, *more)
    with open_store(workspace) as store:
        add_calls(store, 60)
    return workspace


def measured(workspace: Workspace, **options: Any) -> NoiseReport:
    """Measure the floor of the one task."""
    with open_store(workspace) as store:
        return measure_noise_floor(workspace, store, "spam", **({"checks": False} | options))


Answer = dict[str, Any]


def add_repeated(store: Store, requests: Sequence[Sequence[Answer]], first: int = 1_000) -> None:
    """Put calls into the store: a list of answers to each request, with text, minute, id and so on."""
    calls, controls = [], []
    for number, answers in enumerate(requests, start=first):
        for place, answer in enumerate(answers):
            native = answer.get("native", f"r{number}-{place}")
            source = answer.get("source", "log")
            minute = answer.get("minute", place)
            request = Request(
                (Message("user", f"Request {number}?"),), parameters=answer.get("parameters", {"seed": 1})
            )
            call_id = content_hash("repeated", source, native, number)
            text = answer["text"]
            calls.append(
                {
                    "call_id": call_id,
                    "manifest_id": "m2",
                    "source": source,
                    "native_id": native,
                    "session_id": answer.get("session"),
                    "task": "spam",
                    "occurred_at": None if minute is None else START + timedelta(minutes=minute),
                    "input_chars": 12,
                    "turn_depth": 1,
                    "tool_count": 0,
                    "request_hash": content_hash("request", number),
                    "content_hash": call_id,
                    "request": to_json(request).decode(),
                    "attributes": "{}",
                    "marks": answer.get("marks", []),
                }
            )
            output = Output(text, model=answer.get("model", "frontier"), flags=answer.get("flags", ()))
            controls.append(
                {
                    "call_id": call_id,
                    "manifest_id": "m2",
                    "output": to_json(output).decode(),
                    "text": text,
                    "marks": [],
                }
            )
    store.append("calls", calls)
    store.append("controls", controls)


def test_the_recorded_model_is_asked_again_and_compared_as_candidates_are(
    tmp_path: Path, server: Server
) -> None:
    """A control without `model` is asked as the model in the log, through the replay; r is what agrees."""
    workspace = world(tmp_path, server)
    expected = sum(answer_to(f"Message {n:05d}: is this spam?") == "ham" for n in range(60)) / 60
    report = measured(workspace)
    assert report.state == "measured"
    assert report.agreement is not None
    assert report.ceiling is not None
    assert report.agreement.point == pytest.approx(expected)
    assert (report.agreement.n, report.agreement.method, report.source) == (60, "anytime", "asked_again")
    assert report.agreement.low < expected < report.agreement.high
    assert report.ceiling.point == pytest.approx(expected**0.5)
    body = server.stats("good")["last"]
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("frontier", 0, 8)
    again = measured(workspace)
    assert again.agreement == report.agreement
    assert server.stats("good")["hits"] == 60
    assert "agrees with itself" in report.text
    assert "Asked again: frontier" in report.text


def test_a_floor_is_kept_once_and_serves_until_the_eval_changes(tmp_path: Path, server: Server) -> None:
    """The same measurement adds no row; another eval has none until the command asks nobody again."""
    workspace = world(tmp_path, server)
    first = measured(workspace)
    with open_store(workspace) as store:
        version = store.version()
    measured(workspace)
    with open_store(workspace) as store:
        assert store.version() == version
        floor = floor_of(store, workspace.eval_for("spam"))
        assert floor is not None
        assert floor.agreement == first.agreement
    path = tmp_path / "evals" / "spam" / "eval.toml"
    path.write_text(path.read_text() + 'aliases = { junk = "spam" }\n')
    changed = Workspace.load(tmp_path)
    with open_store(changed) as store:
        assert floor_of(store, changed.eval_for("spam")) is None
    measured(changed)
    with open_store(changed) as store:
        assert floor_of(store, changed.eval_for("spam")) is not None
    assert server.stats("good")["hits"] == 60


def test_only_calls_that_the_model_answered_itself_are_asked_again(tmp_path: Path, server: Server) -> None:
    """Another model's calls are no duplicates of its own; which share was asked is said."""
    workspace = world(tmp_path, server)
    with open_store(workspace) as store:
        add_repeated(store, [[{"text": "ham", "model": "older"}] for _ in range(20)])
    report = measured(workspace)
    assert report.models == {"frontier": 60}
    assert server.stats("good")["hits"] == 60
    assert "only calls that frontier answered, 75.0 % of the task's calls" in report.text
    named = world(tmp_path / "named", server, model="older")
    with open_store(named) as store:
        add_repeated(store, [[{"text": "ham", "model": "older-2026-01-31"}] for _ in range(20)])
    other = measured(named)
    assert other.models == {"older-2026-01-31": 20}
    assert server.stats("good")["last"]["model"] == "older"
    nobody = world(tmp_path / "nobody", server, model="never-seen")
    with pytest.raises(UsageError, match="No call of task 'spam' was answered by 'never-seen'"):
        measured(nobody)


def test_a_cache_gives_no_second_answer(tmp_path: Path, server: Server) -> None:
    """Replies with the id in the log, or a gateway's word for it, are counted apart; the rest decides."""
    report = measured(world(tmp_path, server, "from_cache"))
    assert report.left_out == {"cached": 30}
    assert report.agreement is not None
    assert report.agreement.n == 30
    expected = sum(answer_to(f"Message {n:05d}: is this spam?") == "ham" for n in range(0, 60, 2)) / 30
    assert report.agreement.point == pytest.approx(expected)
    assert "response cache" in report.text


def test_failed_answers_are_no_disagreement(tmp_path: Path, server: Server) -> None:
    """A frontier that can't answer now has not changed its mind: errors stay outside, and nothing is left."""
    report = measured(world(tmp_path, server, "context_length"))
    assert report.state == "not_measurable"
    assert report.left_out == {"failed": 60}
    assert report.agreement is None
    assert "at least 20" in report.text


def test_pairs_that_cannot_be_judged_are_no_disagreement(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where comparing itself fails nothing is known of the frontier, asked again or twice in the log."""
    plain = LabelReader.named

    def fails(self: LabelReader, text: str | None) -> Any:
        if text == "spam":
            raise RecursionError("too deep")
        return plain(self, text)

    monkeypatch.setattr(LabelReader, "named", fails)
    spam = sum(answer_to(f"Message {n:05d}: is this spam?") == "spam" for n in range(60))
    again = measured(world(tmp_path / "again", server))
    assert again.left_out == {"uncomparable": spam}
    assert again.agreement is not None
    assert (again.agreement.point, again.agreement.n) == (1, 60 - spam)
    workspace = no_control(tmp_path / "log")
    same, pair = [{"text": "ham"}, {"text": "Ham"}], [{"text": "ham"}, {"text": "spam"}]
    with open_store(workspace) as store:
        add_repeated(store, [*([same] * 30), *([pair] * 5)])
    report = measured(workspace)
    assert report.left_out == {"uncomparable": 10}
    assert report.agreement is not None
    assert (report.agreement.point, report.agreement.n) == (1, 30)


def test_private_data_goes_to_no_external_control(tmp_path: Path, server: Server) -> None:
    """An external control of an internal task gets no request, dry or not."""
    workspace = world(tmp_path, server, zone="external")
    for dry_run in (True, False):
        with pytest.raises(PrivacyRefused, match="may not leave"):
            measured(workspace, dry_run=dry_run)
    assert server.stats("good")["hits"] == server.stats("good")["checks"] == 0


def test_a_dry_run_sends_and_keeps_nothing(tmp_path: Path, server: Server) -> None:
    """What would be asked is estimated; the store stays as it was."""
    workspace = world(tmp_path, server)
    with open_store(workspace) as store:
        version = store.version()
        report = measure_noise_floor(workspace, store, "spam", dry_run=True, limit=40)
        assert store.version() == version
    assert report.state == "planned"
    assert report.replay is not None
    assert report.replay.planned == 40
    assert server.stats("good")["hits"] == 0


@pytest.mark.parametrize(
    "keys", [{"parameters": {"temperature": 0.5}}, {"samples": 3}, {"parameters": {"logit_bias": 1}}]
)
def test_the_control_is_asked_as_the_log_says(tmp_path: Path, server: Server, keys: dict[str, Any]) -> None:
    """A key that would change the frontier's answers is refused when the file is read."""
    with pytest.raises(ConfigError, match="exactly as the log says"):
        world(tmp_path, server, **keys)


def test_the_frontiers_own_parameters_go_back_to_it_alone(tmp_path: Path, server: Server) -> None:
    """`reasoning_effort` of the log reaches the control; a candidate never hears of it."""
    workspace = world(tmp_path, server)
    with open_store(workspace) as store:
        asked = {"reasoning_effort": "low", "temperature": 1}
        add_repeated(store, [[{"text": "ham", "model": "own", "parameters": asked}] for _ in range(20)])
    path = tmp_path / "workbench.toml"
    path.write_text(path.read_text().replace('engine = "openai"', 'engine = "openai"\nmodel = "own"', 1))
    measured(Workspace.load(tmp_path))
    assert server.stats("good")["last"]["reasoning_effort"] == "low"
    with open_store(workspace) as store:
        replay(workspace, store, "spam", "c", checks=False)
    assert "reasoning_effort" not in server.stats("good")["last"]


def test_the_control_is_no_candidate(tmp_path: Path, server: Server) -> None:
    """It never pools with a candidate, be it the same model at the same address, nor is it recommended."""
    workspace = world(tmp_path, server, model="frontier")
    path = tmp_path / "workbench.toml"
    path.write_text(path.read_text().replace('model = "m"', 'model = "frontier"'))
    workspace = Workspace.load(tmp_path)
    measured(workspace)
    with open_store(workspace) as store:
        assert compare(workspace, store) == []
        assert overview(workspace, store) == []
        for refused in (recommend, evidence, compare):
            with pytest.raises(UsageError, match="no candidate"):
                refused(workspace, store, "spam", CONTROL)
        with pytest.raises(UsageError, match="no candidate"):
            savings(workspace, store, "spam", CONTROL, share=0.1)
        report = replay(workspace, store, "spam", "c", limit=20, checks=False)
        assert (report.answered, report.calls) == (20, 20)
        (compared,) = compare(workspace, store)
        assert (compared.candidate, compared.observations) == ("c", 20)


def decided(answer: Recommendation) -> tuple[Any, ...]:
    """Return all of a recommendation that could move traffic."""
    return (
        answer.action,
        answer.share,
        answer.cap,
        answer.effective_share,
        answer.harm,
        answer.net,
        answer.slices,
        answer.guards,
        answer.missing,
        answer.binding_reason,
    )


def test_the_floor_explains_and_never_moves_a_share(tmp_path: Path, server: Server) -> None:
    """With and without it every share, bound and guard is the same; one sentence says what it means."""
    workspace = world(tmp_path, server)
    with open_store(workspace) as store:
        replay(workspace, store, "spam", "c", checks=False)
        compare(workspace, store)
        before = recommend(workspace, store, "spam", "c")
        measure_noise_floor(workspace, store, "spam", checks=False)
        after = recommend(workspace, store, "spam", "c")
        (row,) = overview(workspace, store)
    assert decided(after) == decided(before)
    new = [each for each in after.reasons if each not in before.reasons]
    assert len(new) == 1
    assert set(before.reasons) < set(after.reasons)
    assert "agrees with itself" in new[0]
    assert "this one agrees on" in new[0]
    assert before.details["noise"] is None
    assert after.details["noise"].n == 60
    assert after.details["noise_ceiling"] == pytest.approx(after.details["noise"].point ** 0.5)
    assert row.floor is not None
    assert row.floor.agreement == after.details["noise"]


def no_control(root: Path) -> Workspace:
    """Make a workspace that does not say where the recorded model can be asked."""
    return make_workspace(
        root, candidate_toml("c", engine="openai", base_url="http://127.0.0.1:9/v1", model="m")
    )


def test_duplicates_in_the_log_are_taken_where_nobody_can_be_asked(tmp_path: Path) -> None:
    """Each request counts once, with the share of its pairs that agree; answers of any number."""
    workspace = no_control(tmp_path)
    pair, trio = [{"text": "ham"}, {"text": "spam"}], [{"text": "ham"}, {"text": "ham."}, {"text": "spam"}]
    same = [{"text": "ham"}, {"text": "Ham"}]
    with open_store(workspace) as store:
        add_repeated(store, [*([same] * 30), *([pair] * 5), *([trio] * 5)])
    report = measured(workspace)
    assert report.agreement is not None
    assert report.agreement.point == pytest.approx((30 + 0 + 5 / 3) / 40)
    assert (report.agreement.n, report.source, report.state) == (40, "duplicates", "measured")
    assert "no random sample of the traffic" in report.text
    assert measured(workspace, dry_run=True).agreement == report.agreement


def test_one_call_exported_twice_is_no_duplicate(tmp_path: Path) -> None:
    """Equal ids, equal times, cache hits and undated rows count apart, whatever their answers say."""
    workspace = no_control(tmp_path)
    kinds: dict[str, list[Answer]] = {
        "same id": [
            {"text": "ham", "native": "x", "source": "a"},
            {"text": "spam", "native": "x", "source": "b"},
        ],
        "same time": [{"text": "ham", "minute": 5}, {"text": "spam", "minute": 5}],
        "cached": [{"text": "ham"}, {"text": "ham", "marks": ["cache_hit"]}],
        "undated": [{"text": "ham", "minute": None}, {"text": "spam", "minute": None}],
        "cut off": [{"text": "ham"}, {"text": "ha", "flags": ("truncated",)}],
        "other model": [{"text": "ham"}, {"text": "spam", "model": "older"}],
        "other parameters": [{"text": "ham"}, {"text": "spam", "parameters": {"temperature": 1}}],
    }
    with open_store(workspace) as store:
        add_repeated(store, [[{"text": "ham"}, {"text": "ham"}]] * 25)
        add_repeated(store, list(kinds.values()), first=5_000)
    report = measured(workspace)
    assert report.agreement is not None
    assert (report.agreement.point, report.agreement.n) == (1.0, 25)
    assert report.left_out == {"copies": 2, "cached": 1, "undated": 2, "cut_off": 1}


def test_a_session_s_retry_is_no_second_draw(tmp_path: Path) -> None:
    """An agent asks again because of what it got; the same request hours later or elsewhere is one."""
    workspace = no_control(tmp_path)
    retried = [{"text": "ham", "session": "s"}, {"text": "spam", "session": "s", "minute": 2}]
    later = [{"text": "ham", "session": "s"}, {"text": "ham", "session": "s", "minute": 300}]
    elsewhere = [{"text": "ham", "session": "s"}, {"text": "ham", "session": "t", "minute": 2}]
    with open_store(workspace) as store:
        add_repeated(store, [*([retried] * 10), *([later] * 15), *([elsewhere] * 15)])
    report = measured(workspace)
    assert report.agreement is not None
    assert (report.agreement.point, report.agreement.n) == (1.0, 30)
    assert report.left_out == {"retries": 10}
    assert "came minutes after the same request of their session" in report.text


@pytest.mark.parametrize("requests", [0, 19])
def test_not_measurable_is_an_answer(tmp_path: Path, requests: int) -> None:
    """Without a control and with too few duplicates it says why, and what to do."""
    workspace = no_control(tmp_path)
    with open_store(workspace) as store:
        add_calls(store, 30)
        add_repeated(store, [[{"text": "ham"}, {"text": "ham"}]] * requests)
    report = measured(workspace)
    assert (report.state, report.agreement) == ("not_measurable", None)
    assert ("only 19 requests" if requests else "no request twice") in report.why_not
    assert "workbench candidate add control" in report.text
    with open_store(workspace) as store:
        assert floor_of(store, workspace.eval_for("spam")) is None


def test_a_model_about_to_leave_is_named_while_its_floor_is_unmeasured(
    tmp_path: Path, server: Server
) -> None:
    """From 60 days before it leaves, and after; recommend and doctor say so; once measured, nobody does."""
    workspace = world(tmp_path, server, "good", LEAVES.format(day="2026-05-09"))
    with open_store(workspace) as store:
        (warning,) = leaving(workspace, store, TODAY)
        assert (warning.days_left, warning.calls, warning.task) == (60, 60, "spam")
        assert "leaves in 60 days" in warning.text
        assert leaving(workspace, store, TODAY - timedelta(days=1)) == []
        (gone,) = leaving(workspace, store, date(2026, 5, 10))
        assert "can no longer be measured" in gone.text
        report = replay(workspace, store, "spam", "c", checks=False)
        compare(workspace, store)
        plain = recommend(workspace, store, "spam", "c", today=TODAY - timedelta(days=1))
        warned = recommend(workspace, store, "spam", "c", today=TODAY)
        assert warned.missing == (*plain.missing, warning.text)
        assert (warned.share, warned.cap, warned.reasons) == (plain.share, plain.cap, plain.reasons)
    assert [
        each.message for each in examine(tmp_path, TODAY) if each.state == "note" and "frontier" in each.name
    ] == [warning.text]
    assert isinstance(report.notes, tuple)
    measured(workspace)
    with open_store(workspace) as store:
        assert leaving(workspace, store, date(2026, 5, 10)) == []


def test_a_replay_says_that_the_model_has_left(tmp_path: Path, server: Server) -> None:
    """A date long gone is in the report of a replay; versions of a name are one model."""
    workspace = world(tmp_path, server, "good", LEAVES.format(day="2020-01-01"))
    with open_store(workspace) as store:
        add_repeated(store, [[{"text": "ham", "model": "frontier-2019-06-01"}]])
        report = replay(workspace, store, "spam", "c", limit=5, checks=False)
        assert any("left on 2020-01-01 (mail); it answered 61 logged calls" in each for each in report.notes)


def test_the_report_is_one_json_document(tmp_path: Path, server: Server) -> None:
    """Command line and notebooks get the same: every field, estimates included."""
    found = json.loads(to_json(measured(world(tmp_path, server))))
    assert found["agreement"]["n"] == 60
    assert found["ceiling"]["point"] == pytest.approx(found["agreement"]["point"] ** 0.5)
    assert found["replay"]["done"] == 60
