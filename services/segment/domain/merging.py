"""Merges of two customers: who becomes who, and how far that is."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from typing import Final
from uuid import UUID

import msgspec


class MergeStep(IntEnum):
    """What is being done; numbers and order of the contract."""

    CLOSE_LOSER = 1
    DRAIN_MAILBOX = 2
    MOVE_POINTS = 3
    MOVE_ENROLMENTS = 4
    UNITE_PROFILES = 5
    DONE = 6


class MergeState(IntEnum):
    """Numbers of the contract's OperationState: a merge that was accepted goes on until it is done."""

    RUNNING = 2
    SUCCEEDED = 3


class AliasKind(IntEnum):
    """By what customers were found who were merged."""

    MEMBER_ID = 1
    EMAIL = 2
    PHONE = 3


FIRST_STEP: Final = MergeStep.DRAIN_MAILBOX
"""The one who goes is closed by the transaction that accepts the merge."""


class Merge(msgspec.Struct, frozen=True):
    """One merge."""

    team_id: UUID
    merge_id: UUID
    survivor_id: UUID
    loser_id: UUID
    actor: str
    last_mail_number: int
    """Of the customer who goes, given by segment."""
    state: int
    step: int
    waits_for: str
    version: int
    tries: int
    """How often the step was begun since the last one was done."""
    create_time: datetime
    end_time: datetime | None
