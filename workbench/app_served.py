"""What the app's server runs: the router script, with its own head in every page and guarded answers.

Where people sign in, the provider's settings go from `workbench.toml` and the environment into this process
alone; no secret is written to a file.
"""

from __future__ import annotations

import os
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

from workbench.app_server import WORKSPACE_VARIABLE
from workbench.config import Workspace
from workbench.ui.doorway import GuardedCookies, provider_settings
from workbench.ui.page_head import PageHead

_workspace = Workspace.load(os.environ.get(WORKSPACE_VARIABLE) or Path.cwd())
_settings = None if _workspace.config.sign_in is None else provider_settings(_workspace)
_secure = _settings is not None and _settings["redirect_uri"].startswith("https://")

app = st.App(
    Path(__file__).with_name("app.py"),
    secrets=None if _settings is None else {"auth": _settings},
    middleware=[Middleware(GuardedCookies, secure=_secure), Middleware(PageHead)],
)
