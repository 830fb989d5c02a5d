"""What people declare: candidates, prices, and how a task's outputs are compared.

Plain frozen records; `config` reads them from `workbench.toml` and `eval.toml`.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from workbench.records import EvalKind, Policy

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
ENGINES = ("openai", "vllm", "transformers", "recorded")
DIALECTS = ("auto", "vllm", "ollama", "openai", "none")
ZONES = ("internal", "external")
_SIZE_IN_NAME = re.compile(r"(?<![a-z0-9.])(?:(\d+)x)?(\d+(?:\.\d+)?)([bm])(?![a-z0-9])", re.IGNORECASE)
_MILLIONS = 1_000
CONTROL = "control"
"""Reserved name: a candidate of this name is the frontier model, asked again for the noise floor."""


def is_loopback(url: str) -> bool:
    """Say whether an address can only be this machine. Names other than localhost can't."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


CACHE_MIN_TOKENS = 1_024.0
"""From here on OpenAI caches a prompt's beginning, and Anthropic that of most models (their guides, 2026)."""


@dataclass(frozen=True, slots=True)
class Price:
    """What one model costs, in US dollars per million tokens, on a date, from a source.

    `batch_discount` is the share taken off for calls that wait in a batch, 0..1; below `cache_min_tokens`
    a beginning that calls share is not cached.
    """

    model: str
    as_of: date
    source: str
    input_usd_per_million: float
    output_usd_per_million: float
    cached_input_usd_per_million: float | None = None
    batch_discount: float | None = None
    cache_min_tokens: float = CACHE_MIN_TOKENS

    @property
    def per_million(self) -> tuple[float, float, float]:
        """Return US dollars per million tokens of input, cached input and output."""
        plain, cached = self.input_usd_per_million, self.cached_input_usd_per_million
        return plain, plain if cached is None else cached, self.output_usd_per_million


@dataclass(frozen=True, slots=True)
class ModelLife:
    """When a model leaves the market: from then on its noise floor can't be measured any more."""

    model: str
    retires_on: date
    source: str


@dataclass(frozen=True, slots=True)
class VLLMServer:
    """How the `vllm` engine serves a candidate (`[candidates.server]`).

    `python` is an interpreter that has vLLM; without one, the variable
    WORKBENCH_VLLM_PYTHON names it. `adapter` is a folder or hub id of a LoRA adapter:
    candidates that differ in nothing else share one server. `gpu_memory_share` is the
    part of the GPU's memory it may take, 0..1. `arguments` go to the server as they are.
    """

    python: str | None = None
    quantization: str | None = None
    tensor_parallel: int = 1
    max_model_len: int | None = None
    gpu_memory_share: float | None = None
    adapter: str | None = None
    tool_parser: str | None = None
    reasoning_parser: str | None = None
    chat_template: str | None = None
    prefix_caching: bool = True
    enforce_eager: bool = False
    start_timeout_s: float = 900.0
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PromptPatch:
    """What a candidate is asked otherwise than the control was (`[candidates.patch]`).

    `system` replaces the system prompt; `system_trim` are regular expressions whose
    matches are taken out of it. `examples` are ids of calls shown as solved examples:
    such calls are never evaluated. `response_format` replaces the request's own, and
    `suffix` is put behind the last user message.
    """

    system: str | None = None
    system_trim: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    response_format: dict[str, Any] | None = None
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A small model that may take over: engine, model, sampling, price, privacy zone.

    `parameters` override the request's own (max_tokens, temperature, ...).
    `map` names columns or JSON paths of a recorded file, as `import --map` does.
    `price` names a row of `[[prices]]`; the model's own name is the default.
    `dialect` says how the server takes allowed labels and JSON schemas. `stream` asks
    for the answer piece by piece, so that the time to the first token is known.
    `samples` asks that many times more, at `samples_temperature`: how often they agree
    with the answer is a signal of confidence. `parent` names the candidate that a
    `patch` started from. `size_billions` is how many billions of parameters the model has.
    `served_as` are names of models in the log by which it served a call itself.
    `edition` makes another candidate of one whose answers change though no key does.
    """

    name: str
    engine: str
    model: str | None = None
    revision: str | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    zone: str | None = None
    outputs: str | None = None
    format: str = "auto"
    map: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    dtype: str | None = None
    batch_size: int = 16
    concurrency: int = 64
    timeout_s: float = 120.0
    price: str | None = None
    synthetic: bool = False
    description: str = ""
    dialect: str = "auto"
    stream: bool = False
    samples: int = 0
    samples_temperature: float = 0.7
    parent: str | None = None
    patch: PromptPatch | None = None
    server: VLLMServer | None = None
    size_billions: float | None = None
    served_as: tuple[str, ...] = ()
    edition: str = ""

    @property
    def effective_zone(self) -> str:
        """Return the declared zone; undeclared, only a loopback endpoint is internal."""
        if self.zone:
            return self.zone
        if self.engine in ("vllm", "transformers", "recorded"):
            return "internal"
        return "internal" if is_loopback(self.base_url or "") else "external"


def size_billions(spec: Candidate) -> float | None:
    """Return a model's parameters in billions: declared, or as its name says (`7B`, `135m`, `8x7B`)."""
    if spec.size_billions is not None:
        return spec.size_billions
    for name in (spec.model, spec.name):
        found = _SIZE_IN_NAME.search((name or "").rsplit("/", 1)[-1].replace("_", "-"))
        if found:
            experts, number, unit = found.groups()
            size = float(number) * float(experts or 1)
            return size / _MILLIONS if unit in "mM" else size
    return None


@dataclass(frozen=True, slots=True)
class RayCluster:
    """Where `replay --on ray` runs (`[ray]`): without an address, on this machine alone.

    `address` is HOST:PORT of a cluster, or auto on one of its machines. `spool` is a folder
    or an object store's address that all of them reach. `zone` says whether cluster and
    spool count as internal; undeclared, only this machine does. An actor is one engine;
    `gpus_per_actor` is the candidate's own need where it is not given.
    """

    address: str | None = None
    spool: str | None = None
    zone: str | None = None
    actors: int | None = None
    cpus_per_actor: float = 1.0
    gpus_per_actor: float | None = None


@dataclass(frozen=True, slots=True)
class FieldRule:
    """How one field of a JSON output is compared.

    `path` uses dots and `[]` for list items (`items[].sku`). `compare` is one of
    exact, text, fuzzy, number, money, date, list, set, ignore. `tolerance` is absolute
    (days for dates), `relative` a share of the larger of two numbers. `minimum` is the
    ratio, 0..1, from which fuzzy texts are equal. `currency` is that of amounts that name none.
    """

    path: str
    compare: str = "exact"
    tolerance: float = 0.0
    relative: float = 0.0
    minimum: float = 0.9
    currency: str | None = None
    ordered: bool = True
    required: bool = True
    critical: bool = False


@dataclass(frozen=True, slots=True)
class SliceRule:
    """A predicate over what is known before the call.

    `by` is language, input_length, turn_depth, tool_use, model, or attributes.NAME.
    `edges` are the bin limits for numbers.
    """

    by: str
    name: str | None = None
    edges: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class IgnoreRule:
    """A difference declared harmless; still counted. `pattern` is removed from both sides."""

    name: str
    pattern: str | None = None
    field: str | None = None


@dataclass(frozen=True, slots=True)
class MatchRule:
    """Which calls belong to a task where `--task` does not say. Every key given must hold.

    Keys are regular expressions: `input` is searched in the last message of the user, `first_input`
    in the first, `tools` in the names of the tools offered, in order, with spaces between.
    """

    system_prompt: str | None = None
    input: str | None = None
    model: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    first_input: str | None = None
    tools: str | None = None


@dataclass(frozen=True, slots=True)
class JudgeRule:
    """Which model may say what it thinks of pairs (`[judge]`): one of `[[candidates]]`, never an arm.

    `candidate` is its name. What it says is shown and measured against people, and decides nothing.
    """

    candidate: str


@dataclass(frozen=True, slots=True)
class Normalisation:
    """What is equal before outputs are compared. Declared, so that equality stays structural.

    `wrappers` are `json`, `json:KEY` (see `json_key`), or patterns with one group around the answer.
    """

    case: bool = True
    whitespace: bool = True
    punctuation: bool = True
    unicode: bool = True
    wrappers: tuple[str, ...] = ()


def json_key(wrapper: str) -> str | None:
    """Return the key that a wrapper such as `json:refund` names, under which a label stands; or None.

    A key with a bracket can't be named: that would be a pattern.
    """
    head, _, key = wrapper.partition(":")
    return key.strip() if head == "json" and key.strip() and "(" not in key else None


@dataclass(frozen=True, slots=True)
class ReviewRules:
    """How a task's outputs are labelled (`[review]`).

    `double_share` of the draws is labelled by two people. `attention_share` of the items
    handed out are checks with a known answer, which enter no bound. With `show_effect`, a
    reviewer may see how a label moved the bound. `languages` names, by reviewer, the
    languages (ISO 639-1) they read; who isn't named gets every language.
    """

    double_share: float = 0.175
    attention_share: float = 0.0
    show_effect: bool = False
    languages: dict[str, tuple[str, ...]] = field(default_factory=dict)


def guideline_version_of(guidelines: str) -> str:
    """Return the version of guidelines, a short hash of their text; labels refer to it."""
    return hashlib.sha256(guidelines.encode()).hexdigest()[:12]


NO_GUIDELINES = guideline_version_of("")
"""The version of guidelines that nobody has written; pages and reports call it "none"."""

CONTRADICTIONS = ("numbers", "units", "dates", "negation", "names")
"""Flags that turn a similar pair of texts into a mismatch, unless the eval names others."""


@dataclass(frozen=True, slots=True)
class EvalConfig:
    """How one task's outputs are compared, and what its team accepts.

    `allowed_zone` is the widest zone the task's data may be sent to. With `several`, an
    answer is a set of labels, written with one of the `separators` between them or as a JSON
    list. With `repair`, JSON that can't be read is mended where that is possible.

    What a ranking orders are its `options`, or what the request holds: the matches of
    `options_pattern` (its group, where it has one) or the values at `options_path` of its
    JSON. With `top`, only the first places count. `evaluator` names an installed Python
    entry point of the group `workbench.evaluators` that compares instead of the kind's own rule.
    `judge` names a model that is asked which of two answers is better. Texts match from a
    similarity of `match_at` on, unless a flag out of `contradictions` stands against it.

    A call belongs here if it fits `match`, or one of `match_any`. Calls with one of `exclude_marks` stay
    out of samples drawn from then on, and of figures about traffic and costs.
    """

    task: str
    kind: EvalKind
    description: str = ""
    labels: tuple[str, ...] = ()
    several: bool = False
    separators: tuple[str, ...] = (",", ";", "\n")
    aliases: dict[str, str] = field(default_factory=dict)
    critical_labels: tuple[str, ...] = ()
    normalise: Normalisation = Normalisation()
    fields: tuple[FieldRule, ...] = ()
    schema: dict[str, Any] | None = None
    repair: bool = False
    match_at: float = 0.8
    contradictions: tuple[str, ...] = CONTRADICTIONS
    embedder: str = "all-MiniLM-L6-v2"
    options: tuple[str, ...] = ()
    options_pattern: str | None = None
    options_path: str | None = None
    top: int | None = None
    evaluator: str | None = None
    judge: JudgeRule | None = None
    match: MatchRule | None = None
    match_any: tuple[MatchRule, ...] = ()
    policy: Policy = Policy()
    review: ReviewRules = ReviewRules()
    slices: tuple[SliceRule, ...] = ()
    ignore: tuple[IgnoreRule, ...] = ()
    calls_per_day: float | None = None
    exclude_marks: tuple[str, ...] = ()
    allowed_zone: str = "internal"
    guidelines: str = ""
    root: str = ""

    @property
    def rules(self) -> tuple[MatchRule, ...]:
        """Return the rules that take a call, any of them."""
        return (*((self.match,) if self.match else ()), *self.match_any)

    @property
    def names_one_label(self) -> bool:
        """Return whether an answer is one label: only then can a model be held to the labels."""
        return self.kind is EvalKind.LABEL and not self.several

    @property
    def guideline_version(self) -> str:
        """Return a short hash of the guidelines: labels under other rules do not mix."""
        return guideline_version_of(self.guidelines)
