"""What a sample asks is read off its requests, and a candidate is tried for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from replay_world import add_calls, candidate_toml, make_workspace, open_store
from servers import Server, serving

from workbench.cli import cli
from workbench.config import Workspace
from workbench.engines.conformance import Needs
from workbench.normal import content_hash
from workbench.records import Message, Request, to_json
from workbench.replay.needs import sample_needs
from workbench.specs import PromptPatch
from workbench.store import Store

TOOL = {"type": "function", "function": {"name": "book", "parameters": {"type": "object"}}}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A stub server in a process of its own."""
    with serving() as found:
        yield found


def add(store: Store, name: str, request: Request) -> str:
    """Put one call without a control into the store; return its id."""
    row = {
        "call_id": name,
        "manifest_id": "m",
        "source": "s",
        "native_id": name,
        "task": "spam",
        "occurred_at": datetime.now(UTC),
        "tool_count": len(request.tools),
        "request_hash": content_hash(name),
        "content_hash": name,
        "request": to_json(request).decode(),
        "attributes": "{}",
        "marks": [],
    }
    store.append("calls", [row])
    return name


def needs(store: Store, workspace: Workspace, *ids: str, **keys: Any) -> Needs:
    """Return what a sample of these calls asks of the candidate, with other keys."""
    spec = replace(workspace.candidate("small"), **keys)
    return sample_needs(store, ids, spec, workspace.eval_for("spam"))


def test_roles_tools_formats_and_lengths_are_those_of_the_sample(tmp_path: Path) -> None:
    """Each request adds what it holds; the candidate's own keys come before the log's."""
    workspace = make_workspace(
        tmp_path, candidate_toml("small", engine="openai", base_url="http://127.0.0.1:1/v1", model="m")
    )
    user = Message("user", "x" * 4000)
    with open_store(workspace) as store:
        add(store, "plain", Request((user,), parameters={"max_tokens": 500}))
        add(store, "turns", Request((Message("developer", "d"), user, Message("assistant", "a"), user)))
        add(store, "tools", Request((user,), tools=(TOOL,), response_format={"type": "json_object"}))
        add(store, "bare", Request((user,), response_format={"properties": {}, "type": "object"}))
        plain = needs(store, workspace, "plain")
        assert not any((plain.has_system, plain.has_turns, plain.has_tools, plain.response_formats))
        assert plain.wants_logprobs
        assert 1500 <= plain.longest_tokens <= 1560
        turns = needs(store, workspace, "plain", "turns")
        assert turns.has_system
        assert turns.has_turns
        tools = needs(store, workspace, "plain", "tools", "bare")
        assert tools.has_tools
        assert set(tools.response_formats) == {"json_object", "json_schema"}
        own = needs(store, workspace, "plain", parameters={"max_tokens": 9, "structured_outputs": True})
        assert own.longest_tokens < 1100
        assert own.wants_labels
        patch = PromptPatch(system="Be brief.", response_format={"type": "json_object"})
        patched = needs(store, workspace, "plain", patch=patch)
        assert patched.has_system
        assert patched.response_formats == ("json_object",)


def test_a_candidate_is_tried_for_a_task_and_without_one(tmp_path: Path, server: Server) -> None:
    """Without a task a missing tool parser is a warning; the calls hold nothing of the task's data."""
    workspace = make_workspace(
        tmp_path, candidate_toml("small", engine="openai", base_url=server.url("good"), model="m")
    )
    with open_store(workspace) as store:
        add_calls(store, 3)
    for extra, expected in (([], {"tools": "warning"}), (["--task", "spam"], {"tools": "skipped"})):
        server.reset()
        command = ["candidate", "test", "small", "--workspace", str(tmp_path), "--json", *extra]
        done = CliRunner().invoke(cli, command)
        assert done.exit_code == 0, done.output
        document = json.loads(done.stdout)
        states = {each["name"]: each["state"] for each in document["checks"]}
        assert states["chat"] == "passed"
        assert states | expected == states
        stats = server.stats("good")
        assert stats["hits"] == document["calls"] <= 5
        assert not any("Message 0" in each for each in stats["prompts"])
