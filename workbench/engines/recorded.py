"""Outputs made elsewhere, read from a file: no model runs, nothing is sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from workbench.config import Workspace
from workbench.engines.base import CallContext, failure
from workbench.engines.dialects import constraint_of, wants_structure
from workbench.engines.privacy import open_gate
from workbench.engines.replies import Asked, read_error, read_value
from workbench.errors import UsageError
from workbench.records import ErrorKind, Output, Rejected, Request
from workbench.specs import Candidate, EvalConfig

if TYPE_CHECKING:
    from workbench.formats.openai_batch import BatchReply

NEVER_SENT = {"batch_expired": ErrorKind.TIMEOUT}
"""What a batch says of requests that reached no model, as a kind; the rest is `other`."""

_CUSTOM_ID = re.compile(r'"custom_id"\s*:\s*("(?:[^"\\]|\\.)*")')


class Treatment(Protocol):
    """What redacts outputs for calls that were imported redacted."""

    def name(self, native_id: str) -> str:
        """Return an id as the import wrote it."""
        ...

    def output(self, call_id: str, output: Output) -> Output:
        """Return an output for a call."""
        ...


class RecordedEngine:
    """Answer from a file of outputs, joined on the calls' native ids.

    The output of a batch (OpenAI's, or `vllm run-batch`) is read as a live reply would
    be: errors by their status, confidence from log-probabilities, reasoning apart, and
    another model's answer refused.

    Args:
        workspace: Its folder is where `outputs` is looked for.
        candidate: Names the file, its format and the mapping of its columns.
        eval_config: The task's eval.

    Raises:
        UsageError: The file is not there, or holds no output.
    """

    name = "recorded"
    concurrency = 1
    final_failures = True
    """A failure stands in the file: asking again would change nothing."""

    def __init__(self, workspace: Workspace, candidate: Candidate, eval_config: EvalConfig) -> None:
        open_gate(candidate, eval_config)
        self._candidate = candidate
        self._eval = eval_config
        self._dialect = "vllm" if candidate.dialect == "auto" else candidate.dialect
        # Only then must the request say how an answer is read: labels may travel in JSON.
        self._by_request = (
            wants_structure(candidate) and eval_config.names_one_label and self._dialect != "vllm"
        )
        self._path = workspace.outputs_path(candidate)
        self._outputs: dict[str, Output] = {}
        self._replies: dict[str, BatchReply] = {}
        self._contradicted: set[str] = set()
        self.rejected = 0
        self._treatment: Treatment | None = None
        self._read()

    def _read(self) -> None:
        from workbench.formats import read_outputs, read_replies

        form, mapping = self._candidate.format, self._candidate.map or None
        first: Rejected | None = None
        replies = read_replies(self._path, form, mapping)
        if replies is None:
            for item in read_outputs(self._path, form, mapping):
                if isinstance(item, Rejected):
                    self.rejected += 1
                    first = first or item
                else:
                    self._take(*item)
        else:
            for line, reply in replies:
                if isinstance(reply, Rejected):
                    self.rejected += 1
                    first = first or reply
                    self._take_broken(line, reply)
                else:
                    self._take(reply.native_id, self._output(reply), reply)
        if not self._outputs:
            why = f" Line {first.line}: {first.reason}." if first else ""
            raise UsageError(
                f"{self._path} holds no output of candidate {self._candidate.name!r}.{why}",
                "Set `format` and `map` of the candidate, for example "
                'map = { id = "row", output = "answer" }.',
            )

    def _take(self, native_id: str, output: Output, reply: BatchReply | None = None) -> None:
        """Keep an output; of several for one call an answer counts before an error."""
        known = self._outputs.get(native_id)
        if known is None or (known.error and not output.error):
            self._outputs[native_id] = output
            if self._by_request and output.error is None and reply is not None:
                self._replies[native_id] = reply
        elif not output.error and (known.text, known.tool_calls) != (output.text, output.tool_calls):
            self._contradicted.add(native_id)

    def _take_broken(self, line: int, rejected: Rejected) -> None:
        """Tell a call whose line breaks off from one that has none."""
        found = _CUSTOM_ID.search(rejected.snippet)
        if found:
            native_id = msgspec.json.decode(found[1])
            message = f"line {line} of {self._path.name} can't be read: {rejected.reason}"
            self._take(native_id, failure(ErrorKind.INVALID_RESPONSE, message))

    def _output(self, reply: BatchReply, request: Request | None = None) -> Output:
        status, body, error = reply.status, reply.body, reply.error
        if status is None:
            code = error.get("code") if isinstance(error, Mapping) else None
            said = read_error(0, msgspec.json.encode(error)).error
            kind = NEVER_SENT.get(str(code), ErrorKind.OTHER)
            return failure(kind, said.message if said else "the batch holds no reply")
        if status >= 400:
            return read_error(status, msgspec.json.encode({"error": error}) if error else b"")
        if body is None:
            return failure(ErrorKind.INVALID_RESPONSE, "no response body", status)
        candidate = self._candidate
        if not candidate.model and not candidate.parameters.get("answers_as"):
            # No model is named, so none is a wrong one.
            candidate = replace(candidate, model=str(body.get("model")) if isinstance(body, dict) else None)
        wrapped = False
        if request is not None:
            wrapped = constraint_of(request, candidate, self._eval, self._dialect).wrapped
        return read_value(body, Asked(candidate, self._eval, request, wrapped), has_nan=reply.has_nan)

    @property
    def description(self) -> Mapping[str, Any]:
        """Return how many outputs the file holds, errors among them, and how many lines can't be read."""
        return {
            "outputs": len(self._outputs),
            "rejected_lines": self.rejected,
            "errors": sum(each.error is not None for each in self._outputs.values()),
        }

    async def check(self) -> None:
        """Have nothing to check: the file was read."""

    def treat(self, treatment: Treatment) -> None:
        """Redact from now on what belongs to redacted calls, and find them by the ids that they have now."""
        self._treatment = treatment
        self._outputs |= {treatment.name(name): item for name, item in self._outputs.items()}
        self._replies |= {treatment.name(name): item for name, item in self._replies.items()}
        self._contradicted |= {treatment.name(name) for name in self._contradicted}

    def require_any(self, native_ids: Iterable[str]) -> None:
        """Refuse a file that joins with none of the calls, or holds nothing but refusals for them.

        Args:
            native_ids: What a line may name a call by: the log's id, or the store's.

        Raises:
            UsageError: No id of the file is that of a call, or no such line holds an answer.
        """
        wanted = list(native_ids)
        joined = [self._outputs[each] for each in wanted if each in self._outputs]
        if wanted and not joined:
            raise UsageError(
                f"{self._path}: none of its {len(self._outputs):,} ids belongs to a call of the sample; "
                f"the file has {next(iter(self._outputs))!r}, the calls have {wanted[0]!r}.",
                "Set map.id of the candidate to the column that holds the calls' ids.",
            )
        errors = [each.error for each in joined if each.error is not None]
        refused = [each for each in errors if each.kind is ErrorKind.HTTP]
        if wanted and len(refused) == len(joined):
            raise UsageError(
                f"{self._path}: all {len(joined):,} of its lines for this sample are errors, "
                f"status {refused[0].status}: {refused[0].message}",
                "Nothing was recorded. Run the batch again: `model` of the candidate must be the name "
                "that the server answers to (--served-model-name).",
            )

    async def complete(self, request: Request, context: CallContext) -> Output:
        """Return the call's output; a call the file lacks is an error of kind `missing`."""
        context.attempts = 1
        key = context.call_id if context.call_id in self._outputs else context.native_id
        if key in self._contradicted:
            return failure(
                ErrorKind.INVALID_RESPONSE, f"{self._path.name} holds two different outputs for this call"
            )
        found = self._outputs.get(key)
        if found is None:
            return failure(
                ErrorKind.MISSING,
                f"{self._path.name} holds no line for this call: whoever made it stopped before, or was "
                "not given it",
            )
        if key in self._replies:
            found = self._output(self._replies[key], request)
        return found if self._treatment is None else self._treatment.output(context.call_id, found)

    async def close(self) -> None:
        """Forget the outputs."""
        self._outputs.clear()
        self._replies.clear()
