"""Help: the documents that come with the workbench."""

import streamlit as st

from workbench.ui import help as documents

st.title("Help", anchor=False)
documents.show()
