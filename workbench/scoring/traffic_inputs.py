"""The inputs of newer and of evaluated calls as embeddings, and which compared calls are of new content."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench import access
from workbench.embed import text_hash, vectors_of
from workbench.errors import ModelMissing
from workbench.normal import content_hash, last_user_text
from workbench.progress import Listener
from workbench.records import Request, from_json
from workbench.roles import Right
from workbench.scoring.comparing import open_embedder
from workbench.scoring.traffic_mix import independent
from workbench.specs import EvalConfig
from workbench.stats.content import FOLDS, told_apart
from workbench.store.replays import requests_of

if TYPE_CHECKING:
    from workbench.store import Store

CONTENT_CALLS = 400
"""Calls of either window whose embeddings are compared."""
ASKED_CALLS = 5_000
"""Compared calls among which new content is looked for."""


class Inputs:
    """Embeddings of the calls' last user messages: what the store holds, and what may be made.

    `suffice` says that in each window most of the inputs that were asked for have one. `by_rate` says that
    it is known how likely each call was logged, so that inputs can be taken as they are in the traffic.
    """

    def __init__(
        self,
        store: Store,
        config: EvalConfig,
        listener: Listener,
        *,
        by_rate: bool = False,
    ) -> None:
        self.notes: list[str] = []
        self.suffice = True
        self._store, self._config, self._listener = store, config, listener
        self._by_rate = by_rate
        self._makes = access.may(Right.REPLAY, config.task)

    def some(
        self, moment: datetime, *, after: bool, begins: datetime | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """Return the embeddings of a random part of one window, by call."""
        # For whoever makes none, more are looked at, of which some may have been made.
        limit = CONTENT_CALLS if self._makes else 5 * CONTENT_CALLS
        calls = independent(
            self._store,
            self._config,
            moment,
            after=after,
            limit=limit,
            begins=begins,
            by_rate=self._by_rate,
        )
        texts = _texts({each["call_id"]: each["request"] for each in calls})
        found = self._vectors(texts)
        asked = sum(bool(text.strip()) for text in texts.values())
        self.suffice &= 2 * len(found) >= min(asked, CONTENT_CALLS)
        return dict(list(found.items())[:CONTENT_CALLS])

    def of(self, call_ids: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        """Return the embeddings of some calls, by call."""
        found = requests_of(self._store, call_ids)
        return self._vectors(_texts({call_id: request for call_id, (_, request) in found.items()}))

    def _vectors(self, texts: Mapping[str, str]) -> dict[str, NDArray[np.float64]]:
        known = self._known([text for text in texts.values() if text.strip()])
        return {
            call_id: np.asarray(known[key], dtype=np.float64)
            for call_id, text in texts.items()
            if (key := text_hash(text)) in known
        }

    def _known(self, texts: Sequence[str]) -> Mapping[str, NDArray[np.float32]]:
        embedder = open_embedder(self._config.embedder)
        try:
            found = vectors_of(self._store, embedder, texts, listener=self._listener, makes=self._makes)
        except ModelMissing as missing:
            self._makes = False
            self._say(f"{missing.message} {missing.hint}".strip())
            found = vectors_of(self._store, embedder, texts, makes=False)
        for each in found.failures:
            self._say(f"Inputs without an embedding: {each}.")
        return found.by_hash

    def _say(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _texts(requests: Mapping[str, str]) -> dict[str, str]:
    """Return the last user message of each call, from requests as JSON by call."""
    return {call_id: last_user_text(from_json(text, Request).messages) for call_id, text in requests.items()}


def named_of(
    inputs: Inputs,
    windows: Sequence[Mapping[str, NDArray[np.float64]]],
    asked: Collection[str],
    named: Collection[str],
    seed: int,
) -> tuple[str, ...]:
    """Return those of some new calls whose content is told apart from what was evaluated.

    What was named before is learnt from again: without it another look would name what is left, which is
    as usual as the rest.
    """
    known, others = inputs.of(_some_of(asked)), inputs.of(_some_of(named))
    learnt = dict(sorted({**windows[1], **others, **known}.items()))
    if not known or len(learnt) < FOLDS:
        return ()
    marks = told_apart(np.stack([*windows[0].values()]), np.stack([*learnt.values()]), seed=seed)
    return tuple(sorted(known.keys() & {name for name, new in zip(learnt, marks, strict=True) if new}))


def _some_of(call_ids: Collection[str]) -> list[str]:
    """Return as many of some calls as are looked at, by a hash of their ids: a random part."""
    return sorted(call_ids, key=lambda call_id: content_hash("told apart", call_id))[:ASKED_CALLS]
