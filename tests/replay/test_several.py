"""Several candidates in one command, checks before the first call, and what a watcher sees."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from replay_world import add_calls, candidate_toml, make_workspace, open_store
from servers import Server, serving

from workbench.cli import cli
from workbench.config import Workspace
from workbench.errors import ConfigError, UsageError
from workbench.facade import Workbench
from workbench.progress import Progress
from workbench.replay import replay, replay_all, status
from workbench.replay.heartbeat import read_heartbeat


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A stub server in a process of its own."""
    with serving() as found:
        yield found


def world(
    root: Path, server: Server, calls: int = 30, keys: dict[str, Any] | None = None, **behaviours: str
) -> Workspace:
    """Make a workspace with candidates at servers of these behaviours, all with the same further keys."""
    server.reset()
    shared = {"engine": "openai", "timeout_s": 8} | (keys or {})
    tables = [
        candidate_toml(name, **shared, base_url=server.url(behaviour), model=name)
        for name, behaviour in behaviours.items()
    ]
    workspace = make_workspace(root, *tables)
    with open_store(workspace) as store:
        add_calls(store, calls)
    return workspace


def run(*arguments: str) -> Any:
    """Run the command line."""
    return CliRunner().invoke(cli, list(arguments))


def test_one_command_replays_several_and_one_that_fails_stops_no_other(
    tmp_path: Path, server: Server
) -> None:
    """The second of three refuses its key: its report says so, the third is asked, the exit code is its."""
    workspace = world(tmp_path, server, a="good", b="unauthorised", c="empty")
    with open_store(workspace) as store:
        first, second, third = replay_all(workspace, store, "spam", ["a", "b", "c"], limit=20, checks=False)
        assert (first.state, first.done, first.exit_code) == ("finished", 20, 0)
        assert (second.state, second.exit_code) == ("failed", 2)
        assert "refuses the calls" in second.text
        assert (third.state, third.errors) == ("finished", {"empty": 20})
        with pytest.raises(UsageError, match="no candidate 'd'"):
            replay_all(workspace, store, "spam", ["a", "d"])
    arguments = ["replay", "--workspace", str(tmp_path), "--task", "spam", "--limit", "20", "--no-checks"]
    done = run(*arguments, "--candidate", "a", "--candidate", "b", "--candidate", "a", "--json")
    assert done.exit_code == 2
    assert [(each["candidate"], each["state"]) for each in json.loads(done.stdout)] == [
        ("a", "finished"),
        ("b", "failed"),
    ]
    one = run(*arguments, "--candidate", "a", "--json")
    assert (one.exit_code, json.loads(one.stdout)["done"]) == (0, 20)
    with Workbench(tmp_path) as bench:
        assert [each.done for each in bench.replay_all("spam", ["a"], limit=20, checks=False)] == [20]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--candidate", "control", "--candidate", "a"], "takes one candidate"),
        (["--candidate", "a", "--probe", "latency", "--on", "ray"], "do not go together"),
        (["--candidate", "a", "--probe", "latency", "--new"], "--new means nothing to --probe"),
        (["--candidate", "a", "--probe", "latency", "--budget-usd", "3"], "can't be held to 3 USD"),
        (["--candidate", "a", "--speed", "2"], "--speed belongs to --probe latency"),
        (["--candidate", "a", "--actors", "2"], "--actors belongs to --on ray"),
        (["--candidate", "a", "--budget-minutes", "0"], "budget-minutes"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    tmp_path: Path, server: Server, options: list[str], said: str
) -> None:
    """A senseless combination says which option to leave out; nothing runs."""
    world(tmp_path, server, calls=1, a="good")
    done = run("replay", "--workspace", str(tmp_path), "--task", "spam", *options)
    assert done.exit_code == 2
    assert said in done.output
    assert server.stats("good")["hits"] == 0


def test_a_candidate_is_checked_once_before_the_first_call(tmp_path: Path, server: Server) -> None:
    """The checks send calls of their own, once a replay; they are noted as an event, and can be left out."""
    workspace = world(tmp_path, server, a="good")
    with open_store(workspace) as store:
        replay(workspace, store, "spam", "a", limit=10)
        asked = server.stats("good")["hits"]
        assert 10 < asked <= 15
        replay(workspace, store, "spam", "a", limit=20)
        assert server.stats("good")["hits"] == asked + 10
        events = [row["event"] for row in store.rows("SELECT event FROM replay_events ORDER BY seq")]
        assert events == ["checked", "started", "finished", "resumed", "finished"]


def test_a_candidate_that_fails_its_checks_is_asked_nothing(tmp_path: Path, server: Server) -> None:
    """Another model answers: said before any call of the task is sent, and nothing is planned."""
    workspace = world(tmp_path, server, a="wrong_model")
    with open_store(workspace) as store:
        with pytest.raises(ConfigError, match="can't be asked what this sample asks"):
            replay(workspace, store, "spam", "a")
        assert store.rows("SELECT * FROM replays") == []
        assert not [each for each in server.stats("wrong_model")["prompts"] if each.startswith("Message")]


def test_labels_that_a_server_ignores_are_said_before_the_first_call_is_sent(
    tmp_path: Path, server: Server
) -> None:
    """Whoever starts the replay hears each warning first; the report keeps them, a later run's too."""
    structured = {"dialect": "vllm", "parameters": {"structured_outputs": True, "logprobs": True}}
    workspace = world(tmp_path, server, keys=structured, a="echo")
    heard: list[tuple[str, int]] = []

    def listen(event: Progress) -> None:
        if event.stays:
            prompts = server.stats("echo")["prompts"]
            heard.append((event.note, sum(each.startswith("Message") for each in prompts)))

    with open_store(workspace) as store:
        report = replay(workspace, store, "spam", "a", limit=10, listener=listen)
        assert [asked for _, asked in heard] == [0, 0]
        assert tuple(note for note, _ in heard) == report.notes
        labels, logprobs = report.notes
        assert labels.startswith("Check of labels: not enforced")
        assert logprobs.startswith("Check of log-probabilities: none that can be used")
        assert labels in report.text
        again = replay(workspace, store, "spam", "a", limit=20, listener=listen)
        assert again.notes == report.notes
        assert len(heard) == 2


def test_the_command_line_says_warnings_of_checks_and_has_them_in_its_document(
    tmp_path: Path, server: Server
) -> None:
    """On standard error while it starts, and under `notes` of the document."""
    structured = {"dialect": "vllm", "parameters": {"structured_outputs": True, "logprobs": False}}
    world(tmp_path, server, keys=structured, a="echo")
    done = run("replay", "--workspace", str(tmp_path), "--task", "spam", "--candidate", "a", "--json")
    (note,) = json.loads(done.stdout)["notes"]
    assert note.startswith("Check of labels: not enforced")
    assert f"checks of a: {note}" in done.stderr.splitlines()[0]


def test_checks_that_a_busy_server_did_not_answer_are_made_by_the_next_run(
    tmp_path: Path, server: Server
) -> None:
    """The replay goes on and says that it was not checked; only answered checks are noted for good."""
    workspace = world(tmp_path, server, keys={"parameters": {"logprobs": False}}, a="busy_at_first")
    heard: list[str] = []

    def listen(event: Progress) -> None:
        heard.extend([event.note] if event.stays else [])

    def events() -> list[str]:
        return [row["event"] for row in store.rows("SELECT event FROM replay_events ORDER BY seq")]

    with open_store(workspace) as store:
        report = replay(workspace, store, "spam", "a", limit=10, listener=listen)
        assert (report.state, report.done) == ("finished", 10)
        assert report.notes == tuple(heard)
        assert heard[0].startswith("Checks skipped from chat on: the server does not answer now (status 503")
        assert "The next run checks again." in heard[0]
        assert events() == ["started", "finished"]
        report = replay(workspace, store, "spam", "a", limit=20, listener=listen)
        assert (report.notes, len(heard)) == ((), 1)
        assert events() == ["started", "finished", "checked", "resumed", "finished"]


def test_a_watcher_sees_pace_errors_limit_and_time_left(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Progress and heartbeat show calls and tokens a second, the limit, errors and what is left."""
    monkeypatch.setattr("workbench.replay.loop.TICK_S", 0.05)
    workspace = world(tmp_path, server, calls=300, a="slow")
    heard: list[Progress] = []
    seen: list[dict[str, Any]] = []
    with open_store(workspace) as store:

        def listen(event: Progress) -> None:
            heard.append(event)
            (state,) = status(workspace, store)
            beat = read_heartbeat(workspace.spool, state.replay_id)
            if beat is not None and 0 < event.done < 300:
                seen.append(dict(beat))
                assert (state.limit, state.in_flight) == (beat["limit"], beat["in_flight"])

        replay(workspace, store, "spam", "a", concurrency=16, checks=False, listener=listen)
    middle = seen[len(seen) // 2]
    assert middle["calls_per_s"] > 0
    assert middle["tokens_per_s"] == pytest.approx(3 * middle["calls_per_s"], rel=0.2)
    assert middle["in_flight"] <= middle["limit"] <= middle["most"] == 16
    # Between two answers that came together there is a moment without any.
    assert any(each["in_flight"] > 0 for each in seen)
    assert middle["eta_s"] > 0
    assert any("tokens/s" in each.note and "in flight of" in each.note for each in heard)
    assert any(each.per_s and each.left_s is not None for each in heard)


def test_a_replay_of_a_task_starts_while_the_eval_of_another_is_wrong(tmp_path: Path, server: Server) -> None:
    """Nothing of it rests on the other; that one's own replays and commands on all tasks wait."""
    workspace = world(tmp_path, server, a="good")
    where = ["--workspace", str(workspace.root)]
    what = ["--task", "spam", "--candidate", "a"]
    other = workspace.root / "evals" / "other" / "eval.toml"
    other.parent.mkdir()
    other.write_text('task = "other"\nkind = "guess"\n')
    done = run("replay", *where, *what, "--limit", "20", "--no-checks")
    assert done.exit_code == 0, done.output
    assert run("compare", *where, *what).exit_code == 0
    for waiting in (
        ["replay", *where, "--task", "other", "--candidate", "a"],
        ["compare", *where],
        ["report", "--portfolio", str(tmp_path / "all.md"), *where],
    ):
        refused = run(*waiting)
        assert refused.exit_code == 2
        assert str(other) in refused.output


SECOND_EVALS: dict[str, bytes | None] = {
    "no value": b'task = "spam"\nkind = ',
    "no UTF-8": b'# soci\xe9t\xe9\ntask = "spam"\nkind = "label"\n',
    "quoted key": b'"task" = "spam"\nkind = ',
    "escaped name": b'task = "sp\\u0061m"\nkind = ',
    "long text": b'task = """spam"""\nkind = ',
    "another key": b'tasc = "spam"\nkind = "label"\n',
    "a list": b'task = ["spam"]\nkind = "label"\n',
    "behind another": b'note = """\ntask = "other"\n"""\ntask = "spam"\nkind = ',
    "a folder": None,
}


@pytest.mark.parametrize("content", SECOND_EVALS.values(), ids=SECOND_EVALS.keys())
def test_an_eval_that_may_be_a_second_one_of_a_task_stops_its_replays(
    tmp_path: Path, server: Server, content: bytes | None
) -> None:
    """Which of the two says where the data may go is not known, so nothing is sent."""
    workspace = world(tmp_path, server, a="good")
    again = workspace.root / "evals" / "a-copy" / "eval.toml"
    again.parent.mkdir()
    if content is None:
        again.mkdir()
    else:
        again.write_bytes(content)
    where = ["--workspace", str(workspace.root), "--task", "spam", "--candidate", "a"]
    for command in ("replay", "compare"):
        refused = run(command, *where)
        assert refused.exit_code == 2
        assert str(again) in refused.output
