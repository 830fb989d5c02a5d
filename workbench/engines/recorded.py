"""Outputs made elsewhere, read from a file: no model runs, nothing is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from workbench.config import Workspace
from workbench.engines.base import CallContext, failure
from workbench.engines.privacy import open_gate
from workbench.errors import UsageError
from workbench.records import ErrorKind, Output, Rejected, Request
from workbench.specs import Candidate, EvalConfig


class RecordedEngine:
    """Answer from a file of outputs, joined on the calls' native ids.

    Args:
        workspace: Its folder is where `outputs` is looked for.
        candidate: Names the file, its format and the mapping of its columns.
        eval_config: The task's eval.

    Raises:
        UsageError: The file is not there, or holds no output.
    """

    name = "recorded"
    concurrency = 1

    def __init__(self, workspace: Workspace, candidate: Candidate, eval_config: EvalConfig) -> None:
        open_gate(candidate, eval_config)
        self._candidate = candidate
        self._path = workspace.outputs_path(candidate)
        self._outputs: dict[str, Output] = {}
        self._contradicted: set[str] = set()
        self.rejected = 0
        self._read()

    def _read(self) -> None:
        from workbench.formats import read_outputs

        first: Rejected | None = None
        for item in read_outputs(self._path, self._candidate.format, self._candidate.map or None):
            if isinstance(item, Rejected):
                self.rejected += 1
                first = first or item
                continue
            native_id, output = item
            known = self._outputs.setdefault(native_id, output)
            if known is not output and known != output:
                self._contradicted.add(native_id)
        if not self._outputs:
            why = f" Line {first.line}: {first.reason}." if first else ""
            raise UsageError(
                f"{self._path} holds no output of candidate {self._candidate.name!r}.{why}",
                "Set `format` and `map` of the candidate, for example "
                'map = { id = "row", output = "answer" }.',
            )

    @property
    def description(self) -> Mapping[str, Any]:
        """Return how many outputs the file holds."""
        return {"outputs": len(self._outputs), "rejected_lines": self.rejected}

    async def check(self) -> None:
        """Have nothing to check: the file was read."""

    def require_any(self, native_ids: Iterable[str]) -> None:
        """Refuse a file that joins with none of the calls.

        Raises:
            UsageError: No id of the file is the native id of a call.
        """
        wanted = list(native_ids)
        if wanted and not any(each in self._outputs for each in wanted):
            raise UsageError(
                f"{self._path}: none of its {len(self._outputs):,} ids belongs to a call of the sample; "
                f"the file has {next(iter(self._outputs))!r}, the calls have {wanted[0]!r}.",
                "Set map.id of the candidate to the column that holds the calls' ids.",
            )

    async def complete(self, request: Request, context: CallContext) -> Output:
        """Return the call's output; a call the file lacks is an error of kind `missing`."""
        context.attempts = 1
        if context.native_id in self._contradicted:
            return failure(
                ErrorKind.INVALID_RESPONSE, f"{self._path.name} holds two different outputs for this call"
            )
        found = self._outputs.get(context.native_id)
        if found is None:
            return failure(ErrorKind.MISSING, f"{self._path.name} holds no output for this call")
        return found

    async def close(self) -> None:
        """Forget the outputs."""
        self._outputs.clear()
