"""Roles: what they give, what they never give, and to whom the rules of a workspace give them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.roles import (
    RIGHTS,
    AccessRules,
    Actor,
    Grant,
    Person,
    Right,
    Role,
    all_rights,
    described,
    is_email,
    plain_email,
)

TASKS = st.sampled_from(["triage", "orders", "rewrite"])
GRANTS = st.builds(Grant, st.sampled_from(Role), st.none() | TASKS)
SETS = st.frozensets(GRANTS, max_size=6)
EMAIL = "mia@example.com"
PEOPLE = st.builds(
    Person,
    st.lists(st.sampled_from(Role), min_size=1, max_size=3).map(tuple),
    email=st.sampled_from([EMAIL, "MIA@Example.COM", "max@example.com"]),
    tasks=st.none() | st.lists(TASKS, min_size=1, max_size=2).map(tuple),
)
EVERYBODY = st.builds(
    Person,
    st.lists(st.sampled_from(Role), min_size=1, max_size=3).map(tuple),
    domain=st.sampled_from(["example.com", "Example.com", "elsewhere.org"]),
    tasks=st.none() | st.lists(TASKS, min_size=1, max_size=2).map(tuple),
)


@given(SETS, GRANTS, st.none() | TASKS)
def test_one_more_role_never_takes_a_right_away(
    held: frozenset[Grant], more: Grant, task: str | None
) -> None:
    before, after = Actor("mia", held).rights(task), Actor("mia", held | {more}).rights(task)
    assert before <= after


@given(SETS, TASKS)
def test_nobody_holds_more_than_their_roles_give(held: frozenset[Grant], task: str) -> None:
    """Rights on a task are exactly those of the roles given there or everywhere."""
    given_there = {right for each in held if each.task in (None, task) for right in RIGHTS[each.role]}
    everywhere = {right for each in held if each.task is None for right in RIGHTS[each.role]}
    assert Actor("mia", held).rights(task) == given_there
    assert Actor("mia", held).rights() == everywhere


def test_somebody_without_a_role_may_do_nothing() -> None:
    nobody = Actor("mia", signed_in=True)
    assert not any(nobody.may(right, task) for right in Right for task in (None, "triage"))
    assert not nobody.may_somewhere(*Right)


@pytest.mark.parametrize("role", Role)
def test_a_role_on_one_task_gives_nothing_on_another_or_everywhere(role: Role) -> None:
    there = Actor("mia", frozenset({Grant(role, "triage")}))
    assert there.rights("triage") == RIGHTS[role]
    assert there.rights("orders") == there.rights() == frozenset()


def test_a_reviewer_reads_nothing_that_tells_models_or_others_labels() -> None:
    """Blindness is the reason for the role: no numbers, no cases, no conflicts, no exports."""
    assert RIGHTS[Role.REVIEWER] == {Right.LABEL}
    assert RIGHTS[Role.ADMIN] == all_rights("root").rights() == frozenset(Right)
    assert Right.RAMP not in RIGHTS[Role.ENGINEER] | RIGHTS[Role.VIEWER] | RIGHTS[Role.REVIEWER]


@given(st.lists(PEOPLE | EVERYBODY, max_size=4), PEOPLE | EVERYBODY, st.booleans(), st.none() | TASKS)
def test_one_more_rule_never_takes_a_right_away(
    people: list[Person], more: Person, verified: bool, task: str | None
) -> None:
    """Whatever the order of the rules, and whatever the address's letters look like."""
    before = AccessRules(tuple(people)).actor(EMAIL, verified=verified)
    after = AccessRules((more, *people)).actor(EMAIL.upper(), verified=verified)
    assert before.rights(task) <= after.rights(task)
    assert before.name == after.name == EMAIL


@given(st.lists(EVERYBODY, max_size=4), st.sampled_from([None, Role.VIEWER, Role.REVIEWER]))
def test_an_address_that_nobody_verified_gets_nothing_from_its_domain(
    people: list[Person], default: Role | None
) -> None:
    """Anybody can claim an address at a company's domain; only the provider's word makes it theirs."""
    assert AccessRules(tuple(people), default).actor(EMAIL, verified=False).grants == frozenset()


def test_a_domain_is_that_very_domain() -> None:
    """Neither a domain below it nor one that ends alike."""
    rules = AccessRules((Person((Role.VIEWER,), domain="example.com"),))
    for stranger in (
        "a@sub.example.com",
        "a@notexample.com",
        "a@example.com.evil.org",
        "example.com@evil.org",
    ):
        assert rules.actor(stranger, verified=True).grants == frozenset(), stranger
    assert rules.actor("a@EXAMPLE.com", verified=True).grants


def test_letters_that_only_look_alike_make_another_person() -> None:
    """A Kelvin sign folds to k in Unicode; folding it would let its owner in as somebody else."""
    rules = AccessRules((Person((Role.ADMIN,), email="kim@example.com"),))
    for stranger in ("\u212aim@example.com", "k\u0131m@example.com", "\uff4bim@example.com"):
        assert rules.actor(stranger, verified=True).grants == frozenset()
    assert rules.actor(" KIM@example.com ", verified=True).grants


def test_viewers_can_be_kept_from_the_text_of_calls_and_engineers_are_not() -> None:
    """The switch is about the role alone: who is an engineer too still reads."""
    rules = AccessRules((Person((Role.VIEWER,), email=EMAIL),), viewers_read_text=False)
    assert rules.actor(EMAIL, verified=True).rights() == {Right.SEE}
    both = AccessRules((Person((Role.VIEWER, Role.ENGINEER), email=EMAIL),), viewers_read_text=False)
    assert both.actor(EMAIL, verified=True).may(Right.READ)


@pytest.mark.parametrize(
    "text",
    ["", "mia", "mia@", "@example.com", "a b@c.de", "a@b@c.de", "a@b.de\n", "a@b c.de", "a@" + "x" * 300],
)
def test_what_is_no_address_names_nobody(text: str) -> None:
    assert not is_email(text)


def test_people_with_the_same_rights_share_what_is_remembered_and_others_do_not() -> None:
    """The key tells rights apart, not names: what one may not read is never handed on."""
    one, two = (Actor(name, frozenset({Grant(Role.VIEWER, "triage")})) for name in ("a", "b"))
    assert one.key == two.key
    assert one.key != Actor("a", frozenset({Grant(Role.VIEWER, "orders")})).key
    hidden = Actor("a", one.grants, withheld=frozenset({(Role.VIEWER, Right.READ)}))
    assert one.key != hidden.key


def test_roles_are_described_as_people_say_them() -> None:
    grants = {Grant(Role.REVIEWER, "b"), Grant(Role.REVIEWER, "a"), Grant(Role.VIEWER)}
    assert described(grants) == "reviewer on a, b; viewer"
    assert described(()) == "no role"
    assert plain_email(" A@B.C ") == "a@b.c"
