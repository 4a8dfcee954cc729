"""``make protos``, ``protos-baseline``, ``unimplemented``, and the contracts' part of ``make check``."""

import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from tools.contracts import baseline, conventions, generate, unimplemented
from tools.paths import PROTOS, ROOT

_BUF = str(Path(sysconfig.get_path("scripts")) / "buf")


def write_code() -> int:
    """Generates ``libs/gen``."""
    print(f"{generate.write()} generated files changed")
    return 0


def write_baseline() -> int:
    """Moves the baseline for breaking changes."""
    print(f"{baseline.write(unimplemented.missing_rpcs())} RPCs in {baseline.BASELINE.relative_to(ROOT)}")
    return 0


def write_unimplemented() -> int:
    """Writes ``docs/unimplemented.md``."""
    unimplemented.PAGE.write_text(unimplemented.page(), encoding="utf-8")
    print(f"{len(unimplemented.missing_rpcs())} RPCs without an implementation")
    return 0


def check() -> int:
    """Style, format, conventions, breaking changes and drift; 1 with the faults of all of them, 0 if there are none."""
    protos = str(PROTOS.relative_to(ROOT))
    faults = _buf("format", "--diff", "--exit-code", protos)
    with tempfile.TemporaryDirectory() as scratch:
        image = Path(scratch) / "image.binpb"
        image.write_bytes(generate.image().SerializeToString())
        checked = (str(image), "--config", str(PROTOS / "buf.yaml"))
        faults += _buf("lint", *checked)
        if baseline.BASELINE.exists():
            faults += _buf("breaking", *checked, "--against", str(baseline.BASELINE.relative_to(ROOT)))
    broken = conventions.check(baseline.image())
    if broken:
        faults += ["against docs/contracts.md:", *broken]
    drift = generate.drift()
    if drift:
        faults += ["libs/gen is not what protos/ stands for; run: make protos", *drift]
    implemented = {
        f"{service.name}.{rpc}"
        for service in unimplemented.services()
        for rpc in service.rpcs
        if rpc not in service.missing
    }
    unguarded = baseline.unguarded(implemented)
    if unguarded:
        faults += ["implemented, but not in the baseline; run: make protos-baseline", *unguarded]
    print("\n".join(faults), end="\n" if faults else "")
    return int(bool(faults))


def _buf(*arguments: str) -> list[str]:
    """What buf found, empty if all is well."""
    ended = subprocess.run([_BUF, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if not ended.returncode:
        return []
    said = (ended.stdout + ended.stderr).strip()
    return [said or f"buf {arguments[0]} ended with {ended.returncode}"]


_TASKS = {
    "generate": write_code,
    "baseline": write_baseline,
    "unimplemented": write_unimplemented,
    "check": check,
}


def main() -> int:
    """Runs the task that the command line names."""
    if len(sys.argv) != 2 or sys.argv[1] not in _TASKS:
        print(f"usage: python -m tools.contracts {'|'.join(_TASKS)}", file=sys.stderr)
        return 2
    try:
        return _TASKS[sys.argv[1]]()
    except (generate.ProtocError, unimplemented.ServicerError, baseline.BaselineError) as fault:
        print(fault, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
