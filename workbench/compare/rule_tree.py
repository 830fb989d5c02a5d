"""Field rules along their paths: the tree they form, those a schema implies, and what they leave open.

Rules form a tree, so that `items[].sku` and `items[].price` are compared on the same pair of items.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.specs import FieldRule

MAX_SCHEMA_DEPTH = 12
"""Deeper parts of a schema imply no rule of their own."""
OWN_ORDER = ("list", "ignore")
"""Comparators of which `ordered` says nothing about the lists around their field: a list's own order is
meant, or none at all."""


@dataclass(slots=True)
class Node:
    """One step of a path: a rule that ends here, or keys and items below.

    `ordered` says whether items are compared place by place, `is_left_out` that nobody looks here.
    """

    rule: FieldRule | None = None
    keys: dict[str, Node] = field(default_factory=dict)
    items: Node | None = None
    ordered: bool = True
    is_left_out: bool = False


NOTHING = Node()
"""Where no rule is, nor below."""


def tree_of(rules: Sequence[FieldRule], left_out: Iterable[str] = ()) -> Node:
    """Return the tree that rules form.

    Args:
        rules: Each of another path. The items of a list are in no order only where no rule says that
            they are.
        left_out: Paths at which, and below which, nobody looks.
    """
    root = Node()
    for rule in rules:
        _node_at(root, rule.path).rule = rule
    for path in left_out:
        _node_at(root, path).is_left_out = True
    for place, those in rules_by_list(rules).items():
        _node_at(root, place).ordered = any(each.ordered for each in those)
    return root


def _node_at(root: Node, path: str) -> Node:
    node = root
    for step in steps(path):
        if step == "[]":
            node.items = node.items or Node()
            node = node.items
        else:
            node = node.keys.setdefault(step, Node())
    return node


def rules_by_list(rules: Sequence[FieldRule]) -> dict[str, list[FieldRule]]:
    """Return the rules that say whether the items of a list are in order, by the list's path.

    Args:
        rules: All rules of an eval.
    """
    found: dict[str, list[FieldRule]] = {}
    for rule in rules:
        place = -1
        while (place := rule.path.find("[]", place + 1)) >= 0:
            found.setdefault(rule.path[:place], []).append(rule)
    return {
        path: [each for each in those if each.compare not in OWN_ORDER] or those
        for path, those in found.items()
    }


def covers(path: str, other: str) -> bool:
    """Say whether a path is another one, or holds it: `customer` covers `customer.name`."""
    return other == path or other.startswith((f"{path}.", f"{path}[]"))


def steps(path: str) -> Iterator[str]:
    """Split `items[].sku` into items, [] and sku."""
    for part in path.split("."):
        name, *lists = part.split("[]")
        if name:
            yield name
        yield from ("[]" for _ in lists)


def rules_below(node: Node) -> Iterator[FieldRule]:
    """Yield the rules at a node and below it."""
    if node.rule is not None:
        yield node.rule
    for below in node.keys.values():
        yield from rules_below(below)
    if node.items is not None:
        yield from rules_below(node.items)


def deciding_below(node: Node) -> Iterator[FieldRule]:
    """Yield the rules at a node and below it of which a difference decides."""
    return (rule for rule in rules_below(node) if rule.compare != "ignore")


def rules_of_schema(schema: dict[str, Any] | None) -> tuple[FieldRule, ...]:
    """Return the field rules that a JSON Schema implies, one for each scalar or list.

    Args:
        schema: A JSON Schema of an object, or None.
    """
    return tuple(_rules_of(schema, "", required=True, depth=0)) if schema else ()


def _rules_of(schema: Any, path: str, *, required: bool, depth: int) -> Iterator[FieldRule]:
    if not isinstance(schema, dict) or depth > MAX_SCHEMA_DEPTH:
        return
    kind = schema.get("type")
    kinds = {kind} if isinstance(kind, str) else set(kind) if isinstance(kind, list) else set()
    properties, items = schema.get("properties"), schema.get("items")
    if isinstance(properties, dict) and properties:
        needed = schema.get("required")
        needed = needed if isinstance(needed, list) else []
        for key, below in properties.items():
            inside = f"{path}.{key}" if path else str(key)
            yield from _rules_of(below, inside, required=required and key in needed, depth=depth + 1)
    elif "array" in kinds and isinstance(items, dict) and isinstance(items.get("properties"), dict):
        yield from _rules_of(items, f"{path}[]", required=required, depth=depth + 1)
    elif path:
        if "array" in kinds:
            yield FieldRule(path, "list", required=required)
        elif kinds & {"number", "integer"}:
            yield FieldRule(path, "number", required=required)
        elif schema.get("format") in ("date", "date-time"):
            yield FieldRule(path, "date", required=required)
        else:
            yield FieldRule(path, "text" if "string" in kinds else "exact", required=required)


def paths_of_schema(schema: Any, path: str = "", depth: int = 0) -> Iterator[str]:
    """Yield the paths that a JSON Schema names, also in branches (`anyOf`, `oneOf`, `allOf`).

    Args:
        schema: A JSON Schema, or a part of one.
        path: Where the part stands.
        depth: How far the walk has descended.
    """
    if not isinstance(schema, dict) or depth > MAX_SCHEMA_DEPTH:
        return
    properties = schema.get("properties")
    for key, below in properties.items() if isinstance(properties, dict) else ():
        inside = f"{path}.{key}" if path else str(key)
        yield inside
        yield from paths_of_schema(below, inside, depth + 1)
    if isinstance(schema.get("items"), dict):
        yield from paths_of_schema(schema["items"], f"{path}[]", depth + 1)
    for word in ("anyOf", "oneOf", "allOf"):
        options = schema.get(word)
        for option in options if isinstance(options, list) else ():
            yield from paths_of_schema(option, path, depth + 1)
