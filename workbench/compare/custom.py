"""Evaluators of one's own: Python entry points of the group `workbench.evaluators`.

A distribution names one in its pyproject.toml, and an eval uses it with `evaluator = "same_sql"`:

    [project.entry-points."workbench.evaluators"]
    same_sql = "acme_evals:same_sql"

It is a function, an object, or a class without arguments, and keeps the protocol `Evaluator`.
The eval's kind still reads both outputs first: a control that can't be compared with, and an
answer that breaks its kind's contract, never reach it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from workbench.compare.judgement import Judgement, same_raw
from workbench.errors import ConfigError, did_you_mean
from workbench.records import Output, Request, Verdict
from workbench.specs import EvalConfig

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "workbench.evaluators"
EVALUATOR_ERROR = "evaluator_error"
"""Flag of a pair of which the evaluator said nothing that can be used: a mismatch, never an agreement."""
KEYS = ("verdict", "score", "reason", "details")
MAX_REASON = 500


class Evaluator(Protocol):
    """What an entry point of the group `workbench.evaluators` has to be.

    `version` is a text that changes whenever another verdict may come out: it is part of the
    evaluator version, so that what an older one said is compared anew.

    An evaluator may have `structural = True`: then it says of itself that it is an equality
    after normalisation, so that equal outputs can't harm anybody. Without it agreement proves
    nothing until people have looked, as with similar texts.
    """

    version: str

    def __call__(
        self, control: Output, observed: Output, request: Request | None
    ) -> Judgement | Mapping[str, Any]:
        """Compare one pair.

        Args:
            control: The recorded frontier output.
            observed: What the candidate answered.
            request: What was asked; None where it is not at hand.

        Returns:
            A `Judgement`, or a mapping with `verdict` (`match`, `mismatch` or `uncomparable`) and,
            as far as there are any, `score` (0..1; 1 or 0 by the verdict without one), `reason` and
            `details` (JSON). `uncomparable` speaks of the control alone. Whatever else comes back,
            and every exception, is an error of the evaluator: the pair is a mismatch and carries
            the flag `evaluator_error`.
        """


@dataclass(frozen=True, slots=True)
class Loaded:
    """An evaluator with its name, version, and what its agreement proves."""

    name: str
    version: str
    structural: bool
    evaluate: Evaluator

    def judge(
        self, control: Output, observed: Output, request: Request | None, plain: Judgement
    ) -> Judgement:
        """Compare one pair; never raises.

        Args:
            control: The frontier's output.
            observed: The candidate's output.
            request: What was asked, where it is at hand.
            plain: What the eval's kind says: its groups and flags are kept, and a pair that is
                uncomparable or invalid by itself stays so.
        """
        if plain.invalid or plain.verdict is Verdict.UNCOMPARABLE:
            return plain
        try:
            found = self._asked(control, observed, request)
            if found.verdict is Verdict.UNCOMPARABLE and (
                self._asked(control, control, request).verdict is not Verdict.UNCOMPARABLE
            ):
                raise ValueError("it calls a control uncomparable that it compares with itself")
        except Exception as error:
            # Code of other people: whatever it raises must not end the comparison of all the rest.
            found = evaluator_error(f"evaluator {self.name}", error)
        return replace(
            found,
            identical=same_raw(control, observed),
            control_group=plain.control_group,
            candidate_group=plain.candidate_group,
            flags=tuple(dict.fromkeys((*plain.flags, *found.flags))),
        )

    def signed(self, found: Judgement) -> Judgement:
        """Return a judgement whose details say which evaluator, in which version, the eval names."""
        details = found.details | {"evaluator": {"name": self.name, "version": self.version}}
        return replace(found, details=details)

    def _asked(self, control: Output, observed: Output, request: Request | None) -> Judgement:
        return _checked(self.evaluate(control, observed, request))


def evaluator_error(name: str, error: Exception) -> Judgement:
    """Return the verdict on a pair that could not be judged: a mismatch without a score.

    It is not invalid, since the candidate is not to blame, and not uncomparable, since a pair that is left
    out would let the share of agreement rise.

    Args:
        name: What failed.
        error: What it raised.
    """
    reason = f"{name} failed: {type(error).__name__}: {_one_line(error)}"
    return Judgement(Verdict.MISMATCH, None, reason[:MAX_REASON], flags=(EVALUATOR_ERROR,))


def load_evaluator(eval: EvalConfig) -> Loaded | None:  # noqa: A002 - the domain's own word
    """Return the evaluator that an eval names, or None where it names none.

    Args:
        eval: The task's eval.

    Raises:
        ConfigError: It is not installed, can't be loaded, or has no version; the hint names the
            installed ones and the next step.
    """
    if eval.evaluator is None:
        return None
    file = str(Path(eval.root) / "eval.toml") if eval.root else f"the eval of task {eval.task!r}"
    return _load(eval.evaluator, f"{file}: evaluator {eval.evaluator!r}")


@functools.lru_cache(maxsize=32)
def _load(name: str, where: str) -> Loaded:
    from importlib.metadata import entry_points

    found = {(each.value, _origin(each)): each for each in entry_points(group=GROUP, name=name)}
    if not found:
        known = sorted({each.name for each in entry_points(group=GROUP)})
        installed = f"Installed are {', '.join(known)}." if known else "None is installed."
        guess = did_you_mean(name, known) if known else ""
        raise ConfigError(
            f"{where} is not installed here.",
            f"{installed} {guess} Install the package that holds it into this Python, or mend the name: "
            f"it is an entry point of the group {GROUP!r}.".replace("  ", " "),
        )
    if len(found) > 1:
        places = " and ".join(sorted(f"{value} of {origin}" for value, origin in found))
        raise ConfigError(f"{where} is ambiguous: {places}.", "Uninstall one of the two.")
    entry = next(iter(found.values()))
    try:
        loaded: Any = entry.load()
        evaluate = loaded() if inspect.isclass(loaded) else loaded
    except Exception as error:
        # An import runs code of other people; a person has to mend it, whatever it raised.
        raise ConfigError(
            f"{where} can't be loaded from {entry.value}: {type(error).__name__}: {_one_line(error)}",
            f"Mend {_origin(entry)}, or take the key out.",
        ) from error
    version = getattr(evaluate, "version", None)
    if not callable(evaluate):
        raise ConfigError(f"{where}: {entry.value} can't be called.", "Name a function or a class.")
    if not isinstance(version, str) or not version.strip():
        raise ConfigError(
            f"{where}: {entry.value} has no `version`.",
            'Give it one, such as version = "1", and raise it when its verdicts change.',
        )
    return Loaded(name, version, getattr(evaluate, "structural", False) is True, evaluate)


def forget_loaded() -> None:
    """Look for evaluators anew; what was loaded stays in use for comparators that exist."""
    _load.cache_clear()


def _origin(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unnamed distribution"


def _checked(answer: Any) -> Judgement:
    """Return an evaluator's answer as a judgement.

    Raises:
        ValueError: It is none.
    """
    if isinstance(answer, Judgement):
        parts: dict[str, Any] = {key: getattr(answer, key) for key in KEYS}
        flags = answer.flags
    elif isinstance(answer, Mapping):
        unknown = sorted(str(key) for key in answer if key not in KEYS)
        if unknown:
            raise ValueError(f"its answer has an unknown key {unknown[0]!r}")
        parts, flags = {"score": None, "reason": "", "details": {}, **answer}, ()
    else:
        raise ValueError(f"it answers with {type(answer).__name__}, not a Judgement or a mapping")
    verdict = parts.get("verdict")
    if verdict not in (Verdict.MATCH, Verdict.MISMATCH, Verdict.UNCOMPARABLE):
        raise ValueError(f"its verdict is {verdict!r}, not match, mismatch or uncomparable")
    score = parts["score"]
    if score is None and verdict != Verdict.UNCOMPARABLE:
        # No score at all means that nothing is known: that is kept for errors.
        score = float(verdict == Verdict.MATCH)
    return Judgement(
        Verdict(verdict),
        _share(score),
        _text(parts["reason"])[:MAX_REASON],
        flags=tuple(_text(each) for each in flags),
        details=_plain(parts["details"]),
    )


def _share(score: Any) -> float | None:
    if score is None:
        return None
    if isinstance(score, bool) or not isinstance(score, (int, float)) or not 0 <= score <= 1:
        raise ValueError(f"its score is {score!r}, not a share between 0 and 1")
    return float(score)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"its reason or flag is {type(value).__name__}, not a text")
    # A lone surrogate can't be stored.
    return value.encode("utf-8", "replace").decode()


def _plain(details: Any) -> dict[str, Any]:
    """Return details as what JSON can hold, so that storing them can't fail."""
    try:
        plain = msgspec.json.decode(msgspec.json.encode(details))
    except Exception as error:
        raise ValueError(f"its details are not JSON: {_one_line(error)}") from error
    if not isinstance(plain, dict):
        raise ValueError(f"its details are {type(details).__name__}, not a mapping")
    return plain


def _one_line(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:
        # Even its text may be broken.
        return "(its message can't be shown)"
    return " ".join(text.encode("utf-8", "replace").decode().split())[:200]
