"""Files that only their owner may read, replaced as a whole."""

import os
import secrets
from pathlib import Path

_PRIVATE = 0o600


def write_private(file: Path, content: bytes, mode: int = _PRIVATE) -> None:
    """Makes `file` hold `content`: a reader sees all of it, or what was there before. Raises OSError."""
    draft = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
        stream.write(content)
    draft.replace(file)
