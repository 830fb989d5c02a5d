"""What recorded answers cost by model, as SQL: one rule for the profile, the costs and the overview."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.costing.pricing import ModelPrice
from workbench.records import BATCH_PRICE

PRICES = """
    prices AS (
        SELECT unnest($models::VARCHAR[]) AS model, unnest($inputs::DOUBLE[]) AS pi,
               unnest($cached::DOUBLE[]) AS pc, unnest($outputs::DOUBLE[]) AS po,
               unnest($discounts::DOUBLE[]) AS discount
    )
"""
"""The price table, of `price_parameters`."""

# What `costing.pricing.entry_for` says: a snapshot without a price of its own has that of its model.
_PRICE_ENTRY = r"""
CASE WHEN model IN (SELECT model FROM prices) THEN model
     WHEN try_strptime(replace(regexp_extract(model, '.[-@](20\d\d-?\d\d-?\d\d)$', 1), '-', ''), '%Y%m%d')
          IS NOT NULL
     THEN regexp_extract(model, '^(.+)[-@]20\d\d-?\d\d-?\d\d$', 1)
     ELSE model END
"""


def cached_tokens(output: str) -> str:
    """Return SQL for the cached input tokens that a stored answer names; NULL where it names none.

    Most answers say `null`, which is seen without parsing them: in a text within, quotes stand escaped,
    and no tool is called with the neighbours of `Usage`.

    Args:
        output: The column that holds an `Output` as JSON. A constant.
    """
    return f"""CASE WHEN NOT contains({output}, '"cached_input_tokens":null,"output_tokens":')
        THEN TRY_CAST(json_extract_string({output}, '$.usage.cached_input_tokens') AS BIGINT) END"""


def logged_cost(output: str) -> str:
    """Return SQL for what the log says that a stored answer cost, in US dollars; NULL where it says nothing.

    Args:
        output: The column that holds an `Output` as JSON. A constant.
    """
    return f"""CASE WHEN contains({output}, '"cost_usd":') AND NOT contains({output}, '"cost_usd":null')
        THEN TRY_CAST(json_extract_string({output}, '$.usage.cost_usd') AS DOUBLE) END"""


def at_batch_price(marks: str) -> str:
    """Return SQL that tells whether an answer was billed as one of a batch.

    Args:
        marks: The column that holds its marks. A constant.
    """
    return f"list_contains({marks}, '{BATCH_PRICE}')"


def by_model(found: str) -> str:
    """Return common table expressions that end in `by_model`: what calls cost, by workload and model.

    A failed call that names no input tokens costs nothing, as the import's report has it. An answered
    one without tokens costs what its model's other answers cost on average. What was asked in a batch
    costs less by the price's discount. Where the table has no price, the cost that the log tells counts.

    Args:
        found: A common table expression before it, beside `PRICES`: workload, model, error_kind, the
            tokens i (input), c (cached input) and o (output) of each call, logged (`logged_cost`), batched
            (`at_batch_price`) and w, the calls it stands for. A constant.

    Returns:
        `by_model` has workload, model, calls, measured (calls whose cost is known: those with tokens and
        those that cost nothing; 0 where no answer has tokens), mean tokens of a call (input_tokens,
        cached_input_tokens, output_tokens), usd (mean of a call) and usd_deviation; usd is None without
        a price and a logged cost. Means weigh each call by w, whose sum is weight; plain_usd is the mean
        that does not. usd_deviation over the root of measured is the standard error of the weighted mean, as
        linearised of a ratio of two sums (Cochran, Sampling Techniques, 1977, chapter 6). as_logged counts
        calls that cost what the log says, and batched_share is the share of the others' list price that was
        billed as a batch, 0..1.
    """
    return f"""
        entries AS (SELECT model, {_PRICE_ENTRY} AS entry FROM (SELECT DISTINCT model FROM {found})),
        costed AS (
            SELECT f.workload, f.model, w, f.error_kind IS NOT NULL AND i IS NULL AND logged IS NULL AS free,
                   i, c, o, (i * pi + c * pc + o * po) / 1e6 AS list, batched, pi IS NOT NULL AS has_price,
                   coalesce(list * (1 - if(batched, discount, 0)), logged) AS usd
            FROM {found} f JOIN entries e ON e.model = f.model LEFT JOIN prices p ON p.model = e.entry
        ),
        summed AS (
            SELECT workload, model, count(*) AS calls, count(*) FILTER (free) AS nothing, sum(w) AS weight,
                   CASE WHEN count(usd) > 0 THEN count(usd) ELSE count(i + o) END AS counted,
                   1 - coalesce(sum(w) FILTER (free), 0) / sum(w) AS paid,
                   {_mean("i", "o IS NOT NULL")} AS i, {_mean("c", "i IS NOT NULL AND o IS NOT NULL")} AS c,
                   {_mean("o", "i IS NOT NULL")} AS o, bool_and(has_price) AS has_price,
                   {_mean("usd")} AS usd, avg(usd) AS plain, 1 - nothing / calls AS plain_paid,
                   CASE WHEN min(w) = max(w) THEN var_pop(usd)
                        ELSE greatest(sum(w * w * usd * usd) - 2 * {_mean("usd")} * sum(w * w * usd)
                             + {_mean("usd")} ** 2 * sum(w * w) FILTER (usd IS NOT NULL), 0)
                             * count(usd) / (sum(w) FILTER (usd IS NOT NULL)) ** 2 END AS variance,
                   (paid ** 2 * coalesce(sum(w * w) FILTER (free), 0)
                    + (1 - paid) ** 2 * coalesce(sum(w * w) FILTER (NOT free), 0))
                   * calls / sum(w) ** 2 AS mixing,
                   count(*) FILTER (list IS NULL AND usd IS NOT NULL) AS as_logged,
                   coalesce(sum(w * list) FILTER (batched) / nullif(sum(w * list), 0), 0) AS batched_share
            FROM costed GROUP BY workload, model
        ),
        by_model AS (
            SELECT workload, model, calls, weight,
                   CASE WHEN counted = 0 AND nothing < calls THEN 0 ELSE counted + nothing END AS measured,
                   i * paid AS input_tokens, c * paid AS cached_input_tokens, o * paid AS output_tokens,
                   coalesce(usd * paid, CASE WHEN has_price AND nothing = calls THEN 0 END) AS usd,
                   plain * plain_paid AS plain_usd,
                   -- Of a mixture: what a call costs if it costs something, and whether it does.
                   coalesce(sqrt((paid * variance + mixing * usd * usd)
                                 * (counted + nothing) / nullif(counted + nothing - 1, 0)), 0)
                       AS usd_deviation,
                   as_logged, batched_share
            FROM summed
        )
    """  # noqa: S608 -- constants


def _mean(value: str, known: str = "TRUE") -> str:
    """Return SQL for the mean of a value over the calls that rows stand for, where it is known."""
    return f"(sum(w * {value}) FILTER ({known}) / sum(w) FILTER ({value} IS NOT NULL AND {known}))"


def price_parameters(prices: Sequence[ModelPrice]) -> dict[str, Any]:
    """Return the values that `PRICES` is asked with.

    Args:
        prices: The newest price of each model.
    """
    return {
        "models": [each[0] for each in prices],
        "inputs": [each[1] for each in prices],
        "cached": [each[2] for each in prices],
        "outputs": [each[3] for each in prices],
        "discounts": [each[4] for each in prices],
    }
