"""Comparing observations with their controls, and storing what came of it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from workbench import review
from workbench.access import requires
from workbench.compare import Comparator, Judgement, basis, by_rule, evaluator_version
from workbench.compare.features import MAX_REQUEST_CHARS
from workbench.compare.fields import FieldsComparator
from workbench.compare.judgement import uncomparable
from workbench.config import Workspace
from workbench.embed import Embedder, SentenceTransformers, similarities
from workbench.errors import ConfigError, did_you_mean
from workbench.progress import Listener, Progress, silent
from workbench.records import (
    Basis,
    ErrorKind,
    Estimate,
    EvalKind,
    Output,
    OutputError,
    Request,
    Verdict,
    from_json,
    to_json,
)
from workbench.roles import Right
from workbench.scoring.judging import JudgeResults, judge_results
from workbench.scoring.spread import spread_of
from workbench.scoring.tables import Tables, shown, tables
from workbench.scoring.targets import targets
from workbench.specs import EvalConfig
from workbench.stats import bounds
from workbench.stats.wording import measured
from workbench.store import comparisons as rows
from workbench.store import label_pairs

if TYPE_CHECKING:
    from workbench.store import Store

PAIRS_AT_ONCE, KINDS_AT_ONCE, OUTPUT_BATCH = 2_000_000, 50_000, 2_000
"""How many are compared in one transaction: pairs of labels and the kinds of these, or whole outputs."""
FIELDS_SAMPLE, FIELDS_SEEN_IN = 1_000, 20
"""Recorded outputs in which a field is looked for, and how few of them prove nothing."""
REASONS_SHOWN, RULES_SHOWN = 10, 5
NO_CONTROL = "the log holds no control output"


@dataclass(frozen=True, slots=True)
class CompareReport:
    """What is compared of one task and candidate.

    `new` comparisons were made now. The counts are over every replay of this
    candidate, repeat 0: `compared` is match + mismatch + ignored, and `invalid`
    stands within `mismatch`. `agreement` is (match + ignored) / compared and `invalid_share`
    invalid / compared, counts divided by the design effect of sessions and equal requests. `errors`
    counts candidate errors by kind, `ignored_by` the rules that made a difference
    harmless (`a + b` where both were needed), `uncomparable_because` the commonest reasons.
    `evaluator_errors` of the mismatches are no verdict at all: the eval's own evaluator failed,
    `evaluator_errors_because` of this.
    `embedded` texts were computed now; `embedding_failures` says why others were not.
    `labels_from_gold` labels are new. `tables` say what the agreement is made of, by label or
    by field, or how near orders are. `judge` is what the eval's judge said of the pairs; it enters
    nothing else here.
    """

    task: str
    candidate: str
    fingerprint: str
    evaluator_version: str
    basis: Basis
    absorbed: int
    new: int
    observations: int
    compared: int
    match: int
    mismatch: int
    ignored: int
    uncomparable: int
    invalid: int
    agreement: Estimate
    invalid_share: Estimate
    similarity_missing: int
    errors: dict[str, int] = field(default_factory=dict)
    ignored_by: dict[str, int] = field(default_factory=dict)
    embedded: int = 0
    embedding_failures: tuple[str, ...] = ()
    labels_from_gold: int = 0
    uncomparable_because: dict[str, int] = field(default_factory=dict)
    evaluator_errors: int = 0
    evaluator_errors_because: dict[str, int] = field(default_factory=dict)
    tables: Tables | None = None
    judge: JudgeResults | None = None

    @property
    def text(self) -> str:
        """Return the report as one or two sentences."""
        point = self.agreement.point
        share = "no agreement yet" if point is None else f"{measured(point)} agree"
        parts = [
            f"{self.task} / {self.candidate}: {self.compared:,} calls compared "
            f"({self.new:,} answers now), {share}"
        ]
        for count, words in (
            (self.invalid, "invalid"),
            (self.evaluator_errors, f"evaluator errors{_mostly(self.evaluator_errors_because)}"),
            (self.uncomparable, f"uncomparable{_mostly(self.uncomparable_because)}"),
            (self.ignored, f"equal by an ignore rule{_named(self.ignored_by)}"),
            (self.similarity_missing, "without a similarity"),
            (self.labels_from_gold, "labels from gold answers"),
        ):
            if count:
                parts.append(f"{count:,} {words}")
        line = ", ".join([*parts, *shown(self.tables)]) + "."
        return "\n  ".join([line, *(self.judge.lines if self.judge else ())])


def _named(ignored_by: dict[str, int]) -> str:
    named = [f"{name}: {count:,}" for name, count in by_rule(ignored_by).items()]
    more = f", {len(named) - RULES_SHOWN} more" if len(named) > RULES_SHOWN else ""
    return f" ({', '.join(named[:RULES_SHOWN])}{more})" if named else ""


def _mostly(because: dict[str, int]) -> str:
    first = next(iter(because), "")
    return f" ({'' if len(because) == 1 else 'mostly: '}{first})" if first else ""


@requires(Right.REPLAY)
def compare(
    workspace: Workspace,
    store: Store,
    task: str | None = None,
    candidate: str | None = None,
    listener: Listener = silent,
    *,
    embedder: Callable[[str], Embedder] | None = None,
) -> list[CompareReport]:
    """Compare every observation not yet compared under its eval as it stands.

    Loads the spool first. What is stored stays: a changed eval has another
    evaluator version, under which everything is compared anew.

    Args:
        workspace: Names evals and candidates.
        store: Holds the observations.
        task: One task; None for all.
        candidate: One candidate by name; None for all.
        listener: Hears how far it is.
        embedder: Opens an embedder by name; for texts alone.

    Returns:
        One report a task and candidate that was replayed.

    Raises:
        UsageError: The task or the candidate named is unknown or was not replayed.
        ModelMissing: Texts need a similarity and the model is not installed.
    """
    absorbed = store.absorb()
    return [
        _compare_one(workspace, store, *target, absorbed, listener, embedder or open_embedder)
        for target in targets(workspace, store, task, candidate)
    ]


Scope = tuple["Store", str, str, str]
"""Store, task, candidate's fingerprint, evaluator version."""


@lru_cache(maxsize=2)
def open_embedder(name: str) -> Embedder:
    """Open an embedder by name; one stays loaded for the next task."""
    return SentenceTransformers(name)


def _compare_one(
    workspace: Workspace,
    store: Store,
    eval: EvalConfig,  # noqa: A002 - the domain's own word
    name: str,
    fingerprint: str,
    absorbed: int,
    listener: Listener,
    embedder: Callable[[str], Embedder],
) -> CompareReport:
    scope = (store, eval.task, fingerprint, evaluator_version(eval))
    waiting, embedded, failures = bring_up_to_date(workspace, eval, scope, listener, embedder)
    gold = review.label_from_gold(workspace, store, eval.task, name)
    judged = judge_results(workspace, store, eval, fingerprint)
    return _report(eval, name, scope, absorbed, waiting, embedded, failures, gold, judged)


def bring_up_to_date(
    workspace: Workspace,
    eval: EvalConfig,  # noqa: A002 - the domain's own word
    scope: Scope,
    listener: Listener,
    embedder: Callable[[str], Embedder] | None = None,
) -> tuple[int, int, tuple[str, ...]]:
    """Compare every observation of a scope that is not compared yet.

    Args:
        workspace: Where the eval lies.
        eval: The eval.
        scope: Store, task, fingerprint and evaluator version.
        listener: Hears how far it is.
        embedder: Opens an embedder by name; for texts alone.

    Returns:
        How many were compared, how many texts were embedded, and why others were not.
    """
    store, task, fingerprint, version = scope
    waiting = rows.pending_count(store, task, fingerprint, version)
    embedded = 0
    failures: tuple[str, ...] = ()
    if eval.kind is EvalKind.FIELDS:
        _refuse_absent_fields(workspace, store, eval)
    if waiting and eval.kind is EvalKind.LABEL and eval.evaluator is None:
        _compare_texts(eval, scope, waiting, listener)
    elif waiting:
        embedded, failures = _compare_outputs(eval, scope, waiting, listener, embedder or open_embedder)
    return waiting, embedded, failures


def _refuse_absent_fields(workspace: Workspace, store: Store, eval: EvalConfig) -> None:  # noqa: A002
    """Refuse fields that no recorded output holds: two answers without one would seem to agree.

    An optional one may be rare. It is refused where nothing else decides either, or where the
    outputs hold a field of nearly the same name that no rule looks at.

    Raises:
        ConfigError: There is one; the hint names the closest field that the outputs do hold.
    """
    absent = FieldsComparator(eval).absent(rows.recorded_controls(store, eval.task, limit=FIELDS_SAMPLE))
    if absent.readable < FIELDS_SEEN_IN:
        return
    nothing_left = absent.is_all and bool(absent.known)
    paths = [*absent.misspelt, *absent.required, *(absent.optional if nothing_left else ())]
    if not paths:
        return
    path = paths[0]
    file = workspace.root / workspace.config.evals / eval.task / "eval.toml"
    hint = did_you_mean(path, absent.known)
    if path in absent.misspelt:
        hint += ' If it is another field, give that one a rule too (`compare = "ignore"` if it may differ).'
    elif nothing_left:
        hint += " No other field of the eval stands in any, so nothing would be compared."
    else:
        hint += " If it may be left out, set its `required = false`."
    raise ConfigError(f"{file}: field {path!r} stands in none of {absent.readable:,} recorded outputs.", hint)


def _compare_texts(eval: EvalConfig, scope: Scope, waiting: int, listener: Listener) -> None:  # noqa: A002
    """Compare labels: of pairs that differ in nothing a verdict depends on, one is judged for all."""
    comparator = Comparator(eval)
    done, last = 0, -1
    while done < waiting:
        until = None
        if waiting - done > PAIRS_AT_ONCE:
            until = label_pairs.waiting_until(*scope, limit=PAIRS_AT_ONCE)
        kinds = label_pairs.waiting(*scope, until=until, limit=KINDS_AT_ONCE)
        if not kinds:
            return
        if kinds[0]["first"] <= last:
            raise RuntimeError(f"comparisons of {scope[1:]} were not stored")
        last = kinds[0]["first"]
        judged = [_columns(_judge_texts(comparator, kind)) | {"first": kind["first"]} for kind in kinds]
        label_pairs.add(*scope, until=until, judged=judged)
        done += sum(kind["n"] for kind in kinds)
        listener(Progress("comparing", min(done, waiting), waiting, "pairs"))


def _judge_texts(comparator: Comparator, kind: dict[str, Any]) -> Judgement:
    if not kind["has_control"]:
        return uncomparable(NO_CONTROL)
    flags = kind["control_flags"]
    control = Output(
        text=kind["control_text"],
        finish_reason=kind["control_finish"],
        flags=tuple(msgspec.json.decode(flags)) if flags else (),
        error=_error(kind["control_error"]),
    )
    return comparator.compare(control, Output(text=kind["text"], error=_error(kind["error_kind"])))


def _error(kind: str | None) -> OutputError | None:
    return OutputError(ErrorKind(kind)) if kind else None


def _columns(found: Judgement) -> dict[str, Any]:
    """Return what is stored of a judgement."""
    return {
        "verdict": found.verdict.value,
        "score": found.score,
        "reason": found.reason,
        "identical": found.identical,
        "invalid": found.invalid,
        "ignored_by": found.ignored_by,
        "control_group": found.control_group,
        "candidate_group": found.candidate_group,
        "flags": found.flags,
        "details": to_json(found.details).decode(),
    }


def _compare_outputs(
    eval: EvalConfig,  # noqa: A002 - the domain's own word
    scope: Scope,
    waiting: int,
    listener: Listener,
    embedder: Callable[[str], Embedder],
) -> tuple[int, tuple[str, ...]]:
    """Compare whole outputs; return how many texts were embedded and why others were not."""
    store, task, fingerprint, version = scope
    comparator = Comparator(eval)
    after, done, embedded = 0, 0, 0
    # Options of a ranking, and facts that a text only repeats, may stand in any request; an evaluator of
    # one's own may look for anything.
    anything = eval.kind is EvalKind.RANKING or eval.evaluator is not None
    text = 2 * MAX_REQUEST_CHARS if eval.kind is EvalKind.TEXT else 0
    requests_up_to = sys.maxsize if anything else text
    failures: dict[str, None] = {}
    while True:
        batch = rows.pending_outputs(
            store,
            task,
            fingerprint,
            version,
            after=after,
            limit=OUTPUT_BATCH,
            requests_up_to=requests_up_to,
        )
        if not batch:
            return embedded, tuple(failures)
        after = int(batch[-1]["seq"])
        pairs = [_pair(row) for row in batch]
        known: list[float | None] = [None] * len(pairs)
        needy = [
            place
            for place, (control, observed, _) in enumerate(pairs)
            if control is not None and comparator.needs_similarity(control, observed)
        ]
        if needy:
            texts = [(_text(pairs[place][0]), _text(pairs[place][1])) for place in needy]
            found = similarities(store, embedder(eval.embedder), texts, listener=listener)
            embedded += found.computed
            failures |= dict.fromkeys(found.failures)
            for place, value in zip(needy, found.values, strict=True):
                known[place] = value
        rows.add(
            store,
            [
                _judge_pair(comparator, pair, similarity).of(
                    row["replay_id"], row["call_id"], row["repeat"], version
                )
                for row, pair, similarity in zip(batch, pairs, known, strict=True)
            ],
            batch,
        )
        done += len(batch)
        listener(Progress("comparing", done, waiting, "pairs"))


Pair = tuple[Output | None, Output, Request | None]


def _pair(row: dict[str, Any]) -> Pair:
    return (
        from_json(row["control"], Output) if row["control"] else None,
        from_json(row["output"], Output),
        from_json(row["request"], Request) if row["request"] else None,
    )


def _text(output: Output | None) -> str:
    return (output.text or "") if output else ""


def _judge_pair(comparator: Comparator, pair: Pair, similarity: float | None) -> Judgement:
    control, observed, request = pair
    if control is None:
        return uncomparable(NO_CONTROL)
    return comparator.compare(control, observed, request, similarity)


def agreement_of(agreeing: float, compared: float, delta: float, deff: float = 1.0) -> Estimate:
    """Return the share of compared calls that agree, with anytime limits.

    Args:
        agreeing: Matches and ignored differences.
        compared: All compared calls.
        delta: Error probability of each limit.
        deff: Design effect by which counts are divided.
    """
    wrong = bounds.anytime(compared - agreeing, compared, delta, deff=deff)
    return Estimate(
        point=None if wrong.point is None else 1 - wrong.point,
        low=1 - wrong.high,
        high=1 - wrong.low,
        level=wrong.level,
        method=wrong.method,
        n=wrong.n,
        n_effective=wrong.n_effective,
    )


def _report(
    eval: EvalConfig,  # noqa: A002 - the domain's own word
    name: str,
    scope: Scope,
    absorbed: int,
    new: int,
    embedded: int,
    failures: tuple[str, ...],
    gold: int,
    judged: JudgeResults | None,
) -> CompareReport:
    store, task, fingerprint, version = scope
    verdicts: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    ignored: Counter[str] = Counter()
    because: Counter[str] = Counter()
    invalid = missing = broken = 0
    for row in rows.summary(store, task, fingerprint, version):
        count = int(row["n"])
        verdicts[row["verdict"]] += count
        invalid += count if row["invalid"] else 0
        missing += count if row["missing"] else 0
        broken += count if row["broken"] else 0
        if row["error_kind"]:
            errors[row["error_kind"]] += count
        if row["why"]:
            because[row["why"]] += count
        if row["ignored_by"]:
            ignored[row["ignored_by"]] += count
    agreeing = verdicts[Verdict.MATCH] + verdicts[Verdict.IGNORED]
    compared = agreeing + verdicts[Verdict.MISMATCH]
    spread = spread_of(store, eval, fingerprint)
    return CompareReport(
        task=task,
        candidate=name,
        fingerprint=fingerprint,
        evaluator_version=version,
        basis=basis(eval),
        absorbed=absorbed,
        new=new,
        observations=sum(verdicts.values()),
        compared=compared,
        match=verdicts[Verdict.MATCH],
        mismatch=verdicts[Verdict.MISMATCH],
        ignored=verdicts[Verdict.IGNORED],
        uncomparable=verdicts[Verdict.UNCOMPARABLE],
        invalid=invalid,
        agreement=agreement_of(agreeing, compared, eval.policy.delta, spread.agreement),
        invalid_share=bounds.anytime(invalid, compared, eval.policy.delta, deff=spread.invalid),
        similarity_missing=missing,
        errors=dict(errors.most_common()),
        ignored_by=dict(ignored.most_common()),
        embedded=embedded,
        embedding_failures=failures,
        labels_from_gold=gold,
        uncomparable_because=dict(because.most_common(REASONS_SHOWN)),
        evaluator_errors=broken,
        evaluator_errors_because=rows.evaluator_errors(*scope, limit=REASONS_SHOWN) if broken else {},
        tables=tables(store, eval, fingerprint),
        judge=judged,
    )
