"""Requests out as a batch file, so that other machines can ask them.

The file is the input of `vllm run-batch` and of OpenAI's Batch API. What comes back is
read by a candidate with the engine `recorded` and the exported one as its parent.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgspec

from workbench.access import requires
from workbench.config import Workspace
from workbench.engines.privacy import open_gate
from workbench.engines.wire import request_body
from workbench.errors import UsageError
from workbench.progress import Listener, Progress, silent
from workbench.records import Request
from workbench.replay.held import changed_examples, changed_form, held_to
from workbench.replay.patching import patcher
from workbench.replay.plan import HELD_TO, SHOWN, Plan, make_plan
from workbench.roles import Right
from workbench.specs import Candidate
from workbench.store import Store, accesses
from workbench.store.exports import last_export, planned_calls, shared_native_ids, write_export
from workbench.store.replays import PlannedCall, replays_of, requests_of

URL = "/v1/chat/completions"
MAX_LINES = 50_000
MAX_BYTES = 200_000_000
"""Requests and bytes that OpenAI takes in one batch file (Batch API reference, 200 MB and 50,000)."""

CHUNK = 1_000
_PLAIN_ID = re.compile(r"[!-~]{1,200}")
"""Native ids that go into the file as they are; others are replaced by the store's own id."""

_read_request = msgspec.json.Decoder(Request).decode


@dataclass(frozen=True, slots=True)
class BatchExport:
    """What was written.

    `calls` is the size of the sample, `written` the lines in the files: fewer where only
    what another file lacks (`missing_from`) was asked for.
    """

    task: str
    candidate: str
    files: tuple[str, ...]
    calls: int
    written: int
    bytes: int
    model: str
    target: str
    notes: tuple[str, ...] = ()
    missing_from: str | None = None

    @property
    def text(self) -> str:
        """Return the report as a person reads it, with the commands that come next."""
        names = ", ".join(self.files[:3]) + (
            f" and {len(self.files) - 3} more" if len(self.files) > 3 else ""
        )
        lines = [
            f"{self.task} / {self.candidate}: wrote {self.written:,} requests "
            f"({_size(self.bytes)}) to {names}.",
            "  They hold your users' data: only you can read them. Move them to no machine where the data "
            "may not be, and delete them afterwards.",
            *(f"  {note}" for note in self.notes),
        ]
        if self.files:
            first, target = Path(self.files[0]), Path(self.target)
            run, outputs = (each.with_name(f"{each.stem}-out.jsonl") for each in (first, target))
            if len(self.files) > 1:
                lines.append(f"  Run each file; then put their outputs one behind the other into {outputs}.")
            packaged = self.model.startswith("packaged:")  # a name that no other program knows
            model = f"FOLDER --served-model-name {self.model}" if packaged else self.model
            lines.append(f"  Next: vllm run-batch -i {first} -o {run} --model {model}")
            if self.missing_from is not None:
                # Outputs of these calls alone would be a candidate that misses all others.
                lines.append(f"        then append {outputs} to {self.missing_from} and replay that.")
                return "\n".join(lines)
            lines += [
                f"        workbench candidate add {self.candidate}-batch --parent {self.candidate} "
                f"--engine recorded --outputs {outputs}",
                f"        workbench replay --task {self.task} --candidate {self.candidate}-batch",
            ]
        return "\n".join(lines)


@requires(Right.EXPORT)
def export_batch(
    workspace: Workspace,
    store: Store,
    path: Path | str,
    task: str,
    candidate: str,
    *,
    limit: int | None = None,
    new: bool = False,
    seed: int = 0,
    missing_from: Path | str | None = None,
    max_lines: int = MAX_LINES,
    max_bytes: int = MAX_BYTES,
    listener: Listener = silent,
) -> BatchExport:
    """Write what a replay would send to a file, one request a line; send nothing.

    The sample is that of the candidate's replay, or of its last export, grown to `limit`;
    the store remembers it, so that the outputs are compared on exactly these calls
    whatever is imported in the meantime.

    Args:
        workspace: The workspace.
        store: Its store.
        path: Where to write. Where one file is not enough, `NAME-001.jsonl` and so on
            stand in its place.
        task: Whose calls.
        candidate: Who is to answer. Its patch, parameters and dialect are in the bodies.
        limit: Calls in the whole sample; None for all.
        new: Draw another sample instead of growing the last.
        seed: Seed of the draw.
        missing_from: An output file; only calls without an answer in it are written.
        max_lines: Requests in one file at most.
        max_bytes: Bytes of one file at most.
        listener: Told how far it is.

    Returns:
        The files, and what comes next.

    Raises:
        UsageError: The candidate asks nothing, or the file can't be written.
        PrivacyRefused: The task's data may not go to this candidate; nothing was written.
    """
    eval_config = workspace.eval_for(task)
    spec = workspace.candidate(candidate)
    gate = open_gate(spec, eval_config)
    if spec.engine == "recorded" or not spec.model:
        raise UsageError(
            f"Candidate {candidate!r} asks no model: its outputs were made elsewhere.",
            f"Export for the candidate they are to come from{f', {spec.parent}' if spec.parent else ''}.",
        )
    if max_lines < 1 or max_bytes < 1:
        raise UsageError("A file holds at least one request.", "Mend --max-lines and --max-mb.")
    target = Path(path).resolve()
    if target.is_dir():
        raise UsageError(f"{target} is a folder.", f"Name a file in it, such as {target / 'batch.jsonl'}.")
    fingerprint = workspace.fingerprint(spec)
    store.absorb()
    # A live replay may ask each call several times; its sample is the same.
    earlier = [row.repeats for row in replays_of(store, task, fingerprint) if row.seed == seed]
    repeats = earlier[-1] if earlier else 1
    drawn: dict[str, Any] = {"limit": limit, "repeats": repeats, "new": new, "seed": seed}
    plan = make_plan(store, task, spec, fingerprint, **drawn, exclude_marks=eval_config.exclude_marks)
    sample = _sample(store, plan)
    answered = _answered(workspace, spec, missing_from) if missing_from is not None else set()
    held = held_to(spec, eval_config)
    last = last_export(store, task, fingerprint=fingerprint) if answered else None
    if last is not None and last.detail.get(HELD_TO, held) != held:
        raise changed_form(task, spec)
    patch = patcher(store, spec, task)
    if last is not None and last.detail.get(SHOWN, patch.shown) != patch.shown:
        raise changed_examples(task, spec)
    shared = shared_native_ids(store, task)
    notes = [*plan.notes]
    accesses.exported(store, accesses.Kind.EXPORT_BATCH, task, len({each.call_id for each in sample}))

    def lines() -> Iterator[bytes]:
        for start in range(0, len(sample), CHUNK):
            listener(Progress("export", start, len(sample)))
            ids = [each.call_id for each in sample[start : start + CHUNK]]
            found = requests_of(store, ids)
            for call_id in ids:
                native_id, request = found[call_id]
                if call_id in answered or (native_id in answered and native_id not in shared):
                    continue
                plain = native_id not in shared and _PLAIN_ID.fullmatch(native_id)
                body = request_body(patch(_read_request(request)), spec, eval_config, logprobs=True)
                body.pop("stream", None)
                body.pop("stream_options", None)
                line = {
                    "custom_id": native_id if plain else call_id,
                    "method": "POST",
                    "url": URL,
                    "body": body,
                }
                yield msgspec.json.encode(line) + b"\n"
        listener(Progress("export", len(sample), len(sample)))

    files, written, size = _write(target, lines(), max_lines, max_bytes)
    detail: dict[str, Any] = {
        "task": task,
        "candidate": spec.name,
        "fingerprint": fingerprint,
        "seed": seed,
        "limit": limit,
        "patch": spec.patch,
        "zone": gate.zone,
        HELD_TO: held,
        SHOWN: patch.shown,
        "written": written,
    }
    write_export(store, sample, detail)
    if gate.zone == "external":
        notes.append("The candidate is external, and the eval allows that this data leaves.")
    if spec.samples:
        notes.append("Each request is asked once: `samples` counts for live replays alone.")
    if not written:
        notes.append("No file was written: every call has an answer already.")
    return BatchExport(
        task,
        spec.name,
        tuple(map(str, files)),
        len(sample),
        written,
        size,
        spec.model,
        str(target),
        tuple(notes),
        None if missing_from is None else str(Path(missing_from).resolve()),
    )


def _size(count: int) -> str:
    """Return a number of bytes in the unit people would use."""
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{max(count / 1e3, 0.1):,.1f} kB"


def _sample(store: Store, plan: Plan) -> list[PlannedCall]:
    earlier = [] if plan.is_new else planned_calls(store, plan.replay.replay_id)
    return [*earlier, *plan.added]


def _answered(workspace: Workspace, spec: Candidate, path: Path | str) -> set[str]:
    """Return the ids that an output file holds an answer for; those with an error are asked again."""
    from workbench.formats import read_outputs
    from workbench.records import Rejected

    items = read_outputs(Path(path), "openai_batch")
    return {item[0] for item in items if not isinstance(item, Rejected) and item[1].error is None}


def _write(
    target: Path, lines: Iterator[bytes], max_lines: int, max_bytes: int
) -> tuple[list[Path], int, int]:
    """Write lines to as many files as they need. All appear complete, or none.

    Returns:
        The files, the lines and the bytes in them.
    """
    parts: list[Path] = []
    count = total = 0
    file: IO[bytes] | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        filled = size = 0
        for line in lines:
            if len(line) > max_bytes:
                raise UsageError(
                    f"One request takes {len(line):,} bytes, more than a file may hold ({max_bytes:,}).",
                    "Raise --max-mb, or shorten the prompt with a patch.",
                )
            if file is None or filled >= max_lines or size + len(line) > max_bytes:
                if file is not None:
                    _finish(file)
                part = target.with_name(f".{target.name}.{os.getpid()}.{len(parts):05d}.part")
                part.unlink(missing_ok=True)
                file = _private(part)
                parts.append(part)
                filled = size = 0
            file.write(line)
            filled, size = filled + 1, size + len(line)
            count, total = count + 1, total + len(line)
        if file is not None:
            _finish(file)
        names = [target] if len(parts) == 1 else [_numbered(target, i + 1) for i in range(len(parts))]
        _refuse_leftovers(target, names)
        for part, name in zip(parts, names, strict=True):
            part.replace(name)
    except OSError as error:
        raise UsageError(
            f"{target} can't be written: {error.strerror or error}.", "Name a file in a folder that is yours."
        ) from error
    finally:
        if file is not None:
            file.close()
        for part in parts:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
    return names, count, total


def _private(path: Path) -> IO[bytes]:
    """Open a new file that only its owner can read, from its first byte on, whatever the umask is."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _finish(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()


def _refuse_leftovers(target: Path, names: list[Path]) -> None:
    """Refuse to write beside files of an earlier export, which would be taken for this one's."""
    pattern = re.compile(re.escape(target.stem) + r"-\d{3,}" + re.escape(target.suffix))
    others = sorted(each for each in target.parent.iterdir() if pattern.fullmatch(each.name))
    left = [each for each in others if each not in names]
    if len(names) > 1 and target.exists():
        left.insert(0, target)
    if left:
        raise UsageError(
            f"{left[0]} is left from another export, and this one makes {len(names)} files.",
            "Delete it, or name another file: who takes all files of that name would mix the two.",
        )


def _numbered(target: Path, number: int) -> Path:
    return target.with_name(f"{target.stem}-{number:03d}{target.suffix}")
