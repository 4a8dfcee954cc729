"""The HTTP edge against senders that mean no good, or none: answered by 4xx, bounded, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import logging
from collections.abc import AsyncIterator

import pytest

from libs.common.ids import new_id
from services.channel_gateway.servicer.http import bodies, connections, listener
from tests.integration.channel_gateway.conftest import LINE, Gateway, GatewayMaker
from tests.integration.channel_gateway.test_hooks import account
from tests.integration.channel_gateway.test_webhooks import Shop, order, sign, stored

WAIT_S = 60.0
CANARY = b"canary-of-the-client"


class Raw:
    """A connection that sends bytes as they are."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the next answer."""
        async with asyncio.timeout(WAIT_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *fields = head.strip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (f.partition(":") for f in fields)}
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return int(line.split()[1]), headers, body

    async def ended(self) -> None:
        """Waits until the other side has closed."""
        async with asyncio.timeout(WAIT_S):
            with contextlib.suppress(ConnectionError):
                while await self.reader.read(65_536):
                    pass
        self.writer.close()


async def dial(gateway: Gateway, sent: bytes = b"") -> Raw:
    """A connection on which something was sent."""
    raw = Raw(*await asyncio.open_connection("127.0.0.1", gateway.app.http_port))
    raw.writer.write(sent)
    return raw


async def asked(gateway: Gateway, sent: bytes) -> tuple[int, dict[str, str], bytes]:
    """The answer to bytes on a connection of their own."""
    raw = await dial(gateway, sent)
    try:
        return await raw.answer()
    finally:
        raw.writer.close()


def head_of(gateway: Gateway, *fields: bytes, path: bytes = b"", method: bytes = b"POST") -> bytes:
    """The head of a webhook, as good as one can be without the key, but for `fields`."""
    path = path or f"/v1/teams/{gateway.team_id}/shops/demo/events".encode()
    names = {field.partition(b":")[0].lower() for field in fields}
    usual = [
        b"webhook-id: w1",
        f"webhook-timestamp: {int(gateway.clock.now().timestamp())}".encode(),
        b"webhook-signature: v1,AAAA",
        b"Content-Length: 2",
    ]
    kept = [each for each in usual if each.partition(b":")[0].lower() not in names]
    return b"\r\n".join((method + b" " + path + b" HTTP/1.1", b"Host: x", *kept, *fields, b"", b""))


@contextlib.asynccontextmanager
async def healthy(gateway: Gateway) -> AsyncIterator[None]:
    """Asks for health all the while, and once more in the end; and the shop's next order is recorded."""
    url = f"http://127.0.0.1:{gateway.app.http_port}/healthz"

    async def ask() -> None:
        async with gateway.http.get(url) as answer:
            assert answer.status == 200

    async def go_on() -> None:
        while True:
            await ask()
            await asyncio.sleep(0.02)

    asking = asyncio.create_task(go_on())
    try:
        yield
        await ask()
    finally:
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking
    assert not gateway.app.failed.done()


class Told:
    """What was logged, in whatever way."""

    def __init__(self, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
        caplog.set_level(logging.DEBUG)
        self._caplog = caplog
        self._capsys = capsys

    def nothing_of(self, content: bytes) -> None:
        """Neither a trace was told nor `content`."""
        text = self._caplog.text + self._capsys.readouterr().out
        for each in ("Traceback", "Error handling request", content.decode()):
            assert each not in text


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Told:
    """The logs."""
    return Told(caplog, capsys)


@pytest.fixture
async def shop(gateway: Gateway) -> Shop:
    """A shop with a key."""
    return Shop(gateway, await gateway.shop())


# ---- what is no webhook (B-7)


HEADS: list[tuple[list[bytes], int]] = [
    ([b"webhook-signature: v1,caf\xe9"], 401),
    ([b"webhook-signature: v1,\xff"], 401),
    ([b"webhook-signature: v1,\xc3\xa9"], 401),
    ([b"webhook-id: \xff"], 401),
    ([b"webhook-id: a\x80b"], 401),
    ([b"webhook-id: " + b"x" * 201], 401),
    ([b"webhook-id:"], 401),
    ([b"webhook-id: a", b"webhook-id: b"], 401),
    ([b"webhook-timestamp: 99999999999"], 401),
    ([b"webhook-timestamp: 999999999999999999999999"], 401),
    ([b"webhook-timestamp: 1e9"], 401),
    ([b"webhook-timestamp: \xd9\xa1"], 401),
    ([b"webhook-signature: " + b"v1,AAAA " * 300], 401),
    ([b"Content-Encoding: gzip"], 415),
    ([b"Content-Encoding: br"], 415),
    ([b"Content-Encoding: identity, gzip"], 415),
    ([b"Content-Encoding: identity", b"Content-Encoding: deflate"], 415),
    ([b"Content-Length: 1048577"], 413),
    ([b"Content-Length: 1000000000000"], 413),
    ([b"Content-Length: 99999999999999999999999"], 400),
    ([b"Content-Length: -1"], 400),
    ([b"Content-Length: 2", b"Content-Length: 3"], 400),
    ([b"Content-Length: 2", b"Transfer-Encoding: chunked"], 400),
    ([b"X-Long: " + b"x" * 9_000], 400),
    ([b"X: y"] * 200, 400),
    ([b"no colon"], 400),
    ([b": no name"], 400),
]


@pytest.mark.rule("C-20d", "X-01d")
async def test_a_head_that_is_no_webhooks_is_refused_and_not_quoted(
    gateway: Gateway, shop: Shop, told: Told
) -> None:
    async with healthy(gateway):
        for fields, expected in HEADS:
            sent = head_of(gateway, *fields, b"X-Canary: " + CANARY) + b"{}"
            status, headers, body = await asked(gateway, sent)
            assert status == expected, (fields, body)
            assert set(json.loads(body)["error"]) == {"field", "message", "remedy"}, fields
            assert headers["content-type"].startswith("application/json"), fields
            assert CANARY not in body, fields
    told.nothing_of(CANARY)


REQUESTS: list[tuple[bytes, int]] = [
    (b"POST /v1/teams/TEAM/shops/%00/events HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    (b"POST /v1/teams/TEAM/shops/a%2Fb/events HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    (b"POST /v1/teams/TEAM/shops/" + b"x" * 65 + b"/events HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    (b"POST /v1/teams/TEAM/shops//events HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    (b"POST /v1/teams/%7Bnone%7D/shops/demo/events HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    (b"POST /v1/teams/demo/shops/demo/events HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    (b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    (b"GET //[ HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    (b"GET http://[::1/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET /v1/teams/TEAM/shops/demo/events HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    (b"DELETE /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    (b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET /caf\xe9 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET / HTTP/9.9\r\n\r\n", 400),
    (b"canary-of-the-client\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + CANARY, 400),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    (b"\x00\x00\x00\x00", 400),
]


@pytest.mark.rule("C-20d", "X-01d")
async def test_what_is_no_request_of_ours_is_refused(gateway: Gateway, told: Told) -> None:
    async with healthy(gateway):
        for sent, expected in REQUESTS:
            status, _, body = await asked(gateway, sent.replace(b"TEAM", str(gateway.team_id).encode()))
            assert status == expected, (sent, body)
            assert CANARY not in body
    told.nothing_of(CANARY)


ORDER = json.dumps(order(1)).encode()
BODIES: list[bytes] = [
    b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b"[" * 100_000,
    json.dumps(order(1))
    .encode()
    .replace(b'"quantity": 2', b'"quantity": ' + b"[" * 100_000 + b"]" * 100_000),
    ORDER.replace(b'"quantity": 2', b'"quantity": "\xff\xfe"'),
    ORDER.replace(b'"order-1"', b'"\\ud800"'),
    ORDER.replace(b'"order-1"', b'"\xed\xa0\x80"'),
    ORDER.replace(b'"order-1"', b'"\\u0000"'),
    ORDER.replace(b'"12.34"', b"1" * 100_000),
    ORDER.replace(b'"12.34"', b'"' + b"1" * 100_000 + b'"'),
    ORDER.replace(b'"12.34"', b"1e400"),
    ORDER.replace(b'"quantity": 2', b'"quantity": -1e999'),
    ORDER.replace(b'"2026-03-02T11:59:00Z"', b'"2026-03-02T24:59:61Z"'),
    ORDER.replace(b'"o1"', b'"o\\n1"'),
    ORDER.replace(b'"o1"', b'"\\u0085\\u2028"'),
    b"null",
    b"7",
    b'"x"',
    b"",
    b"\xef\xbb\xbf{}",
    "{}".encode("utf-16"),
]


@pytest.mark.rule("C-20d", "X-01d")
async def test_a_signed_body_that_cannot_be_taken_is_refused_by_its_sender_only(
    gateway: Gateway, shop: Shop, told: Told
) -> None:
    now = gateway.clock.now()
    async with healthy(gateway):
        for body in BODIES:
            signed = b".".join((b"w1", str(int(now.timestamp())).encode(), body))
            status, answer = await shop.post(body, "w1", signature=sign(shop, signed))
            assert status == 400, (body[:100], answer)
        assert (await shop.post(order(2)))[0] == 202
        await gateway.settled()
    assert [event.event_key for event in gateway.neighbours.segment.events] == ["demo:order-2"]
    told.nothing_of(b"Traceback")


async def test_numbers_keys_and_fields_that_are_odd_and_do_no_harm_are_taken(
    gateway: Gateway, shop: Shop
) -> None:
    body = json.dumps(order(1)).encode()
    doubled = (
        body[:-1] + b', "event_id": "twice", "x": ' + b"9" * 5_000 + b', "y": 1e400, "\\ud83d\\ude00": null}'
    )
    status, answer = await shop.post(doubled)
    assert (status, answer["results"][0]) == (202, {"event_id": "twice", "status": "accepted"})


# ---- encoded bodies (B-3)


@pytest.mark.rule("C-20d")
async def test_encoded_bodies_are_refused_before_they_are_read(gateway: Gateway, shop: Shop) -> None:
    bomb = gzip.compress(bytes(100_000_000), 9)
    head = head_of(gateway, b"Content-Encoding: gzip", b"Content-Length: " + str(len(bomb)).encode())
    async with healthy(gateway):
        for body in (bomb, b"\x1f\x8b broken", gzip.compress(b"") * 30_000):
            raw = await dial(gateway, head + body[: len(bomb)])
            status, headers, _ = await raw.answer()
            assert (status, headers["connection"]) == (415, "close")
            raw.writer.close()


# ---- requests that are not finished (B-4)


@pytest.mark.rule("C-20d")
async def test_unsigned_bodies_are_not_waited_for(gateway: Gateway, shop: Shop) -> None:
    """Without a head that is worth it nothing of the body is read, and the connection ends."""
    async with healthy(gateway):
        unfinished = [
            await dial(gateway, head_of(gateway, b"Content-Length: 1000000", b"webhook-id:") + bytes(60_000))
            for _ in range(100)
        ]
        for raw in unfinished:
            status, headers, _ = await raw.answer()
            assert (status, headers["connection"]) == (401, "close")
        for raw in unfinished:
            await raw.ended()
            raw.writer.close()


@pytest.mark.rule("C-20d")
async def test_a_head_has_a_deadline(maker: GatewayMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.2)
    monkeypatch.setattr(listener, "LOOK_EVERY_S", 0.05)
    async with maker.start() as gateway, healthy(gateway):
        for sent in (b"", b"POST /v1/tea", b"POST / HTTP/1.1\r\nHost: x\r\nX-a: b\r\n"):
            await (await dial(gateway, sent)).ended()


@pytest.mark.rule("C-20d")
async def test_a_body_has_a_deadline(maker: GatewayMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_S", 0.2)
    async with maker.start() as gateway:
        await gateway.shop()
        async with healthy(gateway):
            raw = await dial(gateway, head_of(gateway, b"Content-Length: 1000") + b"{")
            status, headers, _ = await raw.answer()
            assert (status, headers["connection"]) == (408, "close")
            await raw.ended()


async def test_an_idle_connection_ends_and_one_that_asks_again_does_not(
    maker: GatewayMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "IDLE_S", 0.5)
    monkeypatch.setattr(listener, "LOOK_EVERY_S", 0.05)
    asking = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    async with maker.start() as gateway:
        raw = await dial(gateway)
        for _ in range(5):
            raw.writer.write(asking)
            assert (await raw.answer())[0] == 200
            await asyncio.sleep(0.2)
        await raw.ended()


@pytest.mark.rule("C-20d")
@pytest.mark.parametrize("sent", [b"", b"POST / HTTP/1.1\r\nHost: x\r\n", None])
async def test_unfinished_requests_make_room_for_whoever_comes_next(
    maker: GatewayMaker, told: Told, sent: bytes | None
) -> None:
    async with maker.start(http_connections_max=40, http_client_share=0.5) as gateway:
        shop = Shop(gateway, await gateway.shop())
        held: list[Raw] = []
        if sent is None:
            sent = head_of(gateway, b"Content-Length: 1000000") + bytes(60_000)
        async with healthy(gateway):
            for _ in range(200):
                held.append(await dial(gateway, sent))
                await asyncio.sleep(0)
            assert (await shop.post(order(1)))[0] == 202
            ended = [asyncio.create_task(raw.ended()) for raw in held]
            async with asyncio.timeout(WAIT_S):
                while sum(task.done() for task in ended) < 180:
                    await asyncio.sleep(0.02)
            for task in ended:
                task.cancel()
            for raw in held:
                raw.writer.transport.abort()
        await gateway.settled()
        assert len(gateway.neighbours.segment.events) == 1
    told.nothing_of(b"Traceback")


@pytest.mark.rule("C-20d")
async def test_senders_that_leave_leave_no_trace(gateway: Gateway, shop: Shop, told: Told) -> None:
    async with healthy(gateway):
        for _ in range(50):
            raw = await dial(gateway, head_of(gateway, b"Content-Length: 1000") + CANARY)
            await raw.writer.drain()
            raw.writer.transport.abort()
        await asyncio.sleep(0.2)
    told.nothing_of(CANARY)


async def test_bytes_of_one_client_have_a_bound_and_others_have_theirs(
    maker: GatewayMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "ROOM_WAIT_S", 0.2)
    async with maker.start(http_bytes_max=6 * 1024 * 1024, http_client_share=0.5) as gateway:
        shop = Shop(gateway, await gateway.shop())
        async with healthy(gateway):
            whole = head_of(gateway, b"Content-Length: 1048576") + b"{"
            full = [await dial(gateway, whole) for _ in range(3)]
            async with asyncio.timeout(WAIT_S):  # until what was sent has been read
                while (await shop.post(order(1), "w0"))[0] != 429:
                    await asyncio.sleep(0.05)
            assert int(shop.answered["Retry-After"]) > 0
            for raw in full:
                raw.writer.transport.abort()
            async with asyncio.timeout(WAIT_S):
                while (await shop.post(order(1), "w1"))[0] == 429:
                    await asyncio.sleep(0.05)


async def test_nobody_learns_which_shops_and_accounts_there_are(gateway: Gateway, shop: Shop) -> None:
    account_id = await account(gateway, LINE)
    made_up = str(new_id())
    shop_head = head_of(gateway, b"Content-Length: 3")
    hook_head = (
        f"POST /v1/teams/{gateway.team_id}/accounts/{account_id}/events HTTP/1.1\r\nHost: a\r\n"
        f"Content-Length: 3\r\nx-line-signature: {'A' * 43}=\r\n\r\n"
    ).encode()
    for head, there, not_there in (
        (shop_head, b"/shops/demo/", b"/shops/nowhere/"),
        (hook_head, account_id.encode(), made_up.encode()),
        (hook_head, str(gateway.team_id).encode(), made_up.encode()),
    ):
        assert there in head
        answers = [await asked(gateway, each + b"{} ") for each in (head, head.replace(there, not_there))]
        known, unknown = ((status, sorted(headers), body) for status, headers, body in answers)
        assert known[0] == 401
        assert known == unknown


async def test_a_sender_that_waits_for_it_is_told_to_go_on(gateway: Gateway, shop: Shop) -> None:
    raw = await dial(gateway, head_of(gateway, b"Expect: 100-continue"))
    async with asyncio.timeout(WAIT_S):
        assert (await raw.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
    raw.writer.write(b"{}")
    assert (await raw.answer())[0] == 401
    refused = await dial(gateway, head_of(gateway, b"Expect: 100-continue", b"webhook-id:"))
    assert (await refused.answer())[0] == 401
    for each in (raw, refused):
        each.writer.close()


async def test_a_body_in_chunks_is_taken_up_to_the_limit(gateway: Gateway, shop: Shop) -> None:
    head = head_of(gateway, b"Transfer-Encoding: chunked").replace(b"Content-Length: 2\r\n", b"")
    assert (await asked(gateway, head + b"2\r\n{}\r\n0\r\n\r\n"))[0] == 401, "it was read, and is not signed"
    large = b"10000\r\n" + bytes(65_536) + b"\r\n"
    assert (await asked(gateway, head + large * 17))[0] == 413
    assert (await asked(gateway, head + b"zz\r\n"))[0] == 400


# ---- rates


async def test_a_shop_is_told_its_limit(maker: GatewayMaker) -> None:
    async with maker.start(shop_requests_per_second=1) as gateway:
        shop = Shop(gateway, await gateway.shop())
        assert (await shop.post(order(1)))[0] == 202
        assert shop.answered["RateLimit-Limit"] == "2"
        assert shop.answered["RateLimit-Remaining"] == "1"
        answers = [(await shop.post(order(1)))[0] for _ in range(3)]
        assert 429 in answers
        async with asyncio.timeout(WAIT_S):
            while (await shop.post(order(1)))[0] != 429:
                pass
        assert shop.answered["RateLimit-Remaining"] == "0"
        assert int(shop.answered["Retry-After"]) >= 1
        assert (await shop.post(order(1), signature="v1,none"))[0] == 401, (
            "who is not the shop takes nothing of it"
        )
        other = Shop(gateway, await gateway.shop("other"), "other")
        assert (await other.post(order(1)))[0] == 202


async def test_what_cannot_be_stored_says_when_to_come_again(gateway: Gateway, shop: Shop) -> None:
    # Nobody knows the team's country yet, and the phone cannot be read without.
    gateway.neighbours.segment.settings_away = True
    status, _ = await shop.post(order(1, customer={"phone": "0912345678"}))
    assert status == 503
    assert int(shop.answered["Retry-After"]) >= 1
    assert (await shop.post(order(2, customer={"phone": "+886912345678"})))[0] == 202
    assert len(await stored(gateway)) == 1
