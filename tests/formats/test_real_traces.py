"""What real trace exports of many frameworks become: messages, tools and answer of every call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from real_data import DATA, needs

from workbench.formats import Draft, read
from workbench.formats.base import Mark
from workbench.normal import message_text
from workbench.records import Message

pytestmark = needs("traces")

Told = tuple[list[str], list[str], list[str] | None]

TRACES = DATA / "traces"
FOLDER = TRACES / "langfuse_trace_export"
WEATHER = "What's the weather in San Francisco?"
TOOL_TURNS = ["system", "user", "assistant", "tool"]
JOKE_TURNS = ["system", "user", "assistant", "tool", "tool", "tool"]
JOKES = ["get_pun_suggestion", "get_dad_joke_suggestion", "get_one_liner_suggestion"]


def calls_of(name: str) -> list[Draft]:
    """Return the calls of an export, the earliest first."""
    (path,) = FOLDER.glob(f"{name}-20*.trace.json")
    return calls_in(path)


def calls_in(path: Path) -> list[Draft]:
    """Return the calls of a file, the earliest first."""
    found = [each for each in read([path]) if isinstance(each, Draft)]
    return sorted(found, key=lambda each: str(each.occurred_at))


def check(found: list[Draft], told: list[Told]) -> None:
    """Compare calls with roles, names of tools, and the answer: the start of its text (“), tools it calls."""
    assert len(found) == len(told)
    for draft, (roles, tools, answer) in zip(found, told, strict=True):
        assert (turns(draft), tools_of(draft)) == (roles, tools)
        control = draft.control
        if answer is None:
            assert control is None
            continue
        assert control is not None
        assert control.error is None
        texts = [each for each in answer if each.startswith("“")]
        names = [each for each in answer if not each.startswith("“")]
        assert [each.name for each in control.tool_calls] == names
        assert (control.text or "").startswith(texts[0][1:]) if texts else not control.text


def tools_of(draft: Draft) -> list[Any]:
    return [each["function"]["name"] for each in draft.request.tools]


def called(message: Any) -> list[tuple[str | None, str, Any]]:
    return [(each.id, each.name, each.arguments) for each in message.tool_calls]


def turns(draft: Draft) -> list[str]:
    return [each.role for each in draft.request.messages]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("agno", [(["user"], [], ["“None"]), (["user"], [], ["“To find out what's"])]),
        ("autogen", [(["user"], [], ["“Hello World!"])]),
        (
            "beeai",
            [
                (["system", "user"], [], None),
                (["system", "user", "assistant"], [], None),
                (["system", "user", "assistant", "assistant"], [], None),
            ],
        ),
        (
            "claude-agent",
            [
                (["user"], [], ["“I'll check the weather"]),
                (["user"], [], ["mcp__weather__get_weather"]),
                (["user"], [], ["mcp__weather__get_weather"]),
                (["user"], [], ["“Great! Here's the current weather"]),
            ],
        ),
        ("crewai", [(["system", "user"], [], ["“I now can give a great answer"])]),
        (
            "google-adk",
            [
                (["system", "user"], ["say_hello"], ["say_hello"]),
                (TOOL_TURNS, ["say_hello"], ["“Hello Langfuse"]),
            ],
        ),
        ("google-gemini", [(["user"], [], ["“**Langfuse** is an"])]),
        (
            "koog",
            [
                (["system", "user"], [], ["HelloTool", "ByeTool"]),
                ([*TOOL_TURNS, "assistant", "tool"], [], ["“Hello my darling Bob! And, bye my dear Bob!"]),
            ],
        ),
        ("langgraph-js", [(["user"], [], ["get_weather"]), (TOOL_TURNS[1:], [], ["“It's always sunny"])]),
        (
            "langgraph-python",
            [
                (["user", "user"], ["Web-Search"], ["Web-Search"]),
                (["user", *TOOL_TURNS[1:]], ["Web-Search"], ['“The search for "example"']),
            ],
        ),
        ("llamaindex", [(["user"], [], ["“Langfuse is a tool"])]),
        (
            "microsoft-agent",
            [
                (["user"], ["get_weather"], ["get_weather"]),
                (["tool"], ["get_weather"], ["“Current conditions in Tokyo, Japan: stormy"]),
            ],
        ),
        (
            "openai-agents",
            [
                (["system", "user"], ["get_weather"], ["get_weather"]),
                (TOOL_TURNS, ["get_weather"], ["“The weather in Tokyo is currently sunny."]),
            ],
        ),
        ("pydantic-ai", [(["system", "user"], [], ["“Langfuse is a tool"])]),
        ("vercel-aisdk", [(["user"], ["getWeather"], ["getWeather"])]),
        ("vertex-ai", [(["user"], [], ["“**Langfuse** is an **open-source"])]),
    ],
)
def test_the_calls_of_an_export_say_what_was_asked_offered_and_answered(name: str, told: list[Told]) -> None:
    """Every call of every export of Langfuse's examples."""
    check(calls_of(name), told)


HELLO = "“Hello there, friend!"
WEATHER_OF_ANTHROPIC = (["user", "assistant", "tool"], ["get_weather"], ["“The current weather in San Fr"])


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "vercel_ai_sdk_spans/all-spans.json",
            [
                (["user"], [], ["“Lines of code align,"]),
                (["system", "user", "assistant", "user"], [], ["“3 + 3 equals 6."]),
                (["user"], [], ['“{"name":"Scrambled Eggs"']),
                (["user"], [], ["“In code’s embrace"]),
            ],
        ),
        ("otlp_genai_tensorzero/anthropic_chat.jsonl", [(["user"], [], [HELLO])]),
        (
            "otlp_genai_tensorzero/anthropic_tool_use.jsonl",
            [
                (["user"], ["get_weather"], ["“I'll check the current weather", "get_weather"]),
                WEATHER_OF_ANTHROPIC,
            ],
        ),
        (
            "otlp_genai_tensorzero/openai_chat.jsonl",
            [(["user"], [], [HELLO]), (["user"], [], ["“Hello, how are you?"])],
        ),
        (
            "otlp_genai_tensorzero/openai_responses.jsonl",
            [(["system", "user"], [], ["“Hello, nice to meet!"])],
        ),
        (
            "nvidia_flywheel/chat_completion.json",
            [
                (["user"], [], ["“I'm doing well"]),
                (["system", "user"], [], ["“I don't have access"]),
                (["user"], ["get_weather"], ["“Let me check the weather", "get_weather"]),
            ],
        ),
        ("litellm/standard_logging_payload.json", [(["user"], [], ["“hi"])]),
        *(
            (f"langsmith_runs/langsmith_{kind}.json", [(["user"], [], [f"“{says}"])])
            for kind, says in (
                ("js_wrap_openai_default", "Howdy! How can I assist you today?"),
                ("js_wrap_openai_reasoning", "Certainly! Below is a Bash script"),
                ("js_wrap_openai_stream", "Howdy! How can I assist you today?"),
                ("py_wrap_openai_", "Howdy! How can I assist you today?"),
                ("py_wrap_openai_reasoning", "Certainly! Below is a **Bash script**"),
                ("py_wrap_openai_stream", "Howdy! How can I assist you today?"),
                ("py_wrap_openai_stream_no_usage", "Howdy! How can I assist you today?"),
            )
        ),
    ],
)
def test_the_calls_of_other_real_logs_say_the_same(name: str, told: list[Told]) -> None:
    """OpenTelemetry, LangSmith, LiteLLM and pairs of bodies, as their own tools wrote them."""
    check(calls_in(TRACES / name), told)


def test_a_tool_call_of_the_vercel_ai_sdk_is_one() -> None:
    """Its answer is a list of calls under names of its own; the tools stand in the metadata."""
    (call,) = calls_of("vercel-aisdk")
    assert call.control is not None
    assert called(call.control) == [
        ("call_DgKARp7a7IhJPDczfifMp6Ra", "getWeather", {"location": "San Francisco"})
    ]
    assert call.control.finish_reason == "tool_calls"
    (tool,) = call.request.tools
    assert tool["function"]["description"] == "Get the weather in a location"
    assert tool["function"]["parameters"]["required"] == ["location"]
    assert call.request.parameters == {"tool_choice": "auto"}


def test_a_result_under_the_name_of_its_tool_is_tied_to_its_call() -> None:
    """LangGraph's JavaScript client logs the tool's name as the role, and no id."""
    first, second = calls_of("langgraph-js")
    assert message_text(first.request.messages[0]) == WEATHER
    _, asked, result = second.request.messages
    assert called(asked) == [("call_VEZJgIQLgzcb80IIyQJm7JCi", "get_weather", {"city": "San Francisco"})]
    assert result == Message(
        "tool", "It's always sunny in San Francisco!", "get_weather", (), "call_VEZJgIQLgzcb80IIyQJm7JCi"
    )


def test_a_tool_among_the_messages_is_an_offered_one() -> None:
    """LangGraph's Python client logs each definition as the message of a tool; a tool's answer stays one."""
    for call in calls_of("langgraph-python"):
        (tool,) = call.request.tools
        assert tool["function"]["description"] == "Dummy web search tool."
        results = [each for each in call.request.messages if each.role == "tool"]
        assert all("Example Result" in message_text(each) and each.tool_call_id for each in results)


def test_parallel_calls_that_are_logged_apart_are_one_answer() -> None:
    """Koog writes each call as an answer of its own, as text; in the history as that of a tool."""
    first, second = calls_of("koog")
    assert first.control is not None
    hello = ("call_n2HaWg9KFP0BZDqXv6G4b3nJ", "HelloTool", {"name": "Bob"})
    bye = ("call_dOeEHJDI0liHrCdFWTpkTsuO", "ByeTool", {"name": "Bob"})
    assert called(first.control) == [hello, bye]
    assert Mark.MULTIPLE_CHOICES not in first.control_marks
    history = second.request.messages[2:]
    assert [called(each) for each in history] == [[hello], [], [bye], []]
    assert [each.tool_call_id for each in history] == [None, hello[0], None, bye[0]]


def test_what_stands_only_in_a_span_s_attributes_is_read_from_there() -> None:
    """Langfuse keeps instructions, tools and an answer's form of OpenTelemetry's spans in the metadata."""
    for call in calls_of("csharp-agent-with-gemini"):
        assert message_text(call.request.messages[0]).startswith("You are an expert on statistical analysis")
        assert call.request.tools
        assert not any("protectedData" in str(each.content) for each in call.request.messages)


def test_tools_and_forms_of_pydantic_ai_are_read() -> None:
    """An agent's tools, the tool that stands for its final answer, and the schema of a plain answer."""
    (path,) = FOLDER.glob("pydantic-ai-tools-2025-12-04.trace.json")
    calls = {each.native_id: each for each in read([path]) if isinstance(each, Draft)}
    writer, critic = calls["00d2804abb764b1b"], calls["eb0cc14cf7943ad5"]
    assert turns(writer) == JOKE_TURNS
    assert tools_of(writer)[:3] == JOKES
    assert all(each["function"]["parameters"]["type"] == "object" for each in writer.request.tools)
    assert tools_of(critic) == ["final_result"]
    assert critic.control is not None
    assert [each.name for each in critic.control.tool_calls] == ["final_result"]
    (sum_,) = calls_of("pydantic-ai-with-gemini")
    shape = sum_.request.response_format
    assert shape is not None
    assert shape["json_schema"]["schema"]["required"] == ["answer", "rationale"]


def test_an_answer_to_a_tool_alone_is_marked_as_part_of_a_conversation() -> None:
    """Microsoft's agents keep the history at the provider: what came before is not in the log."""
    first, second = calls_of("microsoft-agent")
    assert Mark.HISTORY_MISSING not in first.marks
    assert Mark.HISTORY_MISSING in second.marks


def test_the_arguments_of_a_traced_function_are_not_the_prompt() -> None:
    """Langfuse's decorator logs them by place; a single text is what was asked."""
    (call,) = calls_of("llamaindex")
    assert call.request.messages == (Message("user", "What is Langfuse?"),)
