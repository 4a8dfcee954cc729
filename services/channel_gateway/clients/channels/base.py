"""What every channel's adapter is, and what an attempt can come to."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple, Protocol

import msgspec

from services.channel_gateway.domain.content import TemplateState
from services.channel_gateway.domain.model import Account, Job
from services.channel_gateway.domain.prepare import Writer
from services.channel_gateway.domain.templates import ListedTemplate


class Verdict(Enum):
    """What one attempt came to."""

    SENT = "sent"
    SKIPPED = "skipped"
    FAILED = "failed"
    RETRY = "retry"
    EXHAUSTED = "exhausted"
    UNKNOWN = "unknown"


class RetryPolicy(NamedTuple):
    """How an attempt is repeated: waits of `first_s * factor ** n`, at most `most_s`, jittered."""

    first_s: float
    factor: float
    most_s: float
    attempts_max: int
    """Attempts in all; the last one's failure is final."""
    holds_account: bool = False
    """The whole account waits, not only this send."""
    holds_person: bool = False
    """All sends of the account to the person wait, in their order."""


ATTEMPTS_MAX: Final = 6
"""C-03: a send fails after so many attempts,"""
AGE_MAX_S: Final = 24 * 3600.0
"""or after so long."""
KEY_AGE_MAX_S: Final = 23 * 3600.0
"""From a send's first attempt, so long may one whose end is open be repeated under its key. LINE forgets keys after 24
hours: what is repeated then is another message."""

WAIT_MAX_S: Final = 3600.0
"""Longest that a channel's own wish (`Retry-After`, usage headers) holds an account; then it is asked again."""
CODE_MAX: Final = 100
"""Characters kept of a channel's code."""
MESSAGE_ID_MAX: Final = 200
"""Characters kept of a channel's id of a message."""
ANSWER_ID_MAX: Final = 100
"""Characters kept of what a channel calls its answer."""
DETAIL_MAX: Final = 500
"""Characters kept of what a channel says."""

NORMAL: Final = RetryPolicy(1.0, 2.0, 60.0, ATTEMPTS_MAX)
FEW: Final = RetryPolicy(1.0, 2.0, 60.0, 3)
"""For answers that seldom pass."""
SLOW_ACCOUNT: Final = RetryPolicy(1.0, 2.0, 60.0, ATTEMPTS_MAX, holds_account=True)
"""The account sends too fast."""
PAIR: Final = RetryPolicy(4.0, 4.0, 4.0**6, ATTEMPTS_MAX, holds_person=True)
"""Too many to one person: 4^n seconds."""
LONG: Final = RetryPolicy(15.0, 2.0, 600.0, ATTEMPTS_MAX)
"""Passes within minutes."""
MINUTES: Final = RetryPolicy(60.0, 2.0, 1800.0, ATTEMPTS_MAX, holds_account=True)
RENEWED: Final = RetryPolicy(0.1, 2.0, 1.0, ATTEMPTS_MAX)
"""The account was renewed while it was refused."""
HOURS: Final = RetryPolicy(3600.0, 1.5, 6 * 3600.0, ATTEMPTS_MAX, holds_account=True)


class Confirm(Enum):
    """What must be asked before an answer is believed."""

    NONE = "none"
    LINE_QUOTA = "line_quota"
    TEMPLATE = "template"


class Rule(NamedTuple):
    """What an answer of a channel means. The tables of rules are data; nothing else classifies answers."""

    verdict: Verdict
    reason: str = ""
    backoff: RetryPolicy = NORMAL
    account_unusable: bool = False
    """The channel refuses the account; sends through it fail until somebody renews it."""
    template_state: TemplateState | None = None
    """What the template is at the channel; DISABLED: gone."""
    unreachable: bool = False
    """The person cannot be written to through the account, until they write themselves."""
    limits_person: bool = False
    """The channel delivers the person no marketing for a day."""
    confirm: Confirm = Confirm.NONE
    reads_template: bool = False
    """The template is not what we take it for: it is read again."""


class Attempt(msgspec.Struct, frozen=True):
    """What one attempt came to, for the sender."""

    verdict: Verdict
    reason: str = ""
    message_id: str = ""
    """The channel's id of the message, when sent."""
    backoff: RetryPolicy = NORMAL
    wait_s: float = 0.0
    """The channel's own wish how long to wait, when it gave one; at most WAIT_MAX_S."""
    doubtful: bool = False
    """The message may have been accepted although the answer does not say so."""
    account_unusable: bool = False
    template_state: TemplateState | None = None
    unreachable: bool = False
    limits_person: bool = False
    template: ListedTemplate | None = None
    """The template as the channel has it, where it was read again."""
    detail: str = ""
    """For people and logs; holds no content."""
    answer_id: str = ""
    """What the channel calls its answer; its support asks for that."""


class Adapter(Protocol):
    """One channel."""

    @property
    def writer(self) -> Writer:
        """Writes the channel's request bodies."""
        ...

    @property
    def repeatable(self) -> bool:
        """Whether an attempt with unknown end may be repeated under its key without a second message."""
        ...

    @property
    def at_once(self) -> Callable[[Job, int], Attempt] | None:
        """Makes an attempt without waiting for anybody; None: nothing but `send` does."""
        ...

    async def send(self, account: Account, job: Job, part: int) -> Attempt:
        """Makes one attempt for one message of a send. Raises nothing of the network: that is a verdict, too."""
        ...

    async def check(self, account: Account) -> tuple[bool, str]:
        """Asks whether the account works; whether it does, and what the channel said."""
        ...


def attempt_of(
    rule: Rule,
    *,
    code: str = "",
    detail: str = "",
    wait_s: float = 0.0,
    doubtful: bool = False,
    answer_id: str = "",
) -> Attempt:
    """The attempt that a rule describes; `code` is the channel's own, for rules without a reason."""
    return Attempt(
        rule.verdict,
        reason=rule.reason or plain(code, CODE_MAX),
        backoff=rule.backoff,
        wait_s=min(max(wait_s, 0.0), WAIT_MAX_S),
        doubtful=doubtful,
        account_unusable=rule.account_unusable,
        template_state=rule.template_state,
        unreachable=rule.unreachable,
        limits_person=rule.limits_person,
        detail=detail,
        answer_id=plain(answer_id, ANSWER_ID_MAX),
    )


def sent_or(no_answer: Rule, message_id: str) -> Attempt:
    """What an answer of success means: one that names no message is not the channel's own (of a proxy, say), and leaves
    open whether the message was taken."""
    if message_id:
        return Attempt(Verdict.SENT, message_id=message_id)
    return attempt_of(no_answer, detail="the answer named no message", doubtful=True)


def said(account: Account, text: str) -> str:
    """What a channel said, for people and logs: without the token, which some repeat when they refuse it."""
    token = account.connection.access_token
    return plain(text.replace(token, "[hidden]") if token else text, DETAIL_MAX)


def plain(text: str, length_max: int) -> str:
    """Text of a channel as a table takes it: without control characters and lone surrogates, and not longer."""
    cut = text[:length_max].encode(errors="replace").decode()
    return cut if cut.isprintable() else "".join(each if each.isprintable() else " " for each in cut)
