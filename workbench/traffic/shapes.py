"""What the answers of a workload look like, and so how they could be compared. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from statistics import median
from typing import Any

from workbench.compare.reading import extract_json, too_deep
from workbench.records import EvalKind, ToolCall

LABEL_CHARS = 60
"""A longer answer is no label."""
MOST_LABELS = 150
LABEL_COVERAGE = 0.95
"""The labels found must make up so much of the answers."""
REPEATS = 5.0
"""A label comes back: on average so often at least."""
MOST_OF = 0.9
"""A shape counts where so much of the answers has it."""
FIELD_PRESENT = 0.95
"""A field is required from this share of the objects on."""
ENUM_VALUES = 12
ENUM_REPEATS = 8.0
SHORT_TOKENS = 300
REWRITE_OVERLAP = 0.5
"""So much of a rewritten text's words stand in the request."""
MOST_FIELDS = 60
_DEPTH = 8


class ShapeKind(StrEnum):
    """What most answers are."""

    LABELS = "few short answers"
    JSON = "JSON with a stable schema"
    TOOLS = "tool calls"
    REWRITE = "short text close to the request"
    SHORT = "short text"
    LONG = "long open-ended text"
    NONE = "no answers"


EVAL_KINDS = {
    ShapeKind.LABELS: EvalKind.LABEL,
    ShapeKind.JSON: EvalKind.FIELDS,
    ShapeKind.TOOLS: EvalKind.TOOL_CALL,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One recorded answer. `overlap` is the share of its words that stand in the request, 0..1."""

    text: str | None
    tool_calls: tuple[ToolCall, ...] = ()
    tokens: int | None = None
    overlap: float | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of a workload's answers.

    `coverage` is the share of answers that have it, 0..1; `distinct` counts different short answers in
    all of them; `labels` the answers that come back, the most frequent first, with their counts.
    `schema` is what JSON answers share.
    """

    kind: ShapeKind
    coverage: float
    answers: int
    distinct: int | None = None
    labels: dict[str, int] = field(default_factory=dict)
    schema: dict[str, Any] | None = None
    tools: dict[str, int] = field(default_factory=dict)
    median_tokens: float | None = None

    @property
    def eval_kind(self) -> EvalKind:
        """Return how such answers are compared."""
        return EVAL_KINDS.get(self.kind, EvalKind.TEXT)


def shape_of(
    sample: Sequence[Answer], short_answers: Mapping[str, int], answers: int, distinct: int | None = None
) -> Shape:
    """Return the shape of a workload's answers.

    Args:
        sample: Some of the answers, drawn at random.
        short_answers: How often each short answer was given in all of them, the most frequent at least.
        answers: How many answers there are.
        distinct: How many different texts they hold.
    """
    tokens = [each.tokens for each in sample if each.tokens is not None]
    middle = float(median(tokens)) if tokens else None
    if distinct is not None:
        # The store estimates it, and an estimate may pass what it counts.
        distinct = min(distinct, answers)
    if not answers or not sample:
        return Shape(ShapeKind.NONE, 0.0, answers)
    called = [each for each in sample if each.tool_calls]
    if len(called) >= MOST_OF * len(sample):
        names = Counter(call.name for each in called for call in each.tool_calls)
        share = len(called) / len(sample)
        return Shape(ShapeKind.TOOLS, share, answers, tools=dict(names.most_common(50)), median_tokens=middle)
    texts = [each.text for each in sample if each.text and not each.tool_calls]
    objects = [value for good, value in map(extract_json, texts) if good and isinstance(value, dict)]
    if texts and len(objects) >= MOST_OF * len(sample):
        schema = infer_schema(objects)
        if schema["required"]:
            share = len(objects) / len(sample)
            return Shape(ShapeKind.JSON, share, answers, distinct, schema=schema, median_tokens=middle)
    labels = label_set(short_answers, answers)
    if labels:
        share = sum(labels.values()) / answers
        return Shape(ShapeKind.LABELS, share, answers, distinct, labels=labels, median_tokens=middle)
    size = middle if middle is not None else median(map(len, texts)) / 4 if texts else 0.0
    if size > SHORT_TOKENS:
        return Shape(ShapeKind.LONG, 1.0, answers, distinct, median_tokens=middle)
    overlaps = [each.overlap for each in sample if each.overlap is not None]
    close = sum(each >= REWRITE_OVERLAP for each in overlaps) / len(overlaps) if overlaps else 0.0
    if close >= 0.5:
        return Shape(ShapeKind.REWRITE, close, answers, distinct, median_tokens=middle)
    return Shape(ShapeKind.SHORT, 1.0, answers, distinct, median_tokens=middle)


def joined(shapes: Sequence[Shape]) -> Shape:
    """Return the shape of the answers of several workloads together.

    It is of the kind that most answers have: with all labels and tools of that kind, and all fields, of which
    one is required where all have it.

    Args:
        shapes: At least one.
    """
    if len(shapes) == 1:
        return shapes[0]
    weights = Counter[ShapeKind]()
    for each in shapes:
        weights[each.kind] += each.answers
    kind = max(weights, key=lambda each: (weights[each], each.value))
    alike = sorted((each for each in shapes if each.kind is kind), key=lambda each: -each.answers)
    answers = sum(each.answers for each in shapes)
    labels: dict[str, Counter[str]] = {}
    tools = Counter[str]()
    for each in alike:
        tools.update(each.tools)
        for label, count in each.labels.items():
            labels.setdefault(label.casefold(), Counter())[label] += count
    ranked = sorted(labels.values(), key=lambda spelt: -spelt.total())
    return replace(
        alike[0],
        coverage=sum(each.coverage * each.answers for each in alike) / answers if answers else 0.0,
        answers=answers,
        distinct=None,
        labels={spelt.most_common(1)[0][0]: spelt.total() for spelt in ranked},
        tools=dict(tools.most_common()),
        schema=_joined_schema([each.schema for each in alike if each.schema is not None]),
    )


def _joined_schema(schemas: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    if not schemas:
        return None
    properties: dict[str, Any] = {}
    for each in reversed(schemas):
        properties |= each.get("properties", {})
    required = [
        name
        for name in schemas[0].get("required", [])
        if all(name in each.get("required", []) for each in schemas)
    ]
    return {**schemas[0], "properties": properties, "required": required}


def label_set(short_answers: Mapping[str, int], answers: int) -> dict[str, int]:
    """Return the answers that make up a set of labels, with their counts, or nothing.

    Args:
        short_answers: How often each short answer was given.
        answers: How many answers there are, long ones included.
    """
    merged: dict[str, Counter[str]] = {}
    for text, count in short_answers.items():
        plain = " ".join(text.split())
        if plain and len(plain) <= LABEL_CHARS:
            merged.setdefault(plain.casefold().strip(" .!\"'`*"), Counter())[plain] += count
    merged.pop("", None)
    # What was said once may be a label or a sentence; a label comes back.
    kept = {key: spelt for key, spelt in merged.items() if spelt.total() >= 2}
    ranked = sorted(kept.values(), key=lambda spelt: (-spelt.total(), spelt.most_common(1)[0][0]))[
        :MOST_LABELS
    ]
    total = sum(spelt.total() for spelt in ranked)
    if len(ranked) < 2 or total < LABEL_COVERAGE * answers or total < REPEATS * len(ranked):
        return {}
    return {spelt.most_common(1)[0][0]: spelt.total() for spelt in ranked}


def infer_schema(objects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the JSON Schema that objects share: types, required fields, and few values as an enum.

    Args:
        objects: Answers of one workload.
    """
    return _schema([dict(each) for each in objects if not too_deep(each)], 0)


def _schema(values: Sequence[Any], depth: int) -> dict[str, Any]:
    present = [each for each in values if each is not None]
    kinds = sorted({_kind(each) for each in present})
    if kinds == ["integer", "number"]:
        kinds = ["number"]
    types = kinds + (["null"] if len(present) < len(values) else [])
    found: dict[str, Any] = {"type": types[0] if len(types) == 1 else types} if types else {}
    if depth >= _DEPTH:
        return found
    if kinds == ["object"]:
        counts = Counter(key for each in present for key in each)
        names = [key for key, _ in counts.most_common(MOST_FIELDS)]
        found["properties"] = {
            name: _schema([each[name] for each in present if name in each], depth + 1) for name in names
        }
        found["required"] = [name for name in names if counts[name] >= FIELD_PRESENT * len(present)]
    elif kinds == ["array"]:
        items = [item for each in present for item in each][:2_000]
        if items:
            found["items"] = _schema(items, depth + 1)
    elif kinds == ["string"]:
        said = Counter(present)
        if 2 <= len(said) <= ENUM_VALUES and len(present) >= ENUM_REPEATS * len(said):
            found["enum"] = sorted(said) + ([None] if "null" in types else [])
    return found


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    if isinstance(value, float | Decimal):
        return "number"
    return "object" if isinstance(value, dict) else "array" if isinstance(value, list) else "string"


def field_paths(schema: Mapping[str, Any], prefix: str = "") -> dict[str, dict[str, Any]]:
    """Return the leaves of an inferred schema by path (`items[].sku`), with what is known of each.

    Keys that no path can name, with a dot or a bracket, are left out; see `has_unnamable`.
    """
    found: dict[str, dict[str, Any]] = {}
    required = set(schema.get("required", ()))
    for name, each in schema.get("properties", {}).items():
        if _is_unnamable(name):
            continue
        path = f"{prefix}.{name}" if prefix else name
        here = {**each, "always": name in required}
        items = each.get("items") if each.get("type") == "array" else None
        if each.get("type") == "object" and each.get("properties"):
            found |= field_paths(each, path)
        elif isinstance(items, dict) and items.get("type") == "object" and items.get("properties"):
            found |= field_paths(items, f"{path}[]")
        else:
            found[path] = here
    return found


def has_unnamable(schema: Mapping[str, Any]) -> bool:
    """Return whether an inferred schema holds keys that no path can name, at any depth."""
    inside = [each for each in (*schema.get("properties", {}).values(), schema.get("items")) if each]
    return any(map(_is_unnamable, schema.get("properties", {}))) or any(
        has_unnamable(each) for each in inside if isinstance(each, Mapping)
    )


def _is_unnamable(name: str) -> bool:
    return not name or any(mark in name for mark in ".[]")


def overlap(answer: str, request: str) -> float | None:
    """Return the share of an answer's words that stand in a request, 0..1; None without words."""
    words = answer.casefold().split()
    known = set(request.casefold().split())
    return sum(each in known for each in words) / len(words) if words else None
