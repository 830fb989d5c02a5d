"""Which task a call belongs to."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from workbench.errors import ConfigError
from workbench.formats import Draft, Mark
from workbench.normal import content_hash, last_user_text, system_text
from workbench.records import UNASSIGNED, Request
from workbench.specs import NAME_PATTERN, EvalConfig, MatchRule
from workbench.traffic.prompts import first_user_text, tool_names

SLUG_CHARS = 80
RENAMED_KEPT = 100
TEXT_KEYS = ("system_prompt", "input", "first_input", "tools", "model")


class TaskRouter:
    """Decides which task a call belongs to.

    Args:
        evals: Their `match` rules are tried in the order of their tasks.
        task: Given, it is the task of every call.

    Raises:
        ConfigError: A rule holds what is no regular expression.
    """

    def __init__(self, evals: Iterable[EvalConfig], task: str | None) -> None:
        self._task = task
        self.rules = {each.task: each.rules for each in sorted(evals, key=lambda each: each.task)}
        """By task, in the order in which they are tried."""
        self.renamed: dict[str, str] = {}
        """Tasks as a log calls them that are no names, and the names they got; some of many."""
        self._rules = [(name, _compile(name, rule)) for name, rules in self.rules.items() for rule in rules]

    def task_of(self, draft: Draft) -> str:
        """Return the task of a call; several rules that fit leave a mark and the first one wins."""
        fitting = self.fitting(draft.request, draft.model, draft.attributes) if self.asks else ()
        if fitting:
            if len(fitting) > 1:
                draft.marks.append(Mark.AMBIGUOUS_TASK)
            return fitting[0]
        return self.without_rules(draft.task)

    @property
    def asks(self) -> bool:
        """Return whether there is a rule to ask; without one, `without_rules` is enough."""
        return self._task is None and bool(self._rules)

    def without_rules(self, named: str | None) -> str:
        """Return the task of a call that no rule takes.

        Args:
            named: What its log calls the task.
        """
        if self._task is not None:
            return self._task
        if named is None:
            return UNASSIGNED
        task = task_name(named)
        if task != named and len(self.renamed) < RENAMED_KEPT:
            self.renamed[named] = task
        return task

    def fitting(self, request: Request, model: str | None, attributes: Mapping[str, Any]) -> list[str]:
        """Return the tasks with a rule that takes a call, in order, each once.

        Args:
            request: What was asked.
            model: The model of the log.
            attributes: Of the call.
        """
        return list(
            dict.fromkeys(name for name, rule in self._rules if _fits(rule, request, model, attributes))
        )


_Rule = list[tuple[str, re.Pattern[str]]]


@functools.lru_cache(maxsize=1_000)
def task_name(text: str) -> str:
    """Return the name of a task that a log calls by a text: itself, or what of it can stand in a name.

    The same text has the same name in every import. Where nothing of it can stand in a name, or too
    much had to go, the name ends in a hash of the text.

    >>> task_name("ops/triage"), task_name("Stützpunkt Süd")
    ('ops-triage', 'Stutzpunkt-Sud')
    """
    if NAME_PATTERN.fullmatch(text):
        return text
    plain = unicodedata.normalize("NFKD", text)
    kept = "".join(each for each in plain if not unicodedata.combining(each))
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", kept).strip("-._")
    lost = sum(not each.isascii() and each.isalnum() for each in kept)
    if slug and not lost and len(slug) <= SLUG_CHARS:
        return slug
    return f"{slug[:SLUG_CHARS].rstrip('-._') or 'task'}-{content_hash(text)[:8]}"


def _compile(task: str, rule: MatchRule) -> _Rule:
    pairs = [(key, getattr(rule, key)) for key in TEXT_KEYS]
    pairs += [(f"attributes.{key}", pattern) for key, pattern in rule.attributes.items()]
    found: _Rule = []
    for key, pattern in pairs:
        if pattern is None:
            continue
        try:
            found.append((key, re.compile(pattern)))
        except re.error as error:
            where = f"The eval of task {task!r}: match.{key}"
            raise ConfigError(f"{where} is no regular expression: {error}.", "Mend the pattern.") from error
    return found


def _fits(rule: _Rule, request: Request, model: str | None, attributes: Mapping[str, Any]) -> bool:
    messages = request.messages
    for key, pattern in rule:
        if key == "system_prompt":
            found = pattern.search(system_text(messages))
        elif key == "input":
            found = pattern.search(last_user_text(messages))
        elif key == "first_input":
            found = pattern.search(first_user_text(messages))
        elif key == "tools":
            found = pattern.search(tool_names(request))
        elif key == "model":
            found = pattern.search(model or "")
        else:
            value = attributes.get(key.removeprefix("attributes."))
            found = pattern.fullmatch(str(value)) if value is not None else None
        if not found:
            return False
    return bool(rule)
