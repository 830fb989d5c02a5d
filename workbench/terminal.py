"""What a person at a terminal sees: one JSON document, progress, errors, exit codes."""

from __future__ import annotations

import functools
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, ParamSpec, TypeVar

import click

from workbench.config import CONFIG_NAME
from workbench.errors import EXIT_INTERRUPTED, UsageError, WorkbenchError
from workbench.normal import visible
from workbench.progress import Listener, Progress
from workbench.records import Recommendation, as_builtins, to_json

P = ParamSpec("P")
R = TypeVar("R")

PLAIN_PROGRESS_EVERY_S = 5.0


def emit(document: object, *, as_json: bool, text: str) -> None:
    """Print one JSON document, or the text a person reads.

    Args:
        document: A record or plain data.
        as_json: Which of the two is asked for.
        text: What a person reads; may hold several lines.
    """
    if as_json:
        sys.stdout.write(to_json(document).decode() + "\n")
    elif text:
        click.echo(_harmless(text))
    sys.stdout.flush()


def _harmless(text: str) -> str:
    """Return text whose lines and tabs stay: what a server, a model or a log wrote steers no terminal."""
    return visible(text, keep="\n\t")


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share as a percentage, `-` where it is missing."""
    return "-" if share is None else f"{100 * share:.{digits}f} %"


def parse_share(text: str) -> float:
    """Read a share of traffic from the command line.

    Args:
        text: `5%`, `5 %` or a fraction below one such as `0.05`.

    Returns:
        The share, 0..1.

    Raises:
        UsageError: It is no share, or could mean two things (`1`: 1 % or 100 %?).
    """
    word = text.strip()
    number, is_percent = (word[:-1].strip(), True) if word.endswith("%") else (word, False)
    try:
        value = float(number)
    except ValueError:
        raise UsageError(f"{text!r} is not a share of traffic.", "Write 5% or 0.05.") from None
    if not is_percent and value == 1:
        raise UsageError(f"{text!r} could mean 1 % or 100 %.", "Write 1% or 100%.")
    if not is_percent and value > 1:
        hint = f"Write {value:g}%." if value <= 100 else "Write 5% or 0.05."
        raise UsageError(f"{text!r} is more than all traffic.", hint)
    share = value / 100 if is_percent else value
    if not 0 <= share <= 1:
        raise UsageError(f"{text!r} is not between 0 % and 100 %.", "Write 5% or 0.05.")
    return share


def parse_sampling_rate(text: str | None) -> float | None:
    """Read `--sampling-rate`: `10%`, `0.1`, or `1` and `100%` for a complete log.

    Raises:
        UsageError: It is not above 0 % and at most 100 %.
    """
    if text is None:
        return None
    rate = 1.0 if text.strip() in ("1", "1.0") else parse_share(text)
    if rate <= 0:
        raise UsageError("A sampling rate of 0 % logs nothing.", "Write 10% or 0.1.")
    return rate


_QUOTED = re.compile(r'"([^"]+)"\s*=(.+)', re.DOTALL)
_PLAIN = re.compile(r"([^=]+)=(.+)", re.DOTALL)


def parse_mapping(
    pairs: tuple[str, ...],
    option: str = "--map",
    form: str = "FIELD=PATH",
    example: str = "--map input=text",
) -> dict[str, str]:
    """Read `--map FIELD=PATH` options, or others of two sides; a left side that holds a `=` stands in quotes.

    Args:
        pairs: As they were written.
        option: What they are written behind.
        form: How they should be written.
        example: One that is.

    Raises:
        UsageError: One has no `=`, or a left side is given twice.
    """
    mapping: dict[str, str] = {}
    for pair in pairs:
        found = _QUOTED.fullmatch(pair.strip()) or _PLAIN.fullmatch(pair.strip())
        if found is None:
            raise UsageError(f"{option} {pair!r} is not {form}.", f"For example {example}.")
        field, path = found[1].strip(), found[2].strip()
        if field in mapping:
            raise UsageError(f"{option} names {field!r} twice.", "Keep one.")
        mapping[field] = path
    return mapping


@contextmanager
def progress_listener() -> Iterator[Listener]:
    """Give a listener that draws on standard error: a bar at a terminal, lines elsewhere."""
    if sys.stderr.isatty():
        with _bars() as listener:
            yield listener
    else:
        yield _lines()


@contextmanager
def _bars() -> Iterator[Listener]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bars:
        known: dict[str, tuple[Any, float, int]] = {}

        def listen(event: Progress) -> None:
            if event.stays:
                bars.console.print(f"{event.stage}: {visible(event.note)}", markup=False, highlight=False)
                return
            if event.stage not in known:
                task = bars.add_task(event.stage, total=event.total, rate="", note="")
                known[event.stage] = (task, time.monotonic(), event.done)
            task, since, first = known[event.stage]
            seconds = time.monotonic() - since
            per_s = (event.done - first) / seconds if event.per_s is None and seconds > 1 else event.per_s
            rate = "" if per_s is None else f"{per_s:,.1f} {event.unit}/s"
            left = "" if event.left_s is None else f"about {event.left_s:,.0f} s left"
            note = ", ".join(each for each in (left, visible(event.note)) if each)
            bars.update(task, completed=event.done, total=event.total, rate=rate, note=note)

        yield listen


def _lines() -> Listener:
    started: dict[str, tuple[float, int]] = {}
    last: dict[str, float] = {}
    seen: dict[str, int] = {}

    def listen(event: Progress) -> None:
        if event.stays:
            click.echo(f"{event.stage}: {visible(event.note)}", err=True)
            return
        now = time.monotonic()
        if event.done < seen.get(event.stage, 0):
            del started[event.stage]  # It begins anew, as for another speed or candidate.
        seen[event.stage] = event.done
        since, first = started.setdefault(event.stage, (now, event.done))
        finished = event.total is not None and event.done >= event.total
        if not finished and now - last.get(event.stage, 0.0) < PLAIN_PROGRESS_EVERY_S:
            return
        last[event.stage] = now
        if event.total is None and not event.done:
            click.echo(event.stage, err=True)  # Nobody counts it: "0 calls" would read as nothing found.
            return
        seconds = now - since
        rate = (event.done - first) / seconds if seconds > 0 else 0.0
        rate = rate if event.per_s is None else event.per_s
        words = [f"{event.stage}: {event.done:,}"]
        if event.total is not None:
            words.append(f"of {event.total:,}")
        words.append(event.unit)
        if rate > 0:
            words.append(f"({rate:,.1f}/s")
            if event.total is not None and not finished:
                left_s = (event.total - event.done) / rate if event.left_s is None else event.left_s
                words.append(f"about {left_s:,.0f} s left")
            words[-1] += ")"
        if event.note:
            words.append(f"- {visible(event.note)}")
        click.echo(" ".join(words), err=True)

    return listen


def find_workspace(given: str | None) -> Path:
    """Return the workspace folder: the one given, else this folder or the nearest above it."""
    if given:
        return Path(given)
    here = Path.cwd()
    return next((each for each in (here, *here.parents) if (each / CONFIG_NAME).is_file()), here)


def guarded(function: Callable[P, R]) -> Callable[P, R]:
    """Turn errors meant for people into their message and exit code. A bug keeps its traceback."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        in_main = threading.current_thread() is threading.main_thread()
        previous = signal.signal(signal.SIGTERM, _terminate) if in_main else None
        try:
            return function(*args, **kwargs)
        except WorkbenchError as error:
            if kwargs.get("as_json"):
                emit({"error": error.message, "hint": error.hint}, as_json=True, text="")
            click.echo(_harmless(f"workbench: {error.message}"), err=True)
            if error.hint:
                click.echo(_harmless(f"  {error.hint}"), err=True)
            raise SystemExit(error.exit_code) from None
        except KeyboardInterrupt as interrupt:
            say = str(interrupt) or "Interrupted. Run the same command again to go on."
            if kwargs.get("as_json"):
                emit({"error": say, "hint": ""}, as_json=True, text="")
            click.echo(f"\nworkbench: {say}", err=True)
            raise SystemExit(EXIT_INTERRUPTED) from None
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(0) from None
        finally:
            if in_main:
                signal.signal(signal.SIGTERM, previous)

    return wrapper


def _terminate(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def recommendation_document(task: str, candidate: str, answer: Recommendation) -> dict[str, Any]:
    """Return a recommendation as the JSON document of `workbench recommend`."""
    document: dict[str, Any] = as_builtins(answer)
    return {"task": task, "candidate": candidate} | document


def recommendation_text(task: str, candidate: str, answer: Recommendation) -> str:
    """Return a recommendation as the lines a person reads in a terminal."""
    from workbench.stats.wording import harmed_a_day
    from workbench.stats.wording import percent as stage

    lines = [
        f"{task} / {candidate}: {answer.action} {stage(answer.share)}, cap {stage(answer.cap)}",
        *(f"  {reason}" for reason in answer.reasons),
    ]
    if harmed := harmed_a_day(answer):
        lines.append(f"  {harmed}")
    lines.extend(
        f"  slice {each.name}={each.value}: {stage(each.share)} {each.status}: {each.reason}"
        for each in answer.slices
    )
    lines.extend(f"  missing: {each}" for each in answer.missing)
    if shown := answer.details.get("evidence_hash"):
        lines.append(f"  evidence {shown}: to accept a share on it, see `workbench accept --help`")
    return "\n".join(lines)
