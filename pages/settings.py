"""Settings: what the workspace is set to, who may do what, and who has read what."""

import streamlit as st

from workbench.ui import settings

st.title("Settings", anchor=False)
settings.show()
