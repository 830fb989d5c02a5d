"""The formats that content tells apart, and one record read with one of them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from workbench.formats.anthropic_messages import AnthropicMessages
from workbench.formats.azure_apim import AzureAPIM
from workbench.formats.base import (
    Draft,
    Feedback,
    Format,
    Item,
    Mark,
    Part,
    Passed,
    Record,
    Splits,
    Unreadable,
)
from workbench.formats.bedrock import Bedrock
from workbench.formats.flywheel import Flywheel
from workbench.formats.helicone import Helicone
from workbench.formats.langfuse import Langfuse
from workbench.formats.langsmith import LangSmith
from workbench.formats.litellm import LiteLLM
from workbench.formats.mapped import Mapped
from workbench.formats.mlflow import MLflow
from workbench.formats.openai_batch import OpenAIBatch
from workbench.formats.openai_chat import OpenAIChat
from workbench.formats.openai_responses import OpenAIResponses
from workbench.formats.openai_stored import OpenAIStored
from workbench.formats.openinference import OpenInference
from workbench.formats.openpipe import OpenPipe
from workbench.formats.otlp_genai import OtlpGenAI
from workbench.formats.provider_pair import ProviderPair
from workbench.formats.tensorzero import TensorZero

REGISTRY: tuple[Format, ...] = (
    Bedrock(), OpenAIBatch(), MLflow(), OpenInference(), OtlpGenAI(), LangSmith(), Langfuse(), TensorZero(),
    LiteLLM(), Helicone(), AzureAPIM(), Flywheel(), OpenPipe(), OpenAIResponses(), AnthropicMessages(),
    OpenAIChat(), OpenAIStored(), ProviderPair(),
)  # fmt: skip
"""Formats that content tells apart, the most particular first."""

FORMATS: tuple[str, ...] = (*(each.name for each in REGISTRY), Mapped.name)
"""Every name that `--format` takes, besides auto."""

STAND_ALONE = frozenset(
    (
        *(OpenAIChat.name, OpenAIBatch.name, OpenAIStored.name, OpenAIResponses.name, AnthropicMessages.name),
        *(Helicone.name, Flywheel.name, OpenPipe.name, ProviderPair.name, Mapped.name),
    )
)
"""Formats whose records are whole calls or whole outputs: several readers can share a file of them."""

ODD = (TypeError, ValueError, KeyError, AttributeError, IndexError, RecursionError)
"""What a bug in a format raises on odd data. The contract test proves that formats don't; one
odd line must still not stop a million."""


def recognised(value: Mapping[str, Any]) -> tuple[Format, str] | None:
    """Return the format that a record has, and what says so; None if it has none."""
    for form in REGISTRY:
        because = _because(form, value)
        if because is not None:
            return form, because
    return None


def _because(form: Format, value: Mapping[str, Any]) -> str | None:
    try:
        return form.recognise(value)
    except ODD:
        return None


def parse_record(form: Format, record: Record, file: str, *, given: bool = False) -> Iterable[Item]:
    """Read one record; what can't be read is rejected with its reason.

    Args:
        form: The format of the file. A record that looks like another format's alone is
            read with that one, unless the file's was given.
        record: The record.
        file: The name of its file.
        given: Whether a person named the format.
    """
    value = record.value
    if not isinstance(value, dict):
        return [record.rejected(file, "not a JSON object")]
    hint = ""
    if not isinstance(form, Mapped) and _because(form, value) is None:
        other = recognised(value)
        if other is not None and given:
            hint = f"; it looks like {other[0].name} because it has {other[1]}"
        elif other is not None:
            form = other[0]
    if not _splits(type(form)):
        return _parse(form, value, record, file, hint)
    try:
        units = list(cast("Splits", form).split(value))
    except ODD as error:
        return [record.rejected(file, f"can't be read as {form.name}: {type(error).__name__}: {error}{hint}")]
    if not units:
        return [Passed("holds no records", None, (), file, record.line)]
    return _parse_each(form, units, record, file, hint)


def _parse_each(form: Format, units: Sequence[Any], record: Record, file: str, hint: str) -> Iterator[Item]:
    """Parse the source records of one line, of which there may be thousands, one after the other."""
    for number, unit in enumerate(units, start=1):
        place = f"{record.place}, part {number}" if record.place else f"item {number}"
        whole = record if len(units) == 1 else Record(record.line, unit, None, record.repaired, place=place)
        yield from _parse(form, unit, whole, file, hint)


@functools.cache
def _splits(kind: type) -> bool:
    """Say whether a format's lines hold several records; a protocol takes long to ask each time."""
    return issubclass(kind, Splits)


def _parse(form: Format, value: Any, record: Record, file: str, hint: str) -> Sequence[Item]:
    try:
        if not isinstance(value, dict):
            raise Unreadable("not an object")
        parsed = form.parse(value)
    except Unreadable as error:
        return [record.rejected(file, f"{error}{hint}")]
    except ODD as error:
        return [record.rejected(file, f"can't be read as {form.name}: {type(error).__name__}: {error}{hint}")]
    found: list[Item] = []
    for item in parsed:
        if isinstance(item, Passed):
            found.append(Passed(item.reason, item.span, item.feedback, file, record.line, item.parts))
            continue
        item.file, item.line = file, record.line
        if isinstance(item, Part):
            item.form = form
        elif record.repaired and not isinstance(item, Feedback):
            item.marks.append(Mark.REPAIRED_TEXT)
        if isinstance(item, Draft):
            for label in item.feedback:
                label.file, label.line = file, record.line
        found.append(item)
    return found
