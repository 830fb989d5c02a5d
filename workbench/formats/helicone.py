"""Helicone exports: the provider's own request and response bodies in Helicone's columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.formats.base import Mark, Parsed, Unreadable
from workbench.formats.chat import add, first_told
from workbench.formats.drafts import as_mapping, feedback, id_of, make_draft, truthy
from workbench.formats.usage import inclusive_usage, known
from workbench.normal import as_count, as_number, decode_nested

_ATTRIBUTES = (
    "request_user_id", "user_id", "provider", "target_url", "request_path", "helicone_user",
    "cache_reference_id", "country_code",
)  # fmt: skip
_COSTS = ("cost", "costUSD")
_SESSION = ("Helicone-Session-Id", "helicone-session-id", "session_id")
_NO_CACHE = "00000000-0000-0000-0000-000000000000"


class Helicone:
    """One request a line, with `request_body` and `response_body`."""

    name = "helicone"
    title = "Helicone exports with request_body and response_body"

    def recognise(self, value: Mapping[str, Any]) -> str | None:
        """Say whether a record is a row of Helicone."""
        if "request_id" in value and "request_body" in value:
            return "request_id and request_body"
        if "request_id" in value and "request_created_at" in value:
            return "request_id and request_created_at"
        return None

    def parse(self, value: Mapping[str, Any]) -> Sequence[Parsed]:
        """Read one row.

        Raises:
            Unreadable: It has no bodies, or they can't be read.
        """
        body = decode_nested(value.get("request_body"))
        if body in (None, {}, ""):
            raise Unreadable("the bodies are not in the export: export again with them included")
        marks: list[str] = []
        properties = as_mapping(value.get("request_properties") or value.get("properties"))
        attributes = {key: value[key] for key in _ATTRIBUTES if value.get(key) not in (None, "")}
        attributes |= properties
        cached = value.get("cache_reference_id")
        if truthy(value.get("cache_hit")) or (
            isinstance(cached, str) and cached not in ("", _NO_CACHE, "DEFAULT")
        ):
            add(marks, Mark.CACHE_HIT)
        if properties.get("Helicone-Prompt-Playground") or value.get("is_experiment") is True:
            add(marks, Mark.INTERNAL)
        response = decode_nested(value.get("response_body"))
        if isinstance(response, dict) and isinstance(response.get("streamed_data"), str | list):
            # Helicone's own sum of a stream stands beside its chunks; without one the chunks are read.
            kept = {key: item for key, item in response.items() if key != "streamed_data"}
            response = kept if "choices" in kept or "content" in kept else response["streamed_data"]
        status = as_count(value.get("response_status"))
        failed = status is not None and (status >= 400 or status < 0)
        usage = inclusive_usage(
            value.get("prompt_tokens"), value.get("prompt_cache_read_tokens"), value.get("completion_tokens")
        )
        native_id = id_of(value.get("request_id"))
        if native_id is None:
            raise Unreadable("the record has no request_id")
        draft = make_draft(
            body,
            None if failed else response,
            native_id=native_id,
            time=value.get("request_created_at"),
            latency_ms=as_number(value.get("delay_ms")),
            first_token_ms=as_number(value.get("time_to_first_token")),
            model=(
                value.get("response_model")
                or value.get("model")
                or value.get("request_model")
                or as_mapping(body).get("model")
            ),
            usage=usage if known(usage) else None,
            session=next((properties[key] for key in _SESSION if properties.get(key)), None),
            task=properties.get("task"),
            error=(_error(response) or f"status {status}") if failed else None,
            status=status if failed and status and status > 0 else None,
            attributes=attributes,
            marks=marks,
            cost=first_told(value, *_COSTS),
        )
        scores = as_mapping(value.get("scores"))
        rating = value.get("feedback_rating")
        named: dict[str, Any] = {str(key): item for key, item in scores.items() if item is not None}
        if rating is not None:
            named["rating"] = rating
        draft.feedback = [
            feedback("helicone", target_kind="call", target_id=native_id, name=name, value=_score(item))
            for name, item in named.items()
        ]
        return [draft]


def _score(item: Any) -> Any:
    """Return the value of a score, which newer exports wrap with its kind."""
    return item.get("value") if isinstance(item, dict) and "value" in item else item


def _error(response: Any) -> Any:
    body = as_mapping(response)
    return body.get("error") or body.get("message") or (response if isinstance(response, str) else None)
