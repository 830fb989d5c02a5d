"""Who sees numbers and may not read: no word of a call on any page, in any file, in what use cases return."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from app_building import START, Filled, Pair, answer, demo_pairs, fill, make_workspace, store_calls
from app_reading import fine
from hypothesis import given
from hypothesis import strategies as st
from identity import sign_in_table
from streamlit.testing.v1 import AppTest
from test_roles_in_app import claims, downloads, pressed

from workbench import access, profiling, replay, review, scoring
from workbench.config import Workspace
from workbench.errors import AccessRefused
from workbench.exporting import Asked, table_bytes
from workbench.profiling.costs import costs
from workbench.records import UNASSIGNED, ErrorKind, Output, OutputError
from workbench.roles import Actor, Grant, Role
from workbench.scoring.found import found_slices, routing_rule
from workbench.scoring.tables import label_tables
from workbench.slices import OTHER, UNKNOWN
from workbench.slices_found import WORDY, without_words
from workbench.store import Store, accesses, pages
from workbench.ui import jobs, navigation, sign_outs

__all__ = ["downloads"]

CANARY = "quetzalcoatl"
"""Stands in requests, answers, errors and logs of what the person of these tests may not read."""
ADDRESS = "http://127.0.0.1:1"
TRIAGE = {"task": "triage", "candidate": "small"}
PLACES: tuple[tuple[str, dict[str, str], bool], ...] = (
    ("overview", {}, False),
    ("traffic", {"workload": "FOUND"}, False),
    ("traffic", {"workload": "FOUND", "part": "prompt"}, False),
    ("traffic", {"workload": "FOUND", "part": "answers"}, False),
    ("traffic", {"workload": "FOUND", "part": "calls"}, True),
    ("replays", {}, True),
    ("compare", TRIAGE, False),
    ("compare", TRIAGE | {"show": "agreement"}, True),
    ("compare", TRIAGE | {"show": "judge"}, False),
    ("slices", TRIAGE, True),
    ("ramp", TRIAGE, False),
    ("costs", {}, False),
    ("upload", {}, False),
    ("settings", {}, False),
)
"""Pages with the address they are asked for, and whether an admin is asked to read the word there."""
PEOPLE = """
[[access.people]]
email = "sue@example.com"
roles = ["viewer"]

[[access.people]]
email = "sue@example.com"
roles = ["engineer"]
tasks = ["rewrite"]
"""


def spoiled(number: int) -> Pair:
    """Return a pair of triage with the word in request and answer, which is no label, or in its error."""
    text = f"please sort this note about {CANARY}"
    said = answer(f"it is about {CANARY}", model="small-model")
    if number % 4 == 0:
        said = Output(error=OutputError(ErrorKind.HTTP, f"could not answer: {CANARY}", status=500))
    return Pair("triage", 10_000 + number, text, answer("billing"), said)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """Give a workspace in which the word stands wherever text can stand, and somebody who may not read it."""
    root = tmp_path_factory.mktemp("words") / "w"
    workspace = make_workspace(root)
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        replays = fill(workspace, store, [*demo_pairs(80), *map(spoiled, range(90))])
        loose = [
            (f"tell customer {n} what {CANARY} wrote about the parcel", f"{CANARY} wrote") for n in range(60)
        ]
        store_calls(
            store,
            [Pair(UNASSIGNED, n, *each[:1], answer(each[1]), answer("")) for n, each in enumerate(loose)],
        )
        found = {
            "checked": {"schema": ["failed", f"it said {CANARY}"]},
            "failed": {"message": f"{CANARY} failed"},
        }
        store.append(
            "replay_events",
            [
                {
                    "replay_id": replays["triage"],
                    "event": event,
                    "detail": json.dumps(detail),
                    "created_at": START + timedelta(days=29, hours=2),
                }
                for event, detail in found.items()
            ],
        )
        # A call that is not answered yet, so that the replay rests and says why.
        store.append(
            "replay_calls",
            [
                {
                    "replay_id": replays["triage"],
                    "call_id": "one-more",
                    "batch": 1,
                    "rank": 0,
                    "audit_key": "x",
                    "inclusion_probability": 1.0,
                }
            ],
        )
        profiling.profile(workspace, store)
        job = jobs.folder(workspace) / "20261001T080000-aaaaaaaa.json"
        job.parent.mkdir(parents=True)
        job.write_text(
            json.dumps(TRIAGE | {"commands": [["replay"]], "started_at": START.isoformat()}), encoding="utf-8"
        )
        job.with_suffix(".code").write_text("3")
        job.with_suffix(".log").write_text(f"the server said {CANARY}\n")
        text = sign_in_table(ADDRESS, ADDRESS).replace(
            "[[access.people]]", "[access]\nviewers_read_text = false\n\n[[access.people]]", 1
        )
        with (root / "workbench.toml").open("a", encoding="utf-8") as file:
            file.write(text + PEOPLE)
        yield Filled(workspace, store, replays)


@pytest.fixture(autouse=True)
def process(monkeypatch: pytest.MonkeyPatch, place: Filled) -> None:
    """Forget afterwards that people sign in."""
    monkeypatch.setattr(access, "_process", access.Process())
    sign_outs.file_of(place.workspace).unlink(missing_ok=True)


def sue(place: Filled) -> Actor:
    """Return who sees all numbers, and reads the texts of one task alone, as the file says it."""
    return Workspace.load(place.workspace.root).config.access.actor("sue@example.com", verified=True)


@pytest.fixture
def shown(place: Filled, monkeypatch: pytest.MonkeyPatch) -> Callable[..., bytes]:
    """Return all that a page sends to somebody's browser: words, tables, figures, code."""

    def open_page(name: str, page: str, query: dict[str, str]) -> bytes:
        monkeypatch.setenv("WORKBENCH_WORKSPACE", str(place.workspace.root))
        at = AppTest.from_file(str(Path(review.__file__).parents[1] / "app.py"), default_timeout=60)
        at.secrets["auth"] = {"redirect_uri": ADDRESS, "cookie_secret": "x" * 40}
        at.user = claims(name)
        for key, value in query.items():
            at.query_params[key] = value
        if page != "overview":
            at.switch_page(str(navigation.folder() / f"{page}.py"))
        fine(at.run())
        sent: list[bytes] = []

        def walk(node: Any) -> None:
            proto = getattr(node, "proto", None)
            if proto is not None and hasattr(proto, "SerializeToString"):
                sent.append(proto.SerializeToString())
            for child in getattr(node, "children", {}).values():
                walk(child)

        walk(at._tree)
        return b"\n".join(sent)

    return open_page


def test_no_page_and_no_file_holds_a_word_for_who_may_not_read(
    place: Filled, shown: Callable[..., bytes], downloads: dict[str, Any]
) -> None:
    """Every page and view with its exports; an admin finds the word on those that show texts."""
    word = CANARY.encode()
    kept = profiling.kept(place.store)
    assert kept is not None
    mined = next(each.workload for each in kept.workloads if CANARY in each.template)
    for page, asked, is_quoted in PLACES:
        query = {key: mined if value == "FOUND" else value for key, value in asked.items()}
        assert word not in shown("sue", page, query), (page, query)
        for key, made in downloads.items():
            if key.endswith("-parquet"):
                continue  # The same rows as the CSV file beside it.
            try:
                content = pressed(made)
            except AccessRefused:
                continue
            assert word not in (content if isinstance(content, bytes) else content.encode()), (page, key)
        if is_quoted:
            assert word in shown("ada", page, query), page
        downloads.clear()


def test_no_use_case_that_gives_numbers_gives_a_word(place: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a page would make of it: what comes back holds none, and only reading is noted."""
    space, store = place.workspace, place.store
    config, fingerprint = space.eval_for("triage"), space.fingerprint(space.candidate("small"))

    # What a rule is learnt from, whether or not it comes to use it.
    monkeypatch.setattr("workbench.scoring.found.route", lambda _rows, columns, *_, **__: columns)

    def told() -> dict[str, str]:
        return {
            "labels": repr(label_tables(store, config, fingerprint)),
            "found": repr(found_slices(space, store, "triage", "small", similar=False)),
            "rule": repr(routing_rule(space, store, "triage", "small")),
            "profile": repr(profiling.profile(space, store)) + profiling.profile(space, store).text,
            "status": repr(replay.status(space, store)),
            "checks": repr(pages.checks(store, place.replays["triage"])),
        }

    def noted() -> int:
        return sum(each.calls for each in accesses.latest(store, 1_000) if each.actor == "sue@example.com")

    with access.acting(sue(place)):
        before = noted()
        mine = told()
        assert {name for name, text in mine.items() if CANARY in text} == set()
        assert noted() == before
        assert repr(costs(space, store)).count(CANARY) == 0
        for step in (scoring.differing_calls, review.disputes, review.label_moves):
            with pytest.raises(AccessRefused):
                step(space, store, "triage", "small")
        for table in ("found-slices", "workloads", "replays"):
            asked = Asked("triage", "small") if table == "found-slices" else Asked()
            assert CANARY.encode() not in table_bytes(space, store, table, asked, "csv")
        with pytest.raises(AccessRefused):
            # The task that is named is one she may take out, the workload is not.
            table_bytes(space, store, "calls", Asked("rewrite", filters={"workload": "triage"}), "csv")
    with access.acting(Actor("ada", frozenset({Grant(Role.ADMIN)}), signed_in=True)):
        whole = told()
        assert {name for name, text in whole.items() if CANARY in text} == set(whole)
        assert CANARY.encode() in table_bytes(space, store, "found-slices", Asked("triage", "small"), "csv")
    # The figures are the same for both.
    assert mine["found"].count("calls=") == whole["found"].count("calls=")


def test_a_viewer_changes_nothing_by_looking(place: Filled, shown: Callable[..., bytes]) -> None:
    """A profile older than the newest calls is made anew by those who import, not by who opens a page."""
    store = place.store
    store_calls(store, [Pair(UNASSIGNED, 900, "one more", answer("x"), answer("x"))])
    before = store.version()
    assert b"older than the newest calls" in shown("sue", "traffic", {})
    assert b"older than the newest calls" in shown("sue", "costs", {})
    with access.acting(sue(place)), pytest.raises(AccessRefused, match="engineer"):
        profiling.profile(place.workspace, store)
    assert store.version() == before
    assert b"older than the newest calls" not in shown("ada", "traffic", {})
    assert store.version() != before
    with access.acting(sue(place)):
        assert profiling.profile(place.workspace, store).calls


VALUES = st.sampled_from(["", "quetzal", "coatl", "template 1", OTHER, UNKNOWN])


@given(st.lists(VALUES, min_size=1, max_size=30), st.lists(VALUES, min_size=1, max_size=30))
def test_numbers_split_calls_as_the_words_did(templates: list[str], languages: list[str]) -> None:
    """Calls with one value have one number, others another; facts about calls stay as they are."""
    shares = {("template", each): 0.5 for each in templates} | {("language", each): 0.5 for each in languages}
    found, told = without_words({WORDY[0]: templates, "language": languages}, shares)
    pairs = set(zip(templates, found[WORDY[0]], strict=True))
    assert len(pairs) == len(set(templates)) == len(set(found[WORDY[0]]))
    assert not {"quetzal", "coatl"} & set(found[WORDY[0]])
    assert found["language"] == languages
    assert {value for name, value in told if name == "template"} == set(found[WORDY[0]])
