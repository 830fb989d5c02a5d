"""Loading an import while its files are still being read, where there is nothing to judge.

So it is with most imports: every row is a call of its own with an id that nothing else has. Where
one is not, all of it is rolled back, and loaded again when every part is there (`imports`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from workbench.costing.pricing import ModelPrice
from workbench.store.answered import Answered
from workbench.store.identity import twice
from workbench.store.import_sums import summed_up
from workbench.store.imports import ACCEPTED, Loaded, grouped, load_rows

if TYPE_CHECKING:
    from workbench.store import Writer


_FIRST_LOOK, _LOOK_AGAIN = 1, 4
"""After so many rows, and then so many times as many, it is seen whether their ids are new."""


class ToJudge(Exception):
    """What becomes of the rows has to be judged: the transaction must not be committed."""


class EarlyLoad:
    """Loads parts in the order of their rows, as accepted calls.

    Args:
        writer: The open transaction.
        manifest_id: The import.
    """

    def __init__(self, writer: Writer, manifest_id: str) -> None:
        self._writer, self._manifest_id = writer, manifest_id
        self._loaded, self._answered = Loaded(), Answered()
        self._looked = 0

    def take(self, tables: Iterable[pa.Table]) -> None:
        """Load rows.

        Raises:
            ToJudge: One is no call of its own, or has no id, or one that is known already.
        """
        for table in grouped(iter(tables)):
            alone = pc.and_(pc.equal(table["kind"], "call"), pc.invert(table["unnamed"]))
            if table["gold"].null_count < table.num_rows or not pc.all(alone).as_py():
                raise ToJudge
            load_rows(self._writer, table, None, self._manifest_id, self._loaded, self._answered, 0)
            counts, parts = self._loaded.counts, self._loaded.parts
            counts[ACCEPTED] = counts.get(ACCEPTED, 0) + table.num_rows
            further = pc.sum(table["parts"]).as_py()
            if further:
                parts[ACCEPTED] = parts.get(ACCEPTED, 0) + further
            # A log that was loaded before shows at once, and one that repeats itself not much later.
            if counts[ACCEPTED] >= max(_FIRST_LOOK, _LOOK_AGAIN * self._looked):
                self._check_ids()

    def finish(self, prices: Sequence[ModelPrice]) -> Loaded:
        """Return what was loaded, and sums over it.

        Args:
            prices: By which the outputs' cost is reckoned.

        Raises:
            ToJudge: An id is not new.
        """
        self._check_ids()
        summed_up(self._writer, self._manifest_id, self._loaded, self._answered, prices, joined=False)
        return self._loaded

    def _check_ids(self) -> None:
        loaded = self._loaded.counts.get(ACCEPTED, 0)
        if loaded > self._looked and twice(self._writer, self._manifest_id):
            raise ToJudge
        self._looked = loaded
