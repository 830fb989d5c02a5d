"""How much memory the database may take where calls are long.

DuckDB works on vectors of 2,048 rows, however long these are. To pack texts it holds a whole vector of
them: 4 MB where a call takes 2 KB, and 400 MB where one takes 200 KB. So a fixed amount does for logs of
any length, but not for calls of any length.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterable
from pathlib import Path

VECTOR_ROWS = 2_048
"""What DuckDB works on at a time; nothing sets it."""
_PER_BYTE = 1.25
"""Of a vector of texts, what packing it takes: 200 KB a call needed more than 512 MB and at most 768 MB."""
_OF_FREE = 0.5
"""Of the memory that is free: texts on their way take as much again as the database."""
_MEMINFO, _CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup/memory.max")
_MB = 1024 * 1024


def longest_run(parts: Iterable[tuple[int, int]], *, of_more: bool = False) -> int:
    """Return how many bytes a vector of rows takes where they are longest.

    Args:
        parts: Rows and bytes of parts, in the order of the rows.
        of_more: Whether further rows like these are to come.
    """
    waiting: deque[tuple[int, int]] = deque()
    rows = size = most = all_rows = 0
    for count, length in parts:
        waiting.append((count, length))
        rows, size, all_rows = rows + count, size + length, all_rows + count
        while rows - waiting[0][0] >= VECTOR_ROWS:
            first = waiting.popleft()
            rows, size = rows - first[0], size - first[1]
        # Of the first part, as many rows as the vector has beside the others.
        beyond = max(rows - VECTOR_ROWS, 0)
        most = max(most, size - waiting[0][1] * beyond // waiting[0][0] if beyond else size)
    return most * VECTOR_ROWS // all_rows if of_more and 0 < all_rows < VECTOR_ROWS else most


def room_mb(base_mb: int, run_bytes: int) -> int:
    """Return what the database may take: the base, and more for long texts as far as the machine has it.

    Args:
        base_mb: Enough for calls of up to some 80 KB.
        run_bytes: As `longest_run` returns it.
    """
    needed = base_mb // 2 + int(_PER_BYTE * run_bytes / _MB) + 1
    return max(base_mb, min(needed, int(_OF_FREE * _free_mb())))


def _free_mb() -> float:
    found = re.search(r"^MemAvailable:\s+(\d+) kB", _text(_MEMINFO), re.MULTILINE)
    free = (
        int(found[1]) / 1024 if found else os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / _MB / 2
    )
    limit = _text(_CGROUP).strip()
    return min(free, int(limit) / _MB) if limit.isdigit() else free


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
