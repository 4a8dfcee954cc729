"""How the command line finds a running installation: a small file in its data directory."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from libs.client.services import ServiceName
from libs.common.tls import Tls


@dataclass(frozen=True, slots=True)
class Found:
    """What a running installation said of itself."""

    pid: int
    """Of its supervisor."""
    targets: Mapping[ServiceName, str]
    http_url: str
    tls_dir: Path | None = None
    """Where the certificates of an installation with a CA of its own are."""
    emulator_urls: Mapping[str, str] = field(default_factory=dict)
    """Base address of each channel's emulator; none where it sends to the real channels."""


def tools_tls(directory: Path) -> Tls:
    """How our own tools call an installation with a CA of its own."""
    return Tls(directory / "ca.pem", directory / "tools.pem", directory / "tools.key")


class InstallationFile:
    """`installation.json` of a data directory, written by the supervisor. Holds no secret."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "installation.json"

    def publish(
        self,
        targets: Mapping[ServiceName, str],
        http_url: str,
        tls_dir: Path | None = None,
        emulator_urls: Mapping[str, str] | None = None,
    ) -> None:
        """Tells where this process' services listen."""
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        said: dict[str, object] = {"pid": os.getpid(), "targets": dict(targets), "http_url": http_url}
        if tls_dir is not None:
            said["tls_dir"] = str(tls_dir)
        if emulator_urls:
            said["emulator_urls"] = dict(emulator_urls)
        draft.write_text(json.dumps(said) + "\n")
        draft.replace(self._path)

    def withdraw(self) -> None:
        """Takes it back, if this process said it."""
        found = self.read()
        if found is not None and found.pid == os.getpid():
            self._path.unlink(missing_ok=True)

    def read(self) -> Found | None:
        """None when no installation runs there: a file that a killed supervisor left is not believed."""
        try:
            content = json.loads(self._path.read_text())
            tls_dir = Path(content["tls_dir"]) if "tls_dir" in content else None
            found = Found(
                int(content["pid"]),
                content["targets"],
                content["http_url"],
                tls_dir,
                content.get("emulator_urls", {}),
            )
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return None
        try:
            os.kill(found.pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            pass  # it lives, as another user
        return found
