"""NVIDIA data flywheel records: request and response with workload and client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.formats.base import Parsed
from workbench.formats.pairs import parse_pair

_OWN = frozenset(("request", "response", "timestamp", "metadata", "id"))


class Flywheel:
    """`{"timestamp", "workload_id", "client_id", "request", "response"}`."""

    name = "nvidia_flywheel"
    title = "NVIDIA data flywheel records"

    def recognise(self, value: Mapping[str, Any]) -> str | None:
        """Say whether a record names a workload beside its request."""
        return "workload_id and request" if "workload_id" in value and "request" in value else None

    def parse(self, value: Mapping[str, Any]) -> Sequence[Parsed]:
        """Read one record; its workload is its task.

        Raises:
            Unreadable: There is no request, or one of the two is not in shape.
        """
        workload = value.get("workload_id")
        task = {"task": workload} if isinstance(workload, str) else {}
        return parse_pair({**value, **task}, value.get("request"), value.get("response"), own=_OWN)
