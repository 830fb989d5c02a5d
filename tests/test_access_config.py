"""`[sign_in]` and `[access]`: what would let in nobody, or the wrong people, is refused by its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench import access, setup
from workbench.config import Workspace
from workbench.errors import ConfigError
from workbench.roles import AccessRules, Role

GOOD = {
    "client_id": "workbench",
    "discovery_url": "https://login.example.com/.well-known/openid-configuration",
    "redirect_uri": "https://workbench.example.com/oauth2callback",
}


@pytest.fixture(autouse=True)
def process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget afterwards that people sign in."""
    monkeypatch.setattr(access, "_process", access.Process())


def load(folder: Path, text: str = "", **keys: str) -> Workspace:
    """Read a workspace with sign-in, some keys of it changed; an empty one is left out."""
    table = {key: value for key, value in (GOOD | keys).items() if value}
    lines = ["[sign_in]", *(f'{key} = "{value}"' for key, value in table.items())]
    (folder / "workbench.toml").write_text("\n".join(lines) + "\n" + text)
    return Workspace.load(folder)


def test_a_workspace_without_it_is_for_this_machine_alone(tmp_path: Path) -> None:
    config = setup.init(tmp_path / "w")
    space = Workspace.load(config.root)
    assert space.config.sign_in is None
    assert space.config.access == AccessRules()
    assert not access.is_guarded()


def test_people_domains_tasks_and_the_default_role_are_read(tmp_path: Path) -> None:
    """The example of the documentation means what it says."""
    rules = load(
        tmp_path,
        """
        session_hours = 8
        [access]
        default_role = "viewer"
        [[access.people]]
        email = "Mia@example.com"
        roles = ["reviewer", "engineer"]
        tasks = ["triage"]
        [[access.people]]
        domain = "example.com"
        roles = ["viewer"]
        """,
    ).config.access
    assert rules.default_role is Role.VIEWER
    assert rules.actor("mia@example.com", verified=True).rights("triage") > rules.actor(
        "max@example.com", verified=True
    ).rights("triage")
    assert access.is_guarded()


@pytest.mark.parametrize(
    ("keys", "text", "words"),
    [
        ({"client_id": ""}, "", "'client_id'"),
        ({"client_id": " "}, "", "sign_in.client_id"),
        ({"discovery_url": "login.example.com"}, "", "sign_in.discovery_url is not an address"),
        ({"discovery_url": "https://login.example.com"}, "", "must end in /.well-known"),
        ({"discovery_url": GOOD["discovery_url"].replace("https", "http")}, "", "not encrypted"),
        ({"redirect_uri": "http://workbench.example.com/oauth2callback"}, "", "not encrypted"),
        ({"redirect_uri": "https://workbench.example.com/"}, "", "must end in /oauth2callback"),
        ({"redirect_uri": "https://a:b@workbench.example.com/oauth2callback"}, "", "more than a host"),
        ({"redirect_uri": "https://workbench.example.com/oauth2callback?to=x"}, "", "more than a host"),
        ({"redirect_uri": "https://[::1/oauth2callback"}, "", "not an address"),
        ({"redirect_uri": "javascript://x/oauth2callback"}, "", "not an address"),
        ({"client_secret_env": "A_SECRET", "cookie_secret_env": "A_SECRET"}, "", "two secrets"),
        ({}, "session_hours = 0\n", "session_hours = 0"),
        ({}, "session_hours = 100000\n", "session_hours"),
        ({}, 'scopes = ["openid"]\n', "'email'"),
        ({}, 'scopes = ["openid", "email", "a b"]\n', "'a b'"),
        ({"client": "x"}, "", "'client_id'"),
        ({}, '[access]\ndefault_role = "admin"\n', "can't be 'admin'"),
        ({}, '[access]\ndefault_role = "viewr"\n', "'viewer'"),
        ({}, '[[access.people]]\nroles = ["viewer"]\n', "people[0] must name"),
        ({}, '[[access.people]]\nemail = "a@b.c"\ndomain = "b.c"\nroles = ["viewer"]\n', "only one"),
        ({}, '[[access.people]]\nemail = "*@b.c"\nroles = ["viewer"]\n', 'domain = "example.com"'),
        ({}, '[[access.people]]\nemail = "mia"\nroles = ["viewer"]\n', "no e-mail address"),
        ({}, '[[access.people]]\ndomain = "*.b.c"\nroles = ["viewer"]\n', "is no domain"),
        ({}, '[[access.people]]\ndomain = "@b.c"\nroles = ["viewer"]\n', "is no domain"),
        ({}, '[[access.people]]\nemail = "a@b.c"\nroles = []\n', "has no role"),
        ({}, '[[access.people]]\nemail = "a@b.c"\nroles = ["admin"]\ntasks = []\n', "tasks is empty"),
        ({}, '[[access.people]]\nemail = "a@b.c"\nroles = ["amdin"]\n', "'admin'"),
        ({}, '[[access.people]]\nemail = "a@b.c"\nrole = ["admin"]\n', "'roles'"),
    ],
)
def test_each_mistake_is_named_by_its_key(
    tmp_path: Path, keys: dict[str, str], text: str, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, **keys)
    assert words in str(caught.value)
    assert "workbench.toml" in str(caught.value)


@pytest.mark.parametrize("key", ["client_secret_env", "cookie_secret_env"])
def test_a_secret_in_the_place_of_its_variable_is_refused_and_not_repeated(tmp_path: Path, key: str) -> None:
    """The message may be passed on."""
    with pytest.raises(ConfigError, match=key) as caught:
        load(tmp_path, **{key: "sk-canary-7c1f"})
    assert "canary" not in str(caught.value)


def test_a_provider_on_this_machine_needs_no_encryption(tmp_path: Path) -> None:
    """For trying it out: nobody else can listen in."""
    space = load(
        tmp_path,
        discovery_url="http://127.0.0.1:8000/.well-known/openid-configuration",
        redirect_uri="http://localhost:8501/oauth2callback",
    )
    assert space.config.sign_in is not None


def test_roles_without_sign_in_are_refused(tmp_path: Path) -> None:
    """Somebody would believe that they hold."""
    (tmp_path / "workbench.toml").write_text('[[access.people]]\nemail = "a@b.c"\nroles = ["viewer"]\n')
    with pytest.raises(ConfigError, match="nobody signs in"):
        Workspace.load(tmp_path)
