"""What a report needs to know of a task's evidence: counts, times and hashes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.store import Store


def manifests(store: Store, task: str) -> list[dict[str, Any]]:
    """Return the imports that a task's calls came from: files (JSON), source, calls."""
    return store.rows(
        """
        SELECT m.files, m.source, count(*) AS calls
        FROM usable_calls c JOIN manifests m USING (manifest_id) WHERE c.task = ?
        GROUP BY m.manifest_id, m.files, m.source, m.seq ORDER BY m.seq
        """,
        (task,),
    )


def replays(store: Store, task: str, fingerprint: str) -> list[dict[str, Any]]:
    """Return a candidate's replays: replay_id, created_at, planned, answered, seed; the earliest first."""
    return store.rows(
        """
        SELECT r.replay_id, r.created_at, r.seed,
               (SELECT count(*) FROM replay_calls p WHERE p.replay_id = r.replay_id) AS planned,
               (SELECT count(*) FROM observations o WHERE o.replay_id = r.replay_id AND o.repeat = 0)
                   AS answered
        FROM replays r WHERE r.task = ? AND r.candidate_fingerprint = ? ORDER BY r.seq
        """,
        (task, fingerprint),
    )


def labels(store: Store, task: str, fingerprint: str) -> list[dict[str, Any]]:
    """Return counts of standing labels by origin: source, guideline_version, labels, people."""
    return store.rows(
        """
        SELECT l.source, l.guideline_version, count(*) AS labels, count(DISTINCT l.annotator) AS people
        FROM labels l JOIN replays r USING (replay_id)
        WHERE r.task = ? AND r.candidate_fingerprint = ? AND l.verdict IS NOT NULL
          AND l.label_id NOT IN (SELECT supersedes FROM labels WHERE supersedes IS NOT NULL)
        GROUP BY ALL ORDER BY l.source, l.guideline_version
        """,
        (task, fingerprint),
    )


def verdicts(store: Store, task: str, fingerprint: str, version: str) -> dict[str, int]:
    """Return how many comparisons have each verdict, repeat 0 alone."""
    found = store.rows(
        """
        SELECT m.verdict, count(*) AS n FROM comparisons m JOIN replays r USING (replay_id)
        WHERE r.task = ? AND r.candidate_fingerprint = ? AND m.evaluator_version = ? AND m.repeat = 0
        GROUP BY ALL ORDER BY m.verdict
        """,
        (task, fingerprint, version),
    )
    return {row["verdict"]: int(row["n"]) for row in found}
