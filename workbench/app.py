"""The router of the app: `workbench app` runs this script for every visit."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from workbench.ui import address, navigation, session, style

ASSETS = Path(__file__).with_name("ui")


def main() -> None:
    """Show the page that the address names."""
    st.set_page_config(page_title="Workbench", page_icon=ASSETS / "icon.svg", layout="wide")
    style.apply()
    st.logo(str(ASSETS / "icon.svg"), size="medium")
    current = st.navigation(navigation.pages(), position="top")
    top = st.container()
    with session.friendly():
        session.begin()
        current.run()
    address.tell(top)


main()
