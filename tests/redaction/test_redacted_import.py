"""`import --redact`: nothing personal is stored, and a call stays the call that it is."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from workbench import Workbench
from workbench.cli import cli
from workbench.errors import ConfigError, UsageError
from workbench.ingest import conflicts
from workbench.redaction import PLACEHOLDER, KeyUnusable, load_key
from workbench.store import pages
from workbench.store.calls import load_calls, manifest_rows

SECRETS = {
    "mail": "ann.lee@example.com",
    "card": "4111111111111111",
    "phone": "+44 20 7946 0958",
    "iban": "DE89370400440532013000",
    "ip": "203.0.113.77",
    "key": "sk-proj-abc123def456ghi789jkl",
}


def pair(number: int, *, named: bool = True) -> dict[str, Any]:
    """Return a call with something personal in every place that a log has."""
    arguments = json.dumps({"to": SECRETS["mail"], "card": int(SECRETS["card"])})
    call = {"id": "c1", "type": "function", "function": {"name": "send", "arguments": arguments}}
    return {
        "request": {
            "model": "gpt",
            "messages": [
                {"role": "system", "content": f"Support. Ask {SECRETS['ip']}"},
                {"role": "user", "content": [{"type": "text", "text": f"{number} I am {SECRETS['mail']}"}]},
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c1", "content": json.dumps({"iban": SECRETS["iban"]})},
            ],
            "tools": [{"function": {"name": "send", "description": f"e.g. {SECRETS['phone']}"}}],
            "user": SECRETS["mail"],
            "logit_bias": {SECRETS["mail"]: -100},
            "seed": 4012888888881881,
        },
        "response": {
            **({"id": f"r{number}"} if named else {}),
            "created": 1767225600 + number,
            "model": f"ft:gpt:{SECRETS['mail']}",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": f"stop {SECRETS['key']}",
                    "message": {
                        "role": "assistant",
                        "content": f"Dear {SECRETS['mail']}, card {SECRETS['card']}, key {SECRETS['key']}",
                        "tool_calls": [call],
                    },
                }
            ],
            "usage": {"prompt_tokens": 9, "completion_tokens": 4},
        },
        "metadata": {
            "session_id": f"session of {SECRETS['mail']}",
            "contact": SECRETS["phone"],
            "task": f"mails of {SECRETS['mail']}",
        },
        "customer": {"phone": 4155550123},
    }  # fmt: skip


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    """Return an empty workspace."""
    root = tmp_path / "space"
    assert CliRunner().invoke(cli, ["init", str(root)]).exit_code == 0
    return Workbench(root)


def log(tmp_path: Path, records: list[Any], name: str = "log.jsonl") -> Path:
    path = tmp_path / name
    path.write_text("".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in records))
    return path


def everything(folder: Path) -> bytes:
    """Return all bytes that a workspace has on disk, but its secret."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_nothing_personal_reaches_the_disk(bench: Workbench, tmp_path: Path) -> None:
    """Of messages, arguments, results, tools, outputs, ids, attributes and rejects nothing is stored."""
    broken = '{"request": {"messages": [{"role": "user", "content": "ann.lee@example.com'
    no_request = json.dumps({"request": {"messages": []}, "response": {}, "x": "ann.lee@example.com"})
    path = log(tmp_path, [pair(1), pair(2, named=False), broken, no_request], "ann.lee@example.com.jsonl")
    report = bench.import_logs([path], task="t", redact=True)
    assert (report.accepted, report.rejected) == (2, 2)
    assert report.redacted is not None
    assert set(report.redacted) == {"EMAIL", "CARD", "PHONE", "IBAN", "IP", "KEY"}
    assert "it detects and does not guarantee" in report.text
    rejects = pages.rejects(bench.store, report.manifest_id or "")
    assert len(rejects) == 2
    assert all(each["snippet"] == "" for each in rejects)
    calls = load_calls(bench.store)
    bench.close()
    stored = everything(bench.workspace.root)
    for secret in (*SECRETS.values(), "4155550123", "ann.lee"):
        assert secret.encode() not in stored
    call = next(each for each in calls if each.native_id == "r1")
    assert call.control is not None
    (mail,) = set(PLACEHOLDER.findall(call.session_id or ""))
    content: Any = call.request.messages[1].content
    assert mail in content[0]["text"]
    assert mail in str(call.control.text)
    assert call.request.messages[2].tool_calls[0].arguments["to"] == mail
    assert call.control.tool_calls[0].arguments["to"] == mail
    assert PLACEHOLDER.fullmatch(call.control.tool_calls[0].arguments["card"])
    assert PLACEHOLDER.fullmatch(json.loads(str(call.request.messages[3].content))["iban"])
    assert "redacted" in call.marks
    assert call.control.model == f"ft:gpt:{mail}"
    assert call.request.parameters == {"logit_bias": {mail: -100}, "seed": 4012888888881881}
    assert call.control.usage.output_tokens == 4


def test_the_name_of_a_task_is_redacted_before_it_becomes_one(bench: Workbench, tmp_path: Path) -> None:
    report = bench.import_logs([log(tmp_path, [pair(1)])], redact=True)
    (task,) = report.tasks
    assert task.startswith("mails-of-EMAIL_")
    assert "ann.lee" not in report.text


def test_calls_without_anything_personal_are_as_logged(bench: Workbench, tmp_path: Path) -> None:
    """What holds nothing personal is stored as without --redact, and carries no mark."""
    plain = {
        "request": {"messages": [{"role": "user", "content": "hello"}]},
        "response": {"id": "a", "choices": [{"message": {"content": "spam"}, "finish_reason": "stop"}]},
    }
    report = bench.import_logs([log(tmp_path, [plain])], task="t", redact=True)
    (call,) = load_calls(bench.store)
    assert report.redacted == {}
    assert "redacted" not in call.marks
    assert call.request.messages[0].content == "hello"


def test_the_same_file_again_adds_nothing(bench: Workbench, tmp_path: Path) -> None:
    """Redacted twice, a file adds nothing the second time, with ids or without, and copies are kept."""
    path = log(tmp_path, [pair(1), pair(2, named=False), pair(2, named=False)])
    first = bench.import_logs([path], task="t", redact=True)
    again = bench.import_logs([path], task="t", redact=True)
    assert (first.accepted, again.accepted, again.skipped, again.conflicts) == (3, 0, 3, 0)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("named", [False, True])
def test_one_source_is_never_both(bench: Workbench, tmp_path: Path, first: bool, named: bool) -> None:
    """Redacted after as logged, or the other way, is refused: no call stands there twice."""
    path = log(tmp_path, [pair(1, named=named)])
    bench.import_logs([path], task="t", redact=first)
    with pytest.raises(UsageError, match="imported"):
        bench.import_logs([path], task="t", redact=not first)
    assert len(load_calls(bench.store)) == 1
    assert conflicts(bench.store) == []
    bench.import_logs([path], task="t", source="apart", redact=not first)
    assert len(load_calls(bench.store)) == 2


def test_another_secret_is_refused(bench: Workbench, tmp_path: Path) -> None:
    """With the secret lost, the source is closed to further imports rather than doubled."""
    path = log(tmp_path, [pair(1)])
    bench.import_logs([path], task="t", redact=True)
    (bench.workspace.root / ".redaction-key").unlink()
    with pytest.raises(UsageError, match="another secret"):
        bench.import_logs([path], task="t", redact=True)


def test_the_secret_is_its_owners_alone(bench: Workbench, tmp_path: Path) -> None:
    """The secret is made once, readable by its owner alone; one that others may read is refused."""
    bench.import_logs([log(tmp_path, [pair(1)])], task="t", redact=True)
    path = bench.workspace.root / ".redaction-key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secret = path.read_text().strip().encode()
    bench.close()
    path.rename(tmp_path / "kept")
    assert secret not in everything(bench.workspace.root)
    (tmp_path / "kept").rename(path)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        bench.import_logs([log(tmp_path, [pair(1)])], task="t", redact=True)
    path.chmod(0o600)
    path.write_text("short")
    with pytest.raises(KeyUnusable):
        load_key(bench.workspace.root)


def test_two_that_begin_at_once_share_one_secret(tmp_path: Path) -> None:
    """Of many processes that make the secret at once all use the same."""
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: load_key(tmp_path), range(32)))
    assert len(keys) == 1
    assert [each.name for each in tmp_path.iterdir()] == [".redaction-key"]


def test_outputs_that_come_later_join_their_calls(bench: Workbench, tmp_path: Path) -> None:
    """A Batch output joins its input although both are redacted, at different times, ids included."""
    asked = {
        "custom_id": SECRETS["mail"], "method": "POST", "url": "/v1/chat/completions",
        "body": {"model": "m", "messages": [{"role": "user", "content": f"I am {SECRETS['mail']}"}]},
    }  # fmt: skip
    answer = {"choices": [{"message": {"content": f"Hi {SECRETS['mail']}"}, "finish_reason": "stop"}]}
    came = {"custom_id": SECRETS["mail"], "response": {"status_code": 200, "request_id": "q", "body": answer}}
    bench.import_logs([log(tmp_path, [asked], "in.jsonl")], task="t", redact=True)
    report = bench.import_logs([log(tmp_path, [came], "out.jsonl")], task="t", redact=True)
    assert report.joined == 1
    (call,) = load_calls(bench.store)
    assert call.control is not None
    assert PLACEHOLDER.fullmatch(call.native_id)
    assert call.native_id in str(call.control.text)
    assert "redacted" in call.marks


def test_tables_and_gold_go_through(bench: Workbench, tmp_path: Path) -> None:
    """Columns of a table, mapped or not, and gold answers are redacted too."""
    path = tmp_path / "table.csv"
    mail = SECRETS["mail"]
    path.write_text(f"id,text,out,truth,note\n1,mail {mail},{mail},{mail},{mail}\n")
    mapping = {"id": "id", "input": "text", "output": "out", "gold": "truth"}
    bench.import_logs([path], task="t", mapping=mapping, redact=True)
    (call,) = load_calls(bench.store)
    assert call.gold == call.attributes["note"]
    assert PLACEHOLDER.fullmatch(call.gold or "")
    bench.close()
    assert b"ann.lee" not in everything(bench.workspace.root)


def test_the_manifest_says_how(bench: Workbench, tmp_path: Path) -> None:
    """The import's manifest keeps counts by kind and the secret's fingerprint, and nothing that was found."""
    bench.import_logs([log(tmp_path, [pair(1)])], task="t", redact=True)
    (row,) = manifest_rows(bench.store)
    assert row["report"]["redacted"]["EMAIL"] > 0
    assert set(json.loads(row["redaction"])) == {"key", "version"}


def test_the_command_redacts(bench: Workbench, tmp_path: Path) -> None:
    """`workbench import --redact --json` counts by kind; a dry run stores nothing."""
    path = log(tmp_path, [pair(1)])
    bench.close()
    arguments = [
        "import",
        str(path),
        "--task",
        "t",
        "--redact",
        "--workspace",
        str(bench.workspace.root),
        "--json",
    ]
    dry = CliRunner().invoke(cli, [*arguments, "--dry-run"])
    assert dry.exit_code == 0, dry.output
    assert load_calls(bench.store) == []
    bench.close()
    done = CliRunner().invoke(cli, arguments)
    assert json.loads(done.stdout)["redacted"] == json.loads(dry.stdout)["redacted"]
    assert json.loads(done.stdout)["redacted"]["CARD"] >= 2


def test_a_record_carries_its_own_sampling_rate(bench: Workbench, tmp_path: Path) -> None:
    """A record's own rate goes before the one that is typed; another meaning of the word does not."""
    records = [pair(1) | {"sampling_rate": 0.1}, pair(2), pair(3) | {"sampling_rate": 16000}]
    bench.import_logs([log(tmp_path, records)], task="t", sampling_rate=0.5)
    calls = {each.native_id: each for each in load_calls(bench.store)}
    assert {name: call.sampling_rate for name, call in calls.items()} == {"r1": 0.1, "r2": 0.5, "r3": 0.5}
    assert "sampling_rate" not in calls["r1"].attributes
    assert calls["r3"].attributes["sampling_rate"] == 16000


def test_a_log_redacted_when_it_was_captured_is_marked(bench: Workbench, tmp_path: Path) -> None:
    """What the capture log redacted is marked without --redact, and counts don't become attributes."""
    bench.import_logs(
        [log(tmp_path, [pair(1) | {"redacted": {"EMAIL": 2}}, pair(2) | {"redacted": {}}])], task="t"
    )
    calls = {each.native_id: each for each in load_calls(bench.store)}
    assert "redacted" in calls["r1"].marks
    assert "redacted" not in calls["r2"].marks
    assert all("redacted" not in each.attributes for each in calls.values())


def plain(said: str, answer: str, **attributes: str) -> dict[str, Any]:
    """Return a call that holds nothing but what is given."""
    message = {"role": "assistant", "content": answer}
    return {
        "request": {"model": "m", "messages": [{"role": "user", "content": said}]},
        "response": {"model": "m", "choices": [{"index": 0, "finish_reason": "stop", "message": message}]},
        "metadata": attributes,
    }


@pytest.mark.parametrize(
    ("said", "answer", "personal"),
    [
        ("Call me: (415) 555-2671", 'ok {"number": "4155552671"}', "4155552671"),
        ("Call me: (415) 555-2671", '{"number": 4155552671}', "4155552671"),
        ("Tel 06 12 34 56 78", "0612345678 noté", "0612345678"),
        ("Tel 06 12 34 56 78", "Le 612345678, merci", "612345678"),
        ("My number is +44 7911 123456", "07911123456", "7911123456"),
        ("My number is +49 30 901820", "Is it 030 901820 or 030901820?", "30901820"),
        ("password: hunter2x", "Your password hunter2x is set", "hunter2x"),
        ("Set it to hunter2x. password: hunter2x", "Done", "hunter2x"),
    ],
)
def test_what_a_call_names_is_found_in_all_of_it(
    bench: Workbench, tmp_path: Path, said: str, answer: str, personal: str
) -> None:
    """The same number is the same placeholder in request and output, spelt as a model puts it into order."""
    path = log(tmp_path, [plain(said, answer, note=f"seen {personal} twice"), plain("Hello?", "Hi.")])
    report = bench.import_logs([path], task="sort", redact=True)
    assert report.accepted == 2
    rows = bench.store.rows("SELECT request, output, attributes FROM calls JOIN controls USING (call_id)")
    texts = ["".join(map(str, row.values())) for row in rows]
    assert not any(personal in each for each in texts)
    kinds = {found[0] for each in texts for found in PLACEHOLDER.finditer(each)}
    assert len(kinds) == 1, "one person, one placeholder"
    assert sum(each.count(next(iter(kinds))) for each in texts) >= 2, "in the request and beside it"
    again = bench.import_logs([path], task="sort", redact=True)
    assert (again.skipped, again.accepted, again.conflicts) == (2, 0, 0)


def test_a_number_of_another_call_is_none_of_this_one(bench: Workbench, tmp_path: Path) -> None:
    """Ten digits that no text of the call names a phone stay: they could be an order's."""
    calls = [plain("Call me: (415) 555-2671", "ok"), plain("Where is order 4155552671?", "There.")]
    bench.import_logs([log(tmp_path, calls)], task="sort", redact=True)
    kept = [row["request"] for row in bench.store.rows("SELECT request FROM calls")]
    assert sum("4155552671" in each for each in kept) == 1
    assert not any("555-2671" in each for each in kept)
