"""Find the files that come with the workbench: in the repository, or inside an installed package."""

from __future__ import annotations

from pathlib import Path

from workbench.errors import EnvironmentalError


def bundled(name: str) -> Path:
    """Return the path of a bundled file or folder.

    Args:
        name: Relative to the repository root, for example `evals` or `sample_logs/demo`.

    Raises:
        EnvironmentalError: The package was built without it.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "_bundled", package.parent):
        path = folder / name
        if path.exists():
            return path
    raise EnvironmentalError(
        f"{name} is missing beside {package}.",
        "Install shadow-workbench again, or run it from its repository.",
    )
