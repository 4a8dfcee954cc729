"""The pictures of docs/concepts.md, drawn by code: they need no network and no script where they are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import schemdraw
from schemdraw import flow

_WIDTH, _HEIGHT = 4.4, 1.3


class _Picture:
    """Boxes at places of a grid, and arrows between them."""

    def __init__(self) -> None:
        schemdraw.use("svg")
        self._drawing = schemdraw.Drawing(show=False, fontsize=11, font="sans-serif", lw=1.2)
        self._drawing.config(bgcolor="white")

    def box(self, x: float, y: float, text: str, kind: Callable[..., Any] = flow.RoundBox) -> Any:
        """A box with its middle there."""
        return self._drawing.add(kind(w=_WIDTH, h=_HEIGHT).anchor("center").at((x, y)).label(text))

    def arrow(self, start: Any, end: Any, text: str = "", *, sideways: bool = False) -> None:
        """A straight arrow. `sideways`: what stands at a vertical one begins beside it."""
        drawn = flow.Arrow().at(start).to(end)
        if text:
            align = ("left", "center") if sideways else ("center", "bottom")
            away = (0.0, 0.5) if sideways else None
            drawn = drawn.label(text, "top", fontsize=9, halign=align[0], valign=align[1], ofst=away)
        self._drawing.add(drawn)

    def svg(self) -> bytes:
        """The picture."""
        drawn: bytes = self._drawing.get_imagedata("svg")
        return drawn + b"\n"


def _way_of_an_order() -> bytes:
    picture = _Picture()
    shop = picture.box(0, 0, "shop", flow.Box)
    gateway = picture.box(7, 0, "channel_gateway\nstored, then 202")
    segment = picture.box(14, 0, "segment\nwho? what changed?")
    mailbox = picture.box(14, -3, "mailbox\none stream a customer", flow.Box)
    journey = picture.box(14, -6, "journey\none turn of the actor")
    points = picture.box(7, -6, "points\nthe ledger")
    channels = picture.box(0, -3, "LINE, WhatsApp,\nMessenger, Instagram", flow.Box)
    stats = picture.box(0, -6, "stats\nfigures")
    picture.arrow(shop.E, gateway.W, "signed webhook")
    picture.arrow(gateway.E, segment.W, "events, in batches")
    picture.arrow(segment.S, mailbox.N, "mail", sideways=True)
    picture.arrow(mailbox.S, journey.N, "many at once", sideways=True)
    picture.arrow(journey.W, points.E, "earned, added")
    picture.arrow(journey.NW, gateway.SE, "sends")
    picture.arrow(gateway.SW, channels.NE, "HTTP")
    picture.arrow(points.W, stats.E, "histories of all")
    return picture.svg()


def _a_journey() -> bytes:
    picture = _Picture()
    trigger = picture.box(0, 0, "trigger\nan order over 100", flow.Box)
    message = picture.box(7, 0, "message\nthank you")
    wait = picture.box(14, 0, "wait\n1 day, or a reply")
    branch = picture.box(14, -3, "which customer?\nmore than 500 points")
    tag = picture.box(7, -3, "action\ntag vip")
    end = picture.box(0, -3, "completed", flow.Box)
    picture.arrow(trigger.E, message.W, "enrols")
    picture.arrow(message.E, wait.W, "sent")
    picture.arrow(wait.S, branch.N, "timer or event", sideways=True)
    picture.arrow(branch.W, tag.E, "yes")
    picture.arrow(tag.W, end.E)
    return picture.svg()


def _one_turn() -> bytes:
    picture = _Picture()
    lease = picture.box(0, 0, "lease of the partition\nwith its epoch", flow.Box)
    load = picture.box(7, 0, "load\nactors, one statement")
    decide = picture.box(14, 0, "decide\npure, for each customer")
    effects = picture.box(14, -3, "effects\none call a service")
    commit = picture.box(7, -3, "commit\nfence, actors, records")
    trim = picture.box(0, -3, "trim\nthe mail that was taken")
    picture.arrow(lease.E, load.W, "mail")
    picture.arrow(load.E, decide.W)
    picture.arrow(decide.S, effects.N, "asks under keys", sideways=True)
    picture.arrow(effects.W, commit.E, "answers")
    picture.arrow(commit.W, trim.E)
    return picture.svg()


_ALL: Final = {
    "way-of-an-order": _way_of_an_order,
    "a-journey": _a_journey,
    "one-turn": _one_turn,
}


def pictures() -> Iterator[tuple[str, bytes]]:
    """Names of files, and what they hold."""
    for name, draw in _ALL.items():
        yield f"{name}.svg", draw()
