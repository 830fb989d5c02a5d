"""What an eval.toml may declare about comparisons, and how it is told of what it may not."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from workbench.config import convert
from workbench.errors import ConfigError
from workbench.eval_checks import check_eval
from workbench.specs import EvalConfig

LABELS = 'task = "t"\nkind = "label"\nlabels = ["a", "b"]\n'
FIELD = 'task = "t"\nkind = "fields"\n[[fields]]\npath = "x"\n'


def read(text: str) -> EvalConfig:
    found = convert(tomllib.loads(text), EvalConfig, "eval.toml")
    check_eval(found, Path("eval.toml"))
    return found


@pytest.mark.parametrize(
    "text",
    [
        LABELS + "several = true\n",
        LABELS + 'several = true\nseparators = ["|", " and "]\n',
        FIELD + 'compare = "number"\nrelative = 0.01\n',
        FIELD + 'compare = "money"\ncurrency = "EUR"\ntolerance = 0.01\n',
        FIELD + 'compare = "fuzzy"\nminimum = 0.85\n',
        "repair = true\n" + FIELD,
        LABELS + 'several = true\ncritical_labels = ["a"]\n',
        FIELD.replace('"x"', '"a.b c[].d-e[][]"'),
        FIELD.replace('"x"', '"[].sku"'),
        FIELD.replace('"x"', '"[]"'),
    ],
)
def test_what_is_documented_is_accepted(text: str) -> None:
    """Every key by the comparator or kind it belongs to."""
    assert read(text).task == "t"


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        (LABELS + 'separators = ["|"]\n', "`separators` need `several = true`", "Add it"),
        (LABELS + 'several = true\nseparators = [""]\n', "an empty text separates nothing", "Take it out"),
        (LABELS + 'several = true\naliases = { "x, y" = "a" }\n', "'x, y' holds ','", "another name"),
        (LABELS.replace('"b"', '"b + c"') + "several = true\n", r"'b \+ c' holds ' \+ '", "another name"),
        (LABELS + 'several = true\ncritical_labels = ["z"]\n', "'z' is not one of `labels`", "Known: a, b"),
        ("several = true\n" + FIELD, "`several` means nothing to kind fields", "Take it out"),
        (LABELS + "repair = true\n", "`repair` means nothing to kind label", "Take it out"),
        (FIELD + 'compare = "fuzy"\n', "unknown compare 'fuzy'", "Did you mean 'fuzzy'"),
        (
            FIELD + "relative = 0.01\n",
            "`relative` means nothing to compare = 'exact'",
            'compare = "number" or',
        ),
        (FIELD + 'compare = "number"\nrelative = 1.5\n', "relative = 1.5", "0.01 for 1 %"),
        (FIELD + 'compare = "fuzzy"\nminimum = 90.0\n', "minimum = 90 is outside 0.5 to 1", "0.9 is usual"),
        (FIELD + 'compare = "text"\nminimum = 0.8\n', "`minimum` means nothing to", 'compare = "fuzzy"'),
        (
            FIELD + 'compare = "money"\ncurrency = "EURO"\n',
            "'EURO' is no ISO 4217 code",
            "Did you mean 'EUR'",
        ),
        (
            FIELD + '[[fields]]\npath = "x"\ncompare = "ignore"\n',
            "field 'x' is declared twice",
            "take the other",
        ),
        (FIELD.replace('"x"', '"order_id[.x"'), "field 'order_id\\[.x': not a path", "items[].price"),
        (FIELD.replace('"x"', '"items[0].x"'), "not a path", "items[].price"),
        (FIELD.replace('"x"', '"a..b"'), "not a path", "items[].price"),
        (FIELD.replace('"x"', '""'), "not a path", "items[].price"),
        (FIELD + 'currency = "EUR"\n', "`currency` means nothing to", 'compare = "money"'),
        (
            FIELD + "tolerance = 0.5\n",
            "`tolerance` means nothing to compare = 'exact'",
            'compare = "number" or',
        ),
        (FIELD.replace('"fields"', '"text"'), "`fields` mean nothing to kind text", 'kind = "fields"'),
        (LABELS + "severl = true\n", "unknown key 'severl'", "Did you mean 'several'"),
    ],
)
def test_a_wrong_key_is_named_with_its_file_and_what_to_do(text: str, says: str, hint: str) -> None:
    """The message says what is wrong where; the hint says how to mend it."""
    with pytest.raises(ConfigError, match=says) as caught:
        read(text)
    assert caught.value.message.startswith("eval.toml")
    assert hint in caught.value.hint
