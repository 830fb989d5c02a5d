"""What an agreement is made of: which label became which, which fields differ, what was no answer at all."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench import access
from workbench.access import requires
from workbench.compare import evaluator_version
from workbench.compare.fields import JSON_REPAIRED, FieldsComparator
from workbench.records import Estimate, EvalKind
from workbench.roles import Right
from workbench.scoring.spread import effect_on, spread_of
from workbench.specs import EvalConfig
from workbench.stats import bounds
from workbench.stats.agreement import Confusion, cohen_kappa, gwet_ac1
from workbench.stats.agreement import confusion as confusion_of
from workbench.stats.wording import measured
from workbench.store import accesses
from workbench.store.cases import INVALID
from workbench.store.comparisons import once
from workbench.store.conflicting import not_in_conflict

if TYPE_CHECKING:
    from workbench.store import Store

MAX_GROUPS = 100
"""Of more outcome groups neither a table nor a coefficient is made; the pairs stand in `pairs`."""
PAIRS_SHOWN, TEXTS_SHOWN, TEXT_CHARS = 1_000, 10, 200


@dataclass(frozen=True, slots=True)
class LabelPair:
    """How often one answer of the frontier met one of the candidate."""

    control: str
    candidate: str
    n: int


@dataclass(frozen=True, slots=True)
class InvalidText:
    """An answer outside the labels, cut to 200 characters, and how often it came."""

    text: str
    n: int


@dataclass(frozen=True, slots=True)
class LabelTables:
    """How a candidate's labels compare with the frontier's, label by label.

    `confusion` has a row for each answer of the frontier and a column for each of the
    candidate, `(invalid)` among them; it and the coefficients are None where there are more
    than a hundred answers or none. `pairs` are the same counts, the commonest first.
    `agreement` is by the frontier's answer, with limits that hold however often anyone looks;
    counts are divided by the design effect of sessions and equal requests. `kappa` and `ac1` explain
    and never gate. `invalid_texts` are the commonest answers that are no label; there are none for
    those who may not read the text of the task's calls.
    """

    confusion: Confusion | None
    pairs: tuple[LabelPair, ...]
    agreement: dict[str, Estimate]
    kappa: Estimate | None
    ac1: Estimate | None
    invalid_texts: tuple[InvalidText, ...]


@dataclass(frozen=True, slots=True)
class FieldAgreement:
    """How often one field agrees, of the calls in which either side has it.

    An answer that can't be read has none of the fields, and disagrees in all of them. Counts are
    divided by the design effect of whole answers.
    """

    path: str
    compare: str
    required: bool
    critical: bool
    agreement: Estimate


@dataclass(frozen=True, slots=True)
class FieldTables:
    """How a candidate's JSON compares with the frontier's, field by field.

    `schema_valid` is the share of compared answers that keep the eval's schema, whatever the
    frontier did and said; None where there is no schema. `repaired` counts candidate answers
    that could be read only after they were mended, `control_repaired` the frontier's.
    """

    fields: tuple[FieldAgreement, ...]
    schema_valid: Estimate | None
    repaired: int
    control_repaired: int


@dataclass(frozen=True, slots=True)
class RankingTables:
    """How near a candidate's orders are to the frontier's, over the compared calls.

    `top_1` is the share whose first place is the same, `ndcg` the mean NDCG (0..1), `kendall_tau` the mean of
    Kendall's tau-b (-1..1). An answer that is no order has missed the first place and gains nothing; it
    has no tau, nor has one side that ties everything, so tau has an n of its own. Limits hold
    however often anyone looks; counts are divided by the design effect of whole answers. They explain and
    gate nothing.
    """

    top_1: Estimate
    ndcg: Estimate
    kendall_tau: Estimate


Tables = LabelTables | FieldTables | RankingTables


def tables(store: Store, config: EvalConfig, fingerprint: str) -> Tables | None:
    """Return the tables of one task and candidate, over every compared call once, repeat 0.

    Args:
        store: Holds the comparisons.
        config: The task's eval, as it stands.
        fingerprint: The candidate's.

    Returns:
        Tables of labels, of fields or of orders; None for other kinds of evals.
    """
    if config.kind is EvalKind.LABEL:
        return label_tables(store, config, fingerprint)
    if config.kind is EvalKind.FIELDS:
        return field_tables(store, config, fingerprint)
    if config.kind is EvalKind.RANKING:
        return ranking_tables(store, config, fingerprint)
    return None


_COMPARED = """
FROM comparisons m JOIN replays r ON r.replay_id = m.replay_id
WHERE r.task = ? AND r.candidate_fingerprint = ? AND m.evaluator_version = ? AND m.repeat = 0
  AND m.verdict <> 'uncomparable'
"""


def _compared(store: Store) -> str:
    return f"{_COMPARED} AND {not_in_conflict(store, 'm')} "


@requires(Right.SEE, task=lambda given: given["config"].task)
def label_tables(store: Store, config: EvalConfig, fingerprint: str) -> LabelTables:
    """Return which label became which, agreement by label, and the commonest answers that are none.

    Args:
        store: Holds the comparisons.
        config: An eval of labels.
        fingerprint: The candidate's.
    """
    scope = (config.task, fingerprint, evaluator_version(config))
    compared = _compared(store) + once(store, config.task, fingerprint)
    found = store.rows(
        f"""
        SELECT m.control_group AS control,
               CASE WHEN m.invalid OR m.candidate_group IS NULL THEN ? ELSE m.candidate_group END
                   AS candidate,
               count(*) AS n, count(*) FILTER (WHERE m.verdict <> 'mismatch') AS agreeing
        {compared} AND m.control_group IS NOT NULL GROUP BY ALL ORDER BY n DESC, control, candidate
        """,
        (INVALID, *scope),
    )
    counts = {(row["control"], row["candidate"]): int(row["n"]) for row in found}
    texts = _invalid_texts(store, scope, compared) if access.may(Right.READ, config.task) else ()
    table = None
    if counts and len({each for pair in counts for each in pair}) <= MAX_GROUPS:
        table = confusion_of(counts)
    delta, spread = config.policy.delta, spread_of(store, config, fingerprint)
    return LabelTables(
        confusion=table,
        pairs=tuple(LabelPair(*pair, n) for pair, n in list(counts.items())[:PAIRS_SHOWN]),
        agreement=_by_label(found, delta, spread.by_label),
        kappa=cohen_kappa(table, delta) if table else None,
        ac1=gwet_ac1(table, delta) if table else None,
        invalid_texts=texts,
    )


def _invalid_texts(store: Store, scope: tuple[str, str, str], compared: str) -> tuple[InvalidText, ...]:
    """Return the commonest answers that are no label, and note that they are read."""
    texts = store.rows(
        f"""
        -- Few are invalid: found first, the observations are not all put into a table of their own.
        WITH invalid AS MATERIALIZED (SELECT m.replay_id, m.call_id {compared} AND m.invalid)
        SELECT left(coalesce(o.text, ''), ?) AS text, count(*) AS n, min(m.call_id) AS call_id
        FROM invalid m
        JOIN observations o ON o.replay_id = m.replay_id AND o.call_id = m.call_id AND o.repeat = 0
        WHERE o.error_kind IS NULL GROUP BY 1 ORDER BY n DESC, text LIMIT ?
        """,  # noqa: S608 - a constant of this module
        (*scope, TEXT_CHARS, TEXTS_SHOWN),
    )
    accesses.viewed(store, accesses.Kind.CASE, scope[0], [row["call_id"] for row in texts])
    return tuple(InvalidText(row["text"], int(row["n"])) for row in texts)


def _by_label(
    found: Sequence[Mapping[str, Any]], delta: float, effects: Mapping[str, float]
) -> dict[str, Estimate]:
    """Return agreement by the frontier's answer, the commonest first, however many answers there are."""
    totals: Counter[str] = Counter()
    agreeing: Counter[str] = Counter()
    for row in found:
        totals[row["control"]] += int(row["n"])
        agreeing[row["control"]] += int(row["agreeing"])
    return {
        label: bounds.anytime(agreeing[label], n, delta, deff=effect_on(effects.get(label, 1.0), n))
        for label, n in totals.most_common()
    }


@requires(Right.SEE, task=lambda given: given["config"].task)
def field_tables(
    store: Store, config: EvalConfig, fingerprint: str, *, sample: int | None = None
) -> FieldTables:
    """Return agreement by field, how many answers keep the schema, and how many had to be mended.

    Args:
        store: Holds the comparisons.
        config: An eval of fields.
        fingerprint: The candidate's.
        sample: Count a random part of about so many calls, the same each time; None counts all.
    """
    scope: tuple[Any, ...] = (config.task, fingerprint, evaluator_version(config))
    compared, drawn = _compared(store), once(store, config.task, fingerprint)
    if sample is not None:
        total = store.value(f"SELECT count(*) {compared}", scope)
        drawn += "AND hash(m.call_id) % 1000000 < ?"
        scope = (*scope, math.ceil(1_000_000 * min(1.0, sample / max(1, total))))
    counted = store.rows(
        f"""
        WITH each AS (
            SELECT unnest(CAST(json_extract(m.details, '$.fields') AS JSON[])) AS field {compared} {drawn}
        )
        SELECT json_extract_string(field, '$.path') AS path, count(*) AS n,
               count(*) FILTER (WHERE CAST(json_extract(field, '$.equal') AS BOOLEAN)) AS equal
        FROM each
        WHERE coalesce(json_extract_string(field, '$.control.missing'), '')
              || coalesce(json_extract_string(field, '$.candidate.missing'), '') <> 'truetrue'
        GROUP BY 1
        """,  # noqa: S608 - a constant of this module
        scope,
    )
    whole = store.rows(
        f"""
        SELECT count(*) AS n,
               count(*) FILTER (WHERE m.invalid AND json_extract(m.details, '$.fields') IS NULL) AS unread,
               count(*) FILTER (
                   WHERE NOT m.invalid AND json_extract(m.details, '$.schema_problem') IS NULL) AS valid,
               count(*) FILTER (WHERE {_repaired("candidate")}) AS repaired,
               count(*) FILTER (WHERE {_repaired("control")}) AS control_repaired
        {compared} {drawn}
        """,
        scope,
    )[0]
    found = {row["path"]: (int(row["equal"]), int(row["n"])) for row in counted}
    delta, unread = config.policy.delta, int(whole["unread"])
    spread = spread_of(store, config, fingerprint)

    def share(part: int, n: int) -> Estimate:
        return bounds.anytime(part, n, delta, deff=effect_on(spread.agreement, n))

    return FieldTables(
        fields=tuple(
            FieldAgreement(
                path=rule.path,
                compare=rule.compare,
                required=rule.required,
                critical=rule.critical,
                agreement=share(equal, n + unread),
            )
            for rule in FieldsComparator(config).rules
            if rule.compare != "ignore"
            for equal, n in (found.get(rule.path, (0, 0)),)
        ),
        schema_valid=share(int(whole["valid"]), int(whole["n"])) if config.schema else None,
        repaired=int(whole["repaired"]),
        control_repaired=int(whole["control_repaired"]),
    )


@requires(Right.SEE, task=lambda given: given["config"].task)
def ranking_tables(store: Store, config: EvalConfig, fingerprint: str) -> RankingTables:
    """Return how often the first place is the same, and how near the whole orders are.

    Args:
        store: Holds the comparisons.
        config: An eval of orders.
        fingerprint: The candidate's.
    """
    compared = _compared(store)
    figure = "TRY_CAST(json_extract_string(m.details, '$.{}') AS DOUBLE)".format
    found = store.rows(
        f"""
        WITH each AS (
            SELECT {figure("top_1")} AS top_1, {figure("ndcg")} AS ndcg, {figure("kendall_tau")} AS tau,
                   m.invalid {compared} {once(store, config.task, fingerprint)}
        )
        SELECT count(*) FILTER (WHERE invalid OR top_1 IS NOT NULL) AS n, coalesce(sum(top_1), 0) AS top_1,
               coalesce(sum(ndcg), 0) AS ndcg, count(tau) AS with_tau, coalesce(sum(tau), 0) AS tau
        FROM each
        """,  # noqa: S608 - constants of this module
        (config.task, fingerprint, evaluator_version(config)),
    )[0]
    delta, n, with_tau = config.policy.delta, int(found["n"]), int(found["with_tau"])
    effect = spread_of(store, config, fingerprint).agreement
    own = effect_on(effect, n)
    return RankingTables(
        top_1=bounds.anytime(float(found["top_1"]), n, delta, deff=own),
        ndcg=bounds.anytime_mean(float(found["ndcg"]), n, delta, deff=own),
        kendall_tau=bounds.anytime_mean(
            float(found["tau"]), with_tau, delta, low=-1.0, deff=effect_on(effect, with_tau)
        ),
    )


def _repaired(side: str) -> str:
    return (
        f"list_contains(m.flags, '{JSON_REPAIRED}') "
        f"AND list_contains(CAST(json_extract(m.details, '$.repaired') AS VARCHAR[]), '{side}')"
    )


def shown(found: Tables | None) -> list[str]:
    """Return what a report's line says of the tables, in parts.

    Args:
        found: The tables, if there are any.
    """
    parts: list[str] = []
    if isinstance(found, FieldTables):
        if found.schema_valid is not None and found.schema_valid.point is not None:
            parts.append(f"{measured(found.schema_valid.point)} keep the schema")
        if found.repaired:
            parts.append(f"{found.repaired:,} read only after their JSON was mended")
    if isinstance(found, RankingTables) and found.top_1.point is not None:
        first, tau = found.top_1, found.kendall_tau
        limits = f"{measured(first.low)} to {measured(first.high)}"
        parts.append(f"first place the same in {measured(found.top_1.point)} ({limits})")
        parts.append(f"mean NDCG {_mean(found.ndcg)}")
        if tau.point is not None:
            parts.append(f"mean Kendall's tau {_mean(tau)}")
    return parts


def _mean(found: Estimate) -> str:
    return f"{found.point:.2f} ({found.low:.2f} to {found.high:.2f}, n = {found.n:,.0f})"
