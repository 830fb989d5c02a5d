"""What the app's server needs for sign-in: the provider's settings, and cookies that stay on this host."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from workbench.access_checks import SHORTEST_SECRET_CHARS
from workbench.config import CONFIG_NAME, Workspace
from workbench.errors import ConfigError, ModelMissing
from workbench.roles import SignIn

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

PROVIDER = "oidc"
"""Name of the provider in the settings of `st.login`."""

ASKED_FOR = {"email": {"essential": True}, "email_verified": None}
"""What the ID token is asked to hold (OpenID Connect Core 1.0, section 5.5)."""

COOKIE_HEADER = b"set-cookie"

_taken: set[str] = set()
"""Variables from which this process took a secret, whatever `workbench.toml` says by now."""


def provider_settings(workspace: Workspace) -> dict[str, Any]:
    """Return the settings that Streamlit takes for `st.login`, secrets from the environment among them.

    Raises:
        ConfigError: There is no `[sign_in]`, or a variable it names is not set or too short.
    """
    sign_in = workspace.config.sign_in
    if sign_in is None:
        raise ConfigError(f"{workspace.root / CONFIG_NAME} has no [sign_in].", "See docs/sign-in.md.")
    secrets = {name: _secret(sign_in, name) for name in ("client_secret_env", "cookie_secret_env")}
    _taken.update(secret_variables(workspace))
    return {
        "redirect_uri": sign_in.redirect_uri,
        "cookie_secret": secrets["cookie_secret_env"],
        PROVIDER: {
            "client_id": sign_in.client_id,
            "client_secret": secrets["client_secret_env"],
            "server_metadata_url": sign_in.discovery_url,
            "client_kwargs": {"scope": " ".join(sign_in.scopes)},
            # Many providers put the address into the ID token only where it is asked for by name.
            "authorize_params": {"claims": json.dumps({"id_token": ASKED_FOR})},
        },
    }


def secret_variables(*workspaces: Workspace) -> set[str]:
    """Return the variables with secrets that only the app's server needs, and nothing that it starts.

    Args:
        workspaces: Those whose `[sign_in]` names some; those that this process has used count in any case.
    """
    signing_in = [each.config.sign_in for each in workspaces if each.config.sign_in is not None]
    return _taken.union(*({each.client_secret_env, each.cookie_secret_env} for each in signing_in))


def check_installed() -> None:
    """Refuse where the packages that sign-in needs are missing.

    Raises:
        ModelMissing: They are.
    """
    from importlib.util import find_spec

    missing = [name for name in ("authlib", "httpx") if find_spec(name) is None]
    if missing:
        raise ModelMissing(
            f"Sign-in needs {' and '.join(missing)}, which is not installed.",
            "Install the extra: pip install 'shadow-workbench[auth]'.",
        )


def _secret(sign_in: SignIn, key: str) -> str:
    variable: str = getattr(sign_in, key)
    value = os.environ.get(variable, "")
    if not value:
        raise ConfigError(
            f"The variable {variable} is not set; sign_in.{key} names it.",
            "Set it where the app is started, from your secret store; see docs/sign-in.md.",
        )
    if key == "cookie_secret_env" and len(value) < SHORTEST_SECRET_CHARS:
        raise ConfigError(
            f"The variable {variable} holds fewer than {SHORTEST_SECRET_CHARS} characters: "
            "who guesses it can sign in as anybody.",
            'Make one with: python -c "import secrets; print(secrets.token_hex(32))".',
        )
    return value


class GuardedCookies:
    """Middleware that marks every cookie as one for encrypted connections alone, where the app has them.

    Args:
        app: What answers.
        secure: Whether browsers reach the app by https.
    """

    def __init__(self, app: ASGIApp, secure: bool) -> None:
        self._app = app
        self._secure = secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, its cookies guarded."""

        async def guarded(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                message["headers"] = [
                    (name, _secured(value)) if name.lower() == COOKIE_HEADER else (name, value)
                    for name, value in message.get("headers", [])
                ]
            await send(message)

        await self._app(scope, receive, guarded if self._secure else send)


def _secured(cookie: bytes) -> bytes:
    attributes = {part.strip().lower() for part in cookie.split(b";")[1:]}
    return cookie if b"secure" in attributes else cookie + b"; Secure"
