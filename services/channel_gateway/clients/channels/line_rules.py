"""What LINE's answers mean, as data: there are no codes, so the status and the beginning of the message decide."""

from typing import Final, NamedTuple

from services.channel_gateway.clients.channels.base import (
    FEW,
    LONG,
    NORMAL,
    SLOW_ACCOUNT,
    Confirm,
    Rule,
    Verdict,
)
from services.channel_gateway.domain.model import Reason


class LineRule(NamedTuple):
    """A rule for answers of one status whose message begins so."""

    status: int
    message: str
    rule: Rule


RULES: Final = (
    LineRule(200, "", Rule(Verdict.SENT)),
    LineRule(202, "", Rule(Verdict.SENT)),
    # The retry key was accepted by an earlier attempt.
    LineRule(409, "", Rule(Verdict.SENT)),
    LineRule(400, "Failed to send messages", Rule(Verdict.FAILED, "RECIPIENT_INVALID", unreachable=True)),
    LineRule(400, "", Rule(Verdict.FAILED, "LINE_400")),
    LineRule(401, "", Rule(Verdict.FAILED, Reason.ACCOUNT_UNUSABLE, account_unusable=True)),
    LineRule(403, "", Rule(Verdict.FAILED, Reason.ACCOUNT_UNUSABLE, account_unusable=True)),
    LineRule(
        429,
        "You have reached your monthly limit",
        Rule(Verdict.EXHAUSTED, Reason.LINE_QUOTA_EXHAUSTED, backoff=LONG, confirm=Confirm.LINE_QUOTA),
    ),
    LineRule(
        429, "The API rate limit has been exceeded", Rule(Verdict.RETRY, "LINE_429", backoff=SLOW_ACCOUNT)
    ),
    # Too many messages to one person, or too many jobs at once.
    LineRule(429, "", Rule(Verdict.RETRY, "LINE_429", backoff=LONG)),
    LineRule(500, "", Rule(Verdict.RETRY, "LINE_500")),
    LineRule(502, "", Rule(Verdict.RETRY, "LINE_502")),
    LineRule(503, "", Rule(Verdict.RETRY, "LINE_503")),
    LineRule(504, "", Rule(Verdict.RETRY, "LINE_504")),
)
NOT_SENT: Final = Rule(Verdict.RETRY, "CONNECTION_FAILED", backoff=NORMAL)
NO_ANSWER: Final = Rule(Verdict.RETRY, Reason.NO_ANSWER, backoff=NORMAL)


def rule_for(status: int, message: str) -> Rule:
    """The first rule that fits; unlisted: 2xx leaves open whether it was taken, 5xx is repeated a few times, all else
    has failed."""
    for line_rule in RULES:
        if line_rule.status == status and message.startswith(line_rule.message):
            return line_rule.rule
    if 200 <= status < 300:
        return NO_ANSWER
    if status >= 500:
        return Rule(Verdict.RETRY, f"LINE_{status}", backoff=FEW)
    return Rule(Verdict.FAILED, f"LINE_{status}")
