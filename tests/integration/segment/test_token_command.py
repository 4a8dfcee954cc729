"""`omnijourney token …` against a running service."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from pydantic import SecretStr

from libs.cli import tokens
from libs.cli.console import out
from libs.cli.token_commands import ScopeName
from libs.client import ClientSettings
from tests.integration.segment.test_api_clients import until

if TYPE_CHECKING:
    from libs.testing.fixtures import Servers
    from tests.integration.segment.conftest import Segment


async def test_an_operator_makes_lists_rotates_and_revokes_a_client(
    segment: Segment, servers: Servers, capsys: pytest.CaptureFixture[str]
) -> None:
    settings: Any = ClientSettings(token=SecretStr(servers.token), segment_target=f"127.0.0.1:{segment.port}")
    team = str(segment.team_id)

    async def printed(command: tokens.Command) -> Any:
        capsys.readouterr()
        assert await tokens.run(settings, command) == 0
        return capsys.readouterr()

    made = await printed(tokens.create(team, "shop", ["write", "operate"], days=1))
    token, client_id = made.out.strip(), re.findall("[0-9a-f-]{36}", made.err)[0]
    await until(segment, token, grpc.StatusCode.OK)
    listed = (await printed(tokens.show(team))).out
    assert "shop" in listed
    assert client_id in listed, "to be copied"
    assert token not in listed
    (described,) = map(json.loads, (await printed(tokens.show(team, as_json=True))).out.splitlines())
    assert (described["api_client_id"], described["name"]) == (client_id, "shop")
    turned = (await printed(tokens.rotate(team, client_id, overlap_hours=1))).out.strip()
    await until(segment, turned, grpc.StatusCode.OK)
    await until(segment, token, grpc.StatusCode.OK)
    assert (await printed(tokens.revoke(team, client_id))).out == "revoked: shop\n"
    await until(segment, turned, grpc.StatusCode.UNAUTHENTICATED)
    await until(segment, token, grpc.StatusCode.UNAUTHENTICATED)
    assert await tokens.run(settings, tokens.rotate(team, client_id, overlap_hours=0)) == 1
    assert "FAILED_PRECONDITION: the client was revoked" in capsys.readouterr().err


async def test_a_list_of_clients_is_whole_on_a_narrow_terminal(
    segment: Segment, servers: Servers, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(out, "width", 80)
    settings: Any = ClientSettings(token=SecretStr(servers.token), segment_target=f"127.0.0.1:{segment.port}")
    team = str(segment.team_id)
    names = ["shop", "[bold] till 12", "a name that is longer than the rest of any line " * 2]
    for name in names:
        assert await tokens.run(settings, tokens.create(team, name, list(ScopeName), days=1)) == 0
    capsys.readouterr()
    assert await tokens.run(settings, tokens.show(team)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * len(names)
    for first, second in zip(lines[::2], lines[1::2], strict=True):
        assert re.fullmatch(r"[0-9a-f-]{36}  active      READ WRITE ADMIN OPERATE", first)
        assert re.match(r"  expires 20\d\d-\d\d-\d\d \d\d:\d\dZ  last used never  ", second)
        assert len(first) <= 80
    assert sorted(second[58:].strip() for second in lines[1::2]) == sorted(name.strip() for name in names)
