"""Pages of a large workspace: every one works, and none holds more than a page of what is there."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from app_building import Filled
from app_reading import Visit, fine, said

from workbench.store import Store

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import page_world

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

PAGES = (
    "overview",
    "traffic",
    "replays",
    "slices",
    "review",
    "ramp",
    "costs",
    "upload",
    "settings",
)
COMPARISONS, CALLS, LABELS = 22_300, 20_070, 600
TASK = {"task": "triage", "candidate": page_world.CANDIDATE}
MOST_ROWS, MOST_CHARS = 100, 1_000_000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """Give a workspace of three tasks and two candidates with some twenty thousand calls."""
    workspace = page_world.workspace_at(tmp_path_factory.mktemp("large"))
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        page_world.lay_in(workspace, store, COMPARISONS, LABELS)
        yield Filled(workspace, store, {})


def held(at: AppTest) -> tuple[int, int]:
    """Return the longest table of a page, and how many characters its words and tables are."""
    rows = max((len(each.value) for each in at.dataframe), default=0)
    return rows, len(said(at)) + sum(len(each.value.to_csv()) for each in at.dataframe)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_of_many_calls_works_and_stays_small(visit: Visit, large: Filled, page: str) -> None:
    """It says how much there is, not all of it: tables hold a page of rows, and nothing fails."""
    at = fine(visit(large, page, **TASK))
    assert not at.error
    rows, chars = held(at)
    assert rows <= MOST_ROWS
    assert chars < MOST_CHARS
    if page in ("overview", "traffic", "settings"):
        assert f"{CALLS:,}" in said(at)
    if page == "slices":
        # What stands before the search for slices is done.
        assert re.search(r"All together: 10,035.compared calls, 1\d\.\d.% differ", at.text[0].value)
    if page == "review":
        at.text_input[0].set_value("ann")
        at = fine(next(each for each in at.button if each.label == "Start").click().run())
        assert any(str(each.key).startswith("left-") for each in at.button)


def test_cases_come_a_page_at_a_time_to_the_last(visit: Visit, large: Filled) -> None:
    """A search over all of them, and the last page of a slice, hold what the store holds, no more."""
    count = "SELECT count(*) FROM calls WHERE task = 'triage'"
    total = int(large.store.value(count))
    german = int(large.store.value(f"{count} AND language = 'de'"))
    at = fine(visit(large, "compare", **TASK))
    size = len(at.dataframe[0].value)
    assert f"{total:,}" in said(at)
    assert held(at)[0] == size <= MOST_ROWS < german
    last = -(-german // size)
    at = fine(visit(large, "compare", **TASK, language="de", page=str(last)))
    assert at.query_params["page"] in (str(last), [str(last)])
    assert f"{german:,}" in said(at)
    assert len(at.dataframe[0].value) == german - (last - 1) * size
    at = fine(visit(large, "compare", **TASK, search=f"order {total - 1}?"))
    assert len(at.dataframe[0].value) == 1
