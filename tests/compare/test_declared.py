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
IGNORE = '[[ignore]]\nname = "r"\n'
OTHER = '[[fields]]\npath = "y"\n'
LIST_TOO = '[[fields]]\npath = "l[].b"\nordered = false\n'
OBJECT = (
    'task = "t"\nkind = "fields"\nschema = { properties = { a = { properties = { b = { type = "string" },'
    ' c = { type = "string" } } }, tags = { type = "array" } }, oneOf = [{ properties = { d = {} } }] }\n'
)
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
        FIELD + IGNORE + 'field = "y"\n' + OTHER,
        FIELD + IGNORE + 'pattern = "x"\n',
        'task = "t"\nkind = "text"\ncontradictions = ["numbers", "language"]\n',
        'task = "t"\nkind = "text"\ncontradictions = []\n',
        OBJECT + IGNORE + 'field = "a.c"\n',
        OBJECT + IGNORE + 'field = "d"\n',
        'task = "t"\nkind = "tool_call"\n' + IGNORE + 'field = "find.limit"\n',
        FIELD.replace('"x"', '"l[].a"') + "ordered = false\n" + LIST_TOO,
        FIELD.replace('"x"', '"l[].a"') + 'ordered = false\n[[fields]]\npath = "l[].b"\ncompare = "list"\n',
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
        (
            'task = "t"\nkind = "text"\ncontradictions = ["number"]\n',
            "contradictions: 'number' is no flag",
            "Did you mean 'numbers'",
        ),
        (LABELS + "contradictions = []\n", "`contradictions` mean nothing to kind label", "Take them out"),
        (FIELD + IGNORE, "ignore 'r' ignores nothing", "`pattern`"),
        (FIELD + IGNORE + 'field = "z"\n' + OTHER, "field 'z' is none that the eval compares", "Known: x, y"),
        (FIELD + IGNORE + 'field = "x"\n', "leave nothing to compare", "declare another field"),
        (FIELD + IGNORE + 'field = "x.y"\n' + OTHER, "field 'x.y' is none", "stands inside 'x'"),
        (
            FIELD + IGNORE + 'pattern = "a"\n' + IGNORE + 'pattern = "b"\n',
            "'r' is declared twice",
            "rename one",
        ),
        (
            FIELD + IGNORE.replace('"r"', '"a + b"') + 'pattern = "a"\n',
            "'a \\+ b': not a name",
            "without ' + '",
        ),
        (FIELD + IGNORE.replace('"r"', '" "') + 'pattern = "a"\n', "not a name", "Differences are counted"),
        (LABELS + IGNORE + 'field = "a"\n', "`field` means nothing to kind label", "Use a `pattern`"),
        (
            'task = "t"\nkind = "text"\n' + IGNORE + 'field = "a"\n',
            "`field` means nothing to kind text",
            "Use a `pattern`",
        ),
        (
            'task = "t"\nkind = "tool_call"\n' + IGNORE + 'field = "limit"\n',
            "'limit' names no argument of a tool",
            "tool.argument",
        ),
        (OBJECT + IGNORE + 'field = "nme"\n', "field 'nme' is none", "name it there"),
        (OBJECT + IGNORE + 'field = "tags[]"\n', "field 'tags\\[\\]' is none", "stands inside 'tags'"),
        (
            'evaluator = "e"\n' + FIELD + IGNORE + 'field = "y"\n' + OTHER,
            "means nothing to an evaluator of one's own",
            "Use a `pattern`",
        ),
        (
            FIELD.replace('"x"', '"l[].a"') + "ordered = false\n[[fields]]\npath = 'l[].b'\n",
            "field 'l\\[\\].b' takes the items of 'l' in order, and field 'l\\[\\].a' in any order",
            "`ordered = false`, or neither",
        ),
        (LABELS + "severl = true\n", "unknown key 'severl'", "Did you mean 'several'"),
    ],
)
def test_a_wrong_key_is_named_with_its_file_and_what_to_do(text: str, says: str, hint: str) -> None:
    """The message says what is wrong where; the hint says how to mend it."""
    with pytest.raises(ConfigError, match=says) as caught:
        read(text)
    assert caught.value.message.startswith("eval.toml")
    assert hint in caught.value.hint
