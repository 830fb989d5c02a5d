"""Choices that the address carries, and a browser that has not yet heard of the newest ones."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from workbench.ui import address


def script() -> None:
    """Show two choices that the address carries, and a button."""
    import streamlit as st

    from workbench.ui import address

    address.select("Task", ["a", "b", "c"], name="task")
    address.switch("Similar", name="similar")
    st.button("Again")


@pytest.fixture
def page() -> AppTest:
    """Open the page with nothing in its address."""
    return AppTest.from_function(script).run()


def shown(page: AppTest) -> tuple[str | None, bool, str | None]:
    """Return the task on the page, the switch, and the task of the address."""
    assert not page.exception
    in_address = page.query_params.get("task")
    return page.selectbox[0].value, page.toggle[0].value, in_address[0] if in_address else None


def come_with(page: AppTest, **sent: str) -> AppTest:
    """Let the browser send this address with whatever is done next."""
    page.query_params.clear()
    for name, value in sent.items():
        page.query_params[name] = value
    return page


def choose(page: AppTest, task: str) -> None:
    """Choose a task while the browser's address names none."""
    come_with(page).selectbox[0].set_value(task).run()


def test_a_second_choice_that_comes_with_the_old_address_keeps_the_first(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However late the browser hears of the first, since it says that a widget was moved."""
    monkeypatch.setattr(address, "MOMENT_S", 0.0)
    choose(page, "b")
    come_with(page).toggle[0].set_value(True).run()
    assert shown(page) == ("b", True, "b")


def test_a_button_pressed_within_a_moment_keeps_the_choice(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A button leaves no trace in what widgets hold: there the time since the choice decides."""
    monkeypatch.setattr(address, "MOMENT_S", 3_600.0)
    choose(page, "b")
    come_with(page).button[0].click().run()
    assert shown(page) == ("b", False, "b")


def test_quick_choices_one_after_the_other_all_hold(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser's address may be two choices behind, and catches up one at a time."""
    monkeypatch.setattr(address, "MOMENT_S", 0.0)
    choose(page, "b")
    choose(page, "c")
    assert shown(page)[0] == "c"
    come_with(page, task="b").toggle[0].set_value(True).run()
    assert shown(page) == ("c", True, "c")


@pytest.mark.parametrize("moment_s", [0.0, 3_600.0])
def test_a_step_back_to_the_address_before_is_followed(
    page: AppTest, monkeypatch: pytest.MonkeyPatch, moment_s: float
) -> None:
    """At once where the browser is known to have heard of the choice, after a moment otherwise."""
    monkeypatch.setattr(address, "MOMENT_S", moment_s)
    choose(page, "b")
    if moment_s:
        come_with(page, task="b").button[0].click().run()
    come_with(page).run()
    assert shown(page) == ("a", False, None)
    come_with(page, task="b").run()
    assert shown(page) == ("b", False, "b")


def test_a_link_to_another_value_is_followed_at_once(page: AppTest) -> None:
    """Only an address that the page itself has left can be a late one."""
    choose(page, "b")
    come_with(page, task="c", similar="on").run()
    assert shown(page) == ("c", True, "c")
