"""OpenAI Batch: an input file and an output file, joined on `custom_id`.

`vllm run-batch` takes the same input. Its output differs where a request failed: the
status stands in `response`, without a body, and what went wrong in `error`.

Anthropic's Message Batches are the same under other names: `params` for the body, `result` for the response.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.formats.answers import read_response
from workbench.formats.base import Draft, Mark, OutputDraft, Parsed, Unreadable, task_of
from workbench.formats.chat import error_output, parse_request, parse_response
from workbench.formats.drafts import as_mapping
from workbench.formats.requests import read_request
from workbench.formats.usage import known
from workbench.normal import as_count, as_text, decode_nested, to_utc
from workbench.records import BATCH_REQUEST_ID, ErrorKind, Output, OutputError

_SENT, _RESULT = "params", "result"
_RESULTS = ("succeeded", "errored", "canceled", "expired")
_READ_URLS = ("/chat/completions", "/responses")


@dataclass(frozen=True, slots=True)
class BatchReply:
    """One line of an output file: what a server replied to one request.

    `status` is None where the request never reached a server (expired, cancelled).
    `body` is the decoded reply with a status below 400, else None; `error` says what went
    wrong, wherever the line holds it; `has_nan` says that the line held NaN, replaced by None.
    """

    native_id: str
    status: int | None
    body: Any = None
    error: Any = None
    has_nan: bool = False


class OpenAIBatch:
    """Requests (`custom_id`, `body`) and outputs (`custom_id`, `response`), in any order of files."""

    name = "openai_batch"
    title = "OpenAI and Anthropic batches: requests and results, joined on custom_id"

    def recognise(self, value: Mapping[str, Any]) -> str | None:
        """Say whether a record is a line of a Batch input or output file."""
        if "custom_id" not in value:
            return None
        if isinstance(decode_nested(value.get("body")), dict):
            return "custom_id and body (a Batch input file)"
        if "response" in value or "error" in value:
            return "custom_id and response (a Batch output file)"
        if "messages" in as_mapping(value.get("params")):
            return "custom_id and params (requests of a Message Batch)"
        if as_mapping(value.get("result")).get("type") in _RESULTS:
            return "custom_id and result (results of a Message Batch)"
        return None

    def parse(self, value: Mapping[str, Any]) -> Sequence[Parsed]:
        """Read one line of either file.

        Raises:
            Unreadable: It has no custom_id, or neither body nor response.
        """
        native_id = _custom_id(value)
        value = _as_openai(value)
        if "body" in value:
            return [self._request(native_id, value)]
        if "response" in value or "error" in value:
            return [self._output(native_id, value)]
        raise Unreadable("the record has neither body nor response")

    def _request(self, native_id: str, value: Mapping[str, Any]) -> Draft:
        marks: list[str] = []
        url = value.get("url")
        body = decode_nested(value.get("body"))
        if isinstance(url, str) and url and not url.rstrip("/").endswith(_READ_URLS):
            raise Unreadable(f"requests to {url[:80]} are neither chat completions nor responses")
        if isinstance(body, dict) and (_SENT in value or ("messages" not in body and "input" in body)):
            request = read_request(body, marks)
        else:
            request = parse_request(body, marks)
        metadata = decode_nested(body.get("metadata"))
        attributes = dict(metadata) if isinstance(metadata, dict) else {}
        if body.get("user") is not None:
            attributes.setdefault("user", body["user"])
        task = attributes.get("task")
        return Draft(
            request=request,
            native_id=native_id,
            model=as_text(body["model"]) if body.get("model") else None,
            task=task_of(task),
            attributes=attributes,
            marks=marks,
        )

    def _output(self, native_id: str, value: Mapping[str, Any]) -> OutputDraft:
        marks: list[str] = [Mark.NO_LATENCY]
        reply = read_line(native_id, value)
        if reply.status is None or reply.status >= 400:
            output = error_output(reply.error, reply.status, marks)
        else:
            # The time a batch took says nothing of the model: latency stays unknown.
            output = _answer(reply.body, marks) or Output(
                error=OutputError(ErrorKind.INVALID_RESPONSE, "no response body")
            )
        if known(output.usage) and not _is_own_batch(value):
            marks.append(Mark.BATCH_PRICE)
        body = reply.body if isinstance(reply.body, dict) else {}
        created = to_utc(body.get("created", body.get("created_at")))
        request_id = as_mapping(value.get("response")).get("request_id")
        attributes = (
            {BATCH_REQUEST_ID: as_text(request_id)} if isinstance(request_id, str) and request_id else {}
        )
        return OutputDraft(native_id, output, created, marks, key_name="custom_id", attributes=attributes)

    def reply(self, value: Mapping[str, Any]) -> BatchReply | None:
        """Read one line of an output file as the reply it holds; None for a line of an input file.

        Raises:
            Unreadable: It has no custom_id, or neither body nor response.
        """
        native_id = _custom_id(value)
        if "response" in value or "error" in value:
            return read_line(native_id, value)
        if "body" in value:
            return None
        raise Unreadable("the record has neither body nor response")


def _as_openai(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a line of Anthropic's batches under OpenAI's names; others as they are."""
    if not value.keys().isdisjoint(("body", "response", "error")):
        return value
    if isinstance(sent := decode_nested(value.get(_SENT)), dict):
        return {**value, "body": sent}
    result = as_mapping(value.get(_RESULT))
    if result.get("type") == "succeeded":
        return {**value, "response": {"status_code": 200, "body": result.get("message")}}
    if result:
        kind = as_text(result.get("type") or "error")
        return {**value, "error": result.get("error") or {"code": f"batch_{kind}", "message": kind}}
    return value


def _answer(body: Any, marks: list[str]) -> Output | None:
    is_other = isinstance(body, dict) and "choices" not in body and ("output" in body or "content" in body)
    return read_response(body, marks) if is_other else parse_response(body, marks)


def _is_own_batch(value: Mapping[str, Any]) -> bool:
    """Tell whether `vllm run-batch` answered, at whose price nothing is taken off."""
    return as_text(as_mapping(value.get("response")).get("request_id") or "").startswith("vllm-")


def _custom_id(value: Mapping[str, Any]) -> str:
    custom_id = value.get("custom_id")
    if isinstance(custom_id, dict | list | bool) or custom_id is None or custom_id == "":
        raise Unreadable("the record has no custom_id")
    return as_text(custom_id)


def read_line(native_id: str, value: Mapping[str, Any]) -> BatchReply:
    """Read a line of an output file, of OpenAI's or of `vllm run-batch`.

    Args:
        native_id: Its `custom_id`.
        value: The decoded line.
    """
    error = _inner_error(value.get("error"))
    response = decode_nested(value.get("response"))
    if not isinstance(response, dict):
        return BatchReply(native_id, None, error=error or "the line holds neither a response nor an error")
    status = as_count(response.get("status_code")) or 200
    body = decode_nested(response.get("body"))
    if status >= 400:
        own = _inner_error(body) if body else None
        return BatchReply(native_id, status, error=own or error)
    if body is None and error is not None:
        return BatchReply(native_id, None, error=error)
    return BatchReply(native_id, status, body)


def _inner_error(value: Any) -> Any:
    """Return the object that says what went wrong, out of as many `error` keys as it is wrapped in."""
    found = decode_nested(value)
    while isinstance(found, dict) and found.get("error"):
        found = decode_nested(found["error"])
    return found
