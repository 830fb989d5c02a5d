"""What types can't say about `workbench.toml`: names, ranges, patterns, known words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from workbench.errors import ConfigError, did_you_mean
from workbench.inheritance import ENGINES_OF
from workbench.parameter_checks import check_parameters
from workbench.specs import (
    CONTROL,
    DIALECTS,
    ENGINES,
    NAME_PATTERN,
    ZONES,
    Candidate,
    ModelLife,
    PromptPatch,
    RayCluster,
    VLLMServer,
)

VARIABLE_PATTERN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(%25?[A-Za-z0-9._-]+)?")
SAMPLING_PARAMETERS = frozenset(
    (
        *("temperature", "top_p", "top_k", "min_p", "seed", "n", "stop", "presence_penalty"),
        *("frequency_penalty", "repetition_penalty", "logit_bias", "reasoning_effort", "verbosity"),
        *("structured_outputs", "score_labels"),
    )
)
NAME_HINT = (
    "Use letters from A to Z, digits, dot, dash, underscore: at most 100, the first a letter or digit."
)

NEEDED_KEYS = {
    "openai": ("base_url", "model"),
    "transformers": ("model",),
    "vllm": ("model",),
    "recorded": ("outputs",),
}

CANDIDATE_RANGES = {
    "batch_size": (1, 4_096),
    "concurrency": (1, 10_000),
    "timeout_s": (0.001, 86_400.0),
    "samples": (0, 20),
    "samples_temperature": (0.0, 2.0),
    "size_billions": (0.000_001, 1_000_000.0),
}
SERVER_RANGES = {
    "tensor_parallel": (1, 1_024),
    "max_model_len": (16, 100_000_000),
    "gpu_memory_share": (0.01, 1.0),
    "start_timeout_s": (1.0, 86_400.0),
}
RAY_RANGES = {
    "actors": (1, 100_000),
    "cpus_per_actor": (0.01, 1_024.0),
    "gpus_per_actor": (0.0, 1_024.0),
}
_SECRET_VARIABLE = re.compile(r"(TOKEN|KEY|SECRET|PASSWORD)$", re.IGNORECASE)


def check_candidates(candidates: Iterable[Candidate], path: Path) -> None:
    """Check what types can't: names, engines, zones, the keys an engine needs.

    Raises:
        ConfigError: One is wrong; the message names the candidate and the key.
    """
    seen: set[str] = set()
    for each in candidates:
        where = f"{path}: candidate {each.name!r}"
        if not NAME_PATTERN.fullmatch(each.name):
            raise ConfigError(f"{where}: not a name.", NAME_HINT)
        if each.name in seen:
            raise ConfigError(f"{where} is defined twice.", "Remove or rename one.")
        seen.add(each.name)
        if each.engine not in ENGINES:
            raise ConfigError(f"{where}: unknown engine {each.engine!r}.", did_you_mean(each.engine, ENGINES))
        if each.zone is not None and each.zone not in ZONES:
            raise ConfigError(f"{where}: unknown zone {each.zone!r}.", "Use internal or external.")
        if each.dialect not in DIALECTS:
            raise ConfigError(
                f"{where}: unknown dialect {each.dialect!r}.", did_you_mean(each.dialect, DIALECTS)
            )
        for key in NEEDED_KEYS.get(each.engine, ()):
            from_log = key == "model" and each.name == CONTROL and each.engine == "openai"
            if getattr(each, key) is None and not from_log:
                raise ConfigError(f"{where}: engine {each.engine} needs `{key}`.", "Add the key.")
        if each.base_url is not None:
            host_of(where, each.base_url)
        _check_secrets(each, where)
        if each.name == CONTROL:
            _check_control(each, where)
        check_ranges(each, CANDIDATE_RANGES, where, "")
        _check_engine_keys(each, where)
        if each.patch is not None:
            _check_patch(each.patch, where)
        if each.server is not None:
            _check_server(each.server, where)


def _check_control(each: Candidate, where: str) -> None:
    """Refuse what would ask the frontier otherwise than the log did: that is no second answer."""
    changed = [f"parameters.{key}" for key in each.parameters if key in SAMPLING_PARAMETERS]
    changed += [key for key in ("patch", "parent", "samples") if getattr(each, key)]
    if changed:
        raise ConfigError(
            f"{where}: the frontier is asked again exactly as the log says, so `{changed[0]}` can't be set.",
            "Take it out, or give the candidate another name.",
        )


def check_models(models: Iterable[ModelLife], path: Path) -> None:
    """Check `[[models]]`: one row a model, with a source and a date that can be one.

    Raises:
        ConfigError: A row is wrong; the message names the model and the key.
    """
    seen: set[str] = set()
    for each in models:
        where = f"{path}: models, {each.model!r}"
        if not each.model.strip():
            raise ConfigError(f"{path}: models: `model` is empty.", "Write the name that stands in your log.")
        if each.model in seen:
            raise ConfigError(f"{where} stands there twice.", "Keep the row with the right date.")
        seen.add(each.model)
        if not 2020 <= each.retires_on.year <= 2100:
            raise ConfigError(f"{where}: retires_on = {each.retires_on} can't be.", "Write it as 2027-01-31.")
        if not each.source.strip():
            raise ConfigError(f"{where}: `source` is empty.", "Name the page or mail that says so.")


def check_ray(cluster: RayCluster, path: Path) -> None:
    """Check `[ray]`.

    Raises:
        ConfigError: A value is out of range; the message names the key.
    """
    where = f"{path}: ray"
    if cluster.zone is not None and cluster.zone not in ZONES:
        raise ConfigError(f"{where}.zone: {cluster.zone!r} is not known.", did_you_mean(cluster.zone, ZONES))
    check_ranges(cluster, RAY_RANGES, str(path), "ray.")


def check_ranges(record: Any, ranges: Mapping[str, tuple[float, float]], where: str, table: str) -> None:
    """Check that each number that is given lies in its range.

    Args:
        record: What was read.
        ranges: Smallest and largest value by key.
        where: The file, and whose key it is, for the message.
        table: What stands before the key in the file.

    Raises:
        ConfigError: A number is outside; the message names the key.
    """
    for key, (low, high) in ranges.items():
        value = getattr(record, key)
        # NaN is in no range.
        if value is not None and not low <= value <= high:
            raise ConfigError(
                f"{where}: {table}{key} = {value:g} is outside {low:g} to {high:,g}.", "Mend the value."
            )


def _check_engine_keys(each: Candidate, where: str) -> None:
    """Refuse keys that this engine would pass over in silence."""
    used = {
        "server": each.server is not None,
        "stream": each.stream,
        "dialect": each.dialect != "auto",
        "samples": each.samples > 0,
    }
    for key, is_set in used.items():
        if is_set and each.engine not in ENGINES_OF[key]:
            engines = " or ".join(ENGINES_OF[key])
            raise ConfigError(
                f"{where}: `{key}` means nothing to engine {each.engine}.",
                f"Take it out, or use the engine {engines}.",
            )
    if each.samples and not each.samples_temperature:
        raise ConfigError(
            f"{where}: samples_temperature = 0 makes all {each.samples} samples the same answer.",
            "Use a temperature such as 0.7.",
        )


def _check_patch(patch: PromptPatch, where: str) -> None:
    for pattern in patch.system_trim:
        _trim_pattern(pattern, f"{where}: patch.system_trim {pattern!r}")
    if not all(each.strip() for each in (*patch.system_trim, *patch.examples)):
        raise ConfigError(f"{where}: patch holds an empty pattern or example.", "Take it out.")
    twice = [each for each in patch.examples if patch.examples.count(each) > 1]
    if twice:
        raise ConfigError(f"{where}: patch.examples names call {twice[0]!r} twice.", "Keep one.")
    if patch.response_format is not None and not isinstance(patch.response_format.get("type"), str):
        raise ConfigError(
            f"{where}: patch.response_format has no type.", 'For example { type = "json_object" }.'
        )


def _check_server(server: VLLMServer, where: str) -> None:
    check_ranges(server, SERVER_RANGES, where, "server.")
    for name in server.environment:
        if not VARIABLE_PATTERN.fullmatch(name):
            raise ConfigError(f"{where}: server.environment: {name!r} is no variable's name.", "Mend it.")
        if _SECRET_VARIABLE.search(name):
            raise ConfigError(
                f"{where}: server.environment may hold no {name!r}: files are no safe place.",
                "Set the variable where you start the workbench; the server inherits it.",
            )


def _check_secrets(each: Candidate, where: str) -> None:
    """Refuse a key in the file. It is never shown: the message may end up in a log."""
    if each.api_key_env is not None and not VARIABLE_PATTERN.fullmatch(each.api_key_env):
        raise ConfigError(
            f"{where}: `api_key_env` is not the name of an environment variable.",
            'Put the key itself into a variable, and name that one: api_key_env = "MY_KEY".',
        )
    check_parameters(each.parameters, where)


def host_of(where: str, url: str) -> str:
    """Return the host of a candidate's address.

    Hosts are plain ASCII: programs differ in how they read others, and what one takes for a
    name another connects to as an address (169\u3002254\u3002169\u3002254).

    Args:
        where: Whose address it is, for the message.
        url: Its `base_url`.

    Raises:
        ConfigError: The address is not a plain http or https URL. Secrets in it are not shown.
    """
    if "@" in url or "?" in url or "#" in url:
        raise ConfigError(
            f"{where}: base_url may hold no user, password, query or fragment.",
            "Name the variable that holds the key with `api_key_env`.",
        )
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    printable = url.isprintable() and "\\" not in url and " " not in url
    # Nothing beside host and port: programs differ in what they make of `[::1]name`.
    whole = re.fullmatch(r"(\[[^\[\]]*\]|[^\[\]:]*)(:\d*)?", parts.netloc) is not None
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host) or not (printable and whole):
        raise ConfigError(
            f"{where}: base_url {url!r} is not an http or https address.",
            'For example base_url = "http://127.0.0.1:8000/v1". Write a name in other letters as xn--...',
        )
    return host


def _trim_pattern(pattern: str, where: str) -> None:
    """Refuse what is no pattern, for `re` as for `regex`, which trims prompts in bounded time."""
    import regex

    pattern_of(pattern, where)
    try:
        regex.compile(pattern, regex.VERSION0)
    except regex.error as error:
        raise ConfigError(f"{where}: not a regular expression: {error}.", "Mend the pattern.") from error


def pattern_of(pattern: str | None, where: str) -> re.Pattern[str]:
    """Return a pattern, compiled; None as the empty one.

    Raises:
        ConfigError: It is no regular expression.
    """
    try:
        return re.compile(pattern or "")
    except re.error as error:
        raise ConfigError(f"{where}: not a regular expression: {error}.", "Mend the pattern.") from error
