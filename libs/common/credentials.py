"""Credentials files: what one service may show to the database and to its neighbours, and nothing of anybody else's.

Lines `VARIABLE=value`, as service managers read them. `omnijourney migrate` writes one a service; a service is told of
its own by `OMNIJOURNEY_CREDENTIALS_FILE`. See docs/adr/0015.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from libs.common.private_files import write_private

FOLDER: Final = "credentials"
"""Of a data directory."""
FILE_VARIABLE: Final = "OMNIJOURNEY_CREDENTIALS_FILE"
DIRECTORY_VARIABLE: Final = "OMNIJOURNEY_CREDENTIALS_DIR"
"""Of a process that is several services: where the files of all of them are."""
DSN_VARIABLE: Final = "OMNIJOURNEY_POSTGRES_DSN"
TOKEN_VARIABLE: Final = "OMNIJOURNEY_SERVICE_TOKEN"  # noqa: S105 - the name of one
TOOLS: Final = "tools"
"""Holder of the token with which our own tools read what services say to each other."""
TOOLS_VARIABLE: Final = "OMNIJOURNEY_TOOLS_TOKEN"


def file_of(directory: Path, holder: str) -> Path:
    """Where the credentials of a service, or of the tools, stand in a directory of credentials."""
    return directory / f"{holder}.env"


def read(file: Path) -> dict[str, str]:
    """The variables in `file`. Raises OSError, and ValueError for what is no line `VARIABLE=value`."""
    found: dict[str, str] = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"line {number} is not VARIABLE=value")  # the line itself may be a secret
        found[name] = value
    return found


def write(file: Path, variables: Mapping[str, str]) -> None:
    """Makes `file` what `variables` say, for its owner's eyes only (0600, its folder 0700); a reader sees all of it or
    what was there before. Raises OSError."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.parent.chmod(0o700)
    write_private(file, "".join(f"{name}={value}\n" for name, value in variables.items()).encode())
