"""Imports of point changes (P-10): a file's lines and whom they name."""

from __future__ import annotations

from uuid import UUID

import msgspec


class Hints(msgspec.Struct, frozen=True):
    """How a line names its customer; the first that finds somebody decides. Empty: not told."""

    member_id: str = ""
    email: str = ""
    phone: str = ""


class Match(msgspec.Struct, frozen=True):
    """Whom a line names: nobody (`customer_id` None), one customer, or several."""

    customer_id: UUID | None
    ambiguous: bool
    on_whatsapp: bool
