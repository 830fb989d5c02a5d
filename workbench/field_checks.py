"""What types can't say about the fields of an `eval.toml`, and about those that are ignored."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from workbench.checks import pattern_of
from workbench.compare.judgement import JOINED
from workbench.compare.money import CODES
from workbench.compare.rule_tree import covers, paths_of_schema, rules_by_list, rules_of_schema
from workbench.errors import ConfigError, did_you_mean
from workbench.records import EvalKind
from workbench.specs import EvalConfig, FieldRule

COMPARATORS = ("exact", "text", "fuzzy", "number", "money", "date", "list", "set", "ignore")
LEAST_RATIO = 0.5
"""Fuzzy texts may be declared equal from this ratio on."""
_PLAIN_RULE = FieldRule("")
_STEP = r"[^.\[\]]+(\[\])*"
_PATH = re.compile(rf"({_STEP}|(\[\])+)(\.{_STEP})*")


def check_fields(rules: Sequence[FieldRule], path: Path) -> None:
    """Check the fields of an eval.

    Args:
        rules: As they were read.
        path: The eval's file, for the message.

    Raises:
        ConfigError: One is wrong, or stands there twice; the message names the file and the field.
    """
    seen: set[str] = set()
    for rule in rules:
        where = f"{path}: field {rule.path!r}"
        if not _PATH.fullmatch(rule.path):
            raise ConfigError(
                f"{where}: not a path.",
                "Write keys with dots between them, and [] after a list: customer.name or items[].price.",
            )
        if rule.path in seen:
            raise ConfigError(f"{where} is declared twice.", "Only one rule can hold: take the other out.")
        seen.add(rule.path)
        _check_field(rule, where)
    for place, those in rules_by_list(rules).items():
        one = next((each for each in those if each.ordered), None)
        other = next((each for each in those if not each.ordered), None)
        if one and other:
            raise ConfigError(
                f"{path}: field {one.path!r} takes the items of {place or 'the answer'!r} in order, and "
                f"field {other.path!r} in any order.",
                "Both are compared on the same pair of items: give both `ordered = false`, or neither.",
            )


def check_ignored(each: EvalConfig, path: Path) -> None:
    """Check the ignore rules of an eval: that each is told apart by its name, and can ever do something.

    Args:
        each: The eval as it was read.
        path: Its file, for the message.

    Raises:
        ConfigError: One is wrong; the message names the file and the rule.
    """
    seen: set[str] = set()
    for rule in each.ignore:
        where = f"{path}: ignore {rule.name!r}"
        if not rule.name.strip() or JOINED in rule.name:
            raise ConfigError(
                f"{where}: not a name.", f"Differences are counted by it: write one without {JOINED!r}."
            )
        if rule.name in seen:
            raise ConfigError(f"{where} is declared twice.", "Differences are counted by name: rename one.")
        seen.add(rule.name)
        if not rule.pattern and not rule.field:
            raise ConfigError(
                f"{where} ignores nothing.",
                "Give a `pattern` (what is cut out of both answers) or a `field`.",
            )
        pattern_of(rule.pattern, where)
        if rule.field:
            _check_ignored_field(each, rule.field, where)
    left_out = [rule.field for rule in each.ignore if rule.field]
    deciding = [rule.path for rule in _rules_of(each) if rule.compare != "ignore"]
    if deciding and all(any(covers(one, rule) for one in left_out) for rule in deciding):
        raise ConfigError(
            f"{path}: the ignore rules leave nothing to compare: they name every field.",
            "Take one out, or declare another field.",
        )


def _rules_of(each: EvalConfig) -> tuple[FieldRule, ...]:
    if each.kind is not EvalKind.FIELDS:
        return ()
    return each.fields or rules_of_schema(each.schema)


def _check_ignored_field(each: EvalConfig, name: str, where: str) -> None:
    """Refuse a field that no comparison would ever leave out."""
    if each.evaluator is not None:
        raise ConfigError(
            f"{where}: `field` means nothing to an evaluator of one's own: it sees whole answers.",
            "Use a `pattern`, or let the evaluator leave the field out.",
        )
    if each.kind is EvalKind.TOOL_CALL:
        tool, dot, argument = name.partition(".")
        if not (tool and dot and argument):
            raise ConfigError(
                f"{where}: field {name!r} names no argument of a tool.",
                "Write tool.argument, for example search.limit.",
            )
        return
    if each.kind is not EvalKind.FIELDS:
        raise ConfigError(
            f"{where}: `field` means nothing to kind {each.kind.value}.", "Use a `pattern`, or take it out."
        )
    rules = [rule.path for rule in _rules_of(each)]
    named = dict.fromkeys([*rules, *(() if each.fields else paths_of_schema(each.schema))])
    outer = next((one for one in rules if one != name and covers(one, name)), None)
    if outer is None and any(covers(name, known) for known in named):
        return
    hint = did_you_mean(name, named)
    if outer is not None:
        hint = (
            f"It stands inside {outer!r}, which is compared as a whole: give its parts fields of their own."
        )
    elif not each.fields:
        hint += " What the schema does not name can't be left out: name it there."
    raise ConfigError(f"{where}: field {name!r} is none that the eval compares.", hint)


def _check_field(rule: FieldRule, where: str) -> None:
    """Refuse a comparator that is not known, and numbers that it would pass over or that can't be."""
    if rule.compare not in COMPARATORS:
        raise ConfigError(
            f"{where}: unknown compare {rule.compare!r}.", did_you_mean(rule.compare, COMPARATORS)
        )
    if not 0 <= rule.tolerance < float("inf"):
        raise ConfigError(f"{where}: tolerance can't be negative.", "Use 0 or more.")
    if not 0 <= rule.relative < 1:
        raise ConfigError(
            f"{where}: relative = {rule.relative:g} is no share below 1.",
            "For example relative = 0.01 for 1 %.",
        )
    if not LEAST_RATIO <= rule.minimum <= 1:
        raise ConfigError(
            f"{where}: minimum = {rule.minimum:g} is outside {LEAST_RATIO:g} to 1.",
            "Below that nearly any two texts are alike; 0.9 is usual.",
        )
    if rule.currency is not None and rule.currency not in CODES:
        raise ConfigError(
            f"{where}: currency {rule.currency!r} is no ISO 4217 code.", did_you_mean(rule.currency, CODES)
        )
    for key, comparators in (
        ("tolerance", ("number", "money", "date")),
        ("relative", ("number", "money")),
        ("minimum", ("fuzzy",)),
        ("currency", ("money",)),
    ):
        if getattr(rule, key) != getattr(_PLAIN_RULE, key) and rule.compare not in comparators:
            known = " or ".join(f'compare = "{each}"' for each in comparators)
            raise ConfigError(
                f"{where}: `{key}` means nothing to compare = {rule.compare!r}.", f"Use {known}."
            )
