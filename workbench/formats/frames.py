"""Frames of Zstandard: where the last whole one ends, which its decompressor does not say.

The layout is that of RFC 8878. Only the headers of frames and blocks are read.
"""

from __future__ import annotations

from typing import IO

import zstandard

_HEADER_BYTES = 18
_SKIPPABLE = range(0x184D2A50, 0x184D2A60)


def frames_end(file: IO[bytes]) -> tuple[int, str]:
    """Return where the whole frames of a file end, and what is wrong behind them.

    Args:
        file: Read from its beginning; left there.

    Returns:
        The place in bytes. Nothing is wrong where the text is empty; where the last frame has no
        end, the place is that of the file's end, so that what there is of it can be unpacked.
    """
    size = file.seek(0, 2)
    position = 0
    try:
        while position < size:
            file.seek(position)
            head = file.read(_HEADER_BYTES)
            magic = int.from_bytes(head[:4], "little")
            if magic in _SKIPPABLE and len(head) >= 8:
                end = position + 8 + int.from_bytes(head[4:8], "little")
            elif magic == zstandard.MAGIC_NUMBER:
                end = _frame_end(file, position, head, size)
            else:
                return position, "what follows is no Zstandard frame"
            if end > size:
                return size, "its last frame has no end"
            position = end
    finally:
        file.seek(0)
    return position, ""


def _frame_end(file: IO[bytes], start: int, head: bytes, size: int) -> int:
    """Return where a frame ends, a place beyond the file where it does not."""
    try:
        position = start + zstandard.frame_header_size(head)
        checksum = zstandard.get_frame_parameters(head).has_checksum
    except zstandard.ZstdError:
        return size + 1
    while True:
        file.seek(position)
        block = int.from_bytes(file.read(3), "little")
        # A repeated byte is stored once, whatever its size says.
        position += 3 + (1 if block >> 1 & 3 == 1 else block >> 3)
        if position > size:
            return size + 1
        if block & 1:
            return position + 4 * checksum


class WholeFrames:
    """Unpacked frames, up to the end of the last whole one; what is wrong behind it is said there.

    Args:
        file: Packed, at its beginning.
        window: How much memory a frame may ask for, in bytes.
    """

    def __init__(self, file: IO[bytes], window: int) -> None:
        self._file = file
        self._left, self._wrong = frames_end(file)
        unpacker = zstandard.ZstdDecompressor(max_window_size=window)
        self._inner = unpacker.stream_reader(self._Part(self), read_across_frames=True)  # type: ignore[arg-type]

    class _Part:
        """What of the file is frames."""

        def __init__(self, whole: WholeFrames) -> None:
            self._whole = whole

        def read(self, size: int) -> bytes:
            whole = self._whole
            data = whole._file.read(min(size, whole._left))
            whole._left -= len(data)
            return data

    def read1(self, size: int) -> bytes:
        """Return unpacked bytes, at most so many; none at the end.

        Raises:
            EOFError: The frames end here, but something is wrong behind them.
            ZstdError: A frame is broken.
        """
        data = self._inner.read(size)
        if not data and self._wrong:
            raise EOFError(self._wrong)
        return data

    def close(self) -> None:
        """Close the file."""
        self._inner.close()  # type: ignore[no-untyped-call]
        self._file.close()
