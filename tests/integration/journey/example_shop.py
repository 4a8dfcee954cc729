"""A shop in which the examples are live."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import services.journey
from libs.common.ids import new_id
from libs.common.rpc.values import timestamp
from omnijourney.channel_gateway.v1 import account_pb2, content_pb2
from omnijourney.channel_gateway.v1.delivery_pb2 import SEND_STATE_SENT
from omnijourney.common.v1 import channel_pb2, money_pb2
from omnijourney.journey.v1 import journey_service_pb2 as pb
from omnijourney.points.v1 import coupon_pb2
from omnijourney.segment.v1 import customer_pb2, event_pb2
from tests.integration.journey.whole_site import ALL, LINE, WHATSAPP, Site, text

EXAMPLES: Final = sorted((Path(services.journey.__path__[0]) / "examples").glob("*.yaml"))
MODULES: Final = (
    *("Welcome", "Best sellers", "Birthday", "We miss you", "VIP", "Your points", "Back in stock"),
    *("Keep collecting", "News", "Gold", "Your cart"),
)


WAIT_S: Final = 60.0


def of(sent: list[tuple[str, str]], node_id: str) -> list[tuple[str, str]]:
    """Those of a node."""
    return [each for each in sent if each[0] == node_id]


@dataclass
class Shop:
    """A team with all that the examples name."""

    site: Site
    accounts: dict[int, str] = field(default_factory=dict)

    async def furnish(self) -> None:
        """Accounts, content and an attribute by the names that the examples have."""
        await self.site.team(ALL, [LINE, WHATSAPP])
        credit = money_pb2.Money(currency_code="HKD", amount_micros=10**9)
        await self.site.call("AdjustWallet", amount=credit)
        for channel in (LINE, WHATSAPP):
            account = account_pb2.ChannelAccount(channel=channel, display_name="Shop")
            self.connect(account)
            made = await self.site.call("CreateChannelAccount", account=account)
            self.accounts[channel] = made.account.channel_account_id
        for name in MODULES:
            module = content_pb2.BotModule(name=name, cards=[text("Hello {{customer.name|you}}")])
            await self.site.call("CreateBotModule", module=module)
        menu = content_pb2.ButtonCard(text="What would you like?")
        for data in ("news", "best"):
            menu.buttons.add(label=data.title(), postback_data=data)
        card = content_pb2.Card(button=menu)
        await self.site.call("CreateBotModule", module=content_pb2.BotModule(name="Menu", cards=[card]))
        await self.site.call(
            "CreateBotModule", module=content_pb2.BotModule(name="Coupon", cards=[await self._coupon()])
        )
        template = content_pb2.MessageTemplate(
            account_id=self.accounts[WHATSAPP], name="order_review", language="zh_TW", parameter_count=1
        )
        await self.site.call("CreateMessageTemplate", template=template)
        await self.site.attribute("tier")
        await self.site.attribute("cart")

    def connect(self, account: account_pb2.ChannelAccount) -> None:
        """Says where an account sends: nowhere, and all is accepted."""
        account.sink.SetInParent()

    async def _coupon(self) -> content_pb2.Card:
        coupon = coupon_pb2.Coupon(
            name="Ten per cent",
            type=coupon_pb2.COUPON_TYPE_MARKETING,
            points_redemption=coupon_pb2.PointsRedemption(cost=500, insufficient_text="no"),
        )
        made = (await self.site.call("CreateCoupon", coupon=coupon)).coupon
        card = content_pb2.CouponCard(coupon_id=made.coupon_id, text="Yours", button_label="Claim")
        return content_pb2.Card(coupon=card)

    async def live(self, name: str) -> str:
        """An example, applied and published; its id. What it is applied from says nothing else of it afterwards."""
        content = next(file for file in EXAMPLES if file.stem == name).read_text(encoding="utf-8")
        applied = await self.site.call("ApplyJourney", format=pb.TEXT_FORMAT_YAML, content=content)
        journey_id: str = applied.journey.journey_id
        await self.site.call("PublishJourney", journey_id=journey_id)
        again = await self.site.call("ApplyJourney", format=pb.TEXT_FORMAT_YAML, content=content)
        assert not again.changes
        return journey_id

    async def customer(self, channel: channel_pb2.Channel.ValueType = LINE, points: int = 0) -> str:
        """Somebody with a phone who joins the shop on a channel now."""
        phone = f"8869{new_id().int % 10**8:08}"
        identity = customer_pb2.IdentityKey(
            channel=channel,
            account_id=self.accounts[channel],
            external_id=f"U{new_id().hex}" if channel == LINE else phone,
        )
        customer_id = await self.report(contact_added=event_pb2.ContactAdded(identity=identity))
        if channel == LINE:
            known = customer_pb2.Customer(customer_id=customer_id, phone=f"+{phone}")
            await self.site.call("UpdateCustomer", customer=known)
        if points:
            await self.site.call("AdjustBalance", customer_id=customer_id, points=points, note="gift")
        return customer_id

    async def order(
        self, customer_id: str, amount: int = 500, item: str = "Oolong tea", cart: str = ""
    ) -> None:
        """A signed order of now."""
        order = event_pb2.OrderCompleted(
            shop_id="shop",
            order_id=str(new_id()),
            amount=money_pb2.Money(currency_code="TWD", amount_micros=amount * 1_000_000),
            items=[event_pb2.OrderItem(name=item)],
            signed=True,
            cart_id=cart,
        )
        await self.report(
            customer=customer_pb2.CustomerSelector(customer_id=customer_id), order_completed=order
        )

    async def report(self, **event: Any) -> str:
        """Reports an event of now; the customer's id."""
        now = timestamp(await self.site.now())
        whole = event_pb2.CustomerEvent(
            team_id=self.site.team_id, event_key=str(new_id()), occur_time=now, customer_name="Mei", **event
        )
        (result,) = (await self.site.call("RecordEvents", events=[whole])).results
        assert result.status == event_pb2.EVENT_STATUS_ACCEPTED, result
        return str(result.customer_id)

    async def trigger(self, journey_id: str, *customers: str) -> None:
        """Enrols customers by the journey's id."""
        items = [
            pb.SystemTriggerItem(journey_id=journey_id, customer_id=each, request_id=str(new_id()))
            for each in customers
        ]
        await self.site.call("TriggerJourneys", items=items)

    async def sent(self, journey_id: str) -> list[tuple[str, str]]:
        """(node, customer) of every message that left."""
        listed = await self.site.call("ListDeliveries", journey_id=journey_id, page_size=500)
        return sorted(
            (each.node_id, each.customer_id) for each in listed.deliveries if each.state == SEND_STATE_SENT
        )

    async def press(self, journey_id: str, node_id: str, customer_id: str, data: str) -> None:
        """Presses a button of a message of the journey."""
        listed = await self.site.call("ListDeliveries", journey_id=journey_id, page_size=500)
        [key] = [
            each.effect_key
            for each in listed.deliveries
            if (each.node_id, each.customer_id) == (node_id, customer_id)
        ]
        [identity] = (await self.seen(customer_id)).identities
        pressed = event_pb2.MessageReceived(identity=identity.key, button_data=data, effect_key=key)
        await self.report(message_received=pressed)

    async def settled(self, journey_id: str, *, live: int = 0, completed: int = 0) -> None:
        """Waits until so many rest, and so many have come to the end."""

        async def counts() -> tuple[int, int]:
            found = await self.site.call("CountEnrolments", journey_id=journey_id)
            return found.live_count, found.completed_count

        async with asyncio.timeout(WAIT_S):
            while await counts() != (live, completed):
                await asyncio.sleep(0.05)

    async def ways(self, journey_id: str) -> list[str]:
        """The way that each enrolment of a split at the start took."""
        listed = await self.site.call("ListEnrolments", journey_id=journey_id, page_size=500)
        explained = [
            await self.site.call("ExplainEnrolment", enrolment_id=each.enrolment_id)
            for each in listed.enrolments
        ]
        return [each.steps[0].detail for each in explained]

    async def waiting(self, journey_id: str, node_id: str, count: int) -> None:
        """Waits until so many stand at a node."""
        async with asyncio.timeout(WAIT_S):
            while True:
                listed = await self.site.call("ListEnrolments", journey_id=journey_id, page_size=500)
                there = [
                    each for each in listed.enrolments if each.node_id == node_id and each.wake_time.seconds
                ]
                if len(there) == count:
                    return
                await asyncio.sleep(0.05)

    async def until_tagged(self, customer_id: str, tags: list[str]) -> None:
        """Waits until a customer has these tags: who waits for a send to leave is inside, too."""
        async with asyncio.timeout(WAIT_S):
            while list((await self.seen(customer_id)).tags) != tags:
                await asyncio.sleep(0.05)

    async def seen(self, customer_id: str) -> customer_pb2.Customer:
        """A customer as they are."""
        found: customer_pb2.Customer = (await self.site.call("GetCustomer", customer_id=customer_id)).customer
        return found

    async def balance(self, customer_id: str) -> int:
        """A customer's points."""
        return int((await self.site.call("GetBalance", customer_id=customer_id)).balance.balance)
