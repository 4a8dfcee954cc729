"""Customers as points knows them: a copy of segment's basic data."""

from __future__ import annotations

from uuid import UUID

import msgspec


class CustomerBasics(msgspec.Struct, frozen=True):
    """A customer's basic data; empty where there is none. `found` False: the team has no such customer."""

    team_id: UUID
    customer_id: UUID
    name: str = ""
    member_id: str = ""
    email: str = ""
    phone: str = ""
    found: bool = True
