"""The doctor says what is missing and how to mend it."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench import access, setup
from workbench.doctor import examine


def state_of(root: Path, name: str) -> tuple[str, str]:
    """Return state and message of one check."""
    return next((each.state, each.message) for each in examine(root) if each.name == name)


def test_a_folder_that_is_no_workspace_is_a_note_with_the_command(tmp_path: Path) -> None:
    state, message = state_of(tmp_path, "workspace")
    assert state == "note"
    assert "workbench init" in message


def test_a_broken_configuration_is_a_problem_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "workbench.toml").write_text("candidates = 3")
    state, message = state_of(tmp_path, "workspace")
    assert state == "problem"
    assert "workbench.toml" in message


def test_a_missing_key_variable_and_a_missing_file_are_problems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    setup.init(tmp_path)
    table = {"name": "far", "engine": "openai", "base_url": "http://127.0.0.1:1/v1", "model": "m"}
    setup.add_candidate(tmp_path, table | {"api_key_env": "NO_SUCH_KEY"})
    setup.add_candidate(tmp_path, {"name": "file", "engine": "recorded", "outputs": "gone.csv"})
    assert state_of(tmp_path, "candidate far")[0] == "problem"
    assert "gone.csv" in state_of(tmp_path, "candidate file")[1]
    monkeypatch.setenv("NO_SUCH_KEY", "value-that-must-not-be-shown")
    state, message = state_of(tmp_path, "candidate far")
    assert state == "ok"
    assert "value-that" not in message


def test_sign_in_without_its_secrets_an_admin_or_a_known_task_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is missing is named by its variable; what is set is not shown."""
    monkeypatch.setattr(access, "_process", access.Process())
    monkeypatch.setenv("WORKBENCH_CLIENT_SECRET", "canary")
    monkeypatch.delenv("WORKBENCH_COOKIE_SECRET", raising=False)
    (tmp_path / "workbench.toml").write_text(
        """
[sign_in]
client_id = "workbench"
discovery_url = "https://login.example.com/.well-known/openid-configuration"
redirect_uri = "https://workbench.example.com/oauth2callback"
[[access.people]]
email = "mia@example.com"
roles = ["viewer"]
tasks = ["no-such-task"]
"""
    )
    found = [each for each in examine(tmp_path) if each.name in ("sign-in", "roles")]
    said = "; ".join(f"{each.state} {each.message}" for each in found)
    assert "problem not set: WORKBENCH_COOKIE_SECRET" in said
    assert "nobody is admin" in said
    assert "no-such-task" in said
    assert "canary" not in said
