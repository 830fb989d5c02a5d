"""Tools that a provider defines and the caller runs, and those that the provider runs: told apart."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.formats.answers import read_response
from workbench.formats.base import Mark
from workbench.formats.logged import read_logged
from workbench.formats.requests import read_request
from workbench.records import ErrorKind, Message, ToolCall

ASKED = {"role": "user", "content": "List the files."}
SPOKEN = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Two."}]}
SHELL = {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}}
LISTED = [{"stdout": "a b", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]
CALLS: list[tuple[dict[str, Any], Any]] = [
    ({"type": "computer_call", "action": {"type": "click", "x": 1}}, {"type": "click", "x": 1}),
    ({"type": "computer_call", "actions": [{"type": "wait"}]}, {"actions": [{"type": "wait"}]}),
    ({"type": "local_shell_call", "action": {"command": ["ls"]}}, {"command": ["ls"]}),
    ({"type": "shell_call", "action": {"commands": ["ls"]}}, {"commands": ["ls"]}),
    ({"type": "apply_patch_call", "operation": {"path": "a"}}, {"path": "a"}),
]


@pytest.mark.parametrize(("item", "arguments"), CALLS)
def test_an_answer_that_asks_the_caller_to_act_is_a_tool_call(item: dict[str, Any], arguments: Any) -> None:
    """A shell, a screen and patches are the caller's: such an answer is not an empty one."""
    item = {"id": "i", "call_id": "c", "status": "completed", **item}
    for found in (
        read_response({"object": "response", "status": "completed", "output": [item]}, marks := []),
        read_logged([item], marks),
    ):
        assert found is not None
        assert (found.tool_calls, found.error) == ((ToolCall(item["type"], arguments, "c"),), None)
        assert found.finish_reason == "tool_calls"
    assert marks == []


@pytest.mark.parametrize(
    ("kind", "output", "content"),
    [
        ("local_shell_call", {"output": "a b"}, "a b"),
        ("shell_call", {"output": LISTED}, None),
        ("apply_patch_call", {"status": "failed", "output": "no such file"}, "no such file"),
        ("apply_patch_call", {"status": "completed"}, "completed"),
    ],
)
def test_a_call_the_caller_ran_stays_in_a_history_with_its_result(
    kind: str, output: dict[str, Any], content: str | None
) -> None:
    """The model went on from them; a result without text, a patch's, is how it ended."""
    items = [
        ASKED,
        {"type": kind, "call_id": "c", "action": {"a": 1}},
        {"type": f"{kind}_output", "call_id": "c", **output},
    ]
    request = read_request({"input": items}, marks := [])
    _, called, result = request.messages
    assert called == Message("assistant", None, None, (ToolCall(kind, {"a": 1}, "c"),))
    assert (result.role, result.tool_call_id, marks) == ("tool", "c", [])
    if content is None:
        assert isinstance(result.content, str)
        assert '"stdout":"a b"' in result.content
    else:
        assert result.content == content


def test_a_screenshot_is_the_image_it_is() -> None:
    """What a caller's screen showed is no text of base64."""
    shot = {"type": "computer_screenshot", "image_url": "data:image/png;base64,AA"}
    items = [
        ASKED,
        CALLS[0][0] | {"call_id": "c"},
        {"type": "computer_call_output", "call_id": "c", "output": shot},
    ]
    request = read_request({"input": items}, marks := [])
    assert request.messages[-1].content == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
    ]
    assert marks == [Mark.IMAGE]


def test_a_call_whose_result_stands_in_the_answer_was_the_provider_s() -> None:
    """A hosted shell ran in its container: nothing is left for the caller to do."""
    output = [SHELL, {"type": "shell_call_output", "call_id": "c", "output": LISTED}, SPOKEN]
    for found in (
        read_response({"object": "response", "status": "completed", "output": output}, marks := []),
        read_logged(output, marks),
    ):
        assert found is not None
        assert (found.text, found.tool_calls, found.finish_reason) == ("Two.", (), "stop")
    assert marks == [Mark.BUILT_IN_TOOL]


def test_a_block_of_an_unknown_kind_stays_whatever_its_name_ends_in() -> None:
    """Only kinds known by name are a provider's tools: a user's own block is what they asked about."""
    block = {"type": "phone_call", "number": "1"}
    (message,) = read_request([{"role": "user", "content": [block]}], marks := []).messages
    assert (message.content, marks) == ([block], [])


def test_an_item_of_a_new_tool_of_a_provider_is_marked() -> None:
    """Beside messages stands nothing of a user's: it is left out, and said to be."""
    item = {"type": "map_search_call", "id": "m"}
    assert len(read_request([ASKED, item], marks := []).messages) == 1
    assert marks == [Mark.BUILT_IN_TOOL]
    found = read_response({"object": "response", "status": "completed", "output": [item]}, marks := [])
    assert found is not None
    assert found.error is not None
    assert found.error.kind is ErrorKind.EMPTY
    assert Mark.BUILT_IN_TOOL in marks
