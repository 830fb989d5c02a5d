"""Roles in the app: what each kind of person is shown, and what a page can't do for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from app_building import Filled, demo_pairs, fill, make_workspace
from app_reading import Visit, fine, plain, said
from identity import sign_in_table
from streamlit.testing.v1 import AppTest

from workbench import access, doctor, ingest, review
from workbench.config import Workspace
from workbench.errors import AccessRefused, ConfigError, EndpointUnreachable, UsageError
from workbench.exporting import Asked, table_bytes
from workbench.records import UNASSIGNED
from workbench.roles import Actor, Grant, Role, all_rights
from workbench.specs import MatchRule
from workbench.store import Store, accesses, pages
from workbench.ui import doorway, gate, jobs, navigation, sign_outs, telling, who
from workbench.ui.answers import quoted
from workbench.ui.queue_tokens import queue_token

As = Callable[..., AppTest]
ADDRESS = "http://127.0.0.1:1"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """Give a workspace in which people sign in, with replayed and compared calls of three tasks."""
    root = tmp_path_factory.mktemp("roles") / "w"
    workspace = make_workspace(root)
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        replays = fill(workspace, store, demo_pairs(80))
        with (root / "workbench.toml").open("a", encoding="utf-8") as file:
            file.write(sign_in_table(ADDRESS, ADDRESS))
        yield Filled(workspace, store, replays)


@pytest.fixture(autouse=True)
def process(monkeypatch: pytest.MonkeyPatch, place: Filled) -> None:
    """Forget afterwards that people sign in, and who has signed out."""
    monkeypatch.setattr(access, "_process", access.Process())
    sign_outs.file_of(place.workspace).unlink(missing_ok=True)


def claims(name: str, **more: Any) -> dict[str, Any]:
    """Return what a provider says of somebody who has just signed in."""
    email = f"{name}@example.com"
    told = {"is_logged_in": True, "email": email, "email_verified": True, "iat": time.time() - 60}
    return told | more


@pytest.fixture
def visit_as(place: Filled, monkeypatch: pytest.MonkeyPatch) -> As:
    """Open a page as somebody whom the provider vouches for."""

    def open_page(user: dict[str, Any], page: str = "overview", **query: str) -> AppTest:
        monkeypatch.setenv("WORKBENCH_WORKSPACE", str(place.workspace.root))
        at = AppTest.from_file(str(Path(review.__file__).parents[1] / "app.py"), default_timeout=60)
        at.secrets["auth"] = {"redirect_uri": ADDRESS, "cookie_secret": "x" * 40}
        at.user = user
        at.run()
        for name, value in query.items():
            at.query_params[name] = value
        if page != "overview":
            at.switch_page(str(navigation.folder() / f"{page}.py"))
            at.run()
        return fine(at)

    return open_page


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ({}, "Sign in to see"),
        ({"is_logged_in": False}, "Sign in to see"),
        ({"is_logged_in": "true", "email": "ada@example.com"}, "Sign in to see"),
        (claims("nora"), "nobody has given you a role"),
        (claims("ada", email_verified=False), "does not say that ada@example.com is yours"),
        (claims("ada", email_verified=None), "does not say that ada@example.com is yours"),
        (claims("ada", iat=time.time() - 13 * 3600), "older than 12 hours"),
        (claims("ada", iat=time.time() + 3600), "older than 12 hours"),
        (claims("ada", iat=None), "does not say when"),
        (claims("ada", iat=10**400), "does not say when"),
        (claims("ada", iat=float("nan")), "does not say when"),
        (claims("ada", email=None), "no e-mail address"),
        (claims("ada", email=["ada@example.com"]), "no e-mail address"),
        (claims("ada", email="ada@example.com\nx"), "no e-mail address"),
    ],
)
def test_who_is_not_let_in_reads_why_and_nothing_else(visit_as: As, user: dict[str, Any], words: str) -> None:
    """No number, no task, no model: a polite page, and every use case refuses besides."""
    at = visit_as(user)
    assert words in said(at)
    assert not at.metric
    assert not at.dataframe
    assert not [each for each in ("triage", "orders", "small") if each in said(at)]


def test_a_viewer_of_one_task_sees_that_task_alone(visit_as: As) -> None:
    """Other tasks are in no list, and a link to one does not open it."""
    at = visit_as(claims("vera"))
    assert "orders" in said(at)
    assert "triage" not in said(at)
    at = visit_as(claims("vera"), "compare", task="triage", candidate="small")
    assert at.selectbox(key="address.task").options == ["orders"]
    assert "triage" not in said(at)
    for page in ("upload", "replays", "traffic", "costs", "settings"):
        at = visit_as(claims("vera"), page)
        assert "rewrite" not in said(at)
        assert all(each.disabled for each in at.button if each.key == "start")


def test_no_button_leads_a_viewer_to_a_page_that_stays_closed(visit_as: As) -> None:
    """Labelling is offered to whoever may label, on cards and beside a case."""

    def offered(who: str) -> tuple[bool, bool]:
        cards = visit_as(claims(who), task="orders")
        case = visit_as(claims(who), "compare", task="orders", candidate="small", verdict="mismatch")
        links = [each.proto.label for each in case.get("page_link")]
        return any((each.key or "").startswith("review-") for each in cards.button), "Open in Review" in links

    assert offered("vera") == (False, False)
    assert offered("ada") == (True, True)


def test_the_map_of_slices_holds_the_tasks_of_whoever_looks(visit_as: As) -> None:
    """Rights on one task are enough for its row, and the page is not refused for the others."""
    at = visit_as(claims("vera"), "slices", task="orders", candidate="small")
    (table,) = [each for each in at.dataframe if "Differ" in each.value and "Task" in each.value]
    assert set(table.value["Task"]) == {"orders"}


def test_a_reviewer_gets_a_desk_under_their_own_name_and_no_numbers(visit_as: As, place: Filled) -> None:
    """The name can't be chosen, conflicts are not offered, and pages with models' names are refused."""
    at = visit_as(claims("rita"), "review", task="rewrite")
    assert not at.text_input
    assert "Label as somebody else" not in said(at)
    assert "Labelling as rita@example.com" in said(at)
    keys = [each.key for each in at.button]
    choice = next(key for key in keys if key and key.startswith("left-"))
    fine(at.button(key=choice).click().run())
    labels = place.store.rows("SELECT DISTINCT annotator FROM labels")
    assert labels == [{"annotator": "rita@example.com"}]
    # A name in the address opens no queue for whoever only labels: they could try one after the other.
    place.store.append("replays", _another(place))
    for name in ("planted", "small"):
        at = visit_as(claims("rita"), "review", task="rewrite", candidate=name)
        assert at.query_params["queue"] == queue_token(place.workspace, "small")
        assert "candidate" not in at.query_params
    for page in ("compare", "ramp", "slices"):
        shown = said(visit_as(claims("rita"), page, task="rewrite", candidate="small"))
        assert "small" not in shown
        assert "%" not in shown
    rules = Workspace.load(place.workspace.root).config.access
    with access.acting(rules.actor("rita@example.com", verified=True)):
        whose = (place.workspace, place.store, "rewrite", "small", "rita@example.com")
        with pytest.raises(AccessRefused):
            review.conflicts(*whose)
        with pytest.raises(AccessRefused, match="not as 'mia'"):
            review.next_item(*whose[:4], "mia")
        with pytest.raises(AccessRefused):
            review.next_item(place.workspace, place.store, "orders", "small", "rita@example.com")
        with pytest.raises(AccessRefused):
            jobs.start(place.workspace, "rewrite", "small", [["replay"]])


def _another(place: Filled) -> list[dict[str, Any]]:
    """Return a replay of the other candidate on the task that is reviewed."""
    (row,) = place.store.rows("SELECT * EXCLUDE seq FROM replays WHERE task = 'rewrite'")
    other = place.workspace.candidate("planted")
    more = {"replay_id": "another", "candidate": "planted"}
    return [row | more | {"candidate_fingerprint": place.workspace.fingerprint(other)}]


def test_a_role_taken_away_counts_from_the_next_click(visit_as: As, place: Filled) -> None:
    """The file is looked at with every question, not with every sign-in."""
    path = place.workspace.root / "workbench.toml"
    before = path.read_text(encoding="utf-8")
    at = visit_as(claims("emil"))
    assert "triage" in said(at)
    try:
        path.write_text(before.replace("emil@example.com", "gone@example.com"), encoding="utf-8")
        assert "nobody has given you a role" in said(fine(at.run()))
        path.write_text(before.split("[sign_in]")[0], encoding="utf-8")
        # Sign-in taken out under a running app opens it to nobody.
        assert "was not started for that" in said(fine(at.run()))
    finally:
        path.write_text(before, encoding="utf-8")


def test_signing_out_ends_the_sign_in_in_every_window(visit_as: As) -> None:
    """A copy of the cookie opens nothing any more, also after the app starts again; a new sign-in does."""
    user = claims("ada")
    at = visit_as(user, "settings")
    at.button(key="settings-sign-out").click().run()
    assert "You have signed out" in said(visit_as(user))
    who._sign_outs.cache_clear()  # All that a process knows of it.
    assert "You have signed out" in said(visit_as(user))
    assert "triage" in said(visit_as(claims("ada", iat=time.time() - 5)))


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Keep what each download button makes at its press, by its key."""
    found: dict[str, Any] = {}

    def button(_label: str, data: Any, *, key: str, **_more: Any) -> bool:
        found[key] = data
        return False

    monkeypatch.setattr("streamlit.download_button", button)
    return found


def pressed(made: Any) -> Any:
    """Return what a press gives, in a thread that belongs to no visit, as Streamlit does it."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(made).result()


def test_a_download_acts_with_the_rights_of_the_press_and_not_of_the_page(
    visit_as: As, place: Filled, downloads: dict[str, Any]
) -> None:
    """A role taken away, or the sign-in ended, since the page was drawn: nothing leaves, nothing is noted."""
    path = place.workspace.root / "workbench.toml"
    before = path.read_text(encoding="utf-8")

    def exported() -> list[tuple[str, str]]:
        kept = accesses.latest(place.store, 1_000)
        return [(each.actor, each.kind) for each in kept if each.kind.startswith("export")]

    user = claims("emil")
    visit_as(user, "compare", task="triage", candidate="small")
    visit_as(user, "ramp", task="triage", candidate="small")
    visit_as(user)
    cases, report, portfolio = (
        downloads[f"{each}"] for each in ("export-cases-csv", "report-md", "portfolio-md")
    )
    assert exported() == [], "a page that is drawn exports nothing"
    assert b"call_id" in pressed(cases)
    assert exported() == [("emil@example.com", accesses.Kind.EXPORT_TABLE)]
    assert "small" in pressed(report)
    assert "triage" in pressed(portfolio)
    try:
        # A viewer of another task alone: of the files on all tasks no more is left than that one.
        path.write_text(
            before.replace(
                'email = "emil@example.com"\nroles = ["engineer"]',
                'email = "emil@example.com"\nroles = ["viewer"]\ntasks = ["orders"]',
            ),
            encoding="utf-8",
        )
        for made in (cases, report):
            with pytest.raises(AccessRefused):
                pressed(made)
        assert "orders" in pressed(portfolio)
        assert "triage" not in pressed(portfolio)
        path.write_text(before.replace("emil@example.com", "gone@example.com"), encoding="utf-8")
        for made in (cases, report, portfolio):
            with pytest.raises(AccessRefused, match="nobody has given you a role"):
                pressed(made)
        path.write_text(before.split("[sign_in]")[0], encoding="utf-8")
        with pytest.raises(AccessRefused):
            pressed(cases)
    finally:
        path.write_text(before, encoding="utf-8")
    assert pressed(cases)
    visit_as(user, "settings").button(key="settings-sign-out").click().run()
    for made in (cases, report, portfolio):
        with pytest.raises(AccessRefused, match="You have signed out"):
            pressed(made)
    old = claims("emil", iat=time.time() - 3600)
    visit_as(old, "compare", task="triage", candidate="small")
    path.write_text(before.replace("[sign_in]", "[sign_in]\nsession_hours = 0.5"), encoding="utf-8")
    try:
        with pytest.raises(AccessRefused, match="older than"):
            pressed(downloads["export-cases-csv"])
    finally:
        path.write_text(before, encoding="utf-8")
    assert len(exported()) == 2


def test_the_page_says_why_a_download_was_refused(
    visit_as: As, place: Filled, downloads: dict[str, Any]
) -> None:
    """The next run of the page says it at its top, each reason once, and then no more."""
    path = place.workspace.root / "workbench.toml"
    before = path.read_text(encoding="utf-8")
    at = visit_as(claims("emil"), "compare", task="triage", candidate="small")
    path.write_text(before.replace('roles = ["engineer"]', 'roles = ["reviewer"]'), encoding="utf-8")
    try:
        for _ in range(2):
            with pytest.raises(AccessRefused):
                pressed(downloads["export-cases-csv"])
    finally:
        path.write_text(before, encoding="utf-8")
    at = fine(at.run())
    assert [each.value for each in at.error] == ["The last download was refused."]
    assert "emil@example.com" in said(at)
    assert not fine(at.run()).error


def test_a_download_that_failed_for_no_reason_of_ours_is_no_dead_end(visit_as: As) -> None:
    """The page's script presses a hidden button then: what to do is said, and where the reason is."""
    at = visit_as(claims("emil"), "compare", task="triage", candidate="small")
    at = fine(at.button(key="downloads-why").click().run())
    (said_so,) = at.error
    assert "Try it again" in said_so.value
    assert not fine(at.run()).error


def test_who_may_not_take_text_out_reads_it_instead_of_a_button(
    visit_as: As, downloads: dict[str, Any]
) -> None:
    """A viewer's cases name the role that it needs; tables of numbers are offered as to everybody."""
    at = visit_as(claims("vera"), "compare", task="orders", candidate="small")
    assert "it needs the role engineer or admin" in said(at)
    assert "export-cases-csv" not in downloads
    visit_as(claims("vera"), "ramp", task="orders", candidate="small")
    assert "export-recommendation-csv" in downloads
    visit_as(claims("emil"), "compare", task="orders", candidate="small")
    assert "export-cases-csv" in downloads


def test_rejected_lines_are_taken_out_at_the_press(
    visit_as: As, place: Filled, downloads: dict[str, Any], tmp_path: Path
) -> None:
    """They hold what a log says: the import notes no export, the press does, for whoever may import then."""
    log = tmp_path / "spoiled.jsonl"
    log.write_text('{"not": "a call"\n', encoding="utf-8")
    rules = Workspace.load(place.workspace.root).config.access
    with access.acting(rules.actor("emil@example.com", verified=True)):
        report = ingest.import_files(place.workspace, place.store, [log], format="openai_chat", task="triage")
    assert report.rejected == 1
    at = visit_as(claims("emil"))
    at.session_state["upload.report"] = report
    at.switch_page(str(navigation.folder() / "upload.py"))
    fine(at.run())
    kind = accesses.Kind.EXPORT_REJECTS
    assert kind not in [each.kind for each in accesses.latest(place.store, 1_000)]
    assert b"not" in pressed(downloads["rejects"])
    assert [each.actor for each in accesses.latest(place.store, 1_000) if each.kind == kind] == [
        "emil@example.com"
    ]


def test_a_look_into_a_log_names_no_task_on_which_one_has_no_right(place: Filled, tmp_path: Path) -> None:
    """Rules of other tasks take no call in the preview, so that nobody learns of them by trying."""
    log = tmp_path / "log.csv"
    log.write_text("id,input,output\n1,route me,a\n", encoding="utf-8")
    space = Workspace.load(place.workspace.root)
    rule = MatchRule(input="route me")
    evals = {
        name: replace(each, match=rule if name in ("orders", "triage") else None, match_any=())
        for name, each in space.evals.items()
    }
    space.__dict__["_evals"] = evals, {}, []

    def tasks(*grants: Grant) -> set[str]:
        with access.acting(Actor("x", frozenset(grants), signed_in=True)):
            look = ingest.preview(space, [log], mapping={"id": "id", "input": "input", "output": "output"})
            return {each.task for each in look.calls}

    assert tasks(Grant(Role.ENGINEER)) == {"orders"}
    assert tasks(Grant(Role.ENGINEER, "triage")) == {"triage"}
    assert tasks(Grant(Role.ENGINEER, "rewrite")) == {UNASSIGNED}


def test_an_admin_reads_who_has_which_role_and_who_read_what(visit_as: As, place: Filled) -> None:
    """A viewer's look at cases is in the log, under their address; its text is not, and no secret is."""
    visit_as(claims("vera"), "compare", task="orders", candidate="small")
    at = visit_as(claims("ada"), "settings")
    tables = "\n".join(each.value.to_csv() for each in at.dataframe)
    assert "vera@example.com,cases,orders," in tables
    assert "rita@example.com,reviewer on rewrite" in tables
    assert "TEST_COOKIE_SECRET" in said(at)
    assert "x" * 40 not in said(at) + tables
    for name in ("vera", "rita", "emil"):
        at = visit_as(claims(name), "settings")
        tables = "\n".join(each.value.to_csv() for each in at.dataframe)
        assert "Who read what" not in said(at)
        assert "rita@example.com" not in tables
    assert accesses.latest(place.store)


def test_the_access_log_and_the_roles_leave_with_admins_alone(
    visit_as: As, place: Filled, downloads: dict[str, Any]
) -> None:
    """All of the log for an admin, a task's for an admin of that task, nothing for anybody else."""
    visit_as(claims("vera"), "compare", task="orders", candidate="small")
    visit_as(claims("emil"), "compare", task="triage", candidate="small")
    downloads.clear()
    visit_as(claims("ada"), "settings")
    log = pressed(downloads["export-accesses-csv"])
    assert b"vera@example.com,true,cases,orders" in log
    assert b",cases,triage" in log
    assert b"rita@example.com,reviewer on rewrite" in pressed(downloads["export-people-csv"])
    path = place.workspace.root / "workbench.toml"
    before = path.read_text(encoding="utf-8")
    mine = '\n[[access.people]]\nemail = "tess@example.com"\nroles = ["admin"]\ntasks = ["orders"]\n'
    try:
        path.write_text(before + mine, encoding="utf-8")
        downloads.clear()
        visit_as(claims("tess"), "settings")
        log = pressed(downloads["export-accesses-orders-csv"])
        assert b"vera@example.com" in log
        assert b"triage" not in log
        assert not {"export-accesses-csv", "export-accesses-triage-csv", "export-people-csv"} & set(downloads)
        rules = Workspace.load(place.workspace.root).config.access
        for name in ("tess", "vera", "emil", "rita"):
            with access.acting(rules.actor(f"{name}@example.com", verified=True)):
                for table, task in (("accesses", None), ("accesses", "triage"), ("people", None)):
                    with pytest.raises(AccessRefused):
                        table_bytes(place.workspace, place.store, table, Asked(task), "csv")
    finally:
        path.write_text(before, encoding="utf-8")
    downloads.clear()
    for name in ("vera", "emil", "rita"):
        visit_as(claims(name), "settings")
    assert not [key for key in downloads if "accesses" in key or "people" in key]


def test_what_is_wrong_with_the_set_up_is_told_to_those_who_may_know_it(visit_as: As, place: Filled) -> None:
    """A file of answers names the model: a reviewer reads that something is wrong, the log says what."""
    root = place.workspace.root
    answers = root / "small.jsonl"
    kept = answers.read_bytes()
    answers.unlink()
    try:
        shown = said(visit_as(claims("rita"), "review", task="rewrite"))
        assert "Something in the set-up of this queue or on the machine is wrong" in shown
        assert not [each for each in ("small", "jsonl", str(root)) if each in shown]
        # Whoever may see names judges blind, too: they have to ask for it.
        at = visit_as(claims("ada"), "review", task="rewrite")
        assert "would name the model" in said(at)
        (told,) = [each for each in at.expander if each.label.startswith("What it says")]
        assert "small.jsonl is not there" in told.text[0].value
        assert "small.jsonl is not there" in said(visit_as(claims("ada"), "compare", task="rewrite"))
    finally:
        answers.write_bytes(kept)
    declared = root / "workbench.toml"
    before = declared.read_text(encoding="utf-8")
    try:
        declared.write_text(before + "\nnonsense = true\n", encoding="utf-8")
        for user in ({}, claims("rita"), claims("nora")):
            shown = said(visit_as(user))
            assert "Something in the set-up or on the machine is wrong" in shown
            assert not [each for each in ("nonsense", str(root)) if each in shown]
    finally:
        declared.write_text(before, encoding="utf-8")


def test_a_message_about_what_one_did_is_no_secret(place: Filled) -> None:
    """It may be read by whoever did it, unless it holds a name of the set-up."""
    space = place.workspace
    for harmless in (
        UsageError("You are judging this pair yourself.", "Go on."),
        AccessRefused("You may not."),
    ):
        assert telling.is_harmless(harmless, space)
    for telling_all in (
        UsageError("The queue of small has no output."),
        UsageError("Wrong.", f"See {space.root}/evals."),
        UsageError("SMALL-MODEL is not small.jsonl"),
        ConfigError("A key is wrong."),
        EndpointUnreachable("A server does not answer."),
    ):
        assert not telling.is_harmless(telling_all, space)
    assert telling.is_harmless(UsageError("It is a smaller one."), space)


def test_every_page_of_the_menu_has_its_rights() -> None:
    """A new page is shown to those who see numbers until it says otherwise."""
    assert set(gate.PAGE_RIGHTS) <= {each.name for each in (*navigation.MENU, navigation.HELP)}


def test_whose_reads_are_shown_is_in_the_address(visit: Visit, filled: Filled) -> None:
    """A link opens the log of one person, as every other filter."""
    with access.acting(all_rights("mia")):
        accesses.exported(filled.store, accesses.Kind.EXPORT_TABLE, "triage", 3)
    at = fine(visit(filled, "settings", person="nobody"))
    assert at.text_input(key="address.person").value == "nobody"
    assert "Nothing yet." in said(at)
    at = fine(at.text_input(key="address.person").set_value("").run())
    assert "person" not in at.query_params
    assert "Nothing yet." not in said(at)


def test_the_checks_of_a_machine_are_said_in_words(
    visit: Visit, empty: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong stands whole, without marks of a command's message; what is well is folded together."""
    found = [
        doctor.Check("python", "ok", "3.11"),
        doctor.Check("vllm", "note", "set `server.python` *first*"),
        doctor.Check("disk", "problem", "full"),
        doctor.Check("store", "ok", "7 calls"),
    ]
    monkeypatch.setattr("workbench.ui.settings.checks", lambda _: found)
    at = fine(fine(visit(empty, "settings")).button(key="settings-check").click().run())
    assert [each.value for each in at.error] == [quoted("disk: full")]
    assert quoted("vllm: set server.python *first*") in [each.value for each in at.info]
    assert "2 checks passed" in [plain(each.label) for each in at.expander]
    assert "python: 3.11\nstore: 7 calls" in [each.value for each in at.text]


def test_at_this_machine_the_name_is_shown_and_can_be_set(visit: Visit, empty: Filled) -> None:
    """It is what the access log calls whoever sits here, in the app and at the terminal."""
    at = fine(visit(empty, "settings"))
    at.text_input(key="settings.name").input("Mia at the desk")
    fine(at.button[0].click().run())
    assert "Mia at the desk" in said(fine(at.run()))
    assert "Nobody signs in" in said(at)


@pytest.mark.parametrize("address", ["192.168.1.7", "10.0.0.5", "2001:db8::1", "no address"])
def test_without_sign_in_a_visit_from_elsewhere_sees_nothing(
    visit: Visit, empty: Filled, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """However the app was started: `streamlit run` listens on every address unless told otherwise."""
    monkeypatch.setattr(type(who.st.context), "ip_address", property(lambda _: address))
    at = fine(visit(empty, "overview"))
    assert "for the machine that it runs on" in said(at)
    assert not at.button


def test_secrets_come_from_variables_and_short_ones_are_refused(
    place: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is missing is named by its variable; no value is in a message."""
    space = Workspace.load(place.workspace.root)
    monkeypatch.delenv("TEST_CLIENT_SECRET", raising=False)
    with pytest.raises(ConfigError, match="TEST_CLIENT_SECRET is not set"):
        doorway.provider_settings(space)
    monkeypatch.setenv("TEST_CLIENT_SECRET", "canary-a")
    monkeypatch.setenv("TEST_COOKIE_SECRET", "canary-b")
    with pytest.raises(ConfigError, match="fewer than 32") as caught:
        doorway.provider_settings(space)
    assert "canary" not in str(caught.value)
    monkeypatch.setenv("TEST_COOKIE_SECRET", "canary-b" * 5)
    found = doorway.provider_settings(space)
    assert found["cookie_secret"] == "canary-b" * 5
    # The demo names no secret: the app's own workspace does, and what it named when the app was started.
    demo = make_workspace(place.workspace.root.parent / "demo")
    monkeypatch.setenv("WORKBENCH_WORKSPACE", str(place.workspace.root))
    for started_for in (space, demo):
        environment = jobs._without_secrets(started_for)
        assert not [key for key, value in environment.items() if "canary" in value]
    monkeypatch.setenv("WORKBENCH_WORKSPACE", str(demo.root))
    assert not [key for key, value in jobs._without_secrets(demo).items() if "canary" in value]
    monkeypatch.setattr(doorway, "_taken", set())
    assert "TEST_COOKIE_SECRET" in jobs._without_secrets(demo), "what nobody calls a secret is handed on"


def test_a_step_for_another_role_is_told_and_nothing_to_press(visit_as: As) -> None:
    """A viewer reads that calls are to be replayed, and by whom; an engineer has the button."""
    at = visit_as(claims("vera"))
    assert "Next: Replay more calls. It needs the role engineer or admin." in said(at)
    assert [each.label for each in at.button if "Replay" in each.label] == []
    at = visit_as(claims("emil"))
    assert "Replay more calls" in [each.label for each in at.button]
    assert not any("Label" in each.label for each in at.button)


def test_ages_are_those_of_the_tasks_that_one_sees(place: Filled) -> None:
    """Who sees one task reads when it was last logged, replayed and labelled, and nothing of others."""
    rules = Workspace.load(place.workspace.root).config.access
    call = place.store.rows("SELECT call_id FROM calls WHERE task = 'triage' LIMIT 1")[0]["call_id"]
    label = {
        "label_id": "elsewhere", "replay_id": place.replays["triage"], "call_id": call, "verdict": "equal",
        "annotator": "bob", "reasons": [], "note": "", "source": "queue", "skipped": False,
        "created_at": datetime.now(UTC),
    }  # fmt: skip
    place.store.append("labels", [label])
    (event,) = place.store.rows(
        "SELECT max(created_at) AS at FROM replay_events WHERE replay_id = ?", (place.replays["orders"],)
    )
    (logged,) = place.store.rows("SELECT max(occurred_at) AS at FROM calls WHERE task = 'orders'")
    with access.acting(rules.actor("vera@example.com", verified=True)):
        seen = pages.freshness(place.store)
        assert (seen.last_call_at, seen.last_replay_at, seen.last_label_at) == (
            logged["at"],
            event["at"],
            None,
        )
        assert pages.freshness(place.store, without=("small",)).last_replay_at is None
    with access.acting(rules.actor("rita@example.com", verified=True)):
        hidden = pages.freshness(place.store)
        assert (hidden.last_call_at, hidden.last_replay_at, hidden.last_label_at) == (None, None, None)
    with access.acting(all_rights("ada")):
        assert pages.freshness(place.store).last_label_at is not None
