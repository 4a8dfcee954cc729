"""`make audit`: known faults of the libraries that the product is shipped with, their licences, and what a security
linter says of our own code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from tools.paths import ROOT

SHIPPED: Final = ROOT / "requirements" / "traces.txt"
"""The lock of the image: all that is installed where the product runs."""
ALLOWED: Final = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "MIT",
        "MIT-0",
        "MPL-2.0",
        "PSF-2.0",
        "PostgreSQL",
        "Unlicense",
    }
)
"""Licences (SPDX) under which libraries may be shipped with a closed product, unchanged."""
_AS_SPDX: Final[Mapping[str, str]] = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""What packages say that name their licence in other words."""
_BETWEEN: Final = re.compile(r"\s+(?:AND|OR)\s+|;\s*")
_PINNED: Final = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", re.MULTILINE)
_AUDIT_TIMEOUT_S: Final = 300


def shipped() -> dict[str, str]:
    """Names and versions of the libraries that are shipped."""
    return dict(_PINNED.findall(SHIPPED.read_text(encoding="utf-8")))


def refused(licences: Mapping[str, str]) -> Iterator[str]:
    """A line for each package, of name and licence as the package says it, that has a licence which is not allowed. Of
    several by `OR` or `;` one is enough, by `AND` all have to be allowed."""
    for name, said in sorted(licences.items()):
        parts = [_AS_SPDX.get(part, part) for part in _BETWEEN.split(said)]
        judged = [part in ALLOWED for part in parts]
        if not (all(judged) if " AND " in said else any(judged)):
            yield f"{name}: {said} is not among the licences of tools/audit.py"


def judged(report: Mapping[str, Any]) -> tuple[list[str], str]:
    """What pip-audit found, a line for each fault; and why it could not look, where it knows of no package at all."""
    packages = report["dependencies"]
    unknown = [each for each in packages if "skip_reason" in each]
    if len(unknown) == len(packages):
        return [], f"the advisory service knows none of {len(packages)} packages: {unknown[0]['skip_reason']}"
    faults = [
        f"{each['name']} {each['version']}: {fault['id']}, mended in {', '.join(fault['fix_versions']) or 'no version'}"
        for each in packages
        for fault in each.get("vulns", ())
    ]
    return faults + [f"{each['name']}: {each['skip_reason']}" for each in unknown], ""


def _advisories() -> tuple[list[str], str]:
    command = [
        "pip_audit",
        "--progress-spinner",
        "off",
        "--format",
        "json",
        "--disable-pip",
        "--require-hashes",
    ]
    try:
        done = _run(*command, "-r", str(SHIPPED), timeout_s=_AUDIT_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return [], "the advisory service does not answer"
    if not done.stdout.strip():
        return [], f"the advisory service cannot be asked: {done.stderr.strip().splitlines()[-1:]}"
    return judged(json.loads(done.stdout))


def _licences() -> tuple[list[str], str]:
    done = _run("piplicenses", "--format=json", "--from=mixed", "--packages", *shipped())
    found = {each["Name"]: each["License"] for each in json.loads(done.stdout)}
    return list(refused(found)), "" if found else "no package is installed"


def _our_code() -> tuple[list[str], str]:
    # From medium severity on; what is below, ruff holds (S).
    done = _run("bandit", "-q", "-r", "-ll", "-f", "json", "-x", "libs/gen", "libs", "services", "tools")
    found = json.loads(done.stdout)["results"]
    return [
        f"{each['filename']}:{each['line_number']}: {each['test_id']} {each['issue_text']}" for each in found
    ], ""


LOOKS: Final[Mapping[str, Callable[[], tuple[list[str], str]]]] = {
    "advisories": _advisories,
    "licences": _licences,
    "our code": _our_code,
}


def main() -> int:
    """Looks at all three; 1 if anything was found. What could not be looked at is said, and fails nothing."""
    status = 0
    for name, look in LOOKS.items():
        faults, skipped = look()
        print(
            f"{'skip' if skipped else 'FAIL' if faults else 'ok'}   {name:11} {skipped}".rstrip(),
            *faults,
            sep="\n     ",
        )
        status |= bool(faults)
    return status


def _run(module: str, *options: str, timeout_s: float | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=timeout_s)


if __name__ == "__main__":
    sys.exit(main())
