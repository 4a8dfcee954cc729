"""Every metric of the gateway."""

from typing import Final

from libs.common import metrics

reason_word: Final = metrics.Words()
"""The reason of an outcome, as a label has it."""
code_word: Final = metrics.Words()
"""The code of a refusal, as a label has it."""
SENDS: Final = metrics.counter(
    "gateway_sends_total", "Answers to sends, by channel and first state.", ("channel", "outcome")
)
OUTCOMES: Final = metrics.counter(
    "gateway_outcomes_total",
    "Settled sends, by channel and outcome, and the reason of those that were not sent.",
    ("channel", "outcome", "reason"),
    remedy="Many `FAILED`: look for the reason. `SKIPPED` by reason says whom nobody can reach.",
)
ATTEMPTS: Final = metrics.counter(
    "gateway_attempts_total", "Requests to channels, by what they came to.", ("channel", "outcome")
)
ATTEMPT_SECONDS: Final = metrics.histogram(
    "gateway_attempt_seconds",
    "From a request to a channel to its answer.",
    ("channel",),
    remedy="Seconds of it: the channel is slow; sends go on as its rate allows.",
)
UNRECORDED_SECONDS: Final = metrics.histogram(
    "gateway_unrecorded_seconds",
    "From a request to a channel without idempotency to the commit of its outcome: a process that dies in between "
    "leaves that message unknown.",
    ("channel",),
)
REFUSALS: Final = metrics.counter(
    "gateway_refusals_total",
    "Final refusals by channels, by channel and code.",
    ("channel", "code"),
    remedy="`ListDeliveries` by state `FAILED` shows the sends; the channel's pages say what the code means.",
)
ACCOUNT_HOLDS: Final = metrics.counter(
    "gateway_account_holds_total",
    "Answers for which all sends of an account wait, by channel and code.",
    ("channel", "code"),
    remedy="Of rates: set a lower `rate_per_second` of the account.",
)
WAITING: Final = metrics.gauge(
    "gateway_waiting_sends_count",
    "Sends that wait in this process.",
    ("channel",),
    remedy="Where it grows sends come faster than accounts' rates allow, or accounts are held.",
)
ON_WIRE: Final = metrics.gauge(
    "gateway_on_wire_count", "Requests to channels that are on the wire.", ("channel",)
)
WEBHOOKS: Final = metrics.counter(
    "gateway_webhooks_total",
    "Webhooks that came in, by source and HTTP status.",
    ("source", "status"),
    remedy="Many 401: somebody signs with another secret, or nobody of ours calls. Many 429: segment does "
    "not keep up.",
)
CLICKS: Final = metrics.counter(
    "gateway_link_openings_total", "Short links that were opened, by who opened them.", ("kind",)
)
WEBHOOKS_OUT: Final = metrics.counter(
    "gateway_outgoing_webhooks_total",
    "Calls of addresses that subscribed, by what came of them.",
    ("outcome",),
    remedy="Many that fail: `ListWebhookAttempts` says whose address does not answer.",
)
CONTACT_ROWS_SET_ASIDE: Final = metrics.counter(
    "gateway_contact_rows_set_aside_total",
    "Rows of segment's history that no webhook could be made of.",
    remedy="The log has the row and the fault; its subscribers were not called.",
)
HTTP_CONNECTIONS: Final = metrics.gauge("gateway_http_connections_count", "Connections of the HTTP edge.")
HTTP_DROPPED: Final = metrics.counter(
    "gateway_http_dropped_total",
    "Connections of the HTTP edge that were ended: late, or to make room.",
    ("reason",),
    remedy="Many: somebody opens connections and sends nothing; the edge keeps room for the others.",
)
EVENTS: Final = metrics.counter(
    "gateway_events_total", "Events of webhooks handed on, by what became of them.", ("outcome",)
)
SET_ASIDE: Final = metrics.counter(
    "gateway_set_aside_events_total",
    "Events that could not be forwarded and were set aside, by kind of fault.",
    ("outcome",),
    remedy="`ListInboxRecords` by state shows them with the reason; `RetryInboxRecord` when it is mended.",
)
ADOPTED: Final = metrics.counter(
    "gateway_adopted_sends_total",
    "Sends taken over from processes that were gone.",
    ("channel",),
    remedy="A process of the gateway ended without finishing: look why.",
)
INBOX_EVENTS: Final = metrics.gauge(
    "gateway_inbox_events_count",
    "Events of stored webhooks that wait to be forwarded, as last counted.",
    remedy="Where it grows segment does not keep up, or is away.",
)
UNOPENED: Final = metrics.counter(
    "gateway_unopened_secrets_total",
    "Secrets read that none of the keys opens, by what they are of.",
    ("kind",),
    remedy="Put the key back that these were sealed with (`OMNIJOURNEY_SECRET_KEYS`), or save the secrets "
    "again.",
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
    "gateway_mail_backlog_count",
    "History rows committed and not yet delivered as mail.",
    remedy="Where it grows look at the mailbox servers, and at `gateway_mail_held_partitions_count`.",
)
MAIL_HELD: Final = metrics.gauge(
    "gateway_mail_held_partitions_count", "Partitions that get no outcomes, since their mailboxes are full."
)
QUOTA_LEFT: Final = metrics.gauge(
    "gateway_quota_left_ratio",
    "The least share of a month's quota that any account of a channel has left; none where no account has a quota.",
    ("channel",),
    remedy="Near 0: journeys of the account stop soon. Raise the plan and `SetPlanQuota`.",
)
LOW_BALANCES: Final = metrics.gauge(
    "gateway_low_balances_count",
    "Teams whose prepaid balance is below what their alert warns at.",
    remedy="These teams were told by webhook; their journeys stop at 0.",
)
UNUSABLE_ACCOUNTS: Final = metrics.gauge(
    "gateway_unusable_accounts_count",
    "Accounts that their channel refuses: nothing leaves through them until their connection is renewed.",
    ("channel",),
)
PAUSED_TEMPLATES: Final = metrics.gauge(
    "gateway_paused_templates_count",
    "Templates that WhatsApp has paused for their quality: messages with them fail until it takes them up again.",
)
COUPON_PRESSES: Final = metrics.counter(
    "gateway_coupon_presses_total", "Presses of coupons' buttons by what became of them.", ("outcome",)
)
