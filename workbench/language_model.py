"""The model that tells languages, unpacked: py3langid's own file takes half a second of every import.

Unpacked it lies in the person's folder for caches, as arrays that are mapped into memory and shared by
all processes. What can't be written or read there, or is not as it was written, is unpacked as before.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

LAYOUT = 1
"""Raised whenever other arrays are kept."""
_PREFIX = "languages-"
_LEFT_S, _UNUSED_S = 3_600.0, 30 * 86_400.0
"""What a killed process left is removed after so long, and what another version kept."""
_KINDS = {"moves": "uint32", "rows": "int64", "output": "int32", "weights": "float32", "prior": "float32"}

_loading = threading.RLock()
"""Two threads that need the model at once would load it twice: a cache alone does not wait."""


@dataclass(frozen=True, slots=True)
class Model:
    """An automaton over bytes, and what each feature that it finds says of each language.

    Attributes:
        moves: Next state by row and byte, uint32 of shape (rows x 256,).
        rows: Where the row of each state begins in `moves`, int64 of shape (states,).
        output: The feature that ends in each state, or -1, int32 of shape (states,).
        weights: Of each feature for each language, float32 of shape (features, languages).
        prior: Of each language, float32.
        names: Of the languages.
        doubles: Pairs of places: what the second one gets counts for the first one.
    """

    moves: Any
    rows: Any
    output: Any
    weights: Any
    prior: Any
    names: tuple[str, ...]
    doubles: tuple[tuple[int, int], ...]


def model(languages: Sequence[str]) -> Model:
    """Return the model for some languages, loaded once.

    Args:
        languages: ISO 639-1 codes.
    """
    with _loading:
        return _model(tuple(languages))


def encoded(text: str) -> bytes:
    """Return a text as the model wants it."""
    from py3langid.langid import LanguageIdentifier

    data: bytes = LanguageIdentifier._encode(text)
    return data


def identifier(languages: Sequence[str]) -> Any:
    """Return py3langid's own identifier for some languages, which takes half a second the first time.

    Args:
        languages: As for `model`.
    """
    with _loading:
        return _identifier(tuple(languages))


@lru_cache(maxsize=1)
def _identifier(languages: tuple[str, ...]) -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    found = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    found.set_languages(languages)
    return found


@lru_cache(maxsize=1)
def _model(languages: tuple[str, ...]) -> Model:
    folder = None
    with contextlib.suppress(OSError, RuntimeError):  # There may be no home.
        folder = _cache() / f"{_PREFIX}{_key(languages)}"
        _sweep(folder.parent)
        if (known := _read(folder)) is not None:
            return known
    found = _unpacked(languages)
    if folder is not None:
        with contextlib.suppress(OSError):
            _keep(found, folder)
    return found


def _cache() -> Path:
    given = os.environ.get("XDG_CACHE_HOME", "")
    # By its specification a relative path counts as none.
    return (Path(given) if Path(given).is_absolute() else Path.home() / ".cache") / "workbench"


def _key(languages: tuple[str, ...]) -> str:
    from importlib.metadata import version

    from py3langid import langid

    size = (langid.MODEL_DIR / langid.MODEL_FILE).stat().st_size
    # Not when it was installed: several environments of one version share what is kept.
    said = repr((LAYOUT, version("py3langid"), size, languages))
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def _unpacked(languages: tuple[str, ...]) -> Model:
    import numpy as np

    found = identifier(languages)
    return Model(
        np.asarray(found.tk_nextmove, np.uint32),
        np.asarray(found.tk_row, np.int64) << 8,
        np.asarray(found.tk_output, np.int32),
        np.ascontiguousarray(found.nb_ptc, np.float32),
        np.asarray(found.nb_pc, np.float32),
        tuple(map(str, found.nb_classes)),
        tuple((int(first), int(double)) for first, double in found._alias_pairs),
    )


def _read(folder: Path) -> Model | None:
    """Map what is kept; None where nothing is, or it is not this person's own, or not whole."""
    import numpy as np

    try:
        about = folder.stat()
        if about.st_uid != os.getuid() or about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return None
        arrays = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in (*_KINDS, "names", "doubles")
        }
    except (OSError, ValueError, EOFError):
        return None
    names, doubles = arrays.pop("names"), arrays.pop("doubles")
    moves, rows, output, weights, prior = arrays.values()
    is_whole = (
        all(arrays[name].dtype == kind for name, kind in _KINDS.items())
        and rows.shape == output.shape
        and weights.shape[1:] == prior.shape == names.shape
        and moves.size % 256 == 0
        and 0 <= int(rows.min()) < int(rows.max()) < moves.size
        and 0 <= int(output.max()) < weights.shape[0]
        and doubles.size % 2 == 0
    )
    if not is_whole:
        return None
    return Model(
        moves.view(np.ndarray),
        rows.view(np.ndarray),
        output.view(np.ndarray),
        weights.view(np.ndarray),
        prior.view(np.ndarray),
        tuple(map(str, names)),
        tuple((first, double) for first, double in doubles.reshape(-1, 2).tolist()),
    )


def _keep(found: Model, folder: Path) -> None:
    """Write a model whole or not at all.

    Raises:
        OSError: It can't be written.
    """
    import shutil
    import tempfile

    import numpy as np

    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    passing = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}", dir=folder.parent))
    try:
        arrays = {name: getattr(found, name) for name in _KINDS}
        arrays |= {"names": np.array(found.names), "doubles": np.array(found.doubles, np.int64)}
        for name, array in arrays.items():
            with (passing / f"{name}.npy").open("wb") as file:
                np.save(file, array, allow_pickle=False)
                # Without it, a loss of power could leave a file of the right size that holds nothing.
                file.flush()
                os.fsync(file.fileno())
        shutil.rmtree(folder, ignore_errors=True)  # What can't be used.
        passing.rename(folder)
    finally:
        shutil.rmtree(passing, ignore_errors=True)


def _sweep(cache: Path) -> None:
    """Remove what killed processes left, and what other versions of the program kept and nobody uses."""
    now = time.time()
    for pattern, most_s in ((f".{_PREFIX}*", _LEFT_S), (f"{_PREFIX}*", _UNUSED_S)):
        for each in cache.glob(pattern):
            with contextlib.suppress(OSError):
                if now - each.stat().st_mtime > most_s:
                    import shutil

                    shutil.rmtree(each, ignore_errors=True)
