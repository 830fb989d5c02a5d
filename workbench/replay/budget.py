"""What a replay may cost, in money and in minutes: calls are taken only while there is room."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from workbench.config import CONFIG_NAME, Workspace
from workbench.costing import tokens_cost_usd
from workbench.errors import ConfigError, UsageError
from workbench.records import Output, Usage
from workbench.replay.plan import Plan
from workbench.specs import Candidate, Price
from workbench.store import Store
from workbench.store.spending import BILLED, Spending, is_metered, recorded, spending

CHARS_PER_TOKEN = 4
"""Where a server tells no counts of tokens, and before the first answer."""
DEFAULT_OUTPUT_TOKENS = 256
"""Tokens of an answer where neither log nor server say anything."""
EXPECTED_FROM = 2_000
"""Calls whose recorded answers say how long an answer is, until the candidate has answered."""


@dataclass(slots=True)
class Budget:
    """Decide before each call whether there is room for it.

    A call is paid for by an estimate when it is taken, and by its own tokens once it
    has answered, so that what is in flight is in the sum. Overshoot is at most what the
    calls in flight cost beyond their estimates.

    Args:
        price: Of the candidate; None where it has none: then `usd` must be None.
        usd: Most that the whole replay may cost, earlier runs included.
        minutes: Most that this run may last.
        spent_usd: What earlier runs have cost.
        requests_per_call: A call with k samples sends 1 + k.
        output_tokens: Expected in one answer, until answers have told.
        tokens_per_character: Expected of a request, likewise.

    `unmetered` answers came without counts of tokens that can be, and stand at their estimates;
    `extra_usd` is the part of what was spent that no observation will show.
    """

    price: Price | None = None
    usd: float | None = None
    minutes: float | None = None
    spent_usd: float = 0.0
    requests_per_call: int = 1
    output_tokens: float = DEFAULT_OUTPUT_TOKENS
    tokens_per_character: float = 1 / CHARS_PER_TOKEN
    unmetered: int = 0
    taken: int = 0
    reserved_usd: float = 0.0
    extra_usd: float = 0.0
    _started: float = field(default_factory=time.monotonic)
    _chars: int = 0
    _input: int = 0
    _output: int = 0
    _answers: int = 0

    def begin_with(self, earlier: Spending) -> None:
        """Take over what earlier runs of the replay have spent, and how long their answers were."""
        if self.price is None:
            return
        self.spent_usd = spent_usd(earlier, self.price)
        self.unmetered = earlier.unmetered
        self._chars = earlier.metered_characters
        self._input = earlier.input_tokens + earlier.cached_input_tokens
        self._output = earlier.output_tokens
        self._answers = earlier.metered

    @property
    def total_usd(self) -> float | None:
        """Return what the replay has cost so far, by the price table; None without a price."""
        return None if self.price is None else self.spent_usd

    def estimate_usd(self, characters: int) -> float:
        """Return what a call is expected to cost, from the length of its request."""
        if self.price is None:
            return 0.0
        expected = self._requests * self.tokens_per_character
        per_character = self._input / self._chars if self._chars else expected
        per_answer = self._output / self._answers if self._answers else self._requests * self.output_tokens
        return tokens_cost_usd(characters * per_character, 0, per_answer, self.price)

    @property
    def _requests(self) -> int:
        return max(self.requests_per_call, 1)

    @property
    def is_out_of_time(self) -> bool:
        """Return whether the minutes of this run are used up."""
        return self.minutes is not None and time.monotonic() - self._started >= 60 * self.minutes

    def take(self, estimate_usd: float) -> bool:
        """Take a call if there is room for it, besides what is in flight."""
        if self.is_out_of_time:
            return False
        if self.usd is not None and self.spent_usd + self.reserved_usd + estimate_usd > self.usd:
            return False
        self.taken += 1
        self.reserved_usd += estimate_usd
        return True

    def settle(self, estimate_usd: float, characters: int, output: Output, late_attempts: int = 0) -> None:
        """Put what a call has cost in place of its estimate.

        Args:
            estimate_usd: What was taken for it.
            characters: Length of its request.
            output: What came of it. Without counts of tokens the estimate stands, where
                the model may have worked at all.
            late_attempts: Attempts given up by a time-out: the server may have billed each.
        """
        self.taken -= 1
        self.reserved_usd = max(self.reserved_usd - estimate_usd, 0.0) if self.taken else 0.0
        if self.price is None:
            return
        late_usd = late_attempts * estimate_usd / self._requests
        self.spent_usd += late_usd
        self.extra_usd += late_usd
        self.book(estimate_usd, characters, output)

    def book(self, estimate_usd: float, characters: int, output: Output) -> None:
        """Add what an answer has cost, and learn from it; arguments as of `settle`."""
        if self.price is None:
            return
        usage, error = output.usage, output.error
        if is_metered(output):
            read, cached = usage.input_tokens or 0, usage.cached_input_tokens or 0
            wrote = usage.output_tokens or 0
            self.spent_usd += tokens_cost_usd(read, cached, wrote, self.price)
            self._chars += characters
            self._input += read + cached
            self._output += wrote
            self._answers += 1
        elif error is None or error.kind in BILLED:
            self.spent_usd += estimate_usd
            self.unmetered += 1

    def spend_unrecorded(self, usage: Usage) -> float:
        """Add what calls have cost that are none of the sample's and leave no observation; return it."""
        if self.price is None:
            return 0.0
        read, cached = usage.input_tokens or 0, usage.cached_input_tokens or 0
        cost_usd = tokens_cost_usd(read, cached, usage.output_tokens or 0, self.price)
        self.spent_usd += cost_usd
        self.extra_usd += cost_usd
        return cost_usd

    def why(self) -> str:
        """Return why no more calls are taken."""
        if self.is_out_of_time:
            return f"The {self.minutes:g} minutes of this run are used up."
        spent = f"{self.spent_usd:.4f} USD are spent"
        return f"The budget of {self.usd:g} USD has no room for another call: {spent}."


def check_limits(*, usd: float | None = None, minutes: float | None = None) -> None:
    """Refuse limits that would not limit: no sum is above NaN.

    Raises:
        UsageError: One is not above 0, or is no finite number.
    """
    for name, value in (("budget_usd", usd), ("budget_minutes", minutes)):
        if value is not None and not 0 < value < math.inf:
            raise UsageError(
                f"{name} = {value:g}: a budget is a finite number above 0.", "Leave it out for no limit."
            )


def open_budget(
    workspace: Workspace,
    candidate: Candidate,
    *,
    usd: float | None,
    minutes: float | None,
) -> Budget:
    """Return the budget of a run.

    Args:
        workspace: Holds the price table.
        candidate: Who is paid.
        usd: Most that the whole replay may cost; None for no limit.
        minutes: Most that this run may last; None for no limit.

    Raises:
        ConfigError: There is a limit in USD, but the model has no price.
        UsageError: A limit would not limit.
    """
    check_limits(usd=usd, minutes=minutes)
    name = candidate.price or candidate.model
    price = None if candidate.engine == "recorded" else workspace.price_of(name)
    if usd is not None and price is None and candidate.engine != "recorded":
        file = workspace.root / CONFIG_NAME
        raise ConfigError(
            f"Candidate {candidate.name!r} can't be held to {usd:g} USD: {file} has no [[prices]] row of "
            f"model {name!r}.",
            "Add the row with input_usd_per_million, output_usd_per_million, as_of and source; a model of "
            "your own costs 0.",
        )
    usd = None if price is None else usd
    return Budget(price, usd, minutes, requests_per_call=1 + max(candidate.samples, 0))


def budget_of(
    workspace: Workspace,
    store: Store,
    candidate: Candidate,
    plan: Plan,
    *,
    usd: float | None,
    minutes: float | None,
) -> tuple[Budget, Spending]:
    """Return the budget of a run, and what earlier runs of its replay have read and written.

    Args:
        workspace: Holds the price table.
        store: Its store, with all parts loaded.
        candidate: Who is paid.
        plan: What the run is to do.
        usd: Most that the whole replay may cost; None for no limit.
        minutes: Most that this run may last; None for no limit.

    Raises:
        ConfigError: There is a limit in USD, but the model has no price.
        UsageError: A limit would not limit.
    """
    budget, earlier = open_budget(workspace, candidate, usd=usd, minutes=minutes), Spending()
    if budget.price is None:
        return budget, earlier
    if not plan.is_new:
        earlier = spending(store, plan.replay.replay_id)
        budget.begin_with(earlier)
    expect_as_logged(budget, store, [each.call_id for each in plan.added])
    return budget, earlier


def expect_as_logged(budget: Budget, store: Store, call_ids: Sequence[str]) -> None:
    """Tell a budget how many tokens calls take, by what the log says of some, until answers have told."""
    seen = recorded(store, call_ids[:EXPECTED_FROM])
    if seen.calls > seen.unknown:
        budget.output_tokens = max(seen.output_tokens / (seen.calls - seen.unknown), 1.0)
    if seen.input_tokens and seen.characters > seen.unknown_characters:
        budget.tokens_per_character = seen.input_tokens / (seen.characters - seen.unknown_characters)


def spent_usd(earlier: Spending, price: Price) -> float:
    """Return what a replay has cost so far; lengths stand in for tokens that no server told."""
    metered = tokens_cost_usd(
        earlier.input_tokens + earlier.unmetered_characters / CHARS_PER_TOKEN,
        earlier.cached_input_tokens,
        earlier.output_tokens + earlier.unmetered_text_characters / CHARS_PER_TOKEN,
        price,
    )
    return metered + earlier.unrecorded_usd
