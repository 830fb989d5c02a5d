"""Print recall and precision of each detector: `python -m evals.redaction`."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from evals.redaction.corpus import Sample, corpus
from workbench.redaction import Redactor

BARS = {"recall": 0.98, "precision": 0.95}
NOTE = (
    "It detects and does not guarantee: forms that nobody here wrote down are not in this corpus, and names, "
    "postal addresses and what a context gives away are not looked for at all."
)


@dataclass(frozen=True, slots=True)
class Row:
    """What one detector does. Shares are 0..1, None without cases.

    `recall` is of the usual spellings, `hard_recall` of those that hide, `precision` the share
    of all it replaced, in every text of the corpus, that was personal and of its kind.
    """

    kind: str
    recall: float | None
    hard_recall: float | None
    precision: float | None
    texts: int


def measure(samples: Iterable[Sample]) -> list[Row]:
    """Redact samples and count."""
    redactor = Redactor(b"a key that is no secret: 32 bytes")
    seen: Counter[tuple[str, str]] = Counter()
    gone: Counter[tuple[str, str]] = Counter()
    right: Counter[str] = Counter()
    replaced: Counter[str] = Counter()
    for sample in samples:
        found: Counter[str] = Counter()
        text = redactor.text(sample.text, found)
        seen[sample.kind, sample.form] += 1
        replaced.update(found)
        if sample.secret is not None and found[sample.kind] and not _left(sample.secret, text):
            gone[sample.kind, sample.form] += 1
            right[sample.kind] += 1
    kinds = list(dict.fromkeys(kind for kind, _ in seen))
    return [
        Row(
            kind,
            _share(gone[kind, "usual"], seen[kind, "usual"]),
            _share(gone[kind, "hard"], seen[kind, "hard"]),
            _share(right[kind], replaced[kind]),
            sum(count for (each, _), count in seen.items() if each == kind),
        )
        for kind in kinds
    ]


def _left(secret: str, text: str) -> bool:
    """Say whether the telling part of a secret is still in a text: its longest word, of those with digits."""
    words = secret.replace("=", " ").split()
    return max([each for each in words if any(map(str.isdigit, each))] or words, key=len) in text


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def table(rows: Iterable[Row]) -> str:
    """Return the rows as Markdown."""
    lines = [
        "| detector | recall, usual spellings | recall, hidden or bare | precision | texts |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        shares = (
            "" if each is None else f"{each:.1%}" for each in (row.recall, row.hard_recall, row.precision)
        )
        lines.append(f"| {row.kind} | {' | '.join(shares)} | {row.texts:,} |")
    return "\n".join(lines)


def main() -> int:
    """Measure, print, and end with an error where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=2_000, help="texts of each kind and form")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = measure(corpus(options.size, options.seed))
    missed = [
        f"{row.kind}: {name} {value:.1%} is below {bar:.0%}"
        for row in rows
        for name, bar in BARS.items()
        if (value := getattr(row, name)) is not None and value < bar
    ]
    print(json.dumps([asdict(each) for each in rows]) if options.json else f"{table(rows)}\n\n{NOTE}")
    print("\n".join(missed), file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
