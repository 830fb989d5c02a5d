"""Upload: look into a log before it is imported, then import it with every line accounted for."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from workbench import access, ingest
from workbench.errors import WorkbenchError
from workbench.formats import AUTO, FORMATS, WHERE_PREFIX
from workbench.ingest import ImportReport, Preview
from workbench.normal import last_user_text
from workbench.progress import Progress
from workbench.records import UNASSIGNED
from workbench.roles import Right
from workbench.store import pages
from workbench.ui import answers, corrections, exports, import_told, inbox, navigation, who, words
from workbench.ui.diff import visible
from workbench.ui.heights import counts, table_px
from workbench.ui.session import complain, here, read

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

FILES = "upload.files"
REPORT = "upload.report"
ROUND = "upload.round"
NOT_KEPT = "upload.not-kept"
PREVIEWS = "upload.previews"
PREVIEWS_KEPT = 4
PREVIEW_CALLS = 20
BY_RULES = "by the rules of the evals"
MAPPED = "mapped"
ABREAST = 3
"""So many fields stand beside each other on a desk."""

COUNTS = (
    "Accepted: new calls. Joined: an answer to a call that was there. Rejected: could not be read. "
    "Skipped: nothing to add, such as a call that is stored already. Conflicts: the id of a stored call, "
    "but other words. Blank: empty lines."
)

FIELDS = {
    "input": "Request (text)",
    "messages": "Request (list of messages)",
    "output": "Frontier's answer",
    "system": "System prompt",
    "gold": "Known right answer",
    "id": "Id",
    "time": "Time",
    "end_time": "Time of the answer",
    "session": "Session",
    "model": "Model",
    "latency_ms": "Latency in ms",
    "input_tokens": "Input tokens",
    "output_tokens": "Output tokens",
}


def show() -> None:
    """Ask for files, show what they hold, import them, and report."""
    report: ImportReport | None = st.session_state.get(REPORT)
    if report is not None:
        _report(report)
        return
    paths: list[Path] = [each for each in st.session_state.get(FILES, []) if each.is_file()]
    if not paths:
        _ask()
        _earlier()
        return
    _look(paths)


def _name_a_task() -> str:
    """Say how the calls of a file get a task: where there is none to choose, one is typed."""
    return "Choose a task above" if here().workspace.evals else "Type the name of a task above"


def _ask() -> None:
    st.text("Bring the log of the calls your team already makes. Nothing leaves this machine.")
    if (error := st.session_state.pop(NOT_KEPT, None)) is not None:
        complain(error)
    key = f"upload-{st.session_state.get(ROUND, 0)}"
    with st.container(key="bring-log"):
        st.file_uploader(
            "Call logs: chat and batch files, exports of gateways and of tracing tools, or a table",
            type=list(inbox.TYPES),
            accept_multiple_files=True,
            max_upload_size=inbox.MAX_MB,
            key=key,
            on_change=_take,
            args=(key,),
        )
    with st.expander(f"Above {inbox.MAX_MB} MB: by command, read where it lies", icon=":material/terminal:"):
        st.text("Import it on the machine where the workbench runs; nothing is copied there:")
        st.code(
            f"workbench import FILE --workspace {shlex.quote(str(here().workspace.root))}",
            language=None,
            wrap_lines=True,
        )


def _take(key: str) -> None:
    """Copy what the browser sent to disk, and let go of it: Streamlit holds uploads in memory."""
    sent = st.session_state.get(key)
    if sent:
        # A slow browser may say twice that a file has come: no copy stays that nothing points to.
        inbox.drop(st.session_state.pop(FILES, []))
        try:
            st.session_state[FILES] = inbox.keep(here().workspace, sent)
        except WorkbenchError as error:
            st.session_state[NOT_KEPT] = error
        st.session_state[ROUND] = st.session_state.get(ROUND, 0) + 1


def _start_over() -> None:
    inbox.drop(st.session_state.pop(FILES, []))
    st.session_state.pop(REPORT, None)
    st.session_state.pop(PREVIEWS, None)


def _look(paths: list[Path]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        names = ", ".join(f"{each.name} ({words.size(each.stat().st_size)})" for each in paths)
        st.text(names)
        st.button("Choose other files", key="upload-again", type="tertiary", on_click=_start_over)
    options = _options()
    chosen_format = options.pop("format")
    mapping: dict[str, str] = {}
    try:
        look = _previewed(paths, chosen_format, options["task"])
        if look.format == MAPPED:
            mapping = _mapping(look)
            if "input" in mapping or "messages" in mapping:
                look = _previewed(paths, MAPPED, options["task"], mapping)
    except WorkbenchError as error:
        complain(inbox.as_sent(error, paths))
        return
    _preview(look)
    ready = look.format != MAPPED or "input" in mapping or "messages" in mapping
    if not ready:
        st.info(
            "Say which column holds the request, then the preview appears.", icon=":material/arrow_upward:"
        )
    if st.button("Import", type="primary", icon=":material/download_done:", key="import", disabled=not ready):
        # As chosen, not as the first file looked: each file, and each of its lines, may be of another format.
        _import(paths, chosen_format, mapping, options)


def _previewed(
    paths: list[Path], chosen: str, task: str | None, mapping: dict[str, str] | None = None
) -> Preview:
    """Look into the files, in a process that takes its time to start: once for each way to read them."""
    now = here()
    asked = (now.signature, access.current().key, [str(each) for each in paths], chosen, task, mapping)
    known: list[tuple[Any, Preview]] = st.session_state.setdefault(PREVIEWS, [])
    found = next((look for key, look in known if key == asked), None)
    if found is None:
        found = ingest.preview(
            now.workspace, paths, format=chosen, task=task, mapping=mapping, limit=PREVIEW_CALLS
        )
        st.session_state[PREVIEWS] = [*known, (asked, found)][-PREVIEWS_KEPT:]
    return found


def _options() -> dict[str, Any]:
    workspace = here().workspace
    one, two, three = st.columns(3)
    chosen_format = one.selectbox(
        "Format",
        [AUTO, *FORMATS],
        format_func=lambda each: "detect" if each == AUTO else each.replace("_", " "),
        key="upload-format",
    )
    task = two.selectbox(
        "Task",
        [
            *([BY_RULES] if access.may(Right.IMPORT) else []),
            *(each for each in sorted(workspace.evals) if access.may(Right.IMPORT, each)),
        ],
        accept_new_options=True,
        key="upload-task",
        help="The named kind of request these calls belong to. A new name can be typed.",
    )
    logged = three.number_input(
        "Share of traffic in this log, %",
        min_value=0.01,
        max_value=100.0,
        value=None,
        placeholder="unknown",
        key="upload-rate",
        help="Without it no figure per day is shown: the log could be all of the traffic or a hundredth.",
    )
    redact = st.checkbox(
        "Replace personal data before it is stored",
        key="upload-redact",
        help="E-mail, phone, card, IBAN and IP numbers and keys become placeholders. "
        "It detects and does not guarantee; candidates are then asked with the placeholders.",
    )
    source = st.text_input(
        "Source",
        key="upload-source",
        placeholder="the task and the format",
        help="The name of this export. The same id in two sources is two calls; give one name to logs of one "
        "service, and another to each service that numbers its calls by itself.",
        width=320,
    )
    return {
        "format": chosen_format or AUTO,
        "source": source.strip() or None,
        "task": None if task in (None, BY_RULES) else str(task).strip(),
        "sampling_rate": logged / 100 if logged else None,
        "redact": redact,
    }


def _mapping(look: Preview) -> dict[str, str]:
    """Let a person say which column holds what; the suggestion stands at first."""
    st.header("Which column holds what", anchor=False)
    samples = {each.name: each.samples for each in look.columns}
    chosen: dict[str, str] = {}
    for index, (field, label) in enumerate(FIELDS.items()):
        if index % ABREAST == 0:
            # Row by row: on a telephone, where columns stand below each other, the order stays.
            columns = st.columns(ABREAST)
        suggested = look.mapping.get(field)
        names = [*samples, *([suggested] if suggested and suggested not in samples else [])]
        value = columns[index % ABREAST].selectbox(
            label,
            names,
            index=names.index(suggested) if suggested in names else None,
            placeholder="not in this file",
            format_func=lambda each: _with_sample(each, samples),
            accept_new_options=True,
            key=f"map-{field}",
            help="A column, or a path into nested values such as response.choices[0].text.",
        )
        if value:
            chosen[field] = str(value)
    left = {
        field: column
        for field, column in look.mapping.items()
        if field not in FIELDS and not field.startswith(WHERE_PREFIX)
    }
    _, *free = columns  # The last field stands alone in its row.
    return chosen | left | _condition(look, samples, *free)


def _condition(
    look: Preview, samples: dict[str, list[str]], left: DeltaGenerator, right: DeltaGenerator
) -> dict[str, str]:
    """Let a person say which rows are calls, where a file holds others, too."""
    suggested = next((field for field in look.mapping if field.startswith(WHERE_PREFIX)), None)
    place = suggested.removeprefix(WHERE_PREFIX) if suggested else None
    names = [*samples, *([place] if place and place not in samples else [])]
    chosen = left.selectbox(
        "Only rows where",
        names,
        index=names.index(place) if place in names else None,
        placeholder="all rows are calls",
        format_func=lambda each: _with_sample(each, samples),
        accept_new_options=True,
        key="map-where",
        help="A column, or a path into nested values such as span_attributes.type.",
    )
    if not chosen:
        return {}
    wanted = right.text_input(
        "Holds",
        look.mapping[suggested] if suggested and chosen == place else "",
        # Another column holds other things.
        key=f"map-where-value-{chosen}",
        help="Rows that hold something else are skipped and counted. Between several values stands a |.",
    )
    if not wanted.strip():
        right.caption("No value is named: all rows are taken.")
        return {}
    return {WHERE_PREFIX + str(chosen): wanted.strip()}


def _with_sample(name: str, samples: dict[str, list[str]]) -> str:
    first = next((each for each in samples.get(name, []) if each.strip()), "")
    shown = visible(" ".join(first.split()))[:30]
    return f"{visible(name)}: {shown}" if shown else visible(name)


def _preview(look: Preview) -> None:
    st.header("What it holds", anchor=False)
    if look.format == MAPPED:
        st.text("Read by the columns above." if look.calls else visible(f"Not read yet: {look.because}."))
    else:
        st.text(visible(f"Read as {look.format.replace('_', ' ')}: {look.because}."))
    for each in look.others if look.format != MAPPED else ():
        st.text(visible(f"{each.file} is read as {each.format.replace('_', ' ')}: {each.because}."))
    if look.calls:
        st.dataframe(
            pd.DataFrame(
                [
                    (
                        each.occurred_at,
                        each.task,
                        _short(last_user_text(each.request.messages)),
                        _short(answers.output_text(each.control)),
                        visible(", ".join(words.told(mark, words.MARKS) for mark in each.marks)),
                    )
                    for each in look.calls
                ],
                columns=["Time", "Task", "Request", "Frontier", "Marks"],
            ),
            hide_index=True,
            lazy=False,
            placeholder="–",
            height=table_px(len(look.calls), 10),
            column_config={"Time": st.column_config.DatetimeColumn("Time (UTC)", format="YYYY-MM-DD HH:mm")},
            alt=f"The first {len(look.calls)} calls of the file.",
        )
        if all(each.task == UNASSIGNED for each in look.calls):
            st.warning(
                f"These calls belong to no task yet. {_name_a_task()}, or give an eval.toml a match rule.",
                icon=":material/label_off:",
            )
    if look.rejects:
        st.caption("Lines that can't be read:")
        _rejects(look.rejects)


def _short(text: str | None) -> str:
    return visible(" ".join((text or "").split())[:300])


def _rejects(rejects: list[Any]) -> None:
    st.dataframe(
        pd.DataFrame(
            [(visible(each.file), each.line, visible(each.reason), _short(each.snippet)) for each in rejects],
            columns=["File", "Line", "Reason", "Begins with"],
        ),
        hide_index=True,
        lazy=False,
        height=table_px(len(rejects), 10),
        column_config=counts("Line"),
        alt=f"{len(rejects)} lines that could not be read, with reasons.",
    )


def _import(paths: list[Path], chosen: str, mapping: dict[str, str], options: dict[str, Any]) -> None:
    now = here()
    bar, pace = st.progress(0.0, text="Reading"), import_told.Pace()

    def listen(progress: Progress) -> None:
        share = progress.done / progress.total if progress.total else 0.0
        bar.progress(min(1.0, share), text=pace(progress))

    try:
        report = ingest.import_files(
            now.workspace,
            now.store,
            paths,
            format=chosen,
            mapping=mapping or None,
            listener=listen,
            **options,
        )
    except WorkbenchError as error:
        bar.empty()
        complain(inbox.as_sent(error, paths))
        return
    st.session_state[REPORT] = report
    inbox.drop(st.session_state.pop(FILES, []))
    st.rerun()


def _report(report: ImportReport) -> None:
    added = report.accepted + report.joined
    if added:
        st.success(f"{words.counted(report.accepted, 'call')} imported.", icon=":material/task_alt:")
    else:
        st.warning("Nothing new was imported; the counts say why.", icon=":material/info:")
    parts = ("accepted", "joined", "rejected", "skipped", "conflicts", "blank")
    equation = " + ".join(f"{getattr(report, each):,} {each}" for each in parts)
    with st.container(border=True, key="import-report"):
        st.text(f"{words.counted(report.records, 'record')} = {equation}", help=COUNTS)
        import_told.details(report)
    if report.others_in_conflict:
        st.warning(
            "Conflicting records carry the id of another call but say something else. "
            "Both sides are kept out of every comparison until that is resolved.",
            icon=":material/warning:",
        )
    if report.rejects:
        _rejects(report.rejects)
    with st.container(horizontal=True):
        _next(report)
        if report.rejected:
            store = here().store
            st.download_button(
                "Download the rejected lines",
                who.at_the_press(lambda: ingest.rejects_csv(store, report)),
                file_name="rejects.csv",
                mime="text/csv",
                icon=":material/download:",
                key="rejects",
                on_click="ignore",
            )
        if report.conflicts and access.may(Right.IMPORT):
            # They stand on this page's first view.
            st.button(
                "Say which is right", icon=":material/compare_arrows:", key="conflicts", on_click=_start_over
            )
        st.button("Upload another", key="another", on_click=_start_over)


def _next(report: ImportReport) -> None:
    """Offer what comes next: a replay, or a look at the calls where no eval says yet how to compare them."""
    known = [each for each in report.tasks if each in here().workspace.evals]
    if known or (here().workspace.evals and not report.tasks):
        if st.button("Start a replay", type="primary", icon=":material/play_circle:", key="next-replay"):
            _start_over()
            st.switch_page(navigation.page("replays"), query_params={"task": known[0]} if known else None)
    elif st.button(
        "Make it a task",
        type="primary",
        icon=":material/analytics:",
        key="next-traffic",
        help="Traffic shows what these calls are, and drafts the eval that says how answers are compared.",
    ):
        _start_over()
        st.switch_page(navigation.page("traffic"))


def _earlier() -> None:
    found = read(pages.imports)
    corrections.show(found)
    if not found:
        return
    st.header("Imports so far", anchor=False)
    st.dataframe(
        pd.DataFrame(
            [
                (
                    each.created_at,
                    visible(", ".join(each.files)),
                    visible(each.task or "by rules"),
                    each.format.replace("_", " "),
                    each.report.get("records", 0),
                    each.report.get("accepted", 0),
                    each.report.get("rejected", 0),
                    sum(each.report.get(name, 0) for name in ("joined", "skipped", "conflicts", "blank")),
                )
                for each in found
            ],
            columns=["When (UTC)", "Files", "Task", "Format", "Records", "Accepted", "Rejected", "Other"],
        ),
        hide_index=True,
        lazy=False,
        height=table_px(len(found)),
        column_config={
            "When (UTC)": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
            **counts(
                *("Records", "Accepted", "Rejected"),
                Other="Here already, joined to others, no calls, blank, or in conflict with a stored call.",
            ),
        },
        alt=f"The last {len(found)} imports.",
    )
    with st.container(horizontal=True):
        exports.offer("imports", label="Export imports")
        if any(each.report.get("rejected") for each in found):
            exports.offer("rejects", label="Export rejected lines")
