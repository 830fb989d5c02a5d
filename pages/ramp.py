"""Ramp: how much traffic may move, and why not more."""

import streamlit as st

from workbench.ui import decision, scope

st.title("Ramp", anchor=False)
if chosen := scope.choose():
    decision.show(chosen)
