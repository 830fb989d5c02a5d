"""What each sample file becomes, field by field. WORKBENCH_UPDATE_GOLDEN=1 writes the golden files anew."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from format_samples import FOLDER, mapping_of

from workbench.config import file_hash
from workbench.formats import READING, Draft, OutputDraft, read
from workbench.normal import content_hash
from workbench.records import Output, to_json

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "formats"
READINGS = GOLDEN.with_name("readings.json")
FILES = sorted(path.name for path in FOLDER.iterdir() if path.suffix in (".jsonl", ".csv"))


def bare(value: Any) -> Any:
    """Return a value without the fields that say nothing."""
    if isinstance(value, dict):
        return {
            key: bare(item)
            for key, item in value.items()
            if item not in (None, [], {}, "") and (key, item) not in (("parts", 0), ("adds", False))
        }
    return [bare(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", FILES)
def test_a_sample_becomes_exactly_this(name: str) -> None:
    """Every record of a sample file is read as its golden file says."""
    items = read([FOLDER / name], mapping=mapping_of("mapped") if name.startswith("mapped") else None)
    found = [{"kind": type(item).__name__} | bare(json.loads(to_json(item))) for item in items]
    golden = GOLDEN / f"{name}.json"
    if os.environ.get("WORKBENCH_UPDATE_GOLDEN"):
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert found == json.loads(golden.read_text(encoding="utf-8"))


def contents(name: str) -> str:
    """Return a hash of all that a sample's calls and outputs are told apart by."""
    found = []
    for item in read([FOLDER / name], mapping=mapping_of("mapped") if name.startswith("mapped") else None):
        if not isinstance(item, Draft | OutputDraft):
            continue
        request = item.request
        said = (item.control if isinstance(item, Draft) else item.output) or Output()
        asked = None if request is None else [request.messages, request.tools, request.response_format]
        made = [[each.name, each.arguments] for each in said.tool_calls]
        found.append([item.native_id, asked, said.text, made, said.error and said.error.kind])
    return content_hash(found)


@pytest.mark.parametrize("name", FILES)
def test_readers_that_make_other_calls_of_the_same_bytes_have_another_number(name: str) -> None:
    """By `READING` an import knows that a record which reads otherwise now is no other record."""
    known = json.loads(READINGS.read_text(encoding="utf-8")) if READINGS.exists() else {}
    now = {"sha256": file_hash(FOLDER / name), "contents": contents(name), "reading": READING}
    before = known.get(name, {})
    # A sample that was changed says nothing, and under a higher number it may read otherwise.
    if os.environ.get("WORKBENCH_UPDATE_GOLDEN") and (
        before.get("sha256") != now["sha256"] or before["reading"] < READING
    ):
        READINGS.write_text(
            json.dumps(known | {name: now}, indent=1, sort_keys=True) + "\n", encoding="utf-8"
        )
        before = now
    assert before.get("sha256") == now["sha256"], "write the golden files anew: WORKBENCH_UPDATE_GOLDEN=1"
    assert before["contents"] == now["contents"], "raise READING, then write the golden files anew"
