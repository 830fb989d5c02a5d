"""What each sample file becomes, field by field. WORKBENCH_UPDATE_GOLDEN=1 writes the golden files anew."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from format_samples import FOLDER, mapping_of

from workbench.formats import read
from workbench.records import to_json

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "formats"
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
