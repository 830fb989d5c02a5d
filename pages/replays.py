"""Replays: send a sample of calls to a candidate, and watch it work."""

import streamlit as st

from workbench.ui import replays

st.title("Replays", anchor=False)
replays.show()
