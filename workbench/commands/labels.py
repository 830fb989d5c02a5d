"""`workbench label`: what people say of the outputs, with or without the app."""

from __future__ import annotations

import click

from workbench.commands import label_desk, label_files, label_team


@click.group()
def label() -> None:
    """Label outputs blind, settle conflicts, and take labels in and out."""


for _each in (*label_desk.COMMANDS, *label_team.COMMANDS, *label_files.COMMANDS):
    label.add_command(_each)
