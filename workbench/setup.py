"""Make a workspace, and change its workbench.toml without losing its comments."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.access import requires
from workbench.config import CONFIG_NAME, Workspace, read_config, read_words
from workbench.errors import UsageError
from workbench.roles import Right
from workbench.specs import Candidate
from workbench.writing import replace_text

TEMPLATE = """\
# A workspace of the shadow workbench. Paths are relative to this file.
store = "workbench.duckdb"
evals = "evals"

# A candidate is a small model that may take over. Engines: openai (any compatible
# endpoint), vllm (a server started for it), transformers (in this process), recorded
# (outputs made elsewhere).
#
# [[candidates]]
# name = "qwen-7b"
# engine = "openai"
# base_url = "http://127.0.0.1:8000/v1"
# model = "Qwen/Qwen2.5-7B-Instruct"
# api_key_env = "QWEN_API_KEY"   # the name of the variable, never the key
# zone = "internal"              # or external: then private data is refused
#
# A candidate with a parent takes over all keys that it does not set itself; a prompt
# patch is such a candidate: workbench candidate patch short --parent qwen-7b --system ...
# A candidate named control is the recorded model itself, asked again for its noise floor.
#
# Prices are data: with a date and a source, in US dollars per million tokens.
#
# [[prices]]
# model = "name-in-your-log"
# as_of = 2026-11-01
# source = "the page or contract it stands in"
# input_usd_per_million = 0.0
# cached_input_usd_per_million = 0.0
# output_usd_per_million = 0.0
#
# cached_input_usd_per_million, batch_discount = 0.5 (the share taken off for calls that
# wait) and a cache_min_tokens other than 1024 (a shorter beginning is not cached) are
# optional. What a month costs beside tokens, and a GPU of your own:
#
# [[gpus]]
# name = "your-gpu"
# usd_per_hour = 0.0
# as_of = 2026-11-01
# source = "the page or contract it stands in"
#
# [costs]
# budget_usd_month = 1000.0      # a warning comes where the forecast passes it
# hosted_model = "name-in-your-log"
# engineering_usd_month = 0.0    # likewise labelling_usd_month, retraining_usd_month
# one_off_usd = 0.0              # the work of moving
#
# [costs.self_hosted]
# gpu = "your-gpu"
# tokens_per_s = 1000.0          # in and out, measured for one replica
# as_of = 2026-11-01
# source = "how it was measured"
#
# Models that leave the market: a warning comes while their noise floor can still be measured.
#
# [[models]]
# model = "name-in-your-log"
# retires_on = 2027-06-30
# source = "the page it stands in"
#
# Where `replay --on ray` runs; without this, on this machine alone.
#
# [ray]
# address = "10.0.0.5:6379"
# spool = "s3://bucket/replays"  # or a folder that all machines reach
# zone = "internal"
"""


@dataclass(frozen=True, slots=True)
class MadeWorkspace:
    """Where a workspace was made, and which files are new."""

    root: Path
    created: list[str]


def init(folder: Path) -> MadeWorkspace:
    """Make a folder a workspace.

    Args:
        folder: Where; it is made if it is not there. Nothing in it is overwritten.

    Raises:
        UsageError: It is a workspace already, or can't be written.
    """
    root = folder.resolve()
    path = root / CONFIG_NAME
    if path.exists():
        raise UsageError(f"{root} is a workspace already.", f"Edit {path}, or name another folder.")
    try:
        (root / "evals").mkdir(parents=True, exist_ok=True)
        path.write_text(TEMPLATE, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{root} can't be written: {error.strerror}.", "Name a folder that is yours."
        ) from error
    return MadeWorkspace(root, [CONFIG_NAME, "evals/"])


@requires(Right.REPLAY, task=None)
def add_candidate(root: Path, table: dict[str, Any]) -> Candidate:
    """Append a candidate to `workbench.toml`, keeping its comments.

    Args:
        root: The workspace folder.
        table: The keys of the candidate, as they stand in the file.

    Raises:
        ConfigError: The result would not be a valid configuration; nothing is written.
        UsageError: The mapping of its outputs can't be read so; nothing is written.
    """
    import tomlkit

    from workbench.formats.mapped import check_fields

    workspace = Workspace.load(root)
    path = (workspace.root / CONFIG_NAME).resolve()
    text_before = read_words(path)
    document = tomlkit.parse(text_before)
    tables = document.get("candidates")
    if tables is None:
        tables = tomlkit.aot()
        document.append("candidates", tables)
    row = tomlkit.table()
    for key, value in table.items():
        row.append(key, _patch_table(value) if key == "patch" else _toml_value(value))
    if len(tables) or text_before.strip():
        row.trivia.indent = "\n"
    tables.append(row)
    text = tomlkit.dumps(document)
    config = read_config(tomllib.loads(text), path)
    added = next(each for each in config.candidates if each.name == table["name"])
    if added.map:
        check_fields(added.map, outputs_only=True)
    replace_text(path, text)
    return added


def _toml_value(value: Any) -> Any:
    """Return a value as it is written on one line; texts of several lines stay readable."""
    import tomlkit

    if isinstance(value, dict):
        inline = tomlkit.inline_table()
        for key, item in value.items():
            inline.append(key, _toml_value(item) if isinstance(item, dict) else item)
        return inline
    if isinstance(value, str) and "\n" in value:
        return tomlkit.string(value, multiline=True)
    return value


def _patch_table(patch: dict[str, Any]) -> Any:
    """Return a patch as `[candidates.patch]`, one key a line."""
    import tomlkit

    table = tomlkit.table()
    for key, value in patch.items():
        if isinstance(value, list | tuple):
            array = tomlkit.array()
            array.extend(value)
            table.append(key, array.multiline(len(value) > 1))
        else:
            table.append(key, _toml_value(value))
    return table


def parse_parameters(pairs: Sequence[str], option: str = "--param") -> dict[str, Any]:
    """Read `--param KEY=VALUE` options; a value is TOML where it parses as such, else text.

    Args:
        pairs: What was given.
        option: The name of the option, for the message.

    Raises:
        UsageError: One has no `=`.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key.strip():
            example = "max_tokens=64" if option == "--param" else "max_model_len=8192"
            raise UsageError(f"{option} {pair!r} is not KEY=VALUE.", f"For example {option} {example}.")
        try:
            read = tomllib.loads(f"value = {value}")
        except tomllib.TOMLDecodeError:
            read = {}
        # A value of several lines could parse as more than itself: it stays text.
        found[key.strip()] = read["value"] if read.keys() == {"value"} else value
    return found
