"""Sign-ins that were ended here, kept beside the store: a copy of their cookie opens nothing any more.

The cookie that says who signed in is the whole of a sign-in: the provider's claims, signed, for thirty
days. Nothing at the provider or in the browser can take a copy of it back, so the app has to know
which it must not honour, also after it starts again. A sign-in is told by address and time of issue.
"""

from __future__ import annotations

import fcntl
import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from workbench.access_checks import LONGEST_SESSION_HOURS
from workbench.config import Workspace
from workbench.errors import EnvironmentalError, UsageError
from workbench.writing import replace_text

KEPT_S = LONGEST_SESSION_HOURS * 3600 + 86_400
"""No sign-in counts for longer, whatever `session_hours` says; a day more for clocks that differ."""
MOST_EACH = 20
"""Sign-ins that are kept of one person; of more, every one up to the latest that is left out is ended."""
MOST_PEOPLE = 5_000
"""People that are kept; of more, everybody's sign-ins up to the latest that is left out are ended."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ended:
    """What was ended: of each person these times of issue (s since 1970), and all up to `until`.

    `all_until` ends everybody's up to then. Both only ever end more than was asked, never less.
    """

    people: Mapping[str, frozenset[int]] = field(default_factory=dict)
    until: Mapping[str, int] = field(default_factory=dict)
    all_until: int = 0

    def holds(self, name: str, issued: int) -> bool:
        """Say whether a sign-in is ended."""
        return (
            issued <= self.all_until
            or issued <= self.until.get(name, 0)
            or issued in self.people.get(name, frozenset())
        )

    def with_one(self, name: str, issued: int, now: float) -> Ended:
        """Return the same with one sign-in more, bounded in size and age.

        Args:
            name: Whose.
            issued: When it was issued.
            now: The present; what no cookie can say any more is left out.
        """
        oldest = int(now - KEPT_S)
        people = {**self.people, name: self.people.get(name, frozenset()) | {issued}}
        until = dict(self.until)
        for each, times in people.items():
            kept = sorted(at for at in times if at > oldest)
            if len(kept) > MOST_EACH:
                until[each] = max(until.get(each, 0), kept[-MOST_EACH - 1])
            people[each] = frozenset(at for at in kept[-MOST_EACH:] if at > until.get(each, 0))
        until = {each: at for each, at in until.items() if at > oldest}
        people = {each: times for each, times in people.items() if times}
        latest = {each: max((until.get(each, 0), *people.get(each, ()))) for each in {*people, *until}}
        gone = set(sorted(latest, key=latest.__getitem__)[: max(0, len(latest) - MOST_PEOPLE)])
        return Ended(
            {each: times for each, times in people.items() if each not in gone},
            {each: at for each, at in until.items() if each not in gone},
            max([self.all_until, *(latest[each] for each in gone)]),
        )


def file_of(workspace: Workspace) -> Path:
    """Return the file beside the store that keeps which sign-ins were ended."""
    return workspace.store_path.with_name(workspace.store_path.name + ".signed-out")


class SignOuts:
    """The sign-ins that were ended, in one file; several copies of the app may share it.

    Args:
        path: The file; it is made at the first sign-out.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._known: tuple[tuple[int, int, int] | None, Ended] = (None, Ended())
        self._unwritten: set[tuple[str, int]] = set()

    def has(self, name: str, issued: int) -> bool:
        """Say whether a sign-in was ended.

        Args:
            name: The address as it is compared.
            issued: When it was issued, s since 1970.

        Raises:
            EnvironmentalError: The file can't be looked at: nobody is let in.
        """
        return (name, issued) in self._unwritten or self._read().holds(name, issued)

    def add(self, name: str, issued: int) -> None:
        """End a sign-in. Where the file can't be written it is ended for as long as this process runs.

        Args:
            name: The address as it is compared.
            issued: When it was issued, s since 1970.
        """
        with self._lock:
            self._unwritten.add((name, issued))
            try:
                with _alone(self._path):
                    ended = self._read()
                    for each in self._unwritten:
                        ended = ended.with_one(*each, time.time())
                    replace_text(self._path, _written(ended))
            except (OSError, UsageError, EnvironmentalError) as error:
                _log.warning(
                    "A sign-out is kept until the app stops: %s can't be written (%s)", self._path, error
                )
                return
            self._unwritten.clear()

    def _read(self) -> Ended:
        try:
            found = self._path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return Ended()
        except OSError as error:
            raise EnvironmentalError(
                f"{self._path} can't be looked at: {error.strerror or error}.", "Check who owns its folder."
            ) from error
        version = (found.st_mtime_ns, found.st_size, found.st_ino)
        known, ended = self._known
        if known != version:
            try:
                ended = _parsed(self._path.read_text(encoding="utf-8"))
            except FileNotFoundError:
                return Ended()
            except (OSError, ValueError, TypeError, AttributeError) as error:
                # What it said is not known: whoever signed in before it was spoiled signs in anew.
                _log.warning("%s can't be read, so every earlier sign-in is ended (%s)", self._path, error)
                ended = Ended(all_until=int(found.st_mtime) + 1)
            self._known = (version, ended)
        return ended


def _written(ended: Ended) -> str:
    return json.dumps(
        {
            "all_until": ended.all_until,
            "until": dict(ended.until),
            "ended": {name: sorted(times) for name, times in ended.people.items()},
        },
        ensure_ascii=False,
        indent=1,
        sort_keys=True,
    )


def _parsed(text: str) -> Ended:
    """Read what `_written` wrote; raise ValueError, TypeError or AttributeError where it is anything else."""
    told = json.loads(text)
    return Ended(
        {str(name): frozenset(int(at) for at in times) for name, times in told["ended"].items()},
        {str(name): int(at) for name, at in told["until"].items()},
        int(told["all_until"]),
    )


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other processes from changing the file meanwhile, so that no sign-out is lost between two."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
