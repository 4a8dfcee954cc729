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


class QuickGroup(TyperGroup):
    """A group that looks at no option where none is given before the command: to find that loads pydantic, a third of
    what help costs."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parts the command from what is behind it."""
        if not args or args[0].startswith("-"):
            return super().parse_args(ctx, args)
        ctx._protected_args, ctx.args = args[:1], args[1:]
        return args[1:]


def lazy_group(listed: Mapping[str, Listed]) -> type[TyperGroup]:
    """A group of these commands, in this order."""

    class LazyGroup(QuickGroup):
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
    app = getattr(import_module(f"libs.cli.{command.module}"), command.app)
    app.info.cls = QuickGroup
    group = get_group(app)
    return group if group.name == name else group.commands[name]
