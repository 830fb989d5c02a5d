"""OpenAI Batch: an input file and an output file, joined on `custom_id`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.formats.base import Draft, Mark, OutputDraft, Parsed, Unreadable
from workbench.formats.chat import error_output, parse_request, parse_response
from workbench.normal import as_count, as_text, decode_nested, to_utc
from workbench.records import ErrorKind, Output, OutputError


class OpenAIBatch:
    """Requests (`custom_id`, `body`) and outputs (`custom_id`, `response`), in any order of files."""

    name = "openai_batch"
    title = "OpenAI Batch input and output files, joined on custom_id"

    def recognise(self, value: Mapping[str, Any]) -> str | None:
        """Say whether a record is a line of a Batch input or output file."""
        if "custom_id" not in value:
            return None
        if isinstance(decode_nested(value.get("body")), Mapping):
            return "custom_id and body (a Batch input file)"
        if "response" in value or "error" in value:
            return "custom_id and response (a Batch output file)"
        return None

    def parse(self, value: Mapping[str, Any]) -> Sequence[Parsed]:
        """Read one line of either file.

        Raises:
            Unreadable: It has no custom_id, or neither body nor response.
        """
        custom_id = value.get("custom_id")
        if isinstance(custom_id, dict | list | bool) or custom_id is None or custom_id == "":
            raise Unreadable("the record has no custom_id")
        native_id = as_text(custom_id)
        if "body" in value:
            return [self._request(native_id, value)]
        if "response" in value or "error" in value:
            return [self._output(native_id, value)]
        raise Unreadable("the record has neither body nor response")

    def _request(self, native_id: str, value: Mapping[str, Any]) -> Draft:
        marks: list[str] = []
        url = value.get("url")
        body = decode_nested(value.get("body"))
        if isinstance(url, str) and url and not url.rstrip("/").endswith("/chat/completions"):
            raise Unreadable(f"requests to {url[:80]} are not chat completions")
        request = parse_request(body, marks)
        metadata = decode_nested(body.get("metadata"))
        attributes = dict(metadata) if isinstance(metadata, Mapping) else {}
        if body.get("user") is not None:
            attributes.setdefault("user", body["user"])
        task = attributes.get("task")
        return Draft(
            request=request,
            native_id=native_id,
            model=as_text(body["model"]) if body.get("model") else None,
            task=task if isinstance(task, str) else None,
            attributes=attributes,
            marks=marks,
        )

    def _output(self, native_id: str, value: Mapping[str, Any]) -> OutputDraft:
        marks: list[str] = [Mark.NO_LATENCY]
        response = decode_nested(value.get("response"))
        if response is None or not isinstance(response, Mapping):
            output = error_output(value.get("error"), None, marks)
            return OutputDraft(native_id, output, None, marks, key_name="custom_id")
        body = decode_nested(response.get("body"))
        status = as_count(response.get("status_code")) or 200
        if status >= 400:
            error = body.get("error") if isinstance(body, Mapping) else body
            output = error_output(error, status, marks)
        else:
            # The time a batch took says nothing of the model: latency stays unknown.
            output = parse_response(body, marks) or Output(
                error=OutputError(ErrorKind.INVALID_RESPONSE, "no response body")
            )
        created = to_utc(body.get("created")) if isinstance(body, Mapping) else None
        return OutputDraft(native_id, output, created, marks, key_name="custom_id")
