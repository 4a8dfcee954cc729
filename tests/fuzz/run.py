"""One run: a world, cases in chunks, and after each chunk what must hold."""

import asyncio
import base64
import contextlib
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from omnijourney.common.v1.error_reason_pb2 import ERROR_REASON_INTERNAL
from tests.fuzz import calls, http, openapi
from tests.fuzz.calls import Answer
from tests.fuzz.cases import Case, Cases
from tests.fuzz.http import HttpCase, HttpCases
from tests.fuzz.pools import Pools, own_id
from tests.fuzz.rpcs import Rpc
from tests.fuzz.survey import survey
from tests.fuzz.table import Tally
from tests.fuzz.watch import ORDER_WITHIN_S, Bystander, Logs, Memory
from tests.fuzz.world import World, world

HTTP_EACH: Final = 7
"""Every so many cases are one of the HTTP edge; a prime, so that each RPC has its turn."""
_API_CLIENT: Final = "omnijourney.segment.v1.ApiClient"
AT_ONCE: Final = 4
"""Calls under way."""
BAD: Final = frozenset({"INTERNAL", "UNKNOWN", "UNREADABLE", "DATA_LOSS", "DEADLINE_EXCEEDED"})

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How much."""

    seed: int
    cases: int
    chunk: int = 500
    first: int = 0
    """Number of the first case: a chunk's, to replay from there."""
    http: bool = True
    """Whether some of the cases go to the HTTP edge."""
    described: int = 0
    """Requests of each operation of the HTTP edge's description, good and bad, by schemathesis."""
    slow_s: float = 5.0
    """A call that takes longer, and longer again when it is repeated, is a fault."""
    only: str = ""
    """Part of the names of RPCs; empty: all."""


FULL = Options(seed=1, cases=20_000, described=300)
SHORT = Options(seed=1, cases=420, chunk=420, described=10, slow_s=60.0)
"""What `make test` runs, beside other tests: of speed it says nothing."""


@dataclass
class Report:
    """What a run came to."""

    options: Options
    tally: Tally = field(default_factory=Tally)
    memory: Memory = field(default_factory=Memory)
    faults: list[dict[str, Any]] = field(default_factory=list)
    orders: int = 0
    worst_order_s: float = 0.0
    log_levels: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    """Requests that were meant to be good, and why they were not: what keeps the cases from reaching further."""
    wall_s: float = 0.0

    def fault(self, what: str, **more: Any) -> None:
        """Notes something that must not be."""
        self.faults.append({"what": what, **more})


async def run(options: Options, tell: Tell, directory: Path | None = None) -> Report:
    """One run, in a directory of its own unless one is given."""
    with tempfile.TemporaryDirectory(prefix="omnijourney-fuzz-") as temporary:
        async with world(directory or Path(temporary)) as place:
            return await Runner(options, tell, place).run()


class Runner:
    """Makes the cases of a run on a world."""

    def __init__(self, options: Options, tell: Tell, place: World) -> None:
        self._options = options
        self._tell = tell
        self._world = place
        self._rpcs = [rpc for rpc in place.rpcs if options.only in rpc.name]
        self._bystander = Bystander(place, options.seed)
        self._logs = Logs(place)
        self._foreign_ids: list[str] = []
        self._written: set[str] = set()
        """Of these, what the own team's callers wrote themselves in this chunk: they may be told them again."""
        self.report = Report(options)

    async def run(self) -> Report:
        """All chunks."""
        began_s = time.monotonic()
        await survey(self._world, self._world.foreign, self._options.seed)
        self._foreign_ids = _unique(self._world.foreign)
        self._logs.faults()  # what the start says
        await self._bystander.order()
        self.report.memory.sample(self._world)
        keeping = asyncio.create_task(self.report.memory.keep(self._world))
        try:
            last = self._options.first + self._options.cases
            for start in range(self._options.first, last, self._options.chunk):
                await self._chunk(range(start, min(start + self._options.chunk, last)))
            if self._options.described:
                await self._describe()
            await self._end()
        finally:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping
        self.report.wall_s = time.monotonic() - began_s
        return self.report

    async def _chunk(self, numbers: Sequence[int]) -> None:
        await self._world.renew(f"own-{numbers[0]}")
        self._written.clear()
        await survey(self._world, self._world.own, numbers[0])
        cases = Cases(self._options.seed, self._rpcs, self._world.own, self._world.foreign)
        edge = HttpCases(self._options.seed, self._world)
        waiting = iter(numbers)
        faults_before, began_s = len(self.report.faults), time.monotonic()
        await asyncio.gather(*(self._work(cases, edge, waiting) for _ in range(AT_ONCE)))
        took_s = time.monotonic() - began_s
        order_s = await self._bystander.order()
        if order_s > ORDER_WITHIN_S:
            self.report.fault("another team's order", took_s=order_s, cases=f"{numbers[0]}…{numbers[-1]}")
        self._judge_chunk(numbers)
        self._tell(
            f"cases {numbers[0]:>6}…{numbers[-1]:<6} {took_s:5.1f} s, other team's order {order_s:4.2f} s, "
            f"{len(self.report.faults) - faults_before} faults"
        )

    def _judge_chunk(self, numbers: Sequence[int]) -> None:
        where = f"{numbers[0]}…{numbers[-1]}"
        for death in self._world.deaths:
            self.report.fault("a process ended", why=death, cases=where)
        self._world.deaths.clear()
        for line in self._logs.faults():
            self.report.fault("a line of a log", line=line, cases=where)

    async def _describe(self) -> None:
        """What the description of the HTTP edge says, asked by schemathesis."""
        tally, fault = self.report.tally, self.report.fault
        await asyncio.to_thread(
            openapi.run, self._world, self._options.seed, self._options.described, tally.note, fault
        )
        self._judge_chunk((self._options.cases, self._options.cases))

    async def _end(self) -> None:
        left = Counter(await self._world.until_calm())
        left -= await self._world.waiting_for_channels()
        at_journey = await self._world.left_at_journey()
        if left:
            self.report.fault("work is left", pending=dict(left), at_journey=at_journey)
        await asyncio.to_thread(self.report.memory.sample, self._world)
        for fault in self.report.memory.faults():
            self.report.fault("memory", why=fault)
        self.report.orders = self._bystander.orders
        self.report.worst_order_s = self._bystander.worst_s
        self.report.log_levels = self._logs.levels

    async def _work(self, cases: Cases, edge: HttpCases, numbers: Any) -> None:
        for number in numbers:
            if number % HTTP_EACH == 0 and self._options.http and not self._options.only:
                await self._request(edge.case(number))
                continue
            case = cases.case(number)
            for parts in case.calls:
                await self._call(case, parts)

    async def _request(self, case: HttpCase) -> None:
        answer = await http.send(self._world, case)
        if answer.took_s > self._options.slow_s:  # as of calls: what is slow is slow once more
            answer = min(answer, await http.send(self._world, case), key=lambda each: each.took_s)
        self.report.tally.note(f"HTTP {case.name}", answer.code, answer.took_s)
        if answer.code.startswith("5") or answer.code == "NONE" or answer.took_s > self._options.slow_s:
            shown = {"head": answer.head, "request": repr(case.data[:1_500])}
            self.report.fault(f"HTTP {answer.code}", case=case.number, kind=case.name, **shown)

    async def _call(self, case: Case, parts: Sequence[bytes]) -> None:
        deadline_s = calls.POLL_DEADLINE_S if case.waits else calls.DEADLINE_S
        channel = self._world.channel(case.rpc, by_team=case.by_team)
        if not case.rpc.is_read:  # before the call: what it writes others may read before it is answered
            self._written |= self._named(parts)
        answer = await calls.make(channel, case.rpc, parts, deadline_s)
        if answer.took_s > self._options.slow_s:
            # The machine may have been busy: what is slow is slow when it is alone, too.
            again = await calls.make(channel, case.rpc, parts, deadline_s)
            answer = min(answer, again, key=lambda each: each.took_s)
        self.report.tally.note(case.rpc.name, answer.code, answer.took_s)
        if not case.said and answer.code not in ("OK", "UNIMPLEMENTED"):
            self.report.refused[f"{case.rpc.name} {answer.code} {answer.reason}: {answer.message[:200]}"] += 1
        why = _why_bad(case, answer, self._options.slow_s) or self._why_foreign(case, parts, answer)
        if why:
            self.report.fault(why, **_shown(case, parts, answer))

    def _named(self, parts: Sequence[bytes]) -> set[str]:
        """The ids of another team that a request names, in capitals or not, with hyphens or without."""
        asked = b" ".join(parts).lower().replace(b"-", b"")
        return {each for each in self._foreign_ids if each.replace("-", "").encode() in asked}

    def _why_foreign(self, case: Case, parts: Sequence[bytes], answer: Answer) -> str:
        """Whether a team's client was told an id of another team that it did not name itself."""
        if not case.by_team:
            return ""
        told = " ".join([answer.message, *map(str, answer.answers)])
        named = self._named(parts)
        leaked = [each for each in self._foreign_ids if each in told and each not in named | self._written]
        if not leaked:
            return ""
        at = told.index(leaked[0])
        return f"an id of another team: {leaked[0]} in {' '.join(told[max(at - 300, 0) : at + 100].split())}"


def _why_bad(case: Case, answer: Answer, slow_s: float) -> str:
    if answer.code == "DEADLINE_EXCEEDED" and case.waits:
        return ""
    if answer.code in BAD:
        return answer.code
    if answer.code == "UNAVAILABLE" and not answer.reason:
        return "no connection"
    if answer.took_s > slow_s:
        return "slow"
    if any(map(_says_internal, answer.answers)):
        return "an item's INTERNAL"
    return ""


def _unique(pools: Pools) -> list[str]:
    """The UUIDs that are known of a team: they are nobody else's."""
    # An audit entry shows the client that called, and the installation's own calls for every team.
    known = {value for name, values in pools.values.items() if name != "api_client_id" for value in values}
    known.update(map(own_id, pools.messages[_API_CLIENT]))
    return sorted(value for value in known if len(value) == 36 and value.count("-") == 4)


def _says_internal(message: Message) -> bool:
    """Whether a result within an answer has the reason INTERNAL."""
    for described, value in message.ListFields():
        if described.message_type is not None:
            parts = value if described.is_repeated else [value]
            if any(isinstance(part, Message) and _says_internal(part) for part in parts):
                return True
        elif _is_reason(described) and value == ERROR_REASON_INTERNAL:
            return True
    return False


def _is_reason(described: FieldDescriptor) -> bool:
    form = described.enum_type
    return form is not None and not described.is_repeated and form.full_name.endswith(".ErrorReason")


def _shown(case: Case, parts: Sequence[bytes], answer: Answer) -> dict[str, Any]:
    request = b"".join(parts)
    return {
        "case": case.number,
        "rpc": case.rpc.name,
        "spoilt": list(case.said),
        "code": answer.code,
        "reason": answer.reason,
        "message": answer.message[:500],
        "took_s": round(answer.took_s, 2),
        "bytes": len(request),
        "request": _text(case.rpc, parts),
        "base64": base64.b64encode(request[:30_000]).decode(),
    }


def _text(rpc: Rpc, parts: Sequence[bytes]) -> str:
    try:
        return "; ".join(
            str(rpc.asked.FromString(part[:200_000])).replace("\n", " ")[:1_500] for part in parts
        )
    except Exception:  # noqa: BLE001 - bytes that are no message
        return "unreadable"


def save(report: Report, path: Path) -> None:
    """All as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {
        "seed": report.options.seed,
        "cases": report.options.cases,
        "wall_s": round(report.wall_s, 1),
        "rpcs": report.tally.rows(),
        "codes": dict(report.tally.codes()),
        "memory_mib": {
            "start": report.memory.start,
            "peak": report.memory.peak,
            "end": report.memory.end,
        },
        "orders": report.orders,
        "worst_order_s": round(report.worst_order_s, 3),
        "log_levels": dict(report.log_levels),
        "faults": report.faults,
        "good_refused": dict(report.refused.most_common()),
    }
    path.write_text(json.dumps(told, indent=1, ensure_ascii=False))
