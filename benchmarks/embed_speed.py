"""Measure embedding the distinct texts of many pairs, kept in the store, against bare sentence-transformers.

Both embed the same distinct texts with the same model and batch size, one right after the other;
the pairs hold each text several times. Asked again, nothing may be embedded.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from pathlib import Path

from measures import Figures, open_store, workspace_with_calls
from sentence_transformers import SentenceTransformer

from workbench.embed import SentenceTransformers, packaged_path, similarities

ROUNDS = 3
SENTENCES = (
    "please refund the order that arrived late and broken",
    "my account is locked since monday, and the invoice shows another address than mine",
    "thank you for the quick answer; can you change the date of delivery to next week",
    "our printer stops after two pages and shows error number seven",
    "how do I cancel the plan",
)
WORDS = [word for sentence in SENTENCES for word in sentence.split()]


def texts_of(count: int, seed: int) -> list[str]:
    """Return distinct texts of 5 to 60 words."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    return [f"{number} " + " ".join(dice.choices(WORDS, k=dice.randint(5, 60))) for number in range(count)]


def bare(model: SentenceTransformer, texts: list[str]) -> float:
    """Return the seconds that sentence-transformers alone takes for distinct texts."""
    started = time.perf_counter()
    model.encode(texts, batch_size=32, normalize_embeddings=True, show_progress_bar=False)
    return time.perf_counter() - started


def measure(figures: Figures, count: int) -> None:
    """Print the ratio, and how many texts are embedded when the same pairs come again."""
    model = SentenceTransformer(packaged_path(), device="cpu", local_files_only=True)
    embedder = SentenceTransformers()
    embedder.embed(["warm"])
    model.encode(["warm"], show_progress_bar=False)
    ratios: list[float] = []
    again = 0
    with tempfile.TemporaryDirectory() as folder:
        workspace = workspace_with_calls(Path(folder), 1, "http://127.0.0.1:9/v1")
        with open_store(workspace) as store:
            for turn in range(ROUNDS):
                texts = texts_of(count, turn)
                pairs = [(texts[place], texts[-1 - place]) for place in range(count)]
                took_s = bare(model, texts)
                started = time.perf_counter()
                found = similarities(store, embedder, pairs)
                ratios.append(took_s / (time.perf_counter() - started))
                if found.computed != count or found.missing:
                    raise SystemExit(f"{found.computed} of {count} texts were embedded")
                again += similarities(store, embedder, pairs).computed
    detail = f"{count:,} distinct texts, each in two pairs, stored; median of {ROUNDS}"
    figures.ratio("embeddings against bare sentence-transformers", statistics.median(ratios), 0.9, detail)
    figures.ratio("texts embedded when the same pairs come again", again, 0, "none", at_most=True)
