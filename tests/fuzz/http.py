"""Odd requests to the HTTP edge, byte by byte: signed bodies with anything in them, and what is hardly HTTP."""

import asyncio
import base64
import gzip
import hashlib
import hmac
import json
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from libs.demo.shopfront import Shopfront
from tests.fuzz import hooks, traps
from tests.fuzz.world import PAGES, World

ANSWER_WITHIN_S: Final = 15.0
METHODS: Final = (
    "GET",
    "POST",
    "PUT",
    "HEAD",
    "OPTIONS",
    "DELETE",
    "TRACE",
    "CONNECT",
    "PATCH",
    "FOO",
    "get",
    "P\u00e9",
)
LEAVES_AFTER_S: Final = 0.1
"""How long those who say only half of it stay."""


@dataclass(frozen=True)
class HttpCase:
    """What is sent over one connection."""

    number: int
    name: str
    data: bytes
    leaves: bool = False
    """Waits for no answer."""


@dataclass(frozen=True)
class HttpAnswer:
    """What came back: a status, CLOSED where the connection ended without one, LEFT where nobody waited."""

    code: str
    took_s: float
    head: str = ""


class HttpCases:
    """Makes them for one shop."""

    def __init__(self, seed: int, world: World) -> None:
        self._seed = seed
        self._shop = world.edge_shop
        self._key = base64.b64decode(world.edge_shop.webhook_secret.removeprefix("whsec_"))
        self._foreign = world.foreign_shop
        self._pixel_key = world.pixel_key
        self._host = urlsplit(world.installation.http_url).netloc
        self._now = int(datetime.now(UTC).timestamp())

    def case(self, number: int) -> HttpCase:
        """The case of a number."""
        rng = random.Random(f"http {self._seed} {number}")
        make = rng.choices([make for make, _ in _KINDS], [weight for _, weight in _KINDS])[0]
        name, data = make(self, rng)
        return HttpCase(number, name, data, leaves=name.startswith("half"))

    # ---- requests

    def request(
        self,
        rng: random.Random,
        body: bytes,
        *,
        shop: Shopfront | None = None,
        path: str = "",
        method: str = "POST",
        more: list[bytes] | None = None,
        drop: str = "",
    ) -> bytes:
        """A signed request; `more` header lines come after our own, which `drop` leaves out."""
        shop = shop or self._shop
        path = path or f"/v1/teams/{shop.team_id}/shops/{shop.shop_id}/events"
        webhook_id = str(uuid.UUID(int=rng.getrandbits(128)))
        signed = f"{webhook_id}.{self._now}.".encode() + body
        signature = base64.b64encode(hmac.new(self._key, signed, hashlib.sha256).digest()).decode()
        headers = {
            "host": self._host,
            "content-type": "application/json",
            "content-length": str(len(body)),
            "webhook-id": webhook_id,
            "webhook-timestamp": str(self._now),
            "webhook-signature": f"v1,{signature}",
            "connection": "close",
        }
        lines = [f"{name}: {value}".encode() for name, value in headers.items() if name != drop]
        first = f"{method} {path} HTTP/1.1".encode("utf-8", "surrogateescape")
        return b"\r\n".join([first, *lines, *(more or [])]) + b"\r\n\r\n" + body

    def good(self, rng: random.Random) -> tuple[str, bytes]:
        """One that is to be taken."""
        return "good", self.request(rng, _json(event(rng)))

    def spoilt(self, rng: random.Random) -> tuple[str, bytes]:
        """Events with odd values."""
        events = [event(rng) for _ in range(rng.choice((1, 1, 2, 5)))]
        for _ in range(rng.choice((1, 1, 2, 4))):
            spoil(rng, rng.choice(events))
        return "spoilt events", self.request(rng, _json(events if rng.random() < 0.7 else events[0]))

    def many(self, rng: random.Random) -> tuple[str, bytes]:
        """Long lists and large bodies."""
        made = event(rng)
        if rng.random() < 0.5:
            made["order"]["items"] = made["order"]["items"] * rng.choice((1_000, 1_001, 20_000))
            return "many items", self.request(rng, _json(made))
        events = [
            {**event(rng), "event_id": f"m{rng.random()}"} for _ in range(rng.choice((200, 500, 501, 4_000)))
        ]
        return "many events", self.request(rng, _json(events))

    def body(self, rng: random.Random) -> tuple[str, bytes]:
        """Bodies that are hardly JSON, signed."""
        name, data = rng.choice(_bodies(rng))
        return f"body: {name}", self.request(rng, data)

    def header(self, rng: random.Random) -> tuple[str, bytes]:
        """Odd headers beside or in place of ours."""
        name = rng.choice(
            ("webhook-id", "webhook-timestamp", "webhook-signature", "host", "content-type", "x-y")
        )
        value = rng.choice(_header_values(rng))
        drop = name if rng.random() < 0.7 else ""
        return f"header: {name}", self.request(
            rng, _json(event(rng)), more=[name.encode() + b": " + value], drop=drop
        )

    def encoding(self, rng: random.Random) -> tuple[str, bytes]:
        """Encoded bodies, right and broken."""
        plain = _json(event(rng))
        data = rng.choice(
            (
                gzip.compress(plain),
                gzip.compress(b"\0" * 5_000_000),
                b"\x1f\x8b" + plain,
                plain,
                gzip.compress(b"") * 2_000,
            )
        )
        which = rng.choice((b"gzip", b"deflate", b"br", b"zstd", b"identity", b"gzip, gzip", b"x" * 100))
        return "encoding", self.request(rng, data, more=[b"content-encoding: " + which])

    def framing(self, rng: random.Random) -> tuple[str, bytes]:
        """Lengths and chunks that disagree."""
        plain = _json(event(rng))
        chunked = rng.choice(_chunks(rng, plain))
        if rng.random() < 0.6:
            request = self.request(rng, b"", more=[b"transfer-encoding: chunked"], drop="content-length")
            return "half chunked" if not chunked.endswith(b"0\r\n\r\n") else "chunked", request + chunked
        length = rng.choice((b"-1", b"0x10", b"1e3", b"99999999999999999999", b"5, 5", b"", b"+5", b" 5 5"))
        return "half length", self.request(
            rng, plain, more=[b"content-length: " + length], drop="content-length"
        )

    def path(self, rng: random.Random) -> tuple[str, bytes]:
        """Odd paths and methods."""
        team, shop = self._shop.team_id, self._shop.shop_id
        path = rng.choice(
            (
                "/", "/healthz", "/metrics", "//", "/v1/teams", "*", "/v1/teams/x/shops/y/events", "http://x/healthz",
                f"/v1/teams/{team}/shops/%00/events", f"/v1/teams/{team}/shops/%ff/events",
                f"/v1/teams/{team}/shops/{'a' * 3_000}/events", f"/v1/teams/{team}/shops/..%2f..%2f/events",
                f"/v1/teams/{team}/shops/{shop}/events/", f"/v1/teams/{team}/shops/{shop}/events?a=%00&b",
                f"/v1/teams/{team}/shops/客/events", f"/v1/teams/{self._foreign.team_id}/shops/{shop}/events",
                f"/v1/teams/{uuid.UUID(int=rng.getrandbits(128))}/shops/{shop}/events",
                f"/v1/teams/{{{team}}}/shops/{shop}/events", "/healthz?" + "a=b&" * 500, "/%", "/\x7f",
            )
        )  # fmt: skip
        method = rng.choice(
            (
                "GET",
                "POST",
                "PUT",
                "HEAD",
                "OPTIONS",
                "DELETE",
                "TRACE",
                "CONNECT",
                "PATCH",
                "FOO",
                "get",
                "P\u00e9",
            )
        )
        return f"path: {method}", self.request(rng, _json(event(rng)), path=path, method=method)

    def platform(self, rng: random.Random) -> tuple[str, bytes]:
        """Webhooks of shops' platforms, signed, with odd values."""
        platform = rng.choice(hooks.PLATFORMS)
        made = hooks.platform_body(rng, platform)
        for _ in range(rng.choice((0, 1, 1, 2, 4))):
            if made:
                spoil(rng, made)
        body = rng.choice(_bodies(rng))[1] if rng.random() < 0.1 else _json(made)
        path = f"/v1/teams/{self._shop.team_id}/shops/{self._shop.shop_id}/{platform}"
        head = hooks.platform_head(rng, platform, self._key, body)
        return f"platform: {platform}", self.request(rng, body, path=path, more=head)

    def pixel(self, rng: random.Random) -> tuple[str, bytes]:
        """What a page sends, with odd values and tokens; or from elsewhere, or under a key that nobody made."""
        events = [event(rng) for _ in range(rng.choice((1, 1, 2, 20, 21)))]
        for made in events:
            if rng.random() < 0.5:
                made["order_token"] = self._order_token(rng, made)
            for _ in range(rng.choice((0, 1, 1, 3))):
                spoil(rng, made)
        body = _json(events if rng.random() < 0.5 else events[0])
        body = rng.choice(_bodies(rng))[1] if rng.random() < 0.1 else body
        key, origin, method = self._pixel_key, b"origin: " + PAGES.encode(), "POST"
        if stranger := rng.random() < 0.2:
            key = str(uuid.UUID(int=rng.getrandbits(128)))
        if astray := rng.random() < 0.1:
            origin = rng.choice((b"origin: null", b"origin: \xe9", b"x: y"))
        if rng.random() < 0.1:
            method = rng.choice(("OPTIONS", "GET"))
        path = f"/v1/teams/{self._shop.team_id}/pixels/{key}/events"
        name = "pixel" if stranger or astray else "pixel of the shop"
        return name, self.request(rng, body, path=path, method=method, more=[origin])

    def _order_token(self, rng: random.Random, made: dict[str, Any]) -> Any:
        """As the shop's back end makes it, with odd claims, or none."""
        claims: dict[str, Any] = {
            "shop_id": self._shop.shop_id, "order_id": made["order"]["id"], "currency": "HKD", "total": "1.00",
            "expires_at": self._now + 600, "member_id": "100",
        }  # fmt: skip
        if rng.random() < 0.5:
            claims[rng.choice(list(claims))] = _odd(rng)
        payload = base64.urlsafe_b64encode(_json(claims)).decode().rstrip("=")
        payload = rng.choice((payload, payload, payload[:-3], "\xe9", ""))
        signed = f"order-token.v1.{payload}".encode()
        code = base64.urlsafe_b64encode(hmac.digest(self._key, signed, hashlib.sha256)).decode().rstrip("=")
        return rng.choice((f"{payload}.{code}", f"{payload}.{code}", f"{payload}.{code}x", payload, 7, None))

    def channel(self, rng: random.Random) -> tuple[str, bytes]:
        """What goes to the address of an account."""
        account = rng.choice((self._shop.line_account, str(uuid.UUID(int=rng.getrandbits(128)))))
        path = f"/v1/teams/{self._shop.team_id}/accounts/{account}/events"
        if rng.random() < 0.3:
            query = rng.choice(
                ("hub.mode=subscribe&hub.verify_token=%FF&hub.challenge=7", "hub.mode=%", "&" * 500)
            )
            return "channel: question", self.request(rng, b"", path=f"{path}?{query}", method="GET")
        made = hooks.channel_body(rng)
        spoil(rng, made)
        return "channel", self.request(rng, _json(made), path=path, more=hooks.channel_head(rng))

    def foreign(self, rng: random.Random) -> tuple[str, bytes]:
        """Another team's shop with our key."""
        return "another team's shop", self.request(rng, _json(event(rng)), shop=self._foreign)

    def half(self, rng: random.Random) -> tuple[str, bytes]:
        """Cut anywhere."""
        data = self.request(rng, _json(event(rng)))
        return "half request", data[: rng.randrange(1, len(data))]

    def noise(self, rng: random.Random) -> tuple[str, bytes]:
        """No HTTP at all."""
        return "half noise", rng.choice(
            (
                rng.randbytes(rng.choice((1, 100, 10_000))),
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(100),
                b"GET /healthz\r\n\r\n",
                b"GET /healthz HTTP/9.9\r\nhost: a\r\n\r\n",
                b"\r\n" * 1_000,
                b"GET " + b"/" * 100_000 + b" HTTP/1.1\r\n\r\n",
                b"GET /healthz HTTP/1.1\r\n" + b"a: b\r\n" * 10_000 + b"\r\n",
                b"GET /healthz HTTP/1.1\r\nhost: a\r\na: " + b"b" * 200_000 + b"\r\n\r\n",
                b"GET /healthz HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
                b"GET /healthz HTTP/1.1\r\nhost: a\r\n folded: b\r\n\r\n",
                b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n" * 50,
                b"GET /healthz HTTP/1.1\nhost: a\n\n",
                b"GET /healthz HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n\r\n",
                b"GET /healthz HTTP/1.1\r\nhost\r\n: \r\nb\0c: d\r\n\r\n",
            )
        )


_KINDS: Final[tuple[tuple[Callable[[HttpCases, random.Random], tuple[str, bytes]], int], ...]] = (
    (HttpCases.good, 10),
    (HttpCases.spoilt, 35),
    (HttpCases.many, 2),
    (HttpCases.body, 12),
    (HttpCases.header, 12),
    (HttpCases.encoding, 6),
    (HttpCases.framing, 8),
    (HttpCases.path, 8),
    (HttpCases.platform, 25),
    (HttpCases.pixel, 3),
    (HttpCases.channel, 6),
    (HttpCases.foreign, 3),
    (HttpCases.half, 6),
    (HttpCases.noise, 8),
)


def event(rng: random.Random) -> dict[str, Any]:
    """An order or a refund as shops send it."""
    made: dict[str, Any] = {
        "event": "order.completed",
        "event_id": f"e{rng.getrandbits(60)}",
        "occurred_at": rng.choice(
            ("2026-05-01T12:00:00Z", "2026-05-01T12:00:00+08:00", "2024-02-29T23:59:59.999999Z")
        ),
        "customer": {
            "member_id": str(rng.randint(100, 111)),
            "phone": "+886912345678",
            "email": "a@example.com",
            "name": "Mei",
        },
        "order": {
            "id": f"o{rng.getrandbits(60)}",
            "number": "#1",
            "currency": "HKD",
            "total": "12.34",
            "items": [{"name": "tea", "quantity": 2, "unit_price": "6.17", "product_id": "p", "sku": "s"}],
        },
        "attribution": {"click_id": "c"},
    }
    if rng.random() < 0.25:
        made["event"], made["refund"] = "order.refunded", {"id": f"r{rng.getrandbits(60)}", "amount": "1.00"}
    return made


def spoil(rng: random.Random, made: dict[str, Any]) -> None:
    """Changes one thing, in place."""
    holder: Any = made
    while True:
        key = rng.choice(list(holder) if isinstance(holder, dict) else list(range(len(holder))))
        value = holder[key]
        if isinstance(value, dict | list) and value and rng.random() < 0.8:
            holder = value
            continue
        break
    kind = rng.randrange(6)
    if kind == 0 and isinstance(holder, dict):
        del holder[key]
    elif kind == 1:
        holder[key] = rng.choice(_TIMES)
    else:
        holder[key] = _odd(rng)


_TIMES: Final = (
    "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "0001-01-01T00:00:01Z", "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59-14:00", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "9998-12-31T23:59:59Z",
    "2026-05-01T12:00:00", "2026-05-01", "2026-05-01T24:00:00Z", "2026-02-30T00:00:00Z", "2016-12-31T23:59:60Z",
    "2026-05-01T12:00:00+99:99", "2026-05-01T12:00:00.1234567891234Z", "2026-05-01 12:00:00Z", "-2026-05-01T00:00:00Z",
)  # fmt: skip


def _odd(rng: random.Random) -> Any:
    return rng.choice(
        (
            None, True, 0, -1, 2**63, -(2**63), 10**400, 1e308, float("nan"), float("inf"), -0.0, [], {}, [[[]]],
            {"a": {"b": 1}}, "0912345678", "\ud800", "a\udfff", "a\u0000b", "1e12", "1000000000000.01", "-1",
            "0.0000001",
            traps.text(rng), traps.text(rng), traps.text(rng)[:150], traps.CANARY, "a" * 199, "a" * 201, ["a"] * 1_001,
        )
    )  # fmt: skip


def _json(value: Any) -> bytes:
    """With lone surrogates as escapes, as JSON lets them."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()


def _bodies(rng: random.Random) -> list[tuple[str, bytes]]:
    made = _json(event(rng))
    depth = rng.choice((50, 1_000, 100_000))
    return [
        ("empty", b""),
        ("cut", made[: rng.randrange(1, len(made))]),
        (
            "no UTF-8",
            made.replace(b"Mei", rng.choice((b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\x80", b"M\xe9i"))),
        ),
        ("quantity no UTF-8", made.replace(b'"quantity":2', b'"quantity":"\xff"')),
        ("deep list", b"[" * depth),
        ("deep field", made[:-1] + b',"x":' + b"[" * depth + b"]" * depth + b"}"),
        ("deep quantity", made.replace(b'"quantity":2', b'"quantity":' + b"[" * depth + b"]" * depth)),
        ("utf-16", json.dumps(event(rng)).encode("utf-16")),
        ("mark", b"\xef\xbb\xbf" + made),
        ("twice", made + made),
        ("double keys", made[:-1] + b',"event_id":"again","event_id":"more"}'),
        ("number", b"1" * 5_000),
        ("large number", made.replace(b'"quantity":2', b'"quantity":' + b"9" * 5_000)),
        ("exponent", made.replace(b'"quantity":2', b'"quantity":1e999999999')),
        ("noise", rng.randbytes(1_000)),
        ("large", made[:-1] + b',"x":"' + b"a" * rng.choice((900_000, 1_100_000, 3_000_000)) + b'"}'),
        ("scalar", rng.choice((b"null", b"true", b'"a"', b"[]", b"{}", b"[null]", b"[[]]", b"[{}]"))),
        ("NUL", b"\0" * 1_000),
    ]


def _header_values(rng: random.Random) -> list[bytes]:
    return [
        b"",
        b"\xe9",
        b"\xff\xfe",
        "客".encode(),
        b"a\0b",
        b"a" * 5_000,
        b"v1," + b"A" * 44,
        b"v1,\xe9",
        b"v1a,AAAA v1,BBBB " * 50,
        b"v1,====",
        b"99999999999",
        b"-1",
        b"1e9",
        "٣".encode() * 10,
        traps.CANARY.encode(),
        b"text/plain; charset=\xff",
        b"multipart/form-data; boundary=x",
        rng.randbytes(20).replace(b"\n", b"").replace(b"\r", b""),
    ]


def _chunks(rng: random.Random, plain: bytes) -> list[bytes]:
    size = f"{len(plain):x}".encode()
    return [
        size + b"\r\n" + plain + b"\r\n0\r\n\r\n",
        b"".join(b"1\r\n" + bytes([byte]) + b"\r\n" for byte in plain) + b"0\r\n\r\n",
        size + b";a=b\r\n" + plain + b"\r\n0\r\nx: y\r\n\r\n",
        b"zz\r\n" + plain + b"\r\n0\r\n\r\n",
        b"ffffffffffffffffff\r\n" + plain,
        b"-1\r\n" + plain + b"\r\n0\r\n\r\n",
        size + b"\r\n" + plain,
        b"5\r\nab",
    ]


async def send(world: World, case: HttpCase) -> HttpAnswer:
    """Sends one and reads the status."""
    parts = urlsplit(world.installation.http_url)
    began_s = time.monotonic()
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        async with asyncio.timeout(LEAVES_AFTER_S if case.leaves else ANSWER_WITHIN_S):
            writer.write(case.data)
            await writer.drain()
            head = await reader.readline()
    except (ConnectionError, TimeoutError) as error:
        gone = isinstance(error, ConnectionError) or case.leaves
        return HttpAnswer("LEFT" if case.leaves else "CLOSED" if gone else "NONE", time.monotonic() - began_s)
    finally:
        writer.close()
    words = head.decode(errors="replace").split(" ", 2)
    code = words[1] if len(words) > 1 and words[0].startswith("HTTP/") else "CLOSED"
    return HttpAnswer(code, time.monotonic() - began_s, head.decode(errors="replace").strip())
