"""Prompt templates found in a log that names no tasks. Pure functions.

Log templates are usually mined by a tree of tokens at fixed places (He et al., 2017, Drain). The slots
of a prompt are of any length, so that places don't hold. Here a phrase that many different requests
share word for word stands for a template: groups of requests are split by the phrases that occur in
exactly the same requests, the longest first, until none is left. A leaf is a workload, and the
phrases on the way to it are its rule, so that what was mined and what a rule takes are the same.
Phrases that users add to their own texts split nothing: they come and go within a template.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from unicodedata import combining, normalize
from unicodedata import name as unicode_name

from workbench.normal import content_hash
from workbench.specs import MatchRule
from workbench.traffic.prompts import (
    CHANNELS,
    DIGITS,
    END,
    LATIN,
    SHINGLE,
    START,
    Piece,
    Prompt,
    Tokens,
    pieces_of,
    tokens_of,
)
from workbench.traffic.system_prompts import few_prompts, parts, prompt_sets

_PREFERENCE = {"system_prompt": 2.0, "tools": 2.0, "input": 1.0, "first_input": 0.9}

LEAST_REQUESTS = 8
"""A phrase counts from so many different requests on."""
FREE_TEXT_PIECES = 4
"""People's own words share short phrases: in what they wrote, only as many pieces make a template."""
KEY_END = ('"', ":")
"""The end of a key in JSON counts twice: an input of one short field is a template."""
VARIANT_PIECES = 6
VARIANT_SHARE = 0.05
"""Within a template, shorter or rarer phrases are values of a slot, not another template."""
UNIVERSAL = 0.98
PHRASE_TOKENS = 24
LEAF_LIMIT = 200
LEAST_FIT = 0.9
BLOCKS_TRIED = 5
EXPLAINED = 0.9
"""So many of the requests that hold an extra, such as a greeting or a footer, hold a template beside it."""
TASK_PIECES = 10
"""A shorter system prompt, "You are a helpful assistant." for one, gives no task: what users add may."""
ALTERNATIVES = 0.8
"""Where so many of the requests of that template that lack a phrase hold another instead, it is no extra."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A constant phrase in one channel. `pattern` is its regular expression."""

    channel: str
    tokens: tuple[str, ...]
    pattern: str

    def fits(self, prompt: Prompt) -> bool:
        """Say whether a request holds the phrase."""
        text: str = getattr(prompt, self.channel)
        # A system prompt and a list of tools come again and again, what users write does not.
        return _found(self.pattern, text) if self.channel in _REPEATED else _search(self.pattern, text)


_REPEATED = ("system_prompt", "tools")


def _search(pattern: str, text: str) -> bool:
    return _compiled(pattern).search(text) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


@lru_cache(maxsize=512)
def _found(pattern: str, text: str) -> bool:
    return _search(pattern, text)


WHOLE = "whole"
_EMPTY = Phrase(WHOLE, (START, END), r"\A\s*\Z")
"""Requests that say nothing in words are a workload of their own."""


@dataclass(slots=True)
class Node:
    """A question about a phrase with two `children`, those that lack it first; or a leaf without any."""

    path: tuple[tuple[Phrase, bool], ...] = ()
    phrase: Phrase | None = None
    children: tuple[Node, ...] = ()

    def ask(self, phrase: Phrase) -> None:
        """Make a leaf a question."""
        self.phrase = phrase
        self.children = (Node((*self.path, (phrase, False))), Node((*self.path, (phrase, True))))


def _first_question() -> Node:
    node = Node()
    node.ask(_EMPTY)
    return node


@dataclass(frozen=True, slots=True)
class Template:
    """One leaf: which phrases a request holds or lacks. Without one that it holds, it is the rest."""

    template_id: str
    name: str
    path: tuple[tuple[Phrase, bool], ...]
    rule: MatchRule | None

    @property
    def phrases(self) -> tuple[Phrase, ...]:
        """Return the phrases that its requests hold."""
        return tuple(phrase for phrase, holds in self.path if holds)


@dataclass(slots=True)
class Tree:
    """The templates of a log, and which of them a request belongs to."""

    root: Node = field(default_factory=_first_question)

    def leaf_of(self, prompt: Prompt) -> Node:
        """Return the leaf that a request falls into."""
        node = self.root
        while node.phrase is not None:
            node = node.children[node.phrase.fits(prompt)]
        return node

    def leaves(self) -> list[Node]:
        """Return the leaves, those of the earliest questions first."""
        found, waiting = [], [self.root]
        while waiting:
            node = waiting.pop(0)
            if node.children:
                waiting += reversed(node.children)
            else:
                found.append(node)
        return found


def is_rest(node: Node) -> bool:
    """Say whether a leaf is what no phrase takes."""
    return not any(holds for _, holds in node.path)


def mine(prompts: Sequence[Prompt], tree: Tree | None = None) -> Tree:
    """Find the templates of different requests; the same ones in any order give the same templates.

    Args:
        prompts: Requests, each different one once: copies of one request are no template.
        tree: One that was mined before: the given requests are of its rest, which is split further.

    Returns:
        The tree, grown in place where one was given.
    """
    grown = tree if tree is not None else Tree()
    start = next((each for each in grown.leaves() if is_rest(each)), None)
    if start is None or not prompts:
        return grown
    docs = [tokens_of(each) for each in prompts]
    places = _places(docs)
    written = prompt_sets(docs, _least(len(docs)))
    waiting = [(start, (1 << len(docs)) - 1)]
    leaves = len(grown.leaves())
    while waiting and leaves < LEAF_LIMIT:
        node, group = waiting.pop(0)
        phrase, held = _split(places, docs, prompts, group, is_rest(node), written)
        if phrase is None:
            continue
        node.ask(phrase)
        leaves += 1
        lacking, holding = node.children
        waiting += [(holding, held), (lacking, group & ~held)]
    return grown


def _places(docs: Sequence[Tokens]) -> dict[Piece, int]:
    """Return in which requests each piece stands, as bits; rare pieces are left out."""
    counts: Counter[Piece] = Counter()
    for doc in docs:
        counts.update(set(pieces_of(doc)))
    least = _least(len(docs))
    kept = {piece for piece, count in counts.items() if count >= least}
    del counts
    places: dict[Piece, int] = {}
    for index, doc in enumerate(docs):
        bit = 1 << index
        for piece in kept.intersection(pieces_of(doc)):
            places[piece] = places.get(piece, 0) | bit
    return places


def _least(requests: int) -> int:
    return min(LEAST_REQUESTS, max(2, requests // 20))


def _split(
    places: dict[Piece, int],
    docs: Sequence[Tokens],
    prompts: Sequence[Prompt],
    group: int,
    rest: bool,
    written: Sequence[Sequence[int]],
) -> tuple[Phrase | None, int]:
    """Return the phrase that splits a group best, and which requests hold it."""
    for here, pieces in _blocks(places, group, rest, written):
        phrase = _phrase(pieces, docs, here)
        held = _matching(phrase, prompts, group)
        # Text that was cut, or a piece beside a longer word, can make a phrase fit otherwise than its pieces.
        good = (held & here).bit_count() >= LEAST_FIT * here.bit_count()
        if good and (held != group or rest):
            return phrase, held
    return None, 0


def _blocks(
    places: dict[Piece, int], group: int, rest: bool, written: Sequence[Sequence[int]]
) -> list[tuple[int, list[Piece]]]:
    """Return the blocks of text that may split a group, the best first: their requests and pieces."""
    size = group.bit_count()
    least = _least(size)
    if size < least:
        return []
    blocks: dict[int, list[Piece]] = {}
    everywhere: dict[str, float] = {}
    for piece, bits in places.items():
        here = bits & group
        count = here.bit_count()
        if count >= UNIVERSAL * size:
            name = CHANNELS[piece[0]]
            everywhere[name] = everywhere.get(name, 0.0) + _weight(piece)
        if count >= least and (rest or count <= size - least):
            blocks.setdefault(here, []).append(piece)
    few = few_prompts(written, group, least)
    templated = any(_is_template(channel, weight) for channel, weight in everywhere.items())
    weights = {here: _weights(pieces) for here, pieces in blocks.items()}
    standing = [here for here, own in weights.items() if any(_is_template(*each) for each in own.items())]
    tasks = [here for here in standing if _gives_task(weights[here])]
    if _gives_task(everywhere):
        tasks.append(group)
    found: list[tuple[float, list[Piece], int]] = []
    for here, pieces in blocks.items():
        count = here.bit_count()
        by_channel: dict[int, list[Piece]] = {}
        for piece in pieces:
            by_channel.setdefault(piece[0], []).append(piece)
        for channel, own in by_channel.items():
            name = CHANNELS[channel]
            if templated and count < size * UNIVERSAL:
                whole = name == "tools" or (
                    name == "system_prompt" and any(parts(here, each) for each in few)
                )
                if len(own) < (1 if whole else VARIANT_PIECES) or count < VARIANT_SHARE * size:
                    continue
            elif not _is_template(name, sum(map(_weight, own))):
                continue
            # A group is halved first, so that a phrase in all of it names it only when nothing else is left.
            balance = min(count, size - count) or 0.5
            score = balance * min(len(own), 30) * _PREFERENCE[name]
            found.append((score, sorted(own), here))
    found.sort(reverse=True)
    fitting = (
        (here, pieces)
        for _, pieces, here in found
        if CHANNELS[pieces[0][0]] in _REPEATED or not _is_extra(here, tasks, standing, least)
    )
    return list(islice(fitting, BLOCKS_TRIED))


def _weights(pieces: Iterable[Piece]) -> dict[str, float]:
    """Return how much of a block of text stands in each channel."""
    found: dict[str, float] = {}
    for piece in pieces:
        name = CHANNELS[piece[0]]
        found[name] = found.get(name, 0.0) + _weight(piece)
    return found


def _gives_task(weights: Mapping[str, float]) -> bool:
    """Say whether a template of such weights tells by itself what is asked for."""
    return any(
        weight >= TASK_PIECES if channel == "system_prompt" else _is_template(channel, weight)
        for channel, weight in weights.items()
    )


def _is_extra(here: int, tasks: Sequence[int], standing: Sequence[int], least: int) -> bool:
    """Say whether a phrase comes and goes within templates, as a user's greeting, signature or footer does.

    Nearly all requests that hold it then hold a template that stands without it, too; and where that template
    lacks it, nothing stands in its place. Templates behind one preamble take each other's place.

    Args:
        here: Which requests hold the phrase, as bits.
        tasks: Which requests hold each template that gives a task.
        standing: Which requests hold each block of text that makes a template by itself.
        least: A template stands without the phrase from so many requests on.
    """
    explained = without = 0
    for bits in tasks:
        beside, alone = bits & here, bits & ~here
        needed = max(least, VARIANT_SHARE * bits.bit_count())
        if beside.bit_count() >= least and alone.bit_count() >= needed:
            explained |= beside
            without |= alone
    if explained.bit_count() < EXPLAINED * here.bit_count():
        return False
    replaced = 0
    for bits in standing:
        if (bits & here).bit_count() <= (1 - UNIVERSAL) * bits.bit_count():
            replaced |= bits
    return (replaced & without).bit_count() < ALTERNATIVES * without.bit_count()


def _weight(piece: Piece) -> float:
    return 2.0 if piece[1][1:] == KEY_END else 1.0


def _is_template(channel: str, weight: float) -> bool:
    return weight >= (1 if channel in _REPEATED else FREE_TEXT_PIECES)


def _matching(phrase: Phrase, prompts: Sequence[Prompt], group: int) -> int:
    held = 0
    for index, prompt in enumerate(prompts):
        bit = 1 << index
        if group & bit and phrase.fits(prompt):
            held |= bit
    return held


def _phrase(pieces: Sequence[Piece], docs: Sequence[Tokens], here: int) -> Phrase:
    """Return the longest run of pieces in one of their requests, cut to a length people can read."""
    channel, own = pieces[0][0], {tokens for _, tokens in pieces}
    tokens = min(doc[channel] for index, doc in enumerate(docs) if here >> index & 1)
    longest: tuple[str, ...] = ()
    start = 0
    while start <= len(tokens) - SHINGLE:
        end = start
        while tokens[end : end + SHINGLE] in own:
            end += 1
        if end > start and end - start + SHINGLE - 1 > len(longest):
            longest = tokens[start : end + SHINGLE - 1]
        start = max(end, start + 1)
    longest = longest[:PHRASE_TOKENS]
    return Phrase(CHANNELS[channel], longest, pattern_of(longest))


def pattern_of(tokens: Sequence[str]) -> str:
    """Return the regular expression of a phrase: any white space between tokens, any digits for a number."""
    words = [each for each in tokens if each not in (START, END)]
    parts = [r"\d+" if each == DIGITS else re.escape(each) for each in words]
    body = parts[0] if parts else ""
    for before, word, part in zip(words, words[1:], parts[1:], strict=False):
        # Two words never touch; a sign may touch a word.
        body += (r"\s+" if LATIN.fullmatch(before) and LATIN.fullmatch(word) else r"\s*") + part
    if words and LATIN.fullmatch(words[0]) and tokens[0] != START:
        body = r"\b" + body
    if words and LATIN.fullmatch(words[-1]) and tokens[-1] != END:
        body += r"\b"
    return (r"\A\s*" if tokens[0] == START else "") + body + (r"\s*\Z" if tokens[-1] == END else "")


def templates(tree: Tree, prompts: Iterable[Prompt] = ()) -> dict[tuple[tuple[Phrase, bool], ...], Template]:
    """Return the template of every leaf, by the leaf's path, each with a name and a rule of its own.

    Args:
        tree: What was mined.
        prompts: Known requests: a phrase that a leaf lacks goes into its rule only where one of them
            holds it beside all that the leaf holds.
    """
    known = list(prompts)
    found: dict[tuple[tuple[Phrase, bool], ...], Template] = {}
    names: set[str] = set()
    for leaf in tree.leaves():
        key: list[object] = [[each.channel, each.pattern, holds] for each, holds in leaf.path if holds] or [
            WHOLE
        ]
        if not is_rest(leaf):
            key += [["lacks", each.channel, each.pattern] for each, holds in leaf.path if not holds]
        name = _unused(_name(leaf), names)
        names.add(name)
        rule = None if is_rest(leaf) else rule_of(_needed(leaf, known))
        found[leaf.path] = Template(f"~{content_hash(key)[:10]}", name, leaf.path, rule)
    return found


def _needed(leaf: Node, known: Sequence[Prompt]) -> list[tuple[Phrase, bool]]:
    """Return the questions that set a leaf apart from the known requests of others."""
    holding = [phrase for phrase, holds in leaf.path if holds]
    lacking = [phrase for phrase, holds in leaf.path if not holds and phrase is not _EMPTY]
    fitting = [prompt for prompt in known if all(each.fits(prompt) for each in holding)]
    needed = [each for each in lacking if any(each.fits(prompt) for prompt in fitting)]
    return [(each, True) for each in holding] + [(each, False) for each in needed]


def rule_of(path: Sequence[tuple[Phrase, bool]]) -> MatchRule:
    """Return the match rule that takes what holds and lacks the given phrases."""
    keys: dict[str, str] = {}
    if (_EMPTY, True) in path:
        return _match(dict.fromkeys(CHANNELS, _EMPTY.pattern))
    for channel in CHANNELS:
        holds = [phrase.pattern for phrase, is_held in path if is_held and phrase.channel == channel]
        lacks = [phrase.pattern for phrase, is_held in path if not is_held and phrase.channel == channel]
        if len(holds) == 1 and not lacks:
            keys[channel] = holds[0]
        elif holds or lacks:
            parts = [f"(?={_anywhere(each)})" for each in holds] + [
                f"(?!{_anywhere(each)})" for each in lacks
            ]
            keys[channel] = r"\A" + "".join(parts)
    return _match(keys)


def _match(keys: dict[str, str]) -> MatchRule:
    return MatchRule(
        system_prompt=keys.get("system_prompt"),
        input=keys.get("input"),
        first_input=keys.get("first_input"),
        tools=keys.get("tools"),
    )


def _anywhere(pattern: str) -> str:
    return pattern if pattern.startswith(r"\A") else rf"(?s:.*?){pattern}"


_COMMON_WORDS = (
    "a an and are as assistant be by can following for from given have helpful i if in is it its me of on or "
    "please that the their them these this to user was will with you your"
)
_COMMON = frozenset(_COMMON_WORDS.split())


def _name(leaf: Node) -> str:
    said = [token for phrase, holds in leaf.path if holds for token in phrase.tokens]
    words = [spelt for each in said if (spelt := _in_ascii(each))]
    told = [each for each in words if each not in _COMMON] or words
    if is_rest(leaf):
        return "other"
    if leaf.path[-1] == (_EMPTY, True):
        return "no-text"
    return "-".join(dict.fromkeys(told[:5]))[:60].strip("-") or _by_script("".join(said))


def _in_ascii(word: str) -> str:
    """Return a word without its accents, as names may hold it; empty where letters would be lost."""
    bare = "".join(each for each in normalize("NFKD", word.casefold()) if not combining(each))
    return bare if bare.isascii() and bare.isalpha() else ""


def _by_script(text: str) -> str:
    """Return a name for a prompt in letters that no name may hold: which letters they are."""
    letter = next((each for each in text if each.isalpha()), "")
    script = re.split(r"[ -]", unicode_name(letter, "") if letter else "")[0].lower()
    return f"{script}-prompt" if script.isascii() and script.isalpha() else "workload"


def _unused(name: str, names: set[str]) -> str:
    found, number = name, 2
    while found in names:
        found, number = f"{name}-{number}", number + 1
    return found
