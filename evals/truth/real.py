"""Real answers with human truth; every row is left out where its data is absent (WORKBENCH_DATA)."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

import numpy as np

from evals.truth.real_judges import DRAWS, LABELS, covers, folder, llmbar, negations, newsroom
from evals.truth.real_labels import GOAL, courses
from evals.truth.table import AT_MOST, Row, Size, compared, generator, promised, target
from workbench import ramp
from workbench.embed import SentenceTransformers
from workbench.records import Basis, Policy
from workbench.stats.audit import AuditRow, from_rows

LABEL_NAME = "real labels"
JUDGE_NAME = "real judges"
NEGATION_NAME = "real negations"


def label_rows(size: Size) -> Iterator[Row]:
    """Yield what became of GPT-4o's small rivals, clearly worse ones and others."""
    found = folder("textclass")
    if found is None:
        return
    everything = courses(found)
    for harm in ("regressions", "net"):
        mine = [each for each in everything if each.harm == harm]
        worse = [each for each in mine if each.pair.provably_worse]
        world = f"{len(worse)} of {len(mine)} rivals of GPT-4o provably over 5 points worse, by {harm}"
        ever = sum(each.highest_share > 0 for each in worse)
        yield Row(
            LABEL_NAME, world, "hold any traffic at any look, from no label on", ever, 0.0, 0.0, AT_MOST
        )
        world = f"{len(mine)} rivals of GPT-4o, a look from no label on, by {harm}"
        broken = sum(each.ever_broken for each in mine)
        yield promised(LABEL_NAME, world, "bound ever below what all labels say", broken, len(mine))
        others = [each for each in mine if each.pair.loss <= Policy().tolerance]
        reached = [each for each in others if each.final_cap >= GOAL]
        world = f"{len(others)} rivals within 5 points, at most 300 labels each, by {harm}"
        yield compared(LABEL_NAME, world, "reach a cap of 25 % or more", len(reached))
        needed = [each.labels_to_goal for each in reached if each.labels_to_goal is not None]
        if needed:
            yield compared(LABEL_NAME, world, "labels that takes, median", statistics.median(needed))


def judge_rows(size: Size) -> Iterator[Row]:
    """Yield how often few labels beside a judge's verdicts hold the truth, and a judge alone."""
    sets = [("llmbar", llmbar), ("judge_bench", newsroom)]
    for name, read in sets:
        found = folder(name)
        if found is None:
            continue
        misled = []
        for judged in read(found):
            result = covers(judged, draws=size.runs(DRAWS, least=100))
            world = f"{judged.source}, {judged.judge}: {LABELS} labels of {judged.people.size}"
            missed = result.draws - result.covered
            what = "interval misses the rate of all labels"
            yield promised(JUDGE_NAME, world, what, missed, result.draws)
            yield compared(JUDGE_NAME, world, "width against labels alone", result.width)
            if not result.alone:
                misled.append(abs(result.judge_rate - judged.truth))
        if misled:
            world = f"{name}, a judge alone"
            yield compared(JUDGE_NAME, world, "judges whose own interval misses the truth", len(misled))
            yield compared(JUDGE_NAME, world, "largest distance of a judge's rate from it", max(misled))


def negation_rows(size: Size) -> Iterator[Row]:
    """Yield that negated sentences look alike, and that this moves no traffic."""
    found = folder("negation")
    if found is None:
        return
    pairs = negations(found)
    if size.scale >= 1:
        vectors = SentenceTransformers().embed([text for pair in pairs for text in pair])
        cosine = float(np.mean(np.sum(vectors[0::2] * vectors[1::2], axis=1)))
        yield compared(NEGATION_NAME, f"{len(pairs)} negated sentences", "mean cosine", cosine)
    keys = generator(NEGATION_NAME).permutation(len(pairs))
    rows = [
        AuditRow(call_id=str(place), batch=1, audit_key=f"{key:05d}", agrees=True)
        for place, key in enumerate(keys)
    ]
    answer = ramp.recommend(from_rows(rows, basis=Basis.SEMANTIC, days=30.0), Policy())
    world = f"{len(pairs)} negated sentences that all count as a match, no labels"
    yield target(NEGATION_NAME, world, "share that similarity alone moves", answer.share, 0.0, sense=AT_MOST)
