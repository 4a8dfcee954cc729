"""What ids of people on channels look like, as far as the channels say so; held at every door where one comes in.

LINE: `U` and 32 hexadecimal digits. WhatsApp: a number's digits from the calling code on, or the id by which a business
knows somebody who shows no number (`US.1349…`). Messenger and Instagram: digits.
"""

from __future__ import annotations

import re
from typing import Final

from libs.common.audience.expressions import ChannelNumber

BUSINESS_SCOPED: Final = re.compile(r"[A-Z]{2}\.[0-9A-Za-z]{1,128}")
"""By what a business knows somebody on WhatsApp."""
_DIGITS: Final = re.compile(r"[0-9]{1,32}")
_FORMS: Final = {
    ChannelNumber.LINE: re.compile(r"U[0-9a-f]{32}"),
    ChannelNumber.WHATSAPP: re.compile(rf"[1-9][0-9]{{0,19}}|{BUSINESS_SCOPED.pattern}"),
    ChannelNumber.MESSENGER: _DIGITS,
    ChannelNumber.INSTAGRAM: _DIGITS,
}
SAID: Final = {
    ChannelNumber.LINE: "must be an id of LINE: U and 32 hexadecimal digits in small letters",
    ChannelNumber.WHATSAPP: "must be a phone number with its country, such as 886912345678",
    ChannelNumber.MESSENGER: "must be an id of Messenger: digits, as the page's webhooks have it",
    ChannelNumber.INSTAGRAM: "must be an id of Instagram: digits, as the account's webhooks have it",
}
"""What an id of each channel must be, for people."""


def is_person_id(channel: int, text: str) -> bool:
    """Whether a person can be known by it on the channel."""
    form = _FORMS.get(ChannelNumber(channel))
    return form is not None and form.fullmatch(text) is not None
