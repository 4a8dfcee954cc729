"""Notes what channels tell and the gateway goes by: who wrote when, who wants no messages, what became of sends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from libs.common import tracing
from libs.common.clock import Clock
from libs.common.consent_words import DEFAULTS, ConsentWords
from libs.common.feeds.publisher import CommitPublisher
from services.channel_gateway.clients.channels.meta_rules import (
    failure_reason,
    is_unpaid,
    late_rule,
    late_template_state,
)
from services.channel_gateway.convert.events import ConvertedWebhook
from services.channel_gateway.domain.heard import Wrote
from services.channel_gateway.domain.hearsay import Hearsay, heard_of
from services.channel_gateway.domain.moved_people import FromAccount, as_known_now, people_in
from services.channel_gateway.domain.page_receipts import receipts_of
from services.channel_gateway.domain.receipts import ReceiptKind
from services.channel_gateway.store.heard import HeardStore
from services.channel_gateway.store.limited import LimitStore
from services.channel_gateway.store.trouble import TroubleStore
from services.channel_gateway.worker.resolving import Resolving
from services.channel_gateway.worker.send_traces import SPANS, SendTraces


class TeamWords(Protocol):
    """By which words people say whether they want messages."""

    async def consent_words(self, team_id: UUID) -> ConsentWords:
        """Of a team, seconds old. Raises Unavailable."""
        ...


class Hearing:
    """Noting the same again changes nothing, in whatever order it comes."""

    def __init__(
        self,
        store: HeardStore,
        trouble: TroubleStore,
        clock: Clock,
        settings: TeamWords,
        *,
        limits: LimitStore,
        resolving: Resolving,
        traces: SendTraces,
        publisher: CommitPublisher,
        content_publisher: CommitPublisher,
    ) -> None:
        """`limits` keeps who gets no marketing for now, `resolving` goes by what channels have of messages, `traces`
        are those of sends; `publisher` publishes receipts, `content_publisher` templates that are gone."""
        self._store = store
        self._publisher = publisher
        self._clock = clock
        self._settings = settings
        self._trouble = trouble
        self._content_publisher = content_publisher
        self._resolving = resolving
        self._traces = traces
        self._limits = limits

    async def note(self, team_id: UUID, webhooks: Sequence[ConvertedWebhook]) -> None:
        """Of a team's webhooks. Raises the driver's errors, and Unavailable while the team's words cannot be had: what
        is forwarded is not heard again, so that to go on without them is to miss what somebody said."""
        heard = await self._known_now(team_id, webhooks)
        has_text = any(isinstance(said, Wrote) and said.text for *_, each in heard for said in each)
        words = await self._settings.consent_words(team_id) if has_text else DEFAULTS
        hearsay = heard_of(heard, words)
        if hearsay.last_messages:
            await self._store.note_messages(team_id, hearsay.last_messages)
        if hearsay.preferences:
            await self._store.note_preferences(team_id, hearsay.preferences)
        if hearsay.limited:
            await self._limits.note(team_id, hearsay.limited)
        for moved in hearsay.moved:
            # After what was heard of them under the id before.
            await self._store.note_moved(team_id, moved, self._clock.now())
        await self._note_accounts(team_id, hearsay)
        await self._add_late_templates(team_id, hearsay)
        if hearsay.template_states or hearsay.template_categories:
            written = await self._trouble.note_templates(
                team_id, hearsay.template_states, hearsay.template_categories
            )
            self._content_publisher.publish(*written)
        if hearsay.taken:
            # Before receipts: those of pages find sends that are sent.
            await self._resolving.note(team_id, hearsay.taken)
        if hearsay.last_sent:
            await self._store.note_sent(team_id, hearsay.last_sent)
        receipts = await self._receipts(team_id, hearsay)
        if receipts:
            began_ns = tracing.now_ns()
            on = await self._traces.of([(team_id, key) for key in receipts])
            traces = {key: context for (_, key), context in on.items()}
            failures = {key: failure_reason(code) for key, code in hearsay.failures.items()}
            written = await self._store.note_receipts(
                team_id, receipts, self._clock.now(), traces, failures=failures
            )
            self._publisher.publish(*written)
            for key, context in traces.items():
                kinds = ",".join(kind.name or "" for kind in receipts[key][1])
                attributes = {"team_id": str(team_id), "effect_key": str(key), "receipt": kinds}
                SPANS.write_below("gateway.receipt", [context], began_ns, attributes)

    async def _known_now(self, team_id: UUID, webhooks: Sequence[ConvertedWebhook]) -> list[FromAccount]:
        """What channels tell, of people by the ids that they have now."""
        heard: list[FromAccount] = [
            (channel, UUID(each.webhook.origin), each.heard)
            for each in webhooks
            if (channel := each.channel) is not None
        ]
        people = people_in(heard)
        moves = await self._store.moves_of(team_id, people) if people else {}
        return [*as_known_now(heard, moves)] if moves else heard

    async def _note_accounts(self, team_id: UUID, hearsay: Hearsay) -> None:
        """What is said of accounts after their messages were taken ends them as what is answered at once does."""
        refused = {each: (said.at, said.detail) for each, said in hearsay.refused_accounts.items()}
        for (account_id, code), at in sorted(hearsay.late_codes.items()):
            rule = late_rule(code)
            if rule is not None and rule.account_unusable:
                refused[account_id] = at, f"a message failed later with {code}"
            elif rule is not None and is_unpaid(rule):
                written = await self._trouble.account_unpaid(team_id, account_id, rule.reason, at)
                self._content_publisher.publish(*written)
        for (account_id, about), notice in sorted(hearsay.notices.items()):
            await self._trouble.account_noticed(team_id, account_id, about, notice.detail, notice.at)
        for account_id, (at, detail) in sorted(refused.items()):
            await self._trouble.account_refused(team_id, account_id, detail, at)

    async def _add_late_templates(self, team_id: UUID, hearsay: Hearsay) -> None:
        """What is said of templates after they were taken is as if the channel told how they stand."""
        states = {
            key: (failed.at, state)
            for key, failed in hearsay.late_failures.items()
            if (state := late_template_state(failed.code)) is not None
        }
        if states:
            for key, template in (await self._trouble.templates_of(team_id, states)).items():
                before = hearsay.template_states.get(template)
                if before is None or before[0] <= states[key][0]:
                    hearsay.template_states[template] = (*states[key], "")

    async def _receipts(self, team_id: UUID, hearsay: Hearsay) -> dict[UUID, tuple[UUID, list[ReceiptKind]]]:
        """All of the webhooks' receipts, by the key of the effect, with those that are told of people."""
        receipts = dict(hearsay.receipts)
        if hearsay.page_receipts:
            sends = await self._store.sends_to(team_id, hearsay.page_receipts)
            receipts |= receipts_of(hearsay.page_receipts, sends)
        if hearsay.replies:
            for account_id, key in await self._store.answered(team_id, hearsay.replies):
                receipts.setdefault(key, (account_id, []))[1].append(ReceiptKind.REPLIED)
        return receipts
