"""What comes later for redacted calls is redacted as they were: recorded outputs, labels, gold answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workbench import Workbench
from workbench.errors import UsageError
from workbench.redaction import PLACEHOLDER
from workbench.review import hand_over

MAIL, OTHER = "ann.lee@example.com", "bob.ray@example.com"
EVAL = 'task = "letters"\nkind = "text"\n'
CONFIG = (
    '[[candidates]]\nname = "small"\nengine = "recorded"\noutputs = "outputs.csv"\n'
    'map = { id = "id", output = "text" }\n'
)


def call(identity: str, mail: str) -> dict[str, object]:
    return {
        "request": {"messages": [{"role": "user", "content": f"Write to {mail}"}]},
        "response": {
            "id": identity,
            "created": 1_760_000_000,
            "model": "gpt",
            "choices": [
                {"message": {"role": "assistant", "content": f"Dear {mail}"}, "finish_reason": "stop"}
            ],
        },
    }


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    """Return a workspace with a redacted call, a plain one, and a candidate recorded elsewhere."""
    root = tmp_path / "space"
    (root / "evals" / "letters").mkdir(parents=True)
    (root / "workbench.toml").write_text(CONFIG)
    (root / "evals" / "letters" / "eval.toml").write_text(EVAL)
    # The log's own id is an address: the import has replaced it, and the file of outputs has not.
    (root / "outputs.csv").write_text(f"id,text\n{MAIL},Hello {MAIL}\nplain,Hello {OTHER}\n")
    made = Workbench(root)
    for name, record, redact in (("a", call(MAIL, MAIL), True), ("b", call("plain", OTHER), False)):
        path = tmp_path / f"{name}.jsonl"
        path.write_text(json.dumps(record) + "\n")
        made.import_logs([path], task="letters", source=name, redact=redact)
    return made


def test_later_arrivals_bring_nothing_back(bench: Workbench, tmp_path: Path) -> None:
    """Outputs, notes, corrections and gold find their redacted call by its old id; others keep their text."""
    report = bench.replay("letters", "small")
    assert not report.errors
    rows = bench.store.rows(
        "SELECT native_id, o.text, k.text AS control FROM observations o JOIN calls USING (call_id)"
        " JOIN controls k USING (call_id)"
    )
    texts = {row["native_id"]: (row["text"], row["control"]) for row in rows}
    assert texts.pop("plain") == (f"Hello {OTHER}", f"Dear {OTHER}")
    ((said, control),) = texts.values()
    assert PLACEHOLDER.findall(said) == PLACEHOLDER.findall(control) != []
    labels, gold = tmp_path / "labels.csv", tmp_path / "gold.csv"
    header = "id,verdict,annotator,note,corrected"
    labels.write_text(f"{header}\n{MAIL},control_better,kim,see {MAIL},Hi {MAIL}\n")
    gold.write_text(f"id,gold\n{MAIL},Dear {MAIL}\nplain,Dear {OTHER}\n")
    assert bench.import_labels(labels, task="letters", candidate="small").accepted == 1
    assert bench.import_labels(gold, task="letters").accepted == 2
    tables = ("SELECT * FROM labels", "SELECT * FROM gold")
    stored = json.dumps([bench.store.rows(each) for each in tables], default=str)
    assert MAIL not in stored
    assert OTHER in stored
    again = bench.import_labels(gold, task="letters")
    assert (again.accepted, again.skipped) == (0, 2)
    bench.close()
    files = (each for each in bench.workspace.root.rglob("*") if each.is_file() and each.suffix != ".csv")
    disk = b"".join(each.read_bytes() for each in files)
    assert MAIL.encode() not in disk


def answers(folder: Path, to: str, note: str) -> list[dict[str, Any]]:
    """Return what a person answered to every item in a folder, as the program exports it, with a note."""
    said = {"choice": "left", "note": note, "corrected": f"Dear {note}", "reasons": [f"not {MAIL}"]}
    if to == "argilla":
        records = json.loads((folder / "records.json").read_text())
        responses = {name: [{"value": value, "user_id": "kim"}] for name, value in said.items()}
        return [each | {"responses": responses} for each in records]
    kinds = {"choice": "choices", "reasons": "choices"}
    result = [
        {"from_name": name, "value": {kinds.get(name, "text"): value if isinstance(value, list) else [value]}}
        for name, value in said.items()
    ]
    annotation = {"completed_by": {"id": 7}, "result": result, "updated_at": "2026-03-01T12:05:00Z"}
    tasks = json.loads((folder / "tasks.json").read_text())
    return [each | {"annotations": [annotation]} for each in tasks]


@pytest.mark.parametrize("to", ["argilla", "label-studio"])
def test_notes_from_another_program_are_redacted_as_their_call_was(
    bench: Workbench, tmp_path: Path, to: str
) -> None:
    """Note, right answer and reasons get the placeholder that the call has; the report counts them."""
    bench.replay("letters", "small")
    bench.compare("letters", "small")
    folder = tmp_path / "out"
    hand_over(bench.workspace, bench.store, "letters", "small", folder, to=to)
    file = tmp_path / "back.json"
    file.write_text(json.dumps(answers(folder, to, f"ask {MAIL}")))
    report = bench.import_labels(file, task="letters")
    assert (report.records, report.accepted, report.redacted) == (2, 2, {"EMAIL": 3})
    assert "3 EMAIL" in report.text
    rows = bench.store.rows(
        "SELECT native_id, note, corrected, reasons, k.text AS control FROM labels"
        " JOIN calls USING (call_id) JOIN controls k USING (call_id)"
    )
    found = {row.pop("native_id"): row for row in rows}
    # The other call was imported as it was logged, and so is what is said of it.
    assert found.pop("plain")["note"] == f"ask {MAIL}"
    ((redacted),) = found.values()
    assert MAIL not in str(redacted)
    (mail,) = PLACEHOLDER.findall(redacted["control"])
    texts = [redacted["note"], redacted["corrected"], *redacted["reasons"]]
    assert [PLACEHOLDER.findall(each) for each in texts] == [[mail]] * 3
    again = bench.import_labels(file, task="letters")
    assert (again.accepted, again.skipped) == (0, 2)


def test_a_rejected_label_of_a_redacted_task_leaves_no_text(bench: Workbench, tmp_path: Path) -> None:
    """Its reason and a keyed hash say which one it is; its beginning may hold an address."""
    bench.replay("letters", "small")
    labels = tmp_path / "labels.csv"
    labels.write_text(f"id,verdict,note\nnobody-{MAIL},control_better,see {MAIL}\n")
    report = bench.import_labels(labels, task="letters", candidate="small")
    assert (report.records, report.rejected) == (1, 1)
    assert MAIL not in str(report)


def test_without_the_secret_they_are_refused(bench: Workbench, tmp_path: Path) -> None:
    """Redacting with a new secret would make two persons of one, and not redacting would bring one back."""
    key = bench.workspace.root / ".redaction-key"
    gold = tmp_path / "gold.csv"
    gold.write_text("id,gold\nplain,Dear\n")
    held = key.read_text()
    key.unlink()
    with pytest.raises(UsageError, match=r"the secret .* is gone"):
        bench.import_labels(gold, task="letters")
    with pytest.raises(UsageError, match=r"the secret .* is gone"):
        bench.replay("letters", "small")
    assert not key.exists()
    key.write_text("ab" * 32)
    key.chmod(0o600)
    with pytest.raises(UsageError, match="another secret"):
        bench.replay("letters", "small")
    key.write_text(held)
    assert not bench.replay("letters", "small").errors
