"""Ids and tokens of accounts become parts of requests: what would make another request of them is refused."""

from __future__ import annotations

import pytest

from libs.common.rpc.fields import FieldCheck
from omnijourney.channel_gateway.v1 import account_pb2
from services.channel_gateway.convert.accounts import connection_of


def faults(**connection: object) -> list[str]:
    check = FieldCheck()
    connection_of(check, "account", account_pb2.ChannelAccount(**connection), is_new=True)  # type: ignore[arg-type]
    return [fault.field for fault in check.violations]


@pytest.mark.parametrize(
    "odd", ["../me", "1/messages", "1?fields=x", "1#x", "1%2F2", "..", "１２３", "1 2", "1\n2"]
)
def test_an_id_that_is_more_than_one_part_of_an_address_is_refused(odd: str) -> None:
    assert faults(whatsapp={"phone_number_id": odd, "waba_id": odd}) == [
        "account.whatsapp.phone_number_id",
        "account.whatsapp.waba_id",
    ]
    assert faults(messenger={"page_id": odd}) == ["account.messenger.page_id"]
    assert faults(instagram={"instagram_id": odd}) == ["account.instagram.instagram_id"]
    assert faults(line={"channel_id": odd}) == ["account.line.channel_id"]


@pytest.mark.parametrize("good", ["100000000000001", " 1 ", "\ufeff1\n"])
def test_an_id_as_it_is_copied_is_taken(good: str) -> None:
    assert faults(whatsapp={"phone_number_id": good}) == []


@pytest.mark.parametrize("odd", ["a\nb", "a\x00b", "a\u2028b"])
def test_a_token_of_several_lines_is_refused(odd: str) -> None:
    named = {"phone_number_id": "1", "access_token": odd, "app_secrets": [odd], "verify_token": odd}
    assert faults(whatsapp=named) == [
        "account.whatsapp.access_token",
        "account.whatsapp.app_secrets[0]",
        "account.whatsapp.verify_token",
    ]
