"""What fits a channel by our limits is taken by the channel: writers against what the emulators check of a send."""

from __future__ import annotations

import json
from typing import Any, Final
from uuid import UUID

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from libs.common.text import shows
from libs.emulators import line_rules, page_rules, whatsapp_rules
from services.channel_gateway.clients.channels.line import ALT_TEXT_MAX, LineWriter
from services.channel_gateway.clients.channels.pages import PageWriter
from services.channel_gateway.clients.channels.whatsapp import WhatsappWriter
from services.channel_gateway.domain.content import (
    Button,
    ButtonAction,
    ButtonCard,
    ImageCard,
    ModuleContent,
    TextCard,
)
from services.channel_gateway.domain.fitting import misfits
from services.channel_gateway.domain.limits import LIMITS, Limits, utf16_units
from services.channel_gateway.domain.model import Channel
from services.channel_gateway.domain.prepare import Writer, send_to_nobody
from services.channel_gateway.domain.presses import bound_cards
from services.channel_gateway.domain.render import filled

WRITERS: Final[dict[Channel, Writer]] = {
    Channel.LINE: LineWriter(),
    Channel.WHATSAPP: WhatsappWriter(),
    Channel.MESSENGER: PageWriter(Channel.MESSENGER),
    Channel.INSTAGRAM: PageWriter(Channel.INSTAGRAM),
}
_FAMILY: Final = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
PIECES: Final = ["a", "\u4e2d", "\U0001f600", _FAMILY, "e\u0301", " ", "\n", "\t", "\u200b", "\u2028"]
"""A letter, a wide one, two units, eight units that are seen as one, two as one, blanks, and what nobody sees."""
NOBODY: Final = UUID(int=7)


def texts(most: int) -> st.SearchStrategy[str]:
    """About as long as a limit, in whatever unit it counts."""
    lengths = st.sampled_from([0, 1, most // 4, most // 2, most - 1, most, most + 1])
    piece = st.sampled_from(PIECES)
    return st.builds(lambda one, last, n: (one * n)[: max(n - 1, 0)] + last, piece, piece, lengths)


def buttons(limits: Limits, *, replies: bool = False) -> st.SearchStrategy[Button]:
    seen = texts(limits.label.most).filter(shows)
    said = [
        st.builds(Button, seen, st.just(ButtonAction.POSTBACK), texts(limits.data.most).filter(shows)),
        st.builds(Button, seen, st.just(ButtonAction.MESSAGE), texts(limits.said.most).filter(shows)),
    ]
    addresses = st.sampled_from([1, 982, 1_982]).map(lambda n: "https://t.example/" + "a" * n)
    links = [] if replies else [st.builds(Button, seen, st.just(ButtonAction.URL), addresses)]
    return st.one_of(*said, *links)


def cards(limits: Limits) -> st.SearchStrategy[TextCard | ImageCard | ButtonCard]:
    picture = "https://cdn.example/a.png"
    replies = st.lists(buttons(limits, replies=True), max_size=14).map(tuple)
    several = st.lists(buttons(limits), min_size=1, max_size=14).map(tuple)
    caption = (limits.caption or limits.text).most
    return st.one_of(
        st.builds(TextCard, texts(limits.text.most), replies, texts(20)),
        st.builds(TextCard, texts(limits.replied_text.most), replies, st.just("All")),
        st.builds(ImageCard, st.just(picture), st.just(""), texts(caption)),
        st.builds(
            ButtonCard,
            texts(limits.card_text.most) | texts(limits.headed_text.most),
            several,
            texts(40),
            st.sampled_from(["", picture]),
        ),
    )


def check(channel: Channel, body: Any) -> None:
    """Raises, or fails, where the emulator would refuse it."""
    if channel is Channel.WHATSAPP:
        whatsapp_rules.check_message(body)
    elif channel is not Channel.LINE:
        page_rules.Check(getattr(page_rules, channel.name)).body(body)
    else:
        assert not line_rules.check_push(body)
        assert all(utf16_units(each.get("altText", "")) <= ALT_TEXT_MAX for each in body["messages"])


@pytest.mark.rule("C-10e")
@pytest.mark.parametrize("channel", WRITERS)
@settings(max_examples=20)
@given(data=st.data())
def test_what_fits_is_taken(channel: Channel, data: st.DataObject) -> None:
    card = filled(data.draw(cards(LIMITS[channel])), lambda text: text)
    assume(not list(misfits(channel, card)))
    send = send_to_nobody(NOBODY, channel, ModuleContent(NOBODY))
    to = "U" + "0a" * 16 if channel is Channel.LINE else "886912345678"
    for body in WRITERS[channel].write_cards(send, to, bound_cards([card], NOBODY, channel)):
        check(channel, json.loads(body))
