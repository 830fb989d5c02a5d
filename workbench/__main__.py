"""Run the command line: `python -m workbench`."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
from importlib.abc import MetaPathFinder
from typing import Any

from workbench.errors import EXIT_INTERRUPTED


class _WithoutPandas(MetaPathFinder):
    """Says that pandas is not there: DuckDB and pyarrow load it where it is, and take half a second."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("This command does without pandas.", name=name)


def main() -> None:
    """Run one command and exit with its code."""
    is_import = sys.argv[1:2] == ["import"]
    try:
        if is_import:
            _begin_import()
        _run()
    except KeyboardInterrupt:
        # Also while the commands are still being loaded.
        sys.exit(EXIT_INTERRUPTED)
    except SystemExit as leaving:
        if is_import and isinstance(leaving.code, int | None):
            _leave(leaving.code or 0)
        raise


def _run() -> None:
    import click

    from workbench.cli import cli
    from workbench.terminal import emit

    try:
        sys.exit(cli.main(prog_name="workbench", standalone_mode=False))
    except click.ClickException as error:
        if "--json" in sys.argv:
            emit({"error": error.format_message(), "hint": _hint(error)}, as_json=True, text="")
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(EXIT_INTERRUPTED)


def _begin_import() -> None:
    """Unpack the languages' model, most of which another core can do, while the commands are loaded."""
    # Modules and rows hold few cycles: looking for some took a fifth of the time of loading the modules.
    gc.set_threshold(100_000, 20, 100)
    sys.meta_path.insert(0, _WithoutPandas())
    if any(not each.startswith("-") for each in sys.argv[2:]):
        from workbench.language import prepare

        threading.Thread(target=prepare, daemon=True).start()


def _leave(code: int) -> None:
    """End the process at once: its millions of objects would be taken apart one by one before."""
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        return  # The interpreter says what it has to say of it.
    os._exit(code)


def _hint(error: object) -> str:
    context = getattr(error, "ctx", None)
    return f"See {context.command_path} --help." if context else ""


if __name__ == "__main__":
    main()
