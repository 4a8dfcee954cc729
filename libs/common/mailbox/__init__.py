"""Mailboxes of customers: `api` is the contract, `redis_mailbox` and `memory` fulfil it, `mail` is what lies
in them, `relay` fills them from a source.
"""

from libs.common.mailbox.api import (
    Depth,
    Mailbox,
    MailSink,
    PeekedMail,
    PutBack,
    QuietMarks,
    Refusals,
    TakenMailbox,
    TakeResult,
    Trim,
)
from libs.common.mailbox.errors import Fenced, MailboxLost, MailboxOfAnother, MailboxUnavailable
from libs.common.mailbox.memory import InMemoryMailbox, MemoryServer
from libs.common.mailbox.redis_mailbox import RedisMailbox, open_mailbox
from libs.common.mailbox.relay import MailRelay, MailStore

__all__ = [
    "Depth",
    "Fenced",
    "InMemoryMailbox",
    "MailRelay",
    "MailSink",
    "MailStore",
    "Mailbox",
    "MailboxLost",
    "MailboxOfAnother",
    "MailboxUnavailable",
    "MemoryServer",
    "PeekedMail",
    "PutBack",
    "QuietMarks",
    "RedisMailbox",
    "Refusals",
    "TakeResult",
    "TakenMailbox",
    "Trim",
    "open_mailbox",
]
