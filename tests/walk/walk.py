"""A walk over every RPC with every kind of caller who may not: the answer is the same for what there is and for what
there is not, and nothing changes."""

import random
import re
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from google.protobuf.message import Message

from libs.common.rpc.values import timestamp
from omnijourney.common.v1.money_pb2 import Money
from omnijourney.segment.v1.customer_pb2 import CustomerSelector
from omnijourney.segment.v1.event_pb2 import CustomerEvent, OrderCompleted
from omnijourney.segment.v1.segment_service_pb2 import RecordEventsRequest
from tests.fuzz import calls
from tests.fuzz.calls import Answer
from tests.fuzz.rpcs import Rpc
from tests.fuzz.survey import survey
from tests.fuzz.valid import Maker
from tests.fuzz.world import MEMBERS, World
from tests.walk.callers import KINDS, OTHER_TEAM, TOO_SMALL, UNPROVED, Callers
from tests.walk.digest import digest

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SEED: Final = 1
TRIES: Final = 8


@dataclass
class Row:
    """One RPC: what each kind of caller is answered, and what was wrong with that."""

    rpc: Rpc
    own: str = ""
    """What the team's own client, or the service that it is for, is answered."""
    no_team: str = ""
    """What the installation's client is answered that names a team that there is not; empty where it names none."""
    answers: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


@dataclass
class Walk:
    """What a walk came to."""

    rows: list[Row]
    changed: list[str]
    """Tables that hold something else than before."""

    def faults(self) -> list[str]:
        """All that must not be."""
        found = [f"{row.rpc.name}: {fault}" for row in self.rows for fault in row.faults]
        return found + [f"{table} has changed" for table in self.changed]

    def lines(self) -> list[str]:
        """The table for people."""
        heads = "".join(f"{kind:<22}" for kind in KINDS)
        lines = [f"{'RPC':<58}{heads}{'no such team':<22}{'own':<20}"]
        for row in self.rows:
            cells = "".join(f"{row.answers.get(kind, ''):<22}" for kind in KINDS)
            lines.append(f"{row.rpc.name[:57]:<58}{cells}{row.no_team:<22}{row.own:<20}")
        counts = {kind: dict(Counter(row.answers[kind] for row in self.rows)) for kind in KINDS}
        own = Counter(row.own for row in self.rows)
        return [*lines, *(f"{kind}: {count}" for kind, count in counts.items()), f"own: {dict(own)}"]


async def walk(world: World) -> Walk:
    """Over all that is implemented."""
    await world.renew("walked")
    await survey(world, world.own, SEED)
    callers = await Callers.of(world)
    try:
        rpcs = [rpc for rpc in world.rpcs if rpc.implemented]
        asked = [(rpc, *await _pair(world, rpc)) for rpc in rpcs]
        await world.until_calm()
        before = await digest(world.installation.postgres_dsn)
        rows = [await _row(callers, rpc, real, random_) for rpc, real, random_ in asked]
        after = await digest(world.installation.postgres_dsn)
        for row, (_, real, _) in zip(rows, asked, strict=True):
            row.own = await _own(callers, world, row.rpc, real)
    finally:
        await callers.close()
    return Walk(rows, [table for table in after if after[table] != before.get(table)])


async def _pair(world: World, rpc: Rpc) -> tuple[Message, Message]:
    """A good request that names the team's things, and the same that names what nobody has."""
    real, own = await _good(world, rpc), world.own
    other: Any = type(real)()
    other.CopyFrom(real)
    known = {value for values in own.values.values() for value in values}
    _replace(other, known, {})
    return real, other


async def _good(world: World, rpc: Rpc) -> Message:
    """One that is answered OK to those who may, if it is of an RPC that changes nothing and a few tries find one."""
    rng = random.Random(f"walk {rpc.full_name}")
    for _ in range(TRIES):
        made = _named_well(rpc, Maker(rng, world.own, known_share=1.0).request(rpc), world)
        if not rpc.is_read:
            break
        answer = await calls.make(world.channel(rpc), rpc, [made.SerializeToString()], deadline_s=10)
        if answer.code == "OK":
            break
    return made


def _named_well(rpc: Rpc, made: Any, world: World) -> Message:
    """A batch whose items are judged one by one: with one that is good."""
    if rpc.method.name != "RecordEvents":
        request: Message = made
        return request
    money = Money(currency_code="HKD", amount_micros=1_000_000)
    order = OrderCompleted(shop_id="walk", order_id="o1", amount=money, signed=True)
    told = CustomerEvent(
        team_id=world.own_shop.team_id,
        event_key="walk",
        customer=CustomerSelector(member_id=str(MEMBERS[0])),
        occur_time=timestamp(datetime.now(UTC)),
        order_completed=order,
    )
    return RecordEventsRequest(events=[told])


def _replace(message: Any, known: set[str], made: dict[str, str]) -> None:
    """Puts an id of nothing in place of each that is known, the same for the same."""
    for described, value in list(message.ListFields()):
        if described.message_type is not None:
            if described.message_type.GetOptions().map_entry:
                continue
            for part in value if described.is_repeated else [value]:
                _replace(part, known, made)
        elif described.name == "request_id" or described.type != described.TYPE_STRING:
            continue
        elif described.is_repeated:
            value[:] = [_other(each, known, made) for each in value]
        else:
            setattr(message, described.name, _other(value, known, made))


def _other(value: str, known: set[str], made: dict[str, str]) -> str:
    if value in known and _UUID.fullmatch(value):
        rng = random.Random(f"other {value}")
        return made.setdefault(value, str(uuid.UUID(int=rng.getrandbits(128), version=4)))
    return value


async def _row(callers: Callers, rpc: Rpc, real: Message, other: Message) -> Row:
    row = Row(rpc)
    for kind in KINDS:
        channel = callers.channel(rpc, kind)
        answers = [
            await calls.make(channel, rpc, [request.SerializeToString()], deadline_s=10)
            for request in (real, other)
        ]
        row.answers[kind] = _named(answers[0])
        row.faults += _faults(kind, rpc, *answers)
    if rpc.names_team:
        answer = await calls.make(callers.world.channel(rpc), rpc, [other.SerializeToString()], deadline_s=10)
        row.no_team = _named(answer)
        if not _refused_to_others(answer):
            row.faults.append(f"a team that there is not: {_said(answer)}")
    if len({row.answers[kind] for kind in UNPROVED}) > 1:
        row.faults.append(f"those without a good token are answered differently: {row.answers}")
    return row


def _faults(kind: str, rpc: Rpc, real: Answer, other: Answer) -> Iterator[str]:
    if _said(real) != _said(other):
        yield f"{kind}: {_said(real)} for what there is, {_said(other)} for what there is not"
    if kind in UNPROVED and real.code != "UNAUTHENTICATED":
        yield f"{kind}: {real.code}"
    if kind == TOO_SMALL and (real.code, real.reason) != ("PERMISSION_DENIED", "SCOPE_MISSING"):
        yield f"{kind}: {_named(real)}"
    if kind == OTHER_TEAM and not _refused_to_others(real):
        yield f"{kind}: {_named(real)}"


_REFUSED_TO_OTHERS: Final = {
    ("NOT_FOUND", "RESOURCE_NOT_FOUND"),
    ("PERMISSION_DENIED", "INSTALLATION_ONLY"),
    ("PERMISSION_DENIED", "SCOPE_MISSING"),
}


def _refused_to_others(answer: Answer) -> bool:
    """Refused as a whole, or each item of a batch."""
    texts = [str(message) for message in answer.answers]
    by_item = answer.code == "OK" and all("RESOURCE_NOT_FOUND" in text or not text for text in texts)
    return by_item or (answer.code, answer.reason) in _REFUSED_TO_OTHERS


def _said(answer: Answer) -> tuple[str, str, str]:
    """All that a caller learns, but for the ids that it named itself."""
    texts = [answer.message, *(str(message) for message in answer.answers)]
    return answer.code, answer.reason, _UUID.sub("ID", "; ".join(texts))


def _named(answer: Answer) -> str:
    return answer.reason if answer.code == "PERMISSION_DENIED" else answer.code


async def _own(callers: Callers, world: World, rpc: Rpc, real: Message) -> str:
    """What those are answered who may."""
    team_names_it = "team_id" in rpc.method.input_type.fields_by_name
    channel = world.channel(rpc) if rpc.is_internal or not team_names_it else callers.channel(rpc, "own")
    answer = await calls.make(channel, rpc, [real.SerializeToString()], deadline_s=10)
    return _named(answer)
