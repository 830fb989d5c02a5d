"""LangSmith: runs of type llm, batches of new and finished runs, and feedback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.formats.base import Draft, Feedback, Mark, Parsed, Passed, Unreadable
from workbench.formats.chat import add
from workbench.formats.drafts import as_list, as_mapping, feedback, id_of, make_draft, milliseconds_between
from workbench.formats.logged import read_logged, read_logged_request
from workbench.formats.turns import is_pair
from workbench.formats.usage import known, read_usage
from workbench.normal import as_text, decode_nested

_SESSIONS = ("session_id", "thread_id", "conversation_id")


class LangSmith:
    """One run a line, an array or `{"runs": [...]}` of them; runs of other types are passed over."""

    name = "langsmith"
    title = "LangSmith runs and feedback"

    def recognise(self, value: Mapping[str, Any]) -> str | None:
        """Say whether a record is a run, a batch of runs, or feedback on one."""
        if "run_type" in value and ("inputs" in value or "outputs" in value):
            return "run_type and inputs"
        posted = value.get("post")
        if isinstance(posted, list) and any(isinstance(each, dict) and "run_type" in each for each in posted):
            return "post with runs"
        if (
            "key" in value
            and "run_id" in value
            and ("score" in value or "value" in value or "correction" in value)
        ):
            return "feedback's key and run_id"
        return None

    def split(self, value: Mapping[str, Any]) -> Sequence[Any]:
        """Return the runs of a batch, each together with the patch that finished it."""
        posted, patched = value.get("post"), value.get("patch")
        if not isinstance(posted, list) and not isinstance(patched, list):
            return [value]
        left = [each for each in as_list(patched) if isinstance(each, dict)]
        units: list[Any] = []
        for each in as_list(posted):
            if not isinstance(each, dict):
                units.append(each)
                continue
            own = [patch for patch in left if patch.get("id") == each.get("id") or (
                "id" not in patch and patch.get("dotted_order") == each.get("dotted_order"))]  # fmt: skip
            left = [patch for patch in left if not any(patch is other for other in own)]
            units.append({"run": each, "patches": own} if own else each)
        return [*units, *left]

    def parse(self, value: Mapping[str, Any]) -> Sequence[Parsed]:
        """Read one run or one piece of feedback.

        Raises:
            Unreadable: A run of type llm lacks its inputs, or they can't be read.
        """
        patches = as_list(value.get("patches"))
        run = value
        if "run" in value and "patches" in value:
            run = as_mapping(value["run"])
            for patch in patches:
                run = {
                    **run,
                    **{key: item for key, item in as_mapping(patch).items() if item not in (None, {}, [])},
                }
        if "run_type" not in run:
            if "key" in run and ("run_id" in run or "trace_id" in run):
                return [_feedback(run)]
            raise Unreadable("the record is neither a run nor feedback: it has no run_type")
        identity = id_of(run.get("id"))
        if identity is None:
            raise Unreadable("the run has no id")
        parent = id_of(run.get("parent_run_id"))
        span = (identity, parent)
        if run["run_type"] != "llm":
            return [
                Passed(
                    f"a run of type {as_text(run['run_type'])[:40]}, no llm",
                    span,
                    tuple(_stats(run)),
                    parts=len(patches),
                )
            ]
        draft = _call(run, identity)
        draft.span, draft.parts, draft.feedback = span, len(patches), _stats(run)
        return [draft]


def _call(run: Mapping[str, Any], identity: str) -> Draft:
    inputs, outputs = as_mapping(run.get("inputs")), decode_nested(run.get("outputs"))
    extra = as_mapping(run.get("extra"))
    metadata = as_mapping(extra.get("metadata"))
    invocation = as_mapping(extra.get("invocation_params"))
    if not inputs:
        raise Unreadable("the run has no inputs")
    marks: list[str] = []
    control_marks: list[str] = []
    request = read_logged_request(_asked(inputs, marks), marks, more=invocation)
    latency = milliseconds_between(run.get("start_time"), run.get("end_time"))
    answer = outputs
    if isinstance(outputs, dict):
        inner = outputs.get("output")
        if set(outputs) <= {"output", "usage_metadata"} and isinstance(inner, Mapping | str):
            answer = inner
    control = read_logged(answer, control_marks, latency) if answer not in (None, {}, "") else None
    if isinstance(outputs, dict) and outputs and control is None:
        add(control_marks, Mark.STREAM_NOT_REBUILT)
    usage = _usage(run, outputs)
    if run.get("reference_example_id") or metadata.get("ls_experiment_id"):
        add(marks, Mark.INTERNAL)
    attributes: dict[str, Any] = {
        as_text(key): item
        for key, item in metadata.items()
        if isinstance(item, str | int | float | bool) and not as_text(key).startswith("ls_")
    }
    attributes |= {
        "trace_id": id_of(run.get("trace_id")),
        "name": run.get("name"),
        "tags": as_list(run.get("tags")),
    }
    project = id_of(run.get("session_name")) or id_of(run.get("session_id"))
    if project:
        attributes["project"] = project
    draft = make_draft(
        request,
        control,
        native_id=identity,
        time=run.get("start_time"),
        latency_ms=latency,
        first_token_ms=milliseconds_between(run.get("start_time"), run.get("first_token_time")),
        model=metadata.get("ls_model_name") or invocation.get("model") or inputs.get("model"),
        usage=usage if known(usage) else None,
        # Top-level session_id is the project: only the metadata names a conversation.
        session=next((metadata[key] for key in _SESSIONS if metadata.get(key)), None),
        task=metadata.get("task"),
        error=run.get("error"),
        attributes={key: item for key, item in attributes.items() if key not in _SESSIONS or key in metadata},
        marks=marks,
        cost=run.get("total_cost"),
    )
    draft.control_marks = [*control_marks, *draft.control_marks]
    return draft


def _asked(inputs: Mapping[str, Any], marks: list[str]) -> Any:
    """Return the inputs with one list of messages; a run of several prompts stands for its first."""
    messages = decode_nested(inputs.get("messages"))
    if isinstance(messages, list) and messages and isinstance(messages[0], list) and not is_pair(messages[0]):
        if len(messages) > 1:
            add(marks, Mark.MULTIPLE_PROMPTS)
        return {**inputs, "messages": messages[0]}
    prompts = inputs.get("prompts")
    if messages is None and isinstance(prompts, list) and prompts:
        if len(prompts) > 1:
            add(marks, Mark.MULTIPLE_PROMPTS)
        return as_text(prompts[0])
    return inputs


def _usage(run: Mapping[str, Any], outputs: Any) -> Any:
    for holder in (as_mapping(outputs), as_mapping(as_mapping(run.get("extra")).get("metadata"))):
        usage = holder.get("usage_metadata")
        if isinstance(usage, dict):
            found = read_usage({"input_token_details": None, **usage})
            if known(found):
                return found
    return read_usage({key: run.get(key) for key in ("prompt_tokens", "completion_tokens")})


def _feedback(value: Mapping[str, Any]) -> Feedback:
    target = id_of(value.get("run_id"))
    trace = id_of(value.get("trace_id"))
    if target is None and trace is None:
        raise Unreadable("the feedback names no run")
    source = as_mapping(value.get("feedback_source"))
    score, said = value.get("score"), value.get("value")
    correction = value.get("correction")
    return feedback(
        "langsmith",
        target_kind="call" if target else "trace",
        target_id=target or trace or "",
        native_id=value.get("id"),
        name=value.get("key"),
        value=score if score is not None else said if said is not None else correction,
        comment=value.get("comment"),
        annotator=source.get("user_name") or source.get("user_id"),
        annotator_kind=source.get("type"),
        time=value.get("created_at"),
        attributes={
            key: item for key, item in (("value", said), ("correction", correction)) if item is not None
        },
    )


def _stats(run: Mapping[str, Any]) -> list[Feedback]:
    """Return the sums of feedback that an export keeps on the run itself."""
    found: list[Feedback] = []
    for key, item in as_mapping(run.get("feedback_stats")).items():
        stats = as_mapping(item)
        if stats:
            found.append(
                feedback(
                    "langsmith",
                    target_kind="call",
                    target_id=as_text(run.get("id")),
                    name=key,
                    value=stats.get("avg") if stats.get("avg") is not None else stats.get("values"),
                    annotator_kind="sum",
                    attributes={"n": stats.get("n")},
                )
            )
    return found
