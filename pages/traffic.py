"""Traffic: what we run, what it costs, what could move."""

import streamlit as st

from workbench.ui import traffic

st.title("Traffic", anchor=False)
traffic.show_done()
traffic.show()
