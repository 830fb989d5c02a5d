"""Argilla: a dataset folder that `rg.Dataset.from_disk` reads, and the records of one in.

Source of the format: https://docs.argilla.io/latest/how_to_guides/import_export.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from workbench.normal import as_text
from workbench.records import EvalKind
from workbench.review.gold_sets import write_whole
from workbench.review.handover import (
    CHOICES,
    Given,
    Program,
    answer_text,
    choice_named,
    reason_named,
    request_text,
)
from workbench.review.items import REASONS, ReviewItem, judged_fields
from workbench.specs import EvalConfig

RECORDS = "records.json"
SETTINGS = ".argilla/settings.json"
DATASET = ".argilla/dataset.json"


def settings(config: EvalConfig, fields: tuple[str, ...]) -> dict[str, Any]:
    """Return the settings of a dataset: what is shown, all of it as plain text, and what is asked.

    Args:
        config: The eval.
        fields: Paths that may be called wrong; none where sides are only compared.
    """
    shown = {"request": "Request", "response_1": "Response 1", "response_2": "Response 2"}
    questions = [
        _question("choice", "Which response is better?", _selection("label_selection", CHOICES), True),
        _question("reasons", "Why, where one is worse?", _selection("multi_label_selection", REASONS)),
    ]
    if fields:
        for side, number in (("left", 1), ("right", 2)):
            options = _selection("multi_label_selection", {path: path for path in fields})
            questions.append(_question(f"{side}_wrong", f"Wrong fields of response {number}", options))
    plain = {"type": "text", "use_markdown": False}
    questions += [
        _question("note", "A note", plain),
        _question("corrected", "The right answer, if neither is", plain),
    ]
    return {
        # Argilla would take guidelines that are the name of a file for that file; two lines never are.
        "guidelines": f"Task: {config.task}\n\n{config.guidelines or '(no guidelines)'}",
        "allow_extra_metadata": True,
        "distribution": {"strategy": "overlap", "min_submitted": 1},
        "fields": [
            {"name": name, "title": title, "required": True, "settings": plain}
            for name, title in shown.items()
        ],
        "questions": questions,
        "vectors": [],
        "metadata": [],
    }


def _question(name: str, title: str, kind: Mapping[str, Any], required: bool = False) -> dict[str, Any]:
    return {"name": name, "title": title, "description": None, "required": required, "settings": dict(kind)}


def _selection(kind: str, options: Mapping[str, str]) -> dict[str, Any]:
    listed = [{"value": word, "text": title, "description": None} for word, title in options.items()]
    return {"type": kind, "options": listed, "visible_options": max(len(listed), 3)}


def _write(folder: Path, config: EvalConfig, items: list[ReviewItem]) -> list[Path]:
    records = [
        {
            "id": item.item_id,
            "fields": {
                "request": request_text(item.request) or "(empty)",
                "response_1": answer_text(item.left),
                "response_2": answer_text(item.right),
            },
            "metadata": {"guideline_version": item.guideline_version},
            "suggestions": {},
            "responses": {},
            "vectors": {},
        }
        for item in items
    ]
    fields = judged_fields(config, *(side for item in items for side in (item.left, item.right)))
    named = {
        RECORDS: records,
        SETTINGS: settings(config, fields if config.kind is EvalKind.FIELDS else ()),
        DATASET: {"name": config.task, "guidelines": None, "allow_extra_metadata": True},
    }
    for name, content in named.items():
        write_whole(folder / name, json.dumps(content, ensure_ascii=False, indent=1).encode())
    return [folder / name for name in named]


def _knows(record: Mapping[str, Any]) -> bool:
    fields = record.get("fields")
    return (
        isinstance(record.get("responses"), dict)
        and isinstance(fields, dict)
        and {"response_1", "response_2"} <= set(fields)
    )


def _read(record: dict[str, Any]) -> Iterator[Given]:
    said: dict[str, dict[str, Any]] = defaultdict(dict)
    for question, responses in record["responses"].items():
        for each in responses if isinstance(responses, list) else []:
            # Drafts and discarded answers are no labels.
            if isinstance(each, dict) and each.get("status") in (None, "submitted"):
                said[_text(each.get("user_id"))][str(question)] = each.get("value")
    metadata = record.get("metadata")
    version = metadata.get("guideline_version") if isinstance(metadata, dict) else None
    for person, values in said.items():
        choice = _text(values.get("choice"))
        yield Given(
            item=_text(record.get("id")),
            annotator=f"argilla {person or 'reviewer'}",
            choice=choice_named(choice) if choice else None,
            reasons=tuple(reason_named(each) for each in _listed(values.get("reasons"))),
            note=_text(values.get("note")),
            corrected=_text(values.get("corrected")),
            left_wrong=_listed(values.get("left_wrong")),
            right_wrong=_listed(values.get("right_wrong")),
            guideline_version=version[:64] if isinstance(version, str) else None,
        )


def _text(value: Any) -> str:
    return "" if value is None else as_text(value)


def _listed(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(as_text(each) for each in (value if isinstance(value, list) else [value]))


ARGILLA = Program("argilla", "Argilla", _write, _knows, _read)
