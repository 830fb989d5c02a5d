"""Rows of a file as people's verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workbench.errors import UsageError
from workbench.formats.base import Blank, Record
from workbench.ingest.treated import Treatment
from workbench.normal import as_number, as_text, clean_text, content_hash, restore_cell, to_utc
from workbench.records import AbsoluteJudgement, Label, Rejected
from workbench.review.imported_rows import Ids, Refused, cell, rows_in
from workbench.review.items import CANDIDATE_LEFT, CONTROL_LEFT, check_reasons
from workbench.review.judging import MAX_NOTE_CHARS, verdict_of
from workbench.review.states import Clock, in_utc
from workbench.review.tallying import Tally
from workbench.specs import guideline_version_of
from workbench.store import Store, guidelines
from workbench.store import labels as rows

UNNAMED = "imported"
"""Annotator of imported labels whose file names none."""

BATCH = 5_000


class VerdictRows:
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
        self.ids = Ids(pairs, "the candidate has no output for this id", treatment)
        self.replays = {(row["replay_id"], row["call_id"]) for row in rows.pairs_of(store, task, fingerprint)}
        self.given: dict[str, str] = {}
        self.guidelines: dict[str, str] = {}
        standing = [each for each in rows.label_rows(store, task, fingerprint) if each["current"]]
        self.known = {
            (row["replay_id"], row["call_id"], row["annotator"]): row for row in standing if row["verdict"]
        }

    def run(self, items: Iterator[Record | Rejected | Blank]) -> None:
        """Take in every record of a file.

        Raises:
            UsageError: It can't be read to its end; what came before is stored, and the message says so.
        """
        batch: list[tuple[Record, Label]] = []
        for item, value in rows_in(self._to_the_end(items, batch), self.file, self.tally):
            try:
                label = self._label(value)
            except (Refused, UsageError) as error:
                reason = error.message if isinstance(error, UsageError) else str(error)
                self.tally.reject(item.rejected(self.file, reason))
                continue
            if label is None:
                self.tally.blank += 1
                continue
            batch.append((item, label))
            if len(batch) >= BATCH:
                self._store(batch)
                batch.clear()
        self._store(batch)

    def _to_the_end(
        self, items: Iterator[Record | Rejected | Blank], batch: list[tuple[Record, Label]]
    ) -> Iterator[Record | Rejected | Blank]:
        try:
            yield from items
        except UsageError as error:
            self._store(batch)
            kept = f"{self.tally.accepted:,} new verdicts of the {self.tally.records:,} rows before it"
            raise UsageError(
                f"{error.message} Kept: {kept}.", f"{error.hint} What is known already is passed over then."
            ) from error

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
        note = self._text(value, "note")
        corrected = self._text(value, "corrected") or None
        if self.treatment is not None:
            # Before it is cut, which may be amid an address.
            note = self.treatment.text(call_id, note)
            reasons = self.treatment.texts(call_id, reasons)
            corrected = self.treatment.text(call_id, corrected) if corrected else None
        note = note[:MAX_NOTE_CHARS]
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
        plain = self.treatment is None or self.treatment.name(text) == text
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
        return cell(value, self.where, name)

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
            raise Refused("draw_probability is not above 0 and at most 1")
        return number


def _several(found: Any) -> tuple[str, ...]:
    if isinstance(found, list):
        return tuple(as_text(each) for each in found)
    text = clean_text(restore_cell(as_text(found)))[0] if found is not None else ""
    return tuple(part for part in text.split("|") if part)


def _is_id(text: str) -> bool:
    return len(text) == 32 and all(each in "0123456789abcdef" for each in text)
