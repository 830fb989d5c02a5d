"""Batches: requests go out as a file, and what comes back is read as live replies are."""

from __future__ import annotations

import functools
import json
import os
import stat
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from replay_world import add_calls, candidate_toml, make_workspace, open_store
from servers import Server, serving

from workbench import Workbench
from workbench.cli import cli
from workbench.config import Workspace
from workbench.engines import CallContext, open_engine
from workbench.engines.recorded import RecordedEngine
from workbench.errors import PrivacyRefused, UsageError
from workbench.normal import content_hash
from workbench.records import ErrorKind, Message, Output, Request, from_json, to_json
from workbench.replay import replay as checked_replay
from workbench.replay.batch_export import export_batch
from workbench.scoring import compare
from workbench.specs import EvalConfig
from workbench.store import Store, accesses

replay = functools.partial(checked_replay, checks=False)
SAMPLE = Path(__file__).parents[1] / "sample_logs" / "formats" / "openai_batch_vllm_output.jsonl"
GOLDEN = Path(__file__).parent / "golden" / "recorded_vllm_batch.json"
URL = "http://127.0.0.1:9/v1"
Line = dict[str, Any]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as found:
        yield found


def world(
    root: Path, *others: str, calls: int = 30, url: str = URL, zone: str = "internal", **keys: Any
) -> Workspace:
    """Make a workspace with calls, one candidate `c`, and one `r` that reads what came back."""
    keys = {"engine": "openai", "base_url": url, "model": "m"} | keys
    back = candidate_toml("r", parent="c", engine="recorded", outputs="out.jsonl")
    workspace = make_workspace(root, candidate_toml("c", **keys), *others, back, zone=zone)
    with open_store(workspace) as store:
        add_calls(store, calls)
    return workspace


def lines(path: Path) -> list[Line]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def answer(line: Line, text: str = "ham", **changes: Any) -> Line:
    """Return what `vllm run-batch` writes for a line of its input."""
    message = {"role": "assistant", "content": text, "tool_calls": [], "reasoning": None}
    body = {
        "object": "chat.completion",
        "model": line["body"]["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 13},
    }
    response = {"status_code": 200, "request_id": "q", "body": body | changes}
    return {"id": "v", "custom_id": line["custom_id"], "response": response, "error": None}


def failed(line: Line, code: int, message: str) -> Line:
    """Return what `vllm run-batch` writes for a request that failed."""
    error = {"error": {"message": message, "type": "BadRequestError", "param": None, "code": code}}
    response = {"status_code": code, "request_id": "q", "body": None}
    return {"id": "v", "custom_id": line["custom_id"], "response": response, "error": error}


def write(path: Path, rows: list[Line], tail: str = "") -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + tail)


def run_through(server: Server, path: Path, out: Path) -> None:
    """Do what a batch runner does: post each line's body, write each reply beside its id."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    rows = []
    for line in lines(path):
        data = json.dumps(line["body"]).encode()
        url = server.url("good") + "/chat/completions"
        headers = {"Content-Type": "application/json"}
        post = urllib.request.Request(url, data, headers)  # noqa: S310 - our own stub server
        with opener.open(post, timeout=30) as reply:
            body = json.loads(reply.read())
        rows.append(
            {"custom_id": line["custom_id"], "response": {"status_code": 200, "body": body}, "error": None}
        )
    write(out, rows)


def outputs_of(store: Store, candidate: str) -> dict[str, Output]:
    """Return a candidate's outputs by call."""
    rows = store.rows(
        "SELECT call_id, output FROM observations JOIN replays USING (replay_id) WHERE candidate = ?",
        (candidate,),
    )
    return {row["call_id"]: from_json(row["output"], Output) for row in rows}


def test_a_batch_gives_what_a_live_replay_gives(tmp_path: Path, server: Server) -> None:
    """The same calls, the same bodies, the same outputs, whether asked live or through files."""
    patch = '[candidates.patch]\nsuffix = "One word."\nexamples = ["row-7"]\n'
    # The parent's patch comes first in the file, right behind its own table.
    keys = {"engine": "openai", "base_url": server.url("good"), "model": "m"}
    back = candidate_toml("r", parent="c", engine="recorded", outputs="out.jsonl")
    workspace = make_workspace(tmp_path, candidate_toml("c", **keys) + patch, back)
    with open_store(workspace) as store:
        add_calls(store, 60)
        report = export_batch(workspace, store, tmp_path / "in.jsonl", "spam", "c", limit=40)
        assert (report.calls, report.written) == (40, 40)
        run_through(server, tmp_path / "in.jsonl", tmp_path / "out.jsonl")
        recorded = replay(workspace, store, "spam", "r")
        live = replay(workspace, store, "spam", "c", limit=40)
        assert (recorded.done, live.done, recorded.errors) == (40, 40, {})
        first, second = outputs_of(store, "r"), outputs_of(store, "c")
        assert first.keys() == second.keys()
        assert {each: first[each].text for each in first} == {each: second[each].text for each in second}
        assert len(compare(workspace, store)) == 2


def test_each_line_is_what_run_batch_takes(tmp_path: Path) -> None:
    """custom_id, POST, the path and a live request's body; no stream, log-probabilities asked for."""
    workspace = world(tmp_path, parameters={"max_tokens": 4, "structured_outputs": True}, stream=True)
    with open_store(workspace) as store:
        report = export_batch(workspace, store, tmp_path / "in.jsonl", "spam", "c")
    rows = lines(tmp_path / "in.jsonl")
    assert len({row["custom_id"] for row in rows}) == len(rows) == report.written == 30
    assert {(row["method"], row["url"]) for row in rows} == {("POST", "/v1/chat/completions")}
    body = next(row["body"] for row in rows if row["custom_id"] == "row-3")
    assert body.pop("logprobs") is True
    body.pop("top_logprobs", None)
    assert body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Answer spam or ham."},
            {"role": "user", "content": "Message 00003: is this spam?"},
        ],
        "temperature": 0,
        "max_tokens": 4,
        "structured_outputs": {"choice": ["spam", "ham"]},
    }


def test_an_exported_file_is_private_and_complete_or_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only its owner reads it, whatever the umask; a failure in the middle leaves no file and no sample."""
    workspace = world(tmp_path)
    before = os.umask(0)
    try:
        with open_store(workspace) as store:
            report = export_batch(workspace, store, tmp_path / "in.jsonl", "spam", "c", limit=5)
            assert stat.S_IMODE((tmp_path / "in.jsonl").stat().st_mode) == 0o600
            assert "only you can read" in report.text
            (tmp_path / "in.jsonl").unlink()

            def broken(*_: Any, **__: Any) -> Any:
                raise OSError(28, "No space left on device")

            # The access log is written first, and would refuse the export itself: that is tested with it.
            monkeypatch.setattr(accesses, "exported", lambda *_: None)
            monkeypatch.setattr(os, "fsync", broken)
            with pytest.raises(UsageError, match="No space left"):
                export_batch(workspace, store, tmp_path / "in.jsonl", "spam", "c", limit=9)
            monkeypatch.undo()
            assert [each.name for each in tmp_path.iterdir() if "in.jsonl" in each.name] == []
            assert store.value("SELECT count(*) FROM replay_events WHERE event = 'exported'") == 1
    finally:
        os.umask(before)


def test_data_that_may_not_leave_is_not_written(tmp_path: Path) -> None:
    """An external candidate gets no file unless the eval allows it; then the report says so."""
    workspace = world(tmp_path, url="https://api.example.com/v1")
    with open_store(workspace) as store, pytest.raises(PrivacyRefused, match="may not leave"):
        export_batch(workspace, store, tmp_path / "in.jsonl", "spam", "c")
    assert not list(tmp_path.glob("*in.jsonl*"))
    other = tmp_path / "other"
    keys = {"engine": "openai", "base_url": "https://api.example.com/v1", "model": "m", "zone": "external"}
    allowed = make_workspace(other, candidate_toml("c", **keys), zone="external")
    with open_store(allowed) as store:
        add_calls(store, 5)
        assert "external" in export_batch(allowed, store, other / "in.jsonl", "spam", "c").text


@pytest.mark.parametrize("limits", [{"max_lines": 12}, {"max_bytes": 3_500}])
def test_a_large_export_becomes_numbered_files(tmp_path: Path, limits: dict[str, int]) -> None:
    """No file exceeds a limit, together they hold each call once; leftovers of another export are refused."""
    workspace = world(tmp_path)
    with open_store(workspace) as store:
        report = export_batch(workspace, store, tmp_path / "in.jsonl", "spam", "c", **limits)
        names = [Path(each).name for each in report.files]
        assert names == [f"in-{number + 1:03d}.jsonl" for number in range(len(names))]
        assert len(names) > 2
        assert not (tmp_path / "in.jsonl").exists()
        everything = [line for each in report.files for line in lines(Path(each))]
        assert len({line["custom_id"] for line in everything}) == len(everything) == 30
        for each in map(Path, report.files):
            assert len(lines(each)) <= limits.get("max_lines", 99)
            assert each.stat().st_size <= limits.get("max_bytes", 10**9)
        again = export_batch(workspace, store, tmp_path / "in.jsonl", "spam", "c", **limits)
        assert again.files == report.files
        with pytest.raises(UsageError, match=r"in-003\.jsonl is left"):
            export_batch(workspace, store, tmp_path / "in.jsonl", "spam", "c", max_lines=15)
        with pytest.raises(UsageError, match="more than a file may hold"):
            export_batch(workspace, store, tmp_path / "x.jsonl", "spam", "c", max_bytes=100)
        assert not list(tmp_path.glob(".*part*"))


def test_outputs_are_evaluated_on_the_exported_sample(tmp_path: Path) -> None:
    """Calls imported later change nothing: the sample stays the exported one; a larger export grows it."""
    workspace = world(tmp_path, calls=200)
    out = tmp_path / "out.jsonl"
    with open_store(workspace) as store:
        export_batch(workspace, store, tmp_path / "in.jsonl", "spam", "c", limit=50)
        first = lines(tmp_path / "in.jsonl")
        add_calls(store, 300, start=200)
        write(out, [answer(line) for line in first])
        report = replay(workspace, store, "spam", "r")
        assert (report.done, report.errors) == (50, {})
        assert replay(workspace, store, "spam", "r").answered == 0
        chance = store.rows(
            "SELECT DISTINCT inclusion_probability AS p FROM replay_calls JOIN replays USING (replay_id)"
        )
        assert [row["p"] for row in chance] == [pytest.approx(0.25)]
        export_batch(workspace, store, tmp_path / "more.jsonl", "spam", "c", limit=120, missing_from=out)
        rest = lines(tmp_path / "more.jsonl")
        assert len(rest) == 70
        assert not {line["custom_id"] for line in rest} & {line["custom_id"] for line in first}
        write(out, [answer(line) for line in (*first, *rest)])
        grown = replay(workspace, store, "spam", "r")
        assert (grown.done, grown.errors) == (120, {})
        write(out, [answer(line) for line in (*rest, *first)])
        part = replay(workspace, store, "spam", "r", limit=30)
        assert (part.done, part.errors) == (30, {})


def test_a_patch_changed_after_the_export_is_refused(tmp_path: Path) -> None:
    """Outputs of other prompts are not evaluated under this one's name."""
    workspace = world(tmp_path)
    with open_store(workspace) as store:
        export_batch(workspace, store, tmp_path / "in.jsonl", "spam", "c")
        write(tmp_path / "out.jsonl", [answer(line) for line in lines(tmp_path / "in.jsonl")])
        config = tmp_path / "workbench.toml"
        config.write_text(config.read_text() + '[candidates.patch]\nsuffix = "Go"\n')
        with pytest.raises(UsageError, match="exported"):
            replay(Workspace.load(tmp_path), store, "spam", "r")


def test_every_failure_in_a_batch_is_an_error_of_its_own(tmp_path: Path) -> None:
    """Errors with a status, expired lines, wrong models, broken and missing lines are told apart."""
    workspace = world(tmp_path, calls=40)
    with open_store(workspace) as store:
        export_batch(workspace, store, tmp_path / "in.jsonl", "spam", "c")
        asked = lines(tmp_path / "in.jsonl")
        rows = [answer(line) for line in asked[:12]]
        rows += [
            failed(line, 400, "This model's maximum context length is 64 tokens.") for line in asked[12:15]
        ]
        rows += [failed(line, 500, "EngineDeadError") for line in asked[15:20]]
        rows += [failed(line, 429, "busy") for line in asked[20:23]]
        expired = {"code": "batch_expired", "message": "too late"}
        rows += [
            {"custom_id": line["custom_id"], "response": None, "error": expired} for line in asked[23:26]
        ]
        rows += [answer(line, model="other") for line in asked[26:28]]
        rows += [failed(asked[28], 500, "EngineDeadError"), answer(asked[28])]
        rows += [answer(asked[29], "ham"), answer(asked[29], "spam")]
        rows += [answer(asked[30], "ham"), answer(asked[30], "ham"), failed(asked[30], 500, "x")]
        rows += [answer(asked[31], choices=[])]
        write(tmp_path / "out.jsonl", rows, tail=json.dumps(answer(asked[32]))[:-40])
        report = replay(workspace, store, "spam", "r")
        found = outputs_of(store, "r")
        assert report.done == 40
    assert report.errors == {
        "context_length": 3,
        "http": 5,
        "rate_limited": 3,
        "timeout": 3,
        "wrong_model": 2,
        "invalid_response": 3,
        "missing": 7,
    }
    number = {line["custom_id"]: place for place, line in enumerate(asked)}
    by_place = {number[f"row-{index}"]: found[content_hash("test", str(index))] for index in range(40)}
    assert all(by_place[place].text == "ham" for place in (*range(12), 28, 30))
    assert by_place[15].error is not None
    assert (by_place[15].error.status, by_place[15].error.message) == (500, "EngineDeadError: 500")
    assert by_place[32].error is not None
    assert "breaks off" in by_place[32].error.message
    assert by_place[33].error is not None
    assert by_place[33].error.kind is ErrorKind.MISSING


def test_a_batch_full_of_failures_is_recorded_to_its_end(tmp_path: Path) -> None:
    """Failures in a file are no server that is down: no pause, whatever their number or order."""
    workspace = world(tmp_path, calls=90)
    with open_store(workspace) as store:
        export_batch(workspace, store, tmp_path / "in.jsonl", "spam", "c")
        asked = lines(tmp_path / "in.jsonl")
        rows = [failed(line, 503, "overloaded") for line in asked[:80]]
        write(tmp_path / "out.jsonl", rows + [answer(line) for line in asked[80:]])
        report = replay(workspace, store, "spam", "r")
    assert (report.state, report.done, report.errors) == ("finished", 90, {"http": 80})


def test_three_answers_of_another_model_stop_the_reading(tmp_path: Path) -> None:
    """A file of the wrong model is no evidence about this one."""
    workspace = world(tmp_path)
    with open_store(workspace) as store:
        export_batch(workspace, store, tmp_path / "in.jsonl", "spam", "c")
        rows = [answer(line, model="other") for line in lines(tmp_path / "in.jsonl")]
        write(tmp_path / "out.jsonl", rows)
        with pytest.raises(UsageError, match="answered by 'other'"):
            replay(workspace, store, "spam", "r")


def test_a_file_of_nothing_but_refusals_is_refused(tmp_path: Path) -> None:
    """Where the server knew no such model, nothing is recorded, and the message says what it said."""
    workspace = world(tmp_path)
    with open_store(workspace) as store:
        export_batch(workspace, store, tmp_path / "in.jsonl", "spam", "c")
        rows = [failed(line, 404, "The model `m` does not exist.") for line in lines(tmp_path / "in.jsonl")]
        write(tmp_path / "out.jsonl", rows)
        with pytest.raises(UsageError, match="status 404: The model `m` does not exist") as caught:
            replay(workspace, store, "spam", "r")
        assert "--served-model-name" in caught.value.hint
        assert store.value("SELECT count(*) FROM observations") == 0


def test_ids_that_several_sources_share_are_told_apart(tmp_path: Path) -> None:
    """Two calls of one native id, and ids no file should hold, are written by the store's own id and join."""
    workspace = world(tmp_path, calls=3)
    odd = "a line\nand \u202e" + "x" * 300
    with open_store(workspace) as store:
        ids = []
        for source, native_id in (("a", "same"), ("b", "same"), ("a", odd)):
            request = Request((Message("user", f"{source} {native_id[:5]}"),))
            ids.append(content_hash(source, native_id))
            call = {
                "call_id": ids[-1],
                "manifest_id": "m",
                "source": source,
                "native_id": native_id,
                "task": "spam",
                "request_hash": content_hash(to_json(request)),
                "content_hash": ids[-1],
                "request": to_json(request).decode(),
                "attributes": "{}",
                "marks": [],
            }
            store.append("calls", [call])
            output = {
                "call_id": ids[-1],
                "manifest_id": "m",
                "output": '{"text":"ham"}',
                "text": "ham",
                "marks": [],
            }
            store.append("controls", [output])
        export_batch(workspace, store, tmp_path / "in.jsonl", "spam", "c")
        asked = lines(tmp_path / "in.jsonl")
        assert {line["custom_id"] for line in asked} == {"row-0", "row-1", "row-2", *ids}
        rows = [answer(line, "spam" if line["custom_id"] == ids[0] else "ham") for line in asked]
        write(tmp_path / "out.jsonl", rows)
        assert replay(workspace, store, "spam", "r").errors == {}
        found = outputs_of(store, "r")
        assert [found[each].text for each in ids] == ["spam", "ham", "ham"]


async def test_the_sample_file_is_read_as_live_replies_are(tmp_path: Path) -> None:
    """Confidence, reasoning and error kinds of the hand-checkable file stand as its golden file says."""
    table = candidate_toml("r", engine="recorded", outputs=str(SAMPLE), model="Qwen/Qwen2.5-0.5B-Instruct")
    workspace = make_workspace(tmp_path, table)
    labels = EvalConfig("triage", workspace.eval_for("spam").kind, labels=("billing", "delivery", "other"))
    engine = open_engine(workspace, workspace.candidate("r"), labels)
    found = {}
    for number in range(1, 7):
        context = CallContext("call", f"ticket-{number}")
        output = await engine.complete(Request((Message("user", "x"),)), context)
        found[f"ticket-{number}"] = json.loads(to_json(output))
    await engine.close()
    if os.environ.get("WORKBENCH_UPDATE_GOLDEN"):
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
    assert found == json.loads(GOLDEN.read_text())
    # Read off the file by hand: bill 0.8, del 0.1, other 0.1; the margin is 0.7, the lowest token 0.8.
    assert found["ticket-1"]["confidence"]["label_margin"] == pytest.approx(0.7, abs=1e-4)
    assert found["ticket-1"]["confidence"]["token_quantile"] == pytest.approx(0.8, abs=1e-4)
    assert found["ticket-2"]["reasoning"].startswith("The parcel")
    kinds = [found[f"ticket-{number}"]["error"]["kind"] for number in range(3, 7)]
    assert kinds == ["context_length", "http", "timeout", "missing"]


async def test_labels_that_travelled_in_json_are_taken_out(tmp_path: Path) -> None:
    """An OpenAI batch asks labels as a schema; the answer is the label, as it is live."""
    keys = {"dialect": "openai", "parameters": {"structured_outputs": True}}
    workspace = world(tmp_path, calls=2, **keys)
    with open_store(workspace) as store:
        export_batch(workspace, store, tmp_path / "in.jsonl", "spam", "c")
        asked = lines(tmp_path / "in.jsonl")
        assert asked[0]["body"]["response_format"]["type"] == "json_schema"
        write(tmp_path / "out.jsonl", [answer(line, '{"label": "ham"}') for line in asked])
        replay(workspace, store, "spam", "r")
        assert {each.text for each in outputs_of(store, "r").values()} == {"ham"}


def test_a_candidate_that_asks_nothing_has_no_requests(tmp_path: Path) -> None:
    workspace = world(tmp_path)
    (tmp_path / "out.jsonl").write_text("{}\n")
    with open_store(workspace) as store, pytest.raises(UsageError, match="asks no model") as caught:
        export_batch(workspace, store, tmp_path / "in.jsonl", "spam", "r")
    assert "c" in caught.value.hint


def test_what_is_missing_is_not_asked_under_other_labels(tmp_path: Path) -> None:
    """An output file holds answers of one kind; the whole file may be written anew."""
    workspace = world(tmp_path, calls=12, dialect="vllm", parameters={"structured_outputs": True})
    file, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    with open_store(workspace) as store:
        export_batch(workspace, store, file, "spam", "c")
        write(out, [answer(line) for line in lines(file)[:5]])
        again = functools.partial(export_batch, store=store, path=file, task="spam", candidate="c")
        assert again(workspace, missing_from=out).written == 7
        eval_file = tmp_path / "evals" / "spam" / "eval.toml"
        eval_file.write_text(eval_file.read_text().replace('"spam", "ham"', '"spam", "ham", "scam"'))
        edited = Workspace.load(tmp_path)
        with pytest.raises(UsageError, match="must not be mixed"):
            again(edited, missing_from=out)
        assert again(edited).written == 12
        assert again(edited, missing_from=out).written == 7


def test_batches_from_the_command_line_and_a_notebook(tmp_path: Path) -> None:
    """Each command prints the next one; they work as printed, from export to comparison."""
    world(tmp_path, calls=12)
    run: Callable[..., Any] = functools.partial(CliRunner().invoke, cli)
    where = ["--workspace", str(tmp_path)]
    file = str(tmp_path / "in.jsonl")
    made = run(["export", "batch", file, "--task", "spam", "--candidate", "c", "--limit", "8", *where])
    assert made.exit_code == 0, made.output
    assert "vllm run-batch -i" in made.output
    command = next(line for line in made.output.splitlines() if "candidate add" in line).split()
    write(tmp_path / "in-out.jsonl", [answer(line) for line in lines(tmp_path / "in.jsonl")])
    added = run([*command[1:], *where])
    assert added.exit_code == 0, added.output
    done = run(["replay", "--task", "spam", "--candidate", "c-batch", "--json", *where])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["done"] == 8
    document = json.loads(
        run(["export", "batch", file, "--task", "spam", "--candidate", "c", "--json", *where]).stdout
    )
    assert document["written"] == 12
    with Workbench(tmp_path) as bench:
        report = bench.export_batch(
            tmp_path / "nb.jsonl", "spam", "c", limit=12, missing_from=tmp_path / "in-out.jsonl"
        )
    assert (report.calls, report.written) == (12, 4)


def test_the_engine_says_what_its_file_holds(tmp_path: Path) -> None:
    """Outputs, errors among them and unreadable lines are counted for the replay's record."""
    workspace = world(tmp_path, calls=4)
    with open_store(workspace) as store:
        export_batch(workspace, store, tmp_path / "in.jsonl", "spam", "c")
    asked = lines(tmp_path / "in.jsonl")
    write(tmp_path / "out.jsonl", [answer(asked[0]), failed(asked[1], 500, "x")], tail='{"custom_id": "row')
    engine = RecordedEngine(workspace, workspace.candidate("r"), workspace.eval_for("spam"))
    assert engine.description == {"outputs": 2, "errors": 1, "rejected_lines": 1}
