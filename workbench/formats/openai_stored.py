"""Stored conversations: messages and a completion, or messages that end with the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.formats.answers import output_of, read_response
from workbench.formats.base import Draft, Parsed, Unreadable
from workbench.formats.drafts import as_mapping, id_of, make_draft
from workbench.formats.pairs import LATENCY_KEYS, TIME_KEYS
from workbench.formats.requests import last_answer_split
from workbench.formats.usage import read_usage
from workbench.normal import as_number, decode_nested

_OWN = frozenset(
    ("messages", "prompt", "completion", "choices", "id", "object", "model", "usage", "created", "metadata",
     "tools", "functions", "response_format", "tool_choice", "parallel_tool_calls", "system_fingerprint",
     *TIME_KEYS, *LATENCY_KEYS)
)  # fmt: skip


class OpenAIStored:
    """`{"messages": [...], "completion": ...}`, the fine-tuning layout, and `{"prompt", "completion"}`."""

    name = "openai_stored"
    title = "Stored conversations: messages with a completion, or ending with the answer"

    def recognise(self, value: Mapping[str, Any]) -> str | None:
        """Say whether a record holds messages and their answer."""
        messages = decode_nested(value.get("messages"))
        if isinstance(messages, list) and messages and all(
            isinstance(each, Mapping) and isinstance(each.get("role"), str) for each in messages
        ):  # fmt: skip
            if "completion" in value:
                return "messages and completion"
            if isinstance(value.get("choices"), list):
                return "messages and choices"
            if last_answer_split(messages) is not None and "response" not in value and "request" not in value:
                return "messages with an assistant's answer"
        if isinstance(value.get("prompt"), str) and isinstance(value.get("completion"), str):
            return "prompt and completion"
        return None

    def parse(self, value: Mapping[str, Any]) -> Sequence[Parsed]:
        """Read one conversation; its last assistant turn is the answer.

        Raises:
            Unreadable: It has no messages.
        """
        marks: list[str] = []
        control_marks: list[str] = []
        messages = decode_nested(value.get("messages"))
        answer: Any = decode_nested(value.get("completion"))
        asked: Any = messages if messages is not None else value.get("prompt")
        if asked is None:
            raise Unreadable("the record has no messages")
        finish = None
        if isinstance(value.get("choices"), list):
            control = read_response(
                {key: value[key] for key in ("choices", "model", "usage") if key in value}, control_marks
            )
        else:
            if answer is None and isinstance(messages, list):
                split = last_answer_split(messages)
                if split is not None:
                    asked, answer = split
            if isinstance(answer, Mapping) and "choices" in answer:
                control = read_response(answer, control_marks)
            elif answer is None:
                control = None
            else:
                # A completion that is JSON text is the model's own answer.
                whole = value.get("completion") if isinstance(value.get("completion"), str) else answer
                finish = answer.get("finish_reason") if isinstance(answer, Mapping) else None
                control = output_of(whole, control_marks, finish=finish, usage=read_usage(value.get("usage")))
        attributes = {key: item for key, item in value.items() if key not in _OWN}
        attributes |= as_mapping(value.get("metadata"))
        draft: Draft = make_draft(
            {"messages": asked},
            control,
            native_id=id_of(value.get("id")),
            time=next((value[key] for key in (*TIME_KEYS, "created") if value.get(key) is not None), None),
            latency_ms=next(
                (each for key in LATENCY_KEYS if (each := as_number(value.get(key))) is not None), None
            ),
            model=value.get("model"),
            task=attributes.get("task"),
            attributes=attributes,
            more={
                key: value[key]
                for key in _OWN
                if key in value and key not in ("messages", "prompt", "metadata")
            },
            marks=marks,
        )
        draft.control_marks = [*control_marks, *draft.control_marks]
        return [draft]
