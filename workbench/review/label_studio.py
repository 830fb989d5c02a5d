"""Label Studio: its task file and labelling configuration out, its exported annotations in.

Source of the formats: https://labelstud.io/guide/task_format and https://labelstud.io/tags.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from workbench.normal import as_text, to_utc
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

TASKS = "tasks.json"
CONFIG = "config.xml"

_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def attribute(text: str) -> str:
    """Return text as an XML attribute value with its quotes: it can end neither the value nor the tag.

    A leading dollar sign, which would name a column of the task, gets a space before it.
    """
    plain = _NO_XML.sub("", text)
    return quoteattr(f" {plain}" if plain.startswith("$") else plain)


def config_xml(config: EvalConfig, fields: tuple[str, ...]) -> str:
    """Return the labelling configuration of a task.

    What comes from logs or guidelines stands in the tasks, never in here; only paths of fields
    do, as attribute values.

    Args:
        config: The eval.
        fields: Paths that may be called wrong; none where sides are only compared.
    """
    lines = [
        "<View>",
        "  <Style>.htx-text { white-space: pre-wrap; }</Style>",
        '  <Header value="Guidelines"/>',
        '  <Text name="guidelines" value="$guidelines" valueType="text" selectionEnabled="false"/>',
        '  <Header value="Request"/>',
        '  <Text name="request" value="$request" valueType="text" selectionEnabled="false"/>',
        '  <View style="display: flex; gap: 2em;">',
    ]
    for number in (1, 2):
        text = f'<Text name="response_{number}" value="$response_{number}" valueType="text"/>'
        lines.append(f'    <View style="flex: 50%;"><Header value="Response {number}"/>{text}</View>')
    lines += ["  </View>", '  <Choices name="choice" toName="request" choice="single-radio" required="true">']
    for key, (word, title) in zip("12eb", CHOICES.items(), strict=True):
        lines.append(f'    <Choice alias={attribute(word)} value={attribute(title)} hotkey="{key}"/>')
    lines.append("  </Choices>")
    if fields:
        for side, number in (("left", 1), ("right", 2)):
            lines.append(f'  <Header value="Wrong fields of response {number}"/>')
            lines.append(f'  <Choices name="{side}_wrong" toName="response_{number}" choice="multiple">')
            lines += [f"    <Choice value={attribute(path)}/>" for path in fields]
            lines.append("  </Choices>")
    lines += [
        '  <Header value="Why, where one is worse"/>',
        '  <Choices name="reasons" toName="request" choice="multiple">',
        *(
            f"    <Choice alias={attribute(word)} value={attribute(title)}/>"
            for word, title in REASONS.items()
        ),
        "  </Choices>",
        '  <TextArea name="note" toName="request" placeholder="A note" maxSubmissions="1"/>',
        '  <TextArea name="corrected" toName="request" placeholder="The right answer" maxSubmissions="1"/>',
        "</View>",
    ]
    return "\n".join(lines) + "\n"


def _write(folder: Path, config: EvalConfig, items: list[ReviewItem]) -> list[Path]:
    tasks = [
        {
            "data": {
                "item": item.item_id,
                "request": request_text(item.request),
                "response_1": answer_text(item.left),
                "response_2": answer_text(item.right),
                "guidelines": item.guidelines or "(none)",
                "guideline_version": item.guideline_version,
            }
        }
        for item in items
    ]
    fields = judged_fields(config, *(side for item in items for side in (item.left, item.right)))
    named = {
        TASKS: json.dumps(tasks, ensure_ascii=False, indent=1),
        CONFIG: config_xml(config, fields if config.kind is EvalKind.FIELDS else ()),
    }
    for name, text in named.items():
        write_whole(folder / name, text.encode())
    return [folder / name for name in named]


def _knows(record: Mapping[str, Any]) -> bool:
    data = record.get("data")
    full = isinstance(data, dict) and "item" in data and isinstance(record.get("annotations"), list)
    return full or {"item", "choice", "annotation_id"} <= set(record)


def _read(record: dict[str, Any]) -> Iterator[Given]:
    if "annotations" not in record:
        yield from _read_minimal(record)
        return
    data = record["data"]
    for annotation in record["annotations"]:
        if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
            continue
        said: dict[str, list[str]] = {}
        results = annotation.get("result")
        for result in results if isinstance(results, list) else []:
            value = result.get("value") if isinstance(result, dict) else None
            if isinstance(value, dict):
                texts = value.get("choices") or value.get("text") or []
                listed = texts if isinstance(texts, list) else [texts]
                said.setdefault(str(result.get("from_name")), []).extend(as_text(each) for each in listed)
        if said:
            moment = annotation.get("updated_at") or annotation.get("created_at")
            yield _given(data, said, _person(annotation.get("completed_by")), moment)


def _read_minimal(record: dict[str, Any]) -> Iterator[Given]:
    """Read one record of the shorter export, JSON-MIN, where one choice is a text and several an object."""
    said: dict[str, list[str]] = {}
    for name in ("choice", "reasons", "note", "corrected", "left_wrong", "right_wrong"):
        value = record.get(name)
        if isinstance(value, dict):
            value = value.get("choices") or value.get("text")
        if value:
            said[name] = [as_text(each) for each in (value if isinstance(value, list) else [value])]
    if said:
        yield _given(record, said, _person(record.get("annotator")), record.get("updated_at"))


def _person(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("email") or value.get("id")
    text = as_text(value) if value is not None else ""
    return text if "@" in text else f"label-studio {text or 'reviewer'}"


def _given(data: Mapping[str, Any], said: Mapping[str, list[str]], person: str, moment: Any) -> Given:
    choices = said.get("choice", [])
    version = data.get("guideline_version")
    return Given(
        item=as_text(data.get("item") or ""),
        annotator=person,
        choice=choice_named(choices[0]) if choices else None,
        reasons=tuple(reason_named(each) for each in said.get("reasons", [])),
        note="\n".join(said.get("note", [])),
        corrected="\n".join(said.get("corrected", [])),
        left_wrong=tuple(each.strip() for each in said.get("left_wrong", [])),
        right_wrong=tuple(each.strip() for each in said.get("right_wrong", [])),
        guideline_version=version[:64] if isinstance(version, str) else None,
        moment=to_utc(moment),
    )


LABEL_STUDIO = Program("label-studio", "Label Studio", _write, _knows, _read)
