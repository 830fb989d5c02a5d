"""Make a workspace, and change its workbench.toml without losing its comments."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.config import CONFIG_NAME, Workspace, read_config
from workbench.errors import UsageError
from workbench.specs import Candidate

TEMPLATE = """\
# A workspace of the shadow workbench. Paths are relative to this file.
store = "workbench.duckdb"
evals = "evals"

# A candidate is a small model that may take over. Engines: openai (any compatible
# endpoint), transformers (in this process), recorded (outputs made elsewhere).
#
# [[candidates]]
# name = "qwen-7b"
# engine = "openai"
# base_url = "http://127.0.0.1:8000/v1"
# model = "Qwen/Qwen2.5-7B-Instruct"
# api_key_env = "QWEN_API_KEY"   # the name of the variable, never the key
# zone = "internal"              # or external: then private data is refused
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


def add_candidate(root: Path, table: dict[str, Any]) -> Candidate:
    """Append a candidate to `workbench.toml`, keeping its comments.

    Args:
        root: The workspace folder.
        table: The keys of the candidate, as they stand in the file.

    Raises:
        ConfigError: The result would not be a valid configuration; nothing is written.
    """
    import tomlkit

    workspace = Workspace.load(root)
    path = workspace.root / CONFIG_NAME
    document = tomlkit.parse(path.read_text(encoding="utf-8"))
    tables = document.get("candidates")
    if tables is None:
        tables = tomlkit.aot()
        document.append("candidates", tables)
    row = tomlkit.table()
    for key, value in table.items():
        if isinstance(value, dict):
            inline = tomlkit.inline_table()
            inline.update(value)
            row.append(key, inline)
        else:
            row.append(key, value)
    tables.append(row)
    text = tomlkit.dumps(document)
    config = read_config(tomllib.loads(text), path)
    path.write_text(text, encoding="utf-8")
    return next(each for each in config.candidates if each.name == table["name"])


def parse_parameters(pairs: Sequence[str]) -> dict[str, Any]:
    """Read `--param KEY=VALUE` options; a value is TOML where it parses as such, else text.

    Raises:
        UsageError: One has no `=`.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key.strip():
            raise UsageError(f"--param {pair!r} is not KEY=VALUE.", "For example --param max_tokens=64.")
        try:
            read = tomllib.loads(f"value = {value}")
        except tomllib.TOMLDecodeError:
            read = {}
        # A value of several lines could parse as more than itself: it stays text.
        found[key.strip()] = read["value"] if read.keys() == {"value"} else value
    return found
