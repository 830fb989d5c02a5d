"""Files that an older version of the program read: what they hold is no news, even if it reads otherwise.

That a record is the same is proven by its file: the same bytes, or a log that has grown since, whose
beginning they are. What can't be proven so stays a conflict like any other.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.formats import AUTO, READING
from workbench.ingest.job import Job, Look
from workbench.normal import content_hash
from workbench.redaction import VERSION
from workbench.store.rereading import ALL_LINES, Earlier, Manifest, ReadBefore, manifests

if TYPE_CHECKING:
    from workbench.ingest.redacting import Redaction
    from workbench.store import Store

_PIECE_BYTES = 1 << 20
_PACKED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")


@dataclass(frozen=True, slots=True)
class Hashed:
    """The SHA-256 of a file, and of beginnings that end with a line: hash and lines, by size in bytes."""

    sha256: str
    beginnings: Mapping[int, tuple[str, int]]


def hashed(path: Path, sizes: Collection[int] = ()) -> Hashed:
    """Read a file once for its hash, and those of its beginnings.

    Args:
        path: The file.
        sizes: Of the beginnings, in bytes; other than of whole lines they are left out.
    """
    digest = hashlib.sha256()
    beginnings: dict[int, tuple[str, int]] = {}
    lines = position = 0
    with path.open("rb") as file:
        packed = file.read(4).startswith(_PACKED)
        file.seek(0)
        stops = [] if packed else sorted({each for each in sizes if each > 0}, reverse=True)
        while piece := file.read(min(_PIECE_BYTES, stops[-1] - position) if stops else _PIECE_BYTES):
            digest.update(piece)
            position += len(piece)
            if stops:
                lines += piece.count(b"\n")
                if position == stops[-1]:
                    stops.pop()
                    if piece.endswith(b"\n"):
                        beginnings[position] = digest.copy().hexdigest(), lines
    return Hashed(digest.hexdigest(), beginnings)


def reading_of(job: Job) -> dict[str, Any]:
    """Return how files are read, as a manifest keeps it: by which readers, and by what a person asked for."""
    model = None if job.secret is None else job.secret.model
    return {"reading": READING, "read_with": content_hash(job.format, job.mapping or {}, model or "")}


class Rereading:
    """Tells which files of an import older versions of the program have read before.

    Args:
        store: Knows the imports that stand.
        job: How the files are read now.
        redaction: How they are redacted now, if at all.
    """

    def __init__(self, store: Store, job: Job, redaction: Redaction | None) -> None:
        self._job, self._redaction = job, redaction
        self._older = [each for each in manifests(store) if self._is_older(each)]
        self.sizes = {file["bytes"] for each in self._older for file in each.files}
        """Of their files, in bytes."""

    def before(self, looks: Sequence[Look], hashes: Mapping[str, Hashed]) -> ReadBefore:
        """Return what older versions read.

        Args:
            looks: What the files are.
            hashes: Theirs, by path.
        """
        names = Counter(each.name for each in looks)
        now = {(hashes[each.path].sha256, each.format) for each in looks}
        alone = all(each.alone for each in looks)
        found: list[Earlier] = []
        for manifest in self._older:
            then = {(file["sha256"], file.get("format", "")): file["bytes"] for file in manifest.files}
            if not alone and set(then) != now:
                continue  # Records join others: one may come out otherwise for another file's sake.
            # Under another source its calls are others.
            mine = [each for each in looks if f", {each.source}, " in f", {manifest.source}, "]
            # Of several files of a name it is not known which of them a record is from.
            again = [
                (look, *read)
                for look in mine
                if names[look.name] == 1 and (read := _read(look, hashes[look.path], then))
            ]
            whole = {key for _, key, _ in again} == set(then)
            for look, _, lines in again:
                name = look.name if self._redaction is None else self._redaction.text(look.name)
                found.append(
                    Earlier(name, manifest.manifest_id, lines, manifest.stored, manifest.judged, whole, alone)
                )
        return ReadBefore(found, [each.manifest_id for each in self._older])

    def _is_older(self, manifest: Manifest) -> bool:
        mine = None if self._redaction is None else json.loads(self._redaction.described)
        theirs: dict[str, Any] | None = json.loads(manifest.redaction) if manifest.redaction else None
        if (mine is None) is not (theirs is None) or (mine and theirs and mine["key"] != theirs["key"]):
            return False
        if manifest.read_with is None:
            # Then a mapping shows in the format, and a model that redacts nowhere.
            plain = self._job.format == AUTO and not self._job.mapping and theirs is None
            return plain and manifest.reading is None
        if manifest.read_with != reading_of(self._job)["read_with"]:
            return False
        return (manifest.reading or 0) < READING or (theirs is not None and theirs["version"] < VERSION)


def _read(
    look: Look, mine: Hashed, then: Mapping[tuple[str, str], int]
) -> tuple[tuple[str, str], int] | None:
    """Return which file of an import this one is or begins with, and its lines; `ALL_LINES` of a whole."""
    key = mine.sha256, look.format
    if key in then:
        return key, ALL_LINES
    if not look.shareable:
        return None
    begun = [
        ((sha256, look.format), lines)
        for size, (sha256, lines) in mine.beginnings.items()
        if then.get((sha256, look.format)) == size
    ]
    return max(begun, key=lambda each: each[1], default=None)
