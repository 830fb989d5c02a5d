"""The process that reads log files for an import: limited, without keys, on its own.

Files come from anywhere, so they are opened, unpacked and parsed here and nowhere else. What
it makes of them are parts (`workbench.parts`), and JSON lines on standard output that say how
far it is. It is started by `workbench.ingest.children`, through `workbench.ingest.reader`.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from workbench.errors import UsageError, WorkbenchError
from workbench.formats import (
    Blank,
    Draft,
    Feedback,
    Joiner,
    Meter,
    OutputDraft,
    Passed,
    Share,
    Source,
    capture_losses,
    open_source,
)
from workbench.formats.base import Item
from workbench.ingest.job import Count, Job, Look, Told, evals_of
from workbench.ingest.plain_rows import PlainRows
from workbench.ingest.routing import TaskRouter
from workbench.ingest.rows import RowMaker, default_source
from workbench.ingest.served import ServedBy
from workbench.parts import LABEL_PARTS, LABELS, PartWriter
from workbench.records import Rejected, to_json

if TYPE_CHECKING:
    from workbench.ingest.redacting import Redaction

_TELL_EVERY_S = 0.3
_ITEMS_A_LOOK = 200
_GARBAGE_AT = 200_000
"""Rows wait by the thousand and hold no circles: to look for some again and again takes time."""
_NICE = 5
"""Readers give way to what is made of their parts, which would otherwise go on alone at the end."""


class Reading:
    """Reads this process's share of the files of one job.

    Args:
        job: What is to be read.
        tell: Takes messages for the other side.
    """

    def __init__(self, job: Job, tell: Any) -> None:
        self._job, self._tell = job, tell
        self.count = Count()
        found = self._open()
        # Those that add to the calls of others come first.
        self._sources = sorted(found, key=lambda each: not each.early)
        self._joiner = Joiner()
        self._names = [job.source or default_source(job.task, each.format.name) for each in self._sources]
        self._redaction: Redaction | None = None
        if job.secret is not None:
            from workbench.ingest.redacting import redaction_with

            self._redaction = redaction_with(bytes.fromhex(job.secret.key), job.secret.model)
        self._told = time.monotonic()

    def _open(self) -> list[Source]:
        """Settle how each file is read; what was merely found and is no log is left out, unless all is.

        Raises:
            UsageError: A file that was named is no log, or none of those that were found is one.
        """
        sources: list[Source] = []
        first: UsageError | None = None
        for each in self._job.files:
            try:
                sources.append(open_source(Path(each), self._job.format, self._job.mapping))
            except UsageError as error:
                if each not in self._job.found:
                    raise
                first = first or error
                name = Path(each).name
                why = error.message.removeprefix(each).removeprefix(":").lstrip().replace(each, name)
                self.count.unrecognised.append((name, why[:500]))
        if first is not None and not sources:
            raise first
        return sources

    def looks(self) -> list[Look]:
        """Return what each file is."""
        pairs = zip(self._sources, self._names, strict=True)
        return [
            Look(
                path=str(each.shape.path),
                name=each.name,
                format=each.format.name,
                because=each.because,
                source=source,
                alone=each.alone,
                shareable=each.shareable,
                bytes=each.shape.path.stat().st_size,
            )
            for each, source in pairs
        ]

    def read(self, share: Share) -> None:
        """Read what is this process's: its lines of files that can be shared, and some of the other files."""
        job = self._job
        folder = Path(job.folder)
        writer = PartWriter(folder, lambda name: self._tell(Told(part=name)))
        labels = PartWriter(folder, lambda _: None, LABELS, f"{LABEL_PARTS}-{share.index:02d}")
        router = TaskRouter(evals_of(job.rules), job.task)
        served = ServedBy(frozenset(job.candidates), job.served_as) if job.candidates else None
        maker = RowMaker(writer.add, router, job.sampling_rate, add_label=labels.add, served=served)
        plain = PlainRows(writer.add, router, job.sampling_rate, served)
        if share.index:
            self.count.unrecognised = []
        else:
            self.count.capture_lost = capture_losses(each.shape.path for each in self._sources)
        for number, source in enumerate(self._sources):
            shared = source.shareable and share.of > 1
            if not shared and number % share.of != share.index:
                self.count.records.append(0)
                continue
            writer.begin_file(number, shared=shared)
            self._read_file(number, source, share if shared else None, writer, maker, plain)
        for item, name in self._joiner.finish():
            self._take(len(self._sources) - 1, item, name, maker)
        writer.flush()
        labels.flush()
        self.count.unnamed = maker.unnamed
        self.count.renamed = router.renamed
        if self._redaction is not None:
            self.count.redacted = dict(self._redaction.found)

    def _read_file(
        self,
        number: int,
        source: Source,
        share: Share | None,
        writer: PartWriter,
        maker: RowMaker,
        plain: PlainRows,
    ) -> None:
        records = last = told = 0
        meter = Meter()
        name, file = self._names[number], source.name
        # What is redacted has to be looked into.
        items = source.plain_items if self._redaction is None else source.items
        for item in items(share, meter):
            if isinstance(item, list):
                first, end = item[0].line, item[-1].line
                records += len(item)
            else:
                first = end = item.line
                records += 1 + (item.parts if isinstance(item, Draft | Passed) else 0)
            if share is not None:
                if first > last + 1:
                    writer.flush()  # The lines between are another reader's.
                last = end
            if isinstance(item, list):
                for pair in item:
                    plain.call(pair, name, file)
            else:
                self._join(number, item, name, maker)
            if records - told >= _ITEMS_A_LOOK:
                told = records
                self._say(number, records, meter.position)
        self.count.records.append(records)
        self._say(number, records, source.shape.path.stat().st_size, now=True)

    def _join(self, number: int, item: Item, name: str, maker: RowMaker) -> None:
        if type(item) is Draft and item.span is None and item.part_key is None:
            self._take(number, item, name, maker)  # Nothing to join it with.
        else:
            for settled, of in self._joiner.take(item, name):
                self._take(number, settled, of, maker)

    def _take(self, number: int, item: Item, name: str, maker: RowMaker) -> None:
        item = item if self._redaction is None else self._redaction(item)
        if isinstance(item, Draft):
            maker.call(item, name)
            for label in item.feedback:
                maker.label(label, name, is_record=False)
        elif isinstance(item, OutputDraft):
            maker.output(item, name)
        elif isinstance(item, Feedback):
            maker.label(item, name, is_record=True)
        elif isinstance(item, Passed):
            self.count.skip(item)
            for label in item.feedback:
                maker.label(label, name, is_record=False)
        elif isinstance(item, Blank):
            self.count.blank += 1
        elif isinstance(item, Rejected):
            self.count.reject(number, item)

    def _say(self, number: int, records: int, position: int, *, now: bool = False) -> None:
        if now or time.monotonic() - self._told > _TELL_EVERY_S:
            self._told = time.monotonic()
            self._tell(Told(file=number, records=records, position=position))


def limit_resources(memory_bytes: int) -> None:
    """Take from this process what reading a log never needs: endless memory, core dumps, many files."""
    try:
        import resource
    except ImportError:  # Not on this system: the caps of the formats still hold.
        return
    for limit, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 256),
    ):
        _, hard = resource.getrlimit(limit)
        if hard == resource.RLIM_INFINITY or value <= hard:
            resource.setrlimit(limit, (value, value))


def main() -> int:
    """Read a job from standard input, tell what the files are, and read the share named next."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the other side's to handle.
    limit_resources(int(sys.argv[1]))
    if hasattr(os, "nice"):
        os.nice(_NICE)
    gc.freeze()
    gc.set_threshold(_GARBAGE_AT)
    output = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # Whatever a library prints does not get between the messages.

    def tell(message: Told) -> None:
        output.write(msgspec.json.encode(message) + b"\n")

    asked = sys.stdin.buffer.readline()
    if not asked:
        return 0  # Nothing is to be read after all.
    job = msgspec.json.decode(asked, type=Job)
    try:
        if job.preview is not None:
            from workbench.ingest.previewing import look_into

            tell(Told(preview=to_json(look_into(job)), done=Count()))
            return 0
        reading = Reading(job, tell)
        tell(Told(looks=reading.looks()))
        share = msgspec.json.decode(sys.stdin.buffer.readline() or b"null", type=Share | None)
        if share is not None:
            reading.read(share)
            tell(Told(done=reading.count))
    except WorkbenchError as error:
        tell(Told(refused=(type(error).__name__, error.message, error.hint)))
    except BrokenPipeError:
        return 1
    return 0
