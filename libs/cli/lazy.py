"""Commands that are loaded when they are called: to list them, and to complete their names, takes a table."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

from typer.core import TyperCommand, TyperGroup
from typer.main import get_group


class Listed(NamedTuple):
    """A command before it is loaded."""

    module: str
    """Where it is: `libs.cli.<module>`."""
    app: str
    """The Typer there that it is, or that has it."""
    help: str
    """The first sentence of its help, which a test compares with its own."""


def lazy_group(listed: Mapping[str, Listed]) -> type[TyperGroup]:
    """A group of these commands, in this order."""

    class LazyGroup(TyperGroup):
        """Shows what is listed, and loads what is called."""

        def __init__(self, **attributes: Any) -> None:
            super().__init__(**attributes)
            for name, command in listed.items():
                self.add_command(TyperCommand(name, help=command.help))

        def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
            """The command that the arguments name, loaded."""
            name, found, rest = super().resolve_command(ctx, args)
            return name, load(name, listed[name]) if name and found else None, rest

    return LazyGroup


def load(name: str, command: Listed) -> Any:
    """A command, or a group of commands, that can be called."""
    group = get_group(getattr(import_module(f"libs.cli.{command.module}"), command.app))
    return group if group.name == name else group.commands[name]
