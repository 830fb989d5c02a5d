"""A draft of `eval.toml` for a workload, ready to edit. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields as record_fields
from typing import Any

from workbench.specs import MatchRule
from workbench.traffic.shapes import Shape, ShapeKind, field_paths, has_unnamable, joined

MOST_DRAFTED = 40
_MONEY = ("price", "total", "amount", "cost", "sum", "fee")
_DATES = ("date", "day", "due", "birthday", "deadline")


def draft_eval(
    task: str,
    shape: Shape,
    rules: Sequence[MatchRule] = (),
    *,
    calls_per_day: float | None = None,
    languages: Mapping[str, int] | None = None,
    turn_depth: float = 1.0,
    remarks: Sequence[str] = (),
) -> str:
    """Return the text of an `eval.toml` for a workload.

    Args:
        task: A task's name.
        shape: Of its answers: it decides the kind.
        rules: Which calls belong here; none where the log itself names the task.
        calls_per_day: Where it is known.
        languages: Calls by language; several become a slice.
        turn_depth: Most user turns; more than one become a slice.
        remarks: What else has to be said of the draft, a line each.

    Returns:
        TOML that the workspace loads as it is.
    """
    import tomlkit

    document = tomlkit.document()
    for line in (*_about(shape, calls_per_day), *remarks):
        document.add(tomlkit.comment(line))
    document.add("task", tomlkit.item(task))
    document.add("kind", tomlkit.item(shape.eval_kind.value))
    if shape.kind is ShapeKind.LABELS:
        labels = tomlkit.array()
        for label in shape.labels:
            labels.append(label)
        document.add("labels", labels.multiline(len(shape.labels) > 6))
    if len(rules) == 1:
        document.add("match", _rule(rules[0]))
    elif rules:
        tables = tomlkit.aot()
        for each in rules:
            tables.append(_rule(each))
        document.add("match_any", tables)
    if shape.kind is ShapeKind.JSON and shape.schema is not None:
        if has_unnamable(shape.schema):
            document.add(
                tomlkit.comment("A key with a dot or a bracket can't be a field, and isn't compared.")
            )
            document.add(tomlkit.comment("To compare it too, declare a JSON Schema instead of fields."))
        tables = tomlkit.aot()
        for path, known in list(field_paths(shape.schema).items())[:MOST_DRAFTED]:
            tables.append(_field(path, known))
        document.add("fields", tables)
    cuts = _slices(languages or {}, turn_depth)
    if cuts:
        tables = tomlkit.aot()
        for by in cuts:
            row = tomlkit.table()
            row.add("by", by)
            tables.append(row)
        document.add("slices", tables)
    policy = tomlkit.table()
    policy.add(tomlkit.comment("Which share of calls may get worse, and how sure that must be."))
    policy.add("tolerance", 0.05)
    policy.add("level", 0.95)
    document.add("policy", policy)
    return tomlkit.dumps(document)


def told_apart(shapes: Sequence[Shape], kind: ShapeKind) -> list[str]:
    """Say which answers of several workloads are of another kind than their task's; nothing where none is.

    Args:
        shapes: Of the workloads.
        kind: What the task's answers are.
    """
    others = Counter[ShapeKind]()
    for each in shapes:
        if each.kind not in (kind, ShapeKind.NONE):
            others[each.kind] += each.answers
    if not others:
        return []
    said = ", ".join(f"{count:,} {each.value}" for each, count in others.most_common())
    return [f"Of these answers others are of another kind: {said}. One task compares them all alike."]


def unknown_labels(shapes: Sequence[Shape], known: Iterable[str]) -> list[str]:
    """Return the labels among answers that an eval doesn't know, the most frequent first.

    Args:
        shapes: Of workloads that become part of its task.
        known: Its labels, and what it takes for one.
    """
    names = {each.casefold() for each in known}
    return [each for each in joined(shapes).labels if each.casefold() not in names]


def append_rules(text: str, rules: Sequence[MatchRule]) -> str:
    """Return the text of an `eval.toml` with further rules; its comments and its own rules stay.

    Args:
        text: The file as it is.
        rules: What belongs to the task too; those that stand there already are left out.
    """
    import tomlkit

    document = tomlkit.parse(text)
    known = [document["match"]] if "match" in document else []
    tables = document.get("match_any")
    if tables is not None:
        known += list(tables)
    new = [each for each in rules if _keys(each) not in [_unwrapped(row) for row in known]]
    if not new:
        return text
    if tables is None:
        tables = tomlkit.aot()
        for each in new:
            tables.append(_rule(each))
        document.append("match_any", tables)
    elif isinstance(tables, tomlkit.items.AoT):
        for each in new:
            tables.append(_rule(each))
    else:
        for each in new:
            tables.append(_keys(each))
    return tomlkit.dumps(document)


def _unwrapped(row: Any) -> Any:
    return row.unwrap() if hasattr(row, "unwrap") else row


def _keys(rule: MatchRule) -> dict[str, Any]:
    given = {each.name: getattr(rule, each.name) for each in record_fields(rule)}
    return {key: value for key, value in given.items() if value not in (None, {})}


def _rule(rule: MatchRule) -> Any:
    import tomlkit

    table = tomlkit.table()
    for key, value in _keys(rule).items():
        # Patterns are full of backslashes; a literal text shows them as they are.
        plain = isinstance(value, str) and "'" not in value and value.isprintable()
        table.add(key, tomlkit.string(value, literal=True) if plain else value)
    return table


def _field(path: str, known: Mapping[str, Any]) -> Any:
    import tomlkit

    row = tomlkit.table()
    row.add("path", path)
    kinds = known.get("type")
    kinds = [kinds] if isinstance(kinds, str) else list(kinds or ())
    name = path.rsplit(".", 1)[-1].casefold()
    compare = None
    if "number" in kinds or "integer" in kinds:
        compare = "number"
    elif any(each in name.split("_") for each in _DATES) or name.removesuffix("_at") != name:
        compare = "date"
    elif kinds and kinds[0] == "string" and "enum" not in known:
        compare = "text"
    elif "array" in kinds:
        compare = "set"
    if compare:
        row.add("compare", compare)
    if not known.get("always", True):
        row.add("required", False)
    if any(each in name for each in _MONEY):
        row.add("critical", True)
    return row


def _about(shape: Shape, calls_per_day: float | None) -> list[str]:
    said = (
        f"Drafted from {shape.answers:,} recorded answers: {shape.kind.value} ({100 * shape.coverage:.0f} %)."
    )
    lines = [said, "Look through it: kind, what counts as equal, and what your team accepts."]
    if shape.kind is ShapeKind.NONE:
        lines.append("There are no recorded answers: the kind is a guess.")
    if shape.kind is ShapeKind.LABELS:
        lines.append(f"Found {len(shape.labels)} labels; add those that the log does not hold.")
    if calls_per_day is not None:
        lines.append(f"About {calls_per_day:,.0f} calls a day.")
    return lines


def _slices(languages: Mapping[str, int], turn_depth: float) -> list[str]:
    total = sum(languages.values())
    several = sum(count >= 0.02 * total for count in languages.values()) > 1 if total else False
    return (["language"] if several else []) + (["turn_depth"] if turn_depth > 1 else [])
