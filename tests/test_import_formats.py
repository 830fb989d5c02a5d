"""Whole imports of every format: the counts add up, the same file adds nothing, labels stay apart."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from real_data import DATA, needs

from workbench.config import Workspace
from workbench.errors import UsageError
from workbench.formats import REGISTRY
from workbench.ingest import ImportReport, import_files, preview
from workbench.setup import init
from workbench.store import Store
from workbench.store.imported_labels import labels_of_call, labels_of_task

SAMPLES = Path(__file__).resolve().parents[1] / "sample_logs" / "formats"
real_logs = needs("tensorzero", "traces")
NAMES = [form.name for form in REGISTRY]


def samples(name: str) -> list[Path]:
    found = sorted(path for path in SAMPLES.iterdir() if path.name.startswith(name))
    # The sample of vLLM's output answers the same requests as OpenAI's, in other words.
    return [path for path in found if "vllm" not in path.name]


class Place:
    """A workspace whose every import is checked by the equation."""

    def __init__(self, root: Path) -> None:
        init(root)
        self.workspace = Workspace.load(root)
        self.store = Store.open(self.workspace.store_path, spool=self.workspace.spool)

    def take(self, *files: Path | str, **options: Any) -> ImportReport:
        report = import_files(self.workspace, self.store, files, **options)
        parts = ("accepted", "joined", "rejected", "skipped", "conflicts", "blank")
        assert sum(getattr(report, name) for name in parts) == report.records
        assert sum(each["records"] for each in report.files) == report.records
        return report

    def count(self, table: str) -> int:
        found: int = self.store.value(f"SELECT count(*) FROM {table}")  # noqa: S608 -- a name of this file
        return found


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    found = Place(tmp_path / "ws")
    yield found
    found.store.close()


@pytest.mark.parametrize("name", NAMES)
def test_the_same_files_again_add_nothing(place: Place, name: str, tmp_path: Path) -> None:
    """A second import, also of renamed and packed copies, accepts and joins nothing."""
    first = place.take(*samples(name))
    assert first.accepted > 0
    assert first.conflicts == 0
    before = (place.count("calls"), place.count("controls"), place.count("imported_labels"))
    copies = []
    for path in samples(name):
        copy = tmp_path / f"copy-of-{path.name}.gz"
        copy.write_bytes(gzip.compress(path.read_bytes()))
        copies.append(copy)
    again = place.take(*copies)
    assert (again.accepted, again.joined, again.conflicts) == (0, 0, 0)
    assert again.records == first.records
    assert (place.count("calls"), place.count("controls"), place.count("imported_labels")) == before


def text_places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the places of all texts in a JSON value."""
    if isinstance(value, str):
        yield path
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, child in children:
        yield from text_places(child, (*path, key))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_counts_add_up_whatever_stands_in_the_lines(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Junk lines, cut lines, repeated lines and wrong values are all counted, exactly once."""
    root = tmp_path_factory.mktemp("junk")
    lines = [line for path in samples(name) for line in path.read_bytes().splitlines()]
    junk = st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b"").replace(b"\r", b""))
    cut = st.sampled_from(lines).map(lambda line: line[: len(line) // 2])
    extra = data.draw(st.lists(junk | cut | st.sampled_from(lines), max_size=10))
    for _ in range(3):
        record = json.loads(data.draw(st.sampled_from(lines)))
        spot = data.draw(st.sampled_from(list(text_places(record))))
        target = record
        for step in spot[:-1]:
            target = target[step]
        target[spot[-1]] = data.draw(st.sampled_from([None, 1, [], {}, [[1]], "", "\u0000", "{"]))
        extra.append(json.dumps(record).encode())
    file = root / "junk.jsonl"
    file.write_bytes(b"\n".join([*lines, *data.draw(st.permutations(extra))]) + b"\n")
    place = Place(root / "ws")
    try:
        report = place.take(file, format=name)
        assert report.accepted > 0
        again = place.take(file, format=name)
        assert (again.accepted, again.records) == (0, report.records)
    finally:
        place.store.close()
        shutil.rmtree(root)


def test_feedback_is_kept_beside_its_calls_and_never_among_the_labels(place: Place) -> None:
    """Imported labels have a table of their own: nothing of them reaches the labels or the gold answers."""
    for name in ("tensorzero", "mlflow", "langsmith", "langfuse", "openinference", "helicone", "otlp_genai"):
        place.take(*samples(name))
    assert place.count("labels") == 0
    assert place.count("gold") == 0
    origins = {row["origin"] for row in place.store.rows("SELECT DISTINCT origin FROM imported_labels")}
    assert origins == {
        "tensorzero", "mlflow", "langsmith", "langfuse", "openinference", "helicone", "otlp_genai"
    }  # fmt: skip
    triage = labels_of_task(place.store, "triage")
    named = {(row["name"], row["kind"]) for row in triage if row["origin"] == "tensorzero"}
    assert named == {
        ("correct", "boolean"), ("rating", "number"), ("comment", "text"), ("demonstration", "demonstration")
    }  # fmt: skip
    (call_id,) = {row["call_id"] for row in triage if row["name"] == "correct"}
    assert [row["value"] for row in labels_of_call(place.store, call_id)] == [
        True,
        0.75,
        "went well",
        "billing",
    ]


def test_feedback_may_come_before_its_calls(place: Place, tmp_path: Path) -> None:
    """Labels whose call is not here yet are kept, counted, and found once it came."""
    rows = (SAMPLES / "tensorzero.jsonl").read_text().splitlines()
    early, late = tmp_path / "feedback.jsonl", tmp_path / "inferences.jsonl"
    early.write_text("\n".join(rows[3:]) + "\n")
    late.write_text("\n".join(rows[:3]) + "\n")
    report = place.take(early)
    assert (report.joined, report.labels_without_call) == (4, 4)
    place.take(late)
    assert len(labels_of_task(place.store, "triage")) == 4


def test_a_label_with_another_content_is_a_loud_conflict(place: Place, tmp_path: Path) -> None:
    """The first content is kept; the second is counted as a conflict and listed."""
    row = json.loads((SAMPLES / "tensorzero.jsonl").read_text().splitlines()[3])
    file = tmp_path / "feedback.jsonl"
    file.write_text(json.dumps(row) + "\n" + json.dumps(row | {"value": False}) + "\n")
    report = place.take(file)
    assert (report.joined, report.conflicts) == (1, 1)
    assert any("another content" in each.reason for each in report.rejects)
    assert place.store.value("SELECT value FROM imported_labels") == "true"


def test_model_inferences_add_tokens_and_the_rendered_prompt(place: Place) -> None:
    """Each joins its inference, in whatever order the files are named."""
    report = place.take(*samples("tensorzero"))
    assert report.joined == 2 + 4
    rows = place.store.rows(
        "SELECT native_id, input_tokens, output_tokens FROM calls JOIN controls USING (call_id)"
    )
    tokens = {row["native_id"][-1]: (row["input_tokens"], row["output_tokens"]) for row in rows}
    assert tokens == {"1": (20, 2), "2": (50, 9), "3": (None, None)}
    asked = place.store.value("SELECT request FROM calls WHERE native_id LIKE '%002'")
    assert "You have 3 questions left." in asked
    assert report.marks["cache_hit"] == 1
    assert "not_rendered" not in report.marks


def test_a_call_and_the_span_around_it_are_counted_once(place: Place) -> None:
    """Wrapper and provider spans carry the same tokens: one call, one sum."""
    for name in ("langfuse_traces", "mlflow", "otlp_genai.jsonl"):
        report = place.take(*samples(name))
        assert report.skip_reasons["the span wraps another that holds the same call"] == 1
    assert place.store.value("SELECT count(*) FROM calls WHERE native_id IN ('wrapper', 'tr-1:s-2')") == 0


def test_messages_in_log_events_join_their_span(place: Place, tmp_path: Path) -> None:
    """Spans and logs may lie in different files, in either order."""
    spans, *logs = (SAMPLES / "otlp_genai_logs.jsonl").read_text().splitlines()
    (tmp_path / "a_logs.jsonl").write_text("\n".join(logs) + "\n")
    (tmp_path / "b_spans.jsonl").write_text(spans + "\n")
    report = place.take(tmp_path)
    assert (report.accepted, report.joined, report.rejected) == (2, 4, 0)
    assert place.store.value("SELECT sum(input_tokens) FROM controls") == 20


def test_azure_rows_with_a_gap_are_rejected_each(place: Place, tmp_path: Path) -> None:
    """A message whose rows are not all there is no call."""
    rows = (SAMPLES / "azure_apim.jsonl").read_text().splitlines()
    third = json.dumps(json.loads(rows[1]) | {"SequenceNumber": 2})
    (tmp_path / "rows.jsonl").write_text(f"{rows[0]}\n{third}\n{rows[2]}\n")
    report = place.take(tmp_path / "rows.jsonl")
    assert (report.accepted, report.rejected) == (1, 2)
    assert "gaps" in report.rejects[0].reason


def test_plain_azure_diagnostics_are_refused_with_the_reason(place: Place, tmp_path: Path) -> None:
    """They carry no content; the message says so and what to log instead."""
    file = tmp_path / "diagnostics.json"
    row = {
        "time": "2026-01-01T00:00:00Z",
        "resourceId": "/SUBSCRIPTIONS/0/PROVIDERS/MICROSOFT.COGNITIVESERVICES/ACCOUNTS/GPT",
        "category": "RequestResponse",
        "operationName": "ChatCompletions_Create",
        "properties": '{"modelName": "gpt-4o"}',
    }
    file.write_text(json.dumps(row) + "\n")
    table = tmp_path / "diagnostics.csv"
    table.write_text(f"TenantId,ResourceId,Category,DurationMs\n0,{row['resourceId']},RequestResponse,300\n")
    for path, format in ((file, "auto"), (file, "azure_apim"), (table, "auto")):
        with pytest.raises(UsageError) as error:
            place.take(path, format=format)
        assert "no prompts" in error.value.message
        assert "API Management" in error.value.hint


def test_a_wrong_guess_is_explained(place: Place, tmp_path: Path) -> None:
    """With --format, a line of another format is rejected and named."""
    report = place.take(*samples("litellm"), format="helicone")
    assert report.accepted == 0
    assert any("looks like litellm because it has call_type" in each.reason for each in report.rejects)


def test_lines_of_several_formats_in_one_file_are_each_read(place: Place, tmp_path: Path) -> None:
    """The format is told per file and checked per line."""
    file = tmp_path / "mixed.jsonl"
    parts = [
        (SAMPLES / f"{name}.jsonl").read_text() for name in ("openai_chat", "bedrock", "anthropic_messages")
    ]
    file.write_text("".join(parts))
    report = place.take(file)
    assert report.accepted == sum(len(part.splitlines()) for part in parts)


def test_a_folder_and_a_pattern_stand_for_their_files(place: Place, tmp_path: Path) -> None:
    """A folder gives all logs below it, packed ones too; hidden and other files are left alone."""
    (tmp_path / "logs" / "deep").mkdir(parents=True)
    shutil.copy(SAMPLES / "bedrock.jsonl", tmp_path / "logs" / "a.jsonl")
    packed = tmp_path / "logs" / "deep" / "b.jsonl.gz"
    packed.write_bytes(gzip.compress((SAMPLES / "openpipe.jsonl").read_bytes()))
    (tmp_path / "logs" / "notes.md").write_text("nothing")
    (tmp_path / "logs" / ".hidden.jsonl").write_text("{}")
    assert place.take(tmp_path / "logs").accepted == 8
    assert place.take(f"{tmp_path}/logs/**/*.gz").skipped == 2
    with pytest.raises(UsageError, match="matches this pattern"):
        place.take(f"{tmp_path}/*.nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no logs"):
        place.take(tmp_path / "empty")


def test_a_known_table_needs_no_mapping(place: Place, tmp_path: Path) -> None:
    """A CSV export whose columns are a known log's is told by them."""
    import csv

    file = tmp_path / "export.csv"
    row = json.loads((SAMPLES / "helicone.jsonl").read_text().splitlines()[1])
    kept = {
        key: value for key, value in row.items() if key in ("request_id", "request_created_at", "delay_ms")
    }
    kept |= {"request_body": row["request_body"], "response_body": row["response_body"]}
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(kept))
        writer.writeheader()
        writer.writerow(kept)
    report = place.take(file)
    assert (report.accepted, report.format) == (1, "helicone")


def test_a_failed_call_of_helicone_keeps_the_model_that_was_asked_for(place: Place, tmp_path: Path) -> None:
    """No answer names a model, so that of the request counts."""
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello?"}]}
    row = {
        "request_id": "h-1", "request_created_at": "2026-10-01T10:00:00Z", "response_status": 429,
        "request_body": body, "response_body": {"error": {"message": "rate limited"}},
    }  # fmt: skip
    file = tmp_path / "failed.jsonl"
    file.write_text(json.dumps(row) + "\n")
    report = place.take(file)
    assert (report.format, report.models) == ("helicone", {"gpt-4o": 1})
    (call,) = place.store.rows("SELECT model, control_error_kind AS failed FROM usable_calls")
    assert call["model"] == "gpt-4o"
    assert call["failed"]


@pytest.mark.parametrize("name", NAMES)
def test_a_preview_shows_calls_of_every_format(place: Place, name: str) -> None:
    """The look before the import holds the calls that the import would make."""
    look = preview(place.workspace, samples(name))
    assert look.format == name
    assert look.calls


@real_logs
def test_real_tensorzero_logs_come_in_whole(place: Place) -> None:
    """1,487 and 1,043 inferences; 50 without any prompt; 2,188 pieces of feedback beside their calls."""
    folder = DATA / "tensorzero"
    inferences = [folder / f"{kind}_inference_examples.jsonl" for kind in ("chat", "json")]
    report = place.take(*inferences)
    assert (report.records, report.accepted, report.rejected) == (2530, 2530, 0)
    kinds = ("boolean_metric", "float_metric", "comment", "demonstration")
    feedback = [folder / f"{kind}_feedback_examples.jsonl" for kind in kinds]
    labels = place.take(*feedback)
    assert (labels.records, labels.joined, labels.conflicts) == (2188, 2188, 0)
    assert place.count("imported_labels") == 2188
    assert place.count("labels") == 0
    again = place.take(*inferences, *feedback)
    assert (again.accepted, again.joined, again.skipped) == (0, 0, 2530 + 2188)


@real_logs
@pytest.mark.parametrize(
    ("folder", "accepted", "rejected"),
    [
        ("langfuse_trace_export", 36, 4),
        ("otlp_genai_tensorzero", 6, 0),
        ("nvidia_flywheel", 3, 0),
        ("groq_batch", 3, 0),
        ("litellm", 1, 1),
        ("vercel_ai_sdk_spans", 4, 0),
    ],
)
def test_real_traces_come_in(place: Place, folder: str, accepted: int, rejected: int) -> None:
    """Exports of many frameworks; what holds no messages is rejected with a reason."""
    report = place.take(DATA / "traces" / folder)
    assert (report.accepted, report.rejected) == (accepted, rejected)
    if folder == "groq_batch":
        assert (report.joined, place.count("controls")) == (3, 3)
    if folder == "vercel_ai_sdk_spans":
        assert report.skip_reasons == {"a span that is no call of a model": 6}
        assert [each["name"] for each in report.unrecognised] == ["spans-by-operation.json"]


@real_logs
def test_recorded_http_cassettes_are_refused_in_words(place: Place) -> None:
    """YAML is no log format: nothing comes in, and the message says which files are read."""
    with pytest.raises(UsageError, match="holds no logs"):
        place.take(DATA / "traces" / "vcr_cassettes_openllmetry")
    assert place.count("calls") == 0


@real_logs
def test_real_langsmith_batches_come_in(place: Place) -> None:
    """Posted and patched runs are one call each, streamed ones with their output."""
    files = sorted((DATA / "traces" / "langsmith_runs").glob("langsmith_*.json"))
    report = place.take(*files)
    assert (report.records, report.accepted, report.joined) == (14, 7, 7)
    assert place.store.value("SELECT count(*) FROM controls WHERE text IS NOT NULL") == 7


@real_logs
def test_real_bedrock_bodies_are_read_in_every_provider_s_shape(place: Place, tmp_path: Path) -> None:
    """Recorded requests and answers of 10 model families, put into the shape of the invocation log."""
    file = tmp_path / "bedrock.jsonl"
    count = 0
    with file.open("w") as stream:
        for path in sorted((DATA / "traces" / "bedrock_invoke_recordings").glob("*.json")):
            for index, each in enumerate(json.loads(path.read_text())):
                if not isinstance(each["response"], dict) or each["status"] != 200:
                    continue
                count += 1
                line = {
                    "schemaType": "ModelInvocationLog",
                    "requestId": f"{path.stem}-{index}",
                    "timestamp": "2026-01-01T00:00:00Z",
                    "modelId": each["path"].split("/")[2],
                    "input": {"inputBodyJson": each["body"]},
                    "output": {"outputBodyJson": each["response"]},
                }
                stream.write(json.dumps(line) + "\n")
    report = place.take(file)
    assert count >= 30
    assert (report.accepted, report.rejected) == (count, 0)
    answered = place.store.value(
        "SELECT count(*) FROM controls WHERE text <> '' OR output LIKE '%arguments%'"
    )
    assert answered >= count - 2
