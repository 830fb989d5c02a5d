"""What types can't say about `[sign_in]` and `[access]`: addresses, names of variables, who may get what."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from workbench.errors import ConfigError, did_you_mean
from workbench.roles import (
    DEFAULT_ROLES,
    DOMAIN_PATTERN,
    AccessRules,
    Person,
    Role,
    SignIn,
    is_email,
    plain_email,
)
from workbench.specs import is_loopback

CALLBACK = "/oauth2callback"
DISCOVERY = "/.well-known/openid-configuration"
LONGEST_SESSION_HOURS = 720.0
"""The cookie that tells who signed in is kept by browsers for thirty days."""
SHORTEST_SECRET_CHARS = 32
"""Of the cookie's signing key: 128 bits even if it is written in hexadecimal digits."""
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,99}")
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")


def check_access(sign_in: SignIn | None, rules: AccessRules, path: Path) -> None:
    """Refuse what would let nobody in, or somebody who was not meant.

    Args:
        sign_in: How people sign in; None where they don't.
        rules: Who gets which role.
        path: The file, for the message.

    Raises:
        ConfigError: A key is wrong; the message names it.
    """
    if sign_in is not None:
        _check_sign_in(sign_in, path)
    elif rules != AccessRules():
        raise ConfigError(
            f"{path}: [access] gives roles, but nobody signs in.",
            "Add [sign_in] (see docs/sign-in.md), or take [access] out: without sign-in the app is for "
            "this machine alone.",
        )
    if rules.default_role is not None and rules.default_role not in DEFAULT_ROLES:
        raise ConfigError(
            f"{path}: access.default_role can't be {rules.default_role.value!r}.",
            f"Everybody who signs in may be {' or '.join(DEFAULT_ROLES)}; name the others one by one.",
        )
    for index, person in enumerate(rules.people):
        _check_person(person, f"{path}: access.people[{index}]")


def _check_sign_in(sign_in: SignIn, path: Path) -> None:
    where = f"{path}: sign_in"
    if not sign_in.client_id.strip():
        raise ConfigError(f"{where}.client_id is empty.", "Your provider gave you one with the client.")
    _check_url(f"{where}.discovery_url", sign_in.discovery_url, DISCOVERY)
    _check_url(f"{where}.redirect_uri", sign_in.redirect_uri, CALLBACK)
    for key in ("client_secret_env", "cookie_secret_env"):
        # A wrong value may be the secret itself: it is not repeated.
        if not _VARIABLE.fullmatch(getattr(sign_in, key)):
            raise ConfigError(
                f"{where}.{key} is not the name of an environment variable in capital letters.",
                f'Put the secret itself into a variable, and name that one: {key} = "WORKBENCH_SECRET".',
            )
    if sign_in.client_secret_env == sign_in.cookie_secret_env:
        raise ConfigError(
            f"{where}: client and cookie have one secret.", "Name two variables with two secrets."
        )
    if not 0 < sign_in.session_hours <= LONGEST_SESSION_HOURS:
        raise ConfigError(
            f"{where}.session_hours = {sign_in.session_hours:g} is outside 0 to {LONGEST_SESSION_HOURS:g}.",
            "Mend it.",
        )
    if "openid" not in sign_in.scopes or "email" not in sign_in.scopes:
        raise ConfigError(f"{where}.scopes must hold 'openid' and 'email'.", "Roles go by e-mail address.")
    for scope in sign_in.scopes:
        if not _SCOPE.fullmatch(scope):
            raise ConfigError(f"{where}.scopes: {scope!r} is no scope.", "Mend it.")


def _check_url(where: str, url: str, ending: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if not host or parts.scheme not in ("http", "https") or any(each.isspace() for each in url):
        raise ConfigError(f"{where} is not an address.", f"Write https://HOST{ending}.")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ConfigError(
            f"{where} holds more than a host and a path.", "Leave out user, password, query and fragment."
        )
    if parts.scheme == "http" and not is_loopback(url):
        raise ConfigError(
            f"{where}: {url} is not encrypted, and who signs in there can be impersonated.", "Use https."
        )
    if not parts.path.endswith(ending):
        raise ConfigError(f"{where} must end in {ending}.", f"It is {url} now.")


def _check_person(person: Person, where: str) -> None:
    if (person.email is None) == (person.domain is None):
        raise ConfigError(
            f"{where} must name an e-mail address or a domain, and only one.",
            'For example email = "mia@example.com", or domain = "example.com".',
        )
    wild = "*" in (person.email or "")
    if person.email is not None and (wild or not is_email(plain_email(person.email))):
        raise ConfigError(
            f"{where}.email: {person.email!r} is no e-mail address.",
            'Everybody of a domain is domain = "example.com".' if wild else "Mend it.",
        )
    if person.domain is not None and not DOMAIN_PATTERN.fullmatch(plain_email(person.domain)):
        raise ConfigError(
            f"{where}.domain: {person.domain!r} is no domain.", 'Write it without @ and *: "example.com".'
        )
    if not person.roles:
        raise ConfigError(f"{where} has no role.", did_you_mean("", [role.value for role in Role]))
    if person.tasks is not None and not person.tasks:
        raise ConfigError(f"{where}.tasks is empty.", "Leave it out for every task, or name some.")
