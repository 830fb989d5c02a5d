"""Calls whose pieces are several source records, and calls that another span wraps.

Everything is held only as long as needed: spans in a window, pieces up to a size. What
does not find its other half is rejected with a reason, never dropped.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator

from workbench.formats.base import Draft, Item, Joins, Mark, Part, Passed, Record, Unreadable
from workbench.records import Rejected

WINDOW_CALLS = 5_000
"""Calls held until it is clear that no span inside them is the same call again."""
WAITING_CALLS = 20_000
"""Calls without their prompt that are held, since the records that know it may follow in the same file."""
KNOWN_SPANS = 200_000
MAX_HELD_BYTES = 384 * 1024 * 1024

Placed = tuple[Item, str]
"""An item, and the source it belongs to."""


class Joiner:
    """Puts parts together and leaves wrappers out, over all files of one import.

    Every source record that goes in comes out exactly once: as an item of its own, or
    counted in the `parts` of another.
    """

    def __init__(self, *, window: int = WINDOW_CALLS, max_bytes: int = MAX_HELD_BYTES) -> None:
        self._window, self._max_bytes = window, max_bytes
        self._parts: OrderedDict[tuple[str, str], list[Part]] = OrderedDict()
        self._forms: dict[tuple[str, str], Joins] = {}
        self._bytes = 0
        self._calls: deque[tuple[Draft, str]] = deque()
        self._waiting: OrderedDict[tuple[str, str], Draft] = OrderedDict()
        self._parents: OrderedDict[str, str | None] = OrderedDict()
        self._wrapping: OrderedDict[str, None] = OrderedDict()
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()

    def take(self, item: Item, source: str) -> Iterator[Placed]:
        """Take one item in, and give those that are settled by it."""
        if isinstance(item, Part):
            self._place(item.span)
            yield from self._hold(item, source)
        elif isinstance(item, Draft):
            self._attach(item, source)
            if item.part_key is not None and item.span is None and Mark.NOT_RENDERED in item.marks:
                yield from self._wait((source, item.part_key), item)
            else:
                yield from self._call(item, source)
        else:
            if isinstance(item, Passed):
                self._place(item.span)
            yield item, source

    def finish(self) -> Iterator[Placed]:
        """Give everything that is still held."""
        while self._waiting:
            yield self._waited()
        while self._parts:
            yield from self._release()
        while self._calls:
            yield self._settled()

    def _wait(self, key: tuple[str, str], draft: Draft) -> Iterator[Placed]:
        """Hold a call, and give the one that has waited longest where there are too many."""
        if key in self._waiting:
            yield draft, key[0]  # The same call twice: the store tells whether they agree.
            return
        self._waiting[key] = draft
        if len(self._waiting) > WAITING_CALLS:
            yield self._waited()

    def _waited(self, key: tuple[str, str] | None = None) -> Placed:
        """Return a held call, with the parts that came meanwhile: the one of a key, or the longest held."""
        key = next(iter(self._waiting)) if key is None else key
        draft = self._waiting.pop(key)
        self._attach(draft, key[0])
        return draft, key[0]

    def _hold(self, part: Part, source: str) -> Iterator[Placed]:
        key = (source, part.key)
        if key in self._seen and isinstance(part.form, Joins) and part.form.late is not None:
            yield Passed(part.form.late, None, (), part.file, part.line), source
            return
        self._parts.setdefault(key, []).append(part)
        if isinstance(part.form, Joins):
            self._forms[key] = part.form
        self._bytes += part.size
        while self._bytes > self._max_bytes and self._parts:
            yield from self._release()

    def _release(self) -> Iterator[Placed]:
        first = next(iter(self._parts))
        if first in self._waiting:
            yield self._waited(first)
            return
        key, parts = self._parts.popitem(last=False)
        form = self._forms.pop(key, None)
        self._bytes -= sum(each.size for each in parts)
        source = key[0]
        try:
            if form is None:
                raise Unreadable("nothing says how its records are joined")
            draft = form.assemble(parts)
        except Unreadable as error:
            yield from ((_rejected(part, str(error)), source) for part in parts)
        except (TypeError, ValueError, KeyError, AttributeError, IndexError, RecursionError) as error:
            reason = f"its records can't be joined: {type(error).__name__}: {error}"
            yield from ((_rejected(part, reason), source) for part in parts)
        else:
            draft.file, draft.line = parts[0].file, parts[0].line
            draft.parts = len(parts) - 1
            if isinstance(draft, Draft):
                yield from self._call(draft, source)
            else:
                yield draft, source

    def _attach(self, draft: Draft, source: str) -> None:
        """Add the parts that came before their call."""
        if draft.part_key is None:
            return
        key = (source, draft.part_key)
        self._seen[key] = None
        if len(self._seen) > KNOWN_SPANS:
            self._seen.popitem(last=False)
        if key not in self._parts:
            return
        parts = self._parts.pop(key)
        form = self._forms.pop(key, None)
        self._bytes -= sum(each.size for each in parts)
        draft.parts += len(parts)
        if form is not None:
            form.attach(draft, parts)

    def _call(self, draft: Draft, source: str) -> Iterator[Placed]:
        if draft.span is None:
            yield draft, source
            return
        self._place(draft.span)
        self._wraps(draft.span[1])
        self._calls.append((draft, source))
        if len(self._calls) > self._window:
            yield self._settled()

    def _settled(self) -> Placed:
        draft, source = self._calls.popleft()
        if draft.span is not None and draft.span[0] in self._wrapping:
            reason = "the span wraps another that holds the same call"
            return Passed(reason, None, tuple(draft.feedback), draft.file, draft.line, draft.parts), source
        return draft, source

    def _place(self, span: tuple[str, str | None] | None) -> None:
        """Remember where a span stands in its tree."""
        if span is None:
            return
        identity, parent = span
        self._parents[identity] = parent
        if len(self._parents) > KNOWN_SPANS:
            self._parents.popitem(last=False)
        if identity in self._wrapping:
            self._wraps(parent)

    def _wraps(self, identity: str | None) -> None:
        """Remember that a span, and every one above it, has a call inside."""
        while identity is not None and identity not in self._wrapping:
            self._wrapping[identity] = None
            if len(self._wrapping) > KNOWN_SPANS:
                self._wrapping.popitem(last=False)
            identity = self._parents.get(identity)


def _rejected(part: Part, reason: str) -> Rejected:
    return Record(part.line, part.data).rejected(part.file, reason)
