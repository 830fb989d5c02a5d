"""Readers that share a file have each of its lines once, with the number it has in the file."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.formats import lines as lines_module
from workbench.formats.base import Blank, Record
from workbench.formats.containers import Shape
from workbench.formats.lines import Share, read_lines, read_plain_lines
from workbench.records import Rejected

ODD = st.sampled_from([b"", b" ", b"{}", b'{"a": 1}\r', b"{"])
STEPS = (1, 4, 16)
"""Bytes read at once: never more than a line may have, so that a line within one read is never too long."""
LINES = st.lists(ODD | st.integers(0, 60).map(lambda count: b"7" * count), max_size=30)


@given(LINES, st.booleans(), st.integers(1, 4), st.sampled_from(STEPS), st.integers(max(STEPS), 80))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_line_is_read_by_one_reader(
    tmp_path_factory: pytest.TempPathFactory,
    found: list[bytes],
    ended: bool,
    readers: int,
    step: int,
    cap: int,
) -> None:
    """Wherever blocks end, the readers together give what the lines of the file are, in order."""
    path = tmp_path_factory.mktemp("lines") / "log.jsonl"
    data = b"\n".join(found) + (b"\n" if ended and found else b"")
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "BLOCK_BYTES", 16)
        patch.setattr(lines_module, "_READ_BYTES", step)
        patch.setattr(lines_module, "MAX_LINE_BYTES", cap)
        shape = Shape(path, "jsonl")
        shares = [Share(index, readers) for index in range(readers)]
        read = [list(read_lines(shape, each)) for each in shares]
        plain = [list(read_plain_lines(shape, each)) for each in shares]
    together = sorted((item for each in read for item in each), key=lambda item: item.line)
    assert [item.line for item in together] == list(range(1, len(list(io.BytesIO(data))) + 1))
    for item, raw in zip(together, io.BytesIO(data), strict=True):
        text = raw.removesuffix(b"\n")
        if len(text) > cap:
            assert isinstance(item, Rejected)
            assert item.reason.startswith("longer than")
        elif not text.strip():
            assert isinstance(item, Blank)
        elif isinstance(item, Record):
            assert item.raw == text.strip()
        else:
            assert isinstance(item, Rejected)
            assert item.snippet == text.decode()
    assert plain == read
    for each in read:
        assert [item.line for item in each] == sorted(item.line for item in each)


def test_the_lines_before_a_packed_file_breaks_off_are_kept(tmp_path: Path) -> None:
    """Those that could be unpacked are read, then the break is told once, by the first reader."""
    import gzip

    path = tmp_path / "log.jsonl.gz"
    packed = gzip.compress(b"".join(b'{"a": %d}\n' % number for number in range(200_000)))
    path.write_bytes(packed[: len(packed) // 2])
    items = list(read_lines(Shape(path, "jsonl")))
    assert isinstance(items[-1], Rejected)
    assert "breaks off" in items[-1].reason
    assert len(items) > 50_000
    assert all(isinstance(each, Record) for each in items[:-1])
    second = list(read_lines(Shape(path, "jsonl"), Share(1, 2)))
    assert not any(isinstance(each, Rejected) for each in second)
