"""`omnijourney attribute …` and `omnijourney tag list` against a running service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from libs.cli import attributes, journeys, records
from libs.cli.journeys import Command
from libs.client import ClientSettings

if TYPE_CHECKING:
    from libs.testing.fixtures import Servers
    from tests.integration.segment.conftest import Segment


async def test_attributes_are_looked_after_and_tags_shown_from_the_command_line(
    segment: Segment, servers: Servers, capsys: pytest.CaptureFixture[str]
) -> None:
    settings: Any = ClientSettings(token=SecretStr(servers.token), segment_target=f"127.0.0.1:{segment.port}")
    team = str(segment.team_id)

    async def printed(command: Command, code: int = 0) -> list[str]:
        capsys.readouterr()
        assert await journeys.run(settings, command) == code
        read = capsys.readouterr()
        return (read.err if code else read.out).splitlines()

    assert await printed(attributes.create(team, "size", "text", "Size")) == ["size  text  Size"]
    assert await printed(attributes.rename(team, "size", "Shoe size")) == ["size  text  Shoe size"]
    ann = await segment.create(member_id="M-1", attributes={"size": "38"}, tags=["vip"])
    await segment.create(member_id="M-2", attributes={"size": "large"}, tags=["vip"])
    assert await printed(attributes.retype(team, "size", "number", preview=True, convert=False)) == [
        "1 of 2 values fit number",
        "  does not fit: large",
    ]
    changed = await printed(attributes.retype(team, "size", "number", preview=False, convert=True))
    assert changed[0] == "size  number  Shoe size"
    assert dict((await segment.customer(ann)).attributes) == {"size": "38"}
    assert await printed(attributes.archive(team, "size")) == ["size  number  Shoe size  archived"]
    assert await printed(attributes.show(team, archived=False)) == []
    assert await printed(attributes.show(team, archived=True)) == ["size  number  Shoe size  archived"]
    assert await printed(attributes.restore(team, "size")) == ["size  number  Shoe size"]
    faults = await printed(attributes.create(team, "1", "text", ""), code=1)
    assert "attribute.key" in " ".join(faults)

    assert await printed(records.tags(team, 0, as_json=False)) == ["         2  vip"]
