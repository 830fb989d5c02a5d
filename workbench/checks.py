"""What types can't say about `workbench.toml` and `eval.toml`: names, ranges, patterns, known words."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from workbench import slices
from workbench.compare.labels import JOINED
from workbench.errors import ConfigError, did_you_mean
from workbench.field_checks import check_fields
from workbench.inheritance import ENGINES_OF
from workbench.parameter_checks import check_parameters
from workbench.records import EvalKind, Policy
from workbench.specs import (
    CONTROL,
    DIALECTS,
    ENGINES,
    NAME_PATTERN,
    ZONES,
    Candidate,
    EvalConfig,
    ModelLife,
    PromptPatch,
    RayCluster,
    ReviewRules,
    VLLMServer,
)

_PLAIN_EVAL = EvalConfig("", EvalKind.LABEL)
VARIABLE_PATTERN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(%25?[A-Za-z0-9._-]+)?")
SAMPLING_PARAMETERS = frozenset(
    (
        *("temperature", "top_p", "top_k", "min_p", "seed", "n", "stop", "presence_penalty"),
        *("frequency_penalty", "repetition_penalty", "logit_bias", "reasoning_effort", "verbosity"),
        *("structured_outputs", "score_labels"),
    )
)
NAME_HINT = "Use letters, digits, dot, dash, underscore."

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
EVAL_RANGES = {"calls_per_day": (0.001, 1e12)}
_SECRET_VARIABLE = re.compile(r"(TOKEN|KEY|SECRET|PASSWORD)$", re.IGNORECASE)

RANGES = {
    "tolerance": (0.001, 0.5),
    "level": (0.5, 0.9999),
    "icc": (0.0, 1.0),
    "exploration_budget": (0.0, 0.5),
    "critical_tolerance": (0.0001, 0.5),
    "session_tolerance": (0.001, 0.5),
    "maximum_uncomparable": (0.0, 1.0),
    "maximum_invalid": (0.0, 1.0),
    "minimum_pairs": (20, 1_000_000),
    "minimum_live_calls": (1, 1_000_000),
    "minimum_days_in_stage": (0.0, 365.0),
    "minimum_days_of_traffic": (0.0, 365.0),
    "latency_p95_ms": (0.1, 3_600_000.0),
    "planned_labels": (20, 1_000_000),
}
"""Smallest and largest value of each number of a policy."""


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
        _check_ranges(each, CANDIDATE_RANGES, where, "")
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
    _check_ranges(cluster, RAY_RANGES, str(path), "ray.")


def _check_ranges(record: Any, ranges: Mapping[str, tuple[float, float]], where: str, table: str) -> None:
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
    _check_ranges(server, SERVER_RANGES, where, "server.")
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


def check_eval(each: EvalConfig, path: Path) -> None:
    """Check what types can't: names, ranges, patterns, and that the kind has what it needs.

    Args:
        each: The eval as it was read.
        path: Its file, for the message.

    Raises:
        ConfigError: Something is wrong; the message names the file and the key.
    """
    if not NAME_PATTERN.fullmatch(each.task):
        raise ConfigError(f"{path}: task {each.task!r} is not a name.", NAME_HINT)
    if each.kind is EvalKind.LABEL and len(set(each.labels)) < 2:
        raise ConfigError(f"{path}: kind label needs at least two `labels`.", "List every answer.")
    if each.kind is EvalKind.FIELDS and not each.fields and not each.schema:
        raise ConfigError(f"{path}: kind fields needs `fields` or `schema`.", "List the fields.")
    if each.allowed_zone not in ZONES:
        raise ConfigError(f"{path}: unknown allowed_zone {each.allowed_zone!r}.", "Use internal or external.")
    _check_ranges(each, EVAL_RANGES, str(path), "")
    check_policy(each.policy, path)
    _check_review(each.review, path)
    for label in (*each.aliases.values(), *each.critical_labels):
        if each.kind is EvalKind.LABEL and label not in each.labels:
            raise ConfigError(f"{path}: {label!r} is not one of `labels`.", did_you_mean(label, each.labels))
    _check_several(each, path)
    _check_ranking(each, path)
    if each.judge is not None:
        _check_judge(each.judge.candidate, path)
    check_fields(each.fields, path)
    if each.fields and each.kind is not EvalKind.FIELDS:
        raise ConfigError(
            f"{path}: `fields` mean nothing to kind {each.kind.value}.",
            'Use kind = "fields", or take them out.',
        )
    if each.repair and each.kind is not EvalKind.FIELDS:
        raise ConfigError(f"{path}: `repair` means nothing to kind {each.kind.value}.", "Take it out.")
    for cut in each.slices:
        if not slices.known_rule(cut.by):
            raise ConfigError(
                f"{path}: unknown slice by = {cut.by!r}.", did_you_mean(cut.by, slices.KNOWN_KEYS)
            )
        if not all(map(math.isfinite, cut.edges)):
            raise ConfigError(f"{path}: slices, {cut.by!r}: an edge is no finite number.", "Mend `edges`.")
    if not -1 <= each.match_at <= 1:
        raise ConfigError(f"{path}: match_at = {each.match_at} is no similarity.", "Use 0 to 1.")
    for wrapper in each.normalise.wrappers:
        if wrapper != "json" and _pattern(wrapper, f"{path}: normalise.wrappers").groups != 1:
            raise ConfigError(
                f"{path}: the wrapper {wrapper!r} needs exactly one group.", "For example answer: (.*)"
            )
    for ignored in each.ignore:
        _pattern(ignored.pattern, f"{path}: ignore {ignored.name!r}")
    for taken in each.rules:
        name = "match" if taken is each.match else "match_any"
        for key in ("system_prompt", "input", "first_input", "tools", "model"):
            _pattern(getattr(taken, key), f"{path}: {name}.{key}")


def _check_several(each: EvalConfig, path: Path) -> None:
    """Refuse labels that could not be told from several of them."""
    if each.separators != _PLAIN_EVAL.separators and not each.several:
        raise ConfigError(f"{path}: `separators` need `several = true`.", "Add it, or take them out.")
    if not each.several:
        return
    if each.kind is not EvalKind.LABEL:
        raise ConfigError(f"{path}: `several` means nothing to kind {each.kind.value}.", "Take it out.")
    if not all(each.separators):
        raise ConfigError(f"{path}: separators: an empty text separates nothing.", "Take it out.")
    for name in (*each.labels, *each.aliases):
        inside = next((mark for mark in (*each.separators, JOINED) if mark in name), None)
        if inside is not None:
            raise ConfigError(
                f"{path}: {name!r} holds {inside!r}, which stands between labels.",
                "Write other `separators`, or another name.",
            )


def _check_judge(name: str, path: Path) -> None:
    """Refuse what can name no judge."""
    if name == CONTROL:
        raise ConfigError(
            f"{path}: judge.candidate = {CONTROL!r} is the frontier: it can't judge its own answers.",
            "Name a candidate that is another model than the two compared.",
        )
    if not NAME_PATTERN.fullmatch(name):
        raise ConfigError(f"{path}: judge.candidate = {name!r} is not a name.", NAME_HINT)


OPTION_KEYS = ("options", "options_pattern", "options_path")
"""Where the options of a ranking stand: exactly one of these is given."""


def _check_ranking(each: EvalConfig, path: Path) -> None:
    """Refuse a ranking whose options could not be known, and its keys elsewhere."""
    given = [key for key in OPTION_KEYS if getattr(each, key)]
    if each.kind is not EvalKind.RANKING:
        for key in (*given, *(("top",) if each.top is not None else ())):
            raise ConfigError(
                f"{path}: `{key}` means nothing to kind {each.kind.value}.", 'Use kind = "ranking".'
            )
        return
    if len(given) != 1:
        what = " and ".join(f"`{key}`" for key in given) or "no options"
        raise ConfigError(
            f"{path}: kind ranking has {what}.",
            "Give one of options (always the same), options_pattern or options_path (read from the request).",
        )
    if each.options and (len(set(each.options)) < 2 or len(set(each.options)) < len(each.options)):
        raise ConfigError(f"{path}: `options` needs two or more, each once.", "List every option once.")
    if _pattern(each.options_pattern, f"{path}: options_pattern").groups > 1:
        raise ConfigError(
            f"{path}: options_pattern has more than one group.",
            "Keep the one around the option, and write the others as (?:...).",
        )
    for alias, option in each.aliases.items():
        if each.options and option not in each.options:
            raise ConfigError(
                f"{path}: alias {alias!r}: {option!r} is not one of `options`.",
                did_you_mean(option, each.options),
            )
    if each.top is not None and each.top < 1:
        raise ConfigError(f"{path}: top = {each.top} counts no place.", "Use 1 or more.")


def _check_review(rules: ReviewRules, path: Path) -> None:
    for name, most in (("double_share", 1.0), ("attention_share", 0.5)):
        if not 0 <= getattr(rules, name) <= most:
            raise ConfigError(
                f"{path}: review.{name} is {getattr(rules, name):g}, and should be 0 to {most:g}.",
                "Mend the value.",
            )
    for reviewer, languages in rules.languages.items():
        for each in languages:
            if not re.fullmatch("[a-z]{2,3}", each):
                raise ConfigError(
                    f"{path}: review.languages.{reviewer}: {each!r} is no language.",
                    "Write codes such as en, de or ja.",
                )


def check_policy(policy: Policy, path: Path) -> None:
    """Check that a policy is one that `eval.toml` may hold.

    Raises:
        ConfigError: A value is out of its range; the message names the file and the key.
    """
    if policy.harm not in ("regressions", "net"):
        raise ConfigError(f"{path}: unknown policy.harm {policy.harm!r}.", "Use regressions or net.")
    for key, (low, high) in RANGES.items():
        value = getattr(policy, key)
        if value is not None and not low <= value <= high:
            raise ConfigError(f"{path}: policy.{key} = {value} is outside {low:g} to {high:g}.", "Mend it.")
    ladder = list(policy.ladder)
    rises = all(low < high for low, high in pairwise(ladder))
    if len(ladder) < 2 or not rises or (ladder[0], ladder[-1]) != (0, 1):
        raise ConfigError(f"{path}: policy.ladder must rise from 0 to 1.", "For example [0, 0.1, 1].")


def _trim_pattern(pattern: str, where: str) -> None:
    """Refuse what is no pattern, for `re` as for `regex`, which trims prompts in bounded time."""
    import regex

    _pattern(pattern, where)
    try:
        regex.compile(pattern, regex.VERSION0)
    except regex.error as error:
        raise ConfigError(f"{where}: not a regular expression: {error}.", "Mend the pattern.") from error


def _pattern(pattern: str | None, where: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern or "")
    except re.error as error:
        raise ConfigError(f"{where}: not a regular expression: {error}.", "Mend the pattern.") from error
