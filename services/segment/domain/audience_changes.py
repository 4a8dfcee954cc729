"""Changes of everyone in an audience: tags and attributes, step by step."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from typing import Final
from uuid import UUID

import msgspec

from libs.common.text import fold

STEP_CUSTOMERS: Final = 200
"""Customers of one transaction."""
RUNNING_MAX: Final = 20
"""Changes of a team that have not ended."""
DELETED: Final = 0
MERGED: Final = -1
"""Values of `convert_to` that are no type."""

ChangeKey = tuple[UUID, UUID]
"""Team and id."""


class ChangeState(IntEnum):
    """Where a change stands; numbers as in the contract's operations."""

    PENDING = 1
    RUNNING = 2
    SUCCEEDED = 3
    FAILED = 4
    CANCELLED = 5

    @property
    def has_ended(self) -> bool:
        """Nothing more is done."""
        return self not in {ChangeState.PENDING, ChangeState.RUNNING}


class AudienceChange(msgspec.Struct, frozen=True):
    """One change, and how far it is. `audience` is the serialised message of the contract."""

    team_id: UUID
    change_id: UUID
    audience: bytes
    add_tags: tuple[str, ...]
    remove_tags: tuple[str, ...]
    keys: tuple[str, ...]
    texts: tuple[str, ...]
    """Values of the attributes `keys`."""
    triggers: bool
    of_tag: bool
    """It is done when nobody has the tag that is removed, whoever got it meanwhile."""
    state: ChangeState
    reached: UUID | None
    """The last customer that was looked at."""
    done_count: int
    refused_count: int
    total_count: int
    """As many as there were when it was asked for."""
    reason: str
    """Name of an `ErrorReason`, of one that failed."""
    message: str
    created_at: datetime
    updated_at: datetime
    convert_key: str = ""
    """The attribute whose values are converted, of everyone; empty: none, and what stands above is done."""
    convert_from: int = 0
    convert_to: int = 0
    """`AttributeType`s; `convert_to` may be DELETED or MERGED: the values go, and then the definition."""
    merge_into: str = ""
    """The attribute that the values become values of before they go; empty: none."""

    @property
    def key(self) -> ChangeKey:
        """See `ChangeKey`."""
        return self.team_id, self.change_id

    @property
    def values(self) -> dict[str, str]:
        """Attributes to set."""
        return dict(zip(self.keys, self.texts, strict=True))

    @property
    def deletes_attribute(self) -> bool:
        """It is done when nobody has a value of the attribute. Its definition, archived till then, goes last."""
        return bool(self.convert_key) and self.convert_to in {DELETED, MERGED}

    @property
    def spells(self) -> bool:
        """The tag stays the same, and is only written otherwise."""
        return self.of_tag and [fold(tag) for tag in self.add_tags] == [fold(tag) for tag in self.remove_tags]
