"""Settings: who you are, what the workspace is set to, who may do what, and who has read what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from workbench import access
from workbench.config import CONFIG_NAME
from workbench.doctor import Check
from workbench.errors import WorkbenchError
from workbench.local_name import local_name, set_local_name
from workbench.roles import Actor, Right, described
from workbench.settings import Settings, StoreSetting, access_log, checks, settings
from workbench.ui import address, answers, exports, navigation, who, words
from workbench.ui.diff import visible
from workbench.ui.heights import counts, metric, metrics, table_px, told_columns
from workbench.ui.scope import ADD_CANDIDATE, named
from workbench.ui.session import ask, complain, here

LOG_SHOWN = 200
CHECKED = "settings.checks"
NAME = "settings.name"
OLD_PRICE_DAYS = 180
"""A price table older than half a year is worth a look: providers change prices about that often."""


def show() -> None:
    """Show what the visitor may know; every part says nothing rather than too much."""
    actor = access.current()
    found = ask(settings)
    _what(found)
    _you(actor)
    _evals(found)
    _candidates(found)
    _prices(found)
    if found.store is not None:
        _store(found.store)
    if actor.may(Right.OVERSEE):
        _people(found)
    if actor.may_somewhere(Right.OVERSEE):
        _log()
    if actor.may(Right.OVERSEE) or actor.may(Right.REPLAY):
        _checks()


def _what(found: Settings) -> None:
    """Say how much is declared; what the visitor may not know of is left out, and not told as none."""
    declared = (
        (found.evals, "task", "tasks"),
        (found.candidates, "candidate", "candidates"),
        (found.prices, "model with a price", "models with a price"),
    )
    if told := [words.counted(len(each), one, many) for each, one, many in declared if each]:
        st.caption(f"{' · '.join(told)}, as {CONFIG_NAME} and the files of the tasks say.")


def _you(actor: Actor) -> None:
    st.header("You", anchor=False)
    if actor.signed_in:
        st.text(f"Signed in as {visible(actor.name)}: {visible(described(actor.grants))}.")
        st.caption("Your labels and what you read are kept under this address.")
        if st.button("Sign out", icon=":material/logout:", key="settings-sign-out"):
            who.sign_out()
        return
    st.text(f"At this machine as {visible(actor.name)}, with every right: nobody signs in here.")
    with st.form("local-name", width=460, border=False):
        typed = st.text_input(
            "Your name in the access log",
            value=local_name(here().workspace),
            max_chars=access.MAX_NAME_CHARS,
            key=NAME,
            help="Kept beside the store. Leave it empty for the login name of this machine.",
        )
        if st.form_submit_button("Save the name", icon=":material/badge:"):
            try:
                name = set_local_name(here().workspace, typed or "")
            except WorkbenchError as error:
                complain(error)
            else:
                st.toast(answers.quoted(f"You are {name} from now on."))


def _evals(found: Settings) -> None:
    st.header("Tasks", anchor=False)
    if not found.evals:
        st.caption(
            "No task that you may see has an eval yet."
            if access.current().signed_in
            else "No task has an eval yet: evals/TASK/eval.toml says how answers are compared. Traffic "
            "drafts one from the calls."
        )
        return
    _table(
        [
            {
                "Task": each.task,
                "Kind": each.kind.replace("_", " "),
                "Tolerance": words.percent(each.tolerance),
                "Data may go": "to external endpoints" if each.allowed_zone == "external" else "inside alone",
                "Evaluator": each.evaluator_version[:12],
                "Guidelines": words.guidelines(each.guideline_version),
            }
            for each in found.evals
        ],
        "settings-evals",
        "Tasks with the version of what compares them",
    )
    exports.offer("tasks")


def _candidates(found: Settings) -> None:
    if not found.candidates:
        # Whoever signs in may lack the right to know of them.
        if not access.current().signed_in:
            st.header("Candidates", anchor=False)
            st.caption("No small model is declared yet:")
            st.code(ADD_CANDIDATE, language=None, wrap_lines=True)
        return
    st.header("Candidates", anchor=False)
    names = {each.name: named(each) for each in here().workspace.config.candidates}
    _table(
        [
            {
                "Candidate": names.get(each.name, each.name),
                "Engine": each.engine,
                "Model": each.model or "",
                "Host": each.host or "this machine",
                "Zone": each.zone,
                "Gets data of": ", ".join(each.open_to) or "no task",
                "Refused for": ", ".join(each.closed_to),
                "Key": _key(each.key_variable, each.key_set),
                "Fingerprint": each.fingerprint or each.problem,
            }
            for each in found.candidates
        ],
        "settings-candidates",
        "Candidates, where they run, and which tasks' data may go there",
    )
    st.caption("Data of a task goes to an external endpoint only where its eval.toml says so.")
    exports.offer("candidates")


def _key(variable: str | None, is_set: bool | None) -> str:
    if variable is None:
        return "none needed"
    return f"{variable}: {'set' if is_set else 'not set'}"


def _prices(found: Settings) -> None:
    if not found.prices:
        return
    st.header("Prices", anchor=False)
    _table(
        [
            {
                "Model": each.model,
                "As of": f"{each.as_of:%Y-%m-%d}",
                "Age": words.counted(each.age_days, "day"),
                "Source": each.source,
            }
            for each in found.prices
        ],
        "settings-prices",
        "Prices with their date and source",
    )
    if any(each.age_days > OLD_PRICE_DAYS for each in found.prices):
        st.caption(f"Some are older than {OLD_PRICE_DAYS} days: savings rest on them.")
    exports.offer("prices")


def _store(found: StoreSetting) -> None:
    st.header("Store", anchor=False)
    with metrics("store"):
        metric("Calls", words.count(found.calls))
        metric("File", _bytes(found.size_bytes))
        metric("Waiting to be loaded", _bytes(found.spool_bytes))
        metric("Copies from before updates", f"{found.backups} ({_bytes(found.backup_bytes)})")
        metric("Free on the disk", _bytes(found.free_bytes))
        metric(
            "Schema",
            str(found.schema),
            help="The version of the tables; an older store is brought up to date when it is opened.",
        )
    if not found.calls:
        st.caption("Nothing is imported yet: Upload takes a log.")
        navigation.link("upload", "Upload a log", icon=":material/upload_file:")
    if found.quarantined:
        st.warning(
            f"{words.counted(found.quarantined, 'part')} could not be loaded and lie in quarantine.",
            icon=":material/report:",
        )


def _bytes(size: int) -> str:
    if size < 1_000_000:
        return f"{size / 1_000:,.0f} kB"
    return f"{size / 1_000_000:,.1f} MB" if size < 1_000_000_000 else f"{size / 1_000_000_000:,.1f} GB"


def _people(found: Settings) -> None:
    st.header("People", anchor=False)
    if found.sign_in is None:
        st.caption("Nobody signs in: the app is for this machine alone.")
        navigation.link("help", "How to open it to others", icon=":material/help:", about="sign-in")
        return
    st.text(
        f"Sign-in by {visible(found.sign_in.provider)}; "
        f"anew after {found.sign_in.session_hours:g} hours. Address: {visible(found.sign_in.redirect_uri)}"
    )
    missing = [name for name, is_set in found.sign_in.variables.items() if not is_set]
    if missing:
        st.warning(f"Not set: {', '.join(missing)}", icon=":material/key_off:")
    if found.people:
        _table(
            [{"Who": each.who, "Roles": each.roles} for each in found.people],
            "settings-people",
            "Who has which roles",
        )
        exports.offer("people")
    else:
        st.caption("Nobody has a role yet.")
    st.caption(f"Roles stand in {CONFIG_NAME}; a change counts from the next click.")


def _log() -> None:
    st.header(
        "Who read what", anchor=False, help="Views and exports of the text of calls; never the text itself."
    )
    person = address.text(
        "Of one person", name="person", placeholder="everybody", width=300, limit=access.MAX_NAME_CHARS
    )
    now = here()
    found = access_log(now.workspace, now.store, limit=LOG_SHOWN, actor=person or None)
    if not found:
        st.caption("Nothing yet.")
        return
    _table(
        [
            {
                "When (UTC)": f"{each.created_at:%Y-%m-%d %H:%M:%S}",
                "Who": each.actor if each.signed_in else f"{each.actor} (this machine)",
                "What": each.kind,
                "Task": each.task or "",
                "Calls": each.calls,
            }
            for each in found
        ],
        "settings-log",
        f"The newest {len(found)} views and exports of the text of calls",
    )
    if len(found) == LOG_SHOWN:
        st.caption(f"The newest {LOG_SHOWN}. A file holds all of it.")
    _log_exports(person)


def _log_exports(person: str) -> None:
    """Offer the log as a file: whole to who oversees everything, else task by task."""
    filters = {"who": person}
    if access.may(Right.OVERSEE):
        exports.offer("accesses", filters=filters)
        return
    for task in here().workspace.evals:
        if access.may(Right.OVERSEE, task):
            exports.offer(
                "accesses",
                task=task,
                filters=filters,
                key=f"accesses-{task}",
                label=visible(f"Export {task}"),
            )


def _checks() -> None:
    st.header("This machine", anchor=False)
    if st.button("Run the checks", icon=":material/health_and_safety:", key="settings-check"):
        st.session_state[CHECKED] = checks(here().workspace)
    found: Sequence[Check] = st.session_state.get(CHECKED) or ()
    for each in found:
        # Commands say backticks around what is typed; here nothing would make code of them.
        said = answers.quoted(f"{each.name}: {each.message}".replace("`", ""))
        if each.state == "problem":
            st.error(said, icon=":material/error:")
        elif each.state == "note":
            st.info(said, icon=":material/info:")
    passed = [each for each in found if each.state == "ok"]
    if passed:
        with st.expander(f"{words.counted(len(passed), 'check')} passed", icon=":material/check_circle:"):
            st.text("\n".join(f"{visible(each.name)}: {visible(each.message)}" for each in passed))


def _table(rows: list[dict[str, Any]], key: str, alt: str) -> None:
    frame = pd.DataFrame(rows).map(lambda each: visible(each) if isinstance(each, str) else each)
    st.dataframe(
        frame,
        hide_index=True,
        lazy=False,
        height=table_px(len(frame), 12),
        key=key,
        column_config={**told_columns(frame), **counts(*frame.select_dtypes("number"))},
        alt=f"{alt}: {len(frame)} rows.",
    )
