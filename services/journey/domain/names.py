"""What things of other services are called: texts of journeys name them where ids differ from team to team. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple


class NamedKind(StrEnum):
    """Kinds of things that a text names; the value is how people call one."""

    ACCOUNT = "account"
    BOT_MODULE = "bot module"
    TEMPLATE = "template"


class NamedThing(NamedTuple):
    """One thing of the team."""

    kind: NamedKind
    thing_id: str
    name: str
    scope: str = ""
    """Within which the name is looked for: the channel of an account, the account of a template."""


ANYWHERE: Final = ""
"""Every scope."""


class Names:
    """The names of a team's things. A name that two things of a scope share names neither of them."""

    def __init__(self, things: Iterable[NamedThing] = ()) -> None:
        """All things of the kinds that are asked for."""
        self._ids: dict[tuple[NamedKind, str, str], list[str]] = defaultdict(list)
        self._names: dict[tuple[NamedKind, str], NamedThing] = {}
        for thing in things:
            self._names[thing.kind, thing.thing_id] = thing
            for scope in {thing.scope, ANYWHERE}:
                self._ids[thing.kind, scope, thing.name].append(thing.thing_id)

    def name_of(self, kind: NamedKind, thing_id: str, scope: str) -> str:
        """What a thing is called within `scope`; empty when that would not lead back to it."""
        thing = self._names.get((kind, thing_id))
        if thing is None or not thing.name.strip():
            return ""
        return thing.name if self.ids_of(kind, thing.name, scope) == [thing_id] else ""

    def ids_of(self, kind: NamedKind, name: str, scope: str) -> list[str]:
        """The things of that name within `scope`, in the order in which they were listed."""
        return list(self._ids.get((kind, scope, name), ()))
