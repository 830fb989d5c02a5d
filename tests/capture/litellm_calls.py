"""Calls through LiteLLM with the capture callback; runs in an environment that has LiteLLM.

Usage: litellm_calls.py GOOD_URL REFUSING_URL LOG_FOLDER
"""

import asyncio
import contextlib
import json
import sys
import time

import litellm

from workbench.capture import CaptureLog, litellm_callback

good, refusing, folder = sys.argv[1:4]
log = CaptureLog(folder)
litellm.callbacks = [litellm_callback(log, task="orders")]
litellm.suppress_debug_info = True
TOOLS = [{"type": "function", "function": {"name": "find_order", "parameters": {"type": "object"}}}]
KEY = "sk-canary-4f9d8e7c6b5a"


def options(text: str, url: str = good) -> dict:
    return {
        "model": "openai/m", "api_base": url, "api_key": KEY, "messages": [{"role": "user", "content": text}],
        "metadata": {"session_id": f"s-{text}", "tenant": "acme", "headers": {"authorization": KEY}},
        "max_retries": 0,
    }  # fmt: skip


async def main() -> None:
    await litellm.acompletion(**options("async"))
    async for _ in await litellm.acompletion(**options("async stream"), stream=True):
        pass
    with contextlib.suppress(litellm.BadRequestError):
        await litellm.acompletion(**options("async refused", refusing))
    await litellm.aresponses(model="openai/m", input="async response", api_base=good, api_key=KEY)
    await asyncio.sleep(1)


litellm.completion(**options("sync"), temperature=0.5)
litellm.completion(**options("tools"), tools=TOOLS)
for _ in litellm.completion(**options("stream"), stream=True):
    pass
with contextlib.suppress(litellm.BadRequestError):
    litellm.completion(**options("refused", refusing))
litellm.responses(model="openai/m", input="response", instructions="be short", api_base=good, api_key=KEY)
asyncio.run(main())

end = time.monotonic() + 20
while time.monotonic() < end and log.counts()["written"] < 9:
    time.sleep(0.1)
time.sleep(0.5)
log.flush()
print("COUNTS " + json.dumps(log.counts()))
