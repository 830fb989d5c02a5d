"""AWS Bedrock's model invocation log: Converse bodies, and each provider's own for InvokeModel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.formats.base import Mark, Parsed, Passed, Unreadable
from workbench.formats.chat import add
from workbench.formats.drafts import as_mapping, id_of, make_draft
from workbench.formats.usage import known, read_usage
from workbench.normal import as_text, decode_nested

_S3 = ("inputBodyS3Path", "outputBodyS3Path")


class Bedrock:
    """One `ModelInvocationLog` a line, as it arrives in S3 or CloudWatch."""

    name = "bedrock"
    title = "AWS Bedrock model invocation logs"

    def recognise(self, value: Mapping[str, Any]) -> str | None:
        """Say whether a record is a model invocation log."""
        if value.get("schemaType") == "ModelInvocationLog":
            return "schemaType: ModelInvocationLog"
        inner = value.get("message")
        if isinstance(inner, str) and '"ModelInvocationLog"' in inner:
            return "a CloudWatch event with schemaType: ModelInvocationLog"
        return None

    def parse(self, value: Mapping[str, Any]) -> Sequence[Parsed]:
        """Read one invocation.

        Raises:
            Unreadable: Its body lies elsewhere, or can't be read.
        """
        if "schemaType" not in value and isinstance(value.get("message"), str):
            value = as_mapping(value["message"])
        asked, answer = as_mapping(value.get("input")), as_mapping(value.get("output"))
        native_id = id_of(value.get("requestId"))
        if native_id is None:
            raise Unreadable("the record has no requestId")
        body = decode_nested(asked.get("inputBodyJson"))
        operation = as_text(value.get("operation") or "")
        if isinstance(body, dict) and ("inputText" in body or "texts" in body) and "embed" in as_text(
            value.get("modelId") or ""
        ):  # fmt: skip
            return [Passed("an embedding, no chat")]
        if body in (None, {}, ""):
            where = next((asked[key] for key in _S3 if asked.get(key)), None)
            if where:
                raise Unreadable(
                    "the input is larger than the log holds and lies in S3: import that file's content"
                )
            raise Unreadable("the log holds no input: text delivery is switched off in the logging settings")
        marks: list[str] = []
        response = decode_nested(answer.get("outputBodyJson"))
        if response in (None, {}, "") and answer.get("outputBodyS3Path"):
            add(marks, Mark.TRUNCATED)
        usage = read_usage(
            {
                "inputTokens": asked.get("inputTokenCount"),
                "cacheReadInputTokens": asked.get("cacheReadInputTokenCount"),
                "cacheWriteInputTokens": asked.get("cacheWriteInputTokenCount"),
                "outputTokens": answer.get("outputTokenCount"),
            }
        )
        metrics = as_mapping(as_mapping(response).get("metrics"))
        if isinstance(response, list):
            metrics = next(
                (as_mapping(as_mapping(each.get("metadata")).get("metrics")) for each in reversed(response)
                 if isinstance(each, dict) and "metadata" in each), {})  # fmt: skip
        streamed = _streamed(response)
        metadata = as_mapping(value.get("requestMetadata"))
        attributes = {
            "operation": operation,
            "identity": as_mapping(value.get("identity")).get("arn"),
            "region": value.get("region"),
            "account": value.get("accountId"),
            **metadata,
        }
        draft = make_draft(
            body,
            response,
            native_id=native_id,
            time=value.get("timestamp"),
            latency_ms=metrics.get("latencyMs", streamed.get("invocationLatency")),
            first_token_ms=streamed.get("firstByteLatency"),
            model=value.get("modelId"),
            usage=usage if known(usage) else None,
            task=metadata.get("task"),
            error=value.get("errorCode"),
            attributes=attributes,
            marks=marks,
        )
        return [draft]


def _streamed(response: Any) -> Mapping[str, Any]:
    """Return what the last piece of an InvokeModel stream says of its times."""
    last = response[-1] if isinstance(response, list) and response else None
    return as_mapping(as_mapping(last).get("amazon-bedrock-invocationMetrics"))
