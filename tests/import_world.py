"""A workspace that logs are imported into, and rows to import."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from workbench.config import Workspace
from workbench.ingest import ImportReport, import_files
from workbench.store import Store


class Desk:
    """A workspace and its store, with imports checked by the equation."""

    def __init__(self, root: Path) -> None:
        (root / "workbench.toml").touch()
        self.root = root
        self.workspace = Workspace.load(root)
        self.store = Store.open(self.workspace.store_path, spool=self.workspace.spool)

    def take(self, *files: Path | str, **options: Any) -> ImportReport:
        report = import_files(self.workspace, self.store, files, **options)
        assert counted(report) == report.records
        return report

    def write(self, name: str, *rows: Any) -> Path:
        path = self.root / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    def count(self, table: str) -> int:
        return int(self.store.value(f"SELECT count(*) FROM {table}"))  # noqa: S608 -- names in this file


def counted(report: ImportReport) -> int:
    return (
        report.accepted + report.joined + report.rejected + report.skipped + report.conflicts + report.blank
    )


def pair(identity: str | None, question: str = "Hello?", answer: str = "Hi.", **more: Any) -> dict[str, Any]:
    response: dict[str, Any] = {
        "created": 1_760_000_000,
        "model": "gpt-4o",
        "choices": [{"message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 2},
    }
    if identity is not None:
        response["id"] = identity
    return {"request": {"messages": [{"role": "user", "content": question}]}, "response": response} | more


def tallies(report: ImportReport) -> dict[str, int]:
    names = ("accepted", "joined", "rejected", "skipped", "conflicts", "blank")
    return {name: getattr(report, name) for name in names if getattr(report, name)}
