"""What the pages tell their reader to type is typed where `omnijourney up` runs: in their order, in one shell, and each
command must say what is expected of it. `omnijourney` itself is run by a process that has its modules already."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from libs.client import ClientSettings
from libs.common.config import DEFAULT_PORTS
from libs.emulators.config import EmulatorSettings
from tests.command_line import omnijourney
from tests.documented import documented
from tests.e2e.documented_commands import AFTER, BEFORE, EXIT_CODES, INSTEAD, NOT_RUN, SAID, key_of
from tests.e2e.installation import Up

ENDS_WITHIN_S: Final = 300.0
FURNISH: Final = Path(__file__).with_name("furnish.sh")
REVIEW: Final = """name: Review
trigger:
  checkout_completed:
targets:
- channel: LINE
  account: Shop
nodes:
- node_id: ask
  message:
    channel: LINE
    bot_module: Welcome
"""
_CALLER: Final = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect("{socket}")
    asked.sendall(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode() + b"\\n")
    code, out, err = json.load(asked.makefile())
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""
"""`omnijourney` on the reader's path."""


@asynccontextmanager
async def _commands_answered(socket: Path) -> AsyncIterator[None]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arguments, environment, folder = json.loads(await reader.readline())
        done = await omnijourney(*arguments, environment=environment, folder=Path(folder))
        writer.write(json.dumps(done).encode() + b"\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_unix_server(answer, socket, limit=1 << 20)
    async with server:
        yield


@pytest.fixture
def desk(running: Up, tmp_path: Path) -> Path:
    """Where a reader is: below a clone, with what runs in `.omnijourney` and the programs in `.venv/bin`."""
    (tmp_path / ".omnijourney").symlink_to(running.data_dir)
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "grpcurl"):
        (programs / name).symlink_to(Path(sys.prefix) / "bin" / name)
    command = programs / "omnijourney"
    command.write_text(_CALLER.format(python=sys.executable, socket=tmp_path / "asked"))
    command.chmod(0o755)
    (tmp_path / "people.csv").write_text("member id,name,Level\nM-8,Flo,gold\nM-9,Gus,silver\n")
    (tmp_path / "contacts.csv").write_text("phone,name\n+886987654321,Hal\nno number,Ida\n")
    (tmp_path / "review.yaml").write_text(REVIEW)
    return tmp_path


def _script() -> Iterator[str]:
    """The shell's lines: what each command needs first, the command, and its number with its exit code."""
    yield "set -o pipefail"
    for number, command in enumerate(documented()):
        key = _run(command.text)
        if key is None:
            continue
        text = command.text
        for old, new in INSTEAD.items():
            text = text.replace(old, new)
        yield f"{BEFORE.get(key, '')}\nprintf '\\036- -\\036'\n{text}\ncode=$?\n{AFTER.get(key, '')}"
        yield f"printf '\\036%s %s\\036' {number} $code"


def _run(text: str) -> str | None:
    """Which row of SAID is the command's; None: it is not run."""
    said, not_run = key_of(text, SAID), key_of(text, NOT_RUN)
    assert said is not None or not_run is not None, text
    return said if len(said or "") >= len(not_run or "") else None


def _at(settings: ClientSettings, text: str) -> str:
    """The text with the ports where the services are."""
    for service, target in settings.targets().items():
        text = text.replace(f"127.0.0.1:{DEFAULT_PORTS[service]}", target)
        text = text.replace(f"call {DEFAULT_PORTS[service]}", f"call {target.rpartition(':')[2]}")
    return text


async def _typed(desk: Path, script: str, environment: Mapping[str, str]) -> dict[int, tuple[int, str]]:
    """Exit code and words of each command, by its number."""
    (desk / "typed").write_text(script)
    async with _commands_answered(desk / "asked"), asyncio.timeout(ENDS_WITHIN_S):
        shell = await asyncio.create_subprocess_exec(
            *("bash", "typed"),
            cwd=desk,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await shell.communicate()
    parts = said.decode().split("\036")
    return {
        int(number): (int(code), words)
        for words, mark in zip(parts[::2], parts[1::2], strict=False)
        for number, code in [mark.split()]
        if number != "-"
    }


async def test_every_documented_command_does_what_its_page_says(
    running: Up, settings: ClientSettings, desk: Path
) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OMNIJOURNEY_")}
    environment |= {"WABA": EmulatorSettings().whatsapp_waba_id, "TZ": "UTC"}
    environment["BACKUPS"] = str(running.data_dir.with_name("backups"))
    (desk / "furnish.sh").write_text(_at(settings, FURNISH.read_text()))
    script = _at(settings, "\n".join(_script()))
    said = await _typed(desk, script, environment)
    wrong = []
    for number, (page, text) in enumerate(documented()):
        if (key := _run(text)) is None:
            continue
        code, words = said.get(number, (-1, "was not reached"))
        if code != EXIT_CODES.get(key, 0) or not re.search(SAID[key], words, re.MULTILINE):
            wrong.append(f"{page}: {text}\n  exit code {code}, {words!r}\n  must say {SAID[key]!r}")
    assert not wrong, "\n".join(wrong)
