"""What a reviewer sees: two outputs side by side and nothing that tells which is which."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from workbench import access, compare
from workbench.errors import UsageError
from workbench.normal import clean_text, decode_nested
from workbench.records import (
    AbsoluteJudgement,
    EvalKind,
    LabelVerdict,
    Output,
    OutputError,
    Request,
    from_json,
)
from workbench.specs import EvalConfig
from workbench.store import Store, accesses
from workbench.store import labels as rows

CONTROL_LEFT = "control_left"
CANDIDATE_LEFT = "candidate_left"

ABSOLUTE_KINDS = (EvalKind.LABEL, EvalKind.FIELDS)
"""Kinds whose answers can be called right or wrong by themselves."""

REASONS = {
    "wrong": "wrong answer",
    "incomplete": "something is missing",
    "invented": "says what the request does not support",
    "format": "breaks the asked format",
    "wording": "tone or wording",
    "unsafe": "unsafe or not allowed",
    "critical": "critical: must never happen",
}
"""Reasons offered after a worse or both-bad verdict: the stored word, and how it reads."""

RULED_CHARS = 200_000
"""Longer answers are shown without what the field rules say, so that nobody waits for it."""

MAX_NAME = 200
RESERVED_NAMES = frozenset({"argilla", "gold", "label-studio"})
"""Programs hold items, and gold answers give labels, under these names."""


@dataclass(frozen=True, slots=True)
class ReviewProgress:
    """How far the labelling is.

    `labelled` counts pairs with a verdict that counts; `needed` is the number of
    labels in all at which `next_share` (0..1) is expected to be supported, both
    None where that can't be said.
    """

    labelled: int
    needed: int | None
    next_share: float | None
    text: str


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """One pair to judge, blind.

    `left` and `right` carry text, tool calls and the kind of an error, and
    nothing else of an output. Where it came from stays in the store, under
    `item_id`; `shown_order` is kept out of the representation. `fields` are the paths
    that may be called wrong where each side is judged by itself. `field_rules` says by path
    where the eval's rules find both sides equal or do not look; None where it has no such rules.
    """

    item_id: str
    call_id: str
    task: str
    kind: EvalKind
    request: Request
    left: Output
    right: Output
    guidelines: str
    guideline_version: str
    progress: ReviewProgress
    attempt: int = 0
    shown_order: str = field(default=CONTROL_LEFT, repr=False)
    fields: tuple[str, ...] = ()
    field_rules: Mapping[str, bool] | None = field(default=None, repr=False)

    @property
    def ticket(self) -> str:
        """Return item, attempt and guidelines as one word, for programs that come back with an answer."""
        return f"{self.item_id}.{self.attempt}.{self.guideline_version}"

    @property
    def absolute_possible(self) -> bool:
        """Say whether each side can be judged by itself: right or not, or which fields are wrong."""
        return self.kind in ABSOLUTE_KINDS

    def absolute(
        self,
        left_right: bool | None = None,
        right_right: bool | None = None,
        *,
        left_wrong: Iterable[str] = (),
        right_wrong: Iterable[str] = (),
    ) -> AbsoluteJudgement:
        """Return what a reviewer said of each side on the page.

        Args:
            left_right: The left answer is right; None: it is where none of its fields is wrong.
            right_right: The same of the right answer.
            left_wrong: Paths of the fields that are wrong on the left.
            right_wrong: The same on the right.
        """
        wrong = (tuple(dict.fromkeys(left_wrong)), tuple(dict.fromkeys(right_wrong)))
        right = tuple(
            not marked if said is None else said
            for said, marked in zip((left_right, right_right), wrong, strict=True)
        )
        control = 0 if self.shown_order == CONTROL_LEFT else 1
        return AbsoluteJudgement(right[control], right[1 - control], wrong[control], wrong[1 - control])

    def verdict(self, choice: str) -> LabelVerdict:
        """Return the verdict for what a reviewer chose on the page.

        Args:
            choice: `left`, `right`, `equal` or `both_bad`.

        Raises:
            UsageError: It is none of these.
        """
        control = "left" if self.shown_order == CONTROL_LEFT else "right"
        if choice in ("left", "right"):
            return LabelVerdict.CONTROL_BETTER if choice == control else LabelVerdict.CANDIDATE_BETTER
        if choice in ("equal", "both_bad"):
            return LabelVerdict(choice)
        raise UsageError(f"{choice!r} is not a choice.", "Use left, right, equal or both_bad.")

    def choice(self, verdict: LabelVerdict) -> str:
        """Return what a verdict looks like on this item's page: left, right, equal or both_bad."""
        return choice_of(verdict, self.shown_order)


def choice_of(verdict: LabelVerdict, shown_order: str | None) -> str:
    """Return what was chosen on a page that showed the sides in this order, without naming a side.

    Args:
        verdict: The verdict.
        shown_order: `control_left` or `candidate_left`.
    """
    if verdict in (LabelVerdict.EQUAL, LabelVerdict.BOTH_BAD):
        return verdict.value
    control = "right" if shown_order == CANDIDATE_LEFT else "left"
    other = "left" if control == "right" else "right"
    return control if verdict is LabelVerdict.CONTROL_BETTER else other


def order_shown(annotator: str, call_id: str, replay_id: str) -> str:
    """Return on which side the control stands: half of the time left, always the same for one person."""
    digest = hashlib.sha256("\x1f".join((annotator, call_id, replay_id)).encode()).digest()
    return CONTROL_LEFT if digest[0] & 1 else CANDIDATE_LEFT


def blind_output(output: Output) -> Output:
    """Return what may be shown of an output: text, tool calls, the kind of an error.

    Ids of tool calls, finish reasons, token counts, times and error messages
    differ between providers and would give the model away.
    """
    calls = tuple(replace(each, id=None) for each in output.tool_calls)
    error = OutputError(output.error.kind) if output.error else None
    return Output(text=output.text, tool_calls=calls, error=error)


def blind_request(request: Request) -> Request:
    """Return what may be shown of a request: all but its parameters, which may name a model."""
    return replace(request, parameters={})


def build_item(
    store: rows.Reads,
    config: EvalConfig,
    draw_id: str,
    pair: tuple[str, str],
    annotator: str,
    *,
    progress: ReviewProgress,
    attempt: int,
    shown_order: str | None = None,
) -> ReviewItem:
    """Read one pair and hide what would tell its sides apart.

    Args:
        store: Where the pair is.
        config: The eval.
        draw_id: What the item is called.
        pair: Its replay and call.
        annotator: Who sees it.
        progress: How far the labelling is.
        attempt: How often this person was shown it before.
        shown_order: The order in which its sides were shown once; their own unless given.

    Raises:
        UsageError: The pair is not in the store any more.
    """
    replay_id, call_id = pair
    content = rows.pair_content(store, replay_id, call_id)
    if content is None:
        raise UsageError(
            f"Call {call_id} of replay {replay_id} is not in the store.", "Ask for another item."
        )
    control = blind_output(from_json(content["control"], Output))
    observed = blind_output(from_json(content["observed"], Output))
    request = blind_request(from_json(content["request"], Request))
    order = shown_order or order_shown(annotator, call_id, replay_id)
    left, right = (control, observed) if order == CONTROL_LEFT else (observed, control)
    return ReviewItem(
        item_id=draw_id,
        call_id=call_id,
        task=config.task,
        kind=config.kind,
        request=request,
        left=left,
        right=right,
        guidelines=config.guidelines,
        guideline_version=config.guideline_version,
        progress=progress,
        attempt=attempt,
        shown_order=order,
        fields=judged_fields(config, left, right),
        field_rules=_field_rules(config, request, control, observed),
    )


def _field_rules(
    config: EvalConfig, request: Request, control: Output, observed: Output
) -> dict[str, bool] | None:
    """Return by path whether the eval's rules call a field equal or ignore it; None without such rules."""
    both = control, observed
    if config.kind is not EvalKind.FIELDS or any(each.tool_calls or each.error for each in both):
        return None
    if sum(len(each.text or "") for each in both) > RULED_CHARS:
        return None
    found = compare.compare_outputs(config, request, *both).details.get("fields")
    if not isinstance(found, list):
        return None
    return {each["path"]: bool(each["equal"]) or "ignored" in each for each in found}


def judged_fields(config: EvalConfig, *outputs: Output) -> tuple[str, ...]:
    """Return the paths of the fields that a reviewer may call wrong: the eval's, else the answers' own."""
    if config.kind is not EvalKind.FIELDS:
        return ()
    if config.fields:
        return tuple(rule.path for rule in config.fields if rule.compare != "ignore")
    named = (config.schema or {}).get("properties")
    keys: dict[str, None] = dict.fromkeys(named) if isinstance(named, dict) else {}
    for each in outputs:
        value = decode_nested(each.text or "")
        if not named and isinstance(value, dict):
            keys |= dict.fromkeys(str(key) for key in value)
    return tuple(keys)


def handed(store: Store, item: ReviewItem) -> ReviewItem:
    """Return an item that somebody is about to read, noted in the access log."""
    accesses.viewed(store, accesses.Kind.REVIEW, item.task, [item.call_id])
    return item


def reviewer_name(annotator: str, *, own: bool = True) -> str:
    """Return a reviewer's name, trimmed and cleaned.

    Args:
        annotator: As it was given.
        own: Whether it is who acts now, rather than somebody in a file.

    Raises:
        UsageError: It is empty, too long, or stands for a program.
        AccessRefused: Who acts is signed in under another name.
    """
    name = clean_text(annotator)[0].strip()
    if not name or len(name) > MAX_NAME:
        raise UsageError(
            "A label needs the name of its reviewer.", f"Give one of 1 to {MAX_NAME} characters."
        )
    if name.casefold() in RESERVED_NAMES:
        raise UsageError(f"{name!r} is no reviewer's name: it stands for a program.", "Give your own name.")
    return access.own_name(name) if own else name


def check_reasons(verdict: LabelVerdict, reasons: tuple[str, ...]) -> tuple[str, ...]:
    """Return reasons cleaned, each once.

    Raises:
        UsageError: There are reasons beside `equal`, or one is longer than a word or two.
    """
    cleaned = tuple(dict.fromkeys(clean_text(each)[0].strip() for each in reasons if each.strip()))
    if cleaned and verdict is LabelVerdict.EQUAL:
        raise UsageError("Equal answers take no reasons.", "Write a note instead.")
    if any(len(each) > 80 for each in cleaned):
        raise UsageError("A reason is a word or two, at most 80 characters.", "Write the rest as a note.")
    return cleaned
