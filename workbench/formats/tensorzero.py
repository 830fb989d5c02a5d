"""TensorZero: chat and JSON inferences, the model inferences below them, and feedback."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from workbench.formats.answers import output_of
from workbench.formats.base import Draft, Feedback, Mark, OutputDraft, Parsed, Part, Passed, Unreadable
from workbench.formats.chat import add
from workbench.formats.drafts import as_list, as_mapping, feedback, id_of, make_draft, truthy
from workbench.formats.requests import read_parameters, read_response_format, read_tools
from workbench.formats.turns import read_turns
from workbench.normal import as_count, as_number, as_text, decode_nested
from workbench.records import Message, Output, Request, Usage

_JUDGES = ("tensorzero::llm_judge", "tensorzero::optimization")
_TESTS = ("tensorzero::evaluation", "tensorzero::datapoint_id", "tensorzero::dataset")


def time_of_uuid7(text: Any) -> datetime | None:
    """Return the time that a UUID of version 7 begins with (RFC 9562); None for any other."""
    try:
        found = uuid.UUID(as_text(text))
    except ValueError:
        return None
    if found.version != 7:
        return None
    return datetime.fromtimestamp((found.int >> 80) / 1000, UTC)


class TensorZero:
    """Rows of ChatInference, JsonInference, ModelInference and of the feedback tables."""

    name = "tensorzero"
    title = "TensorZero inferences and feedback"
    late = None

    def recognise(self, value: Mapping[str, Any]) -> str | None:
        """Say whether a record is a row of TensorZero's tables."""
        if "function_name" in value and "episode_id" in value and "input" in value:
            return "function_name, episode_id and input"
        if "inference_id" in value and ("raw_request" in value or "model_provider_name" in value):
            return "inference_id and raw_request"
        if "target_id" in value and "value" in value and ("metric_name" in value or "target_type" in value):
            return "feedback's target_id and value"
        if "inference_id" in value and "value" in value and ("tags" in value or "function_name" in value):
            return "inference_id and value"
        return None

    def is_early(self, value: Mapping[str, Any]) -> bool:
        """Say whether a file that begins so is read before the others: it adds to their calls."""
        return "inference_id" in value and ("raw_request" in value or "model_provider_name" in value)

    def parse(self, value: Mapping[str, Any]) -> Sequence[Parsed]:
        """Read one row.

        Raises:
            Unreadable: It is of none of these tables, or can't be read.
        """
        if self.is_early(value):
            key = id_of(value["inference_id"])
            if key is None:
                raise Unreadable("the model inference names no inference")
            kept = {
                name: item
                for name, item in value.items()
                if name not in ("raw_request", "raw_response", "output")
            }
            return [Part(key, kept, size=len(as_text(kept)))]
        if "function_name" in value and "key" in value and "input" not in value:
            return [Passed("a row of an index of tags: the inference holds them, too")]
        if "function_name" not in value:
            return [_feedback(value)]
        if "dataset_name" in value:
            return [Passed("a datapoint of a dataset, which people may have edited: no recorded call")]
        return [_inference(value)]

    def attach(self, draft: Draft, parts: Sequence[Part]) -> None:
        """Add tokens, model and the rendered prompt of the model inferences to their inference."""
        rows = [as_mapping(each.data) for each in parts]
        if any(truthy(row.get("cached")) for row in rows):
            add(draft.marks, Mark.CACHE_HIT)
        if draft.control is not None:
            draft.control = _used(rows, draft.control)
            draft.model = draft.control.model or draft.model
        if Mark.NOT_RENDERED in draft.marks and (messages := _rendered(rows, draft.marks)):
            draft.request = replace(draft.request, messages=messages)
            draft.marks.remove(Mark.NOT_RENDERED)

    def assemble(self, parts: Sequence[Part]) -> OutputDraft:
        """Return tokens, model and the rendered prompt for an inference that came before.

        A stored request stays what it is until a person takes the prompt in its place.
        """
        rows = [as_mapping(each.data) for each in parts]
        marks: list[str] = [Mark.CACHE_HIT] if any(truthy(row.get("cached")) for row in rows) else []
        asked: list[str] = []
        messages = _rendered(rows, asked)
        return OutputDraft(
            parts[0].key,
            _used(rows, Output()),
            None,
            marks,
            key_name="inference_id",
            adds=True,
            request=Request(messages) if messages else None,
            request_marks=asked,
        )


def _rendered(rows: Sequence[Mapping[str, Any]], marks: list[str]) -> tuple[Message, ...]:
    """Return the prompt that the model saw; none where it is odd, or several models had one of their own."""
    messages = as_list(rows[0].get("input_messages")) if len(rows) == 1 else []
    if not messages:
        return ()
    system = rows[0].get("system")
    head = (Message("system", as_text(system)),) if system else ()
    found: list[str] = []
    try:
        turns = read_turns(messages, found)
    except Unreadable:
        return ()  # Tokens and model hold all the same.
    for mark in found:
        add(marks, mark)
    return (*head, *turns)


def _used(rows: Sequence[Mapping[str, Any]], output: Output) -> Output:
    """Return an output with the tokens of all of its model inferences, and the model of the last."""
    counts = [[as_count(row.get(key)) for row in rows] for key in ("input_tokens", "output_tokens")]
    asked, answered = (None if None in each else sum(n for n in each if n is not None) for each in counts)
    first = as_number(rows[0].get("ttft_ms")) if len(rows) == 1 else None
    return replace(
        output,
        usage=Usage(asked, None, answered),
        model=id_of(rows[-1].get("model_name")) or output.model,
        time_to_first_token_ms=output.time_to_first_token_ms or first,
        finish_reason=output.finish_reason or id_of(rows[-1].get("finish_reason")),
    )


def _inference(value: Mapping[str, Any]) -> Draft:
    native_id = id_of(value.get("id"))
    if native_id is None:
        raise Unreadable("the inference has no id")
    marks: list[str] = []
    control_marks: list[str] = []
    asked = as_mapping(value.get("input"))
    system, listed = asked.get("system"), as_list(asked.get("messages"))
    nothing = system in (None, "") and not listed
    if nothing and not isinstance(decode_nested(asked.get("messages")), list):
        raise Unreadable("the inference has no input")
    if nothing or not isinstance(system, str | None) or any(_has_arguments(each) for each in listed):
        # The variant's template decides what the model saw; the log holds its arguments alone, if any.
        add(marks, Mark.NOT_RENDERED)
    messages = read_turns(listed, marks) if listed else ()
    if system not in (None, ""):
        messages = (Message("system", as_text(system)), *messages)
    offered = _offered(value, marks)
    parameters = as_mapping(as_mapping(value.get("inference_params")).get("chat_completion"))
    choice, parallel = (_either(value, name) for name in ("tool_choice", "parallel_tool_calls"))
    request = Request(
        messages=messages,
        tools=read_tools(offered),
        response_format=read_response_format(value),
        parameters=read_parameters(
            {**parameters, "tool_choice": _choice(choice), "parallel_tool_calls": parallel}
        ),
    )
    tags = as_mapping(value.get("tags"))
    function = as_text(value.get("function_name") or "")
    if function.startswith(_JUDGES) or any(as_text(key).startswith(_TESTS) for key in tags):
        add(marks, Mark.INTERNAL)
    attributes = {**tags, "variant": value.get("variant_name")}
    draft = make_draft(
        request,
        _answer(value.get("output"), control_marks),
        native_id=native_id,
        time=time_of_uuid7(native_id) or value.get("timestamp"),
        latency_ms=as_number(value.get("processing_time_ms")),
        first_token_ms=as_number(value.get("ttft_ms")),
        session=value.get("episode_id"),
        task=function or None,
        attributes=attributes,
        marks=marks,
    )
    draft.control_marks = [*control_marks, *draft.control_marks]
    draft.part_key = native_id
    return draft


def _either(value: Mapping[str, Any], name: str) -> Any:
    """Return what a row says of its tools in a column of its own, or, as older ones do, in `tool_params`."""
    found = value.get(name)
    return found if found not in (None, "") else as_mapping(value.get("tool_params")).get(name)


def _offered(value: Mapping[str, Any], marks: list[str]) -> list[Any]:
    """Return the tools of an inference.

    Older rows hold them all. Newer ones hold those of the request, and the names of all that were allowed:
    what the function's own tools are called for stands in TensorZero's configuration.
    """
    older = as_mapping(value.get("tool_params"))
    if older:
        return as_list(older.get("tools_available"))
    found: list[Any] = [as_mapping(each) for each in as_list(value.get("dynamic_tools"))]
    own = [as_mapping(each).get("tool") for each in as_list(value.get("dynamic_provider_tools"))]
    allowed = [as_text(each) for each in as_list(as_mapping(value.get("allowed_tools")).get("tools"))]
    known = {each.get("name") for each in found}
    bare = [{"name": name} for name in allowed if name not in known]
    if bare:
        add(marks, Mark.TOOLS_BY_NAME)
    return [*found, *bare, *(each for each in own if isinstance(each, dict))]


def _choice(value: Any) -> Any:
    found = decode_nested(value)
    if isinstance(found, dict) and "specific" in found:
        return {"type": "function", "name": found["specific"]}
    return found if isinstance(found, str) else None


def _has_arguments(message: Any) -> bool:
    content = as_mapping(message).get("content")
    if isinstance(content, dict):
        return True
    for block in as_list(content):
        inner = as_mapping(block)
        if isinstance(inner.get("value"), dict) or (
            inner.get("type") in ("text", "template") and "arguments" in inner
        ):
            return True
    return False


def _answer(value: Any, marks: list[str]) -> Output | None:
    found = decode_nested(value)
    if found in (None, "", [], {}):
        return None
    if isinstance(found, dict) and ("raw" in found or "parsed" in found):
        raw, parsed = found.get("raw"), found.get("parsed")
        return output_of(raw if isinstance(raw, str) else None if parsed is None else as_text(parsed), marks)
    return output_of(found if isinstance(found, list) else as_text(value), marks)


def _feedback(value: Mapping[str, Any]) -> Feedback:
    native_id = id_of(value.get("id"))
    inference, target = id_of(value.get("inference_id")), id_of(value.get("target_id"))
    if inference is None and target is None:
        raise Unreadable("the feedback names no target")
    kinds = {"inference": "call", "episode": "session"}
    said = value.get("value")
    demonstration = inference is not None and "metric_name" not in value
    if demonstration:
        shown = output_of_demonstration(said)
        name, kind = "demonstration", "call"
        said = shown
    else:
        name = id_of(value.get("metric_name")) or "comment"
        kind = kinds.get(as_text(value.get("target_type") or ""), "call_or_session")
    tags = as_mapping(value.get("tags"))
    found = feedback(
        "tensorzero",
        target_kind=kind,
        target_id=inference or target or "",
        # The tables of feedback number their rows apart: one id may stand in two of them.
        native_id=f"{name}/{native_id}" if native_id else None,
        name=name,
        value=said,
        annotator_kind="human"
        if any(as_text(key).startswith("tensorzero::human_feedback") for key in tags)
        else "",
        time=value.get("timestamp") or time_of_uuid7(native_id),
        attributes=tags,
    )
    if demonstration:
        found.kind = "demonstration"
    return found


def output_of_demonstration(value: Any) -> str:
    """Return the text of an answer that somebody showed as the right one."""
    found = decode_nested(value)
    if isinstance(found, dict):
        return as_text(found.get("raw") or found.get("parsed") or found)
    texts = [
        each["text"]
        for each in as_list(found)
        if isinstance(each, dict) and isinstance(each.get("text"), str)
    ]
    return "".join(texts) if texts else as_text(value)
