"""The process that serves the app: Streamlit, with what every page needs loaded before anybody opens one.

`workbench app` starts it as `python -m workbench.app_process run app_served.py --options`.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import pkgutil
import sys
import threading
from pathlib import Path

import workbench
from workbench.app_server import WORKSPACE_VARIABLE

_SCRIPTS = ("app", "app_served", "app_process", "__main__")
"""Modules that do something when they are loaded."""


def load_pages() -> None:
    """Load every module that a page may need. What can't be loaded is a page's to report, to its visitor.

    From one thread: modules that need each other and are loaded by two visitors at once wait for each
    other, until Python hands one of them a half of it.
    """
    for module in pkgutil.walk_packages(workbench.__path__, f"{workbench.__name__}."):
        if module.name.partition(".")[2] not in _SCRIPTS:
            with contextlib.suppress(Exception):
                importlib.import_module(module.name)


def warm_up() -> None:
    """Read what the evidence of the pages is weighed from, while nobody waits for it."""
    with contextlib.suppress(Exception):
        _read_ahead(Path(os.environ[WORKSPACE_VARIABLE]))


def _read_ahead(root: Path) -> None:
    """Read the compared calls of every candidate, the newest first, as far as they are kept."""
    from workbench.config import Workspace
    from workbench.scoring.evidence import gather
    from workbench.store import Store, comparisons

    workspace = Workspace.load(root)
    if not workspace.store_path.is_file():
        return
    # Never closed: the app shares it, and what is kept is kept for this process.
    store = Store.open(workspace.store_path, spool=workspace.spool)
    for row in reversed(comparisons.replayed(store)):
        if row["task"] in workspace.evals:
            config = workspace.eval_for(row["task"])
            gather(store, config, row["fingerprint"], config.policy)


def main() -> None:
    """Serve until stopped, with the arguments of `streamlit`."""
    from streamlit.web import cli

    # Before anybody can connect: a visitor would wait for it, and it takes longer beside them.
    load_pages()
    # Streamlit collects garbage after each run of a page. What is loaded is none: looking through it took
    # longer than most pages do, with every other visitor waiting.
    gc.collect()
    gc.freeze()
    threading.Thread(target=warm_up, name="warm-up", daemon=True).start()
    sys.argv[0] = "streamlit"
    cli.main()


if __name__ == "__main__":
    main()
