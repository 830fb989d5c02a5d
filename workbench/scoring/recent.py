"""Which of the newer calls show what the traffic is now: those of the last week. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

import pandas as pd

RECENT = timedelta(days=7)
"""A weekday, or a night, is not taken for another traffic."""
RECENT_CALLS = 1_000
"""Calls at least: fewer show little, and hardly more sessions than content is compared by."""


def recent_begins(at: pd.Series[pd.Timestamp]) -> datetime | None:
    """Return when the newest calls begin, so that a late change is not lost among all that came before.

    They are those of the last seven days, and a thousand at least.

    Args:
        at: When each of the newer calls was made, UTC without a zone.

    Returns:
        The time of the first of them; None where they are all of the newer calls.
    """
    if len(at) <= RECENT_CALLS:
        return None
    ordered = at.sort_values()
    begins = min(ordered.iloc[-1] - RECENT, ordered.iloc[-RECENT_CALLS])
    if begins <= ordered.iloc[0]:
        return None
    found: datetime = ordered[ordered >= begins].iloc[0].to_pydatetime()
    return found
