"""Costs: now, at a share on a small model, and where a GPU of one's own pays."""

import streamlit as st

from workbench.ui import costs

st.title("Costs", anchor=False)
costs.show()
