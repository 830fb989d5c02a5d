"""A vLLM server's life: what starts it, what ends it, and that nothing of it is left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_vllm import alive, fake_python, starts
from replay_world import add_calls, make_workspace, open_store

from workbench.config import Workspace
from workbench.engines import CallContext, shared_servers, test_candidate, vllm, vllm_server
from workbench.engines.device_lock import DeviceLock
from workbench.engines.retries import RetryPolicy
from workbench.engines.vllm import VLLMEngine
from workbench.engines.vllm_command import AT_ONCE, check_arguments, devices, kept_variables
from workbench.engines.vllm_server import ServerProcess, open_log
from workbench.errors import ConfigError, EndpointUnreachable, EnvironmentalError, ModelMissing
from workbench.progress import Progress
from workbench.records import Message, Request
from workbench.replay import replay
from workbench.replay.session import limiter_of
from workbench.specs import VLLMServer

ASKED = Request((Message("user", "Is this spam?"),), parameters={"max_tokens": 4})


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Locks of this test alone, a short grace, and not one process left at its end."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(vllm_server, "GRACE_S", 0.2)
    monkeypatch.setattr(vllm, "POLL_S", 0.05)
    monkeypatch.delenv("WORKBENCH_VLLM_PYTHON", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    yield
    assert alive(tmp_path / "fake") == []


def make_model(root: Path, name: str = "tiny", **config: Any) -> Path:
    """Write a folder that looks like a model."""
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"} | config))
    (folder / "model.safetensors").write_bytes(b"\0" * 16)
    return folder


def make_adapter(root: Path, name: str, rank: int = 8, weights: str = "adapter_model.safetensors") -> Path:
    """Write a folder that looks like a LoRA adapter."""
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": rank}))
    (folder / weights).write_bytes(b"\0")
    return folder


def table(name: str = "c", python: Path | None = None, model: str = "tiny", **server: Any) -> str:
    """Return a candidate's table."""
    if python is not None:
        server["python"] = str(python)
    keys = {"name": name, "engine": "vllm", "model": model}
    keys |= {key: server.pop(key) for key in ("timeout_s", "revision", "api_key_env") if key in server}
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    lines += ["[candidates.parameters]", "structured_outputs = true", "[candidates.server]"]
    lines += [f"{key} = {json.dumps(value)}" for key, value in server.items() if key != "environment"]
    if server.get("environment"):
        inner = ", ".join(f"{key} = {json.dumps(value)}" for key, value in server["environment"].items())
        lines.append(f"environment = {{ {inner} }}")
    return "[[candidates]]\n" + "\n".join(lines) + "\n"


def world(root: Path, mode: str = "", says: str = "", **server: Any) -> Workspace:
    """Return a workspace with a model and one candidate that a fake vLLM serves."""
    make_model(root)
    return make_workspace(root, table(python=fake_python(root / "fake", mode, says), **server))


def engine_of(workspace: Workspace, name: str = "c") -> VLLMEngine:
    """Open the engine of a candidate."""
    quick = RetryPolicy(first_wait_s=0.02)
    return VLLMEngine(workspace, workspace.candidate(name), workspace.eval_for("spam"), quick)


async def ask(workspace: Workspace, calls: int = 1, name: str = "c") -> list[str | None]:
    """Return the answers to some calls, one after another, from first start to last end."""
    engine = engine_of(workspace, name)
    try:
        await engine.check()
        return [(await engine.complete(ASKED, CallContext(str(i), str(i)))).text for i in range(calls)]
    finally:
        await engine.close()


async def test_a_server_is_started_asked_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets what the keys say, a private key in its environment, and none of our secrets."""
    monkeypatch.setenv("OPENAI_API_KEY", "canary-1")
    monkeypatch.setenv("VLLM_SECRET_TOKEN", "canary-2")
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "3")
    workspace = world(
        tmp_path, max_model_len=512, gpu_memory_share=0.5, tool_parser="hermes", environment={"MINE": "1"}
    )
    engine = engine_of(workspace)
    said: list[str] = []
    engine.listener = lambda progress: said.append(progress.note)
    try:
        await engine.check()
        output = await engine.complete(ASKED, CallContext("1", "1"))
        assert (output.text, output.model, output.error) == ("spam", "tiny", None)
        assert engine.context_tokens == 2048
        assert engine.description["vllm"] == "0.0.fake"
    finally:
        await engine.close()
    assert any("vLLM starts" in each for each in said)
    (start,) = starts(tmp_path / "fake")
    argv, env = start["argv"], start["env"]
    assert argv[argv.index("--host") + 1] == "127.0.0.1"
    assert argv[argv.index("--max-model-len") + 1] == "512"
    assert argv[argv.index("--gpu-memory-utilization") + 1] == "0.5"
    assert argv[argv.index("--tool-call-parser") + 1] == "hermes"
    assert "--enable-prefix-caching" in argv
    assert not [word for word in argv if "trust" in word or "log-requests" in word or "api-key" in word]
    assert len(env["VLLM_API_KEY"]) > 30
    assert env["VLLM_API_KEY"] not in " ".join(argv)
    assert env["PATH"].startswith(str(tmp_path / "fake") + os.pathsep), "vLLM finds its own tools"
    assert (env["MINE"], env["VLLM_CPU_KVCACHE_SPACE"]) == ("1", "3")
    assert (env["VLLM_NO_USAGE_STATS"], env["HF_HUB_OFFLINE"]) == ("1", "1")
    assert "canary" not in json.dumps(start)
    assert len(list((workspace.spool / "logs").glob("vllm-c-*.log"))) == 1


def test_a_replay_through_it_is_stored_and_its_end_ends_the_server(tmp_path: Path) -> None:
    """The loop is the one of every engine: all calls are answered and stored."""
    workspace = world(tmp_path)
    with open_store(workspace) as store:
        add_calls(store, 30)
        report = replay(workspace, store, "spam", "c", checks=False)
        texts = store.value("SELECT count(*) FROM observations WHERE text = 'spam'")
    assert (report.state, report.done, report.errors, texts) == ("finished", 30, {}, 30)
    assert len(starts(tmp_path / "fake")) == 1


def test_candidate_test_starts_it_and_says_what_came_back(tmp_path: Path) -> None:
    """`workbench candidate test` works for a candidate that is served here."""
    workspace = world(tmp_path)
    report = test_candidate(workspace, workspace.candidate("c"))
    assert report.ok, report.text
    assert report.calls >= 2


CHILD = """
import asyncio, signal, sys
from workbench.config import Workspace
from workbench.engines import open_engine, vllm_server
import tempfile
vllm_server.GRACE_S = 0.2
# A job in the background of a shell ignores it from its start.
signal.signal(signal.SIGINT, signal.default_int_handler)
tempfile.tempdir = sys.argv[1]
workspace = Workspace.load(sys.argv[1])
engine = open_engine(workspace, workspace.candidate("c"), workspace.eval_for("spam"))

async def main():
    if sys.argv[2] == "while it starts":
        engine.listener = lambda progress: print("starts", flush=True)
    await engine.check()
    print("starts", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("how", "moment"),
    [
        (signal.SIGKILL, "while it starts"),
        (signal.SIGKILL, "while it runs"),
        (signal.SIGTERM, "while it starts"),
        (signal.SIGINT, "while it runs"),
    ],
)
def test_nothing_of_it_outlives_a_workbench_that_is_killed(
    tmp_path: Path, how: signal.Signals, moment: str
) -> None:
    """A server that ignores SIGTERM, its helper and its orphan in another session go with the workbench."""
    mode = "stubborn silent" if moment == "while it starts" else "stubborn"
    world(tmp_path, mode)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path), moment],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert child.stdout is not None
    child.stdout.readline()
    assert until(lambda: len(alive(tmp_path / "fake")) == 3), "the server and its two helpers run"
    child.send_signal(how)
    child.wait(timeout=20)
    child.stdout.close()
    assert until(lambda: not alive(tmp_path / "fake")), "something of it is left"


def until(true: Any, seconds: float = 20.0) -> bool:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.05)
    return False


async def test_a_supervisor_that_is_killed_takes_its_server_along(tmp_path: Path) -> None:
    """The replay goes on with a new server, and the old one is gone."""
    workspace = world(tmp_path)
    engine = engine_of(workspace)
    try:
        await engine.check()
        assert engine._server is not None
        before = alive(tmp_path / "fake")
        os.kill(engine._server.process.pid, signal.SIGKILL)
        assert until(lambda: not set(before) & set(alive(tmp_path / "fake")))
        output = await engine.complete(ASKED, CallContext("1", "1"))
        assert output.text == "spam"
        assert alive(tmp_path / "fake"), "another server answered"
    finally:
        await engine.close()


ROOT_CAUSE = (
    """\
(VllmWorker-0 pid=16520) ERROR 11-22 06:40:11 [multiproc_executor.py:953] ValueError: Available memory on \
node 0 (11.32/15.09 GiB) on startup is less than desired CPU memory utilization (0.92, 13.88 GiB).
(EngineCore pid=15505) INFO 11-22 06:39:26 [core.py:133] with config: quantization=None, lora_config=None
"""
    + "".join(
        f"(EngineCore pid=15505) ERROR 11-22 06:40:17 [core.py:1510]   line {number} of a traceback\n"
        for number in range(40)
    )
    + "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}"
)
"""As vLLM 0.32 says it: the cause stands far above the last line."""


TOO_LONG = """\
pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig
  Value error, User-specified max_model_len (999999) is greater than the derived max_model_len (8192). \
[type=value_error, input_value=ArgsKwargs((), {'quantization': None}), input_type=ArgsKwargs]
    For further information visit https://errors.pydantic.dev/2.14/v/value_error"""
"""As vLLM 0.32 refuses a setting: why stands in a line behind the error."""


@pytest.mark.parametrize(
    ("says", "helps"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "gpu_memory_share"),
        ("ValueError: No available memory for the cache blocks.", "max_model_len"),
        ("World size (4) is larger than the number of available GPUs (1)", "tensor_parallel"),
        ("ValueError: Model architectures ['NewForCausalLM'] are not supported for now.", "architecture"),
        ("ModuleNotFoundError: No module named 'xgrammar'", "module is missing"),
        ("api_server.py: error: unrecognized arguments: --no-such", "server.arguments"),
        ("torch.AcceleratorError: CUDA error: device-side assert triggered", "log"),
        (ROOT_CAUSE, "gpu_memory_share"),
        (TOO_LONG, "`server.max_model_len` is larger"),
    ],
)
async def test_a_server_that_ends_at_its_start_is_said_with_its_last_words(
    tmp_path: Path, says: str, helps: str
) -> None:
    """The message holds the end of its log, and the hint what helps against a known cause."""
    workspace = world(tmp_path, "ends", says)
    with pytest.raises(EndpointUnreachable, match="ended with code 1") as caught:
        await ask(workspace)
    assert says.strip().splitlines()[0].rpartition("] ")[2] in caught.value.message
    assert helps in caught.value.hint
    assert ".log" in caught.value.message


async def test_a_server_that_never_answers_is_ended_in_time(tmp_path: Path) -> None:
    """`start_timeout_s` bounds the wait."""
    with pytest.raises(EndpointUnreachable, match="start_timeout_s"):
        await ask(world(tmp_path, "silent", start_timeout_s=1.5))


async def test_a_cancelled_start_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C while a server starts ends it."""
    engine = engine_of(world(tmp_path, "stubborn silent"))
    starting = asyncio.create_task(engine.check())
    assert await asyncio.to_thread(until, lambda: len(alive(tmp_path / "fake")) == 3)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await engine.close()
    assert alive(tmp_path / "fake") == []


async def test_a_port_that_another_took_meanwhile_is_changed(tmp_path: Path) -> None:
    """The start is tried again at another port."""
    workspace = world(tmp_path, "ends_once", "OSError: [Errno 98] Address already in use")
    assert await ask(workspace) == ["spam"]
    ports = [each["argv"][each["argv"].index("--port") + 1] for each in starts(tmp_path / "fake")]
    assert len(set(ports)) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="who listens is told by /proc")
def test_a_stranger_at_the_port_is_not_taken_for_the_server(tmp_path: Path) -> None:
    """Requests would go to whoever took the port: only a process below our supervisor will do."""
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        process = ServerProcess(["sleep", "60"], {"PATH": os.environ["PATH"]}, tmp_path / "a.log")
        try:
            assert not process.listens(stranger.getsockname()[1])
        finally:
            process.stop()


async def test_a_server_that_dies_in_a_replay_is_started_again(tmp_path: Path) -> None:
    """Every call is answered, and the calls say that they were asked again."""
    workspace = world(tmp_path, "dies_after=3 sound_from=3")
    engine = engine_of(workspace)
    contexts = [CallContext(str(index), str(index)) for index in range(8)]
    try:
        outputs = await asyncio.gather(*(engine.complete(ASKED, each) for each in contexts))
    finally:
        await engine.close()
    assert [each.text for each in outputs] == ["spam"] * 8
    assert any(each.retried for each in contexts)
    assert len(starts(tmp_path / "fake")) == 3


async def test_a_server_that_dies_again_and_again_ends_the_replay(tmp_path: Path) -> None:
    """After two more starts the last lines of its log are the message; nobody starts it a fourth time."""
    engine = engine_of(world(tmp_path, "dies_after=1"))
    calls = [engine.complete(ASKED, CallContext(str(index), str(index))) for index in range(4)]
    try:
        errors = await asyncio.gather(*calls, return_exceptions=True)
        with pytest.raises(EndpointUnreachable):
            await engine.complete(ASKED, CallContext("5", "5"))
    finally:
        await engine.close()
    assert all(isinstance(each, EndpointUnreachable) for each in errors)
    assert "the engine core died" in str(errors[0])
    assert len(starts(tmp_path / "fake")) == 3


@pytest.mark.parametrize("mode", ["freezes_after=2 sound_from=2", "stalls sound_from=2"])
async def test_a_server_that_hangs_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """One that answers nothing, and one whose engine writes no token any more."""
    monkeypatch.setattr(vllm, "ASK_TIMEOUT_S", 0.4)
    monkeypatch.setattr(vllm, "STALL_S", 0.4)
    workspace = world(tmp_path, mode, timeout_s=1.0)
    assert await ask(workspace, 3) == ["spam"] * 3
    assert len(starts(tmp_path / "fake")) == 2


async def test_candidates_that_differ_in_their_adapter_share_one_server(tmp_path: Path) -> None:
    """Each adapter is asked by its own name; another base gets a server of its own, the first one gone."""
    make_model(tmp_path)
    make_model(tmp_path, "other")
    make_adapter(tmp_path, "tone", 8)
    make_adapter(tmp_path, "facts", 20)
    make_adapter(tmp_path, "broken", 8, "adapter_model.bin")
    python = fake_python(tmp_path / "fake")
    workspace = make_workspace(
        tmp_path,
        table("base", python),
        table("tone", python, adapter="tone"),
        table("facts", python, adapter="facts"),
        table("broken", python, adapter="broken"),
        table("other", python, model="other"),
    )
    with shared_servers():
        for name in ("base", "tone", "facts"):
            engine = engine_of(workspace, name)
            await engine.check()
            output = await engine.complete(ASKED, CallContext("1", "1"))
            assert output.model == ("tiny" if name == "base" else name)
            await engine.close()
        assert len(starts(tmp_path / "fake")) == len(alive(tmp_path / "fake")) == 1
        await ask(workspace, name="other")
        assert len(starts(tmp_path / "fake")) == 2
        assert len(alive(tmp_path / "fake")) == 1
    assert alive(tmp_path / "fake") == []
    argv = starts(tmp_path / "fake")[0]["argv"]
    assert argv[argv.index("--max-lora-rank") + 1] == "32"
    assert "--enable-lora" not in starts(tmp_path / "fake")[1]["argv"]
    with pytest.raises(ConfigError, match=r"adapter_model\.safetensors"):
        await ask(workspace, name="broken")


async def test_two_servers_never_share_a_device(tmp_path: Path) -> None:
    """The second waits, then names the holder."""
    workspace = world(tmp_path, start_timeout_s=1.2)
    first, second = engine_of(workspace), engine_of(workspace)
    said: list[Progress] = []
    second.listener = said.append
    try:
        await first.check()
        with pytest.raises(EnvironmentalError, match=rf"process {os.getpid()} .*candidate c") as caught:
            await second.check()
        assert "CUDA_VISIBLE_DEVICES" in caught.value.hint
        assert any("waits for device 0" in each.note for each in said)
    finally:
        await second.close()
        await first.close()
    assert await ask(workspace) == ["spam"]


def test_a_lock_is_free_once_its_holder_is_killed(tmp_path: Path) -> None:
    """The kernel frees it: nothing has to be cleaned up by hand."""
    code = (
        "import asyncio, pathlib, sys, time\n"
        "from workbench.engines.device_lock import DeviceLock\n"
        "lock = DeviceLock(['0'], pathlib.Path(sys.argv[1]))\n"
        "asyncio.run(lock.acquire(1, 'test', print))\n"
        "print('held', flush=True)\n"
        "time.sleep(600)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    lock = DeviceLock(["0"], tmp_path)
    with pytest.raises(EnvironmentalError, match=f"process {holder.pid} "):
        asyncio.run(lock.acquire(0.0, "test", lambda _: None))
    holder.kill()
    holder.wait()
    holder.stdout.close()
    asyncio.run(lock.acquire(1.0, "test", lambda _: None))
    lock.release()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--trust-remote-code"],
        ["--trust_remote_code"],
        ["--trust-rem"],
        ["--trust-remote-code=true"],
        ["--max-num-seqs", "8", "--host", "0.0.0.0"],
        ["--config", "file.yaml"],
        ["--middleware", "my.module"],
        ["--enable-log-req"],
        ["--load-format", "pt"],
        ["--load-format=npcache"],
        ["--speculative-config.model", "someone/draft"],
        ["-sc", '{"model": "someone/draft"}'],
        ["--spec-model", "someone/draft"],
        ["--kv-events-config", '{"enable_kv_cache_events": true}'],
        ["--kv_events_config.publisher=zmq"],
        ["--log-config-file", "log.json"],
        ["--distributed-executor-backend", "my.module.Executor"],
        ["-dpa", "10.0.0.1"],
        ["--dtype", "float16"],
        ["-tp", "2"],
    ],
)
def test_arguments_that_break_a_promise_are_refused(arguments: list[str]) -> None:
    """However they are spelt, and those that have a key of their own too."""
    with pytest.raises(ConfigError):
        check_arguments("c", VLLMServer(arguments=tuple(arguments)))


@pytest.mark.parametrize(
    ("arguments", "at_once"),
    [
        ([], AT_ONCE),
        (["--max-num-seqs", "8"], 8),
        (["--seed", "1", "--max_num_seqs=12"], 12),
        (["--max-num-seqs"], AT_ONCE),
    ],
)
def test_a_replay_begins_with_as_many_as_the_server_works_on_at_once(
    tmp_path: Path, arguments: list[str], at_once: int
) -> None:
    """The server's batch is known before the first answer; never more than the candidate allows."""
    workspace = world(tmp_path, arguments=arguments)
    engine, spec = engine_of(workspace), workspace.candidate("c")
    assert limiter_of(engine, spec, 512).limit == at_once
    assert limiter_of(engine, spec, 4).limit == 4


def test_other_arguments_go_to_the_server_as_they_are() -> None:
    """What vLLM offers beyond our keys stays in reach."""
    fine = ("--max-num-seqs", "8", "--load-format", "safetensors", "--kv-cache-dtype", "fp8", "--seed", "-1")
    check_arguments("c", VLLMServer(arguments=fine))
    with pytest.raises(ConfigError, match="VLLM_API_KEY"):
        check_arguments("c", VLLMServer(environment={"VLLM_API_KEY": "mine"}))


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({"model": "owner/name"}, "revision"),
        ({"model": "owner/name", "revision": "main"}, "revision"),
        ({"model": "coded"}, "auto_map"),
        ({"model": "pickled"}, "can run code"),
        ({"adapter": "owner/name"}, "pinned"),
        ({"adapter": "gone"}, "not there"),
        ({"adapter": "wide"}, "rank 1024"),
        ({"chat_template": "gone.jinja"}, "chat_template"),
    ],
)
async def test_what_may_not_be_loaded_is_refused_before_a_server_starts(
    tmp_path: Path, keys: dict[str, str], complaint: str
) -> None:
    """Unpinned models, code that comes with one, pickles, adapters that can't be served."""
    make_model(tmp_path)
    make_model(tmp_path, "coded", auto_map={"AutoModel": "x.Y"})
    pickled = make_model(tmp_path, "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    make_adapter(tmp_path, "wide", 1024)
    workspace = make_workspace(tmp_path, table(python=fake_python(tmp_path / "fake"), **keys))
    with pytest.raises(ConfigError, match=complaint):
        await ask(workspace)
    assert starts(tmp_path / "fake") == []


async def test_a_missing_vllm_is_said_with_both_places_to_name_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No interpreter named, one that is not there, one without vLLM."""
    make_model(tmp_path)
    with pytest.raises(ModelMissing, match=r"server\.python.*WORKBENCH_VLLM_PYTHON"):
        await ask(make_workspace(tmp_path, table()))
    with pytest.raises(ModelMissing, match="no program") as caught:
        await ask(make_workspace(tmp_path, table(python=Path("/nowhere/python"))))
    assert "WORKBENCH_VLLM_PYTHON" in caught.value.hint
    without = fake_python(tmp_path / "without", "without_vllm")
    with pytest.raises(ModelMissing, match="no package vllm"):
        await ask(make_workspace(tmp_path, table(python=without)))
    monkeypatch.setenv("WORKBENCH_VLLM_PYTHON", str(fake_python(tmp_path / "fake")))
    assert await ask(make_workspace(tmp_path, table())) == ["spam"]


def test_devices_are_those_the_server_will_take() -> None:
    """Each is locked on its own, so that sets that overlap wait for each other."""
    assert devices(VLLMServer(), {}) == ("0",)
    assert devices(VLLMServer(tensor_parallel=2), {"CUDA_VISIBLE_DEVICES": "5,3,1"}) == ("3", "5")
    wide = VLLMServer(
        arguments=("--pipeline-parallel-size", "2"), environment={"CUDA_VISIBLE_DEVICES": "1,0"}
    )
    assert devices(wide, {"CUDA_VISIBLE_DEVICES": "7"}) == ("0", "1")


def test_variables_that_look_like_secrets_are_not_handed_on() -> None:
    """Nor those that hold another candidate's key, whatever they are called."""
    given = {"PATH": "/bin", "CUDA_HOME": "/c", "VLLM_API_KEY": "x", "NCCL_PLAIN": "y", "AWS_PROFILE": "z"}
    assert kept_variables(given, ["NCCL_PLAIN"]) == {"PATH": "/bin", "CUDA_HOME": "/c"}


def test_the_last_ten_logs_are_kept(tmp_path: Path) -> None:
    """Old ones go, so that a disk doesn't fill."""
    for _ in range(14):
        open_log(tmp_path, "c").touch()
    assert len(list(tmp_path.glob("vllm-*.log"))) == 10
