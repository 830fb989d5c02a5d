"""Files that are no logs as they stand, but hold one: what makes them one."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.errors import UsageError
from workbench.formats.chat import PARAMETERS
from workbench.formats.chunks import is_ollama
from workbench.formats.logged import is_answer, is_request
from workbench.formats.mapped import (
    FIELDS,
    LONGEST_MS,
    SPAN_TIMES,
    between,
    named_column,
    snake_case,
    suggest_mapping,
)
from workbench.formats.picking import EITHER, WHERE_PREFIX, conditions
from workbench.formats.pieces import are_stream, is_piece
from workbench.formats.registry import recognised
from workbench.formats.requests import BODY_KEYS
from workbench.formats.steps import split_path
from workbench.formats.turns import is_assistant
from workbench.normal import as_number, decode_nested

_PYTHON = ("{'", "[{'")
_ASKED = ("messages", "input", "prompt", "request")
_REQUEST_KEYS = PARAMETERS.union(*BODY_KEYS.values())
_BESIDE: Mapping[str, tuple[type, ...]] = {
    "model": (str,), "session": (str,), "latency_ms": (int, float), "input_tokens": (int,),
    "output_tokens": (int,),
}  # fmt: skip
"""Fields that logs keep in objects beside the bodies, with the types of their values."""
_TIMES = (*SPAN_TIMES, ("start", "end"))
_KINDS = frozenset(
    ("type", "kind", "span_type", "span_kind", "run_type", "observation_type", "event_type", "call_type")
)
_MODEL_KINDS = frozenset(
    ("llm", "chat", "chat_model", "chatmodel", "generation", "completion", "chat_completion", "llm_call")
)
"""What a log of all kinds of spans calls those of a model."""
_SURELY_MODELS = _MODEL_KINDS.difference(("chat", "completion"))
"""Words that a business has for nothing else."""
_OTHER_KINDS = frozenset(
    (
        "agent", "chain", "embedding", "embeddings", "evaluator", "guardrail", "middleware", "parser",
        "rerank", "reranker", "retrieval", "retriever", "span", "tool", "tool_call", "trace", "workflow",
    )
)  # fmt: skip
"""And what it calls others."""
_LOOKED_AT = 20
_DEPTH = 3
_DEPTH_BESIDE = 2
_OWN = frozenset(
    (
        "_source", "attributes", "body", "call", "completion", "data", "details", "event", "extra", "fields",
        "generation", "info", "input", "inputs", "invocation_params", "json_payload", "kwargs", "llm", "log",
        "meta", "metadata", "metric", "metrics", "model_config", "model_parameters", "output", "outputs",
        "params", "parameters", "payload", "performance", "prompt", "properties", "record", "req", "request",
        "request_body", "res", "response", "response_body", "response_metadata", "result", "span",
        "span_attributes", "stats", "statistics", "summary", "timing",
        "timings", "token_count", "token_counts", "token_usage", "tokens", "usage", "usage_metadata", "weave",
    )
)  # fmt: skip
"""Objects that tell of the call itself; a judge, a parent or a budget have models and tokens of their own."""
_ANSWERED = frozenset(("output", "outputs", "response", "completion", "answer", "result"))
"""A request with one of these beside it is an object that holds both: each lies deeper."""
_UNKNOWN = "COLUMN"
_LEAVES, _LEAF_CHARS = 12, 60
_STEPS = frozenset(".[]")
"""What a key can't hold where it is a step of a path."""
_WHOLE = "Log each call with its request beside its answer; the pieces of a stream may be a list."


def only_pieces(path: Path, objects: Sequence[Mapping[str, Any]]) -> UsageError | None:
    """Return the error for a file whose records are the pieces of streamed answers; None for others."""
    # The last piece of Ollama's looks like a whole answer of its; without the others it is one.
    if all(each.get("done") is True for each in objects):
        return None
    if not all(map(is_piece, objects)) and (any(map(is_answer, objects)) or not are_stream(objects)):
        return None
    return UsageError(f"{path} holds the pieces of streamed answers, and not what was asked.", _WHOLE)


def only_answers(path: Path, objects: Sequence[Mapping[str, Any]]) -> UsageError | None:
    """Return the error for a file of answers alone, such as a list of stored completions; None for others."""
    answers = (is_answer(each) or is_ollama(each) for each in objects)
    if not objects or not all(answers) or any(any(map(each.get, _ASKED)) for each in objects):
        return None
    return UsageError(
        f"{path} holds answers, and not what was asked.",
        "Log each call with its request beside its answer. For OpenAI's stored completions, fetch the "
        "messages of each by its id, and write them beside the answer as messages.",
    )


def only_events(path: Path) -> UsageError:
    """Return the error for a file that is the text of a stream."""
    return UsageError(f"{path} is a streamed answer as text, and not what was asked.", _WHOLE)


def behind_text(path: Path, before: str) -> UsageError:
    """Return the error for lines of JSON behind something else, such as a time and a level.

    Args:
        path: The file.
        before: What stands before the JSON of one line.
    """
    cut = f"sed 's/^[^{{]*//' {shlex.quote(path.name)} > calls.jsonl"
    return UsageError(
        f"{path} holds JSON behind other text: its lines begin with {before[:60]!r}.",
        f"Cut that off, and import what is left: {cut}",
    )


def how_to_unwrap(value: Mapping[str, Any]) -> str:
    """Say how a known log is read out of a collector's records; empty where none lies in them."""
    for key, item in value.items():
        inner = decode_nested(item)
        found = recognised(inner) if isinstance(inner, dict) else None
        if found is not None:
            packed = " | fromjson" if isinstance(item, str) else ""
            taken = shlex.quote(f'.["{key}"]{packed}')
            return (
                f"What lies in {key!r} looks like {found[0].name}. Write it out and import that file, for "
                f"example: jq -c {taken} FILE > calls.jsonl"
            )
    return ""


def only_requests(path: Path, objects: Sequence[Mapping[str, Any]]) -> UsageError | None:
    """Return the error for a file of requests as they were sent; None for others."""
    if not objects or not all(is_request(each) and _REQUEST_KEYS.issuperset(each) for each in objects):
        return None
    return UsageError(
        f"{path} holds requests and no answers.",
        'Log each with its answer beside, as {"request": ..., "response": ...} on one line. Where the '
        "answers are in another file, tie the two by an id as OpenAI's Batch API does (custom_id with body "
        f"here, with response there), and import both at once.{_as_traffic(path, objects)}",
    )


def _as_traffic(path: Path, objects: Sequence[Mapping[str, Any]]) -> str:
    """Say how requests are read without answers; empty where nothing surely helps."""
    if all(recognised({"request": each}) is not None for each in objects):
        how = f"jq -c '{{request: .}}' {shlex.quote(path.name)} > calls.jsonl"
    else:
        texts = (key for key in sorted(BODY_KEYS["messages"]) if all(_is_text(each, key) for each in objects))
        if (key := next(texts, None)) is None:
            return ""
        how = f"--map input={key}"
    return f" The requests alone are read as traffic: {how}"


def _is_text(value: Mapping[str, Any], key: str) -> bool:
    return isinstance(value.get(key), str) and isinstance(decode_nested(value[key]), str)


def example_mapping(columns: Sequence[str], objects: Sequence[Mapping[str, Any]]) -> str:
    """Return the options of the mapping that is proposed for a log; `COLUMN` is for a person to say.

    Args:
        columns: The names of its columns.
        objects: Its first records.
    """
    chosen = propose_mapping(columns, objects)
    if "messages" not in chosen:
        chosen.setdefault("input", _UNKNOWN)
    is_left = not set(columns) <= {str(split_path(each)[0]) for each in chosen.values()}
    if is_left:
        chosen.setdefault("output", _UNKNOWN)
    inner = _leaves(objects) if _UNKNOWN in chosen.values() else ()
    names = (name for name in FIELDS if name in chosen and name != "gold")
    options = " ".join(f"--map {shlex.quote(f'{name}={chosen[name]}')}" for name in names)
    for place, wanted in conditions(chosen).items():
        options += f" --where {shlex.quote(f'{place}={wanted}')}"
    lacking = "" if "output" in chosen else " (no column is left that could hold the answers)"
    within = f" (inside the columns lie {', '.join(inner)})" if inner else ""
    return options + lacking + within


def propose_mapping(columns: Sequence[str], objects: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Propose a mapping that fits a log: by what its records hold, else by its columns' names.

    Whoever takes it as it stands loses nothing that the log says: a system prompt beside the question, the
    model, the time, the tokens.

    Args:
        columns: The names of its columns.
        objects: Its first records.

    Returns:
        Field to column or path; what is asked or answered is missing where it can't be found.
    """
    guess = suggest_mapping(columns)
    field = "messages" if "messages" in guess else "input"
    asked, whole = _place(objects, guess.pop(field, None), _asks)
    answered, _ = _place(objects, guess.pop("output", None), _answers)
    if field == "input" and asked is None:
        asked = _beside(objects, field, (str,), (answered,))
    answered = answered or _beside(objects, "output", (str,), (asked,))
    if whole:
        # A body has its own system prompt, and would get a second one.
        guess.pop("system", None)
    chosen = {name: column for name, column in guess.items() if column not in (asked, answered)}
    places = {field: asked, "output": answered}
    chosen |= {name: place for name, place in places.items() if place is not None}
    for name, kinds in _BESIDE.items():
        if name not in chosen and (found := _beside(objects, name, kinds, (asked, answered))) is not None:
            chosen[name] = found
    if (column := chosen.get("latency_ms")) and any(_is_moment(each.get(column)) for each in objects):
        del chosen["latency_ms"]
        chosen.setdefault("time", column)
    if "end_time" in chosen and not _are_spans(objects, chosen):
        del chosen["end_time"]
    if "latency_ms" not in chosen:
        chosen |= _span_times(objects, (asked, answered))
    return chosen | _of_models(objects, (asked, answered))


def _asks(value: Any) -> bool:
    """Tell whether something is a request's body or its messages, and nothing that holds an answer, too."""
    holds_both = isinstance(value, dict) and not _ANSWERED.isdisjoint(value)
    return is_request(value) and not holds_both and not _is_said(value)


def _answers(value: Any) -> bool:
    """Tell whether something is an answer, or messages of the model alone, as spans list what they gave."""
    return is_answer(value) or _is_said(value)


def _is_said(value: Any) -> bool:
    said = value.get("messages") if isinstance(value, dict) else value
    return isinstance(said, list) and bool(said) and all(
        isinstance(each, dict) and is_assistant(each.get("role")) for each in said
    )  # fmt: skip


def _leaves(objects: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return where values lie inside the columns that hold objects, the first ones."""
    level: list[tuple[str, Any]] = [("", objects[0])] if objects else []
    found: list[str] = []
    for depth in range(_DEPTH + 1):
        level = _inside(level)
        if depth:
            found += [place for place, held in level if not isinstance(held, dict) and place.isprintable()]
    return [each if len(each) <= _LEAF_CHARS else f"{each[:_LEAF_CHARS]}…" for each in found[:_LEAVES]]


def _beside(
    objects: Sequence[Mapping[str, Any]], field: str, kinds: tuple[type, ...], bodies: Sequence[str | None]
) -> str | None:
    """Return where a field lies among what a log keeps beside the bodies, such as `metrics.prompt_tokens`."""
    for value in objects[:_LOOKED_AT]:
        for place, held in _own(value, bodies):
            column = named_column(field, (key for key in held if not _STEPS.intersection(key)))
            if place and column is not None and type(held[column]) in kinds:
                return f"{place}.{column}"
    return None


def _span_times(objects: Sequence[Mapping[str, Any]], bodies: Sequence[str | None]) -> dict[str, str]:
    """Return where begin and end of a call lie, one beside the other, such as `metrics.start`."""
    for value in objects[:_LOOKED_AT]:
        for place, held in _own(value, bodies):
            names = {snake_case(key): key for key in held if not _STEPS.intersection(key)}
            for pair in _TIMES:
                keys = [names[name] for name in pair if name in names]
                if len(keys) == len(pair) and between(*(held[key] for key in keys)) is not None:
                    before = f"{place}." if place else ""
                    return {"time": before + keys[0], "end_time": before + keys[1]}
    return {}


def _is_moment(value: Any) -> bool:
    """Say whether a number that could be milliseconds of a call is one since 1970."""
    number = as_number(value)
    return number is not None and number > LONGEST_MS


def _are_spans(objects: Sequence[Mapping[str, Any]], chosen: Mapping[str, str]) -> bool:
    """Say whether what two columns hold can be begin and end of calls, as their names say."""
    begin, end = chosen.get("time"), chosen["end_time"]
    pairs = [(each.get(begin), each.get(end)) for each in objects] if begin is not None else []
    told = [pair for pair in pairs if None not in pair]
    return begin is not None and (not told or any(between(*pair) is not None for pair in told))


def _of_models(objects: Sequence[Mapping[str, Any]], bodies: Sequence[str | None]) -> dict[str, str]:
    """Return the condition that picks calls of models where a log holds spans of other kinds, too."""
    found: dict[str, set[str]] = {}
    for value in objects:
        for place, held in _own(value, bodies):
            for key, said in held.items():
                if snake_case(key) in _KINDS and isinstance(said, str):
                    found.setdefault(f"{place}.{key}" if place else key, set()).add(said)
    for place, kinds in found.items():
        models = sorted(each for each in kinds if snake_case(each) in _MODEL_KINDS)
        # "chat" beside "email" is no kind of span: a condition on it would lose all that came by mail.
        others = {snake_case(each) for each in kinds}.difference(_MODEL_KINDS)
        surely = any(snake_case(each) in _SURELY_MODELS for each in models)
        if models and (others if surely else others & _OTHER_KINDS):
            return {WHERE_PREFIX + place: EITHER.join(models)}
    return {}


def _own(value: Mapping[str, Any], bodies: Sequence[str | None]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give a record, and what it keeps beside the bodies in objects that tell of the call itself."""
    level: list[tuple[str, Any]] = [("", value)]
    yield "", value
    for _ in range(_DEPTH_BESIDE):
        level = [
            (place, held) for place, held in _inside(level)
            if isinstance(held, dict) and place not in bodies and snake_case(place.split(".")[-1]) in _OWN
        ]  # fmt: skip
        yield from level


def _inside(level: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return what lies one step deeper, each with its place."""
    return [
        (f"{place}.{key}" if place else key, decode_nested(item))
        for place, held in level if isinstance(held, dict)
        for key, item in held.items() if isinstance(key, str) and not _STEPS.intersection(key)
    ]  # fmt: skip


def _place(
    objects: Sequence[Mapping[str, Any]], named: str | None, tell: Callable[[Any], bool]
) -> tuple[str | None, bool]:
    """Return where in the records something lies, and whether it is a body.

    Args:
        objects: The records.
        named: The column whose name fits; it counts where it holds text.
        tell: Whether something decoded is it.
    """
    for value in objects[:_LOOKED_AT]:
        said = value.get(named) if named else None
        if isinstance(said, str) and said and isinstance(decode_nested(said), str):
            return named, False
        level: list[tuple[str, Any]] = [("", value)]
        for _ in range(_DEPTH):
            level = _inside(level)
            for place, held in level:
                if tell(held):
                    return place, isinstance(held, dict)
    return named, False


def is_python(line: str) -> bool:
    """Tell whether a line is what Python prints of an object, which is no JSON."""
    return line.lstrip().startswith(_PYTHON)
