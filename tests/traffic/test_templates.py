"""Templates of prompts: what is shared is found, what differs is not, and the rule takes the same calls."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.ingest.routing import TaskRouter
from workbench.records import EvalKind, Message, Request
from workbench.specs import EvalConfig
from workbench.traffic.prompts import Prompt, constant_part, prompt_of
from workbench.traffic.templates import Template, Tree, mine, pattern_of, templates

WORDS = [f"word{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(400)]


def spoken(seed: int, count: int, length: int = 12) -> list[str]:
    dice = random.Random(seed)
    return [" ".join(dice.choices(WORDS, k=dice.randrange(3, length))) for _ in range(count)]


def asked(user: str, system: str = "", tools: tuple[str, ...] = ()) -> Request:
    messages = (Message("system", system),) if system else ()
    named = tuple({"type": "function", "function": {"name": each}} for each in tools)
    return Request((*messages, Message("user", user)), tools=named)


WRAPS = {
    "sort": lambda text: asked(
        text, "You sort messages into billing, outage or other. Answer with one word."
    ),
    "slots": lambda text: asked(
        f"Read the order below and return JSON with sku and count.\nOrder: {text}\nJSON:"
    ),
    "polite": lambda text: asked(f"{text}\n\nMake the draft above polite and short, in its own language."),
    "short": lambda text: asked(f"Translate into French: {text}"),
    "json": lambda text: asked(f'{{"topic": "{text}"}}'),
    "tools": lambda text: asked(text, tools=("lookup_order", "refund")),
}


def found_in(requests: list[tuple[str, Request]]) -> tuple[Tree, dict[str, Counter[str]], list[Template]]:
    different = {repr(request): request for _, request in requests}
    prompts = [prompt_of(each) for each in different.values()]
    tree = mine(prompts)
    by_path = templates(tree, prompts)
    table: dict[str, Counter[str]] = {}
    for name, request in requests:
        leaf = by_path[tree.leaf_of(prompt_of(request)).path]
        table.setdefault(leaf.template_id, Counter())[name] += 1
    return tree, table, [each for each in by_path.values() if each.template_id in table]


def groups(table: dict[str, Counter[str]]) -> list[tuple[tuple[str, int], ...]]:
    return sorted(tuple(each.items()) for each in table.values())


def mixture(names: list[str], count: int, seed: int = 1) -> list[tuple[str, Request]]:
    found = [
        (name, WRAPS[name](text))
        for number, name in enumerate(names)
        for text in spoken(100 * seed + number, count)
    ]
    random.Random(seed).shuffle(found)
    return found


def test_each_template_becomes_one_workload() -> None:
    """System prompt, head, tail, a short instruction, a JSON input and tools each tell a template."""
    _, table, _ = found_in(mixture(list(WRAPS), 120))
    assert sorted(len(each) for each in table.values()) == [1] * len(WRAPS)
    assert {name for each in table.values() for name in each} == set(WRAPS)


def test_a_rare_template_is_found_beside_a_common_one() -> None:
    """One call in sixty is enough, where its prompt is another."""
    _, table, _ = found_in(mixture(["sort"], 900) + mixture(["slots"], 15, seed=2))
    assert groups(table) == [(("slots", 15),), (("sort", 900),)]


def test_what_people_write_is_no_template() -> None:
    """Messages without a prompt stay together, though many begin alike."""
    texts = [f"how do i {text}" for text in spoken(5, 150)] + spoken(6, 300)
    tree, table, _ = found_in([("free", asked(text)) for text in texts])
    assert len(table) == 1
    assert len(tree.leaves()) == 2


def test_values_of_a_slot_do_not_split_a_template() -> None:
    """Dates, numbers and names within a system prompt are one workload."""
    system = "You are the assistant of {}. Today is 2026-11-{:02d}. Answer questions about parcels briefly."
    requests = [
        ("one", asked(text, system.format(WORDS[number % 40], number % 28 + 1)))
        for number, text in enumerate(spoken(7, 300))
    ]
    _, table, _ = found_in(requests)
    assert len(table) == 1


def test_two_tasks_behind_one_preamble_are_two_workloads() -> None:
    """A shared house style does not hide that the instructions differ."""
    house = "You work for Halden Home, a shop for furniture. Be friendly, never promise dates or refunds. "
    kinds = {
        "sort": house + "Your task: sort the message into one of the five queues listed in the manual.",
        "short": house + "Your task: summarise the whole conversation for the colleague who takes over next.",
    }
    requests = [(name, asked(text, kinds[name])) for name in kinds for text in spoken(len(name), 100)]
    _, table, _ = found_in(requests)
    assert groups(table) == [(("short", 100),), (("sort", 100),)]


EXTRAS = (
    ("Hello dear team of the parcel desk, I hope this message finds you well.\n{}", "{}"),
    ("{}\n\nSent from my pocket telephone, please excuse my typing errors.", "{}"),
    ("{}\nKind regards, Ada Example, head of purchasing, Example Trading Limited, 12 Harbour Street", "{}"),
)


def with_extras(texts: list[str], share: float, seed: int) -> list[str]:
    """Return texts to some of which a greeting, a footer or a signature is added, each by itself."""
    dice = random.Random(seed)
    for extra, plain in EXTRAS:
        texts = [(extra if dice.random() < share else plain).format(each) for each in texts]
    return texts


@pytest.mark.parametrize("share", [0.1, 0.35, 0.6])
def test_what_users_add_to_their_texts_splits_no_template(share: float) -> None:
    """Greetings, footers and signatures within the slot of three prompts leave these three workloads."""
    requests = [
        (name, WRAPS[name](text))
        for name in ("sort", "slots", "polite")
        for text in with_extras(spoken(len(name), 300), share, len(name))
    ]
    random.Random(5).shuffle(requests)
    _, table, _ = found_in(requests)
    assert groups(table) == [(("polite", 300),), (("slots", 300),), (("sort", 300),)]


def test_what_users_add_to_the_texts_of_one_prompt_alone_splits_it_no_more() -> None:
    """A disclaimer in half of one prompt's texts is no workload of its own, beside a prompt without any."""
    footer = "\n\nThis e-mail is confidential and meant for nobody but the person whom it is addressed to."
    texts = [text + footer * (number % 2) for number, text in enumerate(spoken(21, 240))]
    requests = [("sort", WRAPS["sort"](text)) for text in texts] + mixture(["slots"], 200)
    _, table, _ = found_in(requests)
    assert groups(table) == [(("slots", 200),), (("sort", 240),)]


def test_instructions_that_take_each_others_place_are_still_workloads() -> None:
    """Behind one opening of the user's message each of three instructions is a workload, with footers."""
    opening = "You help the parcel desk of a shop for furniture, and you never promise dates.\n"
    kinds = {
        "sort": opening + "Sort the message into one of the five queues listed in the manual: {}",
        "short": opening + "Summarise the whole conversation for the colleague who takes over next: {}",
        "polite": opening + "Write the draft below anew so that it is polite and not too long: {}",
    }
    requests = [
        (name, asked(kinds[name].format(text)))
        for name in kinds
        for text in with_extras(spoken(len(name), 200), 0.3, len(name))
    ]
    _, table, _ = found_in(requests)
    assert groups(table) == [(("polite", 200),), (("short", 200),), (("sort", 200),)]


def test_instructions_behind_a_general_system_prompt_are_workloads_beside_free_questions() -> None:
    """`You are a helpful assistant.` gives no task: what half of its users' messages open with does."""
    kinds = {
        "free": "{}",
        "short": "Summarise the following text in three plain sentences for a busy reader: {}",
        "french": "Translate the following letter into French and keep its paragraphs as they are: {}",
    }
    requests = [
        (name, asked(kinds[name].format(text), "You are a helpful assistant."))
        for name in kinds
        for text in spoken(len(name), 200)
    ]
    _, table, _ = found_in(requests)
    assert groups(table) == [(("free", 200),), (("french", 200),), (("short", 200),)]


def test_copies_of_one_request_are_no_template() -> None:
    """A question that a thousand people sent in the same words counts once."""
    same = [("free", asked("please tell me when your branch in the old town opens on sunday"))] * 1_000
    _, table, _ = found_in(same + [("free", asked(text)) for text in spoken(9, 200)])
    assert len(table) == 1


def test_requests_without_text_are_a_workload_of_their_own() -> None:
    """They are named, and their rule takes no other call."""
    _, table, leaves = found_in([("empty", Request(())) for _ in range(9)] + mixture(["sort"], 60))
    assert groups(table) == [(("empty", 9),), (("sort", 60),)]
    (empty,) = [each for each in leaves if each.name == "no-text"]
    assert empty.rule is not None


@pytest.mark.parametrize("text", ["分類してください：", "请把下面的客户消息分类，只回答一个词。消息："])
def test_languages_without_spaces_have_templates_too(text: str) -> None:
    """Each sign counts as a word."""
    requests = [("zh", asked(text + each)) for each in spoken(11, 80)] + mixture(["slots"], 80)
    _, table, _ = found_in(requests)
    assert all(len(each) == 1 for each in table.values())


@pytest.mark.parametrize(
    ("system", "name"),
    [
        ("请把下面的评论分类为正面或负面，只回答一个词", "cjk-prompt"),
        ("Отнеси каждое сообщение к одной из трёх тем, ответь одним словом", "cyrillic-prompt"),
        ("صنف رسالة العميل في فئة واحدة فقط من الفئات", "arabic-prompt"),
        ("Übersetze höflich für Großkunden: café à côté", "ubersetze-hoflich-fur-grosskunden-cafe"),
    ],
)
def test_a_workload_in_other_letters_has_a_name_that_tells_it_apart(system: str, name: str) -> None:
    """Names are ASCII, since they stand in paths: accents go, and of other letters the script is said."""
    _, _, leaves = found_in([("one", asked(text, system)) for text in spoken(5, 80)] + mixture(["slots"], 80))
    assert name in [each.name for each in leaves]


@settings(max_examples=12, deadline=None)
@given(st.lists(st.sampled_from(sorted(WRAPS)), min_size=1, max_size=5, unique=True), st.integers(0, 99))
def test_the_rule_of_a_workload_takes_its_calls_and_no_others(names: list[str], seed: int) -> None:
    """Written into an eval, the rules sort the calls as the miner did."""
    requests = mixture(names, 40, seed)
    tree, _, leaves = found_in(requests)
    by_path = templates(tree, [prompt_of(each) for _, each in requests])
    evals = [EvalConfig(each.name, EvalKind.TEXT, match=each.rule) for each in leaves if each.rule]
    router = TaskRouter(evals, None)
    for _, request in requests:
        leaf = by_path[tree.leaf_of(prompt_of(request)).path]
        assert router.fitting(request, None, {}) == ([leaf.name] if leaf.rule else [])


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1_000))
def test_the_order_of_the_log_does_not_matter(seed: int) -> None:
    """The same requests in any order give the same workloads under the same ids."""
    requests = mixture(["sort", "slots", "polite"], 40)
    before = found_in(requests)[1]
    random.Random(seed).shuffle(requests)
    assert found_in(requests)[1] == before


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80), st.text(max_size=80))
def test_any_text_can_be_mined(system: str, user: str) -> None:
    """Nothing in a log breaks the miner, no call is lost, and every pattern is a regular expression."""
    requests = [("x", asked(f"{user} {number}", system)) for number in range(12)]
    _, table, leaves = found_in(requests)
    assert sum(sum(each.values()) for each in table.values()) == len(requests)
    assert {each.template_id for each in leaves} == set(table)
    for each in leaves:
        for phrase in each.phrases:
            re.compile(phrase.pattern)


def test_a_pattern_allows_other_spaces_and_numbers() -> None:
    """What the pieces call the same, the pattern takes."""
    pattern = re.compile(pattern_of(("\x02", "Step", "\x00", ":", "sort", "it")))
    assert pattern.search(" Step 12:\n sort  it")
    assert not pattern.search("Step 12: sort item")
    assert not pattern.search("Then Step 12: sort it")


def test_the_constant_part_shows_gaps_where_prompts_differ() -> None:
    """The common text stands, what differs is an ellipsis, and the prefix is what a cache can hold."""
    prompts = [
        Prompt("Sort the message of the customer.", "", f"Message: {text} Answer with one word.", "")
        for text in spoken(3, 30)
    ]
    found = constant_part(prompts)
    assert found.text.startswith("Sort the message of the customer.")
    assert "…" in found.text
    assert found.text.endswith("Answer with one word.")
    assert found.prefix_chars == len("Sort the message of the customer.") + len("Message:")


def test_a_number_that_differs_ends_what_a_cache_can_hold() -> None:
    """As pieces all numbers are alike; a prompt that begins with a ticket's number is cached up to it."""
    prompts = [Prompt("Sort it.", "", f"Ticket {each}: my parcel is late.", "") for each in range(100, 160)]
    found = constant_part(prompts)
    assert len("Sort it.Ticket ") <= found.prefix_chars <= len("Sort it.Ticket 1")
    dated = [Prompt(f"Day {each}. Sort it.", "", "My parcel is late.", "") for each in range(10, 70)]
    assert constant_part(dated).prefix_chars <= len("Day 1")


def test_one_prompt_in_twenty_may_begin_otherwise() -> None:
    alike = [Prompt("Sort it.", "", "", "")] * 19
    assert constant_part([*alike, Prompt("Translate it.", "", "", "")]).prefix_chars == len("Sort it.")


def test_numbers_that_differ_are_no_part_of_what_prompts_share() -> None:
    """One day or one customer would stand there as if all prompts held it; a limit of words stays."""
    prompts = [
        Prompt(f"Today is 2026-10-{day:02d}. Answer customer {4_000 + day} in 50 words.", "", "", "")
        for day in range(1, 29)
    ]
    assert constant_part(prompts).text == "Today is 2026-10-…. Answer customer … in 50 words."


PREAMBLE = (
    "You work for a shop that sells cups and plates all over Europe. Be polite, be short, and never promise "
    "a date of delivery that is not in the order."
)
FEW_PROMPTS = [
    tuple(f"Classify the following {each} message into one label." for each in ("bank", "voice", "text")),
    tuple(f"You are a {each} assistant." for each in ("banking", "voice", "spam filter")),
    tuple(
        f"{each} this message by intent. Answer with one label only and nothing else at all."
        for each in ("Classify", "Summarise", "Translate")
    ),
    tuple(
        f"Translate the text of the user to {each}. Keep the tone and all names."
        for each in ("French", "German", "Spanish")
    ),
    tuple(f"{PREAMBLE} Task: {each}." for each in ("sort the message", "extract the slots", "detect spam")),
    tuple(f"{PREAMBLE} Answer {each}." for each in ("in JSON", "in plain text", "with one word")),
    ("Say the sentiment of this review.", "Say the sentiment of this tweet."),
]


@pytest.mark.parametrize("prompts", FEW_PROMPTS)
def test_prompts_that_share_most_of_their_words_are_workloads_of_their_own(prompts: tuple[str, ...]) -> None:
    """Their answers are of different kinds: one eval for all of them would compare apples with pears."""
    requests = [
        (system, asked(text, system))
        for number, system in enumerate(prompts)
        for text in spoken(number + 1, 200)
    ]
    random.Random(1).shuffle(requests)
    _, table, kinds = found_in(requests)
    assert sorted(each.total() for each in table.values()) == [200] * len(prompts)
    assert all(len(each) == 1 for each in table.values())
    assert all(each.rule is not None for each in kinds)


@pytest.mark.parametrize(
    "slot",
    [
        lambda n: ("Monday", "Tuesday", "Friday")[n % 3] + f", {n % 28 + 1} March 2026",
        lambda n: f"{n % 4 + 1}",
        lambda n: f"customer {chr(97 + n % 26)}{chr(97 + n // 26 % 26)}",
        lambda n: f"word{chr(97 + n % 26)}x",
    ],
)
def test_dates_numbers_and_names_in_a_prompt_split_nothing(slot: object) -> None:
    """What a program fills in for each call is no other prompt; nor is one of many names, nor a version."""
    requests = [
        ("one", asked(text, f"You answer mails of the shop. Today: {slot(number)}. Be short and kind."))  # type: ignore[operator]
        for number, text in enumerate(spoken(3, 400))
    ]
    _, table, _ = found_in(requests)
    assert [each.total() for each in table.values()] == [400]


def test_prompts_that_begin_otherwise_and_then_name_a_customer_are_workloads_of_their_own() -> None:
    """What differs from call to call behind it hides no beginning that somebody wrote."""
    begins = ("You classify bank messages by topic.", "You classify voice commands by topic.")
    requests = [
        (
            begin,
            asked(text, f"{begin} Today is 2026-11-{number % 28 + 1:02d}. Customer: {WORDS[number]} {seed}"),
        )
        for seed, begin in enumerate(begins)
        for number, text in enumerate(spoken(seed + 1, 300))
    ]
    _, table, _ = found_in(requests)
    assert sorted(each.total() for each in table.values()) == [300, 300]
    assert all(len(each) == 1 for each in table.values())


def test_one_prompt_beside_a_rare_other_form_of_it_stays_one() -> None:
    """A handful of calls with a changed word are a value of a slot, not a workload."""
    requests = [("a", asked(text, "You sort the mails of the shop by topic.")) for text in spoken(1, 400)]
    requests += [("a", asked(text, "You sort the mails of the store by topic.")) for text in spoken(2, 9)]
    _, table, _ = found_in(requests)
    assert [each.total() for each in table.values()] == [409]
