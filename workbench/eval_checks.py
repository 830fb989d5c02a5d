"""What types can't say about `eval.toml`: names, ranges, patterns, and that a kind has what it needs."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from workbench import slices
from workbench.checks import NAME_HINT, check_ranges, pattern_of
from workbench.errors import ConfigError, did_you_mean
from workbench.records import UNASSIGNED, EvalKind, Policy
from workbench.specs import CONTRADICTIONS, CONTROL, NAME_PATTERN, ZONES, EvalConfig, ReviewRules, json_key

_PLAIN_EVAL = EvalConfig("", EvalKind.LABEL)
EVAL_RANGES = {"calls_per_day": (0.001, 1e12)}

RANGES = {
    "tolerance": (0.001, 0.5),
    "level": (0.5, 0.9999),
    "icc": (0.0, 1.0),
    "exploration_budget": (0.0, 0.5),
    "critical_tolerance": (0.0001, 0.5),
    "session_tolerance": (0.001, 0.5),
    "maximum_uncomparable": (0.0, 1.0),
    "maximum_invalid": (0.0, 1.0),
    "minimum_pairs": (20, 1_000_000),
    "minimum_live_calls": (1, 1_000_000),
    "minimum_days_in_stage": (0.0, 365.0),
    "minimum_days_of_traffic": (0.0, 365.0),
    "latency_p95_ms": (0.1, 3_600_000.0),
    "planned_labels": (20, 1_000_000),
    "frontier_reserve": (0.01, 0.05),
}
"""Smallest and largest value of each number of a policy."""


def check_marks(marks: Sequence[str], where: str) -> None:
    """Refuse marks that no call carries.

    Raises:
        ConfigError: One is unknown; the hint names the nearest.
    """
    if not marks:
        return
    from workbench.formats.base import Mark  # With it come all formats, which most commands don't need.

    known = [each.value for each in Mark]
    for mark in marks:
        if mark not in known:
            raise ConfigError(f"{where}: no call is marked {mark!r}.", did_you_mean(mark, known))


def check_eval(each: EvalConfig, path: Path) -> None:
    """Check what types can't: names, ranges, patterns, and that the kind has what it needs.

    Args:
        each: The eval as it was read.
        path: Its file, for the message.

    Raises:
        ConfigError: Something is wrong; the message names the file and the key.
    """
    if not NAME_PATTERN.fullmatch(each.task):
        raise ConfigError(f"{path}: task {each.task!r} is not a name.", NAME_HINT)
    if each.task == UNASSIGNED:
        raise ConfigError(
            f"{path}: task {each.task!r} is the name of calls that no task takes.",
            "Name the task by what its calls ask for; `workbench profile` sorts them.",
        )
    if each.kind is EvalKind.LABEL and len(set(each.labels)) < 2:
        raise ConfigError(f"{path}: kind label needs at least two `labels`.", "List every answer.")
    if each.kind is EvalKind.FIELDS and not each.fields and not each.schema:
        raise ConfigError(f"{path}: kind fields needs `fields` or `schema`.", "List the fields.")
    if each.allowed_zone not in ZONES:
        raise ConfigError(f"{path}: unknown allowed_zone {each.allowed_zone!r}.", "Use internal or external.")
    check_ranges(each, EVAL_RANGES, str(path), "")
    check_marks(each.exclude_marks, f"{path}: exclude_marks")
    check_policy(each.policy, path)
    if each.policy.critical_tolerance is not None and each.policy.critical_tolerance > each.policy.tolerance:
        raise ConfigError(
            f"{path}: policy.critical_tolerance = {each.policy.critical_tolerance:g} is above tolerance = "
            f"{each.policy.tolerance:g}: it would hold nobody back.",
            "Critical harm is part of all harm: allow less of it.",
        )
    _check_review(each.review, path)
    for label in (*each.aliases.values(), *each.critical_labels):
        if each.kind is EvalKind.LABEL and label not in each.labels:
            raise ConfigError(f"{path}: {label!r} is not one of `labels`.", did_you_mean(label, each.labels))
    _check_several(each, path)
    _check_ranking(each, path)
    if each.judge is not None:
        _check_judge(each.judge.candidate, path)
    if each.fields:
        from workbench.field_checks import check_fields

        check_fields(each.fields, path)
    if each.fields and each.kind is not EvalKind.FIELDS:
        raise ConfigError(
            f"{path}: `fields` mean nothing to kind {each.kind.value}.",
            'Use kind = "fields", or take them out.',
        )
    if each.repair and each.kind is not EvalKind.FIELDS:
        raise ConfigError(f"{path}: `repair` means nothing to kind {each.kind.value}.", "Take it out.")
    _check_slices(each, path)
    if not -1 <= each.match_at <= 1:
        raise ConfigError(f"{path}: match_at = {each.match_at} is no similarity.", "Use 0 to 1.")
    _check_contradictions(each, path)
    for wrapper in each.normalise.wrappers:
        if wrapper == "json" or json_key(wrapper) is not None:
            continue
        if pattern_of(wrapper, f"{path}: normalise.wrappers").groups != 1:
            raise ConfigError(
                f"{path}: the wrapper {wrapper!r} needs exactly one group.",
                "For example answer: (.*). A JSON object is json, or json:KEY where its key has to be named.",
            )
    if each.ignore or each.kind is EvalKind.FIELDS:
        from workbench.field_checks import check_ignored  # It loads comparators, which few commands need.

        check_ignored(each, path)
    for taken in each.rules:
        name = "match" if taken is each.match else "match_any"
        for key in ("system_prompt", "input", "first_input", "tools", "model"):
            pattern_of(getattr(taken, key), f"{path}: {name}.{key}")


def _check_contradictions(each: EvalConfig, path: Path) -> None:
    """Refuse flags that no pair of texts can ever carry."""
    if each.kind is not EvalKind.TEXT and each.contradictions != _PLAIN_EVAL.contradictions:
        raise ConfigError(
            f"{path}: `contradictions` mean nothing to kind {each.kind.value}.", "Take them out."
        )
    if set(each.contradictions) <= set(CONTRADICTIONS):
        return
    from workbench.compare.flags import NOTES

    for flag in each.contradictions:
        if flag not in (*CONTRADICTIONS, *NOTES):
            raise ConfigError(
                f"{path}: contradictions: {flag!r} is no flag.", did_you_mean(flag, (*CONTRADICTIONS, *NOTES))
            )


def _check_slices(each: EvalConfig, path: Path) -> None:
    """Refuse slices that can't be cut, and two of one name: one of them would be looked at by nobody."""
    names: set[str] = set()
    for cut in each.slices:
        if not slices.known_rule(cut.by):
            raise ConfigError(
                f"{path}: unknown slice by = {cut.by!r}.", did_you_mean(cut.by, slices.KNOWN_KEYS)
            )
        if not all(map(math.isfinite, cut.edges)):
            raise ConfigError(f"{path}: slices, {cut.by!r}: an edge is no finite number.", "Mend `edges`.")
        name = slices.name_of(cut)
        if name in names:
            raise ConfigError(
                f"{path}: two slices are called {name!r}.", "Take one out, or give it a `name` of its own."
            )
        names.add(name)


def _check_several(each: EvalConfig, path: Path) -> None:
    """Refuse labels that could not be told from several of them."""
    if each.separators != _PLAIN_EVAL.separators and not each.several:
        raise ConfigError(f"{path}: `separators` need `several = true`.", "Add it, or take them out.")
    if not each.several:
        return
    if each.kind is not EvalKind.LABEL:
        raise ConfigError(f"{path}: `several` means nothing to kind {each.kind.value}.", "Take it out.")
    if not all(each.separators):
        raise ConfigError(f"{path}: separators: an empty text separates nothing.", "Take it out.")
    from workbench.compare.judgement import JOINED

    for name in (*each.labels, *each.aliases):
        inside = next((mark for mark in (*each.separators, JOINED) if mark in name), None)
        if inside is not None:
            raise ConfigError(
                f"{path}: {name!r} holds {inside!r}, which stands between labels.",
                "Write other `separators`, or another name.",
            )


def _check_judge(name: str, path: Path) -> None:
    """Refuse what can name no judge."""
    if name == CONTROL:
        raise ConfigError(
            f"{path}: judge.candidate = {CONTROL!r} is the frontier: it can't judge its own answers.",
            "Name a candidate that is another model than the two compared.",
        )
    if not NAME_PATTERN.fullmatch(name):
        raise ConfigError(f"{path}: judge.candidate = {name!r} is not a name.", NAME_HINT)


OPTION_KEYS = ("options", "options_pattern", "options_path")
"""Where the options of a ranking stand: exactly one of these is given."""


def _check_ranking(each: EvalConfig, path: Path) -> None:
    """Refuse a ranking whose options could not be known, and its keys elsewhere."""
    given = [key for key in OPTION_KEYS if getattr(each, key)]
    if each.kind is not EvalKind.RANKING:
        for key in (*given, *(("top",) if each.top is not None else ())):
            raise ConfigError(
                f"{path}: `{key}` means nothing to kind {each.kind.value}.", 'Use kind = "ranking".'
            )
        return
    if len(given) != 1:
        what = " and ".join(f"`{key}`" for key in given) or "no options"
        raise ConfigError(
            f"{path}: kind ranking has {what}.",
            "Give one of options (always the same), options_pattern or options_path (read from the request).",
        )
    if each.options and (len(set(each.options)) < 2 or len(set(each.options)) < len(each.options)):
        raise ConfigError(f"{path}: `options` needs two or more, each once.", "List every option once.")
    if pattern_of(each.options_pattern, f"{path}: options_pattern").groups > 1:
        raise ConfigError(
            f"{path}: options_pattern has more than one group.",
            "Keep the one around the option, and write the others as (?:...).",
        )
    for alias, option in each.aliases.items():
        if each.options and option not in each.options:
            raise ConfigError(
                f"{path}: alias {alias!r}: {option!r} is not one of `options`.",
                did_you_mean(option, each.options),
            )
    if each.top is not None and each.top < 1:
        raise ConfigError(f"{path}: top = {each.top} counts no place.", "Use 1 or more.")


def _check_review(rules: ReviewRules, path: Path) -> None:
    for name, most in (("double_share", 1.0), ("attention_share", 0.5)):
        if not 0 <= getattr(rules, name) <= most:
            raise ConfigError(
                f"{path}: review.{name} is {getattr(rules, name):g}, and should be 0 to {most:g}.",
                "Mend the value.",
            )
    for reviewer, languages in rules.languages.items():
        for each in languages:
            if not re.fullmatch("[a-z]{2,3}", each):
                raise ConfigError(
                    f"{path}: review.languages.{reviewer}: {each!r} is no language.",
                    "Write codes such as en, de or ja.",
                )


def check_policy(policy: Policy, path: Path) -> None:
    """Check that a policy is one that `eval.toml` may hold.

    Raises:
        ConfigError: A value is out of its range; the message names the file and the key.
    """
    if policy.harm not in ("regressions", "net"):
        raise ConfigError(f"{path}: unknown policy.harm {policy.harm!r}.", "Use regressions or net.")
    check_ranges(policy, RANGES, str(path), "policy.")
    ladder = list(policy.ladder)
    rises = all(low < high for low, high in pairwise(ladder))
    if len(ladder) < 2 or not rises or (ladder[0], ladder[-1]) != (0, 1):
        raise ConfigError(f"{path}: policy.ladder must rise from 0 to 1.", "For example [0, 0.1, 1].")
