"""What keeps events from letting customers into journeys, by name."""

from __future__ import annotations

from enum import IntEnum


class EntryCause(IntEnum):
    """The numbers and meanings are those of the contract; 0 is none."""

    NONE = 0
    NEVER_PUBLISHED = 1
    BEFORE_PUBLISHING = 2
    BEFORE_START = 3
    OTHER_ACCOUNT = 4
    OTHER_TAG = 5
    OTHER_JOURNEY = 6
    UNREADABLE_EVENT = 7
    OTHER_EVENT = 8
    TEST_ORDER = 9
    UNCOUNTED_ORDER = 10
    OTHER_CURRENCY = 11
    AMOUNT_TOO_LOW = 12
    AMOUNT_TOO_HIGH = 13
    NO_SUCH_ITEM = 14
    OTHER_ATTRIBUTE = 15
    VALUE_REMOVED = 16
    VALUE_NOT_MET = 17
    NOT_ACTIVE = 18
    NOT_WORKED = 19
    SET_ASIDE = 20
    DROPPED = 21
    TOO_MANY_LIVE = 22
    CHAIN_TOO_LONG = 23
    ENTERED_TOO_OFTEN = 24
    PLAN_USED_UP = 25
    WORKED_TOO_LATE = 26
    NOT_KEPT = 27
    NO_SUCH_EVENT = 28
