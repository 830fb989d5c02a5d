"""Two replays side by side: agreement, times, money, errors, over the calls that both of them asked."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from workbench.replay import ReplayStatus
from workbench.scoring.replay_pairs import ReplayPair, ReplaySide, replay_pair
from workbench.specs import CONTROL
from workbench.ui import address, exports, words
from workbench.ui.diff import visible
from workbench.ui.heights import metric, metrics, table_px
from workbench.ui.session import ask

NONE = "none"


def show(statuses: list[ReplayStatus]) -> None:
    """Let a person set two replays of one task side by side; the address carries which.

    Args:
        statuses: Every replay, newest first.
    """
    usable = [each for each in statuses if each.done and each.candidate != CONTROL]
    by_task = {task: [e for e in usable if e.task == task] for task in dict.fromkeys(e.task for e in usable)}
    offered = {each.replay_id: each for mine in by_task.values() if len(mine) > 1 for each in mine}
    if not offered:
        return
    st.header("Compare two replays", anchor=False)
    names = {key: _named(each) for key, each in offered.items()}
    left, right = st.columns(2)
    first = address.select(
        "First", [NONE, *offered], name="first", labels={NONE: "choose one"} | names, place=left
    )
    others = [
        key
        for key, each in offered.items()
        if first != NONE and key != first and each.task == offered[first].task
    ]
    second = address.select(
        "Second", [NONE, *others], name="second", labels={NONE: "choose one"} | names, place=right
    )
    if first == NONE or second == NONE:
        st.caption("Both of one task, by when they began (UTC). Only calls that both asked are compared.")
        return
    _pair(ask(replay_pair, first, second))


def _named(each: ReplayStatus) -> str:
    """Name a replay, what tells it from another run of the same candidate first: the end may be cut off."""
    return visible(
        f"{each.created_at:%Y-%m-%d %H:%M:%S} · {each.candidate} · {each.task} · {each.done:,} answered"
    )


def _pair(found: ReplayPair) -> None:
    st.text(visible(f"{found.sentence} {found.lost_sentence}"))
    if not found.shared:
        return
    frame = pd.DataFrame(
        [
            ("Agree with the frontier", *(_agreement(each) for each in (found.first, found.second))),
            ("Latency p50", *(_ms(each.p50_ms) for each in (found.first, found.second))),
            ("Latency p95", *(_ms(each.p95_ms) for each in (found.first, found.second))),
            ("Cost of a call", *(words.money(each.usd_per_call) for each in (found.first, found.second))),
            ("Errors", *(words.count(each.failed) for each in (found.first, found.second))),
        ],
        columns=["", *_columns(found)],
    )
    st.dataframe(
        frame,
        hide_index=True,
        lazy=False,
        height=table_px(len(frame)),
        width=720,
        alt="; ".join(" | ".join(map(str, row)) for row in frame.itertuples(index=False)),
    )
    with metrics("pair-outcomes"):
        for label, n in (
            ("Both agree", found.both),
            ("First alone", found.first_alone),
            ("Second alone", found.second_alone),
            ("Neither", found.neither),
        ):
            metric(label, words.count(n))
        gap = found.difference
        if gap.point is not None:
            limits = f"{words.percent(gap.low)} to {words.percent(gap.high)}"
            metric(
                "First minus second",
                f"{words.percent(gap.point)} ({limits})",
                help="Paired, for one look; the limits together are as sure as the policy asks.",
            )
    st.caption("Latencies are those of a replay, which asks as fast as the server answers: no production's.")
    exports.offer(
        "replay-pair",
        task=found.task,
        filters={"first": found.first.replay_id, "second": found.second.replay_id},
    )


def _columns(found: ReplayPair) -> list[str]:
    names = [visible(each.candidate) for each in (found.first, found.second)]
    return [f"{name} ({place})" for name, place in zip(names, ("first", "second"), strict=True)]


def _agreement(side: ReplaySide) -> str:
    return "not compared" if side.agreement.point is None else words.interval(side.agreement)


def _ms(value: float | None) -> str:
    return "not recorded" if value is None else f"{value:,.0f}{words.NARROW}ms"
