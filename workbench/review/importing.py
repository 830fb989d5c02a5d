"""Labels in as files: CSV, JSONL, Parquet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from workbench.access import requires
from workbench.config import Workspace
from workbench.errors import UsageError, did_you_mean
from workbench.formats.base import Blank, Record, display_name
from workbench.formats.containers import look, records
from workbench.ingest.treated import Treatment, treatment_of
from workbench.normal import (
    as_number,
    as_text,
    clean_text,
    content_hash,
    restore_cell,
    to_utc,
)
from workbench.records import AbsoluteJudgement, Label, Rejected
from workbench.review.argilla import RECORDS
from workbench.review.gold import label_from_gold
from workbench.review.items import CANDIDATE_LEFT, CONTROL_LEFT, check_reasons
from workbench.review.judging import MAX_NOTE_CHARS, verdict_of
from workbench.review.returning import import_answers, program_behind
from workbench.review.states import Clock, fingerprint_of, in_utc, utc_now
from workbench.review.tallying import LabelReport, Tally
from workbench.roles import Right
from workbench.specs import guideline_version_of
from workbench.store import Store, guidelines
from workbench.store import gold as gold_rows
from workbench.store import labels as rows

FIELDS = (
    "id",
    "gold",
    "verdict",
    "annotator",
    "reasons",
    "note",
    "corrected",
    "draw_probability",
    "time",
)
"""What a mapping may name. A column of the same name is taken where the mapping names none."""

UNNAMED = "imported"
"""Annotator of imported labels whose file names none."""

BATCH = 5_000


class _Refused(ValueError):
    """A record can't be taken; the message says why."""


@requires(Right.IMPORT)
def import_labels(
    workspace: Workspace,
    store: Store,
    file: Path | str,
    *,
    task: str,
    candidate: str | None = None,
    mapping: Mapping[str, str] | None = None,
    now: Clock = utc_now,
) -> LabelReport:
    """Import people's verdicts, or gold answers, from CSV, JSONL or Parquet.

    A file of exported annotations from Label Studio, or the folder or records of an Argilla
    dataset, is known by its shape: labels on items that `hand_over` wrote are the queue's own.
    Other imported verdicts are stored and shown; a bound takes them in only under the
    conditions that `scoring` checks. The same file again adds nothing. A file that
    `export_labels` wrote is known by its label ids.

    Args:
        workspace: Names the eval and the candidate.
        store: Where they go.
        file: The file; compressed with gzip or zstd, too.
        task: The task.
        candidate: The candidate the verdicts are about. May be left out for gold
            answers, and where only one candidate was replayed.
        mapping: Field to column: id (native id or call id), verdict, annotator,
            reasons, note, corrected, draw_probability, time; or gold.
        now: The clock.

    Raises:
        UsageError: The file, a column, the task or the candidate is not there.
    """
    path = Path(file)
    workspace.eval_for(task)
    if path.is_dir():
        path = path / RECORDS
    shape = look(path)
    if program := program_behind(shape):
        return import_answers(workspace, store, program, shape, task, now=now)
    columns = shape.columns or _first_keys(path)
    where = _columns(columns, dict(mapping or {}), display_name(path))
    items = records(shape)
    treatment = treatment_of(workspace, store, task)
    if "verdict" not in where:
        tally = Tally()
        _import_gold(store, task, shape.name, items, where, tally, now, treatment)
        made = label_from_gold(workspace, store, task, candidate, now=now)
        return tally.report(shape.name, "gold", made)
    tally = Tally()
    fingerprint = _fingerprint(workspace, store, task, candidate)
    _Importer(store, task, fingerprint, shape.name, where, columns, tally, now, treatment).run(items)
    return tally.report(shape.name, "verdicts")


def _first_keys(path: Path) -> tuple[str, ...]:
    """Return the keys of the first objects of a JSON file, which has no header."""
    keys: dict[str, None] = {}
    for index, item in enumerate(records(look(path))):
        if isinstance(item, Record) and isinstance(item.value, dict):
            keys |= dict.fromkeys(item.value)
        if index >= 100:
            break
    return tuple(keys)


def _columns(columns: tuple[str, ...], mapping: dict[str, str], file: str) -> dict[str, str]:
    for name, column in mapping.items():
        if name not in FIELDS:
            raise UsageError(f"{name!r} is no field of a label.", did_you_mean(name, FIELDS))
        if column not in columns:
            raise UsageError(f"{file} has no column {column!r}.", did_you_mean(column, columns))
    where = {name: name for name in FIELDS if name in columns} | mapping
    if "time" not in where and "created_at" in columns:
        where["time"] = "created_at"
    if "id" not in where and "call_id" in columns:
        where["id"] = "call_id"
    if "id" not in where:
        raise UsageError(f"{file} has no column `id`.", f"Name it: --map id=COLUMN. {_listed(columns)}")
    if "gold" in mapping and "verdict" not in mapping:
        where.pop("verdict", None)
    if "verdict" not in where and "gold" not in where:
        raise UsageError(
            f"{file} has neither verdicts nor gold answers.",
            f"Name the column: --map verdict=COLUMN or --map gold=COLUMN. {_listed(columns)}",
        )
    return where


def _listed(columns: tuple[str, ...]) -> str:
    shown = ", ".join(columns[:20])
    return f"It has: {shown}{', ...' if len(columns) > 20 else ''}." if columns else ""


def _fingerprint(workspace: Workspace, store: Store, task: str, candidate: str | None) -> str:
    if candidate is not None:
        return fingerprint_of(workspace, store, candidate)
    replayed = rows.candidates_replayed(store, task)
    if len(replayed) == 1:
        return replayed[0]
    if not replayed:
        raise UsageError(
            f"Task {task!r} has no replay to label.", f"Run `workbench replay --task {task}` first."
        )
    raise UsageError(
        f"Task {task!r} was replayed through {len(replayed)} candidates.",
        "Say which one the verdicts are about: --candidate NAME.",
    )


def _cell(value: Mapping[str, Any], where: Mapping[str, str], name: str) -> str:
    found = value.get(where.get(name, ""), None)
    if found is None:
        return ""
    return clean_text(restore_cell(as_text(found)))[0].strip()


def _import_gold(
    store: Store,
    task: str,
    file: str,
    items: Iterator[Record | Rejected | Blank],
    where: Mapping[str, str],
    tally: Tally,
    now: Clock,
    treatment: Treatment | None,
) -> None:
    calls = _Ids(rows.task_calls(store, task), f"no call of task {task} has this id", treatment)
    known = gold_rows.newest_gold(store, task)
    given: dict[str, str] = {}
    fresh: list[dict[str, Any]] = []
    moment = in_utc(now())
    for item in items:
        tally.records += 1
        if isinstance(item, Rejected):
            tally.reject(item)
            continue
        if isinstance(item, Blank) or not isinstance(item.value, dict):
            _not_a_row(item, file, tally)
            continue
        answer = _cell(item.value, where, "gold")
        try:
            call_id = calls.find(_cell(item.value, where, "id"))["call_id"]
            if not answer:
                raise _Refused("the gold answer is empty")
            answer = answer if treatment is None else treatment.text(call_id, answer)
        except _Refused as error:
            tally.reject(item.rejected(file, str(error)))
            continue
        if given.setdefault(call_id, answer) != answer:
            tally.conflicts += 1
            tally.reject(item.rejected(file, "the file gives this call another gold answer before"))
            continue
        if known.get(call_id) == answer:
            tally.skipped += 1
            continue
        known[call_id] = answer
        tally.accepted += 1
        # What our own file says of a first look stays true of it.
        origin = gold_rows.BY_HAND if item.value.get("origin") == gold_rows.BY_HAND else file
        fresh.append({"call_id": call_id, "answer": answer, "origin": origin, "created_at": moment})
    if fresh:
        store.append("gold", fresh)


def _not_a_row(item: Record | Blank, file: str, tally: Tally) -> None:
    if isinstance(item, Blank):
        tally.blank += 1
    else:
        tally.reject(item.rejected(file, "not an object with columns"))


class _Ids:
    """Finds a pair or a call by call id or native id."""

    def __init__(self, found: list[dict[str, Any]], unknown: str, treatment: Treatment | None = None) -> None:
        self._by_call = {row["call_id"]: row for row in found}
        self._by_native: dict[str, dict[str, Any] | None] = {}
        for row in found:
            # Two sources may use one id; then only the call id tells them apart.
            self._by_native[row["native_id"]] = None if row["native_id"] in self._by_native else row
        self._unknown, self._treatment = unknown, treatment

    def find(self, name: str) -> dict[str, Any]:
        """Return the row.

        Raises:
            _Refused: There is none, or more than one.
        """
        if not name:
            raise _Refused("the id is empty")
        if name in self._by_call:
            return self._by_call[name]
        if name not in self._by_native and self._treatment is not None:
            name = self._treatment.name(name)
        if name not in self._by_native:
            raise _Refused(self._unknown)
        found = self._by_native[name]
        if found is None:
            raise _Refused("more than one call has this id: give the call id")
        return found


class _Importer:
    """Reads verdicts into labels of source `imported`."""

    def __init__(
        self,
        store: Store,
        task: str,
        fingerprint: str,
        file: str,
        where: Mapping[str, str],
        columns: tuple[str, ...],
        tally: Tally,
        now: Clock,
        treatment: Treatment | None,
    ) -> None:
        self.store = store
        self.task = task
        self.treatment = treatment
        self.file = file
        self.where = where
        self.columns = columns
        self.tally = tally
        self.moment = in_utc(now())
        pairs = rows.observed_pairs(store, task, fingerprint)
        self.ids = _Ids(pairs, "the candidate has no output for this id", treatment)
        self.replays = {(row["replay_id"], row["call_id"]) for row in rows.pairs_of(store, task, fingerprint)}
        self.given: dict[str, str] = {}
        self.guidelines: dict[str, str] = {}
        standing = [each for each in rows.label_rows(store, task, fingerprint) if each["current"]]
        self.known = {
            (row["replay_id"], row["call_id"], row["annotator"]): row for row in standing if row["verdict"]
        }

    def run(self, items: Iterator[Record | Rejected | Blank]) -> None:
        """Take in every record of a file."""
        batch: list[tuple[Record, Label]] = []
        for item in items:
            self.tally.records += 1
            if isinstance(item, Rejected):
                self.tally.reject(item)
                continue
            if isinstance(item, Blank) or not isinstance(item.value, dict):
                _not_a_row(item, self.file, self.tally)
                continue
            try:
                label = self._label(item.value)
            except (_Refused, UsageError) as error:
                reason = error.message if isinstance(error, UsageError) else str(error)
                self.tally.reject(item.rejected(self.file, reason))
                continue
            if label is None:
                self.tally.blank += 1
                continue
            batch.append((item, label))
            if len(batch) >= BATCH:
                self._store(batch)
                batch = []
        self._store(batch)

    def _store(self, batch: list[tuple[Record, Label]]) -> None:
        """Store what is new. A known label id, or the same verdict of the same person, is known."""
        given = {label.label_id: self.given.pop(label.label_id, label.label_id) for _, label in batch}
        known_ids = rows.known_labels(self.store, [*given, *given.values()])
        fresh: list[dict[str, Any]] = []
        for item, label in batch:
            key = (label.replay_id, label.call_id, label.annotator)
            other = self.known.get(key)
            if label.label_id in known_ids or given[label.label_id] in known_ids:
                self.tally.skipped += 1
            elif other is None or other["source"] != "imported":
                known_ids.add(label.label_id)
                row = rows.from_label(label)
                self.known[key] = row
                fresh.append(row)
                self.tally.accepted += 1
            elif other["verdict"] == label.verdict:
                self.tally.skipped += 1
            else:
                reason = f"{label.annotator} judged this pair {other['verdict']} before"
                self.tally.conflicts += 1
                self.tally.reject(item.rejected(self.file, reason))
        if fresh:
            with self.store.writing() as writer:
                for version, text in self.guidelines.items():
                    guidelines.keep(writer, self.task, version, text, self.moment)
                writer.append("labels", fresh, ignore_known=True)
            self.guidelines.clear()

    def _label(self, value: dict[str, Any]) -> Label | None:
        word = self._text(value, "verdict")
        if not word:
            return None
        verdict = verdict_of(word)
        replay_id, call_id = self._pair(value)
        annotator = self._text(value, "annotator")[:200] or UNNAMED
        reasons = check_reasons(verdict, self._reasons(value))
        note = self._text(value, "note")[:MAX_NOTE_CHARS]
        corrected = self._text(value, "corrected") or None
        if self.treatment is not None:
            note = self.treatment.text(call_id, note)
            corrected = self.treatment.text(call_id, corrected) if corrected else None
        given = str(value.get("label_id") or "").strip() if "label_id" in self.columns else ""
        order = str(value.get("shown_order") or "") if "shown_order" in self.columns else ""
        guideline = str(value.get("guideline_version") or "") if "guideline_version" in self.columns else ""
        # Never the file's own id: the label it belongs to may still be given here, and must find its place.
        made = (
            content_hash("imported", given)
            if _is_id(given)
            else content_hash(
                "imported", replay_id, call_id, annotator, verdict, list(reasons), note, corrected or ""
            )
        )
        if _is_id(given):
            self.given[made] = given
        self._guidelines(value, guideline)
        return Label(
            label_id=made,
            replay_id=replay_id,
            call_id=call_id,
            verdict=verdict,
            annotator=annotator,
            reasons=reasons,
            note=note,
            corrected=corrected,
            shown_order=order if order in (CONTROL_LEFT, CANDIDATE_LEFT) else None,
            draw_probability=self._probability(value),
            guideline_version=guideline[:64] or None,
            source="imported",
            created_at=to_utc(value.get(self.where.get("time", ""))) or self.moment,
            absolute=self._absolute(value),
        )

    def _guidelines(self, value: dict[str, Any], version: str) -> None:
        """Take the guidelines that an exported file brings, if they are those of the label's version."""
        if not version or version in self.guidelines or "guidelines" not in self.columns:
            return
        text = restore_cell(as_text(value.get("guidelines")))
        # What would have to be redacted is not the text of that version any more.
        plain = self.treatment is None or self.treatment.text("", text) == text
        if plain and guideline_version_of(text) == version:
            self.guidelines[version] = text

    def _absolute(self, value: dict[str, Any]) -> AbsoluteJudgement | None:
        """Return what an exported file says of each side by itself."""
        right = [
            {"true": True, "false": False}.get(as_text(value.get(name)).strip().lower())
            for name in ("control_right", "candidate_right")
            if name in self.columns
        ]
        if len(right) != 2 or right[0] is None or right[1] is None:
            return None
        wrong = [_several(value.get(name)) for name in ("control_wrong", "candidate_wrong")]
        return AbsoluteJudgement(right[0], right[1], *wrong)

    def _pair(self, value: dict[str, Any]) -> tuple[str, str]:
        if "replay_id" in self.columns and "call_id" in self.columns:
            pair = (str(value.get("replay_id") or ""), str(value.get("call_id") or ""))
            if pair in self.replays:
                return pair
        found = self.ids.find(self._text(value, "id"))
        return found["replay_id"], found["call_id"]

    def _text(self, value: dict[str, Any], name: str) -> str:
        return _cell(value, self.where, name)

    def _reasons(self, value: dict[str, Any]) -> tuple[str, ...]:
        found = value.get(self.where.get("reasons", ""))
        if isinstance(found, list):
            return tuple(as_text(each) for each in found)
        text = self._text(value, "reasons")
        return tuple(part.strip() for part in text.replace(";", "|").split("|") if part.strip())

    def _probability(self, value: dict[str, Any]) -> float | None:
        text = self._text(value, "draw_probability")
        if not text:
            return None
        number = as_number(text)
        if number is None or not 0 < number <= 1:
            raise _Refused("draw_probability is not above 0 and at most 1")
        return number


def _several(found: Any) -> tuple[str, ...]:
    if isinstance(found, list):
        return tuple(as_text(each) for each in found)
    text = clean_text(restore_cell(as_text(found)))[0] if found is not None else ""
    return tuple(part for part in text.split("|") if part)


def _is_id(text: str) -> bool:
    return len(text) == 32 and all(each in "0123456789abcdef" for each in text)
