"""The router of the app: `workbench app` runs this script for every visit."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from workbench.ui import address, downloads, gate, menu, navigation, session, steps, style

ASSETS = Path(__file__).with_name("ui")


def main() -> None:
    """Show the page that the address names, to whoever is let in."""
    # The icon first: until there is one, Streamlit fetches the page's from another host.
    st.set_page_config(page_title="Workbench", page_icon=ASSETS / "icon.svg", layout="wide")
    style.apply()
    steps.join()
    menu.fold()
    st.logo(str(ASSETS / "icon.svg"), size="medium")
    with session.friendly(what=session.NOT_OPENED):
        workspace = session.find()
        actor = gate.admit(workspace)
        if actor is None:
            return
        current = st.navigation(navigation.pages(actor), position="top")
        st.set_page_config(page_title=f"{current.title} · Workbench")
        top = st.container()
        session.begin(workspace)
        name = current.url_path or navigation.MENU[0].name
        address.enter(name)
        if not current.url_path and not gate.opens(name, actor):
            st.switch_page(navigation.page(gate.first(actor)))
        with session.friendly():
            gate.check(name, actor)
            current.run()
        address.tell(top)
        # Review is blind, whatever task it shows.
        with top:
            session.say_left_out(blind=name == "review")
        downloads.say(top, blind=name == "review")
        gate.badge(actor)


main()
