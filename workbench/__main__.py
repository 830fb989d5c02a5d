"""Run the command line: `python -m workbench`."""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from typing import Any

import click

from workbench.cli import cli
from workbench.errors import EXIT_INTERRUPTED
from workbench.terminal import emit


class _WithoutPandas(MetaPathFinder):
    """Says that pandas is not there: DuckDB and pyarrow load it where it is, and take half a second."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("This command does without pandas.", name=name)


def main() -> None:
    """Run one command and exit with its code."""
    if sys.argv[1:2] == ["import"]:
        sys.meta_path.insert(0, _WithoutPandas())
    try:
        sys.exit(cli.main(prog_name="workbench", standalone_mode=False))
    except click.ClickException as error:
        if "--json" in sys.argv:
            emit({"error": error.format_message(), "hint": _hint(error)}, as_json=True, text="")
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(EXIT_INTERRUPTED)


def _hint(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"See {context.command_path} --help." if context else ""


if __name__ == "__main__":
    main()
