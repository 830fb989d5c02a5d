"""The capture log never hurts the application, keeps whole lines, and counts what it loses."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from capture_server import Server, completion
from hypothesis import given
from hypothesis import strategies as st
from openai import OpenAI
from small_disk import small_disk

from workbench.capture import CaptureLog, wrap
from workbench.capture.log import Waiting, scrubbed
from workbench.capture.rebuild import answer_of, chat_completion, events
from workbench.redaction import Redactor, load_key

ROOT = Path(__file__).parents[2]
ASK = [{"role": "user", "content": "hello"}]


def client_of(server: Server, log: CaptureLog, **options: Any) -> OpenAI:
    return wrap(OpenAI(base_url=server.url(), api_key="sk-canary-123456", **options), log)


def ask(client: OpenAI, text: str = "hello", *, stream: bool = False) -> None:
    answer: Any = client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": text}], stream=stream
    )
    if stream:
        list(answer)


def lines(folder: Path) -> list[dict[str, Any]]:
    found = []
    for path in sorted(folder.glob("*.jsonl")):
        data = path.read_bytes()
        assert data.endswith(b"\n")
        found += [json.loads(line) for line in data.splitlines()]
    return found


def put(log: CaptureLog, number: int, size: int = 10) -> None:
    log.put(Waiting("chat", lambda: {"number": number, "filler": "x" * size}, size))


def test_a_folder_that_cant_be_made_costs_the_log_alone(server: Server, tmp_path: Path) -> None:
    """Where the log can't be written the application goes on, and every loss is counted."""
    (tmp_path / "file").write_text("")
    log = CaptureLog(tmp_path / "file" / "log")
    client = client_of(server, log)
    for stream in (False, True):
        ask(client, stream=stream)
    assert log.flush()
    assert log.counts() == {"written": 0, "sampled_out": 0, "lost": {"can't be written": 2}}


def test_a_full_disk_costs_lines_never_halves(server: Server, tmp_path: Path) -> None:
    """On a full disk lines are lost and counted; what stands is whole, and more follow once there is room."""
    with small_disk(tmp_path / "disk", 64) as disk:
        log = CaptureLog(disk.path / "log")
        client = client_of(server, log)
        ask(client, "first")
        assert log.flush()
        disk.fill(leave=4096)
        for number in range(12):
            ask(client, f"{number} " + "x" * 1500)
        assert log.flush()
        lost = log.counts()["lost"].get("can't be written", 0)
        assert lost > 0
        assert len(lines(log.folder)) == 13 - lost
        disk.make_room()
        ask(client, "last")
        assert log.flush()
        assert lines(log.folder)[-1]["request"]["messages"][0]["content"] == "last"
        (counts,) = log.folder.glob("counts-*.json")
        assert json.loads(counts.read_text())["lost"] == {"can't be written": lost}


def test_a_file_that_somebody_removes_is_begun_anew(tmp_path: Path) -> None:
    """A log file moved away under the writer costs nothing: the next line begins another."""
    log = CaptureLog(tmp_path / "log")
    put(log, 1)
    assert log.flush()
    (path,) = log.folder.glob("*.jsonl")
    path.rename(tmp_path / "moved.jsonl")
    put(log, 2)
    assert log.flush()
    assert [each["number"] for each in lines(log.folder)] == [2]


def test_what_is_too_large_or_too_much_is_counted(tmp_path: Path) -> None:
    """A record beyond the limit, and one more than memory may hold, are counted and dropped."""
    log = CaptureLog(tmp_path / "log", max_record_bytes=1000, max_waiting_bytes=2500)
    put(log, 1, size=1001)
    go = threading.Event()
    log.put(Waiting("chat", lambda: {"waited": go.wait(10)}, 900))
    for number in range(3):
        put(log, number, size=800)
    go.set()
    assert log.flush()
    assert log.counts() == {"written": 3, "sampled_out": 0, "lost": {"too large": 1, "disk too slow": 1}}


def test_a_huge_answer_reaches_the_application(server: Server, tmp_path: Path) -> None:
    """An answer beyond the log's limit passes whole, streamed or not."""
    log = CaptureLog(tmp_path / "log", max_record_bytes=20_000)
    client = client_of(server, log)
    long = "y" * 50_000
    for stream in (False, True):
        answer: Any = client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": long}], stream=stream
        )
        text = (
            "".join(each.choices[0].delta.content or "" for each in answer if each.choices)
            if stream
            else answer.choices[0].message.content
        )
        assert text == f"echo: {long}"
    assert log.flush()
    assert log.counts()["lost"] == {"too large": 2}


@pytest.mark.parametrize("where", ["build", "redact", "takes", "put", "facts"])
def test_a_bug_in_capture_stays_there(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Whatever part of capture breaks, the application gets its answer, and the call is counted as lost."""

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a bug")

    log = CaptureLog(tmp_path / "log", redact=broken if where == "redact" else None, sampling_rate=0.999999)
    targets = {
        "build": "workbench.capture.exchange._record",
        "takes": "workbench.capture.log._chance",
        "put": "workbench.capture.log.CaptureLog._start",
        "facts": "workbench.capture.exchange.Exchange._facts",
    }
    if where in targets:
        monkeypatch.setattr(targets[where], broken)
    client = client_of(server, log)
    for stream in (False, True):
        ask(client, stream=stream)
    log.flush()
    monkeypatch.undo()
    log.flush()
    assert log.counts()["written"] == 0
    assert sum(log.counts()["lost"].values()) == 2


@pytest.mark.parametrize("seed", [1, 5])
def test_a_seeded_application_keeps_its_sequence_and_the_share_is_kept(tmp_path: Path, seed: int) -> None:
    """An application that seeds before each call draws what it drew, and the share given is kept."""
    random.seed(seed)
    drawn = random.random()
    log = CaptureLog(tmp_path / "log", sampling_rate=0.3)
    kept = 0
    for _ in range(2_000):
        random.seed(seed)
        kept += log.takes({})
        assert random.random() == drawn
    # Six standard deviations of a share of 0.3 of 2,000.
    assert abs(kept - 600) < 6 * (2_000 * 0.3 * 0.7) ** 0.5
    assert log.counts()["sampled_out"] == 2_000 - kept


def test_files_are_rotated_at_whole_lines(tmp_path: Path) -> None:
    """No file grows beyond its limit, no line is cut, none is lost, and only the owner may read them."""
    log = CaptureLog(tmp_path / "log", max_file_bytes=1000)
    for number in range(50):
        put(log, number, size=100)
    assert log.flush()
    paths = sorted(log.folder.glob("*.jsonl"))
    assert len(paths) > 5
    assert all(path.stat().st_size <= 1000 for path in paths)
    assert [each["number"] for each in lines(log.folder)] == list(range(50))
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}
    assert log.folder.stat().st_mode & 0o777 == 0o700


def _write_many(folder: str, process: int) -> None:
    log = CaptureLog(folder, max_file_bytes=5_000)

    def work(thread: int) -> None:
        for number in range(100):
            put(log, process * 10_000 + thread * 1_000 + number)

    threads = [threading.Thread(target=work, args=(each,)) for each in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_processes_and_threads_never_mix_their_lines(
    tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three processes of four threads each leave every line whole and once, though they just end."""
    # A spawned process runs the main module anew: a test of the app may have left the app there.
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    context = multiprocessing.get_context(method)
    processes = [context.Process(target=_write_many, args=(str(tmp_path), each)) for each in range(3)]
    for each in processes:
        each.start()
    for each in processes:
        each.join(60)
        assert each.exitcode == 0
    found = sorted(each["number"] for each in lines(tmp_path))
    assert found == sorted(p * 10_000 + t * 1_000 + n for p in range(3) for t in range(4) for n in range(100))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_logs_for_itself(server: Server, tmp_path: Path) -> None:
    """After a fork, with calls waiting and the lock held, parent and child each write their own, once."""
    log = CaptureLog(tmp_path / "log")
    client = client_of(server, log)
    ask(client, "before")
    go = threading.Event()
    log.put(Waiting("chat", lambda: {"slow": go.wait(10)}, 10))
    log._lock.acquire()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            ask(client_of(server, log), "child")
            code = 0 if log.flush() and log.counts()["written"] == 1 else 2
        finally:
            os._exit(code)
    log._lock.release()
    go.set()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    ask(client, "after")
    assert log.flush()
    found = [each["request"]["messages"][0]["content"] for each in lines(log.folder) if "request" in each]
    assert sorted(found) == ["after", "before", "child"]


THREAD = "import threading; threading.Thread(target=time.sleep, args=(0.1,)).start()"


@pytest.mark.parametrize("end", ["", "sys.exit(3)", "raise KeyError('x')", THREAD])
def test_the_end_of_the_interpreter_loses_nothing(server: Server, tmp_path: Path, end: str) -> None:
    """A process that ends right behind a call has it in the log, and ends as it would have."""
    code = f"""
import sys, time
from openai import OpenAI
from workbench.capture import wrap
client = wrap(OpenAI(base_url={server.url()!r}, api_key="k"), {str(tmp_path / "log")!r})
for _ in range(5):
    client.chat.completions.create(model="m", messages={ASK!r})
{end}
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == {"": 0, "sys.exit(3)": 3, "raise KeyError('x')": 1}.get(end, 0)
    assert "workbench" not in done.stderr
    assert len(lines(tmp_path / "log")) == 5


def test_a_killed_process_leaves_whole_lines(tmp_path: Path) -> None:
    """A process killed while it writes leaves no half line before the last."""
    code = f"""
import itertools
from workbench.capture import CaptureLog
from workbench.capture.log import Waiting
log = CaptureLog({str(tmp_path)!r})
print("on", flush=True)
for number in itertools.count():
    log.put(Waiting("chat", lambda number=number: {{"number": number, "filler": "x" * 2000}}, 10))
    if number % 100 == 0:
        log.flush()
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.4)
    process.kill()
    process.wait()
    process.stdout.close()
    found = lines(tmp_path)
    assert [each["number"] for each in found] == list(range(len(found)))
    assert found


def test_capture_needs_the_standard_library_alone() -> None:
    """Importing it loads no package but `workbench`, so that an application takes on nothing else."""
    code = """
import sys
from importlib.abc import MetaPathFinder
class Refuse(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] not in sys.stdlib_module_names | {"workbench"}:
            raise ImportError("not here: " + name)
sys.meta_path.insert(0, Refuse())
import workbench.capture, workbench.redaction
print(sorted({name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    foreign = [
        each for each in json.loads(done.stdout.replace("'", '"')) if not each.startswith(("_", "sitecustom"))
    ]
    assert foreign == ["workbench"]


pieces = st.text(max_size=12)


@given(st.lists(pieces, max_size=5), st.lists(st.lists(pieces, max_size=4), max_size=3), st.booleans())
def test_chunks_make_the_whole_again(texts: list[str], calls: list[list[str]], windows: bool) -> None:
    """However an answer is cut into chunks, text and arguments of every call come out as they went in."""
    deltas: list[dict[str, Any]] = [{"role": "assistant"}, *({"content": each} for each in texts)]
    for index, parts in enumerate(calls):
        head = {
            "index": index,
            "id": f"c{index}",
            "type": "function",
            "function": {"name": "f", "arguments": ""},
        }
        deltas.append({"tool_calls": [head]})
        deltas += [{"tool_calls": [{"index": index, "function": {"arguments": each}}]} for each in parts]
    sent = [{"id": "x", "choices": [{"index": 0, "delta": each}]} for each in deltas]
    sent.append({"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    end = "\r\n" if windows else "\n"
    text = (
        "".join(f": ping{end}data: {json.dumps(each)}{end}{end}" for each in sent) + f"data: [DONE]{end}{end}"
    )
    whole = answer_of("chat", text.encode())["response"]
    message = whole["choices"][0]["message"]
    assert (message["content"] or "") == "".join(texts)
    made = message.get("tool_calls", [])
    assert [each["function"]["arguments"] for each in made] == ["".join(each) for each in calls]
    assert [each["id"] for each in made] == [f"c{index}" for index in range(len(calls))]


@given(st.integers(0, 2_000), st.binary(max_size=40))
def test_a_broken_stream_is_never_an_answer(cut: int, junk: bytes) -> None:
    """A stream cut anywhere before its end is pieces; reading it never yields a whole answer."""
    whole = completion({"messages": [{"content": "some longer text to cut"}]})
    sent = [{"id": "x", "choices": [{"index": 0, "delta": {"content": each}}]} for each in "some text"]
    text = "".join(f"data: {json.dumps(each)}\n\n" for each in sent)[:cut]
    assert chat_completion(list(events(text + junk.decode("latin-1")))) is None
    assert whole["choices"]


values = st.recursive(
    st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(values)
def test_scrubbing_takes_the_key_and_nothing_else(value: Any) -> None:
    """A record with a key anywhere comes back without it; one without comes back equal."""
    secret = "sk-canary-123456"  # noqa: S105 -- none of anybody's
    assert scrubbed(value, (secret,)) == value
    dirty = {"a": [value, f"x{secret}y"], secret: 1}
    clean = scrubbed(dirty, (secret,))
    assert secret not in json.dumps(clean)
    assert clean["a"][0] == value
    assert scrubbed({"text": "EMPTY"}, ("EMPTY",)) == {"text": "EMPTY"}


def test_a_redacted_log_holds_nothing_personal(server: Server, tmp_path: Path) -> None:
    """With a workspace's secret, request and answer hold the placeholders that its imports have."""
    log = CaptureLog(tmp_path / "log", redact=tmp_path / "space")
    client = client_of(server, log)
    for stream in (False, True):
        ask(client, "I am ann@example.com, 4111 1111 1111 1111", stream=stream)
    assert log.flush()
    redactor = Redactor(load_key(tmp_path / "space"))
    expected = redactor("I am ann@example.com, 4111 1111 1111 1111")[0]
    assert "ann" not in expected
    found = lines(log.folder)
    assert len(found) == 2
    for record in found:
        assert record["request"]["messages"][0]["content"] == expected
        assert record["response"]["choices"][0]["message"]["content"] == f"echo: {expected}"
        assert record["redacted"] == {"EMAIL": 2, "CARD": 2}


def test_without_its_secret_nothing_is_written(server: Server, tmp_path: Path) -> None:
    """Where the secret can't be used, calls are lost and counted rather than written as they are."""
    (tmp_path / "space").mkdir()
    (tmp_path / "space" / ".redaction-key").write_text("no key")
    log = CaptureLog(tmp_path / "log", redact=tmp_path / "space")
    ask(client_of(server, log))
    assert log.flush()
    assert lines(log.folder) == []
    assert log.counts()["lost"] == {"can't be read": 1}
