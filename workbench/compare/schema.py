"""A check against the part of JSON Schema that structured outputs use.

Understood: type, enum, const, properties, required, additionalProperties,
items, minItems, maxItems, minimum, maximum, minLength, maxLength, anyOf, oneOf,
allOf and `$ref` within the schema. Other keywords are not checked: schemas come
out of logs, so nothing here fetches an address or runs a foreign pattern.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from workbench.compare.reading import freeze

MAX_NESTING = 60
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "number": (int, float, Decimal),
    "integer": (int, float, Decimal),
}


def schema_problem(
    value: Any, schema: Any, *, root: Any = None, path: str = "", depth: int = 0
) -> str | None:
    """Return the first way in which a value breaks a schema, or None.

    Args:
        value: A JSON value.
        schema: The JSON Schema; what is not an object allows everything.
        root: The whole schema, in which `$ref` is looked up.
        path: Where the value stands, for the message.
        depth: How far the check has descended.
    """
    root = schema if root is None else root
    if not isinstance(schema, dict) or depth > MAX_NESTING:
        return None
    where = path or "the answer"
    if isinstance(schema.get("$ref"), str):
        return schema_problem(value, _resolve(schema["$ref"], root), root=root, path=path, depth=depth + 1)
    if "type" in schema and not _has_type(value, schema["type"]):
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        return f"{where} is not of type {' or '.join(map(str, kinds))}"
    allowed = schema.get("enum")
    if isinstance(allowed, list) and freeze(value) not in {freeze(each) for each in allowed}:
        return f"{where} is not one of the allowed values"
    if "const" in schema and freeze(value) != freeze(schema["const"]):
        return f"{where} is not the required value"
    return _limits(value, schema, where) or _inside(value, schema, root, path, depth)


def _inside(value: Any, schema: dict[str, Any], root: Any, path: str, depth: int) -> str | None:
    """Check what a value holds, and the combined schemas."""

    def check(inner: Any, under: Any, at: str) -> str | None:
        return schema_problem(inner, under, root=root, path=at, depth=depth + 1)

    if isinstance(value, dict):
        known = schema.get("properties")
        known = known if isinstance(known, dict) else {}
        for key in _items(schema.get("required")):
            if key not in value:
                return f"{_join(path, key)} is missing"
        for key, inner in value.items():
            if key in known:
                problem = check(inner, known[key], _join(path, key))
            elif schema.get("additionalProperties") is False:
                problem = f"{_join(path, key)} is not in the schema"
            else:
                problem = check(inner, schema.get("additionalProperties"), _join(path, key))
            if problem:
                return problem
    if isinstance(value, list):
        for index, inner in enumerate(value):
            if problem := check(inner, schema.get("items"), f"{path}[{index}]"):
                return problem
    for part in _items(schema.get("allOf")):
        if problem := check(value, part, path):
            return problem
    for word in ("anyOf", "oneOf"):
        options = _items(schema.get(word))
        fits = sum(check(value, option, path) is None for option in options)
        if options and (fits == 0 or (word == "oneOf" and fits > 1)):
            return f"{path or 'the answer'} fits {fits or 'none'} of the {word} schemas"
    return None


def _limits(value: Any, schema: dict[str, Any], where: str) -> str | None:
    """Check numbers and lengths against their limits."""
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        low, high = schema.get("minimum"), schema.get("maximum")
        if isinstance(low, (int, float)) and value < low:
            return f"{where} is below {low}"
        if isinstance(high, (int, float)) and value > high:
            return f"{where} is above {high}"
    sizes = {str: ("minLength", "maxLength"), list: ("minItems", "maxItems")}
    for kind, (low_key, high_key) in sizes.items():
        if isinstance(value, kind):
            low, high = schema.get(low_key), schema.get(high_key)
            if isinstance(low, int) and len(value) < low:
                return f"{where} is shorter than {low}"
            if isinstance(high, int) and len(value) > high:
                return f"{where} is longer than {high}"
    return None


def _has_type(value: Any, kinds: Any) -> bool:
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        allowed = _TYPES.get(kind) if isinstance(kind, str) else None
        if allowed is None:
            return True
        if isinstance(value, bool) and bool not in allowed:
            continue
        if isinstance(value, allowed) and (kind != "integer" or _is_whole(value)):
            return True
    return False


def _is_whole(value: Any) -> bool:
    if isinstance(value, Decimal):
        return value == value.to_integral_value()
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _resolve(reference: str, root: Any) -> Any:
    """Return the part of the schema that `#/...` names; unknown or remote ones allow everything."""
    if not reference.startswith("#"):
        return None
    for part in reference[1:].strip("/").split("/"):
        if not part:
            continue
        if not isinstance(root, dict):
            return None
        root = root.get(part.replace("~1", "/").replace("~0", "~"))
    return root
