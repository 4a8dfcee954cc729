"""Checks of a request's fields that collect every fault before they refuse."""

from collections.abc import Sized
from datetime import datetime
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as DriverUUID  # noqa: N811 - two classes of one name
from google.protobuf.message import Message

from libs.common.errors import FieldViolation, InvalidArgument
from libs.common.rpc.values import believed_time
from libs.common.text import CONTROL, as_seen, shows
from libs.common.times import OUT_OF_RANGE

_NIL = UUID(int=0)


class FieldCheck:
    """Reads fields, notes what is wrong, and refuses with all of it at the end.

    Readers return a harmless value for a faulty field, so that checking goes on; call `done` before using any.
    """

    def __init__(self) -> None:
        """Nothing wrong yet."""
        self.violations: list[FieldViolation] = []

    def fault(self, field: str, description: str) -> None:
        """Notes a fault."""
        self.violations.append(FieldViolation(field, description))

    def uuid(self, field: str, text: str) -> UUID:
        """A required id, of the driver's subclass of UUID: read, hashed and compared in C, much faster."""
        try:
            return DriverUUID(text)
        except ValueError:
            self.fault(field, "must be a UUID" if text else "is required")
            return _NIL

    def optional_uuid(self, field: str, text: str) -> UUID | None:
        """An id, or None when the field is empty."""
        return self.uuid(field, text) if text else None

    def text(self, field: str, text: str, *, length_max: int, length_min: int = 1) -> str:
        """A text of `length_min` to `length_max` characters; with a minimum of 1 there must be something to see."""
        if len(text) > length_max:
            self.fault(field, f"must have at most {length_max} characters")
        elif length_min and not shows(text):
            self.fault(field, "is required")
        elif len(text) < length_min:
            self.fault(field, f"must have at least {length_min} characters")
        return text

    def name(self, field: str, text: str, *, length_max: int) -> str:
        """What people call something, as it is seen. Control characters, line breaks among them, would break lists,
        files and terminals."""
        name = as_seen(text)
        if CONTROL.search(name):
            self.fault(field, "must not hold control characters")
        return self.text(field, name, length_max=length_max)

    def whole(self, field: str, value: int, *, least: int, most: int) -> int:
        """A number from `least` to `most`."""
        if not least <= value <= most:
            self.fault(field, f"must be {least} to {most}")
        return value

    def time(self, field: str, message: Message, name: str) -> datetime | None:
        """The timestamp `message.<name>`; None, with a fault, when it is absent or outside the years 1970 to 9998."""
        if not message.HasField(name):
            self.fault(field, "is required")
            return None
        at = believed_time(getattr(message, name))
        if at is None:
            self.fault(field, OUT_OF_RANGE)
        return at

    def range(self, message: Message) -> tuple[datetime | None, datetime | None]:
        """The times `start_time` and `end_time` of a half-open range, None where one is absent; one that holds nothing
        is a fault."""
        start, end = (
            self.time(field, message, field) if message.HasField(field) else None
            for field in ("start_time", "end_time")
        )
        self.order(start, end)
        return start, end

    def order(self, start: datetime | None, end: datetime | None) -> None:
        """A range has to end after its start."""
        if start is not None and end is not None and end <= start:
            self.fault("end_time", "must be after start_time")

    def count(self, field: str, items: Sized, *, most: int, least: int = 0) -> None:
        """A list of `least` to `most` items."""
        if not least <= len(items) <= most:
            self.fault(field, f"must have {least} to {most} items, has {len(items)}")

    def done(self) -> None:
        """Raises InvalidArgument with every fault noted."""
        if self.violations:
            raise InvalidArgument.of(*self.violations)
