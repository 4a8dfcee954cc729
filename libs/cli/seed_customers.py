"""`omnijourney seed-customers`: made-up customers for trying and measuring, the same for the same seed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final
from uuid import UUID

import grpc

from libs.cli.console import EXIT_FAULT, complain, say
from libs.cli.journeys import Command
from libs.cli.progress import progress
from libs.client import Client
from libs.common.ids import derived_id
from omnijourney.common.v1.error_reason_pb2 import ErrorReason
from omnijourney.segment.v1 import segment_service_pb2 as pb
from omnijourney.segment.v1.attribute_pb2 import Attribute, AttributeType
from omnijourney.segment.v1.customer_pb2 import Customer

BATCH: Final = 250
"""Customers of one call."""
_CALLS_MAX: Final = 4
_TIMEOUT_S: Final = 120.0
_TRIES_MAX: Final = 20
_RETRY_S: Final = 1.0
_BUSY: Final = (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.ABORTED, grpc.StatusCode.UNAVAILABLE)
_PEOPLE: Final = UUID("018f0000-0000-7000-8000-000000000000")
"""Customers' ids are derived from it, the seed and their number."""
_TAGS_OF_EACH: Final = 5
_TAGS: Final = tuple(f"tag-{number:03d}" for number in range(200))
_WEIGHTS: Final = tuple(1 / (number + 1) for number in range(200))
"""Tags are as rare as those of a shop: the first on every second or third, the last on few."""
_SURNAMES: Final = tuple("陳林黃張李王吳劉蔡楊許鄭謝郭洪邱曾廖賴徐")
_GIVEN: Final = (
    "怡君",
    "志明",
    "淑芬",
    "家豪",
    "雅婷",
    "俊傑",
    "美玲",
    "冠宇",
    "佳穎",
    "宗翰",
    "Ann",
    "Ben",
    "Chloé",
    "Émile",
)
_CITIES: Final = ("臺北", "新北", "桃園", "臺中", "臺南", "高雄", "基隆", "新竹", "嘉義", "花蓮")
_TIERS: Final = ("bronze", "silver", "gold", "platinum")
_FIRST_DAY: Final = date(2020, 1, 1)
_BIRTHS: Final = date(1950, 1, 1)
_TYPES: Final = {
    "city": AttributeType.ATTRIBUTE_TYPE_TEXT,
    "tier": AttributeType.ATTRIBUTE_TYPE_TEXT,
    "store": AttributeType.ATTRIBUTE_TYPE_TEXT,
    "note": AttributeType.ATTRIBUTE_TYPE_TEXT,
    "visits": AttributeType.ATTRIBUTE_TYPE_NUMBER,
    "spent": AttributeType.ATTRIBUTE_TYPE_NUMBER,
    "score": AttributeType.ATTRIBUTE_TYPE_NUMBER,
    "birthday": AttributeType.ATTRIBUTE_TYPE_DATE,
    "first_visit": AttributeType.ATTRIBUTE_TYPE_DATE,
    "newsletter": AttributeType.ATTRIBUTE_TYPE_BOOLEAN,
}


def customer(seed: int, number: int) -> Customer:
    """The customer of a seed with this number: basic data, 5 tags, 10 attributes; the same on every machine."""
    chance = random.Random(f"{seed}:{number}")  # noqa: S311 - made-up people
    tags: set[str] = set()
    while len(tags) < _TAGS_OF_EACH:
        tags.update(chance.choices(_TAGS, _WEIGHTS, k=_TAGS_OF_EACH - len(tags)))
    return Customer(
        customer_id=str(derived_id(_PEOPLE, seed, number)),
        member_id=f"seed-{seed}-{number:08d}",
        name=chance.choice(_SURNAMES) + chance.choice(_GIVEN),
        phone=f"+8869{chance.randrange(10**8):08d}",
        email=f"seed-{seed}-{number}@example.com",
        tags=sorted(tags),
        attributes=_attributes(chance),
    )


def _attributes(chance: random.Random) -> dict[str, str]:
    return {
        "city": chance.choice(_CITIES),
        "tier": chance.choices(_TIERS, (60, 25, 12, 3))[0],
        "store": f"store {chance.randrange(300)}",
        "note": f"{chance.choice(_CITIES)} {chance.getrandbits(40):x}",
        "visits": str(int(chance.expovariate(1 / 12))),
        "spent": f"{chance.lognormvariate(7, 1.2):.2f}",
        "score": str(chance.randrange(1_001)),
        "birthday": str(_BIRTHS + timedelta(days=chance.randrange(20_000))),
        "first_visit": str(_FIRST_DAY + timedelta(days=chance.randrange(2_000))),
        "newsletter": chance.choice(("true", "false")),
    }


def seed_customers(team_id: str, count: int, seed: int) -> Command:
    """Makes the first `count` customers of a seed; those that are there are left as they are. Exit code 1 if any of
    them could not be made."""

    async def command(client: Client) -> int:
        await _define_attributes(client, team_id)
        outcomes: Counter[str] = Counter()
        starts = iter(range(0, count, BATCH))
        with progress("customers", count) as at:

            async def work() -> None:
                for start in starts:
                    numbers = range(start, min(start + BATCH, count))
                    outcomes.update(await _create(client, team_id, seed, numbers))
                    at(outcomes.total(), count)

            async with asyncio.TaskGroup() as group:
                for _ in range(_CALLS_MAX):
                    group.create_task(work())
        say(f"{outcomes.pop('', 0)} made, {outcomes.pop('DUPLICATE_VALUE', 0)} were there")
        for reason, refused in sorted(outcomes.items()):
            complain(f"{refused} refused: {reason}")
        return EXIT_FAULT if outcomes else 0

    return command


async def _define_attributes(client: Client, team_id: str) -> None:
    for key, kind in _TYPES.items():
        request = pb.CreateAttributeRequest(
            team_id=team_id,
            request_id=f"seed-attribute-{key}",
            attribute=Attribute(key=key, display_name=key, type=kind),
        )
        try:
            await client.segment.CreateAttribute(request, timeout=_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                raise


async def _create(client: Client, team_id: str, seed: int, numbers: Sequence[int]) -> Counter[str]:
    """How many were made, as '', and how many were not, by the reason."""
    request = pb.BatchCreateCustomersRequest(
        team_id=team_id,
        request_id=f"seed-{seed}-{numbers[0]}-{len(numbers)}",
        customers=[customer(seed, number) for number in numbers],
    )
    for tries in range(1, _TRIES_MAX + 1):
        try:
            answer = await client.segment.BatchCreateCustomers(request, timeout=_TIMEOUT_S)
            break
        except grpc.aio.AioRpcError as error:
            if error.code() not in _BUSY or tries == _TRIES_MAX:
                raise
            await asyncio.sleep(_RETRY_S)
    return Counter(
        ErrorReason.Name(each.reason).removeprefix("ERROR_REASON_") if each.reason else ""
        for each in answer.results
    )
