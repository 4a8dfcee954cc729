"""An identity is the same person however its id was copied."""

from __future__ import annotations

from uuid import UUID

import pytest

from omnijourney.common.v1 import channel_pb2
from omnijourney.segment.v1 import customer_pb2
from services.segment.convert.checks import Check

ACCOUNT = str(UUID(int=4))
USER = "U" + "0a" * 16
KNOWN = {
    channel_pb2.CHANNEL_LINE: [USER],
    channel_pb2.CHANNEL_WHATSAPP: ["886912345678", "US.13491208655302741918"],
    channel_pb2.CHANNEL_MESSENGER: ["1254477777772919"],
    channel_pb2.CHANNEL_INSTAGRAM: ["17841400000000001"],
}


@pytest.mark.rule("C-21c")
@pytest.mark.parametrize("channel", list(channel_pb2.Channel.values())[1:])
@pytest.mark.parametrize("copied", ["{}", " {}", "{}\u00a0", "\ufeff{}\t", "\u3000{}\n"])
def test_blanks_around_an_id_on_a_channel_make_nobody_else_of_a_person(
    channel: channel_pb2.Channel.ValueType, copied: str
) -> None:
    known = KNOWN[channel][0]
    check = Check()
    key = customer_pb2.IdentityKey(channel=channel, account_id=ACCOUNT, external_id=copied.format(known))
    found = check.identity("identity", key)
    assert (found.external_id, check.violations) == (known, [])


@pytest.mark.parametrize(
    ("channel", "text"), [(channel, text) for channel, texts in KNOWN.items() for text in texts]
)
def test_an_id_is_one_of_its_channel_and_of_no_other(
    channel: channel_pb2.Channel.ValueType, text: str
) -> None:
    for other, known in KNOWN.items():
        check = Check()
        key = customer_pb2.IdentityKey(channel=other, account_id=ACCOUNT, external_id=text)
        check.identity("identity", key)
        fits = other == channel or (text.isdigit() and known[0].isdigit())
        assert [fault.field for fault in check.violations] == ([] if fits else ["identity.external_id"])


@pytest.mark.parametrize(
    ("channel", "text"),
    [
        (channel_pb2.CHANNEL_LINE, USER.lower()),
        (channel_pb2.CHANNEL_LINE, USER + "0"),
        (channel_pb2.CHANNEL_LINE, "C" + USER[1:]),
        (channel_pb2.CHANNEL_LINE, "@shop"),
        (channel_pb2.CHANNEL_WHATSAPP, "Mei Chen"),
        (channel_pb2.CHANNEL_WHATSAPP, "us.1349"),
        (channel_pb2.CHANNEL_WHATSAPP, "9" * 21),
        (channel_pb2.CHANNEL_MESSENGER, "12a4"),
        (channel_pb2.CHANNEL_MESSENGER, "-1"),
        (channel_pb2.CHANNEL_INSTAGRAM, "mei.chen"),
        (channel_pb2.CHANNEL_INSTAGRAM, "\uff11\uff12"),
    ],
)
def test_what_no_id_of_the_channel_looks_like_is_refused_and_can_be_named_to_be_taken_away(
    channel: channel_pb2.Channel.ValueType, text: str
) -> None:
    key = customer_pb2.IdentityKey(channel=channel, account_id=ACCOUNT, external_id=text)
    check, lenient = Check(), Check()
    check.identity("identity", key)
    assert [fault.field for fault in check.violations] == ["identity.external_id"]
    assert lenient.identity("identity", key, any_form=True).external_id == text
    assert lenient.violations == []


@pytest.mark.parametrize("text", ["", " ", "\u200b", "a\nb", "a\x00b"])
def test_what_is_no_id_is_refused(text: str) -> None:
    check = Check()
    key = customer_pb2.IdentityKey(channel=channel_pb2.CHANNEL_LINE, account_id=ACCOUNT, external_id=text)
    check.identity("identity", key)
    assert [fault.field for fault in check.violations] == ["identity.external_id"]
