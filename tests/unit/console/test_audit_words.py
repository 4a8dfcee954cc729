"""What the audit log says was called, in words."""

from __future__ import annotations

import pytest

from libs.console.audit_words import called_in_words
from libs.console.languages import read_words

pytestmark = pytest.mark.rule("X-07")
CHINESE = read_words()["zh-TW"]


def _say(sentence: str, **values: object) -> str:
    said = CHINESE.gettext(sentence)
    return said % values if values else said


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("/omnijourney.channel_gateway.v1.ChannelGatewayService/CreateBotModule", "建立機器人模組"),
        ("/omnijourney.segment.v1.SegmentService/UseCouponClaim", "核銷優惠券"),
        ("/omnijourney.segment.v1.SegmentService/CreateTaxForm", "CreateTaxForm"),
        ("signed in", "signed in"),
    ],
)
def test_a_method_is_a_verb_and_a_thing_and_what_is_not_known_stays(method: str, said: str) -> None:
    assert called_in_words(_say, method) == said
