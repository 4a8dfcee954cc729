"""Everything that all services hold of one person, as lines of JSON: segment's own first, then the others' (ADR 59)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from libs.common.db.pool import Pool, transaction
from libs.common.ids import CustomerKey
from services.segment.clients.persons import PersonsClient
from services.segment.convert.customers import customer_message
from services.segment.convert.facts import shown_fact
from services.segment.domain.erasure import known_by
from services.segment.domain.facts import MessageTaken
from services.segment.domain.views import FactKey
from services.segment.store.erasures import ErasureStore
from services.segment.usecases.customers import Customers
from services.segment.usecases.history import History

FACTS_MAX: Final = 500
"""Facts of one read."""
_BEGINNING: Final = datetime(1, 1, 1, tzinfo=UTC)
_END: Final = datetime(9999, 12, 31, tzinfo=UTC)


class PersonExports:
    """Reads one person, a page of one kind after the other; each page is of its own moment."""

    def __init__(self, pool: Pool, customers: Customers, history: History, others: PersonsClient) -> None:
        """`others` are the services beside segment."""
        self._pool = pool
        self._customers = customers
        self._history = history
        self._others = others

    async def lines(self, key: CustomerKey) -> AsyncIterator[list[str]]:
        """Some lines at a time. Raises NotFound, Unavailable while a service does not answer."""
        view = await self._customers.get(key)
        store = ErasureStore(self._pool)
        async with transaction(self._pool, [key[0]]) as connection:
            tokens, merged = await store.tokens(connection, key), await store.merged(connection, key)
        yield [
            _line("customer", _shown(customer_message(view))),
            *(_line("browser", {"token": token}) for token in tokens),
        ]
        texts = [text for each in merged for text in (str(each.customer_id), *each.texts)]
        identifiers = known_by(view, [*texts, *tokens]).identifiers
        for own in (key, *((key[0], each.customer_id) for each in merged)):
            async for page in self._facts(own):
                yield page
            for service in self._others.services:
                async for page in self._of_service(service, own, identifiers):
                    yield page

    async def _of_service(
        self, service: str, key: CustomerKey, identifiers: Sequence[str]
    ) -> AsyncIterator[list[str]]:
        """What another service holds under an id."""
        cursor = ""
        while True:
            records, cursor = await self._others.read(service, key, identifiers, cursor)
            if records:
                yield [
                    json.dumps({"service": service, **json.loads(each)}, ensure_ascii=False)
                    for each in records
                ]
            if not cursor:
                return

    async def _facts(self, key: CustomerKey) -> AsyncIterator[list[str]]:
        """All facts in the order of time, orders with what was bought and what the customer wrote among them."""
        after: FactKey | None = None
        while True:
            facts, is_last = await self._history.facts(
                key[0], customer_id=key[1], span=(_BEGINNING, _END), after=after, row_max=FACTS_MAX
            )
            if facts:
                lines = []
                for fact in facts:
                    said = (
                        {"text": fact.body.text}
                        if isinstance(fact.body, MessageTaken) and fact.body.text
                        else {}
                    )
                    lines.append(_line("fact", {**_shown(shown_fact(fact)), **said}))
                yield lines
            if is_last:
                return
            last = facts[-1]
            after = (last.occurred_at, last.partition, last.position)


def _shown(message: Message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True)


def _line(kind: str, held: Mapping[str, Any]) -> str:
    return json.dumps({"service": "segment", "kind": kind, **held}, ensure_ascii=False)
