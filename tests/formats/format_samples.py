"""The small files of every format, and how to read them."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "sample_logs" / "formats"
MAPPING = {
    "id": "row",
    "input": "text",
    "output": "answer",
    "gold": "label",
    "time": "when",
    "model": "model",
    "latency_ms": "ms",
    "attributes.tenant": "tenant",
}


def samples_of(format_name: str) -> list[Path]:
    """Return the sample files of a format: their names begin with its name."""
    return sorted(path for path in FOLDER.iterdir() if path.name.startswith(format_name))


def mapping_of(format_name: str) -> dict[str, str] | None:
    return MAPPING if format_name == "mapped" else None
