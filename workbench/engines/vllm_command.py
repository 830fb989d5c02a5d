"""What starts a vLLM server: arguments and environment, from a candidate's keys. Pure functions."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from workbench.errors import ConfigError
from workbench.specs import VLLMServer

MODULE = "vllm.entrypoints.openai.api_server"
"""Started as a module: the command `vllm` looks for a package called vllm, which the CPU build is not."""
HOST = "127.0.0.1"
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes as `--max-lora-rank`."""

AT_ONCE = 256
"""Requests that vLLM works on at once where `--max-num-seqs` doesn't say; on large devices it takes more."""

OWN_KEYS = {
    "--model": "model",
    "--revision": "revision",
    "--dtype": "dtype",
    "--quantization": "server.quantization",
    "-q": "server.quantization",
    "--tensor-parallel-size": "server.tensor_parallel",
    "-tp": "server.tensor_parallel",
    "--max-model-len": "server.max_model_len",
    "--gpu-memory-utilization": "server.gpu_memory_share",
    "--device-memory-utilization": "server.gpu_memory_share",
    "--enable-lora": "server.adapter",
    "--lora-modules": "server.adapter",
    "--max-lora-rank": "server.adapter",
    "--tool-call-parser": "server.tool_parser",
    "--enable-auto-tool-choice": "server.tool_parser",
    "--reasoning-parser": "server.reasoning_parser",
    "--chat-template": "server.chat_template",
    "--enable-prefix-caching": "server.prefix_caching",
    "--enforce-eager": "server.enforce_eager",
}
"""Arguments that have a key of their own, so that the candidate's fingerprint knows them."""

REFUSED = {
    "--trust-remote-code": "code that comes with a model is never run",
    "--trust-request-chat-template": "a request decides nothing about the server",
    "--trust-request-mm-kwargs": "a request decides nothing about the server",
    "--tool-parser-plugin": "code that comes with a model is never run",
    "--reasoning-parser-plugin": "code that comes with a model is never run",
    "--io-processor-plugin": "it loads code",
    "--logits-processors": "it loads code",
    "--middleware": "it loads code",
    "--tool-server": "the server calls nobody",
    "--config": "a file could hold anything that is refused here",
    "--code-revision": "code that comes with a model is never run",
    "--tokenizer": "the tokenizer comes with the model; save both in one folder",
    "--tokenizer-revision": "the tokenizer comes with the model",
    "--hf-config-path": "the configuration comes with the model",
    "--hf-token": "a key among the arguments can be read by every process",
    "--speculative-config": "a draft model would be loaded unchecked",
    "-sc": "a draft model would be loaded unchecked",
    "--spec-model": "a draft model would be loaded unchecked",
    "--spec-method": "a draft model would be loaded unchecked",
    "--download-dir": "the workbench brings the model",
    "--kv-transfer-config": "it loads code, and sends parts of requests elsewhere",
    "--ec-transfer-config": "it loads code, and sends parts of requests elsewhere",
    "--kv-events-config": "it publishes the tokens of requests to the network",
    "--log-config-file": "it could load code, and write requests to anywhere",
    "--logging-config": "it could load code, and write requests to anywhere",
    "--enable-log-requests": "requests are private",
    "--enable-log-outputs": "answers are private",
    "--otlp-traces-endpoint": "nothing about the requests leaves the machine",
    "--allowed-local-media-path": "requests may not read files of this machine",
    "--allowed-media-domains": "the server fetches nothing",
    "--host": "the server listens on 127.0.0.1 alone",
    "--port": "the workbench picks a free one",
    "--uds": "the workbench asks over 127.0.0.1",
    "--api-key": "the workbench makes one for each server",
    "--ssl-keyfile": "the workbench asks over 127.0.0.1",
    "--ssl-certfile": "the workbench asks over 127.0.0.1",
    "--root-path": "the workbench asks at /v1",
    "--served-model-name": "the workbench names the model",
    "--headless": "the server must answer by itself",
    "--grpc": "the workbench speaks HTTP",
    "--data-parallel-address": "the server listens on 127.0.0.1 alone",
    "-dpa": "the server listens on 127.0.0.1 alone",
    "--data-parallel-backend": "the server runs on this machine alone",
    "-dpb": "the server runs on this machine alone",
    "--master-addr": "the server runs on this machine alone",
    "--nnodes": "the server runs on this machine alone",
    "-n": "the server runs on this machine alone",
    "--node-rank": "the server runs on this machine alone",
    "-r": "the server runs on this machine alone",
    "--distributed-executor-backend": "it could load code, and send requests to other machines",
    "--worker-cls": "it loads code",
    "--worker-extension-cls": "it loads code",
    "--scheduler-cls": "it loads code",
    "--model-class-overrides": "it loads code",
}
"""Arguments that would break a promise, and which."""

SAFE_LOAD_FORMATS = (
    "auto",
    "safetensors",
    "fastsafetensors",
    "instanttensor",
    "runai_streamer",
    "bitsandbytes",
    "dummy",
)

KEPT_VARIABLES = frozenset(
    (
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TMP", "TEMP"),
        *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LIBRARY_PATH", "CC", "CXX", "VIRTUAL_ENV"),
        *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "HF_HOME", "HF_HUB_CACHE"),
    )
)
KEPT_PREFIXES = (
    *("CUDA_", "NVIDIA_", "NCCL_", "VLLM_", "TORCH_", "TORCHINDUCTOR_", "PYTORCH_", "TRITON_"),
    *("FLASHINFER_", "OMP_", "MKL_", "KMP_", "ROCR_", "HIP_", "HSA_", "LC_"),
)
DOWNLOAD_VARIABLES = frozenset(
    (
        *("HF_TOKEN", "HF_TOKEN_PATH", "HF_ENDPOINT", "HF_HUB_OFFLINE", "SSL_CERT_FILE", "SSL_CERT_DIR"),
        *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"),
    )
)
"""What fetching a model may see besides; no data of a task passes there."""
_SECRET_WORDS = ("KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL")

FORCED = {
    "HF_HUB_OFFLINE": "1",  # The model lies in a folder: the server has nothing to fetch.
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_SERVER_DEV_MODE": "0",
    "VLLM_ALLOW_INSECURE_SERIALIZATION": "0",
    "VLLM_DEBUG_LOG_API_SERVER_RESPONSE": "0",
    "VLLM_LOGGING_COLOR": "0",
    "PYTHONUNBUFFERED": "1",
}
"""Variables of every server, whatever the environment says."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter that a server offers: under which name, from where, of which rank."""

    name: str
    folder: Path
    rank: int


@dataclass(frozen=True, slots=True)
class Launch:
    """All that decides a server. Candidates with equal launches share one.

    Attributes:
        python: The interpreter that has vLLM.
        folder: The model's folder.
        served_name: Under which name the model itself is asked.
        dtype: Number format, or None for the model's own.
        settings: The candidate's `[candidates.server]`, without its adapter.
        chat_template: A file or a template, or None for the model's own.
        adapters: The adapters that the server offers.
    """

    python: str
    folder: Path
    served_name: str
    dtype: str | None
    settings: VLLMServer
    chat_template: str | None = None
    adapters: tuple[Adapter, ...] = ()


def most_at_once(settings: VLLMServer) -> int:
    """Return how many requests a server works on at once: `--max-num-seqs`, else vLLM's own number."""
    words = (*settings.arguments, "")
    found = AT_ONCE
    for word, after in pairwise(words):
        name, _, value = word.partition("=")
        if name.replace("_", "-") == "--max-num-seqs":
            number = value or after
            found = int(number) if number.isdecimal() and int(number) > 0 else found
    return found


def command(launch: Launch, port: int) -> list[str]:
    """Return the command that starts a server on a port of this machine."""
    settings = launch.settings
    words = [launch.python, "-m", MODULE, "--model", str(launch.folder)]
    words += ["--served-model-name", launch.served_name, "--host", HOST, "--port", str(port)]
    words += ["--disable-uvicorn-access-log", "--disable-fastapi-docs"]
    if launch.dtype:
        words += ["--dtype", launch.dtype]
    if settings.quantization:
        words += ["--quantization", settings.quantization]
    if settings.tensor_parallel > 1:
        words += ["--tensor-parallel-size", str(settings.tensor_parallel)]
    if settings.max_model_len:
        words += ["--max-model-len", str(settings.max_model_len)]
    if settings.gpu_memory_share is not None:
        words += ["--gpu-memory-utilization", f"{settings.gpu_memory_share:g}"]
    words.append("--enable-prefix-caching" if settings.prefix_caching else "--no-enable-prefix-caching")
    if settings.enforce_eager:
        words.append("--enforce-eager")
    if settings.tool_parser:
        words += ["--enable-auto-tool-choice", "--tool-call-parser", settings.tool_parser]
    if settings.reasoning_parser:
        words += ["--reasoning-parser", settings.reasoning_parser]
    if launch.chat_template:
        words += ["--chat-template", launch.chat_template]
    if launch.adapters:
        rank = max(each.rank for each in launch.adapters)
        # Candidates run one after the other: one adapter at a time in the fast memory is enough.
        words += ["--enable-lora", "--max-loras", "1", "--max-cpu-loras", str(len(launch.adapters))]
        words += ["--max-lora-rank", str(next(each for each in LORA_RANKS if each >= rank))]
        modules = [{"name": each.name, "path": str(each.folder)} for each in launch.adapters]
        words += ["--lora-modules", *(json.dumps(each) for each in modules)]
    return [*words, *settings.arguments]


def environment(
    launch: Launch, inherited: Mapping[str, str], api_key: str, secret_names: Iterable[str] = ()
) -> dict[str, str]:
    """Return the variables a server starts with: few of ours, none of our secrets.

    Args:
        launch: What is started.
        inherited: The workbench's own environment.
        api_key: What requests must carry. In the environment, since arguments are public.
        secret_names: Variables that hold keys of candidates.
    """
    found = {"VLLM_HOST_IP": HOST} | kept_variables(inherited, secret_names)
    # vLLM compiles with tools of its own environment, such as ninja.
    found["PATH"] = os.pathsep.join([str(Path(launch.python).parent), found.get("PATH", os.defpath)])
    return found | launch.settings.environment | FORCED | {"VLLM_API_KEY": api_key}


def kept_variables(inherited: Mapping[str, str], secret_names: Iterable[str] = ()) -> dict[str, str]:
    """Return those variables that another interpreter needs; none that holds a secret."""
    secrets = frozenset(secret_names)
    return {
        name: value
        for name, value in inherited.items()
        if (name in KEPT_VARIABLES or name.startswith(KEPT_PREFIXES))
        and name not in secrets
        and not any(word in name.upper() for word in _SECRET_WORDS)
    }


def download_variables(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that fetching a model may see."""
    wanted = {name: value for name, value in inherited.items() if name in DOWNLOAD_VARIABLES}
    return kept_variables(inherited) | wanted | {"HF_HUB_DISABLE_TELEMETRY": "1"}


def check_arguments(candidate: str, settings: VLLMServer) -> None:
    """Refuse arguments and variables that would break a promise, or that have a key of their own.

    vLLM takes underscores for dashes and abbreviated names: so does this.

    Args:
        candidate: Its name, for the message.
        settings: Its `[candidates.server]`.

    Raises:
        ConfigError: One is refused; the message says which and why.
    """
    where = f"Candidate {candidate!r}: server.arguments"
    for index, word in enumerate(settings.arguments):
        if not word.startswith("-") or _is_number(word):
            continue
        name, _, value = word.partition("=")
        head = name.replace("_", "-").partition(".")[0].replace("--no-", "--", 1)
        own = _matched(head, OWN_KEYS)
        if own:
            raise ConfigError(f"{where}: {name} has a key of its own.", f"Set `{OWN_KEYS[own]}` instead.")
        refused = _matched(head, REFUSED)
        if refused:
            raise ConfigError(
                f"{where}: {refused} is refused: {REFUSED[refused]}.", "Take it out of the arguments."
            )
        if head == "--load-format":
            following = settings.arguments[index + 1 : index + 2]
            wanted = value or (following[0] if following else "")
            if wanted not in SAFE_LOAD_FORMATS:
                raise ConfigError(
                    f"{where}: the load format {wanted!r} is refused: only safetensors are loaded.",
                    f"Known: {', '.join(SAFE_LOAD_FORMATS)}.",
                )
    for name in settings.environment:
        if name in FORCED or name == "VLLM_API_KEY":
            raise ConfigError(
                f"Candidate {candidate!r}: server.environment may not set {name}.",
                "The workbench sets it: the server is private and keeps to this machine.",
            )


def _matched(head: str, known: Mapping[str, str]) -> str | None:
    """Return the known argument that a word names or abbreviates."""
    if head in known:
        return head
    if not head.startswith("--") or len(head) < 4:
        return None
    return next((name for name in known if name.startswith(head)), None)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def devices(settings: VLLMServer, inherited: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the GPUs a server will take, sorted: what its lock is named after.

    A machine without GPUs counts as one device: two servers there would share its cores.

    Args:
        settings: `environment` may name the devices, `arguments` further ways to split.
        inherited: The workbench's own environment.
    """
    visible = "CUDA_VISIBLE_DEVICES"
    named = settings.environment.get(visible, inherited.get(visible, "")).split(",")
    names = [each.strip() for each in named if each.strip() and each.strip() != "-1"]
    count = max(settings.tensor_parallel, 1)
    words = [word.replace("_", "-") for word in settings.arguments]
    for index, word in enumerate(words):
        name, _, value = word.partition("=")
        if name in ("--pipeline-parallel-size", "-pp", "--data-parallel-size", "-dp"):
            text = value or (words[index + 1] if index + 1 < len(words) else "")
            count *= int(text) if text.isdigit() and int(text) > 0 else 1
    return tuple(sorted(names[:count] if names else [str(each) for each in range(count)]))
