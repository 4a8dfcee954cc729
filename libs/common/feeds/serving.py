# ruff: noqa: N802 - the generated base names the methods
"""What a service that writes a history serves to the others: its rows after cursors, and its mail for repairs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar
from uuid import UUID

import structlog

from libs.common.feeds.notifier import PAGE_MAX, WAIT_MAX_S, CommitNotifier, long_poll
from libs.common.feeds.rows import pack_rows
from libs.common.ids import PARTITIONS
from libs.common.mailbox.mail import Mail, encode
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.server import GrpcServer
from libs.common.rpc.values import seconds_of
from omnijourney.common.v1.history_pb2 import HistoryCursor
from omnijourney.internal.v1 import (
    history_service_pb2,
    history_service_pb2_grpc,
    mail_service_pb2,
    mail_service_pb2_grpc,
)

Row = TypeVar("Row")
Rows = Callable[[], Awaitable[tuple[Sequence[Row], dict[int, int]]]]
"""Reads one page: rows, and the cursors after it."""

MAIL_PAGE_DEFAULT: Final = 500
MAIL_PAGE_MAX: Final = 2_000
HISTORY_PAGE_DEFAULT: Final = 1_000
POSITION_MAX: Final = 2**63 - 1
HISTORY_BYTES_MAX: Final = 8 * 1024 * 1024
"""Of one answer, but for a row that alone is larger: half of what a message may have."""
ROW_BYTES_MAX: Final = 15 * 1024 * 1024
"""Of one row: what is larger fits into no message, and is a row that cannot be told."""
_NO_FORM: Final = (
    "must be HISTORY_FORM_PACKED: a reader of the release before would find no rows in the answer"
)

_log = structlog.get_logger(__name__)


class Reading(NamedTuple, Generic[Row]):
    """One reader's look at a history: how a page is read, and what tells that there may be a new row."""

    rows: Rows[Row]
    notifier: CommitNotifier
    is_at_end: Callable[[], bool] = lambda: False
    """Whether the page that was read last was followed by nothing; False where that is not known."""


class History(Protocol[Row]):
    """The history of one service."""

    def reading(self, cursors: Mapping[int, int], size: int, kinds: Sequence[int]) -> Reading[Row]:
        """A reader of up to `size` rows a page after the cursors, of some kinds only where the history has kinds.

        Raises InvalidArgument for kinds that it does not have.
        """
        ...

    @property
    def partitions(self) -> int:
        """How many partitions it has, from 0."""
        ...

    def values(self, rows: Sequence[Row]) -> Sequence[Sequence[Any]]:
        """Of each row its values, in the order of this service's struct in `libs.common.feeds.rows`. Raises for a row
        that cannot be read."""
        ...

    def place(self, row: Row) -> tuple[int, int]:
        """Partition and position."""
        ...


class SelectedRows:
    """A history, but for its reading, that lies in all partitions and whose rows are selected with the columns of their
    struct, in its order."""

    partitions = PARTITIONS

    def values(self, rows: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """See `History`."""
        return list(map(tuple, rows))

    def place(self, row: Any) -> tuple[int, int]:
        """See `History`."""
        return row["partition"], row["position"]


class MailPage(NamedTuple):
    """Some mail, in order."""

    mails: Sequence[Mail]
    more: bool
    """There may be more after these; a page may be short of its limit for the bytes of its mails."""


class Mails(Protocol):
    """The mail that one service numbers."""

    async def of_customer(self, team_id: UUID, customer_id: UUID, after_number: int, limit: int) -> MailPage:
        """A customer's mail after a number."""
        ...

    async def of_partition(self, partition: int, after_position: int, limit: int) -> MailPage:
        """A partition's mail after a position."""
        ...


class TeamMails(Protocol):
    """The mail that one service numbers, for who reads all of a team."""

    async def of_team(
        self, team_id: UUID, since: datetime, after: tuple[UUID, int] | None, limit: int
    ) -> MailPage:
        """Mail recorded since an instant, in order of customer and number, after the last that was read."""
        ...


class HistoryServicer(history_service_pb2_grpc.HistoryServiceServicer, Generic[Row]):
    """See `protos/omnijourney/internal/v1/history_service.proto`."""

    def __init__(
        self, history: History[Row], draining: asyncio.Event, content: History[Row] | None = None
    ) -> None:
        """`draining` ends reads that wait. `content` is the same history without all that is not of content."""
        self._history = history
        self._content = content
        self._draining = draining

    async def ListHistory(
        self, request: history_service_pb2.ListHistoryRequest, context: Any
    ) -> history_service_pb2.ListHistoryResponse:
        """A page of rows; waits for one if asked."""
        cursors, size, wait_s = _asked(request, self._history.partitions)
        history = self._content if request.content_only and self._content else self._history
        reading = history.reading(cursors, size, request.kinds)
        rows, following = await long_poll(reading.rows, reading.notifier, wait_s, self._draining)
        packed = self._packed(rows) if rows else b""
        is_cut = len(packed) > HISTORY_BYTES_MAX
        if is_cut:
            packed, following = self._cut(rows, cursors, following)
        return history_service_pb2.ListHistoryResponse(
            next_cursors=[
                HistoryCursor(partition=partition, after_position=following[partition])
                for partition, position in cursors.items()
                if following[partition] != position
            ],
            form=history_service_pb2.HISTORY_FORM_PACKED,
            rows=packed,
            at_end=reading.is_at_end() and not is_cut,
        )

    def _packed(self, rows: Sequence[Row]) -> bytes:
        """All rows; of one that cannot be read, its place, for readers to set aside."""
        try:
            return pack_rows(self._history.values(rows))
        except Exception:  # noqa: BLE001 - whatever it is, it is a row's: the others are told
            return pack_rows([self._readable(row) for row in rows])

    def _readable(self, row: Row) -> Sequence[Any]:
        """One row, or its place where it cannot be read, or fits into no message."""
        try:
            (values,) = self._history.values([row])
            fits = len(pack_rows([values])) <= ROW_BYTES_MAX
        except Exception:  # noqa: BLE001 - whatever it is, it is this row's
            _log.exception("a row of the history cannot be read")
            fits = False
        return values if fits else (*self._history.place(row), None)

    def _cut(
        self, rows: Sequence[Row], before: Mapping[int, int], following: Mapping[int, int]
    ) -> tuple[bytes, dict[int, int]]:
        """As many of the first rows as fit, one at least, and the cursors after these."""
        fitting: list[Sequence[Any]] = []
        size, reached = 0, dict(before)
        for row in rows:
            values = self._readable(row)
            size += len(pack_rows([values]))
            if size > HISTORY_BYTES_MAX and fitting:
                break
            fitting.append(values)
            partition, position = self._history.place(row)
            reached[partition] = position
        cut = {self._history.place(row)[0] for row in rows[len(fitting) :]}
        return pack_rows(fitting), {p: reached[p] if p in cut else at for p, at in following.items()}


class MailServicer(mail_service_pb2_grpc.MailServiceServicer):
    """See `protos/omnijourney/internal/v1/mail_service.proto`."""

    def __init__(self, mails: Mails, of_teams: TeamMails | None = None) -> None:
        """`mails` of the service; `of_teams` where whole teams may be read, too."""
        self._mails = mails
        self._of_teams = of_teams

    async def ListMail(
        self, request: mail_service_pb2.ListMailRequest, context: Any
    ) -> mail_service_pb2.ListMailResponse:
        """Mail of a partition, of a customer or of a team."""
        check = FieldCheck()
        size = check.whole("page_size", request.page_size or MAIL_PAGE_DEFAULT, least=1, most=MAIL_PAGE_MAX)
        if request.WhichOneof("scope") == "team" and self._of_teams is not None:
            page = await self._of_teams.of_team(*_team_cursor(check, request.team), size)
        elif request.WhichOneof("scope") == "customer":
            cursor = request.customer
            team_id = check.uuid("customer.team_id", cursor.team_id)
            customer_id = check.uuid("customer.customer_id", cursor.customer_id)
            check.done()
            page = await self._mails.of_customer(team_id, customer_id, cursor.after_number, size)
        else:
            partition, after = _cursor(check, "partition", request.partition)
            if request.WhichOneof("scope") != "partition":
                check.fault("scope", "is required: one that this service has")
            check.done()
            page = await self._mails.of_partition(partition, after, size)
        return mail_service_pb2.ListMailResponse(mails=map(encode, page.mails), more=page.more)


def serve_history(
    server: GrpcServer,
    history: History[Any],
    draining: asyncio.Event,
    content: History[Any] | None = None,
) -> None:
    """Adds a service's history to its server; see `HistoryServicer`."""
    server.add(
        history_service_pb2_grpc.add_HistoryServiceServicer_to_server,
        HistoryServicer(history, draining, content),
        history_service_pb2.DESCRIPTOR.services_by_name["HistoryService"],
    )


def serve_mail(server: GrpcServer, mails: Mails, of_teams: TeamMails | None = None) -> None:
    """Adds a service's mail to its server; see `MailServicer`."""
    server.add(
        mail_service_pb2_grpc.add_MailServiceServicer_to_server,
        MailServicer(mails, of_teams),
        mail_service_pb2.DESCRIPTOR.services_by_name["MailService"],
    )


def _team_cursor(
    check: FieldCheck, cursor: mail_service_pb2.TeamMailCursor
) -> tuple[UUID, datetime, tuple[UUID, int] | None]:
    """Team, since when, and the customer and number of the last mail that was read."""
    team_id = check.uuid("team.team_id", cursor.team_id)
    since = check.time("team.start_time", cursor, "start_time")
    customer_id = check.optional_uuid("team.after_customer_id", cursor.after_customer_id)
    number = check.whole("team.after_number", cursor.after_number, least=0, most=POSITION_MAX)
    check.done()
    assert since is not None
    return team_id, since, None if customer_id is None else (customer_id, number)


def _asked(
    request: history_service_pb2.ListHistoryRequest, partitions: int
) -> tuple[dict[int, int], int, float]:
    """Cursors, rows of a page, real seconds to wait."""
    check = FieldCheck()
    if request.form != history_service_pb2.HISTORY_FORM_PACKED:
        check.fault("form", _NO_FORM)
    check.count("cursors", request.cursors, least=1, most=partitions)
    cursors: dict[int, int] = {}
    for index, each in enumerate(request.cursors):
        partition, after = each.partition, each.after_position
        # Each page has a cursor for each partition: their paths are made where one is faulty.
        if partition in cursors or not (0 <= partition < partitions and after >= 0):
            _cursor(check, f"cursors[{index}]", each, partitions)
            if partition in cursors:
                check.fault(f"cursors[{index}].partition", "is given twice")
        cursors[partition] = after
    size = check.whole("page_size", request.page_size or HISTORY_PAGE_DEFAULT, least=1, most=PAGE_MAX)
    wait_s = seconds_of(request.wait)
    if not 0 <= wait_s <= WAIT_MAX_S:
        check.fault("wait", f"must be 0 to {WAIT_MAX_S:.0f} s")
    check.done()
    return cursors, size, wait_s


def _cursor(
    check: FieldCheck, path: str, cursor: HistoryCursor, partitions: int = PARTITIONS
) -> tuple[int, int]:
    return (
        check.whole(f"{path}.partition", cursor.partition, least=0, most=partitions - 1),
        check.whole(f"{path}.after_position", cursor.after_position, least=0, most=POSITION_MAX),
    )
