"""On Ramp: accept a share, what is in force, and the log of decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import pandas as pd
import streamlit as st

from workbench import access, rollout
from workbench.errors import UsageError, WorkbenchError
from workbench.records import Recommendation
from workbench.rollout import LogEntry, Standing
from workbench.rollout.decisions import LONGEST_OVERRIDE, REASON_CHARS, Force, Override, is_claim
from workbench.ui import exports, words
from workbench.ui.diff import visible
from workbench.ui.heights import table_px
from workbench.ui.scope import Scope
from workbench.ui.session import ask, complain, forget, here, read

OUTCOME = "accept.outcome"
KINDS = {None: "as recommended", Override.UP: "override, above", Override.DOWN: "override, below"}


def who() -> str:
    """Return who acts in this session."""
    return rollout.present_actor()


def standing_of(task: str, candidate: str) -> Standing:
    """Return what is in force now; asked again every minute, since an override ends by itself."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    return ask(rollout.in_force, task, candidate, now=now)


def log_of(scope: Scope) -> list[LogEntry]:
    """Return the decisions on a choice, newest first."""
    return read(rollout.decisions, scope.task, scope.candidate.name)


def loud(task: str, candidate: str) -> None:
    """Say it loudly where an override holds a share above the recommended one; else nothing."""
    held = standing_of(task, candidate)
    if not held.raised:
        return
    with st.container(border=True, key=f"override-{task}-{candidate}"):
        st.error("Override: more moves than is recommended.", icon=":material/priority_high:")
        st.text(visible(held.sentence))


def in_force(scope: Scope, held: Standing) -> None:
    """Say what is in force, and by which decision."""
    loud(scope.task, scope.candidate.name)
    if held.raised or held.force is Force.NONE:
        return
    icon = ":material/check_circle:" if held.force is Force.ACCEPTED else ":material/info:"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(icon, width="content")
        st.text(visible(held.sentence), width="stretch")


@dataclass(frozen=True, slots=True)
class Offer:
    """What is on the page to be accepted: the choice, what was shown, and which fields are asked for.

    What is filled in is read at the press: a field that was left by the press itself has its new value then.
    """

    task: str
    candidate: str
    share: float
    shown: str
    latest: str
    current: float
    asks_reason: bool
    asks_end: bool

    @property
    def mark(self) -> str:
        """Return what the keys of its fields end with."""
        return f"{self.task}-{self.candidate}"


def form(
    scope: Scope, answer: Recommendation, current: float, in_force: float, log: Sequence[LogEntry]
) -> None:
    """Let a person accept the share on the page, or another one with a reason and an end.

    Args:
        scope: The task and the candidate.
        answer: The recommendation that is shown.
        current: Share that the candidate serves today, 0..1, as the page says.
        in_force: Share that was accepted and holds.
        log: The decisions that are shown, newest first.
    """
    mark = f"{scope.task}-{scope.candidate.name}"
    _outcome()
    with st.expander("Accept a share", icon=":material/how_to_reg:", key=f"accept-{mark}"):
        options = sorted({*scope.eval.policy.ladder, answer.share, current})
        share = st.select_slider(
            "Share to accept",
            options,
            value=answer.share,
            format_func=words.stage,
            # A new recommendation starts the choice afresh.
            key=_share_key(mark, answer.details["evidence_hash"]),
            help="The recommended share unless you move it.",
        )
        claims = is_claim(current, in_force)
        if max(share, answer.share, current, in_force) <= 0:
            st.text(
                "Nothing to accept: 0 % is recommended, and nothing is served. A share above that is an "
                "override: move the slider, and say why and until when."
            )
            return
        if claims:
            st.info(
                f"You say that {words.stage(current)} is served, and {words.stage(in_force)} is in force. "
                "The log keeps both; say why below.",
                icon=":material/edit_note:",
            )
        overrides = abs(share - answer.share) > 1e-9
        if overrides:
            _override(share, answer, mark)
        elif claims:
            _reason("Why more is served than was accepted", mark)
        st.text_input(
            "Who accepts",
            value=who(),
            max_chars=200,
            key=f"accept-who-{mark}",
            width=320,
            disabled=access.current().signed_in,
        )
        offer = Offer(
            scope.task,
            scope.candidate.name,
            float(share),
            answer.details["evidence_hash"],
            log[0].decision.decision_id if log else "",
            current,
            overrides or claims,
            overrides,
        )
        changes = abs(share - in_force) > 1e-9 or claims
        st.button(
            f"Accept {words.stage(share)}",
            type="primary" if changes else "secondary",
            icon=":material/how_to_reg:",
            key=f"accept-button-{mark}",
            on_click=_accept,
            args=(offer,),
        )
        st.caption(
            f"The log below keeps that {words.stage(share)} was accepted, by whom, when, and on what is on "
            f"this page: evidence {answer.details['evidence_hash']}. If anything of it changed by then, "
            "nothing is accepted. The log can't be edited."
        )


def _share_key(mark: str, shown: str) -> str:
    return f"accept-share-{mark}-{shown}"


def _override(share: float, answer: Recommendation, mark: str) -> None:
    above = share > answer.share
    if above:
        st.warning(
            f"This is above the recommended {words.stage(answer.share)}: it will be shown on Overview, in "
            "reports and in the export until it ends.",
            icon=":material/priority_high:",
        )
    _reason("Why another share than the recommended one", mark)
    today = datetime.now(UTC).date()
    st.date_input(
        "Ends at the end of (UTC)",
        value=None,
        min_value=today,
        max_value=today + LONGEST_OVERRIDE - timedelta(days=1),
        key=f"accept-until-{mark}",
        width=320,
        help="Then the smaller of what was accepted before and what is recommended now holds.",
    )


def _reason(label: str, mark: str) -> None:
    st.text_area(label, max_chars=REASON_CHARS, key=f"accept-reason-{mark}", height=90)


def _accept(offer: Offer) -> None:
    now, filled = here(), st.session_state
    name = filled.get(f"accept-who-{offer.mark}") or ""
    reason = (filled.get(f"accept-reason-{offer.mark}") or "") if offer.asks_reason else ""
    until = filled.get(f"accept-until-{offer.mark}") if offer.asks_end else None
    end = datetime.combine(until, time(23, 59, 59), UTC) if isinstance(until, date) else None
    try:
        if abs(float(filled[_share_key(offer.mark, offer.shown)]) - offer.share) > 1e-9:
            raise UsageError("Nothing was accepted: the share was moved.", "Look again, then accept it.")
        made = rollout.accept(
            now.workspace,
            now.store,
            offer.task,
            offer.candidate,
            share=offer.share,
            shown=offer.shown,
            who=name,
            latest=offer.latest,
            current_share=offer.current,
            reason=reason,
            until=end,
        )
    except WorkbenchError as error:
        st.session_state[OUTCOME] = error
        # What changed may be that time passed, which no cache of the page sees.
        forget()
        return
    st.session_state[OUTCOME] = f"{words.stage(made.share)} is accepted and stands in the log."
    for field in ("reason", "until"):
        filled.pop(f"accept-{field}-{offer.mark}", None)


def _outcome() -> None:
    """Say what came of the last press, once."""
    said = st.session_state.pop(OUTCOME, None)
    if isinstance(said, WorkbenchError):
        complain(said)
    elif said:
        st.success(said, icon=":material/check_circle:")


def log_table(scope: Scope, log: Sequence[LogEntry], policy_version: str) -> None:
    """Show the log, newest first.

    Args:
        scope: The task and the candidate.
        log: Its decisions.
        policy_version: Of the policy that is saved now.
    """
    st.header("Decision log", anchor=False, help="Entries are added, never changed or taken out.")
    if not log:
        st.caption("Nobody has accepted a share yet.")
        return
    if not all(each.intact for each in log):
        st.error(
            "An entry is not as it was written, or one is missing: those marked below can't be relied on.",
            icon=":material/gpp_bad:",
        )
    frame = pd.DataFrame([_row(each, policy_version) for each in log])
    st.dataframe(
        frame,
        hide_index=True,
        lazy=False,
        height=table_px(len(frame), 10),
        column_config={"Reason": st.column_config.TextColumn(width="medium")},
        alt=f"{words.counted(len(log), 'decision', 'decisions')}, newest first: "
        + "; ".join(
            f"{each.decision.decided_at:%Y-%m-%d}: {words.stage(each.decision.share)} by "
            f"{visible(each.decision.decided_by)}"
            for each in log[:5]
        ),
    )
    st.caption(
        f"The policy that is saved now is version {policy_version}. On the command line: workbench decisions."
    )
    exports.offer("decisions", task=scope.task, candidate=scope.candidate.name, label="Export decisions")


def _row(entry: LogEntry, policy_version: str) -> dict[str, str]:
    each = entry.decision
    same = each.policy_version == policy_version
    return {
        "When (UTC)": f"{each.decided_at:%Y-%m-%d %H:%M}",
        "Who": visible(each.decided_by),
        "Share": words.stage(each.share),
        "Recommended": words.stage(each.recommended_share),
        "Evidence": each.evidence_hash,
        "Kind": KINDS[each.override],
        "Ends (UTC)": f"{each.expires_at:%Y-%m-%d %H:%M}" if each.expires_at else "–",
        "Then": words.stage(each.fallback.share) if each.expires_at else "–",
        "Reason": visible(each.reason) or "–",
        "Served then": words.kept(entry.served_then),
        "Moves in all": words.percent(each.moves.effective_share),
        "Worse, at most": words.percent(each.harm.high),
        "Policy": each.policy_version if same else f"{each.policy_version} (changed since)",
        "Entry": "as written" if entry.intact else "NOT as written",
    }
