"""Run the command line: `python -m workbench`."""

from __future__ import annotations

import sys

from workbench.cli import cli
from workbench.errors import EXIT_INTERRUPTED


def main() -> None:
    """Run one command and exit with its code."""
    try:
        cli.main(prog_name="workbench")
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
