"""Facts ⇄ mail and the contract's facts; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from libs.common.mailbox import mail
from libs.common.rpc.values import timestamp
from omnijourney.common.v1 import money_pb2
from omnijourney.segment.v1 import customer_pb2, event_pb2, history_pb2
from omnijourney.segment.v1.history_pb2 import FactKind as Kind
from services.segment.convert.checks import Check
from services.segment.domain import facts
from services.segment.domain.facts import Fact, OrderStage, is_quiet
from services.segment.domain.known import NO_VIEWS, Views
from services.segment.domain.model import IdentityKey, Item, OrderCompleted, Uncounted


def mails_of(facts: Iterable[Fact], views: Views = NO_VIEWS) -> Iterator[mail.Mail]:
    """The mail among stored facts; each customer's newest carries the view, if there is one."""
    for fact in facts:
        view = views.get((fact.team_id, fact.customer_id)) if views and fact.customer_id is not None else None
        found = mail_of(fact, view)
        if found is not None:
            yield found


def mail_of(fact: Fact, view: mail.CustomerView | None = None) -> mail.Mail | None:
    """The mail that a stored fact is to the customer's actor, with the view that belongs to its number; None for one
    that is no mail."""
    if fact.mail_number is None:
        return None
    assert fact.customer_id is not None
    return mail.Mail(
        source=mail.MailSource.SEGMENT,
        number=fact.mail_number,
        position=fact.position,
        partition=fact.partition,
        team_id=fact.team_id,
        customer_id=fact.customer_id,
        event_id=fact.event_id,
        occurred_at=fact.occurred_at,
        depth=fact.depth,
        body=mail.ProfileChanged() if is_quiet(fact.body) else _mail_body(fact.body),
        view=view if view is not None and view.number == fact.mail_number else None,
        trace=fact.trace,
    )


def _mail_body(body: facts.FactBody | facts.Unreadable) -> mail.Body:
    match body:
        case facts.OrderReported(order=order):
            return mail.Checkout(
                order_key=body.order_key,
                shop_id=order.shop_id,
                order_id=order.order_id,
                amount_micros=order.amount_micros,
                currency=order.currency,
                items=[item.name for item in order.items],
                earns=body.uncounted == Uncounted.COUNTS,
                has_phone=body.has_phone,
                test=order.test,
                order_number=order.order_number,
                cart_id=order.cart_id,
            )
        case facts.RefundReported(refund=refund):
            return mail.Refund(
                refund_key=body.refund_key,
                shop_id=refund.shop_id,
                refund_id=refund.refund_id,
                order_id=refund.order_id or None,
                order_key=body.order_key,
                amount_micros=refund.amount_micros,
                currency=refund.currency,
                order_number=body.order_number,
            )
        case facts.ContactJoined(identity=identity):
            return mail.ContactAdded(identity.channel, identity.account_id)
        case facts.TagApplied():
            return mail.TagApplied(body.tag, body.before)
        case facts.TagRemoved(tag=tag):
            return mail.TagRemoved(tag)
        case facts.AttributeChanged():
            return mail.AttributeChanged(body.key, body.kind, body.old, body.new)
        case (
            facts.CustomerChanged()
            | facts.ContactLeft()
            | facts.ContactReturned()
            | facts.ContactRemoved()
            | facts.MessageTaken()
        ):
            return mail.ProfileChanged(_said(body) if isinstance(body, facts.MessageTaken) else None)
        case facts.Unreadable(reason=reason):
            return mail.Unreadable(reason)
    raise AssertionError(f"no mail: {type(body).__name__}")


def _said(body: facts.MessageTaken) -> mail.Said:
    identity = body.identity
    return mail.Said(identity.channel, identity.account_id, body.text, body.button_data, body.effect_key)


def read_kinds(check: Check, field: str, kinds: Iterable[int]) -> frozenset[int] | None:
    """The kinds of facts that are wanted; None: all."""
    wanted = frozenset(kinds)
    if not wanted <= _KINDS:
        check.fault(field, "holds what is no kind of a fact")
    return wanted or None


def tags_of(kinds: frozenset[int]) -> frozenset[int]:
    """Tags of the bodies that facts of these kinds are stored with; one with such a tag may be of another kind."""
    return frozenset(_TAG_OF_KIND[kind] for kind in kinds)


def kind_of(body: facts.FactBody) -> int:
    """The kind of a fact in the contract."""
    match body:
        case facts.OrderReported(stage=stage):
            return _KIND_OF_STAGE[stage]
        case facts.RefundReported(uncounted=uncounted):
            counts = uncounted == Uncounted.COUNTS
            return Kind.FACT_KIND_ORDER_REFUNDED if counts else Kind.FACT_KIND_REFUND_STORED
    return _KIND_OF_TYPE[type(body)]


_NO_ATTRIBUTE: Final = ("", False, False)


def row_values(fact: Fact) -> tuple[Any, ...]:
    """A fact as readers of the history get it, in the order of `libs.common.feeds.rows.FactRow`. Raises KeyError for
    one that cannot be read."""
    body = fact.body
    values = (
        fact.partition,
        fact.position,
        fact.team_id,
        fact.customer_id,
        fact.occurred_at,
        kind_of(body),  # type: ignore[arg-type]  # one that cannot be read has none
        getattr(body, "uncounted", 0),
    )
    if isinstance(body, facts.AttributeDefined):
        return (*values, body.key, body.archived, body.old_kind not in {0, body.kind})
    if isinstance(body, facts.OrderReported):
        return (*values, *_NO_ATTRIBUTE, body.order_key, body.order.amount_micros, body.order.currency)
    if isinstance(body, facts.RefundReported):
        return (*values, *_NO_ATTRIBUTE, body.order_key, body.refund.amount_micros, body.refund.currency)
    detail = _DETAILS.get(type(body))
    if detail is not None:
        return (*values, *_NO_ATTRIBUTE, None, 0, "", fact.event_id, detail(body))
    return values


def _of_identity(body: Any) -> tuple[str, ...]:
    return str(int(body.identity.channel)), str(body.identity.account_id), body.identity.external_id


_DETAILS: Final[dict[type, Callable[[Any], tuple[str | None, ...]]]] = {
    facts.TagApplied: lambda body: (body.tag,),
    facts.TagRemoved: lambda body: (body.tag,),
    facts.AttributeChanged: lambda body: (body.key, str(int(body.kind)), body.old, body.new),
    facts.ContactJoined: _of_identity,
    facts.ContactRemoved: _of_identity,
    facts.CustomerCreated: lambda body: (body.member_id,),
    facts.CustomerMerged: lambda body: (str(body.survivor_id),),
}
"""What those who are told of contacts are told of each kind of fact."""


def shown_fact(fact: Fact) -> history_pb2.Fact:
    """The same for people: of a fact that cannot be read, its ids."""
    if isinstance(fact.body, facts.Unreadable):
        return history_pb2.Fact(
            partition=fact.partition,
            position=fact.position,
            team_id=str(fact.team_id),
            customer_id=str(fact.customer_id or ""),
            event_id=str(fact.event_id),
            occur_time=timestamp(fact.occurred_at),
        )
    return fact_message(fact)


def fact_message(fact: Fact) -> history_pb2.Fact:
    """A fact as the contract has it. Raises KeyError for one that cannot be read."""
    message = history_pb2.Fact(
        partition=fact.partition,
        position=fact.position,
        team_id=str(fact.team_id),
        customer_id=str(fact.customer_id or ""),
        event_id=str(fact.event_id),
        occur_time=timestamp(fact.occurred_at),
        record_time=timestamp(fact.record_time),
        depth=fact.depth,
    )
    _FILLERS[type(fact.body)](message, fact.body)
    return message


def identity_key_message(key: IdentityKey) -> customer_pb2.IdentityKey:
    """The key of an identity."""
    return customer_pb2.IdentityKey(
        channel=key.channel,  # type: ignore[arg-type]  # the numbers are those of the contract
        account_id=str(key.account_id),
        external_id=key.external_id,
    )


def item_message(item: Item) -> event_pb2.OrderItem:
    """A line of an order."""
    price = None
    if item.price_micros is not None:
        price = money_pb2.Money(currency_code=item.price_currency, amount_micros=item.price_micros)
    return event_pb2.OrderItem(
        name=item.name, quantity=item.quantity, unit_price=price, product_id=item.product_id, sku=item.sku
    )


def _order(message: history_pb2.Fact, body: facts.OrderReported) -> None:
    order: OrderCompleted = body.order
    fact = history_pb2.OrderFact(
        order_key=str(body.order_key),
        shop_id=order.shop_id,
        order_id=order.order_id,
        order_number=order.order_number,
        amount=money_pb2.Money(currency_code=order.currency, amount_micros=order.amount_micros),
        items=[item_message(item) for item in order.items],
        has_phone=body.has_phone,
        uncounted_reason=int(body.uncounted),  # type: ignore[arg-type]  # numbers of the contract
        click_id=order.click_id,
    )
    match body.stage:
        case OrderStage.COMPLETED:
            message.checkout_completed.CopyFrom(fact)
        case OrderStage.STORED:
            message.order_stored.CopyFrom(fact)
        case OrderStage.AMENDED:
            message.order_amended.CopyFrom(fact)


def _refund(message: history_pb2.Fact, body: facts.RefundReported) -> None:
    refund = body.refund
    fact = history_pb2.RefundFact(
        refund_key=str(body.refund_key),
        shop_id=refund.shop_id,
        refund_id=refund.refund_id,
        order_id=refund.order_id,
        order_key=str(body.order_key or ""),
        amount=money_pb2.Money(currency_code=refund.currency, amount_micros=refund.amount_micros),
        uncounted_reason=int(body.uncounted),  # type: ignore[arg-type]  # numbers of the contract
    )
    if body.uncounted == Uncounted.COUNTS:
        message.order_refunded.CopyFrom(fact)
    else:
        message.refund_stored.CopyFrom(fact)


def _identity(field: str) -> Callable[[history_pb2.Fact, Any], None]:
    def fill(message: history_pb2.Fact, body: Any) -> None:
        getattr(message, field).CopyFrom(identity_key_message(body.identity))

    return fill


def _tag_applied(message: history_pb2.Fact, body: facts.TagApplied) -> None:
    message.tag_applied.tag = body.tag


def _tag_removed(message: history_pb2.Fact, body: facts.TagRemoved) -> None:
    message.tag_removed.tag = body.tag


def _attribute_changed(message: history_pb2.Fact, body: facts.AttributeChanged) -> None:
    fact = history_pb2.AttributeFact(key=body.key, old_value=body.old, new_value=body.new)
    fact.type = body.kind  # type: ignore[assignment]  # numbers of the contract
    message.attribute_changed.CopyFrom(fact)


def _customer_created(message: history_pb2.Fact, body: facts.CustomerCreated) -> None:
    message.customer_created.CopyFrom(history_pb2.CustomerFact(member_id=body.member_id))


def _attribute_defined(message: history_pb2.Fact, body: facts.AttributeDefined) -> None:
    fact = history_pb2.AttributeDefinitionFact(
        key=body.key,
        type=body.kind,  # type: ignore[arg-type]  # numbers of the contract
        state=2 if body.archived else 1,  # type: ignore[arg-type]
        old_type=body.old_kind,  # type: ignore[arg-type]
    )
    message.attribute_defined.CopyFrom(fact)


def _customer_merged(message: history_pb2.Fact, body: facts.CustomerMerged) -> None:
    message.customer_merged.survivor_id = str(body.survivor_id)


def _customer_changed(message: history_pb2.Fact, body: facts.CustomerChanged) -> None:
    message.customer_changed.CopyFrom(history_pb2.CustomerChangedFact(fields=body.fields))


_FILLERS: Final[dict[type, Callable[[history_pb2.Fact, Any], None]]] = {
    facts.OrderReported: _order,
    facts.RefundReported: _refund,
    facts.ContactJoined: _identity("contact_added"),
    facts.ContactRemoved: _identity("contact_removed"),
    facts.ContactLeft: _identity("contact_blocked"),
    facts.ContactReturned: _identity("contact_unblocked"),
    facts.MessageTaken: _identity("message_received"),
    facts.TagApplied: _tag_applied,
    facts.TagRemoved: _tag_removed,
    facts.AttributeChanged: _attribute_changed,
    facts.CustomerCreated: _customer_created,
    facts.AttributeDefined: _attribute_defined,
    facts.CustomerMerged: _customer_merged,
    facts.CustomerChanged: _customer_changed,
}

_KIND_OF_STAGE: Final = {
    OrderStage.COMPLETED: Kind.FACT_KIND_CHECKOUT_COMPLETED,
    OrderStage.STORED: Kind.FACT_KIND_ORDER_STORED,
    OrderStage.AMENDED: Kind.FACT_KIND_ORDER_AMENDED,
}
_KIND_OF_TYPE: Final[dict[type, Kind.ValueType]] = {
    facts.ContactJoined: Kind.FACT_KIND_CONTACT_ADDED,
    facts.ContactRemoved: Kind.FACT_KIND_CONTACT_REMOVED,
    facts.ContactLeft: Kind.FACT_KIND_CONTACT_BLOCKED,
    facts.ContactReturned: Kind.FACT_KIND_CONTACT_UNBLOCKED,
    facts.MessageTaken: Kind.FACT_KIND_MESSAGE_RECEIVED,
    facts.TagApplied: Kind.FACT_KIND_TAG_APPLIED,
    facts.TagRemoved: Kind.FACT_KIND_TAG_REMOVED,
    facts.AttributeChanged: Kind.FACT_KIND_ATTRIBUTE_CHANGED,
    facts.CustomerCreated: Kind.FACT_KIND_CUSTOMER_CREATED,
    facts.AttributeDefined: Kind.FACT_KIND_ATTRIBUTE_DEFINED,
    facts.CustomerMerged: Kind.FACT_KIND_CUSTOMER_MERGED,
    facts.CustomerChanged: Kind.FACT_KIND_CUSTOMER_CHANGED,
}
_TAG_OF_KIND: Final[dict[int, int]] = {
    **dict.fromkeys(_KIND_OF_STAGE.values(), facts.TAGS[facts.OrderReported]),
    Kind.FACT_KIND_ORDER_REFUNDED: facts.TAGS[facts.RefundReported],
    Kind.FACT_KIND_REFUND_STORED: facts.TAGS[facts.RefundReported],
    **{kind: facts.TAGS[body] for body, kind in _KIND_OF_TYPE.items()},
}
_KINDS: Final = frozenset(_TAG_OF_KIND)
