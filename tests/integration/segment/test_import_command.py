"""`omnijourney import` against a running service."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from libs.cli import contact_imports, journeys
from libs.cli.contact_imports import EXIT_LINES_FAILED, Asked
from libs.client import ClientSettings
from libs.testing.clients import make_account
from tests.integration.segment.conftest import ACCOUNT

if TYPE_CHECKING:
    from pathlib import Path

    from libs.testing.fixtures import Database, Servers
    from tests.integration.segment.conftest import Segment

FILE = "\ufeff姓名;電話;標籤\r\n陳怡君;0912345678;VIP\r\nBo;12;\r\n" + "".join(
    f"P{number};09{number:08d};\r\n" for number in range(600)
)


def settings_of(segment: Segment, servers: Servers) -> Any:
    return ClientSettings(token=SecretStr(servers.token), segment_target=f"127.0.0.1:{segment.port}")


@pytest.mark.rule("S-06a", "S-06b", "S-06e")
async def test_a_file_is_previewed_loaded_corrected_and_loaded_again(
    segment: Segment,
    servers: Servers,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(contact_imports, "PART_BYTES", 4_000)
    settings, file, failed = settings_of(segment, servers), tmp_path / "people.csv", tmp_path / "failed.csv"
    file.write_bytes(FILE.encode())
    asked = Asked(str(segment.team_id), str(file), mapping=("標籤=tags",), report=failed)
    assert await journeys.run(settings, contact_imports.preview(asked)) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[:4] == [
        "姓名: name",
        "電話: phone",
        "標籤: tags",
        "line 2  APPLIED    new customer; tag VIP",
    ]

    assert await journeys.run(settings, contact_imports.load(asked)) == EXIT_LINES_FAILED
    said = capsys.readouterr()
    assert said.out.endswith("  SUCCEEDED  601 applied, 0 unchanged, 1 failed\n")
    assert "602 of 602 lines" in said.err
    failed.write_text(failed.read_text("utf-8-sig").replace(",12,", ",0955555555,"), "utf-8")
    right = Asked(str(segment.team_id), str(failed), as_json=True)
    assert await journeys.run(settings, contact_imports.load(right)) == 0
    assert json.loads(capsys.readouterr().out)["applied_count"] == "1"

    assert await journeys.run(settings, contact_imports.load(asked)) == EXIT_LINES_FAILED
    assert "nothing of it is applied again without --again" in capsys.readouterr().err


@pytest.mark.rule("S-06e")
async def test_columns_of_which_nothing_is_taken_are_named(
    segment: Segment, servers: Servers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "people.csv"
    file.write_text("member_id,phone-number,Shoe size,Notes,Import Line\nM1,0912345678,43,,2\n", "utf-8")
    asked = Asked(str(segment.team_id), str(file), mapping=("Notes=",), as_json=True)
    assert await journeys.run(settings_of(segment, servers), contact_imports.load(asked)) == 0
    said = capsys.readouterr()
    assert "nothing is taken of the columns 'Shoe size': --map 'Heading=field'" in said.err
    assert [each.get("field", "") for each in json.loads(said.out)["columns"]] == [
        "member_id",
        "phone",
        "",
        "",
        "",
    ]


@pytest.mark.rule("S-06a")
async def test_a_broken_upload_goes_on_and_can_be_cancelled(
    segment: Segment,
    servers: Servers,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(contact_imports, "PART_BYTES", 4_000)
    settings, file = settings_of(segment, servers), tmp_path / "people.csv"
    file.write_bytes(FILE.encode())
    asked = Asked(str(segment.team_id), str(file))

    async def broken(*_: object) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as once, contextlib.suppress(asyncio.CancelledError):
        once.setattr(contact_imports, "_upload", broken)
        await journeys.run(settings, contact_imports.load(asked))
    assert await journeys.run(settings, contact_imports.cancel(asked)) == 0
    assert await journeys.run(settings, contact_imports.cancel(asked)) == 1
    assert "no import of this file is under way" in capsys.readouterr().err
    with monkeypatch.context() as once, contextlib.suppress(asyncio.CancelledError):
        once.setattr(contact_imports, "_upload", broken)
        await journeys.run(settings, contact_imports.load(asked))
    places: list[int] = []

    @contextlib.contextmanager
    def followed(what: str, _: int) -> Iterator[Callable[[int, int], None]]:
        yield lambda at, _: places.append(at) if what.startswith("bytes") else None

    monkeypatch.setattr(contact_imports, "progress", followed)
    assert await journeys.run(settings, contact_imports.load(asked)) == EXIT_LINES_FAILED
    assert "goes on with the upload at byte 4,000" in capsys.readouterr().err
    length = len(FILE.encode())
    assert places == [*range(4_000, length, 4_000), length], "what is there is not sent again"


async def test_a_file_at_an_address_is_read_and_faults_are_said(
    segment: Segment,
    servers: Servers,
    database: Database,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await make_account(database, segment.team_id, ACCOUNT)
    settings, team = settings_of(segment, servers), str(segment.team_id)

    async def serve(_: web.Request) -> web.Response:
        return web.Response(body="手機\n0912345678\n".encode("cp950"))

    async def lead(_: web.Request) -> web.Response:
        raise web.HTTPFound("/people.csv")

    async def circle(_: web.Request) -> web.Response:
        raise web.HTTPFound("/circle")

    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await answer.write(b"0912345678\n" * 1_000)
        return answer

    async def cut_short(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "100"})
        await answer.prepare(request)
        await answer.write("手機\n0912345678\n".encode())
        assert request.transport is not None
        request.transport.close()
        return answer

    site = web.Application()
    for path, handler in {
        "/people.csv": serve,
        "/led": lead,
        "/circle": circle,
        "/endless": endless,
        "/cut": cut_short,
    }.items():
        site.router.add_get(path, handler)
    runner = web.AppRunner(site)
    await runner.setup()
    try:
        listening = web.TCPSite(runner, "127.0.0.1", 0)
        await listening.start()
        port = runner.addresses[0][1]
        asked = Asked(team, f"http://127.0.0.1:{port}/led", "whatsapp", ACCOUNT)
        assert await journeys.run(settings, contact_imports.load(asked)) == 0
        with pytest.MonkeyPatch.context() as smaller:
            smaller.setattr(contact_imports, "FILE_BYTES_MAX", 100_000)
            for path, said in (
                ("circle", "infinite loop"),
                ("endless", "has more than 100,000 bytes: divide it"),
                ("cut", "bytes too early"),
                ("none", "Not Found"),
            ):
                wrong = Asked(team, f"http://127.0.0.1:{port}/{path}")
                assert await journeys.run(settings, contact_imports.load(wrong)) == 1
                assert said in capsys.readouterr().err
    finally:
        await runner.cleanup()
    for source, mapping, said in (
        (str(tmp_path / "none.csv"), (), "No such file"),
        (str(tmp_path), (), "directory"),
        ("/dev/zero", (), "no file"),
        ("http://[::1", (), "Invalid IPv6 URL"),
        (__file__, ("x",), "is not of the form Heading=field"),
        (__file__, (), "csv: has no column that says whom"),
    ):
        assert await journeys.run(settings, contact_imports.load(Asked(team, source, mapping=mapping))) == 1
        assert said in capsys.readouterr().err
