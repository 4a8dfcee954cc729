"""What runs on a host: its programs, started again when they die, until the whole host dies."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from libs.embedded.keepalive import Died, Event, keep_alive
from libs.embedded.process import Child, Spec
from tests.failover.network import Host

_AS_NOBODY: Final = ("unshare", "--user", "--map-user=65534", "--map-group=65534", "--")
"""Within a user namespace of its own: it is nobody there, and its files are ours."""


class Program:
    """One of them."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.child: Child | None = None

    @property
    def name(self) -> str:
        """With its host's."""
        return self.spec.name

    async def start(self) -> None:
        """Starts it. Errors: OSError."""
        self.child = Child.spawn(self.spec)


class Machine:
    """A host with its programs."""

    def __init__(self, host: Host, logs: Path, deaths: Counter[str]) -> None:
        """`deaths` counts programs that ended by themselves."""
        self.host = host
        self._logs = logs
        self._deaths = deaths
        self._programs: dict[str, Program] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._runs = False

    @property
    def name(self) -> str:
        """The host's."""
        return self.host.name

    @property
    def runs(self) -> bool:
        """Whether it was started and not killed."""
        return self._runs

    async def run(
        self, name: str, command: Sequence[str], variables: Mapping[str, str], *, nobody: bool = False
    ) -> None:
        """Adds a program and starts it; `nobody`: not as root, which it refuses."""
        within = self.host.command([*(_AS_NOBODY if nobody else ()), *command])
        program = Program(
            Spec(
                name=f"{self.name}-{name}",
                command=within,
                env={**os.environ, **variables},
                log=self._logs / f"{self.name}-{name}.log",
            )
        )
        self._programs[name] = program
        self._runs = True
        await program.start()
        self._keepers.append(asyncio.create_task(keep_alive(program, self._hear)))

    def kill(self, name: str) -> bool:
        """SIGKILL to one program, which is started again; whether it was there."""
        program = self._programs.get(name)
        if program is None or program.child is None or program.child.returncode is not None:
            return False
        program.child.send(signal.SIGKILL)
        return True

    async def die(self) -> None:
        """The power goes: the link is down, and nothing runs any more."""
        self.host.cut()
        await self._end_keepers()
        self.host.send(signal.SIGKILL)
        for program in self._programs.values():
            if program.child is not None:
                await program.child.wait()
        self._runs = False

    async def boot(self) -> None:
        """The power is back: everything starts, with the disks as they were left."""
        self.host.heal()
        for program in self._programs.values():
            await program.start()
            self._keepers.append(asyncio.create_task(keep_alive(program, self._hear)))
        self._runs = True

    async def close(self) -> None:
        """Ends everything at once."""
        await self._end_keepers()
        self.host.send(signal.SIGKILL)

    async def _end_keepers(self) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._keepers.clear()

    def _hear(self, event: Event) -> None:
        if isinstance(event, Died):
            self._deaths[f"{event.name}: {event.why}"] += 1
