"""From aggregates of the store to what a profile says of each workload."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from scipy.special import stdtrit

from workbench.compare.features import facts_beyond, text_of
from workbench.config import Workspace
from workbench.costing import DAYS_PER_MONTH
from workbench.costing.savings import tokens_cost_usd
from workbench.costing.ways import Amount, exactly, product, total
from workbench.profiling.report import ModelUse, WorkloadReport
from workbench.records import DATED_SHARE, UNASSIGNED, Output, Request, from_json
from workbench.specs import Price
from workbench.stats.bounds import exact
from workbench.store import Store, traffic_days, traffic_texts, workloads
from workbench.store.traffic_days import by_workload
from workbench.traffic.prompts import Constant, Prompt, constant_part, prompt_of
from workbench.traffic.shapes import Answer, Shape, overlap, shape_of
from workbench.traffic.suitability import (
    MIXED_SHARES,
    NO_DAY,
    NO_SHARE,
    NO_TIMES,
    Measured,
    checklist,
    weekly_shift,
)
from workbench.traffic.templates import Template

SAMPLE = 200
"""Calls of a workload whose texts are read."""
FACTS_CHARS = 2_000_000
"""So much of its requests is searched for the facts of the answers: a million take two seconds."""
LEVEL = 0.95
UNNAMED = "unnamed model"
OVERLAP_CHARS = 4_000
QUIET_DAYS = 7
"""Beyond so many days without a call, which a weekly job has none of, that is said."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """What the texts of a sample say. `unread` calls of it could not be looked at."""

    answers: list[Answer]
    constant: Constant
    tools: int
    lacking: int
    facts: int
    unread: int


def measure(
    workspace: Workspace, store: Store, profile_id: str, mined: Mapping[str, Template], calls: int
) -> list[WorkloadReport]:
    """Return what is measured of every workload, the one that costs most to keep first.

    Args:
        workspace: Its prices and evals.
        store: Where to read.
        profile_id: Whose workloads.
        mined: Templates by id.
        calls: How many calls there are.
    """
    weighted = workloads.weighted(store, profile_id)
    uses = by_workload(workloads.model_costs(store, profile_id, workspace.model_prices(), weighted))
    days = by_workload(workloads.daily_traffic(store, profile_id))
    tongues = by_workload(workloads.languages(store, profile_id))
    short = by_workload(workloads.short_answers(store, profile_id))
    weeks = by_workload(workloads.weekly_mix(store, profile_id))
    samples = traffic_texts.sampled(store, profile_id, SAMPLE)
    small = small_model(workspace)
    rows = workloads.totals(store, profile_id, weighted)
    read = traffic_texts.read_samples(store, [samples.get(row["workload"], []) for row in rows])
    found = []
    for row, sample in zip(rows, read, strict=True):
        name = row["workload"]
        texts = _read(sample)
        answers, left_out = _said(short.get(name, []))
        shape = shape_of(texts.answers, answers, row["answers"] - left_out, row["distinct_answers"])
        volume = _volume(workspace, row, days.get(name, []))
        models = tuple(use_of(each) for each in uses.get(name, []))
        spoken = {each["language"] or "": each["calls"] for each in tongues.get(name, [])}
        shift, counted = weekly_shift(_mixes(weeks.get(name, [])))
        missing = "" if volume else _why_no_volume(row, days.get(name, []))
        checks = checklist(
            Measured(
                shape=shape,
                calls=row["calls"],
                calls_per_day=volume.point if volume else None,
                no_volume=missing,
                duplicate_share=row["duplicate_share"],
                input_tokens=row["input_tokens"],
                input_chars=row["input_chars"] or 0.0,
                multi_turn_share=row["multi_turn_share"] or 0.0,
                tool_share=row["tool_share"] or 0.0,
                tools=texts.tools,
                languages=spoken,
                new_facts=texts.lacking / texts.facts if texts.facts else None,
                facts=texts.facts,
                shift=shift,
                weeks=counted,
            )
        )
        found.append(
            replace(
                _report(
                    workspace,
                    row,
                    mined.get(name),
                    calls,
                    volume,
                    models,
                    spoken,
                    texts,
                    shape,
                    checks,
                    small,
                ),
                no_volume=missing,
                undated=row["calls"] - row["dated"],
                quiet_since=_quiet_since(row, days.get(name, [])),
                percentiles_of=row["percentiles_of"],
            )
        )
    return sorted(found, key=_rank)


def small_model(workspace: Workspace) -> Price | None:
    """Return the price that savings are worked out with: the plan's, or the cheapest candidate's."""
    named = workspace.price_of(workspace.config.costs.hosted_model)
    if named is not None:
        return named
    rows = [
        price
        for each in workspace.config.candidates
        if not each.synthetic and (price := workspace.price_of(each.price or each.model)) is not None
    ]
    return min(
        rows,
        key=lambda each: (each.input_usd_per_million + each.output_usd_per_million, each.model),
        default=None,
    )


def fallback_share(own: Mapping[str, Any]) -> Amount:
    """Return the share of a candidate's answers that fall back, none where no answer tells.

    Args:
        own: Of `store.workloads.candidate_costs`.
    """
    if not own["judged"]:
        return exactly(0.0)
    rate = exact(own["fallen"], own["judged"], 1 - LEVEL)
    return Amount(own["fallen"] / own["judged"], rate.low, rate.high)


def mean_amount(mean: float, deviation: float, n: int) -> Amount:
    """Return a mean with its one-sided limits (Student); one value alone has no limits but itself."""
    if n < 2:
        return exactly(mean)
    half = float(stdtrit(n - 1, LEVEL)) * deviation / math.sqrt(n)
    return Amount(mean, max(mean - half, 0.0), mean + half)


def _rank(each: WorkloadReport) -> tuple[float, float, float, int, str]:
    return (
        -(each.could_save_usd_month or 0.0),
        -(each.usd_month.point if each.usd_month else 0.0),
        -(each.logged_usd or 0.0),
        -each.calls,
        each.name,
    )


def use_of(row: Mapping[str, Any]) -> ModelUse:
    """Return a row of `store.call_costs.by_model` as what one model answered."""
    return ModelUse(
        model=row["model"] or UNNAMED,
        calls=row["calls"],
        measured=row["measured"],
        input_tokens=row["input_tokens"],
        cached_input_tokens=row["cached_input_tokens"],
        output_tokens=row["output_tokens"],
        usd=row["usd"],
        usd_deviation=row["usd_deviation"],
        as_logged=row["as_logged"],
        batched_share=row["batched_share"],
        weight=row["weight"],
        plain_usd=row["plain_usd"],
    )


def _volume(workspace: Workspace, row: Mapping[str, Any], days: Sequence[dict[str, Any]]) -> Amount | None:
    """Return the calls a day: what the eval declares, or the last days' where their share is known.

    Calls without a time are taken to be spread as those with one, if these are not too few.
    """
    config = workspace.evals.get(row["workload"])
    if config is not None and config.calls_per_day is not None:
        return exactly(config.calls_per_day)
    if _why_no_volume(row, days):
        return None
    return traffic_a_day(days).times(row["calls"] / row["dated"])


def _why_no_volume(row: Mapping[str, Any], days: Sequence[dict[str, Any]]) -> str:
    """Return why the log does not tell the calls a day; nothing where it does."""
    if not days or row["dated"] < DATED_SHARE * row["calls"]:
        return NO_TIMES
    if not traffic_days.covers_a_day(traffic_days.recent(days)):
        return NO_DAY
    if traffic_days.mean_a_day(days) is None:
        return NO_SHARE
    mixed = row["rated"] < row["calls"] and row["rate_low"] != row["rate_high"]
    return MIXED_SHARES if mixed else ""


def _quiet_since(row: Mapping[str, Any], days: Sequence[Mapping[str, Any]]) -> datetime | None:
    """Return when the last call came, if the log goes on for more than `QUIET_DAYS` without another."""
    if not days or row["last_at"] is None:
        return None
    last: datetime = row["last_at"].replace(tzinfo=UTC)
    until = max(float(each["until"]) for each in days)
    return last if until - last.timestamp() > QUIET_DAYS * traffic_days.DAY_S else None


def traffic_a_day(days: Sequence[dict[str, Any]]) -> Amount:
    """Return the mean calls a day with limits from how the days of a stream differ; streams add up.

    Args:
        days: Rows of `store.traffic_days.daily` of one workload, at least one, whose rates are known.
    """
    rows = traffic_days.recent(days)
    streams = sorted({row["stream"] for row in rows})
    return total([_stream_a_day([row for row in rows if row["stream"] == stream]) for stream in streams])


def _stream_a_day(days: Sequence[Mapping[str, Any]]) -> Amount:
    span = max(days[0]["span"], 1.0)
    inside = [each for each in days if each["age"] < traffic_days.DAYS]
    # A call that is logged stands for so many; none at all still leaves room for one.
    scale = sum(each["traffic"] for each in days) / sum(each["calls"] for each in days)
    logged = max(sum(each["calls"] for each in inside), 1)
    whole = int(span)
    by_age = {each["age"]: each["traffic"] for each in inside}
    daily = [by_age.get(age, 0.0) for age in range(whole)]
    mean = traffic_days.stream_a_day(days)
    # Fewer than two whole days say nothing of how days differ; counting alone is the least there is.
    spread = math.sqrt(logged) * scale / span
    if whole >= 2:
        middle = sum(daily) / whole
        deviation = math.sqrt(sum((each - middle) ** 2 for each in daily) / (whole - 1))
        spread = max(spread, deviation / math.sqrt(whole))
    half = float(stdtrit(max(whole - 1, 1) if whole >= 2 else 30, LEVEL)) * spread
    return Amount(mean, max(mean - half, 0.0), mean + half)


def _mixes(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, int]]:
    weeks: dict[Any, dict[str, int]] = {}
    for row in rows:
        weeks.setdefault(row["week"], {})[f"{row['language']}/{row['size']}"] = row["calls"]
    return [weeks[week] for week in sorted(weeks)]


def _said(rows: Sequence[Mapping[str, Any]]) -> tuple[dict[str, int], int]:
    """Return how often each short answer was given, and how many refusals and pieces were left out.

    Where most are such, none is: a limit of one token cuts every label, and the pieces are the labels.
    """
    whole = {each["text"]: each["calls"] for each in rows if each["is_whole"]}
    every = {each["text"]: each["calls"] for each in rows}
    left_out = sum(every.values()) - sum(whole.values())
    return (whole, left_out) if left_out <= sum(whole.values()) else (every, 0)


def _read(rows: Sequence[Mapping[str, Any]]) -> Sampled:
    answers: list[Answer] = []
    prompts: dict[str, Prompt] = {}
    called: set[str] = set()
    lacking = facts = unread = 0
    room = FACTS_CHARS
    for row in rows:
        request = from_json(row["request"], Request)
        output = from_json(row["control"], Output) if row["control"] else None
        try:
            prompts.setdefault(row["request_hash"], prompt_of(request))
            if output is None or output.error is not None:
                continue
            asked = text_of(request)
            answer, counted = _answered(request, asked, output, row["control_output_tokens"], facts=room > 0)
            room -= len(asked or "") if counted else 0
        except Exception:
            # Whatever one call holds must not end the profile of all the rest.
            unread += 1
            continue
        called.update(each.name for each in output.tool_calls)
        answers.append(answer)
        if counted is not None:
            lacking, facts = lacking + counted[0], facts + counted[1]
    return Sampled(answers, constant_part(list(prompts.values())), len(called), lacking, facts, unread)


def _answered(
    request: Request, asked: str | None, output: Output, tokens: int | None, *, facts: bool
) -> tuple[Answer, tuple[int, int] | None]:
    """Return an answer as shapes are told by, and how many facts of it the request lacks, of how many."""
    short = output.text is not None and len(output.text) <= OVERLAP_CHARS
    close = overlap(output.text, asked) if short and output.text and asked else None
    counted = facts_beyond(output.text, request) if short and output.text and facts else None
    return Answer(output.text, output.tool_calls, tokens, close), counted


def _report(
    workspace: Workspace,
    row: Mapping[str, Any],
    template: Template | None,
    calls: int,
    volume: Amount | None,
    models: tuple[ModelUse, ...],
    spoken: dict[str, int],
    texts: Sampled,
    shape: Shape,
    checks: Any,
    small: Price | None,
) -> WorkloadReport:
    priced = [each for each in models if each.usd is not None and each.measured]
    left_out = tuple(
        each.model if each.measured else f"{each.model} (no token counts)"
        for each in models
        if each not in priced
    )
    answered = sum(each.weight for each in priced)
    per_call = _per_call(priced)
    share = answered / row["weight"] if row["weight"] else 0.0
    month = None
    if volume is not None and per_call is not None:
        month = product(volume.times(DAYS_PER_MONTH * share), per_call)
    saved = None
    is_counted = all(each.output_tokens is not None or not each.usd for each in priced)
    if month is not None and small is not None and volume is not None and is_counted:
        cheap = sum(each.weight * _at(each, small) for each in priced) / answered
        saved = max(month.point - volume.point * share * DAYS_PER_MONTH * cheap, 0.0)
    is_task = row["workload"] == row["task"] and row["task"] != UNASSIGNED
    prefix = min(texts.constant.prefix_chars / row["input_chars"], 1.0) if row["input_chars"] else 0.0
    return WorkloadReport(
        workload=row["workload"],
        name=row["task"] if is_task else template.name if template else UNASSIGNED,
        is_task=is_task,
        has_eval=is_task and row["task"] in workspace.evals,
        template=texts.constant.text,
        rule=template.rule if template else None,
        calls=row["calls"],
        share=row["calls"] / calls if calls else 0.0,
        calls_per_day=volume,
        first_at=row["first_at"],
        last_at=row["last_at"],
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        cached_share=row["cached_share"],
        constant_prefix_share=prefix,
        models=models,
        priced_share=share,
        left_out=left_out,
        usd_per_call=per_call,
        logged_usd=sum(each.calls * (each.plain_usd or 0.0) for each in priced) if per_call else None,
        usd_month=month,
        could_save_usd_month=saved,
        latency_p50_ms=row["latency_p50_ms"],
        latency_p95_ms=row["latency_p95_ms"],
        latency_p99_ms=row["latency_p99_ms"],
        latencies=row["latencies"],
        languages=spoken,
        turns_p50=row["turns_p50"] or 0.0,
        turns_max=row["turns_max"] or 0,
        multi_turn_share=row["multi_turn_share"] or 0.0,
        tool_share=row["tool_share"] or 0.0,
        duplicate_share=row["duplicate_share"],
        shape=shape,
        eval_kind=workspace.evals[row["task"]].kind if row["task"] in workspace.evals else shape.eval_kind,
        checks=checks,
        imputed=sum(each.calls - each.measured for each in priced),
        unread=texts.unread,
    )


def _per_call(priced: Sequence[ModelUse]) -> Amount | None:
    """Return the mean cost of a call over the priced models, each weighted by the calls it stands for."""
    whole = sum(each.weight for each in priced)
    if not whole:
        return None
    parts = [
        (each.weight / whole, mean_amount(each.usd or 0.0, each.usd_deviation, each.measured))
        for each in priced
    ]
    point = sum(weight * each.point for weight, each in parts)
    below = math.sqrt(sum((weight * (each.point - each.low)) ** 2 for weight, each in parts))
    above = math.sqrt(sum((weight * (each.high - each.point)) ** 2 for weight, each in parts))
    return Amount(point, max(point - below, 0.0), point + above)


def _at(use: ModelUse, price: Price) -> float:
    # A small model has no cache of the frontier's provider: all input counts in full.
    whole = (use.input_tokens or 0.0) + (use.cached_input_tokens or 0.0)
    return tokens_cost_usd(whole, 0.0, use.output_tokens or 0.0, price)
