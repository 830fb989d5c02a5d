"""Slices: in which parts of its traffic a candidate does worst, and a rule that keeps them away from it."""

import streamlit as st

from workbench.ui import found, scope

st.title("Slices", anchor=False)
if chosen := scope.choose():
    found.show(chosen)
