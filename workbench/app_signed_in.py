"""The app for people who sign in: `workbench app` runs this file where `[sign_in]` is set.

The provider's settings go from `workbench.toml` and the environment into this process alone; no
secret is written to a file.
"""

from __future__ import annotations

import os
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

from workbench.app_server import WORKSPACE_VARIABLE
from workbench.config import Workspace
from workbench.ui.doorway import GuardedCookies, provider_settings

_workspace = Workspace.load(os.environ.get(WORKSPACE_VARIABLE) or Path.cwd())
_settings = provider_settings(_workspace)

app = st.App(
    Path(__file__).with_name("app.py"),
    secrets={"auth": _settings},
    middleware=[Middleware(GuardedCookies, secure=_settings["redirect_uri"].startswith("https://"))],
)
