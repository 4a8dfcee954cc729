"""Messages without their secrets, and which fields are some."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto

from libs.common.redaction import redacted
from omnijourney.channel_gateway.v1 import account_pb2, webhook_pb2
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from tools.contracts.generate import image

_TELLING: Final = re.compile(
    r"(^|_)(tokens?|secrets?|passwords?|passphrases?|credentials?|signatures?|private|"
    r"(api|access|signing|shop|hmac|encryption|key)_(keys?|material))($|_)",
    re.ASCII,
)
_NO_SECRETS: Final = {
    "page_token": "opaque, and good for the same arguments only",
    "next_page_token": "opaque, and good for the same arguments only",
    "shop_key_id": "names a key",
    "secret_key_id": "names a key",
    "browser_token": "names a browser, as a cookie of the shop does; who knows it learns nothing by it",
    "omnijourney.channel_gateway.v1.TrackedLink.token": "stands in the address that customers get",
    "omnijourney.channel_gateway.v1.LinkClick.token": "stands in the address that customers get",
    "omnijourney.channel_gateway.v1.GetTrackedLinkRequest.token": "stands in the address that customers get",
    "omnijourney.channel_gateway.v1.ListLinkClicksRequest.token": "stands in the address that customers get",
}
"""Field name, or full name, to why it is no secret in spite of its name."""


def _messages(messages: Iterable[DescriptorProto], scope: str) -> Iterator[tuple[str, DescriptorProto]]:
    for message in messages:
        yield f"{scope}.{message.name}", message
        yield from _messages(message.nested_type, f"{scope}.{message.name}")


def _telling() -> Iterator[tuple[str, FieldDescriptorProto]]:
    """Fields of texts and bytes whose names speak of secrets."""
    for file in image().file:
        if not file.package.startswith("omnijourney."):
            continue
        for name, message in _messages(file.message_type, file.package):
            for field in message.field:
                holds_text = field.type in (FieldDescriptorProto.TYPE_STRING, FieldDescriptorProto.TYPE_BYTES)
                if holds_text and not message.options.map_entry and _TELLING.search(field.name):
                    yield f"{name}.{field.name}", field


def test_every_field_that_is_named_like_a_secret_is_marked_or_has_a_reason() -> None:
    found = dict(_telling())
    excused = {name for name in found if name in _NO_SECRETS or name.rpartition(".")[2] in _NO_SECRETS}
    unmarked = {name for name, field in found.items() if not field.options.debug_redact}
    assert unmarked == excused
    used = excused | {name.rpartition(".")[2] for name in excused}
    assert not set(_NO_SECRETS) - used, "reasons that nothing needs any more"


def test_secrets_are_cleared_wherever_they_stand() -> None:
    account = account_pb2.ChannelAccount(display_name="Shop")
    account.whatsapp.MergeFrom(
        account_pb2.WhatsappConnection(
            waba_id="1", access_token="EAAG", app_secrets=["s1", "s2"], verify_token="v"
        )
    )
    request = pb.CreateChannelAccountRequest(team_id="t", account=account)
    bare = redacted(request)
    assert (bare.account.whatsapp.waba_id, bare.account.display_name, bare.team_id) == ("1", "Shop", "t")
    for secret in ("EAAG", "s1", "s2", '"v"'):
        assert secret not in str(bare)
    assert request.account.whatsapp.access_token == "EAAG", "the message itself stays as it is"


def test_secrets_in_lists_are_cleared() -> None:
    keys = pb.ListShopKeysResponse(
        keys=[webhook_pb2.ShopKey(secret="whsec_a", hint="a"), webhook_pb2.ShopKey()]
    )
    assert [(key.secret, key.hint) for key in redacted(keys).keys] == [("", "a"), ("", "")]


def test_a_message_that_can_hold_no_secret_is_not_copied() -> None:
    request = pb.GetShopRequest(shop_id="s")
    assert redacted(request) is request
