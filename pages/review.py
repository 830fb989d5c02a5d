"""Review: two answers side by side, judged blind."""

import streamlit as st

from workbench.ui import labelling, scope

st.title("Review", anchor=False)
if chosen := scope.choose(blind=True):
    labelling.show(chosen)
