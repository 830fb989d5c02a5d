"""The process that serves the app: Streamlit, with what every page needs loaded before anybody opens one.

`workbench app` starts it as `python -m workbench.app_process run app.py --options`.
"""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import sys
import threading

from workbench import ui


def warm_up() -> None:
    """Load the modules of the pages, so that the first visitor does not wait for that."""
    for module in pkgutil.iter_modules(ui.__path__, f"{ui.__name__}."):
        # A module that can't be loaded is the page's to report, to whoever opens it.
        with contextlib.suppress(Exception):
            importlib.import_module(module.name)


def main() -> None:
    """Serve until stopped, with the arguments of `streamlit`."""
    from streamlit.web import cli

    threading.Thread(target=warm_up, name="warm-up", daemon=True).start()
    sys.argv[0] = "streamlit"
    cli.main()


if __name__ == "__main__":
    main()
