"""Run the command line: `python -m workbench`."""

from __future__ import annotations

import sys

import click

from workbench.cli import cli
from workbench.errors import EXIT_INTERRUPTED
from workbench.terminal import emit


def main() -> None:
    """Run one command and exit with its code."""
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
