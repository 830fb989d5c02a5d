"""How numbers and terms read on every page: one format each, one tooltip each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from workbench.costing.wording import money as in_dollars
from workbench.records import Action, Basis, Estimate, LabelVerdict, Verdict
from workbench.specs import NO_GUIDELINES
from workbench.stats.ladder import CEILING
from workbench.stats.wording import percent as as_set

NARROW = "\u202f"
"""Between a number and its unit: a narrow space at which no line breaks."""
FIXED = "\u00a0"
"""Between a number and its noun: a space at which no line breaks."""

GLOSSARY = {
    "harm": "The share of calls for which a reviewer says that the frontier's answer was better.",
    "bound": (
        "At most this share of calls gets worse, with the confidence that the policy asks for. "
        "It stays valid however often you look. All of the traffic needs it within the tolerance; early "
        f"stages, which put few calls at risk, allow up to {CEILING:g} times that."
    ),
    "tolerance": (
        "The share of calls that your team accepts to get worse where all of the traffic has moved. It is "
        f"set in eval.toml. Early stages allow the bound up to {CEILING:g} times as much: of the little that "
        "moves then, few calls can get worse."
    ),
    "cap": (
        "The largest stage of the ladder that today's evidence supports. The smaller a stage, the larger "
        f"the bound may be: up to {CEILING:g} times the tolerance, as long as stage times bound keeps within "
        "the exploration budget (of all calls, a fifth of the tolerance unless eval.toml says otherwise)."
    ),
    "share": "The share of traffic to send to the candidate next: one stage at a time.",
    "effective_share": "What moves in all, after slices that may carry less than the task.",
    "traffic_check": (
        "The calls imported since the evaluation against those before: are their slices mixed as then, and "
        "can a classifier tell their inputs apart? The stability index is 0 where no mix moved; p is how "
        "often so much would show if nothing had changed. What is found counts until newer calls carry the "
        "share alone, or a look at enough calls shows that it is gone."
    ),
    "control": "The answer of the frontier model, as your log recorded it.",
    "candidate": "The small model that may take over.",
    "agreement": "The share of compared calls on which both answers are equal under the task's rules.",
    "structural": (
        "Answers are compared for equality after declared normalisation, so an equal answer can't be worse."
    ),
    "semantic": (
        "Answers are compared by similarity. Similar texts can mean the opposite, "
        "so only labels by people count as proof."
    ),
    "n_effective": "What the calls are worth where those of one session or one request count less.",
    "slice": "Calls that share something known before the call, such as their language.",
    "found_slice": (
        "Calls that share something known before the call, though the eval does not name it. Bounds are "
        "corrected for how many slices were looked at."
    ),
    "routing_rule": "Sends a call to one model or the other before any of them is asked.",
    "uncomparable": "The recorded frontier answer is an error, cut short or a refusal.",
    "dry_run": "Counts what would be sent and what it may cost, and sends nothing.",
    "synthetic": "Made from the frontier's answers with planted mistakes, to show that they are found.",
    "noise": (
        "How often the frontier agrees with itself when the same call is asked again. No candidate can "
        "agree with its logged answers on more than the square root of that. It explains, and moves nothing."
    ),
    "threshold": (
        "Leave to the candidate what it is sure of, and ask the frontier for the rest. A threshold is proven "
        "on one half of the calls and reported on the other; it holds however often you look."
    ),
    "auroc": (
        "Of two calls, one of them harmed, how often the harmed one has the lower confidence (AUROC, the "
        "area under the ROC curve): 50 % is chance, 100 % always. Up to 55 % it carries no information."
    ),
    "method": (
        "Anytime: the bound is valid however often you look. Audit order: the disagreements in the order in "
        "which the queue hands them out. Betting: for labels drawn with known probabilities. Strata: parts "
        "of the calls, each with a bound of its own."
    ),
    "bootstrap": "Limits from drawing these calls again and again, with repeats, each time worked out anew.",
    "predicted": (
        "Prediction-powered: labels correct what similarity predicts for every call. Shown from 300 known "
        "outcomes and 10 harms on; the bound decides, never this."
    ),
    "net": "Calls that get worse less calls that get better.",
    "portfolio_harm": (
        "A union bound: each task's bound is widened so that those of all tasks and candidates hold at once, "
        "then weighted by the calls that move. Where slices hold part of a task back, all of its harm may be "
        "in what moves, and is counted so. It stays valid however often you look at these tasks."
    ),
    "saving": (
        "From dated prices, measured tokens, calls a day, and calls that fall back to the frontier. "
        "Limits are 95 % sure each, for one look."
    ),
    "size_ladder": (
        "Candidates from small to large. The smallest one whose bound is within the tolerance is what a team "
        "looks for: it holds for all of the traffic. Bounds are those of each candidate alone."
    ),
}

KNOW_VOLUME = (
    "Set calls_per_day in eval.toml; or take the import back (Upload, or workbench import --undo MANIFEST) "
    "and bring the log of a day or more again, with times and a sampling rate: else its calls are skipped, "
    "being known."
)
"""What to do where calls a day are not known."""

COLUMNS = {
    "Status": (
        "active: carries its share. excluded: proven worse than the tolerance allows. suspect: the estimate "
        "is above the tolerance. unproven: too little evidence of its own."
    ),
    "Own share": "What the slice may carry now: never more than the task, and only on its own evidence.",
    "Own cap": "The largest stage that the slice's own evidence supports.",
    "Moves": "Of all traffic of the task, what moves in this slice.",
    "All at once": "Bounds that hold for all slices together: look there for the worst of them.",
    "Bound holds for": "The largest stage that the bound allows; early ones allow more than the tolerance.",
    "Percentile": "p95: 95 % of the calls were answered within so long; p50 is the middle one.",
    "p95 ms": "Within so many milliseconds 95 % of the calls were answered.",
    "Latency p95": "Within so long 95 % of the calls were answered, at production's pace.",
    "Could save": "USD a month if all of it moved to a small model; beside it stands how that is known.",
    "Known from": "Measured on a candidate's own answers, or from prices and the frontier's tokens alone.",
    "Speaks for": "So many of the checks for a small model are met; the tab Suitability shows each.",
    "Answers": "What the recorded answers look like, from which the kind of eval follows.",
    "Data may go": "Whether a task's calls may be sent to endpoints outside; its eval.toml says so.",
    "Evaluator": "Fingerprint of the rules that compare answers. Results of two versions never mix.",
    "Guidelines": "Fingerprint of the text that reviewers label by.",
    "Zone": "internal: an address of yours, whose calls stay with you. external: any other.",
    "Gets data of": "Tasks whose calls may be sent to this candidate.",
    "Fingerprint": "Of model, revision and parameters: another one is another candidate, without evidence.",
}
"""What a column of a table means, where its name alone doesn't say."""

HARM_A_DAY = "Harm a day, at most"
HARM_A_DAY_NOW = "Harm a day at the share now"

EVIDENCE = {
    "Worse, at most (U)": "The upper bound on calls that get worse, which decides: valid at every look.",
    "Worse, at least (L)": "The lower bound: what is proven. Above the tolerance it stops the candidate.",
    "Worse, estimated": "The best guess between both; not known until somebody has looked.",
    "Worse minus better": "Calls that get worse less calls that get better, with the bounds on that.",
    "Confidence, one-sided": "How sure each bound is by itself.",
    "Calls (n)": "The calls that the bound rests on.",
    "Worth as independent calls": "Calls of one session or with one request count less than others.",
    HARM_A_DAY: (
        "At the recommended share, of the calls that move after slices: calls a day times that share times "
        "U, and never more than move. What slices hold back is not taken off it, since those may be the "
        "harmless calls."
    ),
    HARM_A_DAY_NOW: (
        "Shown where more is served than is recommended: calls a day times the share served now times U."
    ),
    "Sessions with a worse call": "Of sessions, those in which at least one call gets worse.",
    "Seen in part, taken as worse": "Sessions with calls that were not compared: they count as harmed.",
}
"""The figures of a decision, and what each means."""

VERDICTS = {
    Verdict.MATCH: "match",
    Verdict.MISMATCH: "mismatch",
    Verdict.IGNORED: "ignored difference",
    Verdict.UNCOMPARABLE: "not comparable",
}

LABEL_VERDICTS = {
    LabelVerdict.CONTROL_BETTER: "frontier better",
    LabelVerdict.EQUAL: "equal",
    LabelVerdict.CANDIDATE_BETTER: "candidate better",
    LabelVerdict.BOTH_BAD: "both bad",
}

LABEL_ORIGINS = {
    "queue": "drawn by the queue",
    "picked": "picked by hand, in a bound only where labels cover every disagreement",
    "by_hand": "a first look, in no bound",
    "imported": "imported",
    "adjudicated": "a decision between labels that differed",
    "gold": "from a known right answer",
}

ACTIONS = {
    Action.COLLECT: ("Collect evidence", ":material/hourglass_top:"),
    Action.HOLD: ("Hold", ":material/pause_circle:"),
    Action.RAMP: ("Ramp up", ":material/trending_up:"),
    Action.STEP_DOWN: ("Step down", ":material/trending_down:"),
    Action.ROLLBACK: ("Roll back", ":material/undo:"),
    Action.STOP: ("Stop", ":material/block:"),
}

BASES = {
    Basis.STRUCTURAL: "equality proves an answer harmless",
    Basis.SEMANTIC: "only labels prove an answer harmless",
}

MARKS = {
    "ambiguous_task": "taken by the rules of several tasks",
    "attributes_cut": "metadata cut",
    "audio": "with audio",
    "bad_arguments": "tool arguments not readable",
    "bad_sampling_rate": "sampling rate not readable",
    "bad_time": "time not readable",
    "batch_price": "billed as part of a batch",
    "built_in_tool": "with a tool of the provider",
    "cache_hit": "answered from a cache",
    "content_filter": "blocked by a content filter",
    "empty_output": "empty answer",
    "error": "error in place of an answer",
    "file": "with a file",
    "finish_length": "stopped at the limit of tokens",
    "future_time": "time in the future",
    "history_missing": "earlier turns not in the log",
    "image": "with an image",
    "internal": "test or judge, no traffic",
    "multiple_choices": "several answers, the first taken",
    "multiple_prompts": "several prompts, the first taken",
    "no_latency": "latency not known",
    "no_output": "no answer in the log",
    "no_time": "time not known",
    "not_rendered": "prompt known as a template alone",
    "redacted": "redacted",
    "refusal": "refusal",
    "repaired_text": "text repaired",
    "stream_not_rebuilt": "stream not put together",
    "tools_by_name": "tools known by name alone",
    "truncated": "cut short",
    "turns_after_answer": "turns after the answer left out",
}
"""What a mark of a call means; eval.toml leaves calls out by the mark's name."""

FLAGS = {
    "numbers": "numbers differ",
    "units": "units differ",
    "dates": "dates differ",
    "negation": "one side negates",
    "names": "names differ",
    "length": "lengths differ",
    "refusal": "one side refuses",
    "language": "languages differ",
    "format": "form differs",
    "new_number": "new number",
    "new_name": "new name",
    "new_date": "new date",
    "truncated": "candidate cut short",
    "extra_keys": "keys without a rule",
    "json_repaired": "JSON repaired",
    "evaluator_error": "the eval's evaluator failed",
}
"""What the comparison of a pair noticed."""

OUTPUT_FLAGS = {
    "truncated": "cut short",
    "refusal": "refusal",
    "capped": "only its beginning is kept",
    "repaired_text": "text repaired",
    "cached": "from a response cache",
    "samples_lost": "some samples lost",
}
"""What is odd about one answer."""


def told(code: str, phrases: Mapping[str, str]) -> str:
    """Return what a code stands for; one that is not known, as an eval's own flag, without underscores."""
    return phrases.get(code) or code.replace("_", " ")


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share with one decimal, or a dash where it is missing; see `stage` for what somebody set.

    Args:
        share: 0..1, or negative for a balance.
        digits: Decimals.
    """
    if share is None:
        return "–"
    text = f"{abs(100 * share):.{digits}f}"
    sign = "−" if share < 0 and float(text) else ""
    return f"{sign}{text}{NARROW}%"


def stage(share: float) -> str:
    """Return a stage of the ladder, a tick or a level as it is set: 1 %, 2.5 %, 99.75 %, 100 %."""
    return kept(as_set(share)).replace("-", "−")


def count(number: float | None) -> str:
    """Return a count with thousands separated, or a dash."""
    if number is None:
        return "–"
    whole = round(number)
    return f"{whole:,}" if abs(number - whole) < 0.05 else f"{number:,.1f}"


def kept(sentence: str) -> str:
    """Return a sentence in which no line breaks between a number and its percent sign."""
    return sentence.replace(" %", f"{NARROW}%")


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun: 1 call, 2 calls."""
    return f"{number:,}{FIXED}{one if number == 1 else many or one + 's'}"


def labels(number: int, *, imported: int = 0, gold: int = 0) -> str:
    """Return a count of labels, saying which of them nobody gave here: 20 labels, 20 imported labels.

    Args:
        number: All of them.
        imported: Those that came with a log or a file.
        gold: Those made from right answers that were known before.
    """
    if number and number == imported:
        return counted(number, "imported label")
    if number and number == gold:
        return f"{counted(number, 'label')} from known right answers"
    of_these = [
        *([f"{imported:,} imported"] if imported else []),
        *([f"{gold:,} from known right answers"] if gold else []),
    ]
    return counted(number, "label") + (f" ({', '.join(of_these)})" if of_these else "")


def money(usd: float | None) -> str:
    """Return US dollars as everywhere, or that there is no price."""
    return "not priced" if usd is None else in_dollars(usd)


def estimated(rate: float | None) -> str:
    """Return an estimated share, or that there is no estimate."""
    return "not known" if rate is None else percent(rate)


def interval(estimate: Estimate) -> str:
    """Return an estimate with its limits and its n, never a bare rate."""
    limits = f"{100 * estimate.low:.1f}–{100 * estimate.high:.1f}{NARROW}%"
    # A narrow page breaks a line between none of these.
    n = f"n{FIXED}={FIXED}{count(estimate.n)}"
    return f"{estimated(estimate.point)} ({limits}, {n})"


def mean(estimate: Estimate) -> str:
    """Return a mean that is no rate with its limits and its n."""
    limits = f"{decimal(estimate.low)} to {decimal(estimate.high)}, n{FIXED}={FIXED}{count(estimate.n)}"
    return f"not known ({limits})" if estimate.point is None else f"{decimal(estimate.point)} ({limits})"


def coefficient(estimate: Estimate) -> str:
    """Return a coefficient of agreement with its limits, or a dash where there is none."""
    if estimate.point is None:
        return "–"
    return f"{decimal(estimate.point)} ({decimal(estimate.low)} to {decimal(estimate.high)})"


def decimal(value: float) -> str:
    """Return a number that is no rate with two decimals, with the minus sign of the other figures."""
    text = f"{abs(value):.2f}"
    return f"−{text}" if value < 0 and float(text) else text


def ago(moment: datetime | None, now: datetime | None = None, *, without: str = "never") -> str:
    """Return how long ago something was, in the largest whole unit.

    Args:
        moment: UTC, with or without a time zone.
        now: The present, for tests.
        without: What stands there where there is no moment.
    """
    if moment is None:
        return without
    here = now or datetime.now(UTC)
    when = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    seconds = max(0.0, (here - when).total_seconds())
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return f"{counted(int(seconds // size), unit)} ago"
    return "just now"


def duration(seconds: float | None) -> str:
    """Return a duration for people: 8 s, 3 min, 1 h 20 min."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    if whole < 90:
        return f"{whole}{NARROW}s"
    minutes = round(whole / 60)
    if minutes < 90:
        return f"{minutes}{NARROW}min"
    return f"{minutes // 60}{NARROW}h {minutes % 60}{NARROW}min"


def why(reason: str) -> str:
    """Return why a case has its verdict, in the words of the pages: what is stored names the answers by role.

    >>> why("the control is cut off")
    "the frontier's answer is cut off"
    """
    role = "the control "
    return f"the frontier's answer {reason.removeprefix(role)}" if reason.startswith(role) else reason


def guidelines(version: str | None) -> str:
    """Return how a version of guidelines is called: the beginning of its hash, or "none" without any.

    Args:
        version: As a label or an eval names it; None or empty where it isn't known.
    """
    return "none" if version == NO_GUIDELINES else (version or "")[:6]


def size(number: int) -> str:
    """Return a number of bytes in the unit people use."""
    value, unit = float(number), "B"
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f}{NARROW}{unit}" if unit == "B" or value >= 10 else f"{value:.1f}{NARROW}{unit}"
