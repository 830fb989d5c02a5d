"""Upload: a call log becomes calls, and every line that could not is listed with its reason."""

import streamlit as st

from workbench.ui import upload

st.title("Upload", anchor=False)
upload.show()
