"""An identity is the same person however its id was copied."""

from __future__ import annotations

from uuid import UUID

import pytest

from omnijourney.common.v1 import channel_pb2
from omnijourney.segment.v1 import customer_pb2
from services.segment.convert.checks import Check

ACCOUNT = str(UUID(int=4))
USER = "U" + "0a" * 16


@pytest.mark.rule("C-21c")
@pytest.mark.parametrize("channel", list(channel_pb2.Channel.values())[1:])
@pytest.mark.parametrize("copied", ["{}", " {}", "{}\u00a0", "\ufeff{}\t", "\u3000{}\n"])
def test_blanks_around_an_id_on_a_channel_make_nobody_else_of_a_person(
    channel: channel_pb2.Channel.ValueType, copied: str
) -> None:
    known = "886912345678" if channel == channel_pb2.CHANNEL_WHATSAPP else USER
    check = Check()
    key = customer_pb2.IdentityKey(channel=channel, account_id=ACCOUNT, external_id=copied.format(known))
    found = check.identity("identity", key)
    assert (found.external_id, check.violations) == (known, [])


@pytest.mark.parametrize("text", ["", " ", "\u200b", "a\nb", "a\x00b"])
def test_what_is_no_id_is_refused(text: str) -> None:
    check = Check()
    key = customer_pb2.IdentityKey(channel=channel_pb2.CHANNEL_LINE, account_id=ACCOUNT, external_id=text)
    check.identity("identity", key)
    assert [fault.field for fault in check.violations] == ["identity.external_id"]
