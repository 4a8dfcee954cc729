"""A release as its own files: what its processes are started with, and its database brought up to it."""

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from tools.paths import BUILD, ROOT

_DAY_S: Final = 86_400


class Absent(Exception):
    """The release is not at hand; the text says why."""


@dataclass(frozen=True, slots=True)
class Release:
    """The code of one release."""

    name: str
    folder: Path

    @classmethod
    def here(cls) -> Self:
        """This checkout."""
        return cls("this release", ROOT)

    @classmethod
    def of(cls, revision: str) -> Self:
        """A revision of git, unpacked below `build/upgrade`. Raises Absent."""
        commit = _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").decode().strip()
        folder = BUILD / "upgrade" / commit[:12]
        if not folder.is_dir():
            draft = folder.with_suffix(".new")
            with tarfile.open(fileobj=io.BytesIO(_git("archive", commit))) as files:
                files.extractall(draft, filter="data")
            draft.rename(folder)
        return cls(f"release {commit[:12]}", folder)

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """`variables`, with this code before whatever is installed."""
        path = os.pathsep.join(map(str, (self.folder, self.folder / "libs" / "gen")))
        return {**variables, "PYTHONPATH": path}

    def migrate(self, variables: Mapping[str, str], credentials: Path) -> None:
        """`omnijourney migrate` of this release. Raises Absent if it cannot be run here."""
        command = [sys.executable, "-m", "libs.cli.main", "migrate", "--credentials-dir", str(credentials)]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment({**os.environ, **variables}),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Absent(f"{self.name} cannot migrate: {done.stdout[-500:]}{done.stderr[-1500:]}")


def release_before(root: Path = ROOT) -> str:
    """The newest tag of a release behind this commit; where none is tagged, how it was a day before. Raises Absent.

    The commit that `make schema-baseline` took is further back: it is of before each service held its own credentials,
    and from there everything is stopped first.
    """
    asked = ("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", "HEAD^")
    done = subprocess.run(["git", "-C", str(root), *asked], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return done.stdout.strip()
    until_s = int(_git("log", "-1", "--format=%ct", root=root)) - _DAY_S
    found = (
        _git("rev-list", "-1", "--first-parent", f"--before={until_s}", "HEAD", root=root).decode().strip()
    )
    if not found:
        raise Absent("no release is tagged, and this history is not a day old: name a revision by FROM=")
    return found


def _git(*arguments: str, root: Path = ROOT) -> bytes:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=False)
    if done.returncode:
        raise Absent(f"git {' '.join(arguments)} finds nothing: this checkout has no such history")
    return done.stdout
