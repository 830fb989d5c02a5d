"""What the checks before a replay found: kept with the replay, and told to whoever started it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from workbench.engines.conformance import CheckState, ConformanceReport
from workbench.progress import Listener, Progress
from workbench.store import Store
from workbench.store.replays import event_row


def was_checked(store: Store, replay_id: str) -> bool:
    """Say whether the candidate of a replay passed its checks in an earlier run."""
    return bool(
        store.value(
            "SELECT count(*) FROM replay_events WHERE replay_id = ? AND event = 'checked'", (replay_id,)
        )
    )


def note_checked(store: Store, replay_id: str, found: ConformanceReport) -> None:
    """Note what the checks of a replay's candidate found, so that no later run repeats them.

    Nothing is noted where the engine needs none, nor where the server did not answer them
    all: the next run checks again.
    """
    if found.checks and not found.unanswered:
        detail = {each.name: [each.state.value, each.message] for each in found.checks}
        store.append("replay_events", [event_row(replay_id, "checked", detail)])


def notes_of(found: ConformanceReport) -> tuple[str, ...]:
    """Return what a person should know of checks that stopped nothing: one note for each.

    What no call of the sample asks for is left out. Checks that the server did not answer are
    one note.
    """
    notes = [_warning(each.name, each.message) for each in found.checks if each.state is CheckState.WARNING]
    if found.unanswered:
        last = found.checks[-1]
        notes.append(f"Checks skipped from {last.name} on: {last.message}. The next run checks again.")
    return tuple(notes)


def kept_notes(store: Store, replay_id: str) -> tuple[str, ...]:
    """Return the warnings that the last noted checks of a replay gave."""
    detail = store.value(
        "SELECT detail FROM replay_events WHERE replay_id = ? AND event = 'checked' "
        "ORDER BY seq DESC LIMIT 1",
        (replay_id,),
    )
    checks = msgspec.json.decode(detail, type=dict[str, tuple[str, str]]) if detail else {}
    return tuple(
        _warning(name, message) for name, (state, message) in checks.items() if state == CheckState.WARNING
    )


def tell(listener: Listener, candidate: str, notes: Iterable[str]) -> None:
    """Say notes at once: before a sample is paid for, they are worth most."""
    for note in notes:
        listener(Progress(f"checks of {candidate}", 1, 1, unit="candidates", note=note, stays=True))


def _warning(name: str, message: str) -> str:
    return f"Check of {name}: {message}"
