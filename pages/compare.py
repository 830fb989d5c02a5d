"""Compare: where the candidate's answers differ from the frontier's, case by case."""

import streamlit as st

from workbench.ui import cases, scope

st.title("Compare", anchor=False)
if chosen := scope.choose():
    cases.show(chosen)
