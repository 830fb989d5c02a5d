"""CSV, Parquet and any JSONL, with a mapping from fields to columns or JSON paths."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from typing import Any

from workbench.errors import UsageError, did_you_mean
from workbench.formats.base import Draft, Mark, OutputDraft, Parsed, Passed, Unreadable, task_of
from workbench.formats.logged import is_asked, read_logged, refuse_cut
from workbench.formats.picking import WHERE_PREFIX, Picking, as_option, place_of, values_of
from workbench.formats.requests import read_request
from workbench.formats.steps import MISSING, follow, split_path
from workbench.normal import as_count, as_number, as_text, decode_nested, to_utc
from workbench.records import ErrorKind, Message, Output, OutputError, Request

FIELDS = (
    "id", "time", "end_time", "model", "session", "system", "input", "messages", "output", "gold",
    "latency_ms", "input_tokens", "output_tokens",
)  # fmt: skip
ATTRIBUTE_PREFIX = "attributes."

MAX_HINT_DEPTH = 6
_MILLISECOND = timedelta(milliseconds=1)
LONGEST_MS = 86_400_000.0
"""No call takes longer than a day: what lies further apart are other times."""
_SECONDS, _NUMBER = re.compile(r"\d:\d\d:\d\d|T\d{6}"), re.compile(r"\d{9,}(?:\.\d+)?")
_ZONE = re.compile(r"(?:Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)$", re.IGNORECASE)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_GUESSES: dict[str, tuple[str, ...]] = {
    "id": (
        "id", "row", "row_id", "call_id", "request_id", "uuid", "span_id", "log_id", "generation_id",
        "completion_id", "observation_id", "idx", "index",
    ),
    "time": (
        "time", "timestamp", "created_at", "datetime", "created", "occurred_at", "start_time", "started_at",
        "request_start_time", "logging_time", "ts", "@timestamp", "start_ns", "start_time_unix_nano",
        "timestamp_ms", "ts_ms", "event_time", "date", "datum", "zeit", "fecha",
    ),
    "model": (
        "model", "model_name", "engine", "model_id", "response_model", "ai_model", "llm_model",
        "ls_model_name", "llm", "llm_name", "model_used", "deployment", "deployment_name", "modell", "modelo",
        "modèle",
    ),
    "session": ("session", "session_id", "conversation_id", "thread_id"),
    "system": ("system", "system_prompt", "system_message", "instructions", "instruction"),
    "messages": ("messages", "chat", "conversation"),
    "input": (
        "input", "text", "prompt", "question", "query", "user_message", "user_prompt", "user_input", "user",
        "content", "request", "utterance", "inputs", "request_body", "frage", "eingabe", "pregunta",
        "entrada", "質問", "入力", "context", "document", "passage",
    ),
    "output": (
        "output", "completion", "response", "answer", "prediction", "generation", "reply", "result",
        "assistant_response", "assistant_message", "assistant", "model_output", "response_body", "outputs",
        "predicted", "generated", "antwort", "ausgabe", "réponse", "respuesta", "salida", "回答", "出力",
    ),
    "gold": (
        "gold", "label", "expected", "truth", "target", "ground_truth", "category", "intent", "reference",
        "reference_answer", "expected_output", "expected_answer",
    ),
    "latency_ms": ("latency_ms", "duration_ms", "response_time_ms", "elapsed_ms", "time_ms"),
    "input_tokens": (
        "input_tokens", "prompt_tokens", "input_token_count", "prompt_token_count", "tokens_prompt",
        "tokens_in", "request_units", "req_units",
    ),
    "output_tokens": (
        "output_tokens", "completion_tokens", "output_token_count", "completion_token_count",
        "tokens_completion", "tokens_out", "response_units", "res_units",
    ),
}  # fmt: skip
_SIGNS, _FORM = re.compile(r"[\W_]+"), re.compile(r"_(?:text|json|content|raw|body|str|string)$")
_WHOSE = {
    "input": re.compile(r"^(?:user|customer|full|original|raw)_"),
    "output": re.compile(r"^(?:model|llm|gpt|ai|bot|final|full|raw)_"),
}
"""What stands before the names of columns that hold the bodies."""
SPAN_TIMES = (
    ("start_time", "end_time"), ("started_at", "ended_at"), ("started_at", "finished_at"),
    ("started_at", "completed_at"), ("request_start_time", "request_end_time"),
)  # fmt: skip
"""Columns that together say how long a call took: its begin and its end."""


class Mapped:
    """Any table or JSONL whose columns a mapping names.

    Args:
        mapping: Field to column name or JSON path.
        outputs_only: Read only id and output, as for outputs made elsewhere.
    """

    name = "mapped"
    title = "CSV, Parquet or JSONL with --map FIELD=COLUMN"

    def __init__(self, mapping: Mapping[str, str], *, outputs_only: bool = False) -> None:
        check_fields(mapping, outputs_only=outputs_only)
        self._mapping = dict(mapping)
        self._outputs_only = outputs_only
        self.picking = Picking(mapping)
        self._paths = {
            field: split_path(path) for field, path in mapping.items() if not field.startswith(WHERE_PREFIX)
        }
        self._attributes = [key for key in mapping if key.startswith(ATTRIBUTE_PREFIX)]
        self._used = {steps[0] for steps in self._paths.values()} | {mapping[field] for field in self._paths}

    def recognise(self, value: Mapping[str, Any]) -> str | None:
        """Nothing in a file says so: a mapping has to be given."""
        return None

    def parse(self, value: Mapping[str, Any]) -> Sequence[Parsed]:
        """Read one row; one that the mapping does not pick is passed over.

        Raises:
            Unreadable: The id or the input is missing.
        """
        reason = self.picking.why_not(value)
        if reason is not None:
            return [Passed(reason)]
        marks: list[str] = []
        control_marks: list[str] = []
        identity = self._get(value, "id")
        if "id" in self._mapping and (identity is None or identity == ""):
            raise Unreadable(f"the id ({self._mapping['id']}) is empty")
        native_id = as_text(identity) if identity is not None else None
        control = self._control(value, control_marks)
        if self._outputs_only:
            if control is None:
                control = Output(error=OutputError(ErrorKind.MISSING, "the output is missing"))
            return [OutputDraft(native_id or "", control, None, control_marks)]
        if control is not None and control.latency_ms is None and control.error is None:
            control_marks.append(Mark.NO_LATENCY)
        time = self._get(value, "time")
        occurred_at = to_utc(time)
        if time not in (None, "") and occurred_at is None:
            marks.append(Mark.BAD_TIME)
        gold, session, model = (self._text(value, key) for key in ("gold", "session", "model"))
        attributes = {
            key.removeprefix(ATTRIBUTE_PREFIX): found
            for key in self._attributes
            if (found := self._get(value, key)) is not None
        }
        task = attributes.get("task")
        request, asked = self._request(value, marks)
        return [
            Draft(
                request=request,
                native_id=native_id,
                control=control,
                occurred_at=occurred_at,
                session_id=session,
                model=model or (control.model if control else None) or asked,
                task=task_of(task),
                gold=gold,
                attributes=attributes,
                rest={
                    key: item
                    for key, item in value.items()
                    if key not in self._used and item not in (None, "")
                },
                marks=marks,
                control_marks=control_marks,
            )
        ]

    def _get(self, value: Mapping[str, Any], field: str) -> Any:
        path = self._mapping.get(field)
        if path is None:
            return None
        if path in value:
            return value[path]
        found = follow(value, self._paths[field])
        return None if found is MISSING else found

    def _text(self, value: Mapping[str, Any], field: str) -> str | None:
        found = self._get(value, field)
        return as_text(found) if found is not None and found != "" else None

    def _request(self, value: Mapping[str, Any], marks: list[str]) -> tuple[Request, str | None]:
        """Return what was asked, and the model that its body names."""
        model: str | None = None
        field = "messages" if "messages" in self._mapping else "input"
        found = self._get(value, field)
        if found is None or found == "":
            raise Unreadable(f"the {field} ({self._mapping[field]}) is empty")
        nested = decode_nested(found)
        refuse_cut(nested)
        # One text under one key is no body: it is JSON that the model was asked about.
        alone = isinstance(nested, dict) and len(nested) == 1 and isinstance(next(iter(nested.values())), str)
        if is_asked(nested) and not alone:
            request = read_request(nested, marks)
            named = nested.get("model") if isinstance(nested, dict) else None
            model = named if isinstance(named, str) and named else None
        elif field == "messages" and not isinstance(nested, str):
            raise Unreadable(f"the messages ({self._mapping[field]}) are not a list of objects with roles")
        else:
            request = Request((Message("user", as_text(found)),))
        system = self._text(value, "system")
        if system:
            request = replace(request, messages=(Message("system", system), *request.messages))
        return request, model

    def _latency_ms(self, value: Mapping[str, Any]) -> float | None:
        """Return what a column says of it, or else the time from begin to end."""
        latency_ms = as_number(self._get(value, "latency_ms"))
        if latency_ms is None:
            latency_ms = between(self._get(value, "time"), self._get(value, "end_time"))
        possible = latency_ms is not None and 0 <= latency_ms <= LONGEST_MS
        return latency_ms if possible else None

    def _control(self, value: Mapping[str, Any], marks: list[str]) -> Output | None:
        if "output" not in self._mapping:
            return None
        found = self._get(value, "output")
        if found is None:
            return None
        latency_ms = self._latency_ms(value)
        model = self._text(value, "model")
        text = as_text(found)
        if not text.strip():
            marks.append(Mark.EMPTY_OUTPUT)
            error = OutputError(ErrorKind.EMPTY, "the answer is empty")
            read = Output(text=text, latency_ms=latency_ms, error=error)
        else:
            # A column may hold an answer's text, or all that a provider sent, a stream as text among it.
            logged = read_logged(found, marks, latency_ms)
            if logged is None and Mark.STREAM_NOT_REBUILT in marks:
                return None
            read = logged or Output(text=text, latency_ms=latency_ms)
        named = {name: as_count(self._get(value, name)) for name in ("input_tokens", "output_tokens")}
        counts = {name: count for name, count in named.items() if count is not None}
        cached = read.usage.cached_input_tokens or 0
        if cached and counts.get("input_tokens") == (read.usage.input_tokens or 0) + cached:
            # The column has the sum, of which the answer's body tells the parts.
            del counts["input_tokens"]
        return replace(read, model=model or read.model, usage=replace(read.usage, **counts))


def check_fields(mapping: Mapping[str, str], *, outputs_only: bool = False) -> None:
    """Check the fields that a mapping names.

    Raises:
        UsageError: A field is unknown, or one that is needed is not mapped.
    """
    for field in mapping:
        prefixes = (ATTRIBUTE_PREFIX,) if outputs_only else (ATTRIBUTE_PREFIX, WHERE_PREFIX)
        if field not in FIELDS and not any(
            field.startswith(prefix) and len(field) > len(prefix) for prefix in prefixes
        ):
            hint = did_you_mean(field, [*FIELDS, "attributes.NAME"])
            raise UsageError(f"--map: there is no field {field!r}.", hint)
        if field.startswith(WHERE_PREFIX) and not values_of(mapping[field]):
            place = field.removeprefix(WHERE_PREFIX)
            raise UsageError(
                f"--where {place}={mapping[field]} names no value.", f"For example --where {place}=llm."
            )
    if outputs_only:
        missing = [field for field in ("id", "output") if field not in mapping]
        if missing:
            raise UsageError(f"The mapping lacks {' and '.join(missing)}.", "Map both id and output.")
    elif "input" in mapping and "messages" in mapping:
        raise UsageError("--map names both input and messages.", "Keep one: they are the same field.")
    elif "input" not in mapping and "messages" not in mapping:
        raise UsageError("--map names no input.", "Add --map input=COLUMN.")
    elif "end_time" in mapping and "time" not in mapping:
        raise UsageError("--map names an end_time and no time.", "Add --map time=COLUMN: when a call began.")


def check_columns(mapping: Mapping[str, str], columns: Iterable[str], file: str) -> None:
    """Check that every mapped column is there.

    Args:
        mapping: Field to column name or JSON path.
        columns: The columns of a table, or the keys seen in the first records.
        file: The file, for the message.

    Raises:
        UsageError: One is not; the hint names the closest column.
    """
    known = list(columns)
    for field, said in mapping.items():
        path, option = place_of(field, said), as_option(field, said)
        if path not in known and split_path(path)[0] not in known:
            named = [each for each in known if each.startswith(f"{path} (")]
            if len(named) > 1:
                raise UsageError(
                    f"{file} has no column {path!r} of its own ({option}).",
                    f"Several have that name: write {' or '.join(map(repr, named[:3]))}.",
                )
            shown = known if len(known) <= 40 else get_close_matches(path, known, n=5, cutoff=0.3)
            raise UsageError(f"{file} has no column {path!r} ({option}).", did_you_mean(path, shown))


def check_paths(mapping: Mapping[str, str], values: Iterable[Mapping[str, Any]], file: str) -> None:
    """Check that every JSON path leads somewhere in at least one record.

    Args:
        mapping: Field to column name or JSON path.
        values: The first records, read only where a path needs it.
        file: The file, for the message.

    Raises:
        UsageError: One does not; the hint names the closest path that does.
    """
    places = {as_option(field, said): place_of(field, said) for field, said in mapping.items()}
    deep = {option: path for option, path in places.items() if len(split_path(path)) > 1}
    if not deep:
        return
    seen, known = 0, dict[str, None]()
    for value in values:
        seen += 1
        known.update(dict.fromkeys(_paths_of(value)))
        for option, path in list(deep.items()):
            if path in value or follow(value, split_path(path)) is not MISSING:
                del deep[option]
        if not deep:
            return
    for option, path in deep.items() if seen else ():
        close = get_close_matches(path.removeprefix("$."), known, n=1)
        raise UsageError(
            f"{file}: nothing lies at {path!r} ({option}) in the first {seen:,} records.",
            f"Did you mean {close[0]!r}?" if close else "Write the path as keys and [numbers], from the top.",
        )


def _paths_of(value: Any, place: str = "", depth: int = 0) -> Iterator[str]:
    """Yield the paths in a record, going into JSON text, not beyond a sensible depth."""
    value = decode_nested(value) if isinstance(value, str) and place else value
    inner: Iterable[tuple[str, Any]] = ()
    if isinstance(value, dict):
        inner = [(f"{place}.{key}" if place else str(key), below) for key, below in list(value.items())[:50]]
    elif isinstance(value, list) and value:
        inner = [(f"{place}[0]", value[0])]
    for path, below in inner:
        yield path
        if depth < MAX_HINT_DEPTH:
            yield from _paths_of(below, path, depth + 1)


def snake_case(name: str) -> str:
    """Return the name of a column as Python writes names, `inputTokens` as `input_tokens`."""
    return _HUMP.sub("_", name.strip()).lower().replace(" ", "_").replace("-", "_")


def between(begin: Any, end: Any) -> float | None:
    """Return the milliseconds from a begin to an end; None where that can't be what a call took.

    One is no time to the second, or one alone has a zone, or the end is before the begin or more than a day
    behind it.
    """
    zones = {_has_zone(each) for each in (begin, end)}
    if None in zones or len(zones) > 1:
        return None
    first, last = to_utc(begin), to_utc(end)
    if first is None or last is None:
        return None
    taken_ms = (last - first) / _MILLISECOND
    return taken_ms if 0 <= taken_ms <= LONGEST_MS else None


def _has_zone(time: Any) -> bool | None:
    """Say whether a time is one of the whole world; None where it is no time to the second."""
    if isinstance(time, datetime):
        return time.tzinfo is not None
    if isinstance(time, str) and not _NUMBER.fullmatch(time.strip()):
        return _ZONE.search(time.strip()) is not None if _SECONDS.search(time) else None
    return None if isinstance(time, date) else True


def named_column(field: str, columns: Iterable[str]) -> str | None:
    """Return the column whose name fits a field best, as `inputTokens` does; None where none does."""
    by_name = {snake_case(column): column for column in columns}
    found = next((by_name[name] for name in _GUESSES[field] if name in by_name), None)
    if found is None:
        # Such as "Model response", "answer_text" and "Latency (ms)".
        bare = {_bare(name, field): column for name, column in reversed(by_name.items())}
        found = next((bare[name] for name in _GUESSES[field] if name in bare), None)
    return found


def _bare(name: str, field: str) -> str:
    """Return a column's name without signs and, of a body, without whose it is and that it is text."""
    name = _SIGNS.sub("_", name).strip("_")
    if field not in _WHOSE:
        return name
    bare = _FORM.sub("", _WHOSE[field].sub("", name))
    return name if bare == "text" else bare


def suggest_mapping(columns: Sequence[str]) -> dict[str, str]:
    """Suggest a mapping from the names of columns.

    Returns:
        Field to column, for the fields that a name fits; each column once.
    """
    mapping: dict[str, str] = {}
    for field in _GUESSES:
        column = named_column(field, columns)
        if column is not None and column not in mapping.values():
            mapping[field] = column
    by_name = {snake_case(column): column for column in columns}
    for begin, end in SPAN_TIMES if "latency_ms" not in mapping else ():
        if begin in by_name and end in by_name:
            mapping |= {"time": by_name[begin], "end_time": by_name[end]}
            break
    if "messages" in mapping:
        mapping.pop("input", None)
    return mapping
