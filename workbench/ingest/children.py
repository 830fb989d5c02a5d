"""Reading log files in processes of their own, and what to say when one of them ends badly."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import msgspec

from workbench import errors
from workbench.errors import EnvironmentalError, UsageError
from workbench.formats import Share, log_files
from workbench.ingest.job import Count, Job, Look, Told
from workbench.ingest.order import InOrder
from workbench.records import from_json

if TYPE_CHECKING:
    from workbench.ingest.previewing import Preview

SILENCE_S = 120.0
"""A process that says nothing for so long hangs on what it reads, and is ended."""
SHARED_FROM_BYTES = 24 * 1024 * 1024
"""Below, starting a second process takes longer than it saves."""
MAX_READERS = 4
MAX_MEMORY_BYTES = 3 << 30
"""Address space of a reading process, of which libraries take a good third without using it."""

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")
_ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OMP_THREAD_LIMIT": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "2",
}


class Readers:
    """Reading processes, started before it is known what exactly they are to read.

    They take half a second to load, in which the program can open the store.

    Args:
        files: What will be read; says how many processes serve.
        with_model: Whether a language model will be loaded, which takes memory of its own.
    """

    def __init__(self, files: Sequence[Path | str], *, with_model: bool = False) -> None:
        self._stack = contextlib.ExitStack()
        # A language model takes as much again.
        memory_bytes = MAX_MEMORY_BYTES * (2 if with_model else 1)
        try:
            self.children = [
                self._stack.enter_context(_Child(memory_bytes)) for _ in range(_reader_count(files))
            ]
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Readers:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def readers_for(files: Iterable[Path | str], *, redact_model: str | None = None) -> Readers:
    """Start the processes that will read logs, so that they load while the store is opened.

    Args:
        files: As for `import_files`.
        redact_model: As for `import_files`.

    Raises:
        UsageError: A folder holds no log, or a pattern matches nothing.
    """
    return Readers(log_files(files), with_model=redact_model is not None)


def read_files(
    job: Job,
    looked: Callable[[Sequence[Look]], None],
    told: Callable[[str, int, int | None], None],
    written: Callable[[str], None],
    readers: Readers,
    settled: Callable[[str], None] = lambda name: None,
) -> tuple[list[Look], Count]:
    """Read files into parts.

    Args:
        job: What, and where the parts go.
        looked: Hears what the files are while they are being read; what it raises ends the import.
        told: Hears the name of the file being read, how many records are done, and of how many
            there will be, by the bytes that are left; None where that can't be said.
        written: Hears the name of every part that is complete.
        readers: The processes that read; they serve once.
        settled: Hears the names of the parts in the order of their rows, each as soon as no
            earlier one can come any more.

    Returns:
        What the files are, and what became of their records.

    Raises:
        UsageError: A file is no log, or takes more memory or time than any log.
        EnvironmentalError: A process was ended from outside.
    """
    with readers:  # They end before the folder does that they write to.
        children = readers.children
        for child in children:
            child.begin(job)
        conversation = _Conversation(job, children)
        looks = conversation.looks()
        # Records that join others have to be read by one process, in their order.
        shared = len(children) > 1 and all(each.alone for each in looks)
        shared = shared and (any(each.shareable for each in looks) or len(looks) > 1)
        used = children if shared else children[:1]
        for index, child in enumerate(used):
            child.send(Share(index, len(used)))
        for child in children[len(used) :]:
            child.end()
        looked(looks)
        counts = conversation.counts(used, looks, told, written, settled)
    return looks, _sum(counts)


def look_into_files(job: Job) -> Preview:
    """Look into the heads of files; see `workbench.ingest.previewing`.

    Raises:
        UsageError: A file is no log, or takes more memory or time than any log.
        EnvironmentalError: The process was ended from outside.
    """
    from workbench.ingest.previewing import Preview

    with _Child(MAX_MEMORY_BYTES) as child:
        child.begin(job)
        return from_json(_Conversation(job, [child]).preview(), Preview)


def _reader_count(files: Sequence[Path | str]) -> int:
    paths = [Path(each) for each in files]
    size = sum(each.stat().st_size for each in paths if each.is_file())
    packed = any(each.suffix in (".gz", ".zst") for each in paths)
    if size * (5 if packed else 1) < SHARED_FROM_BYTES:
        return 1
    return max(1, min(MAX_READERS, os.cpu_count() or 1))


def _sum(counts: Sequence[Count]) -> Count:
    total = Count(records=[sum(each) for each in zip(*(count.records for count in counts), strict=True)])
    for count in counts:
        total.blank += count.blank
        total.rejected += count.rejected
        total.passed += count.passed
        total.unnamed |= count.unnamed
        for reason, number in count.reasons.items():
            total.reasons[reason] = total.reasons.get(reason, 0) + number
        total.rejects += count.rejects
        total.unrecognised += count.unrecognised
        total.capture_lost |= count.capture_lost
        total.renamed |= count.renamed
        for kind, number in count.redacted.items():
            total.redacted[kind] = total.redacted.get(kind, 0) + number
        for reason, number in count.skip_reasons.items():
            total.skip_reasons[reason] = total.skip_reasons.get(reason, 0) + number
    total.rejects.sort(key=lambda pair: (pair[0], pair[1].line))
    return total


class _Child:
    """One reading process.

    Args:
        memory_bytes: Its address space.
    """

    def __init__(self, memory_bytes: int) -> None:
        self.errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 -- closed in __exit__
        root = str(Path(__file__).parents[2])
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        # -P keeps the folder that somebody happens to stand in off the path.
        process = subprocess.Popen(  # noqa: S603 -- this very Python
            [sys.executable, "-P", "-m", "workbench.ingest.reader", str(memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=environment | _ONE_THREAD | {"PYTHONPATH": root, "PYTHONHASHSEED": "0"},
        )
        self.process = process
        self._input, self.output = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
        self._rest = b""

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.output.close()
        self.errors.close()

    def begin(self, job: Job) -> None:
        """Say what it is about."""
        self._send(msgspec.json.encode(job))

    def send(self, share: Share) -> None:
        """Say which share to read."""
        self._send(msgspec.json.encode(share))

    def end(self) -> None:
        """Say that there is nothing more to do."""
        with contextlib.suppress(BrokenPipeError):
            self._input.close()

    def messages(self) -> list[Told] | None:
        """Return what it said just now; None at its end."""
        data = os.read(self.output.fileno(), 1 << 20)
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [msgspec.json.decode(line, type=Told) for line in lines]

    def _send(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):  # Its end says more.
            self._input.write(data + b"\n")
            self._input.flush()


class _Pace:
    """How many records are done, and how many there will be if the rest of the bytes is like these."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = sizes
        self._told: dict[tuple[object, int], Told] = {}

    def hear(self, child: object, message: Told) -> None:
        """Take what a process says of a file."""
        self._told[child, message.file] = message

    @property
    def records(self) -> int:
        """Return how many records are done."""
        return sum(each.records for each in self._told.values())

    @property
    def expected(self) -> int | None:
        """Return how many there will be, or None."""
        places: dict[int, list[int]] = {}
        for (_, file), message in self._told.items():
            places.setdefault(file, []).append(message.position)
        if any(0 in positions for positions in places.values()):
            return None
        done = sum(sum(positions) / len(positions) for positions in places.values())
        return max(self.records, round(self.records * sum(self._sizes) / done)) if done else None


class _Conversation:
    """Listens to the processes until they are done, or one ends badly."""

    def __init__(self, job: Job, children: Sequence[_Child]) -> None:
        self._job, self._children = job, children
        self._heard: list[tuple[_Child, Told]] = []
        self._where = Path(job.files[0]).name if len(job.files) == 1 else "The files"

    def looks(self) -> list[Look]:
        """Return what the first process says the files are."""
        for child, message in self._listen([self._children[0]]):
            if message.looks is not None:
                self._where = Path(self._job.files[0]).name if self._job.files else self._where
                return message.looks
            raise AssertionError(f"{child} speaks before it has looked")
        raise AssertionError("a process ends without a word")

    def preview(self) -> bytes:
        """Return the preview, as JSON."""
        for _, message in self._listen(self._children):
            if message.preview is not None:
                return message.preview
        raise AssertionError("a process ends without a word")

    def counts(
        self,
        children: Sequence[_Child],
        looks: Sequence[Look],
        told: Callable[[str, int, int | None], None],
        written: Callable[[str], None],
        settled: Callable[[str], None],
    ) -> list[Count]:
        """Return what each of the processes counted, in their order."""
        done: dict[_Child, Count] = {}
        order = InOrder(len(children))
        pace = _Pace([each.bytes for each in looks])
        for child, message in self._listen(children):
            if message.done is not None:
                done[child] = message.done
                for name in order.end(children.index(child)):
                    settled(name)
            elif message.part is not None:
                written(message.part)
                for name in order.add(children.index(child), message.part):
                    settled(name)
            elif message.looks is None:
                pace.hear(child, message)
                self._where = looks[message.file].name
                told(looks[message.file].name, pace.records, pace.expected)
            if len(done) == len(children):
                break
        return [done[child] for child in children]

    def _listen(self, children: Sequence[_Child]) -> Iterator[tuple[_Child, Told]]:
        with selectors.DefaultSelector() as selector:
            for each in children:
                selector.register(each.output, selectors.EVENT_READ, each)
            spoke = dict.fromkeys(children, time.monotonic())
            finished: set[_Child] = set()
            while True:
                for key, _ in selector.select(timeout=1.0):
                    child: _Child = key.data
                    messages = child.messages()
                    if messages is None:
                        if child not in finished:
                            raise self._ended(child)
                        selector.unregister(key.fileobj)
                        continue
                    spoke[child] = time.monotonic()
                    for message in messages:
                        if message.refused is not None:
                            kind, *said = message.refused
                            raise getattr(errors, kind)(*said)
                        if message.done is not None:
                            finished.add(child)
                        yield child, message
                for each, at in spoke.items():
                    if each not in finished and time.monotonic() - at > SILENCE_S:
                        raise UsageError(
                            f"{self._where}: one record took more than {SILENCE_S:.0f} s to read.",
                            "Nothing was imported. Look at that file: a rule of an eval or a record in it "
                            "may be built to never end.",
                        )

    def _ended(self, child: _Child) -> Exception:
        status = child.process.wait()
        child.errors.seek(0)
        said = child.errors.read()[-20_000:].decode("utf-8", "replace").strip()
        last = said.splitlines()[-1] if said else ""
        if "MemoryError" in last or "ArrowMemoryError" in last or "bad_alloc" in said:
            return UsageError(
                f"{self._where} takes more than {MAX_MEMORY_BYTES >> 30} GB of memory to read.",
                "Nothing was imported. Logs of any size can be read as JSONL, one record a line.",
            )
        if status < 0:
            name = signal.Signals(-status).name
            return EnvironmentalError(
                f"The process that read {self._where} was ended by {name}.",
                "Nothing was imported. If memory is short, import one file after the other; then try again.",
            )
        return RuntimeError(f"The process that read {self._where} failed with status {status}:\n{said}")
