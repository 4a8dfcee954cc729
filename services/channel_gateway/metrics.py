"""Every metric of the gateway."""

from typing import Final

from libs.common import metrics

SENDS: Final = metrics.counter(
    "gateway_sends_total", "Answers to sends, by channel and first state.", ("channel", "outcome")
)
OUTCOMES: Final = metrics.counter(
    "gateway_outcomes_total",
    "Settled sends, by channel and outcome, and the reason of those that were not sent.",
    ("channel", "outcome", "reason"),
)
ATTEMPTS: Final = metrics.counter(
    "gateway_attempts_total", "Requests to channels, by what they came to.", ("channel", "outcome")
)
ATTEMPT_SECONDS: Final = metrics.histogram(
    "gateway_attempt_seconds", "From a request to a channel to its answer.", ("channel",)
)
UNRECORDED_SECONDS: Final = metrics.histogram(
    "gateway_unrecorded_seconds",
    "From a request to a channel without idempotency to the commit of its outcome: a process that dies in between "
    "leaves that message unknown.",
    ("channel",),
)
REFUSALS: Final = metrics.counter(
    "gateway_refusals_total", "Final refusals by channels, by channel and code.", ("channel", "code")
)
ACCOUNT_HOLDS: Final = metrics.counter(
    "gateway_account_holds_total",
    "Answers for which all sends of an account wait, by channel and code.",
    ("channel", "code"),
)
WAITING: Final = metrics.gauge(
    "gateway_waiting_sends_count", "Sends that wait in this process.", ("channel",)
)
ON_WIRE: Final = metrics.gauge(
    "gateway_on_wire_count", "Requests to channels that are on the wire.", ("channel",)
)
WEBHOOKS: Final = metrics.counter(
    "gateway_webhooks_total", "Webhooks that came in, by source and HTTP status.", ("source", "status")
)
CLICKS: Final = metrics.counter(
    "gateway_link_openings_total", "Short links that were opened, by who opened them.", ("kind",)
)
WEBHOOKS_OUT: Final = metrics.counter(
    "gateway_outgoing_webhooks_total",
    "Calls of addresses that subscribed, by what came of them.",
    ("outcome",),
)
CONTACT_ROWS_SET_ASIDE: Final = metrics.counter(
    "gateway_contact_rows_set_aside_total", "Rows of segment's history that no webhook could be made of."
)
HTTP_CONNECTIONS: Final = metrics.gauge("gateway_http_connections_count", "Connections of the HTTP edge.")
HTTP_DROPPED: Final = metrics.counter(
    "gateway_http_dropped_total",
    "Connections of the HTTP edge that were ended: late, or to make room.",
    ("reason",),
)
EVENTS: Final = metrics.counter(
    "gateway_events_total", "Events of webhooks handed on, by what became of them.", ("outcome",)
)
SET_ASIDE: Final = metrics.counter(
    "gateway_set_aside_events_total",
    "Events that could not be forwarded and were set aside, by kind of fault.",
    ("outcome",),
)
ADOPTED: Final = metrics.counter(
    "gateway_adopted_sends_total", "Sends taken over from processes that were gone.", ("channel",)
)
INBOX_EVENTS: Final = metrics.gauge(
    "gateway_inbox_events_count", "Events of stored webhooks that wait to be forwarded, as last counted."
)
UNOPENED: Final = metrics.counter(
    "gateway_unopened_secrets_total",
    "Secrets read that none of the keys opens, by what they are of.",
    ("kind",),
)
REFUNDS: Final = metrics.counter(
    "gateway_refunds_total", "Prepaid sends given back, since their channel told later that they had failed."
)
RESOLVED: Final = metrics.counter(
    "gateway_resolved_sends_total",
    "Sends that were unknown until their channel told itself that it has them.",
)
BALANCE_CROSSINGS: Final = metrics.counter(
    "gateway_balance_crossings_total",
    "Prepaid balances that went below what their team is warned at, or above it again.",
    ("outcome",),
)
MAIL_BACKLOG: Final = metrics.gauge(
    "gateway_mail_backlog_count", "History rows committed and not yet delivered as mail."
)
MAIL_HELD: Final = metrics.gauge(
    "gateway_mail_held_partitions_count", "Partitions that get no outcomes, since their mailboxes are full."
)
QUOTA_LEFT: Final = metrics.gauge(
    "gateway_quota_left_ratio",
    "The least share of a month's quota that any account of a channel has left; none where no account has a quota.",
    ("channel",),
)
LOW_BALANCES: Final = metrics.gauge(
    "gateway_low_balances_count", "Teams whose prepaid balance is below what their alert warns at."
)
UNUSABLE_ACCOUNTS: Final = metrics.gauge(
    "gateway_unusable_accounts_count",
    "Accounts that their channel refuses: nothing leaves through them until their connection is renewed.",
    ("channel",),
)
COUPON_PRESSES: Final = metrics.counter(
    "gateway_coupon_presses_total", "Presses of coupons' buttons by what became of them.", ("outcome",)
)
