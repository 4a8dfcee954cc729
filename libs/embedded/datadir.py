"""The data directory: what lies where, who owns it, and how others find the servers of its owner.

.gitignore          `*`: nothing in here is ever committed
layout.json         version of this layout
owner.lock          flock of the process that runs the servers
endpoints.json      where the servers listen, written by the owner (0600)
installation.lock   flock of the supervisor that runs the services
installation.json   where the services listen, while a supervisor runs them (it writes and withdraws it)
token               API token (0600)
credentials/        what each service holds, a file each (0600, in 0700)
secret_key          key that secrets at rest are encrypted with (0600); who loses it loses them
backup_id           names this data directory in the backup directory
*.password          passwords of the servers (0600)
postgres/ valkey/   data of the servers, owned by the account that they run as
logs/
"""

import contextlib
import fcntl
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from libs.common.sealing import KEY_BYTES
from libs.embedded.errors import DataDirUnusableError

LAYOUT = 1
_SECRET_BYTES = 24


@dataclass(frozen=True, slots=True)
class ServerAddresses:
    """Where the servers of a data directory listen. Empty: the owner runs no such server."""

    owner_pid: int
    postgres_dsn: str
    redis_url: str

    @classmethod
    def of_this_process(cls, postgres_dsn: str, redis_url: str) -> "ServerAddresses":
        """What this process is about to publish."""
        return cls(os.getpid(), postgres_dsn, redis_url)


class DataDir:
    """Paths and small files of one data directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.postgres = path / "postgres"
        self.valkey = path / "valkey"
        self.logs = path / "logs"
        self.token_file = path / "token"
        self._endpoints = path / "endpoints.json"

    @classmethod
    def open(cls, path: Path | str) -> "DataDir":
        """Opens a data directory and makes it if it is missing.

        Errors: DataDirUnusableError when it cannot be written or was laid out by a newer release.
        """
        directory = cls(Path(path).absolute())
        try:
            # Root's servers run as another user, who must get through to their own directories, no more.
            directory.path.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
            directory._check_layout()
            directory.logs.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise DataDirUnusableError(
                f"the data directory {directory.path} cannot be used ({error.strerror}): make it writable, "
                "or set OMNIJOURNEY_DATA_DIR to another directory"
            ) from error
        return directory

    def _check_layout(self) -> None:
        layout_file = self.path / "layout.json"
        if not layout_file.exists():
            _replace(self.path / ".gitignore", "*\n")
            _replace(layout_file, json.dumps({"layout": LAYOUT}) + "\n")
            return
        try:
            layout = int(json.loads(layout_file.read_text())["layout"])
        except (ValueError, KeyError, TypeError) as error:
            raise DataDirUnusableError(
                f"{layout_file} cannot be read as this product's: move {self.path} away, or set "
                "OMNIJOURNEY_DATA_DIR to another directory"
            ) from error
        if layout > LAYOUT:
            raise DataDirUnusableError(
                f"{self.path} was written by a newer release (layout {layout}, this one knows {LAYOUT}): "
                "upgrade omnijourney, or set OMNIJOURNEY_DATA_DIR to another directory"
            )

    def secret(self, name: str, size: int = _SECRET_BYTES) -> str:
        """The secret in file `name`; made of `size` random bytes, hexadecimal, if there is none.

        Safe with many processes at once.
        """
        target = self.path / name
        if not target.exists():
            draft = self.path / f".{name}.{os.getpid()}.{secrets.token_hex(4)}"
            _write_private(draft, secrets.token_hex(size) + "\n")
            with contextlib.suppress(FileExistsError):  # somebody else was first: theirs counts
                os.link(draft, target)
            draft.unlink()
        return target.read_text().strip()

    def postgres_major(self) -> int | None:
        """Major version of the PostgreSQL that made the data; None when there is none yet."""
        version = self.postgres / "PG_VERSION"
        if not version.exists():
            return None
        return int(version.read_text().strip().split(".")[0])

    def publish(self, addresses: ServerAddresses) -> None:
        """Tells other processes where the servers listen. Only the owner does."""
        _replace(self._endpoints, json.dumps(asdict(addresses)) + "\n")

    def forget(self) -> None:
        """Takes back what `publish` told."""
        self._endpoints.unlink(missing_ok=True)

    def published(self) -> ServerAddresses | None:
        """What the present owner published; None when nobody did or the one who did is dead."""
        try:
            addresses = ServerAddresses(**json.loads(self._endpoints.read_text()))
        except FileNotFoundError:
            return None
        return addresses if _is_alive(addresses.owner_pid) else None


def secret_key(data_dir: Path | str) -> str:
    """The key of a data directory that secrets at rest are encrypted with; made if there is none.

    Errors: DataDirUnusableError.
    """
    return DataDir.open(data_dir).secret("secret_key", KEY_BYTES)


class OwnerLock:
    """Decides which process runs the servers of a data directory; free again when that process dies."""

    def __init__(self, directory: DataDir, name: str = "owner.lock") -> None:
        """`name` of the file, for locks of other things than the servers."""
        self._path = directory.path / name
        self._descriptor: int | None = None

    def try_acquire(self) -> bool:
        """Whether this process is the owner now. Does not wait."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Lets somebody else be the owner. The file stays: two processes must not lock two files."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)


def _replace(path: Path, text: str) -> None:
    """Writes a private file so that a reader sees all of it or nothing of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    _write_private(draft, text)
    draft.replace(path)
