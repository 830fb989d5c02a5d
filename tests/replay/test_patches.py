"""Prompt patches in a workspace: the parent named, examples never evaluated, shown before a run."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from import_world import pair
from replay_world import add_calls, candidate_toml, make_workspace, open_store
from servers import Server, serving

from workbench import Workbench
from workbench.cli import cli
from workbench.config import Workspace
from workbench.errors import ConfigError, UsageError
from workbench.ingest import import_files, resolve_conflicts
from workbench.normal import content_hash
from workbench.records import ErrorKind, Message, Output, OutputError, Request, to_json
from workbench.replay import replay as checked_replay
from workbench.replay.batch_export import export_batch
from workbench.replay.patch_setup import patch_candidate, preview_patch
from workbench.store import Store
from workbench.store.comparisons import held_out_share

replay = functools.partial(checked_replay, checks=False)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as found:
        yield found


def base(url: str = "http://127.0.0.1:9/v1", **keys: Any) -> str:
    return candidate_toml("base", engine="openai", base_url=url, model="m", **keys)


def child(patch: str = "", **keys: Any) -> str:
    table = candidate_toml("child", **({"parent": "base"} | keys))
    return table + (f"[candidates.patch]\n{patch}\n" if patch else "")


def call(index: int) -> str:
    """Return the store's id of call `index`."""
    return content_hash("test", str(index))


def add(
    store: Store, name: str, text: Any, *, control: Output | None = None, task: str = "spam", **keys: Any
) -> str:
    """Put one call into the store; return its id."""
    request = Request((Message("system", "Answer."), Message("user", text)))
    call_id = content_hash("one", name)
    row = {
        "call_id": call_id,
        "manifest_id": "m2",
        "source": "test",
        "native_id": name,
        "task": task,
        "request_hash": content_hash(to_json(request)),
        "content_hash": content_hash(name),
        "request": to_json(request).decode(),
        "attributes": "{}",
        "marks": [],
    }
    store.append("calls", [row | keys])
    if control is not None:
        error = control.error.kind.value if control.error else None
        output = {"output": to_json(control).decode(), "text": control.text, "error_kind": error}
        store.append("controls", [{"call_id": call_id, "manifest_id": "m2", "marks": []} | output])
    return call_id


def sample(store: Store, candidate: str = "child") -> set[str]:
    """Return the calls that a candidate's replays drew."""
    rows = store.rows(
        "SELECT call_id FROM replay_calls JOIN replays USING (replay_id) WHERE candidate = ?", (candidate,)
    )
    return {row["call_id"] for row in rows}


def shown(ids: Sequence[str]) -> str:
    return f"examples = {json.dumps(list(ids))}"


def test_a_child_takes_over_what_it_does_not_set(tmp_path: Path) -> None:
    """Keys come from the parent and its parent; names and what another engine means don't."""
    workspace = make_workspace(
        tmp_path,
        base(parameters={"max_tokens": 8}, description="the first", stream=True),
        child('suffix = "Go"', timeout_s=3),
        candidate_toml("grand", parent="child", model="n"),
        candidate_toml("file", parent="grand", engine="recorded", outputs="out.jsonl"),
    )
    middle, grand, file = (workspace.candidate(name) for name in ("child", "grand", "file"))
    assert (middle.model, middle.timeout_s, middle.description) == ("m", 3, "")
    assert middle.parameters == {"max_tokens": 8}
    assert (grand.model, grand.timeout_s, grand.parent) == ("n", 3, "child")
    assert grand.patch == middle.patch is not None
    assert (file.patch, file.model, file.base_url, file.stream) == (grand.patch, "n", None, False)
    prints = [workspace.fingerprint(workspace.candidate(name)) for name in ("base", "child", "grand")]
    assert len(set(prints)) == 3


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ([base(parent="child"), child()], ["parent", "circle", "base -> child -> base"]),
        ([base(), child(parent="bse")], ["child", "parent", "'base'"]),
        ([base(), child("system_trim = ['(']")], ["patch.system_trim", "regular expression"]),
        ([base(), child("examples = ['a', 'a']")], ["patch.examples", "twice"]),
        ([base(), child("sistem = 'x'")], ["sistem", "'system'"]),
        ([base(), child("response_format = { a = 1 }")], ["patch.response_format", "type"]),
        ([base(samples=21)], ["samples = 21", "0 to 20"]),
        ([base(samples=3, samples_temperature=3.0)], ["samples_temperature = 3"]),
        ([base(samples=3, samples_temperature=0.0)], ["samples_temperature = 0"]),
        ([base(server={"max_model_len": 100})], ["server", "openai", "vllm"]),
        ([base(dialect="vlm")], ["dialect", "'vllm'"]),
        ([base(timeout_s=0)], ["timeout_s = 0"]),
        (
            [candidate_toml("v", engine="vllm", model="m", server={"gpu_memory_share": 1.5})],
            ["server.gpu_memory_share = 1.5", "0.01 to 1"],
        ),
        (
            [candidate_toml("v", engine="vllm", model="m", server={"tensor_parallel": 0})],
            ["server.tensor_parallel = 0"],
        ),
        (
            [candidate_toml("v", engine="vllm", model="m", server={"environment": {"HF_TOKEN": "x"}})],
            ["server.environment", "HF_TOKEN"],
        ),
        ([candidate_toml("t", engine="transformers", model="m", stream=True)], ["stream", "transformers"]),
        (['[[models]]\nmodel = "g"\nretires_on = 1970-01-01\nsource = "page"\n'], ["retires_on", "'g'"]),
        (['[[models]]\nmodel = "g"\nretires_on = "soon"\nsource = "page"\n'], ["retires_on"]),
        (['[[models]]\nmodel = "g"\nretires_on = 2027-01-31\nsource = ""\n'], ["source", "'g'"]),
    ],
)
def test_a_wrong_key_of_a_candidate_or_model_is_named(
    tmp_path: Path, tables: list[str], words: list[str]
) -> None:
    """Each mistake is a message with the file, the key and the way out."""
    with pytest.raises(ConfigError) as caught:
        make_workspace(tmp_path, *tables)
    for word in ["workbench.toml", *words]:
        assert word in str(caught.value)


def test_the_candidate_is_asked_the_patched_request(tmp_path: Path, server: Server) -> None:
    """What arrives at the server holds the patch and the examples' own words, and all else of the log."""
    url = server.url("echo")
    patch = f'system = "Short."\nsuffix = "One word."\n{shown(["row-3"])}'
    workspace = make_workspace(tmp_path, base(url), child(patch))
    with open_store(workspace) as store:
        add_calls(store, 5)
        report = replay(workspace, store, "spam", "child")
        texts = [row["text"] for row in store.rows("SELECT text FROM observations")]
    assert report.done == 4
    assert "base" in report.text
    for text in texts:
        body = json.loads(text)
        assert [each["content"] for each in body["messages"][:3]] == [
            "Short.",
            "Message 00003: is this spam?",
            "ham",
        ]
        assert body["messages"][3]["content"].endswith("is this spam?\n\nOne word.")
        assert (body["temperature"], body["max_tokens"]) == (0, 8)


def test_what_is_shown_is_never_drawn(tmp_path: Path, server: Server) -> None:
    """Examples, the same request, and the same last message stay out of the sample, however it grows."""
    workspace = make_workspace(tmp_path, base(server.url("good")), child(shown([call(3), "row-4"])))
    with open_store(workspace) as store:
        add_calls(store, 20)
        alike = add(store, "alike", "  message 00003 - IS this spam", control=Output(text="ham"))
        parts = [{"type": "text", "text": "Message 00004: is this spam?"}]
        alike_parts = add(store, "parts", parts, control=Output(text="ham"))
        other = add(store, "other", "Message 00033: is this spam?", control=Output(text="ham"))
        twin = store.rows("SELECT request_hash FROM calls WHERE call_id = ?", (call(4),))[0]["request_hash"]
        same = add(store, "same", "else", control=Output(text="ham"), request_hash=twin)
        first = replay(workspace, store, "spam", "child", limit=10)
        assert "3 calls are examples" in first.text
        assert "2 that end on the same user message" in first.text
        late = add(store, "late", "MESSAGE 00003: is this spam!", control=Output(text="ham"))
        grown = replay(workspace, store, "spam", "child")
        assert grown.done == len(sample(store)) == 19
        assert not sample(store) & {call(3), call(4), alike, alike_parts, same, late}
        assert other in sample(store)
        chances = store.rows("SELECT DISTINCT inclusion_probability AS p FROM replay_calls WHERE batch = 1")
        assert [row["p"] for row in chances] == [pytest.approx(10 / 19)]


SAMPLE_OF_TWO = [pair(f"q{index}", f"Is {index} spam?", "ham") for index in range(8)]


def with_changed_example(
    root: Path, url: str, changed: dict[str, Any], **keys: Any
) -> tuple[Workspace, Store, Callable[[], None]]:
    """Return a workspace whose `child` is shown call q0, and what resolves a conflict about q0."""
    desk_file, later_file = root / "log.jsonl", root / "later.jsonl"
    desk_file.write_text("".join(json.dumps(each) + "\n" for each in SAMPLE_OF_TWO))
    later_file.write_text(json.dumps(changed) + "\n")
    workspace = make_workspace(root, base(url), child(shown(["q0"]), **keys))
    store = open_store(workspace)
    import_files(workspace, store, [desk_file], task="spam")

    def resolve() -> None:
        assert import_files(workspace, store, [later_file], task="spam").conflicts == 1
        assert resolve_conflicts(store, "arrived").resolved == 1

    return workspace, store, resolve


@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize(
    ("changed", "asked"),
    [
        (pair("q0", "Is 0 spam?", "spam"), ["Is 0 spam?", "spam"]),
        (pair("q0", "Is zero spam?", "ham"), ["Is zero spam?", "ham"]),
    ],
)
def test_answers_to_changed_examples_are_never_mixed(
    tmp_path: Path, server: Server, changed: dict[str, Any], asked: list[str], new: bool
) -> None:
    """A shown call that was corrected makes another prompt: refused, or asked anew as another edition."""
    workspace, store, resolve = with_changed_example(tmp_path, server.url("echo"), changed)
    with store:
        assert replay(workspace, store, "spam", "child", limit=3).done == 3
        resolve()
        hits = server.stats("echo")["hits"]
        for dry in (True, False):
            with pytest.raises(UsageError, match="must not be mixed") as refused:
                replay(workspace, store, "spam", "child", limit=5, new=new, dry_run=dry)
            assert "edition" in refused.value.hint
        assert server.stats("echo")["hits"] == hits
        # What is finished stays so: nothing would be asked.
        assert new or replay(workspace, store, "spam", "child", limit=3).answered == 0
        make_workspace(tmp_path, base(server.url("echo")), child(shown(["q0"]), edition="2"))
        again = Workspace.load(tmp_path)
        assert replay(again, store, "spam", "child", limit=5).answered == 5
        rows = store.rows("SELECT replay_id, text FROM observations ORDER BY seq")
    shown_in = [[each["content"] for each in json.loads(row["text"])["messages"][:2]] for row in rows]
    assert shown_in == [["Is 0 spam?", "ham"]] * 3 + [asked] * 5


def test_a_change_that_no_prompt_shows_is_no_other_candidate(tmp_path: Path, server: Server) -> None:
    """Another count of tokens in the log changes nothing that is asked."""
    workspace, store, _ = with_changed_example(tmp_path, server.url("good"), pair("q0"))
    with store:
        assert replay(workspace, store, "spam", "child", limit=3).done == 3
        with store.writing() as writer:
            writer.execute("UPDATE controls SET output_tokens = 9")
        assert replay(workspace, store, "spam", "child", limit=5).done == 5


def test_a_replay_begun_before_examples_were_kept_is_held_to_the_log(tmp_path: Path, server: Server) -> None:
    """Where a replay does not say what was shown, a correction since it began is enough to refuse."""
    changed = pair("q0", "Is 0 spam?", "spam")
    workspace, store, resolve = with_changed_example(tmp_path, server.url("good"), changed)
    with store:
        replay(workspace, store, "spam", "child", limit=3)
        with store.writing() as writer:
            writer.execute("UPDATE replays SET plan = json_merge_patch(plan, '{\"shown\": null}')")
        assert replay(workspace, store, "spam", "child", limit=4).done == 4
        resolve()
        with pytest.raises(UsageError, match="must not be mixed"):
            replay(workspace, store, "spam", "child", limit=5)


def test_what_a_batch_lacks_is_not_asked_with_changed_examples(tmp_path: Path, server: Server) -> None:
    """One output file holds answers to one prompt; the whole file may be written anew."""
    changed = pair("q0", "Is 0 spam?", "spam")
    workspace, store, resolve = with_changed_example(tmp_path, server.url("good"), changed)
    file, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    with store:
        export_batch(workspace, store, file, "spam", "child")
        first = json.loads(file.read_text().splitlines()[0])
        message = {"role": "assistant", "content": "ham"}
        body = {"model": "m", "choices": [{"message": message, "finish_reason": "stop"}]}
        reply = {"custom_id": first["custom_id"], "response": {"status_code": 200, "body": body}}
        out.write_text(json.dumps(reply) + "\n")
        assert export_batch(workspace, store, file, "spam", "child", missing_from=out).written == 6
        resolve()
        with pytest.raises(UsageError, match="must not be mixed"):
            export_batch(workspace, store, file, "spam", "child", missing_from=out)
        assert export_batch(workspace, store, file, "spam", "child").written == 7


def test_calls_of_an_example_s_session_are_held_out_and_the_share_is_told(
    tmp_path: Path, server: Server
) -> None:
    """A session goes on where the example stopped; an id that half the log bears is no session."""
    workspace = make_workspace(tmp_path, base(server.url("good")), child(shown([call(3), call(4)])))
    with open_store(workspace) as store:
        add_calls(store, 240)
        with store.writing() as writer:
            writer.execute(
                "UPDATE calls SET session_id = CASE WHEN call_id IN (SELECT unnest(?::VARCHAR[])) "
                "THEN 'chat' WHEN call_id <> ? THEN 'job' END",
                ([call(index) for index in (3, 5, 6)], call(4)),
            )
            writer.execute("UPDATE calls SET session_id = 'job' WHERE call_id = ?", (call(4),))
        report = replay(workspace, store, "spam", "child", limit=200)
        assert "nor are 2 that end on the same user message or are of the same session" in report.text
        assert "nothing about them: 1.7 % of the calls" in report.text
        assert not sample(store) & {call(index) for index in (3, 4, 5, 6)}
        grown = replay(workspace, store, "spam", "child")
        assert grown.done == 236
        assert held_out_share(store, "spam", workspace.fingerprint(workspace.candidate("child"))) == 4 / 240


def test_what_was_evaluated_can_not_become_an_example(tmp_path: Path, server: Server) -> None:
    """A call of any replay's sample, its twin, and one with a gold answer are refused by id."""
    workspace = make_workspace(tmp_path, base(server.url("good")), child(shown([call(3)])))
    with open_store(workspace) as store:
        add_calls(store, 6)
        replay(workspace, store, "spam", "base", limit=6)
        with pytest.raises(UsageError, match=f"{call(3)} replayed through base"):
            replay(workspace, store, "spam", "child")
        add_calls(store, 3, start=6)
        now = datetime.now(UTC)
        store.append("gold", [{"call_id": call(6), "answer": "ham", "origin": "x", "created_at": now}])
        twin = store.rows("SELECT request_hash FROM calls WHERE call_id = ?", (call(1),))[0]["request_hash"]
        same = add(store, "same", "else", control=Output(text="ham"), request_hash=twin)
        for example, why in ((call(6), "gold"), (same, "base")):
            again = make_workspace(tmp_path, base(server.url("good")), child(shown([example])))
            with pytest.raises(UsageError, match=f"{example} .*{why}"):
                replay(again, store, "spam", "child")
        assert sample(store) == set()
        good = make_workspace(tmp_path, base(server.url("good")), child(shown([call(8)])))
        assert replay(good, store, "spam", "child").done == 9
        replay(good, store, "spam", "base")
        assert call(8) in sample(store, "base")
        assert replay(good, store, "spam", "child", new=True).done == 9
        assert call(8) not in sample(store)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nowhere", "holds no call 'nowhere'"),
        ("silent", "holds no output"),
        ("failed", "is an error .no answer in time."),
        ("cut", "breaks off"),
        ("disputed", "two versions"),
        ("elsewhere", "belongs to task 'ham'"),
        ("double", "stands for 2 calls"),
    ],
)
def test_a_call_that_can_not_be_an_example_is_refused(tmp_path: Path, name: str, why: str) -> None:
    """The message names the id and says what is wrong with the call."""
    workspace = make_workspace(tmp_path, base(), child(shown([name])))
    good = Output(text="ham")
    with open_store(workspace) as store:
        add_calls(store, 3)
        add(store, "silent", "a")
        add(store, "failed", "b", control=Output(error=OutputError(ErrorKind.TIMEOUT)))
        add(store, "cut", "c", control=Output(text="h", flags=("truncated",)))
        disputed = add(store, "disputed", "d", control=good)
        row = {
            "call_id": disputed,
            "manifest_id": "m",
            "content_hash": "x",
            "file": "f",
            "line": 1,
            "call": "{}",
        }
        store.append("conflicts", [row])
        add(store, "elsewhere", "e", control=good, task="ham")
        add(store, "double", "f", control=good)
        add(store, "double2", "g", control=good, native_id="double", source="second")
        with pytest.raises(UsageError, match=why) as caught:
            replay(workspace, store, "spam", "child")
        assert name in caught.value.message
        assert store.value("SELECT count(*) FROM replay_calls") == 0


def labelled_world(root: Path) -> Workspace:
    """Make a workspace where 2 of 30 calls were answered spam."""
    workspace = make_workspace(root, "# my notes\n" + base() + "# kept\n")
    with open_store(workspace) as store:
        add_calls(store, 28)
        for index in range(2):
            add(store, f"spam-{index}", f"Buy {index}", control=Output(text="Spam."))
        add(store, "odd", "Is it?", control=Output(text="I can't tell"))
    return workspace


def test_examples_are_picked_one_of_each_label_in_turn(tmp_path: Path) -> None:
    """Four examples hold both labels twice, though one is rare; comments stay; no text gets in."""
    workspace = labelled_world(tmp_path)
    with open_store(workspace) as store:
        added = patch_candidate(workspace, store, "short", "base", examples=4, task="spam")
        other = patch_candidate(workspace, store, "short-2", "base", examples=4, task="spam", seed=1)
        assert added.patch is not None
        assert other.patch is not None
        rows = store.rows(
            "SELECT text FROM controls WHERE call_id IN (SELECT unnest(?::VARCHAR[]))",
            (list(added.patch.examples),),
        )
    assert sorted(row["text"] for row in rows) == ["Spam.", "Spam.", "ham", "ham"]
    assert set(added.patch.examples) != set(other.patch.examples)
    text = (tmp_path / "workbench.toml").read_text()
    assert "# my notes" in text
    assert "# kept" in text
    assert "Buy" not in text
    assert "Message 0" not in text
    assert Workspace.load(tmp_path).candidate("short") == added


def test_where_all_calls_were_drawn_the_message_says_how_to_hold_some_out(
    tmp_path: Path, server: Server
) -> None:
    """Nothing is left to show after a replay of all calls; nothing is written."""
    workspace = make_workspace(tmp_path, base(server.url("good")))
    before = (tmp_path / "workbench.toml").read_text()
    with open_store(workspace) as store:
        add_calls(store, 10)
        replay(workspace, store, "spam", "base")
        with pytest.raises(UsageError, match=r"has 0 calls .* no sample holds") as caught:
            patch_candidate(workspace, store, "short", "base", examples=2, task="spam")
        assert "--limit" in caught.value.hint
        assert "import" in caught.value.hint
        with pytest.raises(UsageError, match="replayed through base"):
            patch_candidate(workspace, store, "short", "base", example_ids=["row-1"], task="spam")
    assert (tmp_path / "workbench.toml").read_text() == before


def test_a_patch_of_a_patch_keeps_what_it_does_not_change(tmp_path: Path) -> None:
    """The parent's own patch holds on, key by key; an empty change and a known name are refused."""
    workspace = make_workspace(tmp_path, base())
    patch_candidate(workspace, None, "one", "base", system='Short.\nVery """ short.\\', suffix="Go")
    two = patch_candidate(Workspace.load(tmp_path), None, "two", "one", suffix="Now")
    assert two.patch is not None
    assert (two.patch.system, two.patch.suffix) == ('Short.\nVery """ short.\\', "Now")
    again = Workspace.load(tmp_path)
    with pytest.raises(UsageError, match="Nothing would be changed"):
        patch_candidate(again, None, "three", "one")
    with pytest.raises(UsageError, match="already"):
        patch_candidate(again, None, "two", "one", suffix="x")
    with pytest.raises(UsageError, match="no candidate 'none'"):
        patch_candidate(again, None, "three", "none", suffix="x")


def test_a_preview_shows_both_requests_and_sends_nothing(tmp_path: Path, server: Server) -> None:
    """The difference is readable, hostile characters are escaped, what is lost is said, no byte is sent."""
    server.reset()
    workspace = make_workspace(
        tmp_path, base(server.url("good")), child(f'system = "Short."\nsuffix = "Go"\n{shown(["row-1"])}')
    )
    with open_store(workspace) as store:
        add_calls(store, 4)
        evil = add(store, "evil", "\x1b[2Jhide \u202ethis\u2028now", control=Output(text="ham"))
        report = preview_patch(workspace, store, "child", "spam", "evil")
        assert report.call_id == evil
        assert "\x1b" not in report.text
        assert "\u202e" not in report.text
        assert "\u2028" not in report.text
        assert "\\x1b[2Jhide \\u202ethis\\u2028now" in report.text
        for line in ("-Answer.", "+Short.", "+Message 00001: is this spam?", "+Go"):
            assert line in report.text.splitlines()
        assert "2 different system prompts" in report.text
        assert report.before.messages[1].content != report.after.messages[-1].content
        before = sum(len(str(each.content)) for each in report.before.messages)
        after = sum(len(str(each.content)) for each in report.after.messages)
        assert (report.characters_before, report.characters_after) == (before, after)
        first = preview_patch(workspace, store, "child", "spam")
        assert first.call_id != call(1)
        assert "never evaluated" in preview_patch(workspace, store, "child", "spam", "row-1").text
        with pytest.raises(UsageError, match="no call 'gone'"):
            preview_patch(workspace, store, "child", "spam", "gone")
    assert server.stats("good")["hits"] == 0


def test_patches_are_made_and_shown_from_the_command_line(tmp_path: Path) -> None:
    """`candidate patch` reads @FILE, `preview --json` gives both requests, `list` names the parent."""
    labelled_world(tmp_path)
    (tmp_path / "short.txt").write_text("Short.\n")
    (tmp_path / "shape.json").write_text('{"type": "json_object"}')
    run = functools.partial(CliRunner().invoke, cli)
    where = ["--workspace", str(tmp_path)]
    made = run(
        [
            "candidate",
            "patch",
            "short",
            "--parent",
            "base",
            "--system",
            f"@{tmp_path / 'short.txt'}",
            *where,
            "--trim",
            r"\d+",
            "--response-format",
            f"@{tmp_path / 'shape.json'}",
            "--examples",
            "2",
            "--task",
            "spam",
        ]
    )
    assert made.exit_code == 0, made.output
    assert "2 examples" in made.output
    shown_as = json.loads(run(["candidate", "preview", "short", "--task", "spam", "--json", *where]).stdout)
    assert shown_as["after"]["messages"][0]["content"] == "Short."
    assert shown_as["after"]["response_format"] == {"type": "json_object"}
    assert len(shown_as["after"]["messages"]) == len(shown_as["before"]["messages"]) + 4
    assert "(from base)" in run(["candidate", "list", *where]).output
    failed = run(["candidate", "patch", "x", "--parent", "base", "--system", "@/nowhere/x", *where])
    assert failed.exit_code == 2
    assert "/nowhere/x" in failed.output
    added = run(
        [
            "candidate",
            "add",
            "v",
            "--engine",
            "vllm",
            "--model",
            "m",
            "--server",
            "max_model_len=4096",
            *where,
            "--dtype",
            "bfloat16",
            "--stream",
            "--samples",
            "3",
            "--timeout-s",
            "30",
            "--concurrency",
            "8",
        ]
    )
    assert added.exit_code == 0, added.output
    v = Workspace.load(tmp_path).candidate("v")
    assert v.server is not None
    assert (v.server.max_model_len, v.dtype, v.stream, v.samples) == (4096, "bfloat16", True, 3)
    assert (v.timeout_s, v.concurrency) == (30, 8)


def test_a_notebook_patches_and_previews_too(tmp_path: Path) -> None:
    """The facade knows the new candidate at once."""
    labelled_world(tmp_path)
    with Workbench(tmp_path) as bench:
        bench.patch_candidate("short", "base", suffix="One word.", example_ids=["spam-0"], task="spam")
        report = bench.preview_patch("short", "spam")
    assert report.parent == "base"
    assert "One word." in report.text
