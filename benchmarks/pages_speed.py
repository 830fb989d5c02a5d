"""Measure the app with a million comparisons in the store: first content, and the questions that pages ask.

Run from the repository: python benchmarks/pages_speed.py WORKSPACE [--users 4] [--rounds 2] [--reading-s 1]
WORKSPACE is what benchmarks/page_queries.py made. Visitors open every page in Chromium, first one alone, then
several at once while a replay against a stub writes to the store. Bars: first content, which is the first
element after the title that carries data, within 1 s; 95 % of the questions that the store is asked answered
within 150 ms alone and within 500 ms with four visitors and a replay. Of several visitors the first one's
browser has its share of the processors, and it is the one whose first content counts; the browsers of the
others take what is left, as they would stand on other machines. The questions of all of them count. Each
visitor looks at a page for a second before opening the next one; with `--reading-s 0` nobody reads anything.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import measures  # noqa: F401 - the helpers of the tests, too
from playwright.sync_api import Page, sync_playwright
from playwright.sync_api import TimeoutError as TooLong
from replay_world import candidate_toml
from review_keys import CHROMIUM, FLAGS, free_port, served
from servers import serving

from workbench.stats.percentiles import nearest_rank

NOTING = r"""(() => {
    const main = '[data-testid="stMain"] ';
    const drawn = '[data-testid="stMetricValue"], [data-testid="stDataFrame"] canvas, svg.main-svg';
    const words = ['Text', 'MarkdownContainer', 'CaptionContainer'].map(x => `[data-testid="st${x}"]`).join();
    const waiting = ['Spinner', 'Progress', 'Skeleton'].map(x => `[data-testid="st${x}"]`).join()
        + ', label, h1, h2, h3, button, [role="listbox"]';
    const own = {upload: '[data-testid="stFileUploader"] button', review: 'input[aria-label="Your name"]'};
    const after = (title, each) => title.compareDocumentPosition(each) & Node.DOCUMENT_POSITION_FOLLOWING;
    const holds = title => {
        const page = location.pathname.split('/').pop();
        const all = drawn + (own[page] ? ', ' + own[page] : '');
        const find = what => [...document.querySelector(main).querySelectorAll(what)];
        return find(all).some(each => after(title, each) && each.getBoundingClientRect().height > 0)
            || find(words).some(each => after(title, each) && !each.closest(waiting)
                && !each.querySelector(waiting) && /\d/.test(each.textContent));
    };
    const note = name => requestAnimationFrame(() => { window[name] ||= performance.now(); });
    const seen = new MutationObserver(() => {
        const title = document.querySelector(main + 'h1');
        if (!title) return;
        note('titleMs');
        if (!holds(title)) return;
        note('firstContentMs');
        seen.disconnect();
    });
    seen.observe(document, {childList: true, subtree: true, characterData: true});
})()"""
"""Notes when a page's title is drawn, and when the first element after it that carries data is, in ms since
the page was asked for: a figure, a table, a chart, words with a number in them; on Upload the place for a
file, on Review the place for a name. A spinner, a bar of progress, a heading, a filter and a button carry
none. Asking from outside would wait until the browser has drawn the charts, too."""
STOPPED = """() => {
    const app = document.querySelector('[data-test-script-state]');
    return app && app.getAttribute('data-test-script-state') === 'notRunning';
}"""
WAIT_MS = 120_000
DRAWING_MS = 15_000
"""For so long after the script has ended the browser may draw."""
OK = {True: "ok   ", False: "BELOW"}
FIRST_CONTENT_MS = 1_000
ALONE_MS, TOGETHER_MS = 150, 500
QUERY = "task=triage&candidate=small"
CONFIG, WRITER, STARTING_S = "workbench.toml", "writer", 15.0
PAGES = (
    "overview",
    "traffic",
    "replays",
    "compare",
    "slices",
    "ramp",
    "costs",
    "upload",
    "review",
    "settings",
)
Visited = tuple[str, float, float, float]
"""A page, and the milliseconds until its title, its first content, and all of it."""


def visit(page: Page, url: str) -> tuple[float, float, float]:
    """Open a page; return the milliseconds until its title, its first content, and all of it stand."""
    began = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_function(STOPPED, timeout=WAIT_MS)
    all_ms = 1000 * (time.perf_counter() - began)
    try:
        first_ms = page.wait_for_function("() => window.firstContentMs", timeout=DRAWING_MS).json_value()
    except TooLong:
        first_ms = math.inf  # All of it stands, and none of it carries data.
    return float(page.evaluate("window.titleMs")), float(first_ms), all_ms


@contextlib.contextmanager
def browsing(program: str = CHROMIUM) -> Iterator[Page]:
    """Give a page of a browser that has never seen the app."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(WAIT_MS)
        page.add_init_script(NOTING)
        yield page
        browser.close()


def tour(url: str, rounds: int, reading_s: float, found: list[Visited], *, gives_way: bool = False) -> None:
    """Open every page so many times, in a browser of one's own, after a first look at the app.

    Args:
        url: Of the app.
        rounds: How often every page is opened.
        reading_s: How long a page is looked at before the next one is opened.
        found: Takes what was measured.
        gives_way: Whether the browser takes what nothing else needs of the processors: those of further
            visitors would stand on other machines.
    """
    if gives_way and hasattr(os, "SCHED_IDLE"):
        # Of this thread alone, and of what it starts. Niceness would not do: a browser sets its own.
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with tempfile.TemporaryDirectory() as folder, browsing(_way(Path(folder), gives_way)) as page:
        visit(page, f"{url}/settings")
        for _ in range(rounds):
            for name in PAGES:
                # Overview stands at the root.
                times = visit(page, f"{url}/{'' if name == PAGES[0] else name}?{QUERY}")
                found.append((name, *times))
                time.sleep(reading_s)


def _way(folder: Path, gives_way: bool) -> str:
    """Return the program to start a browser by.

    Linux shares the processors out between sessions first (autogroup), whatever class the threads in them
    are of, and a browser is started in a session of its own: that one has to give way.
    """
    if not gives_way:
        return CHROMIUM
    path = folder / "chromium"
    path.write_text(f'#!/bin/sh\n{{ echo 19 > /proc/$$/autogroup; }} 2>/dev/null\nexec {CHROMIUM} "$@"\n')
    path.chmod(0o700)
    return str(path)


def first_looks(url: str, folder: Path) -> None:
    """Tell what the first page costs a new browser, beside a page of Streamlit with a title and a word.

    Most of it is the browser's own: it compiles what it shows pages with, once for each address.
    """
    with browsing() as page:
        _, ours_ms, _ = visit(page, f"{url}/?{QUERY}")
    script = folder / "empty.py"
    script.write_text("import streamlit\nstreamlit.title('Empty')\nstreamlit.text('1')\n", encoding="utf-8")
    bare = ["-m", "streamlit", "run", str(script), "--server.port", str(port := free_port())]
    bare += ["--server.headless=true", "--browser.gatherUsageStats=false", "--server.fileWatcherType=none"]
    with served([sys.executable, *bare], port, folder) as empty, browsing() as page:
        _, bare_ms, _ = visit(page, empty)
    print(
        f"{OK[ours_ms <= FIRST_CONTENT_MS]} first page of a new browser {ours_ms:.0f} ms (at most "
        f"{FIRST_CONTENT_MS:,}); of an empty Streamlit app {bare_ms:.0f} ms"
    )


def told(name: str, visits: list[Visited], log: Path, since: int, bar_ms: float) -> int:
    """Print what a round of visits took, and return how many questions the log holds now.

    The bar on questions is for those that the store was asked; what was remembered is told beside them.
    """
    lines = log.read_text(encoding="utf-8").splitlines()
    put: list[dict[str, Any]] = [json.loads(line) for line in lines[since:]]
    asked = [each["ms"] for each in put if each["asked"]]
    first = [each[2] for each in visits]
    p95 = nearest_rank(asked, 0.95) or 0.0
    slow = nearest_rank(first, 0.95) or 0.0
    print(
        f"{OK[p95 <= bar_ms]} {name}: 95 % of {len(asked)} questions to the store within {p95:.0f} ms "
        f"(at most {bar_ms:g}), median {statistics.median(asked or [0.0]):.1f} ms"
    )
    every = nearest_rank([each["ms"] for each in put], 0.95) or 0.0
    print(f"      with the {len(put) - len(asked)} that were remembered: 95 % within {every:.0f} ms")
    print(
        f"{OK[slow <= FIRST_CONTENT_MS]} {name}: first content p95 {slow:.0f} ms (at most "
        f"{FIRST_CONTENT_MS:,}), median {statistics.median(first):.0f} ms; "
        f"title median {statistics.median(each[1] for each in visits):.0f} ms"
    )
    for page in PAGES:
        mine = [each for each in visits if each[0] == page]
        shown = ", ".join(f"{each[1]:.0f}/{each[2]:.0f}/{each[3]:.0f}" for each in mine)
        print(f"      {page}: title / first content / all of it in ms: {shown}")
    worst = sorted((each for each in put if each["asked"]), key=lambda each: -each["ms"])[:8]
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
    parser.add_argument("--reading-s", type=float, default=1.0)
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
        visits: list[Visited] = []
        tour(url, given.rounds, given.reading_s, visits)
        since = told("alone", visits, log, 0, ALONE_MS)
        first_looks(url, place)
        since = len(log.read_text(encoding="utf-8").splitlines())
        with writing(place):
            together: list[list[Visited]] = [[] for _ in range(given.users)]
            threads = [
                threading.Thread(
                    target=tour,
                    args=(url, given.rounds, given.reading_s, each),
                    kwargs={"gives_way": each is not together[0]},
                )
                for each in together
            ]
            for each in threads:
                each.start()
            for each in threads:
                each.join()
        # What the others see is mostly their browsers waiting for a processor that is none of theirs.
        told(f"{given.users} together", together[0], log, since, TOGETHER_MS)


if __name__ == "__main__":
    main()
