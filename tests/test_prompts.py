"""Prompt patches: what they change, and that they change nothing else."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import UsageError
from workbench.prompts import Example, apply_patch
from workbench.records import Message, Request, ToolCall
from workbench.specs import PromptPatch

TEXTS = st.text(max_size=30)
PARTS = st.lists(
    st.one_of(
        TEXTS.map(lambda text: {"type": "text", "text": text}),
        st.just({"type": "image_url", "image_url": {"url": "data:,x"}}),
    ),
    max_size=3,
)
CALLS = st.lists(st.builds(ToolCall, name=st.just("find"), arguments=st.just({"a": 1})), max_size=2).map(
    tuple
)
MESSAGES = st.builds(
    Message,
    role=st.sampled_from(["system", "developer", "user", "assistant", "tool"]),
    content=st.one_of(st.none(), TEXTS, PARTS),
    tool_calls=CALLS,
)
REQUESTS = st.builds(
    Request,
    messages=st.lists(MESSAGES, max_size=6).map(tuple),
    response_format=st.one_of(st.none(), st.just({"type": "json_object"})),
    parameters=st.just({"temperature": 0}),
)
PATCHES = st.builds(
    PromptPatch,
    system=st.one_of(st.none(), TEXTS),
    system_trim=st.lists(st.sampled_from(["a", r"\d+", "(?s).*"]), max_size=2).map(tuple),
    response_format=st.one_of(st.none(), st.just({"type": "text"})),
    suffix=TEXTS,
)
EXAMPLES = st.lists(
    st.builds(
        Example,
        asked=TEXTS.map(lambda text: Message("user", f"example {text}")),
        answered=CALLS.map(lambda calls: Message("assistant", "solved", tool_calls=calls)),
    ),
    max_size=3,
).map(tuple)
SYSTEM = ("system", "developer")


@given(REQUESTS)
def test_no_patch_changes_nothing(request: Request) -> None:
    """An empty patch gives the very request back."""
    assert apply_patch(request, PromptPatch()) is request


@given(REQUESTS, PATCHES, EXAMPLES)
def test_the_log_s_own_request_is_never_changed(
    request: Request, patch: PromptPatch, examples: tuple[Example, ...]
) -> None:
    """Whatever a patch does, the recorded request stays as it was, deep down."""
    before = copy.deepcopy((request, patch, examples))
    apply_patch(request, patch, examples)
    assert (request, patch, examples) == before


@given(REQUESTS, PATCHES, EXAMPLES)
def test_messages_a_patch_does_not_name_stay_in_their_order(
    request: Request, patch: PromptPatch, examples: tuple[Example, ...]
) -> None:
    """All but system, example and last user messages is the same, tools and parameters too."""
    after = apply_patch(request, patch, examples)
    turns = sum(2 + len(each.answered.tool_calls) for each in examples)
    rest = [each for each in after.messages if each.role not in SYSTEM]
    start = next(
        (i for i, each in enumerate(rest) if examples and each is examples[0].asked),
        0,
    )
    del rest[start : start + turns]
    own = [each for each in request.messages if each.role not in SYSTEM]
    if patch.suffix.strip():
        if any(each.role == "user" for each in own):
            last = max(i for i, each in enumerate(own) if each.role == "user")
            del own[last]
            del rest[last]
        else:
            assert rest.pop().role == "user"
    assert rest == own
    assert (after.tools, after.parameters) == (request.tools, request.parameters)


@given(REQUESTS, PATCHES, EXAMPLES)
def test_examples_stand_between_the_leading_system_messages_and_the_rest(
    request: Request, patch: PromptPatch, examples: tuple[Example, ...]
) -> None:
    """Everything before the first example is a system message; the message behind them is none."""
    after = apply_patch(request, patch, examples).messages
    if examples:
        start = next(i for i, each in enumerate(after) if each is examples[0].asked)
        assert all(each.role in SYSTEM for each in after[:start])


def ask(*messages: Message, **keys: Any) -> Request:
    return Request(messages, **keys)


def test_system_replaces_the_prompt_the_request_begins_with() -> None:
    """Several system messages in a row become one with the first one's role; a later one stays."""
    request = ask(
        Message("developer", "Long."),
        Message("system", "Longer."),
        Message("user", "Hi"),
        Message("system", "Now in French."),
        Message("user", "Bye"),
    )
    after = apply_patch(request, PromptPatch(system="Short.")).messages
    assert [(each.role, each.content) for each in after] == [
        ("developer", "Short."),
        ("user", "Hi"),
        ("system", "Now in French."),
        ("user", "Bye"),
    ]


def test_a_request_without_a_system_message_gets_one_in_front() -> None:
    after = apply_patch(ask(Message("user", "Hi")), PromptPatch(system="Short.")).messages
    assert after == (Message("system", "Short."), Message("user", "Hi"))


def test_an_empty_system_prompt_takes_it_out() -> None:
    request = ask(Message("system", "Long."), Message("user", "Hi"))
    assert apply_patch(request, PromptPatch(system="")).messages == (Message("user", "Hi"),)


def test_trimming_takes_matches_out_of_every_system_message() -> None:
    """Matches go, ends are stripped, a message left empty goes; user messages are not touched."""
    request = ask(
        Message("system", "Sort it.\n## Style\nBe nice.\n## End"),
        Message("system", [{"type": "text", "text": "## Style x ## End"}, {"type": "text", "text": "Keep"}]),
        Message("user", "## Style mine ## End"),
        Message("system", "## Style ## End"),
    )
    after = apply_patch(request, PromptPatch(system_trim=("(?s)## Style.*?## End",))).messages
    assert after == (
        Message("system", "Sort it."),
        Message("system", [{"type": "text", "text": "Keep"}]),
        Message("user", "## Style mine ## End"),
    )


@pytest.mark.parametrize(
    ("content", "suffix", "expected"),
    [
        ("Hi", "One word.", "Hi\n\nOne word."),
        ("Hi", " One word.", "Hi One word."),
        ("", "One word.", "One word."),
        (None, "One word.", "One word."),
        ([{"type": "text", "text": "Hi"}], "Go", [{"type": "text", "text": "Hi\n\nGo"}]),
        (
            [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": "x"}}],
            "Go",
            [
                {"type": "text", "text": "Hi"},
                {"type": "image_url", "image_url": {"url": "x"}},
                {"type": "text", "text": "Go"},
            ],
        ),
    ],
)
def test_a_suffix_stands_behind_the_last_user_message(content: Any, suffix: str, expected: Any) -> None:
    """Texts get it behind an empty line, typed parts in their last text or as a part; earlier turns stay."""
    request = ask(Message("user", "First"), Message("assistant", "Yes"), Message("user", content))
    after = apply_patch(request, PromptPatch(suffix=suffix)).messages
    assert after == (Message("user", "First"), Message("assistant", "Yes"), Message("user", expected))


def test_a_suffix_without_a_user_message_becomes_one() -> None:
    after = apply_patch(ask(Message("system", "S")), PromptPatch(suffix="Go"))
    assert after.messages[-1] == Message("user", "Go")


def test_an_example_s_tool_call_is_answered() -> None:
    """Tool calls are shown as they are, each followed by a reply of its tool: servers refuse others."""
    calls = (ToolCall("find", {"id": 7}, "c1"), ToolCall("find", {"id": 8}, "c2"))
    example = Example(Message("user", "Where?"), Message("assistant", None, tool_calls=calls))
    after = apply_patch(ask(Message("user", "Hi")), PromptPatch(), [example]).messages
    assert [each.role for each in after] == ["user", "assistant", "tool", "tool", "user"]
    assert after[1].tool_calls == calls
    assert [each.tool_call_id for each in after[2:4]] == ["c1", "c2"]


def test_the_response_format_is_replaced() -> None:
    request = ask(Message("user", "Hi"), response_format={"type": "json_object"})
    assert apply_patch(request, PromptPatch(response_format={"type": "text"})).response_format == {
        "type": "text"
    }


@pytest.mark.parametrize("role", ["system", "developer"])
def test_a_pattern_without_end_is_given_up(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nested repeats would search a short text for years and hold every other call up."""
    monkeypatch.setattr("workbench.prompts.TRIM_S", 0.1)
    request = Request((Message(role, "a" * 60 + "!"), Message("user", "x")))
    with pytest.raises(UsageError, match=r"system_trim '\(a\|aa\|a\+\)\+\$' takes more than"):
        apply_patch(request, PromptPatch(system_trim=("(a|aa|a+)+$",)))
