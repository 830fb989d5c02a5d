"""Replays: send a task's recorded requests to a candidate, in shadow."""

from workbench.replay.report import ReplayReport, ReplayStatus, status
from workbench.replay.run import replay, replay_all

__all__ = ["ReplayReport", "ReplayStatus", "replay", "replay_all", "status"]
