"""Capture: an openai client or LiteLLM that also writes a log for `workbench import`.

>>> from workbench.capture import wrap
>>> client = wrap(OpenAI(), "workbench-logs", task="triage")   # doctest: +SKIP

What goes wrong here never reaches the application: it is counted in `CaptureLog.counts()`.
This package needs the standard library alone.
"""

from workbench.capture.clients import wrap
from workbench.capture.litellm_callback import litellm_callback
from workbench.capture.log import CaptureLog
from workbench.capture.tags import tag

__all__ = ["CaptureLog", "litellm_callback", "tag", "wrap"]
