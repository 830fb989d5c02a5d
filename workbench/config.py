"""The workspace: `workbench.toml`, `evals/*/eval.toml`, and where things lie.

Prices, models and thresholds are data with a date and a source; nothing here
has a built-in price. Unknown keys are errors that name the closest known key.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import re
import tomllib
import types
import typing
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from workbench import access
from workbench.access_checks import check_access
from workbench.checks import check_candidates, check_models, check_ray
from workbench.contents import local_contents
from workbench.costing.checks import check_costs, check_prices
from workbench.costing.plan import CostPlan, Gpu
from workbench.costing.pricing import ModelPrice, entry_for
from workbench.errors import ConfigError, UsageError, did_you_mean
from workbench.eval_checks import check_eval
from workbench.inheritance import with_parents
from workbench.records import EvalKind
from workbench.roles import AccessRules, Role, SignIn
from workbench.specs import CONTROL, Candidate, EvalConfig, ModelLife, Price, PromptPatch, RayCluster

T = TypeVar("T")

CONFIG_NAME = "workbench.toml"

_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "date": "a date",
    "datetime": "a time",
}


@dataclass(frozen=True, slots=True)
class WorkspaceConfig:
    """What `workbench.toml` says."""

    store: str = "workbench.duckdb"
    evals: str = "evals"
    candidates: tuple[Candidate, ...] = ()
    prices: tuple[Price, ...] = ()
    models: tuple[ModelLife, ...] = ()
    ray: RayCluster = RayCluster()
    gpus: tuple[Gpu, ...] = ()
    costs: CostPlan = CostPlan()
    sign_in: SignIn | None = None
    access: AccessRules = AccessRules()


def read_config(data: dict[str, Any], path: Path) -> WorkspaceConfig:
    """Turn a parsed `workbench.toml` into what it means, parents filled in.

    Args:
        data: The parsed file.
        path: Where it lies, for the message.

    Raises:
        ConfigError: A key is unknown or wrong; the message names it.
    """
    tables = data.get("candidates")
    if isinstance(tables, list):
        data = data | {"candidates": with_parents(tables, str(path))}
    config = convert(data, WorkspaceConfig, str(path))
    check_candidates(config.candidates, path)
    check_models(config.models, path)
    check_ray(config.ray, path)
    check_prices(config.prices, path)
    check_costs(config.costs, config.gpus, config.prices, path)
    check_access(config.sign_in, config.access, path)
    return config


def _task_in(path: Path) -> str | None:
    """Return the task that a wrong eval names; None where that can't be told for certain."""
    with contextlib.suppress(ConfigError):
        if isinstance(named := read_toml(path).get("task"), str):
            return named
    return None


def _read_eval(path: Path) -> EvalConfig:
    data = read_toml(path)
    for key in ("root", "guidelines"):
        if key in data:
            raise ConfigError(f"{path}: {key!r} can't be set here.", "Write guidelines.md beside it.")
    text = path.with_name("guidelines.md")
    data |= {
        "root": str(path.parent),
        "guidelines": read_words(text, "utf-8") if text.is_file() else "",
    }
    each = convert(data, EvalConfig, str(path))
    check_eval(each, path)
    return each


@dataclass(frozen=True)
class Workspace:
    """A folder with `workbench.toml`, `evals/`, the store and its spool.

    `tolerant`: an eval that is wrong is left out, and `wrong_evals` says why; others are there.
    """

    root: Path
    config: WorkspaceConfig
    tolerant: bool = False

    @classmethod
    def load(cls, root: Path | str) -> Workspace:
        """Read a workspace.

        Args:
            root: The folder that holds `workbench.toml`.

        Raises:
            ConfigError: There is none, or it is wrong: the message names the key.
        """
        folder = Path(root).resolve()
        path = folder / CONFIG_NAME
        if not path.is_file():
            raise ConfigError(
                f"{folder} is not a workspace: it has no {CONFIG_NAME}.",
                f"Run `workbench init {folder}`, or name another folder with --workspace.",
            )
        config = read_config(read_toml(path), path)
        if config.sign_in is not None:
            access.guard()
        return cls(folder, config)

    @property
    def store_path(self) -> Path:
        """Return where the DuckDB file lies."""
        return self.root / self.config.store

    @property
    def spool(self) -> Path:
        """Return the folder of Parquet parts that wait to be absorbed."""
        return self.store_path.with_name(self.store_path.name + ".spool")

    @property
    def evals(self) -> dict[str, EvalConfig]:
        """Return every eval by its task; of a tolerant workspace those that can be read.

        Raises:
            ConfigError: An `eval.toml` is wrong, or two name one task.
        """
        return self._evals[0] if self.tolerant else self.every_eval

    @property
    def every_eval(self) -> dict[str, EvalConfig]:
        """Return every eval by its task, also of a tolerant workspace: for what would be wrong without one.

        Raises:
            ConfigError: As for `evals`.
        """
        found, wrong, _ = self._evals
        for error in wrong.values():
            raise error
        return found

    @property
    def wrong_evals(self) -> Mapping[str, ConfigError]:
        """Return what is wrong with the evals that are left out where that is tolerated, by task."""
        return self._evals[1]

    def check_tasks_are_told(self) -> None:
        """Refuse evals of which nobody can tell which task they are for: any may be a task's second one.

        Of two for a task, one may keep its data inside.

        Raises:
            ConfigError: There is one, such as a file that is no TOML.
        """
        for error in self._evals[2]:
            raise error

    @cached_property
    def _evals(self) -> tuple[dict[str, EvalConfig], dict[str, ConfigError], list[ConfigError]]:
        found: dict[str, EvalConfig] = {}
        wrong: dict[str, ConfigError] = {}
        nameless: list[ConfigError] = []
        folder = self.root / self.config.evals
        for path in sorted(each / "eval.toml" for each in (folder.iterdir() if folder.is_dir() else ())):
            if not (path.exists() or path.is_symlink()):
                continue
            try:
                each = _read_eval(path)
                if each.task in found:
                    raise ConfigError(
                        f"{path}: task {each.task!r} is already defined in {found[each.task].root}.",
                        "Give one of the two another name.",
                    )
            except ConfigError as error:
                task = _task_in(path)
                wrong.setdefault(path.parent.name if task is None else task, error)
                if task is None:
                    nameless.append(error)
            else:
                found[each.task] = each
        # Of two for one task nobody knows which is meant.
        return {task: each for task, each in found.items() if task not in wrong}, wrong, nameless

    def eval_for(self, task: str) -> EvalConfig:
        """Return the eval of a task.

        Raises:
            UsageError: There is none; the hint says where to write it.
            ConfigError: It is wrong.
        """
        if task not in self.evals:
            if task in self.wrong_evals:
                raise self.wrong_evals[task]
            where = self.root / self.config.evals / task / "eval.toml"
            write = f"Write {where} with task, kind and labels or fields."
            raise UsageError(
                f"There is no eval for task {task!r}.",
                f"{did_you_mean(task, self.evals)} {write}".strip(),
            )
        return self.evals[task]

    def candidate(self, name: str) -> Candidate:
        """Return a candidate by name.

        Raises:
            UsageError: There is none of that name.
        """
        known = {each.name: each for each in self.config.candidates}
        if name not in known:
            raise UsageError(
                f"There is no candidate {name!r} in {self.root / CONFIG_NAME}.",
                f"{did_you_mean(name, known)} Add one with `workbench candidate add`.".strip(),
            )
        return known[name]

    def price_of(self, name: str | None) -> Price | None:
        """Return the newest price of a model, or None where the table has none.

        A dated name such as gpt-4o-2024-11-20 without an entry of its own has that of gpt-4o.
        """
        entry = entry_for(name or "", {each.model for each in self.config.prices})
        rows = [each for each in self.config.prices if each.model == entry]
        return max(rows, key=lambda each: each.as_of) if rows else None

    def model_prices(self) -> list[ModelPrice]:
        """Return the newest price of each model."""
        found = {each.model: self.price_of(each.model) for each in self.config.prices}
        return [
            (each.model, *each.per_million, each.batch_discount or 0.0)
            for each in found.values()
            if each is not None
        ]

    def gpu_of(self, name: str | None) -> Gpu | None:
        """Return the newest price of a GPU, or None where the table has none."""
        rows = [each for each in self.config.gpus if each.name == name]
        return max(rows, key=lambda each: each.as_of) if rows else None

    def path(self, relative: str) -> Path:
        """Return a path of the configuration, taken from the workspace's folder."""
        return (self.root / relative).resolve()

    def fingerprint(self, candidate: Candidate) -> str:
        """Return the hash of all that decides what a candidate answers.

        Price, zone, speed and description are left out. The address counts only
        where no revision pins the model, since another server may serve another
        model under one name. For `recorded`, the file's content counts; so does that of
        a model, an adapter or a chat template that lies on this machine.

        Raises:
            UsageError: The outputs file of a recorded candidate is missing.
        """
        parts: dict[str, Any] = {
            "engine": candidate.engine,
            "model": candidate.model,
            "revision": candidate.revision,
            "parameters": candidate.parameters,
            "dtype": candidate.dtype,
        }
        if candidate.engine == "recorded":
            parts |= {"outputs": file_hash(self.outputs_path(candidate)), "map": candidate.map}
        elif candidate.revision is None:
            parts["base_url"] = candidate.base_url
        parts |= _answer_keys(candidate)
        contents = local_contents(self.root, candidate)
        if contents:
            parts["contents"] = contents
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def serving(self, candidate: Candidate) -> str:
        """Return the hash of what decides how fast a candidate answers, beside its fingerprint."""
        keys = dataclasses.asdict(candidate.server) if candidate.server is not None else {}
        parts: dict[str, Any] = {key: keys[key] for key in SERVING_KEYS if key in keys}
        parts.pop("start_timeout_s", None)
        parts |= {"base_url": candidate.base_url, "batch_size": candidate.batch_size}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def outputs_path(self, candidate: Candidate) -> Path:
        """Return the file of a recorded candidate.

        Raises:
            UsageError: It is not named, or not there.
        """
        path = self.path(candidate.outputs or "")
        if not candidate.outputs or not path.is_file():
            raise UsageError(
                f"Candidate {candidate.name!r}: the file {path} is not there.",
                f"Set `outputs` of this candidate in {self.root / CONFIG_NAME}.",
            )
        return path


SERVING_KEYS = ("python", "tensor_parallel", "gpu_memory_share", "prefix_caching", "start_timeout_s")
"""How fast and where a server runs; the rest of `[candidates.server]` decides what it answers."""


def _answer_keys(candidate: Candidate) -> dict[str, Any]:
    """Return the newer keys that decide an answer, only where they are set: old fingerprints stay.

    A declared dialect counts, since a label in JSON and a bare one may be chosen differently; what
    `auto` finds depends on the address, which counts where no revision pins the model.
    """
    found: dict[str, Any] = {}
    if candidate.name == CONTROL:
        # Its answers never mix with those of a candidate, be it the same model at the same address.
        found["role"] = CONTROL
    if candidate.dialect != "auto":
        found["dialect"] = candidate.dialect
    if candidate.edition:
        found["edition"] = candidate.edition
    if candidate.samples:
        found["samples"] = [candidate.samples, candidate.samples_temperature]
    if candidate.patch is not None and candidate.patch != PromptPatch():
        found["patch"] = dataclasses.asdict(candidate.patch)
    if candidate.server is not None:
        server = dataclasses.asdict(candidate.server)
        found["server"] = {key: value for key, value in server.items() if key not in SERVING_KEYS}
    return found


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's content, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        ConfigError: It can't be read; the message carries file and line.
    """
    try:
        return tomllib.loads(read_words(path))
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deep to be read.", "Mend the file.") from error
    except ValueError as error:  # Not TOML, or a number of thousands of digits.
        raise ConfigError(f"{path}: {error}", "Mend the file and try again.") from error


def read_words(path: Path, encoding: str = "utf-8-sig") -> str:
    """Read a text file that a person wrote; some editors begin it with a byte order mark.

    Args:
        path: The file.
        encoding: UTF-8, with a mark at its beginning left out or kept.

    Raises:
        ConfigError: It can't be read, or is written in another encoding.
    """
    try:
        return path.read_text(encoding=encoding)
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: byte {error.start + 1:,} is not UTF-8.", "Save the file as UTF-8 and try again."
        ) from error
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror or error}.", "Make it a file that can be read and try again."
        ) from error


def convert(data: Any, kind: type[T], where: str) -> T:
    """Turn parsed TOML into a record, refusing unknown keys.

    Args:
        data: What the TOML file holds.
        kind: The dataclass to build.
        where: The file, for the message.

    Raises:
        ConfigError: A key is unknown or a value has the wrong type.
    """
    _refuse_unknown(data, kind, where, "")
    try:
        return msgspec.convert(data, type=kind, strict=True)
    except msgspec.ValidationError as error:
        raise ConfigError(*_plain(str(error), where)) from error


def _plain(error: str, where: str) -> tuple[str, str]:
    """Return what msgspec says of a wrong value as people would say it, and what to do."""
    what, _, path = error.replace("$.", "").partition(" - at ")
    key = path.strip("`")
    if missing := re.fullmatch("Object missing required field `(.+)`", what):
        name = missing[1]
        inside = f"{key!r}" if key and key != "$" else "the file"
        return f"{where}: {inside} has no {name!r}.", "Add the key."
    if wrong := re.fullmatch("Expected `(.+)`, got `(.+)`", what):
        expected = [_KINDS.get(each, each) for each in wrong[1].split(" | ") if each != "null"]
        got = _KINDS.get(wrong[2], wrong[2])
        return f"{where}: {key!r} is {got}, and should be {' or '.join(expected)}.", "Mend the value."
    if unknown := re.fullmatch("Invalid enum value '(.*)'", what):
        kinds: typing.Iterable[str] = EvalKind if key == "kind" else Role if "role" in key else ()
        known = did_you_mean(unknown[1], [str(each) for each in kinds]) or "Mend the value."
        return f"{where}: {key!r} can't be {unknown[1]!r}.", known
    if "date" in what:
        return f"{where}: {key!r} is no date.", "Write year, month and day, such as 2027-06-30."
    return f"{where}: {key!r}: {what}.", "Mend the value."


@cache
def _hints(kind: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _refuse_unknown(data: Any, kind: Any, where: str, path: str) -> None:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple and isinstance(data, list):
        for index, item in enumerate(data):
            _refuse_unknown(item, arguments[0], where, f"{path}[{index}]")
    elif origin in (typing.Union, types.UnionType):
        for option in arguments:
            if dataclasses.is_dataclass(option):
                _refuse_unknown(data, option, where, path)
    elif dataclasses.is_dataclass(kind) and isinstance(data, dict):
        hints = _hints(typing.cast(Hashable, kind))
        for key, value in data.items():
            here = f"{path}.{key}" if path else key
            if key not in hints:
                raise ConfigError(f"{where}: unknown key {here!r}.", did_you_mean(key, hints))
            _refuse_unknown(value, hints[key], where, here)
