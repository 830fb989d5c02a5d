"""Filters that live in the address, so that a link opens the same view.

Streamlit's own binding writes the words that an option shows into the address; those
carry counts, which change. Here the address holds the values themselves. What an address
asks for and is not here, an old link or a hostile one, is left out, and `tell` says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

from workbench.ui import links

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator
    from streamlit.elements.lib.mutable_tab_container import TabContainer

_LEFT_OUT = "address.left-out"
_LEFT = "address.left"
_HELD = "address.held"
_PAGE = "entered.page"
_VISIT = "entered.visits"
MOMENT_S = 1.0
"""So soon after a choice nobody steps back: what still shows the address before it is the browser,
which has not heard of the new one yet."""


def enter(page: str) -> None:
    """Say which page is about to run: whoever comes to one finds on it what its address says.

    Streamlit counts widgets of the same key on two pages as two, and still lets the second page read what
    the first one held. Without this the widget would show its first option, and write it into the address.

    Args:
        page: Its name.
    """
    if st.session_state.get(_PAGE) != page:
        st.session_state[_PAGE] = page
        start_over()


def start_over() -> None:
    """Let every choice be what the next address says, whatever it is now."""
    st.session_state[_VISIT] = _visit() + 1
    # An address that comes with another page is never a late one.
    _left().clear()
    _held().clear()


def select(
    label: str,
    options: Sequence[str],
    *,
    name: str,
    default: str | None = None,
    labels: Mapping[str, str] | Callable[[str], str] = str,
    place: DeltaGenerator | None = None,
    width: int | Literal["stretch"] = "stretch",
    help: str | None = None,  # noqa: A002 - Streamlit's own word
    is_always_shown: bool = False,
) -> str:
    """Let a person choose one option; the address carries the choice unless it is the default.

    Args:
        label: What is chosen.
        options: The values, at least one.
        name: Parameter of the address.
        default: The value without a parameter; the first option unless given.
        labels: How each value reads.
        place: Where to write; the page unless given.
        width: Pixels, or stretch.
        help: Tooltip.
        is_always_shown: Whether the address carries the default too: it may be another one tomorrow.
    """
    standard = default if default in options else options[0]
    key = adopt(label, name, standard, lambda asked: links.read_choice(asked, options))
    if st.session_state[key] not in options:
        st.session_state[key] = standard
    show = labels.__getitem__ if isinstance(labels, Mapping) else labels
    chosen = (place or st).selectbox(label, options, key=key, format_func=show, width=width, help=help)
    value = chosen if chosen is not None else standard
    publish(name, value, None if is_always_shown else standard)
    return str(value)


def segmented(label: str, options: Mapping[str, str], *, name: str) -> str:
    """Let a person switch between a few things; the address carries all but the first.

    Args:
        label: What is switched, for screen readers.
        options: How each value reads, our own words.
        name: Parameter of the address.
    """
    standard = next(iter(options))
    key = adopt(label, name, standard, lambda asked: links.read_choice(asked, list(options)))
    if st.session_state[key] not in options:
        st.session_state[key] = standard
    value = st.segmented_control(
        label,
        list(options),
        key=key,
        format_func=options.__getitem__,
        required=True,
        label_visibility="collapsed",
    )
    publish(name, value or standard, standard)
    return value or standard


def text(label: str, *, name: str, placeholder: str = "", width: int = 240, limit: int = 200) -> str:
    """Let a person type a short text that the address carries.

    Args:
        label: What to type.
        name: Parameter of the address.
        placeholder: Shown while it is empty.
        width: Pixels.
        limit: Characters at most.
    """
    key = adopt(label, name, "", lambda asked: links.read_text(asked, limit))
    typed = st.text_input(
        label, key=key, type="search", placeholder=placeholder, width=width, max_chars=limit
    )
    value = (typed or "").strip()
    publish(name, value, "")
    return value


def span(
    label: str,
    *,
    name: str,
    least: float = 0.0,
    most: float = 1.0,
    step: float = 0.01,
    width: int = 260,
    help: str | None = None,  # noqa: A002 - Streamlit's own word
) -> tuple[float, float] | None:
    """Let a person choose a range of numbers; None where it is the whole of it.

    Args:
        label: What is chosen.
        name: Parameter of the address.
        least: Lower end of the scale.
        most: Its upper end.
        step: Between two numbers.
        width: Pixels.
        help: Tooltip.
    """
    whole = (least, most)
    key = adopt(label, name, whole, lambda asked: links.read_span(asked, least, most))
    chosen: Any = st.slider(label, least, most, step=step, key=key, width=width, help=help)
    value = (float(chosen[0]), float(chosen[1]))
    publish(name, value, whole)
    return None if value == whole else value


def several(
    label: str,
    options: Sequence[str],
    *,
    name: str,
    default: Sequence[str] = (),
    labels: Callable[[str], str] = str,
    help: str | None = None,  # noqa: A002 - Streamlit's own word
) -> list[str]:
    """Let a person choose any of a few things.

    Args:
        label: What is chosen.
        options: The values.
        name: Parameter of the address.
        default: The values without a parameter.
        labels: How each value reads.
        help: Tooltip.
    """
    standard = [each for each in options if each in default]
    key = adopt(label, name, standard, lambda asked: links.read_several(asked, options))
    st.session_state[key] = [each for each in st.session_state[key] or () if each in options]
    chosen = st.pills(label, options, selection_mode="multi", key=key, format_func=labels, help=help)
    value = [each for each in options if each in chosen]
    publish(name, value, standard)
    return value


def switch(label: str, *, name: str, help: str | None = None) -> bool:  # noqa: A002 - Streamlit's own word
    """Let a person switch something on; the address carries `on`.

    Args:
        label: What is switched.
        name: Parameter of the address.
        help: Tooltip.
    """
    key = adopt(label, name, False, lambda asked: True if asked == "on" else None)
    value = bool(st.toggle(label, key=key, help=help))
    publish(name, "on" if value else "", "")
    return value


def number(
    name: str, allowed: Callable[[float], bool], default: float | None, *, label: str | None = None
) -> str:
    """Return the key for a widget whose number the address carries; `publish` it afterwards.

    Args:
        name: Parameter of the address.
        allowed: Says whether a number may be taken from the address.
        default: The number without a parameter.
        label: What the number is, for `tell`; the parameter's name unless given.
    """
    return adopt(label or name.capitalize(), name, default, lambda asked: links.read_number(asked, allowed))


def amount(
    label: str,
    *,
    name: str,
    default: float | None,
    least: float,
    most: float,
    step: float,
    whole: bool = False,
    is_optional: bool = True,
    place: DeltaGenerator | None = None,
) -> float | None:
    """Let a person type a number, or take it out; the address carries it unless it is the default.

    Args:
        label: What it is.
        name: Parameter of the address.
        default: The number without a parameter; None where none is given.
        least: The smallest one.
        most: The largest one.
        step: Between two numbers.
        whole: Whether it has no decimals.
        is_optional: Whether it may be taken out.
        place: Where to write; the page unless given.
    """
    kind = int if whole else float
    key = adopt(label, name, default, lambda asked: links.read_amount(asked, least, most))
    if st.session_state[key] == links.NOT_GIVEN:
        st.session_state[key] = None if is_optional else default
    if st.session_state[key] is not None:
        st.session_state[key] = kind(st.session_state[key])
    value: Any = (place or st).number_input(
        label,
        min_value=kind(least),
        max_value=kind(most),
        value=None,
        step=kind(step),
        placeholder="not given",
        key=key,
    )
    if value is None and not is_optional:
        value = default
    publish(name, links.NOT_GIVEN if value is None and default is not None else value, default)
    return None if value is None else float(value)


def tabs(options: Mapping[str, str], *, name: str) -> dict[str, TabContainer]:
    """Lay parts of a page under tabs; the address carries which one is open, all but the first.

    Args:
        options: How the tab of each value reads, our own words, no two alike.
        name: Parameter of the address.

    Returns:
        The container of each value; it says whether it is `open`.
    """
    first = next(iter(options))
    key = adopt("Tab", name, options[first], options.get)
    if st.session_state[key] not in options.values():
        st.session_state[key] = options[first]
    made = st.tabs(list(options.values()), key=key, on_change="rerun")
    open_now = next(each for each, label in options.items() if label == st.session_state[key])
    publish(name, open_now, first)
    return dict(zip(options, made, strict=True))


def page(count: int, *, name: str = "page") -> int:
    """Let a person turn pages; return the one that is open, from 1.

    Args:
        count: How many there are.
        name: Parameter of the address.
    """
    key = number(name, lambda asked: asked == int(asked) and 1 <= asked <= max(1, count), 1, label="Page")
    # A filter may have left fewer pages than the one that was open.
    st.session_state[key] = min(int(st.session_state[key] or 1), max(1, count))
    chosen = st.pagination(count, key=key, width="stretch") if count > 1 else 1
    publish(name, chosen, 1)
    return int(chosen)


def adopt(label: str, name: str, default: Any, read: Callable[[str], Any]) -> str:
    """Return the key for a widget of any kind whose value the address carries; `publish` it afterwards.

    A new value is taken over from the address: whenever a page is entered, at a link, or a step back.

    Args:
        label: What the value is, for `tell`.
        name: Parameter of the address.
        default: The value without a parameter.
        read: Returns the value that an address names, or None where it names none.
    """
    key = _key(name)
    asked = st.query_params.get(name)
    is_news = asked != st.session_state.get(_seen(name))
    if not is_news:
        _left().pop(name, None)
    is_first = key not in st.session_state or st.session_state.get(_shown(name)) != _visit()
    if is_first or (is_news and not _is_late(name, asked)):
        found = read(asked) if asked is not None else None
        if asked is not None and found is None:
            leave_out(label)
        st.session_state[key] = default if found is None else found
        _held()[name] = st.session_state[key]
    return key


def publish(name: str, value: Any, default: Any) -> None:
    """Write a choice into the address, or take it out where it is the default."""
    st.session_state[_shown(name)] = _visit()
    shown = None if value == default else _written(value)
    before = st.query_params.get(name)
    if before != shown:
        addresses, _ = _left().get(name, (frozenset(), 0.0))
        _left()[name] = (addresses | {before, st.session_state.get(_seen(name))}, time.monotonic())
        if shown is None:
            st.query_params.pop(name)
        else:
            st.query_params[name] = shown
    st.session_state[_seen(name)] = shown
    if _key(name) in st.session_state:
        _held()[name] = st.session_state[_key(name)]


def leave_out(label: str) -> None:
    """Note that the address asks for something that is not here.

    Args:
        label: What it is about, our own words.
    """
    noted = st.session_state.setdefault(_LEFT_OUT, [])
    if label not in noted:
        noted.append(label)


def tell(place: DeltaGenerator) -> None:
    """Say once what of the address was left out; never what it said, which may be anybody's words.

    Args:
        place: Where to say it.
    """
    if noted := st.session_state.pop(_LEFT_OUT, None):
        place.info(
            f"The link asks for something that is not here ({', '.join(noted)}): that was left out.",
            icon=":material/link_off:",
        )


def _written(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return links.write_span(value)
    if isinstance(value, list):
        return links.write_several(value)
    return links.write_number(value)


def _is_late(name: str, asked: str | None) -> bool:
    """Return whether a browser still sends the address before the last choices, not one that it went to.

    A browser sends its address with whatever a person does. What they do before it has heard
    of the last choice comes with the address before it, as a step back would. But a step back
    moves no widget.
    """
    addresses, since_s = _left().get(name, (frozenset(), 0.0))
    if asked not in addresses:
        return False
    return time.monotonic() - since_s < MOMENT_S or any(
        st.session_state.get(_key(each), value) != value for each, value in _held().items()
    )


def _left() -> dict[str, tuple[frozenset[str | None], float]]:
    """Return what addresses said before choices that the browser has not confirmed, and since when."""
    found: dict[str, tuple[frozenset[str | None], float]] = st.session_state.setdefault(_LEFT, {})
    return found


def _held() -> dict[str, Any]:
    """Return the values that widgets were left with, by parameter."""
    found: dict[str, Any] = st.session_state.setdefault(_HELD, {})
    return found


def _key(name: str) -> str:
    return f"address.{name}"


def _seen(name: str) -> str:
    return f"address.seen.{name}"


def _shown(name: str) -> str:
    return f"address.shown.{name}"


def _visit() -> int:
    """Return how many pages were entered so far."""
    return int(st.session_state.get(_VISIT, 0))
