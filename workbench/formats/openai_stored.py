"""Stored conversations: messages and a completion, or messages that end with the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.formats.answers import output_of, read_response
from workbench.formats.base import Draft, Mark, Parsed, Unreadable
from workbench.formats.chat import PARAMETERS, add, first_told
from workbench.formats.drafts import as_mapping, id_of, make_draft
from workbench.formats.pairs import LATENCY_KEYS, TIME_KEYS, TOKEN_KEYS, logged_usage
from workbench.formats.requests import last_answer_split
from workbench.normal import as_number, decode_nested

_PARAMETERS = PARAMETERS - {"n", "logprobs", "top_logprobs"}
"""Not what says how many answers there were, or how sure the model was: as columns they mean other things."""
_OWN = frozenset(
    ("messages", "prompt", "completion", "response", "choices", "id", "object", "model", "usage", "created",
     "metadata", "conversations", "tools", "functions", "response_format", "tool_choice",
     "parallel_tool_calls", "system_fingerprint", *_PARAMETERS, *TIME_KEYS, *LATENCY_KEYS, *TOKEN_KEYS)
)  # fmt: skip


_SPEAKERS = {
    "system": "system", "human": "user", "user": "user",
    "gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant",
}  # fmt: skip
"""Who speaks in ShareGPT's layout. Calls and results of tools have no agreed form there."""


def _is_answer(value: Any) -> bool:
    """Say whether a response is a text, or the body of a chat completion."""
    return isinstance(value, str) or isinstance(as_mapping(value).get("choices"), list)


def _conversation(value: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Return the turns of ShareGPT's layout as messages; None where the record has another one."""
    turns = None if "messages" in value else decode_nested(value.get("conversations"))
    if not isinstance(turns, list) or not all(
        isinstance(each, dict) and each.get("from") in _SPEAKERS and isinstance(each.get("value"), str)
        for each in turns
    ):
        return None
    return [{"role": _SPEAKERS[each["from"]], "content": each["value"]} for each in turns]


class OpenAIStored:
    """`{"messages": [...], "completion": ...}`, the fine-tuning layout, and `{"prompt", "completion"}`.

    `response` may stand for `completion`, and ShareGPT's `conversations` for `messages`.
    """

    name = "openai_stored"
    title = "Stored conversations: messages with a completion, or ending with the answer"

    def recognise(self, value: Mapping[str, Any]) -> str | None:
        """Say whether a record holds messages and their answer."""
        said = _conversation(value)
        if said and last_answer_split(said) is not None:
            return "conversations with an answer"
        messages = decode_nested(value.get("messages"))
        if isinstance(messages, list) and messages and all(
            isinstance(each, dict) and isinstance(each.get("role"), str) for each in messages
        ):  # fmt: skip
            if "completion" in value:
                return "messages and completion"
            if isinstance(value.get("choices"), list):
                return "messages and choices"
            if "request" not in value and _is_answer(value.get("response")):
                return "messages and response"
            if last_answer_split(messages) is not None and "response" not in value and "request" not in value:
                return "messages with an assistant's answer"
        if isinstance(value.get("prompt"), str):
            if isinstance(value.get("completion"), str):
                return "prompt and completion"
            if isinstance(value.get("response"), str):
                return "prompt and response"
        return None

    def parse(self, value: Mapping[str, Any]) -> Sequence[Parsed]:
        """Read one conversation; its last assistant turn is the answer.

        Raises:
            Unreadable: It has no messages.
        """
        marks: list[str] = []
        control_marks: list[str] = []
        messages = _conversation(value) or decode_nested(value.get("messages"))
        said = value["completion"] if "completion" in value else value.get("response")
        answer: Any = decode_nested(said)
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
                    if len(asked) + 1 < len(messages):
                        add(marks, Mark.TURNS_AFTER_ANSWER)
            if isinstance(answer, dict) and "choices" in answer:
                control = read_response(answer, control_marks)
            elif answer is None:
                control = None
            else:
                # A completion that is JSON text is the model's own answer.
                whole = said if isinstance(said, str) else answer
                finish = answer.get("finish_reason") if isinstance(answer, dict) else None
                control = output_of(whole, control_marks, finish=finish)
        attributes = {key: item for key, item in value.items() if key not in _OWN}
        attributes |= as_mapping(value.get("metadata"))
        draft: Draft = make_draft(
            {"messages": asked},
            control,
            native_id=id_of(value.get("id")),
            time=first_told(value, *TIME_KEYS, "created"),
            latency_ms=next(
                (each for key in LATENCY_KEYS if (each := as_number(value.get(key))) is not None), None
            ),
            usage=logged_usage(value),
            model=value.get("model"),
            task=attributes.get("task"),
            attributes=attributes,
            more={
                key: value[key]
                for key in _OWN
                if key in value and key not in ("messages", "conversations", "prompt", "metadata")
            },
            marks=marks,
        )
        draft.control_marks = [*control_marks, *draft.control_marks]
        return [draft]
