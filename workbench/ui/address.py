"""Filters that live in the address, so that a link opens the same view.

Streamlit's own binding writes the words that an option shows into the address; those
carry counts, which change. Here the address holds the values themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator


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
    """
    standard = default if default in options else options[0]
    key = _adopt(name, standard, lambda asked: asked if asked in options else None)
    if st.session_state[key] not in options:
        st.session_state[key] = standard
    show = labels.__getitem__ if isinstance(labels, Mapping) else labels
    chosen = (place or st).selectbox(label, options, key=key, format_func=show, width=width, help=help)
    value = chosen if chosen is not None else standard
    publish(name, value, standard)
    return str(value)


def segmented(label: str, options: Mapping[str, str], *, name: str) -> str:
    """Let a person switch between a few things; the address carries all but the first.

    Args:
        label: What is switched, for screen readers.
        options: How each value reads, our own words.
        name: Parameter of the address.
    """
    standard = next(iter(options))
    key = _adopt(name, standard, lambda asked: asked if asked in options else None)
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
    key = _adopt(name, "", lambda asked: asked[:limit])
    typed = st.text_input(
        label, key=key, type="search", placeholder=placeholder, width=width, max_chars=limit
    )
    value = (typed or "").strip()
    publish(name, value, "")
    return value


def number(name: str, allowed: Callable[[float], bool], default: float) -> str:
    """Return the key for a widget whose number the address carries; `publish` it afterwards.

    Args:
        name: Parameter of the address.
        allowed: Says whether a number may be taken from the address.
        default: The number without a parameter.
    """
    return _adopt(name, default, lambda asked: _number(asked, allowed))


def publish(name: str, value: Any, default: Any) -> None:
    """Write a choice into the address, or take it out where it is the default."""
    shown = str(value) if isinstance(value, str) else f"{value:g}"
    if value == default:
        st.query_params.pop(name, None)
        st.session_state[_seen(name)] = None
    else:
        if st.query_params.get(name) != shown:
            st.query_params[name] = shown
        st.session_state[_seen(name)] = shown


def _adopt(name: str, default: Any, read: Callable[[str], Any]) -> str:
    """Take a new value over from the address: at the first visit, a link, or a step back."""
    key = f"address.{name}"
    asked = st.query_params.get(name)
    if key not in st.session_state or asked != st.session_state.get(_seen(name)):
        found = read(asked) if asked is not None else None
        st.session_state[key] = default if found is None else found
    return key


def _seen(name: str) -> str:
    return f"address.seen.{name}"


def _number(asked: str, allowed: Callable[[float], bool]) -> float | None:
    try:
        value = float(asked)
    except ValueError:
        return None
    return value if allowed(value) else None
