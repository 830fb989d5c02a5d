"""Write the demo logs: three invented tasks of an invented shop, from hand-written sentence parts.

    python sample_logs/demo/make_demo.py            rewrite the files beside this script
    python sample_logs/demo/make_demo.py --out DIR  write them somewhere else

Standard library only, seeded: the same parts always give the same bytes.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from plant import plant
from shop import (
    DAYS,
    FIRST_DAY,
    HOUR_WEIGHTS,
    LABELS,
    LANGUAGES,
    LOOKUP_ANSWERS,
    LOOKUP_TOOL,
    MODEL,
    MONTHS,
    ORDER_FORMAT,
    ORDER_PROMPT,
    PRODUCTS,
    REFUSAL,
    REWRITE_PROMPT,
    SHORT_MESSAGES,
    SKUS,
    TENANTS,
    TRIAGE_PROMPT,
    WEEKDAY_WEIGHTS,
)

T = TypeVar("T")

HERE = Path(__file__).parent

@dataclass(frozen=True)
class Line:
    """One log line, with what the planting needs to know of it."""

    task: str
    id: str
    data: dict[str, Any]
    comparable: bool
    facts: dict[str, Any]


def pick(random: Random, options: Sequence[T]) -> T:
    """Choose one; built on `random()` alone, whose sequence Python keeps stable."""
    return options[int(random.random() * len(options))]


def weighted(random: Random, weights: Sequence[float]) -> int:
    """Choose an index in proportion to its weight."""
    left = random.random() * sum(weights)
    for index, weight in enumerate(weights):
        left -= weight
        if left < 0:
            return index
    return len(weights) - 1


def moment(random: Random) -> datetime:
    """Draw a time in the four weeks: busy weekday mornings, quiet nights and weekends."""
    day = weighted(random, [WEEKDAY_WEIGHTS[i % 7] for i in range(DAYS)])
    hour = weighted(random, HOUR_WEIGHTS)
    start = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, hour, tzinfo=UTC)
    return start + timedelta(days=day, seconds=int(random.random() * 3600))


def amount(language: str, value: float) -> str:
    """Write a sum of money the way the language writes numbers."""
    if language == "ja":
        return f"{round(value * 160):,}"
    text = f"{value:,.2f}"
    if language == "en":
        return text
    return text.replace(",", " " if language == "fr" else "_").replace(".", ",").replace("_", ".")


def tokens(text: str) -> int:
    """Estimate tokens: four characters each in Latin script, about one and a half elsewhere."""
    wide = sum(1 for sign in text if ord(sign) > 0x2E80)
    return max(1, round(wide / 1.5 + (len(text) - wide) / 4))


def capital(text: str) -> str:
    """Raise the first letter, also behind an opening question mark."""
    for index, sign in enumerate(text):
        if sign == "{":
            break
        if sign.isalpha():
            return text[:index] + sign.upper() + text[index + 1 :]
    return text


def join(language: str, parts: Sequence[str], glue: str = " ") -> str:
    """Put sentences together; Japanese takes no spaces."""
    text = ""
    for part in (each for each in parts if each):
        start = not text or text.rstrip()[-1] in ".!?:。"
        text += (("" if language == "ja" else glue) if text else "") + (capital(part) if start else part)
    return text


def slots(random: Random, language: str, part: dict[str, Any]) -> dict[str, Any]:
    """Draw what fills the gaps of a sentence."""
    value = pick(random, (9.99, 12.5, 19.9, 24.9, 39.0, 59.9, 129.0, 240.75))
    other = round(value * 10 if value < 20 else value + 30, 2)
    money = pick(random, part["money"])
    n = pick(random, (3, 5, 7, 10, 14, 20, 30))
    k = pick(random, (2, 3, 4))
    return {
        "product": pick(random, PRODUCTS), "day": pick(random, part["weekdays"]), "order": order_number(random),
        "money": money.format(amount(language, value)), "amount": money.format(amount(language, value)),
        "amount2": money.format(amount(language, other)), "n": n, "m": n * 2 + 1, "k": k, "k2": k + 2,
        "pct": pick(random, (12, 37, 48, 63, 81, 99)),
    }  # fmt: skip


def order_number(random: Random) -> str:
    """Draw an order number of the invented shop."""
    return f"HH-{10000 + int(random.random() * 89999)}"


def response_of(
    random: Random, at: datetime, native_id: str, messages: list[dict[str, Any]],
    message: dict[str, Any], finish: str, extra_input: str = "",
) -> tuple[dict[str, Any], int]:  # fmt: skip
    """Return the response body and its latency in milliseconds."""
    prompt = tokens(json.dumps(messages, ensure_ascii=False) + extra_input)
    answer = (message.get("content") or message.get("refusal") or "") + json.dumps(message.get("tool_calls") or "")
    output = tokens(answer)
    cached = 64 * (prompt // 128) if random.random() < 0.4 else 0
    latency = 260 + 140 * random.random() + output * (9 + 5 * random.random())
    if random.random() < 0.03:
        latency *= 3 + 4 * random.random()
    body = {
        "id": native_id,
        "object": "chat.completion",
        "created": int(at.timestamp()),
        "model": MODEL,
        "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": output,
            "total_tokens": prompt + output,
            "prompt_tokens_details": {"cached_tokens": cached},
        },
    }
    return body, round(latency)


class Writer:
    """Collects the lines of one task and gives each its id, its metadata and its oddity."""

    def __init__(self, task: str) -> None:
        self.task = task
        self.lines: list[Line] = []

    def add(
        self, random: Random, at: datetime, language: str, session: str, request: dict[str, Any], answer: Any,
        facts: dict[str, Any], oddity: str = "", channel: str = "",
    ) -> None:  # fmt: skip
        """Append one call. `oddity` is empty, error, truncated or refusal."""
        digest = hashlib.sha256(f"{self.task}|{len(self.lines)}".encode()).hexdigest()[:20]
        native_id = f"chatcmpl-demo-{digest}"
        request = {"model": MODEL, **request, "temperature": 0}
        finish = "stop"
        message: dict[str, Any] = {"content": answer, "refusal": None}
        if isinstance(answer, dict):
            message, finish = {"content": None, "refusal": None, "tool_calls": [answer]}, "tool_calls"
        if oddity == "truncated":
            message, finish = {"content": facts.get("cut", answer), "refusal": None}, "length"
        elif oddity == "refusal":
            message = {"content": None, "refusal": REFUSAL}
        body, latency = response_of(
            random, at, native_id, request["messages"], message, finish, json.dumps(request.get("tools", ""))
        )
        if oddity == "error":
            body = {
                "id": native_id,
                "created": int(at.timestamp()),
                "model": MODEL,
                "error": {"type": "server_error", "code": 503, "message": "The model is overloaded. Try again later."},
            }
        metadata = {
            "demo": True,
            "session_id": session,
            "tenant": pick(random, TENANTS[language]),
            "channel": channel or pick(random, ("email", "email", "chat", "app")),
        }
        data = {"request": request, "response": body, "latency_ms": latency, "metadata": metadata}
        comparable = not oddity and finish == "stop"  # a tool call is no answer to the task's question
        self.lines.append(Line(self.task, native_id, data, comparable, {"language": language, **facts}))


def chat(system: str, *turns: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the messages of a request."""
    return [{"role": "system", "content": system}, *turns]


def user(text: str) -> dict[str, Any]:
    """Return one user turn."""
    return {"role": "user", "content": text}


def triage(parts: dict[str, Any]) -> list[Line]:
    """Write the calls that sort messages: sessions of one to four turns, some with a tool call."""
    random, writer, seen = Random("support_triage"), Writer("support_triage"), set[str]()
    plan: list[tuple[datetime, str, str | int]] = []
    for language, left in zip(LANGUAGES, (146, 72, 56, 46, 32), strict=True):
        while left:
            turns = min(left, 1 + weighted(random, (0.62, 0.24, 0.10, 0.04)))
            plan.append((moment(random), language, turns))
            left -= turns
    plan += [(moment(random), pick(random, ("en", "en", "de", "fr", "es", "ja")), "lookup") for _ in LOOKUP_ANSWERS]
    plan += [(moment(random), language, text) for language, text, times in SHORT_MESSAGES for _ in range(times)]
    lookups = iter(LOOKUP_ANSWERS)
    for number, (start, language, what) in enumerate(sorted(plan, key=lambda each: each[0])):
        session = f"s-{number:04d}"
        if what == "lookup":
            _lookup(random, writer, start, language, session, parts[language], next(lookups))
        elif isinstance(what, str):
            request = {"messages": chat(TRIAGE_PROMPT, user(what)), "max_tokens": 8}
            writer.add(random, start, language, session, request, "other", {"label": "other"}, channel="chat")
        else:
            _conversation(random, writer, start, language, session, parts[language], seen, what)
    return writer.lines


def _conversation(
    random: Random, writer: Writer, at: datetime, language: str, session: str, part: dict[str, Any], seen: set[str],
    count: int,
) -> None:  # fmt: skip
    turns: list[dict[str, Any]] = []
    for turn in range(count):
        label = LABELS[weighted(random, (0.30, 0.32, 0.22, 0.16))]
        text = fresh(seen, lambda label=label, turn=turn: _message(random, language, part["triage"], label, turn, part))
        turns.append(user(text))
        request = {"messages": chat(TRIAGE_PROMPT, *turns), "max_tokens": 8}
        oddity = {17: "refusal", 45: "truncated", 75: "error"}.get(len(writer.lines) % 186, "")
        answer = label if random.random() > 0.06 else pick(random, (label.title(), label + "."))
        facts = {"label": label, "cut": "The last message is about a problem"}
        writer.add(random, at, language, session, request, answer, facts, oddity)
        turns.append({"role": "assistant", "content": label})
        at += timedelta(seconds=90 + int(random.random() * 1500))


def _message(
    random: Random, language: str, triage_part: dict[str, Any], label: str, turn: int, part: dict[str, Any]
) -> str:
    filled = slots(random, language, part)
    block = triage_part[label]
    opening = pick(random, triage_part["followups" if turn else "openings"])
    detail = pick(random, block["details"]) if random.random() < 0.35 else ""
    closing = "" if turn else pick(random, triage_part["closings"])
    core = pick(random, block["cores"])
    body = join(language, [core, detail])
    if opening:
        line = (language in ("en", "es") and not turn) or (language != "ja" and random.random() < 0.4)
        if opening.endswith(","):
            body = core[0] + body[1:]  # a comma keeps the case the part was written in
        body = opening + ("\n" if line else "" if language == "ja" else " ") + body
    if closing:
        body += ("\n" if random.random() < 0.4 and language != "ja" else "" if language == "ja" else " ") + closing
    text = body.format(**filled)
    return text.lower().replace("hh-", "HH-") if language == "en" and random.random() < 0.06 else text


def _lookup(
    random: Random, writer: Writer, at: datetime, language: str, session: str, part: dict[str, Any],
    outcome: tuple[str, dict[str, str]],
) -> None:  # fmt: skip
    label, status = outcome
    order = order_number(random)
    first = user(pick(random, part["triage"]["lookup"]).format(order=order, day=pick(random, part["weekdays"])))
    number = f"call_demo_{session[2:]}"
    arguments = json.dumps({"order_id": order})
    tool_call = {"id": number, "type": "function", "function": {"name": "lookup_order", "arguments": arguments}}
    base = {"tools": [LOOKUP_TOOL], "max_tokens": 40}
    request = {"messages": chat(TRIAGE_PROMPT, first), **base}
    writer.add(random, at, language, session, request, tool_call, {"label": label}, channel="chat")
    result = {"role": "tool", "tool_call_id": number, "content": json.dumps({"order_id": order, **status})}
    asked = {"role": "assistant", "content": None, "tool_calls": [tool_call]}
    request = {"messages": chat(TRIAGE_PROMPT, first, asked, result), **base}
    writer.add(random, at + timedelta(seconds=3), language, session, request, label, {"label": label}, channel="chat")


def orders(parts: dict[str, Any]) -> list[Line]:
    """Write the calls that read order messages into fields."""
    random, writer, seen = Random("order_fields"), Writer("order_fields"), set[str]()
    counts = zip(LANGUAGES, (82, 44, 34, 28, 18), strict=True)
    plan = sorted((moment(random), language) for language, count in counts for _ in range(count))
    for number, (at, language) in enumerate(plan):
        box: dict[str, Any] = {}
        text = fresh(seen, lambda language=language, box=box: _order(random, language, parts[language], box))
        oddity = {29: "truncated", 58: "refusal", 87: "error"}.get(number % 103, "")
        answer = json.dumps(box["fields"], ensure_ascii=False)
        style = random.random()
        if style < 0.05:
            answer = f"```json\n{answer}\n```"
        elif style < 0.10:
            answer = json.dumps(box["fields"] | {"total": f"{box['fields']['total']:.2f}"}, ensure_ascii=False)
        request = {
            "messages": chat(ORDER_PROMPT, user(text)),
            "response_format": ORDER_FORMAT,
            "max_tokens": 200,
        }
        facts = {"fields": box["fields"], "reworded": box["reworded"], "cut": answer[: len(answer) // 2]}
        # Two messages of one customer share a session now and then.
        writer.add(random, at, language, f"o-{number - (number % 9 == 8):04d}", request, answer, facts, oddity)
    return writer.lines


def _order(random: Random, language: str, part: dict[str, Any], box: dict[str, Any]) -> str:
    block = part["order"]
    skus = list(SKUS)
    chosen = [skus.pop(int(random.random() * len(skus))) for _ in range(1 + weighted(random, (0.45, 0.38, 0.17)))]
    items = [{"sku": sku, "quantity": 1 + weighted(random, (4, 3, 2, 1, 1, 0.5))} for sku in chosen]
    currency = {"en": "GBP", "ja": "JPY"}.get(language, "EUR")
    total = round(sum(SKUS[each["sku"]] * each["quantity"] for each in items), 2)
    total = round(total * 160) if currency == "JPY" else total
    day = FIRST_DAY + timedelta(days=3 + int(random.random() * 45)) if random.random() < 0.75 else None
    gift = random.random() < 0.18
    note = pick(random, block["notes"]) if random.random() < 0.28 else None
    order = order_number(random)
    # Only the plain form reads well for one piece.
    shape = pick(random, block["items"][: 1 if any(each["quantity"] == 1 for each in items) else None])
    listed = block["and"].join(shape.format(q=each["quantity"], sku=each["sku"]) for each in items)
    money = f"{total:,}円" if currency == "JPY" else pick(random, part["money"]).format(amount(language, total))
    sentences = [
        pick(random, block["intros"]).format(order=order),
        pick(random, block["lead"]).format(items=listed),
        pick(random, block["totals"]).format(total=money),
        pick(random, block["dates"]).format(date=_spelled(random, language, day)) if day else "",
        pick(random, block["gifts"]) if gift else "",
        pick(random, block["note_lead"]).format(note=note[0]) if note else "",
        pick(random, block["closings"]),
    ]
    box["fields"] = {
        "order_id": order, "items": items, "total": total, "currency": currency,
        "delivery_date": day.isoformat() if day else None, "gift": gift, "delivery_note": note[0] if note else None,
    }  # fmt: skip
    box["reworded"] = note[1] if note else None
    return join(language, sentences, "\n" if random.random() < 0.15 else " ").replace("..", ".")


def _spelled(random: Random, language: str, day: date) -> str:
    if language == "ja":
        return f"{day.month}月{day.day}日"
    month = MONTHS[language][day.month - 10]
    long = {"en": f"{day.day} {month}", "de": f"{day.day}. {month}", "fr": f"{day.day} {month}"}
    short = {"en": f"{day.isoformat()}", "de": f"{day.day}.{day.month}.", "fr": f"{day.day}/{day.month}"}
    chosen = long if random.random() < 0.75 else short
    return chosen.get(language, f"{day.day} de {month}")


def rewriting(parts: dict[str, Any]) -> list[Line]:
    """Write the calls that make blunt drafts polite and short."""
    random, writer, seen = Random("message_rewriting"), Writer("message_rewriting"), set[str]()
    counts = dict(zip(LANGUAGES, (44, 19, 16, 15, 10), strict=True))
    plan: list[tuple[datetime, str, int]] = []
    for language, count in counts.items():
        cases = len(parts[language]["rewriting"]["cases"])
        plan += [(moment(random), language, index % cases) for index in range(count)]
    for number, (at, language, index) in enumerate(sorted(plan)):
        box: dict[str, Any] = {}

        def draft(language: str = language, index: int = index, box: dict[str, Any] = box) -> str:
            filled = slots(random, language, parts[language])
            block = parts[language]["rewriting"]
            greeting, closing = pick(random, block["greetings"]), pick(random, block["closings"])
            box.clear()
            for name, text in block["cases"][index].items():
                ours = 0 if name == "rewrite" else 1
                shell = [greeting[ours], text.format(**filled), closing[ours]]
                box[name] = text.format(**filled) if name == "draft" else "\n\n".join(shell)
            return str(box["draft"])

        text = fresh(seen, draft)
        instruction = pick(random, parts[language]["rewriting"]["instructions"])
        oddity = {33: "truncated", 14: "refusal"}.get(number % 52, "")
        request = {
            "messages": chat(REWRITE_PROMPT, user(f"{instruction}\n\n{text}")),
            "max_tokens": 120,
        }
        facts = {**box, "cut": box["rewrite"][: len(box["rewrite"]) * 2 // 3]}
        writer.add(random, at, language, f"r-{number // 2:04d}", request, box["rewrite"], facts, oddity)
    return writer.lines


def fresh(seen: set[str], make: Callable[[], str]) -> str:
    """Make texts until one is new, so that equal prompts are only the ones meant to be equal.

    Raises:
        RuntimeError: The parts give no new text in 200 attempts: write more of them.
    """
    for _ in range(200):
        text = make()
        if text not in seen:
            seen.add(text)
            return text
    raise RuntimeError(f"No new text in 200 attempts; the last one was {text!r}.")


def files() -> Iterator[tuple[str, bytes]]:
    """Yield every file of the demo set with its content."""
    parts = {each: tomllib.loads((HERE / "texts" / f"{each}.toml").read_text(encoding="utf-8")) for each in LANGUAGES}
    tasks = [triage(parts), orders(parts), rewriting(parts)]
    for lines in tasks:
        log = sorted((each.data for each in lines), key=lambda data: data["response"]["created"])
        if lines[0].task == "support_triage":
            log += log[-3:]  # exports overlap: the last three calls stand in the file twice
        yield f"{lines[0].task}.jsonl", jsonl(log)
    planted = [row for lines in tasks for row in plant(lines)]
    prompts = {each.id: tokens(json.dumps(each.data["request"], ensure_ascii=False)) for lines in tasks for each in lines}
    yield "planted_outputs/planted.jsonl", jsonl(
        [
            {
                "id": each["id"],
                "output": each["output"],
                "input_tokens": prompts[each["id"]],
                "output_tokens": tokens(each["output"]),
            }
            for each in planted
        ]
    )
    yield "planted_outputs/truth.jsonl", jsonl([each["truth"] for each in planted])
    yield "planted_outputs/labels_order_fields.csv", labels([e["truth"] for e in planted if e["label"]])


def labels(truths: list[dict[str, Any]]) -> bytes:
    """Return the synthetic labels: what the truth says of every disagreement in the order task."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(("id", "verdict", "annotator", "note"))
    for each in truths:
        verdict = "control_better" if each["planted"] == "harm" else "equal"
        rows.writerow((each["id"], verdict, "demo-truth", f"synthetic, no person looked: planted {each['kind']}"))
    return out.getvalue().encode()


def jsonl(rows: list[dict[str, Any]]) -> bytes:
    """Return rows as JSON lines."""
    return "".join(json.dumps(each, ensure_ascii=False, separators=(",", ":")) + "\n" for each in rows).encode()


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE, help="where to write (default: beside this script)")
    out: Path = parser.parse_args().out
    for name, content in files():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(content)
        print(f"{name}: {content.count(chr(10).encode())} lines, {len(content) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
