"""What `workbench judge` tells people."""

from __future__ import annotations

from dataclasses import dataclass, field

from workbench.replay.report import duration
from workbench.scoring.judging import JudgeResults
from workbench.stats.wording import count


@dataclass(frozen=True, slots=True)
class JudgeReport:
    """What one `judge` did, and what the judge has said so far.

    `pairs` may be judged, `planned` of them are asked by this command and earlier ones, `judged` are, in
    both orders; `labelled` of `planned` have a label by a person. `answered` votes came in this run, two
    a pair, and `failed` of these are no vote. `state` is finished, paused (a budget is used up, or most
    verdicts can't be used), incomplete, or planned (a dry run). `results` is None before the first verdict.
    """

    task: str
    candidate: str
    judge: str
    model: str | None
    fingerprint: str
    prompt_version: str
    state: str
    pairs: int
    planned: int
    judged: int
    labelled: int
    answered: int = 0
    failed: int = 0
    requests: int = 0
    cost_usd: float | None = None
    seconds: float = 0.0
    retried: dict[str, int] = field(default_factory=dict)
    dry_run: bool = False
    estimated_input_tokens: int | None = None
    estimated_cost_usd: float | None = None
    results: JudgeResults | None = None
    exit_code: int = 0
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Return the report as a person reads it."""
        head = f"{self.task} / {self.candidate}, judge {self.judge}"
        if self.dry_run:
            cost = "" if self.estimated_cost_usd is None else f", about {self.estimated_cost_usd:.2g} USD"
            lines = [
                f"{head}: {count(self.requests)} requests would be sent for "
                f"{count(self.planned - self.judged)} pairs, each in both orders; nothing was sent.",
                f"Tokens: about {count(self.estimated_input_tokens or 0)} in{cost}.",
            ]
        else:
            lines = [f"{head}: {count(self.judged)} of {count(self.planned)} pairs judged, {self.state}."]
            if self.answered:
                bad = f", {count(self.failed)} of them no vote" if self.failed else ""
                lines.append(f"This run: {count(self.answered)} votes in {duration(self.seconds)}{bad}.")
            elif self.state == "finished":
                lines.append("There was nothing left to ask.")
            if self.cost_usd is not None:
                lines.append(f"Cost: {self.cost_usd:.4f} USD.")
        if self.results is not None:
            lines += self.results.lines
        return "\n  ".join([*lines, *self.notes])
