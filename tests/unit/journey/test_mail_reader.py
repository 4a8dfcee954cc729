"""Repair reads: pages of mail that fit into a message, and which page is the last."""

from __future__ import annotations

from itertools import islice
from types import SimpleNamespace
from typing import Any

import grpc
import grpc.aio
import pytest

from libs.common.mailbox.mail import MailSource, encode
from libs.testing.mails import TEAM, Numberer, customers
from omnijourney.internal.v1 import mail_service_pb2 as pb
from services.journey.clients.calls import ServiceUnavailable
from services.journey.clients.mail import PAGE_MAX, SourceMail

[ANNA] = islice(customers(), 1)


class Source:
    """A source with `count` mails of one customer, of which `fit` go into one message."""

    def __init__(self, count: int, fit: int) -> None:
        numberer = Numberer()
        self._mails = [encode(numberer.mail(ANNA)) for _ in range(count)]
        self._fit = fit
        self.asked: list[int] = []

    async def list_mail(self, request: pb.ListMailRequest, timeout: float) -> pb.ListMailResponse:  # noqa: ASYNC109 - as the stub names it
        """As the contract says."""
        self.asked.append(request.page_size)
        if request.page_size > self._fit:
            code = grpc.StatusCode.RESOURCE_EXHAUSTED
            raise grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata())
        rest = self._mails[request.customer.after_number :]
        return pb.ListMailResponse(mails=rest[: request.page_size], more=len(rest) > request.page_size)


def reader(source: Source) -> SourceMail:
    """What journey reads it with."""
    stub: Any = SimpleNamespace(ListMail=source.list_mail)
    return SourceMail(MailSource.SEGMENT, stub)


async def test_a_page_too_large_for_a_message_is_asked_for_with_fewer_rows_and_is_not_the_last() -> None:
    source = Source(300, fit=200)
    page = await reader(source).of_customer(TEAM, ANNA, 0)
    assert source.asked == [PAGE_MAX, PAGE_MAX // 2, PAGE_MAX // 4]
    assert (len(page.mails), page.more) == (PAGE_MAX // 4, True)
    last = await reader(source).of_customer(TEAM, ANNA, 200)
    assert ([mail.number for mail in last.mails], last.more) == (list(range(201, 301)), False)


async def test_one_mail_too_large_for_a_message_is_an_outage_and_no_end() -> None:
    with pytest.raises(ServiceUnavailable):
        await reader(Source(1, fit=0)).of_customer(TEAM, ANNA, 0)
