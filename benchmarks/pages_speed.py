"""Measure the app with a million comparisons in the store: first content, and the questions that pages ask.

Run from the repository: python benchmarks/pages_speed.py WORKSPACE [--users 4] [--rounds 2]
WORKSPACE is what benchmarks/page_queries.py made. Visitors open every page in Chromium, first one alone, then
several at once while a replay against a stub writes to the store. Bars: first content within 1 s; 95 % of
the questions answered within 150 ms alone and within 500 ms with four visitors and a replay.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import measures  # noqa: F401 - the helpers of the tests, too
from playwright.sync_api import Page, sync_playwright
from replay_world import candidate_toml
from review_keys import CHROMIUM, FLAGS, free_port, served
from servers import serving

from workbench.stats.percentiles import nearest_rank

NOTING = """(() => {
    const seen = new MutationObserver(() => {
        if (!document.querySelector('[data-testid="stMain"] h1')) return;
        seen.disconnect();
        requestAnimationFrame(() => { window.firstContentMs = performance.now(); });
    });
    seen.observe(document, {childList: true, subtree: true});
})()"""
"""Notes when a page's title is drawn, which each page begins with, in ms since it was asked for. Asking from
outside would wait until the browser has drawn the charts, too."""
STOPPED = """() => {
    const app = document.querySelector('[data-test-script-state]');
    return app && app.getAttribute('data-test-script-state') === 'notRunning';
}"""
WAIT_MS = 120_000
FIRST_CONTENT_MS = 1_000
ALONE_MS, TOGETHER_MS = 150, 500
QUERY = "task=triage&candidate=small"
CONFIG, WRITER, STARTING_S = "workbench.toml", "writer", 15.0
PAGES = ("overview", "traffic", "replays", "compare", "slices", "ramp", "costs", "upload")


def visit(page: Page, url: str) -> tuple[float, float]:
    """Open a page; return the milliseconds until its first content, and until all of it stands."""
    began = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_function(STOPPED, timeout=WAIT_MS)
    all_ms = 1000 * (time.perf_counter() - began)
    first_ms = page.wait_for_function("() => window.firstContentMs", timeout=WAIT_MS).json_value()
    return float(first_ms), all_ms


@contextlib.contextmanager
def browsing() -> Iterator[Page]:
    """Give a page of a browser that has never seen the app."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(WAIT_MS)
        page.add_init_script(NOTING)
        yield page
        browser.close()


def tour(url: str, rounds: int, found: list[tuple[str, float, float]]) -> None:
    """Open every page so many times, in a browser of one's own, after a first look at the app."""
    with browsing() as page:
        visit(page, f"{url}/settings")
        for _ in range(rounds):
            for name in PAGES:
                first_ms, all_ms = visit(page, f"{url}/{name}?{QUERY}")
                found.append((name, first_ms, all_ms))


def first_looks(url: str, folder: Path) -> None:
    """Tell what the first page costs a new browser, beside a page of Streamlit that holds its title alone.

    Most of it is the browser's own: it compiles what it shows pages with, once for each address.
    """
    with browsing() as page:
        ours_ms, _ = visit(page, f"{url}/overview?{QUERY}")
    script = folder / "empty.py"
    script.write_text("import streamlit\nstreamlit.title('Empty')\n", encoding="utf-8")
    bare = ["-m", "streamlit", "run", str(script), "--server.port", str(port := free_port())]
    bare += ["--server.headless=true", "--browser.gatherUsageStats=false", "--server.fileWatcherType=none"]
    with served([sys.executable, *bare], port, folder) as empty, browsing() as page:
        bare_ms, _ = visit(page, empty)
    print(f"      first page of a new browser {ours_ms:.0f} ms; of an empty Streamlit app {bare_ms:.0f} ms")


def told(
    name: str,
    visits: list[tuple[str, float, float]],
    log: Path,
    since: int,
    bar_ms: float,
    first_bar_ms: float | None = None,
) -> int:
    """Print what a round of visits took, and return how many questions the log holds now."""
    lines = log.read_text(encoding="utf-8").splitlines()
    asked: list[dict[str, Any]] = [json.loads(line) for line in lines[since:]]
    times = [each["ms"] for each in asked]
    first = [each[1] for each in visits]
    p95 = nearest_rank(times, 0.95) or 0.0
    slow = nearest_rank(first, 0.95) or 0.0
    ok = {True: "ok   ", False: "BELOW"}
    print(
        f"{ok[p95 <= bar_ms]} {name}: 95 % of {len(times)} questions within {p95:.0f} ms "
        f"(at most {bar_ms:g}), median {statistics.median(times):.1f} ms"
    )
    # Several browsers share the cores with the app here: what they draw says little of it.
    mark, most = (
        ("     ", "") if first_bar_ms is None else (ok[slow <= first_bar_ms], f" (at most {first_bar_ms:g})")
    )
    print(f"{mark} {name}: first content p95 {slow:.0f} ms{most}, median {statistics.median(first):.0f} ms")
    for page in PAGES:
        mine = [each for each in visits if each[0] == page]
        shown = ", ".join(f"{each[1]:.0f}/{each[2]:.0f}" for each in mine)
        print(f"      {page}: first content / all of it in ms: {shown}")
    worst = sorted(asked, key=lambda each: -each["ms"])[:8]
    print("      slowest: " + ", ".join(f"{each['question']} {each['ms']:.0f} ms" for each in worst))
    return len(lines)


@contextlib.contextmanager
def writing(place: Path) -> Iterator[None]:
    """Replay a task against a stub that answers some hundred calls a second, until the block ends."""
    with serving() as server:
        text = (place / CONFIG).read_text(encoding="utf-8")
        keys = {"engine": "openai", "base_url": server.url("slow"), "model": "m", "concurrency": 4}
        mine = candidate_toml(WRITER, **keys)
        (place / CONFIG).write_text(
            text.split(f'[[candidates]]\nname = "{WRITER}"')[0] + mine, encoding="utf-8"
        )
        command = [sys.executable, "-m", "workbench", "replay", "--workspace", str(place), "--new"]
        command += ["--task", "rewrite", "--candidate", WRITER]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
        time.sleep(STARTING_S)
        try:
            yield
            if child.poll() is not None:
                raise SystemExit("The replay ended before the visitors had seen every page.")
        finally:
            child.terminate()
            child.wait(60)
            (place / CONFIG).write_text(text, encoding="utf-8")


def main() -> None:
    """Measure one visitor, then several beside a replay."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--users", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    place = given.workspace.resolve()
    log = place / "questions.jsonl"
    log.write_text("", encoding="utf-8")
    os.environ["WORKBENCH_QUERY_LOG"] = str(log)
    app = [
        sys.executable,
        "-m",
        "workbench",
        "app",
        "--workspace",
        str(place),
        "--port",
        str(port := free_port()),
    ]
    with served(app, port, place) as url:
        visits: list[tuple[str, float, float]] = []
        tour(url, given.rounds, visits)
        since = told("alone", visits, log, 0, ALONE_MS, FIRST_CONTENT_MS)
        first_looks(url, place)
        since = len(log.read_text(encoding="utf-8").splitlines())
        with writing(place):
            together: list[list[tuple[str, float, float]]] = [[] for _ in range(given.users)]
            threads = [threading.Thread(target=tour, args=(url, given.rounds, each)) for each in together]
            for each in threads:
                each.start()
            for each in threads:
                each.join()
        told(f"{given.users} together", [each for mine in together for each in mine], log, since, TOGETHER_MS)


if __name__ == "__main__":
    main()
