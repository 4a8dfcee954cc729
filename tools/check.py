"""``make check``: everything a change must pass without a server, several steps at a time.

``python -m tools.check`` runs all steps, ``python -m tools.check lint types`` these two. Prints one line a
step as it ends, then the output of those that failed. Exits 1 if any did.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Final

from tools.paths import ROOT

_BIN: Final = ROOT / ".venv" / "bin"
_PYTEST: Final = ("python", "-m", "pytest", "-q", "--no-header", "--hypothesis-profile=quick")
# Two halves that run beside each other and take as long as each other: the folders of the second.
_EDGES: Final = ("tests/unit/common", "tests/unit/channel_gateway")
# That the simulation finds what is planted tests the tests, and takes longer than the simulation: `make test` does it.
_PLANTED: Final = "--deselect=tests/sim/test_sim.py::test_a_planted_bug_is_found"
_ELSEWHERE: Final = (*_EDGES, "tests/sim", _PLANTED)

# Something hangs: all steps together take less than a minute.
_STEP_SECONDS_MAX: Final = 240

# The slowest first: what runs beside them decides how long the whole takes.
STEPS: Final[dict[str, tuple[str, ...]]] = {
    "tests": (
        *_PYTEST,
        *("tests/unit", "tests/property", "tests/golden"),
        *(f"--ignore={folder}" for folder in _EDGES),
    ),
    "types": ("mypy",),
    "edges": (*_PYTEST, *_ELSEWHERE),
    "contracts": ("python", "-m", "tools.contracts", "check"),
    "imports": ("lint-imports", "--no-logo"),
    "lint": ("ruff", "check", "--output-format=concise", "."),
    "format": ("ruff", "format", "--check", "--output-format=concise", "."),
}


@dataclass(frozen=True)
class Result:
    """How a step ended: its exit code, what it printed, how long it took."""

    name: str
    exit_code: int
    output: str
    seconds: float


def run(name: str) -> Result:
    """Runs one step to its end."""
    program, *arguments = STEPS[name]
    started = time.monotonic()
    with subprocess.Popen(
        [str(_BIN / program), *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=_STEP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            output = f"{process.communicate()[0]}\nstopped after {_STEP_SECONDS_MAX} s"
    return Result(name, process.returncode, output, time.monotonic() - started)


def main(names: Sequence[str]) -> int:
    """Runs the named steps (none named: all of them); 2 for a name that does not exist."""
    unknown = [name for name in names if name not in STEPS]
    if unknown:
        print(f"no step {', '.join(unknown)}; there are: {', '.join(STEPS)}", file=sys.stderr)
        return 2
    failed: list[Result] = []
    # One more than there are CPUs: three steps take about as long as each other, and tests also wait.
    with ThreadPoolExecutor(max_workers=1 + max(2, os.cpu_count() or 2)) as pool:
        for done in as_completed([pool.submit(run, name) for name in names or STEPS]):
            result = done.result()
            print(
                f"{'FAIL' if result.exit_code else 'ok':<5}{result.name:<10} {result.seconds:5.1f} s",
                flush=True,
            )
            if result.exit_code:
                failed.append(result)
    for result in failed:
        print(f"\n── {result.name}: {' '.join(STEPS[result.name])}\n{result.output.rstrip()}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
