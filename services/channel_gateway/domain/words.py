"""Words by which people say in a chat that they want messages no more, or again. The whole message has to be one."""

from __future__ import annotations

from typing import Final

from libs.common.text import fold

STOP: Final = frozenset(
    map(
        fold,
        ("STOP", "STOP ALL", "STOPALL", "UNSUBSCRIBE", "退訂", "取消訂閱", "停止訂閱", "退订", "取消订阅"),
    )
)
START: Final = frozenset(map(fold, ("START", "UNSTOP", "SUBSCRIBE", "訂閱", "重新訂閱", "订阅", "重新订阅")))
_AROUND: Final = " \t\r\n.!?\"'。！？「」"
_LENGTH_MAX: Final = 40
"""Longer messages are none of them."""


def wanted(text: str) -> bool | None:
    """What a message says of that; None: nothing."""
    if len(text) > _LENGTH_MAX:
        return None
    word = fold(text.strip(_AROUND))
    if word in STOP:
        return False
    return True if word in START else None
