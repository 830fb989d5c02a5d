"""`Workbench`: all that the command line does, for notebooks and scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.config import Workspace
from workbench.facade_rollout import RollingOut
from workbench.progress import Listener, silent

if TYPE_CHECKING:
    from workbench.exporting import TableExport
    from workbench.ingest import Conflict, ImportReport, ImportRow, Resolution, UndoReport
    from workbench.replay import ReplayReport
    from workbench.replay.batch_export import BatchExport
    from workbench.replay.judge_report import JudgeReport
    from workbench.replay.latency_report import LatencyReport
    from workbench.replay.live import LiveReport
    from workbench.replay.noise import NoiseReport
    from workbench.replay.patch_setup import PatchPreview
    from workbench.review import GoldAnswer, GoldSet, LabelReport
    from workbench.review.labelling import Labelling
    from workbench.scoring import CompareReport
    from workbench.specs import Candidate


class Workbench(RollingOut):
    """One workspace, opened. Use it as a context manager, or close it.

    Args:
        root: The folder that holds `workbench.toml`.

    Raises:
        ConfigError: There is none, or it is wrong.
    """

    def import_logs(
        self,
        files: Sequence[Path | str],
        *,
        format: str = "auto",
        task: str | None = None,
        source: str | None = None,
        mapping: Mapping[str, str] | None = None,
        sampling_rate: float | None = None,
        redact: bool = False,
        redact_model: str | None = None,
        dry_run: bool = False,
        listener: Listener = silent,
    ) -> ImportReport:
        """Import call logs. The same file again adds nothing."""
        from workbench.ingest import import_files

        return import_files(
            self.workspace,
            self.store,
            [Path(each) for each in files],
            format=format,
            task=task,
            source=source,
            mapping=mapping,
            sampling_rate=sampling_rate,
            redact=redact,
            redact_model=redact_model,
            dry_run=dry_run,
            listener=listener,
        )

    def imports(self, *, limit: int = 100) -> list[ImportRow]:
        """Return the imports that stand, newest first."""
        from workbench.ingest import list_imports

        return list_imports(self.store, limit=limit)

    def undo_import(self, manifest_id: str, *, with_evidence: bool = False) -> UndoReport:
        """Take an import back, with the answers and labels that rest on it if asked for."""
        from workbench.ingest import undo_import

        return undo_import(self.store, manifest_id, with_evidence=with_evidence)

    def conflicts(self, *, limit: int = 100, offset: int = 0) -> list[Conflict]:
        """Return calls that two imports tell differently."""
        from workbench.ingest import conflicts

        return conflicts(self.store, limit=limit, offset=offset)

    def resolve_conflicts(
        self,
        keep: str,
        *,
        call_ids: Sequence[str] | None = None,
        manifest_id: str | None = None,
        reread: bool = False,
    ) -> Resolution:
        """Say which version of calls is right: `stored` or `arrived`; with `reread` of two readings alone."""
        from workbench.ingest import resolve_conflicts

        return resolve_conflicts(self.store, keep, call_ids=call_ids, manifest_id=manifest_id, reread=reread)

    def replay(
        self,
        task: str,
        candidate: str,
        *,
        limit: int | None = None,
        concurrency: int | None = None,
        repeats: int = 1,
        new: bool = False,
        dry_run: bool = False,
        seed: int = 0,
        budget_usd: float | None = None,
        budget_minutes: float | None = None,
        checks: bool = True,
        listener: Listener = silent,
    ) -> ReplayReport:
        """Send a task's recorded requests to a candidate. Again: resumes, or does nothing."""
        from workbench.replay import replay

        return replay(
            self.workspace,
            self.store,
            task,
            candidate,
            limit=limit,
            concurrency=concurrency,
            repeats=repeats,
            new=new,
            dry_run=dry_run,
            seed=seed,
            budget_usd=budget_usd,
            budget_minutes=budget_minutes,
            checks=checks,
            listener=listener,
        )

    def replay_all(
        self, task: str, candidates: Sequence[str], *, listener: Listener = silent, **options: Any
    ) -> list[ReplayReport]:
        """Replay several candidates one after another; `options` are those of `replay`."""
        from workbench.replay import replay_all

        return replay_all(self.workspace, self.store, task, candidates, listener=listener, **options)

    def replay_on_ray(
        self, task: str, candidate: str, *, listener: Listener = silent, **options: Any
    ) -> ReplayReport:
        """Replay from many machines; `options` are those of `workbench.replay.on_ray.replay_on_ray`."""
        from workbench.replay.on_ray import replay_on_ray

        return replay_on_ray(self.workspace, self.store, task, candidate, listener=listener, **options)

    def replay_live(
        self, task: str, candidate: str, *, listener: Listener = silent, **options: Any
    ) -> LiveReport:
        """Ask the frontier for calls that a candidate served; `options` are those of `replay.live`."""
        from workbench.replay.live import replay_live

        return replay_live(self.workspace, self.store, task, candidate, listener=listener, **options)

    def noise_floor(
        self,
        task: str,
        *,
        limit: int | None = None,
        concurrency: int | None = None,
        new: bool = False,
        dry_run: bool = False,
        seed: int = 0,
        budget_usd: float | None = None,
        budget_minutes: float | None = None,
        checks: bool = True,
        listener: Listener = silent,
    ) -> NoiseReport:
        """Measure how often the frontier agrees with itself: asked again, or from duplicates in the log."""
        from workbench.replay.noise import measure_noise_floor

        return measure_noise_floor(
            self.workspace,
            self.store,
            task,
            limit=limit,
            concurrency=concurrency,
            new=new,
            dry_run=dry_run,
            seed=seed,
            budget_usd=budget_usd,
            budget_minutes=budget_minutes,
            checks=checks,
            listener=listener,
        )

    def judge(
        self,
        task: str,
        candidate: str,
        *,
        limit: int | None = None,
        concurrency: int | None = None,
        dry_run: bool = False,
        seed: int = 0,
        budget_usd: float | None = None,
        budget_minutes: float | None = None,
        listener: Listener = silent,
    ) -> JudgeReport:
        """Ask a task's judge which of two answers is better, blind and in both orders. Again: resumes."""
        from workbench.replay.judge import judge

        return judge(
            self.workspace,
            self.store,
            task,
            candidate,
            limit=limit,
            concurrency=concurrency,
            dry_run=dry_run,
            seed=seed,
            budget_usd=budget_usd,
            budget_minutes=budget_minutes,
            listener=listener,
        )

    def latency(
        self,
        task: str,
        candidate: str,
        *,
        limit: int | None = None,
        speed: float | Sequence[float] = 1.0,
        budget_usd: float | None = None,
        budget_minutes: float | None = None,
        dry_run: bool = False,
        seed: int = 0,
        listener: Listener = silent,
    ) -> LatencyReport:
        """Measure a candidate's latency at multiples of production's pace. Nothing is compared."""
        from workbench.replay.latency import probe_latency

        return probe_latency(
            self.workspace,
            self.store,
            task,
            candidate,
            limit=limit,
            speed=speed,
            budget_usd=budget_usd,
            budget_minutes=budget_minutes,
            dry_run=dry_run,
            seed=seed,
            listener=listener,
        )

    def patch_candidate(
        self,
        name: str,
        parent: str,
        *,
        system: str | None = None,
        system_trim: Sequence[str] = (),
        suffix: str | None = None,
        response_format: dict[str, Any] | None = None,
        examples: int = 0,
        example_ids: Sequence[str] = (),
        task: str | None = None,
        seed: int = 0,
        description: str = "",
    ) -> Candidate:
        """Add a candidate that is another one with its prompt changed."""
        from workbench.replay.patch_setup import patch_candidate

        added = patch_candidate(
            self.workspace,
            self.store,
            name,
            parent,
            system=system,
            system_trim=system_trim,
            suffix=suffix,
            response_format=response_format,
            examples=examples,
            example_ids=example_ids,
            task=task,
            seed=seed,
            description=description,
        )
        self.workspace = Workspace.load(self.workspace.root)
        return added

    def preview_patch(self, candidate: str, task: str, call: str | None = None) -> PatchPreview:
        """Return what a candidate will be asked for one call, beside what was logged. Sends nothing."""
        from workbench.replay.patch_setup import preview_patch

        return preview_patch(self.workspace, self.store, candidate, task, call)

    def export_batch(
        self,
        path: Path | str,
        task: str,
        candidate: str,
        *,
        limit: int | None = None,
        new: bool = False,
        seed: int = 0,
        missing_from: Path | str | None = None,
        max_lines: int = 50_000,
        max_bytes: int = 200_000_000,
        listener: Listener = silent,
    ) -> BatchExport:
        """Write a candidate's requests as input of `vllm run-batch` or a Batch API. Sends nothing."""
        from workbench.replay.batch_export import export_batch

        return export_batch(
            self.workspace,
            self.store,
            path,
            task,
            candidate,
            limit=limit,
            new=new,
            seed=seed,
            missing_from=missing_from,
            max_lines=max_lines,
            max_bytes=max_bytes,
            listener=listener,
        )

    def compare(
        self, task: str | None = None, candidate: str | None = None, *, listener: Listener = silent
    ) -> list[CompareReport]:
        """Compare what candidates answered with the recorded outputs."""
        from workbench.scoring import compare

        return compare(self.workspace, self.store, task, candidate, listener=listener)

    def import_labels(
        self,
        file: Path | str,
        *,
        task: str,
        candidate: str | None = None,
        mapping: Mapping[str, str] | None = None,
    ) -> LabelReport:
        """Import verdicts of people, or gold answers."""
        from workbench.review import import_labels

        return import_labels(
            self.workspace, self.store, Path(file), task=task, candidate=candidate, mapping=mapping
        )

    def imported_labels(self, task: str) -> list[dict[str, Any]]:
        """Return what other tools recorded about the calls of a task; none of it enters a bound."""
        from workbench.store.imported_labels import labels_of_task

        return labels_of_task(self.store, task)

    def export_labels(
        self,
        path: Path | str,
        *,
        task: str | None = None,
        candidate: str | None = None,
        form: str | None = None,
    ) -> int:
        """Write labels with their provenance; return how many."""
        from workbench.review import export_labels

        return export_labels(
            self.workspace, self.store, Path(path), task=task, candidate=candidate, form=form
        )

    def export_table(
        self,
        name: str,
        path: Path | str,
        *,
        task: str | None = None,
        candidate: str | None = None,
        filters: Mapping[str, str] | None = None,
        form: str | None = None,
    ) -> TableExport:
        """Write a table of the app whole, as CSV or Parquet; `filters` are the words of a link to it."""
        from workbench.exporting import Asked, export_table

        asked = Asked(task, candidate, dict(filters or {}))
        return export_table(self.workspace, self.store, name, Path(path), asked, form=form)

    def labelling(self, task: str, candidate: str) -> Labelling:
        """Return the queue of a task and a candidate: what reviewers do, without the app."""
        from workbench.review.labelling import Labelling

        self.workspace.eval_for(task)
        self.workspace.candidate(candidate)
        return Labelling(self.workspace, self.store, task, candidate)

    def gold_answers(self, task: str) -> list[GoldAnswer]:
        """Return every known right answer of a task: imported, corrected or judged right."""
        from workbench.review import gold_answers

        return gold_answers(self.workspace, self.store, task)

    def write_gold_set(self, task: str, path: Path | str | None = None) -> GoldSet:
        """Write the right answers of a task; to `gold.jsonl` in the eval's folder unless a path is given."""
        from workbench.review import write_gold_set

        return write_gold_set(self.workspace, self.store, task, path)

    def write_training_set(self, task: str, path: Path | str) -> GoldSet:
        """Write a task's right answers as chats to train on; see `review.write_training_set`."""
        from workbench.review import write_training_set

        return write_training_set(self.workspace, self.store, task, path)
