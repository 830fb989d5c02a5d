"""What traffic costs now, and what it would cost otherwise. Pure; prices come from the workspace.

A model without a price has no cost: it comes back as None and is named as left out, never as 0.
"""

from workbench.costing.plan import CostPlan, Gpu, SelfHosted
from workbench.costing.savings import DAYS_PER_MONTH, Savings, cost_usd, monthly_savings, tokens_cost_usd

__all__ = [
    "DAYS_PER_MONTH",
    "CostPlan",
    "Gpu",
    "Savings",
    "SelfHosted",
    "cost_usd",
    "monthly_savings",
    "tokens_cost_usd",
]
