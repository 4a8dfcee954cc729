"""What the codes of the Messenger and Instagram Send APIs mean, as data: with their subcode before the code alone."""

from collections.abc import Mapping
from typing import Final

from services.channel_gateway.clients.channels.base import (
    FEW,
    NORMAL,
    SLOW_ACCOUNT,
    Rule,
    Verdict,
)
from services.channel_gateway.domain.model import Reason

Code = tuple[int, int | None]
"""Code and subcode; None: whatever the subcode."""

_UNUSABLE: Final = Rule(Verdict.FAILED, Reason.ACCOUNT_UNUSABLE, account_unusable=True)
_RATE: Final = Rule(Verdict.RETRY, backoff=SLOW_ACCOUNT)
_PASSING: Final = Rule(Verdict.RETRY, backoff=FEW)
_OUTSIDE: Final = Rule(Verdict.SKIPPED, Reason.OUTSIDE_WINDOW)
_BLOCKED: Final = Rule(Verdict.SKIPPED, Reason.BLOCKED, unreachable=True)
_UNAVAILABLE: Final = Rule(Verdict.SKIPPED, "RECIPIENT_UNAVAILABLE")
_OF_ANOTHER: Final = Rule(Verdict.SKIPPED, "THREAD_OWNED_BY_ANOTHER_APP")
_STRANGER: Final = Rule(Verdict.FAILED, "RECIPIENT_INVALID", unreachable=True)
_FAILED: Final = Rule(Verdict.FAILED)

_BOTH: Final[dict[Code, Rule]] = {
    # Rates: of the app, the user, the page; of the Send API.
    (4, None): _RATE,
    (17, None): _RATE,
    (32, None): _RATE,
    (613, None): _RATE,
    # Passing faults of theirs.
    (1, None): _PASSING,
    (2, None): _PASSING,
    (99, None): _PASSING,
    # The person.
    (10, 2018278): _OUTSIDE,
    (10, 2534022): _OUTSIDE,
    (551, None): _BLOCKED,
    (200, 1545041): _BLOCKED,
    (100, 2018001): _STRANGER,
    # The account.
    (190, None): _UNUSABLE,
    (368, None): _UNUSABLE,
    (200, None): _UNUSABLE,
    # The request.
    (100, None): _FAILED,
}
"""What the two have in common."""

MESSENGER: Final[dict[Code, Rule]] = {
    **_BOTH,
    (80001, None): _RATE,
    (80006, None): _RATE,
    (613, 1893016): _RATE,
    # Marketing too often, tags misused.
    (4, 2018354): _FAILED,
    (9, 2018352): _FAILED,
    (613, 2018338): _FAILED,
    (10, 2018065): _FAILED,
    (10, 2018108): _UNAVAILABLE,
    (10, 1893015): Rule(Verdict.SKIPPED, Reason.OPTED_OUT),
    (10, 1893063): _UNUSABLE,
    (10, 1404170): _UNUSABLE,
    (10, None): _UNUSABLE,
    # Fetching the address may work the next time.
    (100, 2018008): Rule(Verdict.RETRY, backoff=FEW._replace(attempts_max=2)),
    (100, 2018047): _FAILED,
    (100, 2018074): _FAILED,
    (100, 2018294): _FAILED,
    (100, 2018109): _FAILED,
    (100, 33): _FAILED,
    (200, 2018028): _UNUSABLE,
    (551, 1545041): _BLOCKED,
    (2022, None): _UNUSABLE,
    (2018300, None): _OF_ANOTHER,
    (2018321, None): _OF_ANOTHER,
    (2018218, None): _FAILED,
    (2018247, None): _FAILED,
    (230, None): _UNAVAILABLE,
    (10900, None): _FAILED,
    (10903, None): _FAILED,
    (10904, None): _UNUSABLE,
}
"""https://developers.facebook.com/docs/messenger-platform/error-codes"""

INSTAGRAM: Final[dict[Code, Rule]] = {
    **_BOTH,
    (80002, None): _RATE,
    (613, 2534040): _RATE,
    # A restricted kind of message is not the account's end.
    (10, 2534077): _FAILED,
    (10, None): _FAILED,
    (100, 2534014): _STRANGER,
    (100, 2534015): _FAILED,
    (100, 2534025): _FAILED,
    (100, 2534013): _UNUSABLE,
    (100, 2534029): _UNUSABLE,
    (100, 2534037): _OF_ANOTHER,
    (200, 2534041): _UNUSABLE,
    (551, 1545041): _BLOCKED,
    (36103, None): _FAILED,
    (2534122, None): _FAILED,
}
"""https://developers.facebook.com/docs/messenger-platform/instagram"""

NOT_SENT: Final = Rule(Verdict.RETRY, "CONNECTION_FAILED", backoff=NORMAL)
NO_ANSWER: Final = Rule(Verdict.UNKNOWN, Reason.NO_ANSWER)


def page_rule(rules: Mapping[Code, Rule], code: int | None, subcode: int | None, status: int) -> Rule:
    """The rule of an answer. Unlisted codes: 5xx is repeated a few times, all else has failed. A 5xx without any code
    is not the API's own, and does not say whether the message was taken: there is no key to ask again with."""
    if code is None:
        return NO_ANSWER if status >= 500 else _FAILED
    rule = rules.get((code, subcode)) or rules.get((code, None))
    return rule or (_PASSING if status >= 500 else _FAILED)
