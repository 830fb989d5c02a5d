"""How servers take what an answer may be: allowed labels and JSON schemas, in their dialects.

vLLM takes a list of choices, and the answer is the bare label. OpenAI, Ollama and
llama.cpp take a JSON schema alone, so that a label travels as `{"label": "..."}` and is
taken out again when the reply is read. Which dialect a server speaks is read off its own
list of models; no data of a task is sent for that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.normal import Undecodable, decode_json
from workbench.records import EvalKind, Request
from workbench.specs import Candidate, EvalConfig

LABEL_KEY = "label"
WRAPPER_OPENING = f'{{ "{LABEL_KEY}" : "'
"""What stands before a wrapped label, its parts divided by spaces."""
WRAPPER_TOKENS = 16
"""Tokens that the wrapper may take beyond the label: added to the limit, which was meant for the answer."""

_OWNERS = {"vllm": "vllm", "library": "ollama", "llamacpp": "openai", "sglang": "openai"}
"""What servers write into `owned_by` of their models, and the dialect they speak."""
_SERVERS = {"ollama": "Ollama", "vllm": "vLLM", "library": "Ollama", "llamacpp": "llama.cpp"}


@dataclass(frozen=True, slots=True)
class Constraint:
    """What a request says about the answer's form.

    `body` are fields of the request's body; `wrapped` says that the answer will be a
    label in a JSON object.
    """

    body: dict[str, Any] = field(default_factory=dict)
    wrapped: bool = False


NOTHING = Constraint()


def wants_structure(candidate: Candidate) -> bool:
    """Say whether the candidate asks for the eval's labels or schema as a constraint."""
    asked = candidate.parameters.get("structured_outputs")
    return bool(asked) and not isinstance(asked, dict)


def label_constraint(dialect: str, labels: tuple[str, ...]) -> Constraint:
    """Return how a dialect is told the allowed labels.

    Args:
        dialect: vllm, ollama, openai or none.
        labels: What may be answered.
    """
    if dialect == "none":
        return NOTHING
    if dialect == "vllm":
        return Constraint({"structured_outputs": {"choice": list(labels)}})
    schema = {
        "type": "object",
        "properties": {LABEL_KEY: {"type": "string", "enum": list(labels)}},
        "required": [LABEL_KEY],
        "additionalProperties": False,
    }
    return Constraint({"response_format": _json_schema(LABEL_KEY, schema, True)}, wrapped=True)


def schema_constraint(dialect: str, schema: Mapping[str, Any]) -> Constraint:
    """Return how a dialect is told a JSON schema of the eval.

    `strict` is asked for only where the schema keeps the rules that OpenAI sets for it:
    making a schema strict would change which answers are allowed.
    """
    if dialect == "none":
        return NOTHING
    return Constraint({"response_format": _json_schema("answer", dict(schema), is_strict(schema))})


def format_constraint(dialect: str, response_format: Mapping[str, Any]) -> Constraint:
    """Return how a dialect is told the format that the control was asked for.

    Args:
        dialect: vllm, ollama, openai or none.
        response_format: As it was logged: of chat completions, of responses (flat), or
            a bare JSON schema.
    """
    kind = response_format.get("type")
    if dialect == "none" or kind == "text":
        return NOTHING
    if kind == "json_schema":
        inner = response_format.get("json_schema")
        if not isinstance(inner, Mapping):
            inner = {key: value for key, value in response_format.items() if key != "type"}
        if "schema" not in inner:
            return Constraint({"response_format": dict(response_format)})
        named = {"name": "answer"} | {key: value for key, value in inner.items() if value is not None}
        return Constraint({"response_format": {"type": "json_schema", "json_schema": named}})
    if kind == "object" or (kind is None and "properties" in response_format):
        return schema_constraint(dialect, response_format)
    return Constraint({"response_format": dict(response_format)})


def constraint_of(
    request: Request, candidate: Candidate, eval_config: EvalConfig, dialect: str
) -> Constraint:
    """Return what one request says about the answer's form.

    The request's own format comes first: the candidate is held to what the control was.
    Without one, `parameters.structured_outputs = true` adds the eval's labels or schema.
    Beside tools nothing is added, since a constrained text could call none.
    """
    own = request.response_format
    if own:
        found = format_constraint(dialect, own)
        if found.body or own.get("type") != "text":
            return found
    if request.tools or not wants_structure(candidate):
        return NOTHING
    if eval_config.names_one_label and eval_config.labels:
        return label_constraint(dialect, eval_config.labels)
    if eval_config.kind is EvalKind.FIELDS and eval_config.schema:
        return schema_constraint(dialect, eval_config.schema)
    return NOTHING


def _json_schema(name: str, schema: dict[str, Any], strict: bool) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": name, "strict": strict, "schema": schema}}


def is_strict(schema: Any) -> bool:
    """Say whether every object of a schema requires all its properties and allows no others.

    Source: OpenAI, Structured Outputs, "Supported schemas".
    """
    if isinstance(schema, list | tuple):
        return all(is_strict(each) for each in schema)
    if not isinstance(schema, Mapping):
        return True
    kind = schema.get("type")
    if kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in schema:
        properties = schema.get("properties")
        if not isinstance(properties, Mapping) or schema.get("additionalProperties") is not False:
            return False
        if set(schema.get("required") or ()) != set(properties):
            return False
    parts = ("properties", "$defs", "definitions")
    nested = [each for key in parts for each in _values(schema.get(key))]
    nested += [schema.get(key) for key in ("items", "anyOf")]
    return all(is_strict(each) for each in nested)


def _values(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, Mapping) else []


def unwrap_label(text: str) -> str:
    """Return the label of `{"label": "..."}`; any other text as it is."""
    if not text.lstrip().startswith("{"):
        return text
    try:
        value = decode_json(text).value
    except Undecodable:
        return text
    if isinstance(value, dict) and len(value) == 1 and isinstance(value.get(LABEL_KEY), str):
        return str(value[LABEL_KEY])
    return text


@dataclass(frozen=True, slots=True)
class Detected:
    """What a server said about itself: the dialect, and by what it was recognised."""

    dialect: str
    by: str
    server: str = ""


def detect(models: Any, server: str, model: str | None) -> Detected | None:
    """Read the dialect off a server's list of models and its `Server` header.

    Args:
        models: The decoded reply to `GET /models`, whatever it is.
        server: The header, or an empty text.
        model: Which of the models will be asked.

    Returns:
        The dialect, or None where nothing tells.
    """
    rows = models.get("data") if isinstance(models, Mapping) else None
    listed = [each for each in rows if isinstance(each, Mapping)] if isinstance(rows, list) else []
    # The asked model's own row counts first: a gateway may list several servers' models.
    for row in sorted(listed, key=lambda each: each.get("id") != model):
        owner = row.get("owned_by")
        if isinstance(owner, str) and owner in _OWNERS:
            return Detected(_OWNERS[owner], f"owned_by {owner!r}", _SERVERS.get(owner, owner))
    name = server.casefold()
    for word, dialect in (("vllm", "vllm"), ("ollama", "ollama"), ("llama.cpp", "openai")):
        if word in name:
            return Detected(dialect, f"server {server!r}"[:100], _SERVERS.get(word, word))
    return None
