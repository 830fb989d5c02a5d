"""The nouns of the workbench: frozen records without behaviour.

Every record can be encoded with `to_json` and read back with `from_json`.
Shares and rates are 0..1, times are UTC, durations are in milliseconds and
money is in US dollars.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

UNASSIGNED = "unassigned"

BATCH_REQUEST_ID = "batch_request_id"
"""The attribute that holds what a provider of batches calls a request by, for a question to its support."""

RESPONSE_ID = "response_id"
"""The attribute that keeps the answer's id where the call is known by its line's."""

BATCH_PRICE = "batch_price"
"""The mark of an answer that was billed as one of a batch: at the price's `batch_discount`."""

DATED_SHARE = 0.5
"""With fewer of the calls dated, how traffic spreads over time counts as not known."""

LEAST_RATE = 1e-9
"""A log of less than one call in a billion speaks of no traffic; one over it would be no number any more."""
"""Task of a call that no rule takes. Shown, never dropped."""


class Verdict(StrEnum):
    """What one evaluator says of a control and an observation."""

    MATCH = "match"
    MISMATCH = "mismatch"
    IGNORED = "ignored"
    UNCOMPARABLE = "uncomparable"


class LabelVerdict(StrEnum):
    """What one person says of a control and an observation."""

    CONTROL_BETTER = "control_better"
    EQUAL = "equal"
    CANDIDATE_BETTER = "candidate_better"
    BOTH_BAD = "both_bad"


class EvalKind(StrEnum):
    """How a task's outputs are compared."""

    LABEL = "label"
    FIELDS = "fields"
    TEXT = "text"
    TOOL_CALL = "tool_call"
    RANKING = "ranking"


class Basis(StrEnum):
    """What agreement proves: structural equality bounds harm, similarity does not."""

    STRUCTURAL = "structural"
    SEMANTIC = "semantic"


class Action(StrEnum):
    """What a recommendation asks for."""

    COLLECT = "COLLECT"
    HOLD = "HOLD"
    RAMP = "RAMP"
    STEP_DOWN = "STEP_DOWN"
    ROLLBACK = "ROLLBACK"
    STOP = "STOP"


class ErrorKind(StrEnum):
    """Why an output is missing. Counted in coverage, never compared as an output."""

    TIMEOUT = "timeout"
    CONNECTION = "connection"
    HTTP = "http"
    RATE_LIMITED = "rate_limited"
    INVALID_RESPONSE = "invalid_response"
    EMPTY = "empty"
    CONTENT_FILTER = "content_filter"
    CONTEXT_LENGTH = "context_length"
    WRONG_MODEL = "wrong_model"
    NOT_A_NUMBER = "not_a_number"
    MISSING = "missing"
    OTHER = "other"


ERROR_KINDS: dict[str, str] = {
    ErrorKind.TIMEOUT: "no answer in time",
    ErrorKind.CONNECTION: "no connection",
    ErrorKind.HTTP: "error from the server",
    ErrorKind.RATE_LIMITED: "too many requests",
    ErrorKind.INVALID_RESPONSE: "reply not understood",
    ErrorKind.EMPTY: "empty reply",
    ErrorKind.CONTENT_FILTER: "blocked by a content filter",
    ErrorKind.CONTEXT_LENGTH: "request too long for the model",
    ErrorKind.WRONG_MODEL: "another model answered",
    ErrorKind.NOT_A_NUMBER: "the model's arithmetic broke down",
    ErrorKind.MISSING: "no output recorded",
    ErrorKind.OTHER: "another error",
}
"""What each kind of error means, for people; files and addresses keep the kinds."""


def told_error(kind: str) -> str:
    """Return what a kind of error means, or a kind that is not known as it is.

    >>> told_error("timeout")
    'no answer in time'
    """
    return ERROR_KINDS.get(kind, kind.replace("_", " "))


def told_errors(counts: Mapping[str, int]) -> str:
    """Return how often each kind of error came, the most frequent first: `3 × no answer in time, ...`."""
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return ", ".join(f"{count:,} × {told_error(kind)}" for kind, count in ordered)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool. `arguments` is parsed; what can't be parsed stays text."""

    name: str
    arguments: Any = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `content` is text, a list of typed parts, or None beside tool calls."""

    role: str
    content: str | list[dict[str, Any]] | None = None
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, normalised: `input_tokens` excludes the cached ones. `cost_usd` is what the log itself says."""

    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class OutputError:
    """Why there is no usable output."""

    kind: ErrorKind
    message: str = ""
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked. `parameters` holds temperature, max_tokens and the like."""

    messages: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...] = ()
    response_format: dict[str, Any] | None = None
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Output:
    """What a model answered, or the error in its place.

    `confidence` holds named signals in 0..1 (`label_margin`, `token_quantile`).
    `flags` names what is odd: `truncated`, `refusal`, `capped`, `repaired_text`.
    """

    text: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    model: str | None = None
    usage: Usage = Usage()
    latency_ms: float | None = None
    time_to_first_token_ms: float | None = None
    reasoning: str | None = None
    confidence: dict[str, float] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    error: OutputError | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One recorded production request with its frontier output. Immutable.

    `call_id` is a hash of `source` and `native_id`; `control` is absent where the
    log holds no frontier output. `sampling_rate` is the share of traffic that was
    logged (None: unknown, so no per-day figure is shown).
    """

    call_id: str
    source: str
    native_id: str
    task: str
    request: Request
    control: Output | None = None
    occurred_at: datetime | None = None
    session_id: str | None = None
    served_by: str | None = None
    sampling_rate: float | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    marks: tuple[str, ...] = ()
    gold: str | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A source record that could not become a call, and why."""

    file: str
    line: int
    reason: str
    content_hash: str = ""
    snippet: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """What the candidate did for one call in one replay. One per (replay, call, repeat)."""

    replay_id: str
    call_id: str
    repeat: int
    output: Output
    attempts: int = 1
    started_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Control against observation under one evaluator version.

    `score` is 0..1 (agreement of fields, similarity) or None where it is missing.
    `identical` says that the raw outputs are equal character for character.
    `invalid` says that the candidate's output is an error or breaks its contract.
    `flags` holds contradiction flags; `details` per-field verdicts and the like.
    """

    replay_id: str
    call_id: str
    repeat: int
    evaluator_version: str
    verdict: Verdict
    score: float | None = None
    reason: str = ""
    identical: bool = False
    invalid: bool = False
    ignored_by: str | None = None
    control_group: str | None = None
    candidate_group: str | None = None
    flags: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AbsoluteJudgement:
    """Each side judged by itself: is it right, and which of its fields are wrong (their paths)."""

    control_right: bool
    candidate_right: bool
    control_wrong: tuple[str, ...] = ()
    candidate_wrong: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Label:
    """One human judgement of one call in one replay.

    `shown_order` is `control_left` or `candidate_left` (None: not shown side by side).
    `draw_id` ties it to the queue's draw; None means imported, from gold or adjudicated.
    `absolute` is there where the sides were judged one by one; the verdict follows from it.
    """

    label_id: str
    replay_id: str
    call_id: str
    verdict: LabelVerdict | None
    annotator: str
    reasons: tuple[str, ...] = ()
    note: str = ""
    corrected: str | None = None
    shown_order: str | None = None
    draw_id: str | None = None
    draw_probability: float | None = None
    guideline_version: str | None = None
    source: str = "queue"
    supersedes: str | None = None
    skipped: bool = False
    created_at: datetime | None = None
    absolute: AbsoluteJudgement | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A rate with its uncertainty. A rate is never passed around bare.

    `level` is the one-sided confidence of each limit; `n` counts calls and
    `n_effective` what they are worth after clustering and weighting.
    """

    point: float | None
    low: float
    high: float
    level: float
    method: str
    n: float
    n_effective: float


FRONTIER_RESERVE = 0.02


@dataclass(frozen=True, slots=True)
class Policy:
    """What a team accepts. All rates are 0..1; `level` is one-sided confidence.

    `frontier_reserve` is the share that stays on the frontier at 100 %, for the drift detector.
    """

    tolerance: float = 0.05
    level: float = 0.95
    harm: str = "regressions"
    exploration_budget: float | None = None
    ladder: tuple[float, ...] = (0.0, 0.01, 0.05, 0.10, 0.25, 0.50, 1.0)
    icc: float = 0.05
    minimum_pairs: int = 20
    minimum_live_calls: int = 50
    minimum_days_in_stage: float = 1.0
    minimum_days_of_traffic: float = 7.0
    maximum_uncomparable: float = 0.05
    maximum_invalid: float = 0.02
    latency_p95_ms: float | None = None
    critical_tolerance: float | None = None
    session_tolerance: float | None = None
    planned_labels: int | None = None
    frontier_reserve: float = FRONTIER_RESERVE

    @property
    def delta(self) -> float:
        """Return the error probability, 1 - level."""
        return 1.0 - self.level

    @property
    def budget(self) -> float:
        """Return the exploration budget: tolerance / 5 unless the policy sets one."""
        return self.tolerance / 5 if self.exploration_budget is None else self.exploration_budget


@dataclass(frozen=True, slots=True)
class SliceShare:
    """What a slice may carry. `status` is active, excluded, suspect or unproven."""

    name: str
    value: str
    traffic_share: float
    n: float
    harm: Estimate
    cap: float
    share: float
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Guard:
    """A rule that can hold traffic whatever the bound says. `ok` is False when it does."""

    name: str
    ok: bool
    message: str


@dataclass(frozen=True, slots=True)
class Recommendation:
    """How much traffic may move, how sure that is, and what is missing for more."""

    action: Action
    share: float
    cap: float
    current_share: float
    effective_share: float
    harm: Estimate
    net: Estimate
    basis: Basis
    binding_reason: str
    reasons: tuple[str, ...]
    missing: tuple[str, ...]
    harm_per_day_at_most: float | None
    slices: tuple[SliceShare, ...]
    guards: tuple[Guard, ...]
    details: dict[str, Any] = field(default_factory=dict)


def to_json(record: object) -> bytes:
    """Return a record as UTF-8 JSON, keys in the order of its fields."""
    return msgspec.json.encode(record)


def from_json(data: bytes | str, kind: type[T]) -> T:
    """Read a record that `to_json` wrote.

    Raises:
        msgspec.DecodeError: The data is not a `kind`.
    """
    return msgspec.json.decode(data, type=kind)


def as_builtins(record: object) -> Any:
    """Return a record as plain dictionaries, lists, text and numbers."""
    return msgspec.to_builtins(record)
