"""Azure API Management's log of language models; long messages are spread over several rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.formats.base import Draft, Mark, Parsed, Part, Unreadable
from workbench.formats.chat import add, first_told
from workbench.formats.drafts import as_mapping, id_of, make_draft
from workbench.formats.logged import read_logged
from workbench.formats.requests import read_request
from workbench.formats.usage import inclusive_usage, known
from workbench.normal import Undecodable, as_count, as_text, decode_json

_TABLE = "ApiManagementGatewayLlmLog"
_CATEGORY = "gatewayllmlogs"
NO_CONTENT = (
    "Azure OpenAI's diagnostic logs hold no prompts and no answers: nothing can be replayed from them."
    " Log through API Management (the table ApiManagementGatewayLlmLog, with messages), or in the application"
)
_PLAIN = frozenset(("requestresponse", "azureopenairequestusage", "audit", "trace"))
_PROVIDERS = ("resourceId", "ResourceProvider", "_ResourceId", "ResourceId")
_MESSAGES = ("requestmessages", "responsemessages")
_ATTRIBUTES = ("Region", "OperationName", "DeploymentName", "ApiVersion", "CorrelationId", "_ResourceId")


def lacks_content(value: Mapping[str, Any]) -> bool:
    """Tell whether a record is of Azure OpenAI's plain diagnostics, which carry no content."""
    category = value.get("category", value.get("Category"))
    provider = as_text(next((value[key] for key in _PROVIDERS if value.get(key)), ""))
    return (
        isinstance(category, str)
        and category.lower() in _PLAIN
        and "MICROSOFT.COGNITIVESERVICES" in provider.upper()
    )


class AzureAPIM:
    """Rows of `ApiManagementGatewayLlmLog`, from Log Analytics or a storage account."""

    name = "azure_apim"
    title = "Azure API Management, ApiManagementGatewayLlmLog"
    late = "a row of a call that was put together before"

    def recognise(self, value: Mapping[str, Any]) -> str | None:
        """Say whether a record is a row of that log."""
        if value.get("Type") == _TABLE:
            return f"Type: {_TABLE}"
        category = value.get("category", value.get("Category"))
        if isinstance(category, str) and category.lower() == _CATEGORY:
            return "category: GatewayLlmLogs"
        row = _lowered(value)
        if "correlationid" in row and ("requestmessages" in row or "responsemessages" in row):
            return "CorrelationId and RequestMessages"
        return None

    def parse(self, value: Mapping[str, Any]) -> Sequence[Parsed]:
        """Read one row as a part of its call.

        Raises:
            Unreadable: It has no content, or no id.
        """
        if lacks_content(value):
            raise Unreadable(NO_CONTENT)
        row = _lowered(value)
        # One request to the gateway may make several calls: they share its CorrelationId.
        ids = [found for name in ("correlationid", "requestid") if (found := id_of(row.get(name)))]
        if not ids:
            raise Unreadable("the row has neither CorrelationId nor RequestId")
        key = " ".join(ids)
        size = sum(len(item) for item in row.values() if isinstance(item, str)) + 500
        return [Part(key, dict(value), size=size)]

    def attach(self, draft: Draft, parts: Sequence[Part]) -> None:
        """Nothing is added to a call of this log after it was put together."""

    def assemble(self, parts: Sequence[Part]) -> Draft:
        """Join the rows of one call by their sequence numbers.

        Raises:
            Unreadable: Rows are missing, or the messages can't be read.
        """
        rows = [_lowered(each.data) for each in parts]
        rows.sort(key=lambda row: as_count(row.get("sequencenumber")) or 0)
        distinct: dict[Any, dict[str, Any]] = {}
        for row in rows:
            number = as_count(row.get("sequencenumber"))
            first = distinct.get(number, row)
            if any(first.get(name) and row.get(name) not in (None, "", first[name]) for name in _MESSAGES):
                raise Unreadable("rows of one sequence number differ: several calls without a RequestId")
            distinct[number] = row | {key: item for key, item in first.items() if item not in (None, "")}
        numbers = [each for each in distinct if each is not None]
        if numbers and (numbers[0] > 1 or numbers[-1] - numbers[0] + 1 != len(numbers)):
            raise Unreadable("rows of this call are missing: their sequence numbers have gaps")
        rows = list(distinct.values())
        asked, answered = _whole(rows, "requestmessages"), _whole(rows, "responsemessages")
        if asked is None:
            if answered is None:
                raise Unreadable("the rows hold no messages: switch on the logging of messages for this API")
            raise Unreadable("the rows hold an answer but no request: log request messages too")
        marks: list[str] = []
        control_marks: list[str] = []
        request = read_request(asked, marks)
        control = read_logged(_answer(answered), control_marks)
        merged: dict[str, Any] = {}
        for row in rows:
            merged |= {key: item for key, item in row.items() if item not in (None, "")}
        usage = inclusive_usage(
            max((as_count(row.get("prompttokens")) or 0 for row in rows), default=0) or None,
            None,
            max((as_count(row.get("completiontokens")) or 0 for row in rows), default=0) or None,
        )
        add(control_marks, Mark.NO_LATENCY)
        draft = make_draft(
            request,
            control,
            native_id=id_of(merged.get("requestid")) or id_of(merged.get("correlationid")),
            time=first_told(merged, "timegenerated", "timegenerated [utc]", "time"),
            model=merged.get("modelname") or merged.get("deploymentname"),
            usage=usage if known(usage) else None,
            attributes={key: merged.get(key.lower()) for key in _ATTRIBUTES if merged.get(key.lower())},
            marks=marks,
        )
        draft.control_marks = [
            *control_marks,
            *(each for each in draft.control_marks if each not in control_marks),
        ]
        return draft


def _lowered(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with lower-case keys: Log Analytics and storage spell them differently."""
    found = {as_text(key).lower(): item for key, item in value.items() if key != "properties"}
    properties = as_mapping(value.get("properties"))
    return found | {as_text(key).lower(): item for key, item in properties.items()}


def _whole(rows: Sequence[Mapping[str, Any]], key: str) -> Any:
    """Return the JSON that the pieces of a column hold together; None where all are empty."""
    pieces = [row[key] for row in rows if row.get(key) not in (None, "", [], {})]
    if not pieces:
        return None
    texts = [each for each in pieces if isinstance(each, str)]
    if len(texts) == len(pieces):
        try:
            return decode_json("".join(texts)).value
        except Undecodable:
            pass
    found: list[Any] = []
    for each in pieces:
        value = each
        if isinstance(each, str):
            try:
                value = decode_json(each).value
            except Undecodable as error:
                raise Unreadable(f"the rows of {key} don't join to JSON: {error}") from None
        found += value if isinstance(value, list) else [value]
    return found


def _answer(value: Any) -> Any:
    return (
        value[-1]
        if isinstance(value, list) and value and all(isinstance(each, dict) for each in value)
        else value
    )
