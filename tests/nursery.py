"""Processes to be killed by the hundred: forked from one that has imported all there is to import.

A fresh interpreter takes two seconds to import the workbench, so that a test of kills would
mostly kill imports. What a child runs is real all the same: a process of its own, with its own
connections, threads and files, which a signal ends at any instruction.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

MOTHER = """
import os, signal, sys, traceback
PREPARE
for line in sys.stdin:
    word, _, rest = line.strip().partition(" ")
    if word == "fork":
        child = os.fork()
        if not child:
            os.close(0)
            status = 1
            try:
                run(*rest.split("\\t"))
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(status)
        print(child, flush=True)
    else:
        try:
            found, status = os.waitpid(int(rest), 0 if word == "wait" else os.WNOHANG)
            print(os.waitstatus_to_exitcode(status) if found else "runs", flush=True)
        except ChildProcessError:
            print("gone", flush=True)
"""


class Child:
    """A forked process."""

    def __init__(self, mother: subprocess.Popen[str], pid: int) -> None:
        self._mother = mother
        self._code: int | None = None
        self.pid = pid

    def _ask(self, word: str) -> None:
        if self._code is None:
            found = ask(self._mother, f"{word} {self.pid}")
            self._code = None if found == "runs" else int(found)

    def poll(self) -> int | None:
        """Return its exit code (negative: the signal that ended it), or None while it runs."""
        self._ask("poll")
        return self._code

    def wait(self) -> int:
        """Wait for its end; return its exit code."""
        self._ask("wait")
        assert self._code is not None
        return self._code

    def kill(self) -> bool:
        """Kill it as `kill -9` does; say whether it still ran."""
        if self.poll() is not None:
            return False
        os.kill(self.pid, signal.SIGKILL)
        return self.wait() == -signal.SIGKILL


def ask(mother: subprocess.Popen[str], line: str) -> str:
    """Send a line, return the answer."""
    assert mother.stdin is not None
    assert mother.stdout is not None
    mother.stdin.write(line + "\n")
    mother.stdin.flush()
    return mother.stdout.readline().strip()


class Nursery:
    """Starts children."""

    def __init__(self, mother: subprocess.Popen[str]) -> None:
        self._mother = mother

    def start(self, *arguments: str) -> Child:
        """Start a child that calls `run` with some arguments."""
        return Child(self._mother, int(ask(self._mother, "fork " + "\t".join(arguments))))


@contextmanager
def nursery(code: str) -> Iterator[Nursery]:
    """Give what forks children of a process that ran some code, which defines `run`; errors go to stderr.

    Args:
        code: Imports, and `def run(...)`. It must start no thread and open no store.
    """
    script = MOTHER.replace("PREPARE", textwrap.dedent(code))
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as mother:
        try:
            yield Nursery(mother)
        finally:
            mother.kill()
