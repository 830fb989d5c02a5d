"""What a candidate's `parameters` may hold: how to answer, never what is asked nor a key."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from workbench.errors import ConfigError

SECRET_PARAMETERS = frozenset(("api_key", "apikey", "authorization", "extra_headers", "headers", "token"))
"""Names under which people put a key among the parameters, from where it would reach store and reports."""
ASKED = {
    **dict.fromkeys(
        ("messages", "prompt", "input", "system", "instructions"),
        "Every call is asked as it was recorded. To change the prompt, use a `patch`.",
    ),
    **dict.fromkeys(
        ("tools", "functions"), "Every call is asked with the tools that it was recorded with: take it out."
    ),
    "model": "Name it with the candidate's own key `model`.",
    "n": "One answer is compared. For agreement among several, use the candidate's own key `samples`.",
    **dict.fromkeys(
        ("stream", "stream_options"), "Use the candidate's own key `stream = true` for time to first token."
    ),
}
"""What would put something else in the place of the recorded call, and what to do instead. An answer to
another question agrees or disagrees with nothing."""
NUMBERS = frozenset(
    (
        *("temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty"),
        *("repetition_penalty", "max_tokens", "max_completion_tokens", "seed"),
    )
)


def check_parameters(parameters: Mapping[str, Any], where: str) -> None:
    """Check what a candidate's requests are sent with.

    Args:
        parameters: The candidate's `parameters`.
        where: File and candidate, for the message.

    Raises:
        ConfigError: One holds a key, would replace what is asked, or is no number where one is needed.
            Values are never shown: the message may end up in a log.
    """
    for key, value in parameters.items():
        plain = key.lower().replace("-", "_")
        if plain in SECRET_PARAMETERS:
            raise ConfigError(
                f"{where}: parameters may hold no {key!r}.",
                "Put the key into an environment variable, and name that one with `api_key_env`.",
            )
        if plain in ASKED:
            raise ConfigError(f"{where}: parameters may hold no {key!r}.", ASKED[plain])
        if key in NUMBERS and (
            isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value)
        ):
            raise ConfigError(f"{where}: parameters.{key} is not a number.", f"For example {key} = 0.")
