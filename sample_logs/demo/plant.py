"""Make the planted candidate: the recorded answers again, with a known share of harm put in.

Nothing here is the answer of a model. Of the calls whose recorded answer can be compared, exactly `RATES` get a harmful
change; many others get a change that must not count (spelling, order of keys, other words, same meaning).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from random import Random
from typing import Any

RATES = {"support_triage": 0.025, "order_fields": 0.03, "message_rewriting": 0.10}
"""Share of the comparable calls of a task whose answer is made worse."""

REWORDED_NOTES = 14
"""Order answers whose delivery note says the same in other words: they disagree and harm nobody."""

LABELS = ("billing", "technical", "account", "other")


def plant(lines: Sequence[Any]) -> list[dict[str, Any]]:
    """Return for each line of one task its planted answer, the truth about it, and whether it is labelled."""
    task = lines[0].task
    comparable = [each for each in lines if each.comparable]
    ranked = sorted(comparable, key=lambda each: key("harm", each.id))
    harmed = {each.id: place for place, each in enumerate(ranked[: round(RATES[task] * len(comparable))])}
    noted = [each for each in ranked if each.id not in harmed and each.facts.get("reworded")]
    reworded = {each.id for each in noted[:REWORDED_NOTES]}
    rows = []
    for line in lines:
        random = Random(f"planted|{line.id}")
        answer, kind = _answer(random, line, harmed.get(line.id), line.id in reworded)
        planted = "harm" if line.id in harmed else "harmless" if kind else "none"
        truth = {"id": line.id, "task": task, "planted": planted, "kind": kind, "comparable": line.comparable}
        label = task == "order_fields" and (line.id in harmed or line.id in reworded)
        rows.append({"id": line.id, "output": answer, "truth": truth, "label": label})
    return rows


def key(purpose: str, native_id: str) -> str:
    """Return a hash that orders calls without regard to their content."""
    return hashlib.sha256(f"{purpose}|{native_id}".encode()).hexdigest()


def _answer(random: Random, line: Any, harm: int | None, reworded: bool) -> tuple[str, str]:
    if line.task == "support_triage":
        text, kind = _label(random, line.facts["label"], harm)
    elif line.task == "order_fields":
        text, kind = _fields(random, line, harm, reworded)
    else:
        text, kind = _rewrite(random, line, harm)
    return text, kind


def _label(random: Random, label: str, harm: int | None) -> tuple[str, str]:
    if harm is not None:
        others = [each for each in LABELS if each != label]
        return others[int(random.random() * len(others))], "wrong_label"
    if random.random() < 0.25:
        spelled = (label.title(), label.upper(), f"{label}.", f" {label}\n")
        return spelled[int(random.random() * len(spelled))], "spelling"
    return label, ""


def _fields(random: Random, line: Any, harm: int | None, reworded: bool) -> tuple[str, str]:
    fields = json.loads(json.dumps(line.facts["fields"]))
    kind = ""
    if harm is not None and harm % 2:
        item = fields["items"][int(random.random() * len(fields["items"]))]
        item["quantity"] += 1 if item["quantity"] == 1 else -1
        kind = "wrong_quantity"
    elif harm is not None:
        fields["total"] = round(fields["total"] * 1.1 + 10, 2)
        kind = "wrong_total"
    elif reworded:
        fields["delivery_note"] = line.facts["reworded"]
        kind = "reworded_note"
    style = random.random()
    if style < 0.15:
        fields = dict(sorted(fields.items()))
        return json.dumps(fields, ensure_ascii=False), kind or "key_order"
    if style < 0.30:
        return json.dumps(fields, ensure_ascii=False, indent=2), kind or "spacing"
    if style < 0.38:
        fields["total"] = f"{fields['total']:.2f}"
        return json.dumps(fields, ensure_ascii=False), kind or "number_as_text"
    if style < 0.44:
        return f"```json\n{json.dumps(fields, ensure_ascii=False)}\n```", kind or "fenced"
    return json.dumps(fields, ensure_ascii=False), kind


def _rewrite(random: Random, line: Any, harm: int | None) -> tuple[str, str]:
    facts = line.facts
    if harm is not None:
        kinds = [each for each in ("negation", "number") if each in facts]
        kind = kinds[harm % len(kinds)]
        return facts[kind], {"negation": "negation_dropped", "number": "number_changed"}[kind]
    if random.random() < 0.2:
        return facts["rewrite"], ""
    return facts["paraphrase"], "paraphrase"
