"""What an attempt means for its send: settled, tried again, or on to its next message."""

from __future__ import annotations

import functools
import random
import time
from typing import Final, Protocol
from uuid import UUID

import msgspec
import structlog

from libs.common.logging import about
from libs.common.token_bucket import TokenBucket
from services.channel_gateway import metrics
from services.channel_gateway.clients.channels.base import (
    AGE_MAX_S,
    MESSAGE_ID_MAX,
    Attempt,
    RetryPolicy,
    Verdict,
    plain,
)
from services.channel_gateway.domain.content import TemplateState
from services.channel_gateway.domain.model import (
    Account,
    AccountState,
    DeliveryOutcome,
    Job,
    Reason,
    SendState,
)
from services.channel_gateway.domain.templates import ListedTemplate
from services.channel_gateway.domain.unreachable import RefusedPerson
from services.channel_gateway.store.facts import Written
from services.channel_gateway.worker.lanes import Lane
from services.channel_gateway.worker.outcomes import Recorder

_STATES: Final = {
    Verdict.SENT: SendState.SENT,
    Verdict.SKIPPED: SendState.SKIPPED,
    Verdict.FAILED: SendState.FAILED,
    Verdict.EXHAUSTED: SendState.EXHAUSTED,
    Verdict.UNKNOWN: SendState.UNKNOWN,
}
LINES_PER_S: Final = 5.0
LINES_AT_ONCE: Final = 50.0
"""Refusals that are logged, so that one can ask the channel about them."""
_SENT: Final = DeliveryOutcome(SendState.SENT)
_attempts_of: Final = functools.cache(metrics.ATTEMPTS.labels)
_log = structlog.get_logger(__name__)


class ChannelTrouble(Protocol):
    """Records what channels say of accounts and content while sending."""

    async def account_unusable(self, account: Account, reason: str) -> Written:
        """The channel refuses the account; the facts of it."""
        ...

    async def template_gone(self, team_id: UUID, template_id: UUID) -> Written:
        """The channel has the template no more; the facts of it."""
        ...

    async def template_state(self, team_id: UUID, template_id: UUID, state: TemplateState) -> Written:
        """The channel sends the template not now."""
        ...

    async def template_read(self, team_id: UUID, template_id: UUID, found: ListedTemplate) -> Written:
        """The template is something else at its channel than here; the facts of it."""
        ...

    async def person_refused(self, account: Account, person: RefusedPerson) -> Written:
        """The channel does not let the account write to somebody."""
        ...

    async def person_limited(self, account: Account, recipient: str) -> Written:
        """The channel delivers somebody no marketing for now."""
        ...


class AttemptClassifier:
    """Says what an attempt means for its send, and has the recorder record it."""

    def __init__(self, recorder: Recorder, trouble: ChannelTrouble, rng: random.Random) -> None:
        """`rng` jitters the waits."""
        self._recorder = recorder
        self._trouble = trouble
        self._rng = rng
        self._lines = TokenBucket(LINES_PER_S, LINES_AT_ONCE, time.monotonic())

    def classify(self, lane: Lane, job: Job, attempt: Attempt) -> None:
        """One attempt that has ended."""
        _attempts_of(job.channel.name, attempt.verdict.value).inc()
        if _is_trouble(attempt):
            self._note_trouble(lane, job, attempt)
        # An answer that only puts off says nothing of the attempt before.
        job.doubtful = attempt.doubtful or (job.doubtful and attempt.verdict is Verdict.RETRY)
        if attempt.verdict is Verdict.SENT:
            self._sent(job, attempt)
        elif attempt.verdict is Verdict.RETRY:
            self._retry(lane, job, attempt)
        else:
            if attempt.verdict is Verdict.FAILED:
                metrics.REFUSALS.labels(job.channel.name, metrics.code_word(attempt.reason)).inc()
            self._end(job, DeliveryOutcome(_STATES[attempt.verdict], attempt.reason), attempt)

    def _sent(self, job: Job, attempt: Attempt) -> None:
        job.parts_sent += 1
        job.message_ids.append(plain(attempt.message_id, MESSAGE_ID_MAX))
        if job.parts_sent == len(job.parts):
            self._recorder.settle(job, _SENT)
            return
        # The next message of the send is recorded as in flight again, so that progress is durable.
        job.attempts = 0
        self._recorder.postpone(job, 0.0)

    def _retry(self, lane: Lane, job: Job, attempt: Attempt) -> None:
        backoff = attempt.backoff
        age_s = time.monotonic() - (job.began_s or time.monotonic())
        if job.attempts >= backoff.attempts_max or age_s >= AGE_MAX_S:
            state = SendState.UNKNOWN if job.doubtful else SendState.FAILED
            reason = attempt.reason or Reason.RETRIES_EXHAUSTED
            self._end(job, DeliveryOutcome(state, reason), attempt)
            return
        delay_s = max(attempt.wait_s, delay_of(backoff, job.attempts, self._rng))
        now_s = time.monotonic()
        if backoff.holds_person:
            lane.pace(job.recipient, delay_s, now_s)
        elif backoff.holds_account or attempt.wait_s:
            metrics.ACCOUNT_HOLDS.labels(job.channel.name, metrics.code_word(attempt.reason)).inc()
            lane.hold(now_s + delay_s)
        self._recorder.postpone(job, delay_s)

    def _end(self, job: Job, outcome: DeliveryOutcome, attempt: Attempt) -> None:
        """The send ends by what the channel said."""
        if attempt.answer_id and self._lines.take(time.monotonic()):
            # Not of each send of a broadcast that is refused: some are enough to ask the channel about.
            _log.info(
                "a message was refused",
                code=outcome.reason,
                attempts=job.attempts,
                answer_id=attempt.answer_id,
                **about(job),
            )
        self._recorder.settle(job, outcome)

    def _note_trouble(self, lane: Lane, job: Job, attempt: Attempt) -> None:
        account, trouble = lane.account, self._trouble
        if attempt.account_unusable and account.state is AccountState.ACTIVE:
            detail = attempt.detail or attempt.reason
            self._recorder.trouble(account.account_id, lambda: trouble.account_unusable(account, detail))
            # At once, so that what waits behind does not try as well.
            refused = msgspec.structs.replace(account, state=AccountState.UNUSABLE, state_reason=detail)
            lane.update(refused, time.monotonic())
        template_id, state = job.template_id, attempt.template_state
        if template_id is not None and state is TemplateState.DISABLED:
            self._recorder.trouble(template_id, lambda: trouble.template_gone(job.team_id, template_id))
        elif template_id is not None and state is not None:
            self._recorder.trouble(
                template_id, lambda: trouble.template_state(job.team_id, template_id, state)
            )
        if template_id is not None and (found := attempt.template) is not None:
            self._recorder.trouble(
                template_id, lambda: trouble.template_read(job.team_id, template_id, found)
            )
        if attempt.unreachable:
            person = RefusedPerson(job.recipient, job.effect_key)
            self._recorder.trouble(job.effect_key, lambda: trouble.person_refused(account, person))
        if attempt.limits_person:
            self._recorder.trouble(job.effect_key, lambda: trouble.person_limited(account, job.recipient))


def _is_trouble(attempt: Attempt) -> bool:
    """Whether an answer says something of the account, the template or the person that is kept."""
    of_person = attempt.unreachable or attempt.limits_person
    of_template = attempt.template_state is not None or attempt.template is not None
    return of_person or of_template or attempt.account_unusable


def delay_of(backoff: RetryPolicy, attempts: int, rng: random.Random) -> float:
    """Seconds before the next attempt after `attempts` of them: grows by the factor, up to a quarter less by jitter."""
    full_s = min(backoff.most_s, backoff.first_s * backoff.factor ** (attempts - 1))
    return full_s * (1.0 - 0.25 * rng.random())
