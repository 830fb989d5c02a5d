"""A real OpenID Connect provider for tests: NanoIDP in a process of its own, with a handful of people."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PASSWORD = "of-a-test"  # noqa: S105 - of a provider that lives as long as a test
CLIENT = "workbench"
SECRETS = {
    "TEST_CLIENT_SECRET": "client-canary-b51f0c2d9e7a4c8f",
    "TEST_COOKIE_SECRET": "cookie-canary-0d6a1f9b3c5e7d8f2a4b6c8d0e1f3a5b",
}
PEOPLE = {
    "vera": "vera@example.com",
    "rita": "rita@example.com",
    "emil": "Emil@Example.com",
    "ada": "ada@example.com",
    "nora": "nora@elsewhere.org",
}
ROLES = """
[[access.people]]
email = "vera@example.com"
roles = ["viewer"]
tasks = ["orders"]

[[access.people]]
email = "rita@example.com"
roles = ["reviewer"]
tasks = ["rewrite"]

[[access.people]]
email = "emil@example.com"
roles = ["engineer"]

[[access.people]]
email = "ada@example.com"
roles = ["admin"]
"""


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, seconds: float = 90) -> None:
    """Wait until an address answers, whatever it says."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            opener.open(url, timeout=5).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"{url} did not answer in {seconds} s")


def sign_in_table(issuer: str, app: str) -> str:
    """Return `[sign_in]` and `[access]` for a provider and an app."""
    return f"""
[sign_in]
client_id = "{CLIENT}"
discovery_url = "{issuer}/.well-known/openid-configuration"
redirect_uri = "{app}/oauth2callback"
client_secret_env = "TEST_CLIENT_SECRET"
cookie_secret_env = "TEST_COOKIE_SECRET"
{ROLES}"""


@contextlib.contextmanager
def provider(python: str, folder: Path, app: str) -> Iterator[str]:
    """Run the provider until the block ends, and give its address.

    Args:
        python: An interpreter that has nanoidp.
        folder: For its configuration.
        app: The address of the app that people sign in to.
    """
    port = free_port()
    issuer = f"http://127.0.0.1:{port}"
    settings: dict[str, Any] = {
        "config_version": 1,
        "server": {"host": "127.0.0.1", "port": port},
        "oauth": {
            "issuer": issuer,
            "audience": "tests",
            "clients": [
                {
                    "client_id": CLIENT,
                    "client_secret": SECRETS["TEST_CLIENT_SECRET"],
                    "redirect_uris": [f"{app}/oauth2callback"],
                }
            ],
        },
    }
    users = {
        "config_version": 1,
        "users": {name: {"password": PASSWORD, "email": email} for name, email in PEOPLE.items()},
    }
    folder.mkdir(parents=True)
    # JSON is YAML.
    (folder / "settings.yaml").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "users.yaml").write_text(json.dumps(users), encoding="utf-8")
    with (folder / "log.txt").open("wb") as log:
        child = subprocess.Popen(
            [python, "-m", "nanoidp", "--config", str(folder)],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(folder)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(f"{issuer}/.well-known/openid-configuration")
        yield issuer
    finally:
        child.terminate()
        child.wait(30)
