"""Tokens of queues: nothing to try names on, the same for everybody on one store, compared in steady time."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from app_building import make_workspace
from hypothesis import given
from hypothesis import strategies as st

from workbench.config import Workspace
from workbench.normal import content_hash
from workbench.ui import queue_tokens
from workbench.ui.queue_tokens import queue_of, queue_token

ASK = """
import sys
from workbench.config import Workspace
from workbench.ui.queue_tokens import queue_token
print(queue_token(Workspace.load(sys.argv[1]), "small"))
"""


@pytest.fixture(scope="module")
def spaces(tmp_path_factory: pytest.TempPathFactory) -> list[Workspace]:
    """Give two workspaces with the same candidates."""
    return [make_workspace(tmp_path_factory.mktemp("tokens") / "w") for _ in range(2)]


def test_a_token_is_the_same_in_every_process_on_a_store_and_another_on_another(
    spaces: list[Workspace],
) -> None:
    """A link works for whoever it is sent to, also after a restart; whoever knows the names can't make it."""
    one, other = spaces
    mine = queue_token(one, "small")
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(one.root)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == mine
    assert queue_token(other, "small") != mine
    assert queue_token(one, "planted") != mine
    assert not content_hash("queue", "small").startswith(mine[:8])
    kept = one.store_path.with_name(one.store_path.name + ".queues")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert mine not in kept.read_text()


@pytest.mark.parametrize("text", ["", "short", "ä" * 64, "x" * 63])
def test_a_secret_that_is_not_whole_is_made_anew(tmp_path: Path, text: str) -> None:
    """An empty or half-written file must not make every token guessable."""
    path = tmp_path / "w.queues"
    path.write_text(text, encoding="utf-8")
    found = queue_tokens._salt(path)
    assert len(found) == queue_tokens.SALT_CHARS
    assert path.read_text() == found


def test_without_a_place_for_the_secret_links_hold_while_the_app_runs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A read-only folder closes no page."""
    (tmp_path / "folder").write_text("in the way")
    path = tmp_path / "folder" / "w.queues"
    assert queue_tokens._salt(path) == queue_tokens._salt(path)
    assert "until the app stops" in caplog.text


TEXTS = st.text(max_size=20).filter(lambda text: text.isascii() or text.isprintable())


@given(st.lists(st.sampled_from(["a1", "b2", "c3"]), max_size=5), TEXTS | st.sampled_from(["a1", "b2"]))
def test_a_token_is_found_where_it_is_one(tokens: list[str], asked: str) -> None:
    """Whatever an address says: one of the tokens, or none of them."""
    assert queue_of(tokens, asked) == (asked if asked in tokens else None)
