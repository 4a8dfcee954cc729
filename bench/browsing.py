"""console: the pages of a team with many journeys, for one person and for a room full of people at one process."""

import asyncio
import random
import re
import statistics
import time
from html import unescape
from typing import Final

import aiohttp
import msgspec

from bench.field import BenchFault, Field, field
from bench.result import Line, Result, Wanted
from bench.team import BenchTeam, call
from libs.common.ids import new_id
from omnijourney.common.v1.scope_pb2 import SCOPE_ADMIN
from omnijourney.journey.v1 import journey_service_pb2 as journey
from omnijourney.journey.v1.node_pb2 import Node
from omnijourney.segment.v1 import segment_service_pb2 as segment
from omnijourney.segment.v1.api_client_pb2 import ApiClient

PEOPLE: Final = 50
NODES: Final = 200
ROUNDS: Final = 9
FIRST: Final = "sign-in page"
TREE: Final = f"a tree of {NODES} nodes"
TOGETHER_S: Final = 20.0
READING_S: Final = (1.0, 5.0)
"""How long somebody reads a page before they ask for the next one."""
_KNOWN_S_MAX: Final = 10.0
_POLL_S: Final = 0.1
_CSRF: Final = re.compile(r'name="csrf-token" content="([^"]+)"')


class Browsed(msgspec.Struct, frozen=True):
    """Milliseconds from asking for a page to its last byte."""

    journeys: int
    alone_ms: dict[str, list[float]]
    """One person, each page several times."""
    together_ms: list[float]
    """All pages of all people."""
    cpu_s: dict[str, float]
    memory_mb: float
    """Most that the console took meanwhile."""

    @property
    def pages(self) -> int:
        """By all people."""
        return len(self.together_ms)

    def together(self, share: float) -> float:
        """A percentile of all pages of all people."""
        took = sorted(self.together_ms)
        return took[min(len(took) - 1, int(len(took) * share))]


async def console(wanted: Wanted) -> Result:
    """The work of this name."""
    async with field(wanted.directory, console=True) as on:
        seen = await browsing(on, wanted.n)
    medians = {what: statistics.median(took) for what, took in seen.alone_ms.items()}
    cpu_ms = {name: spent / seen.pages * 1e3 for name, spent in seen.cpu_s.items()}
    lines = [
        *(
            Line(f"{what}, ms", f"{took:.0f}", "", "1,000" if what == FIRST else "")
            for what, took in medians.items()
        ),
        Line(f"{PEOPLE} people at once, pages/s", f"{seen.pages / TOGETHER_S:.1f}"),
        Line("  p50, p95, p99, ms", ", ".join(f"{seen.together(share):.0f}" for share in (0.5, 0.95, 0.99))),
        Line("  CPU-ms a page, console", f"{cpu_ms['console']:.1f}"),
        Line("  CPU-ms a page, all processes", f"{sum(cpu_ms.values()):.1f}"),
        Line("  console MB", f"{seen.memory_mb:,.0f}"),
    ]
    figure = (
        f"console {seen.journeys:,} journeys: first page {medians[FIRST]:.0f} ms (target 1,000), "
        f"a tree of {NODES} nodes {medians[TREE]:.0f} ms; "
        f"{PEOPLE} people at one process: p95 {seen.together(0.95):.0f} ms, "
        f"{cpu_ms['console']:.1f} CPU-ms of the console a page"
    )
    return Result(wanted.work, wanted.n, lines, {"browsed": seen}, [], figure)


async def browsing(on: Field, journeys: int) -> Browsed:
    """A team with so many journeys, one of which has 200 nodes, as one person sees it and then as fifty do."""
    await on.clock.set(1.0)
    team = BenchTeam(on)
    await team.create()
    customers = await team.create_customers(500)
    await team.stop_journeys(journeys - 1)
    long = await _long_journey(team)
    paths = {
        "list of journeys": "/journeys",
        TREE: f"/journeys/{long}/edit",
        "figures of a journey": f"/journeys/{long}/figures",
        "overview": "/overview",
        "customers": "/customers",
        "a customer": f"/customers/{customers[0]}",
        "points": "/points",
    }
    base = on.installation.console_url
    people = [_Person(base, await _token(team, number)) for number in range(PEOPLE)]
    try:
        await _until_known(people[-1])
        alone = {FIRST: [await _nobody(base) for _ in range(ROUNDS)]}
        await people[0].sign_in()
        for what, path in paths.items():
            alone[what] = [await people[0].read(path) for _ in range(ROUNDS)]
        for person in people[1:]:
            await person.sign_in()
        on.usage.peak_bytes.clear()
        async with on.usage.sampling():
            on.usage.start()
            until_s = time.perf_counter() + TOGETHER_S
            seen = await asyncio.gather(
                *(_browse(person, list(paths.values()), until_s, seed) for seed, person in enumerate(people))
            )
            spent = on.usage.spent()
    finally:
        await asyncio.gather(*(person.http.close() for person in people))
    memory_mb = on.usage.peak_bytes["console"] / 2**20
    return Browsed(journeys, alone, [ms for each in seen for ms in each], spent, memory_mb)


class _Person:
    """Somebody with a browser that draws nothing."""

    def __init__(self, base: str, token: str) -> None:
        self._base = base
        self._token = token
        self.http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def sign_in(self) -> bool:
        """Whether the token is known by now."""
        async with self.http.get(f"{self._base}/sign-in") as page:
            found = _CSRF.search(await page.text())
        if found is None:
            raise BenchFault("the sign-in page has no form")
        form = {"csrf": unescape(found[1]), "token": self._token}
        async with self.http.post(f"{self._base}/sign-in", data=form) as page:
            return page.status == 200 and page.url.path != "/sign-in"

    async def read(self, path: str) -> float:
        """Milliseconds that a page took."""
        began_s = time.perf_counter()
        async with self.http.get(self._base + path) as page:
            await page.read()
        if page.status != 200 or page.url.path != path:
            raise BenchFault(f"{path} answers {page.status} at {page.url.path}")
        return (time.perf_counter() - began_s) * 1e3


async def _browse(person: _Person, paths: list[str], until_s: float, seed: int) -> list[float]:
    rng = random.Random(seed)
    took: list[float] = []
    await asyncio.sleep(rng.uniform(0, READING_S[1]))
    while time.perf_counter() < until_s:
        took.append(await person.read(rng.choice(paths)))
        await asyncio.sleep(rng.uniform(*READING_S))
    return took


async def _nobody(base: str) -> float:
    """Milliseconds that the first page takes for a browser that was never here."""
    began_s = time.perf_counter()
    async with aiohttp.ClientSession() as http, http.get(base) as page:
        await page.read()
    return (time.perf_counter() - began_s) * 1e3


async def _token(team: BenchTeam, number: int) -> str:
    client = ApiClient(name=f"Marketing {number}", scopes=[SCOPE_ADMIN])
    request = segment.CreateApiClientRequest(
        team_id=team.team_id, request_id=str(new_id()), api_client=client
    )
    return str((await call(team.field.client.segment.CreateApiClient, request)).token)


async def _until_known(person: _Person) -> None:
    """Services hear of a new token within a moment."""
    began_s = time.monotonic()
    while not await person.sign_in():
        if time.monotonic() - began_s > _KNOWN_S_MAX:
            raise BenchFault("a new token is not known")
        await asyncio.sleep(_POLL_S)
    # The one that knew it need not be the last to hear of it.
    await asyncio.sleep(1.0)


async def _long_journey(team: BenchTeam) -> str:
    definition = team.welcome()
    hello = definition.nodes[0].message
    nodes = [
        Node(node_id=f"n{number}", next_node_id=f"n{number + 1}", message=hello) for number in range(NODES)
    ]
    nodes[-1].next_node_id = ""
    del definition.nodes[:]
    definition.nodes.extend(nodes)
    definition.name = "Long"
    request = journey.CreateJourneyRequest(
        team_id=team.team_id, request_id=str(new_id()), definition=definition
    )
    return str((await call(team.field.client.journey.CreateJourney, request)).journey.journey_id)
