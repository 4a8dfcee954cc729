"""`make matrix`: integration tests on each kind of server that the product takes and this machine has."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Final

from libs.embedded.binaries import installed_postgres
from libs.testing.pooler import pooler_binary
from libs.testing.redis_servers import redis_binary
from tools.paths import ROOT

OLDEST: Final = 15
SHORT: Final = (
    "tests/integration/common/test_pool.py",
    "tests/integration/common/test_leases.py",
    "tests/integration/common/test_pooler.py",
    "tests/integration/whole_path/test_effects.py",
)
LONG: Final = (
    "tests/integration/common",
    "tests/integration/mailbox",
    "tests/integration/points",
    "tests/integration/whole_path",
)
NOT_POOLED: Final = ("tests/integration/common/test_tls_servers.py",)
"""Tests that move PostgreSQL behind something else themselves."""
_SHOWN_OF_FAILURES: Final = 6_000


@dataclass
class Kind:
    """Servers that belong together."""

    name: str
    environment: dict[str, str] = field(default_factory=dict)
    missing: str = ""
    """What the machine lacks for it."""


def kinds(*, short: bool) -> list[Kind]:
    """What is tried: each kind of server once, or each with the others."""
    oldest = {"OMNIJOURNEY_TEST_POSTGRES": str(OLDEST)}
    redis = {"OMNIJOURNEY_TEST_REDIS": str(redis_binary() or "")}
    pooler = {"OMNIJOURNEY_TEST_POOLER": "on"}
    has_oldest = any(found.major == OLDEST for found in installed_postgres())
    no_postgres = "" if has_oldest else f"no PostgreSQL {OLDEST} (apt-get install postgresql-{OLDEST})"
    no_redis = "" if redis_binary() else "no Redis (apt-get install redis-server)"
    no_pooler = "" if pooler_binary() else "no PgBouncer (apt-get install pgbouncer)"
    tried = [
        Kind(f"PostgreSQL {OLDEST}, Redis", oldest | redis, no_postgres or no_redis),
        Kind("the newest PostgreSQL behind PgBouncer, Valkey", pooler, no_pooler),
    ]
    if not short:
        missing = no_postgres or no_redis or no_pooler
        tried += [
            Kind("the newest PostgreSQL, Redis", redis, no_redis),
            Kind(f"PostgreSQL {OLDEST} behind PgBouncer, Redis", oldest | redis | pooler, missing),
        ]
    return tried


def main(argv: list[str] | None = None) -> int:
    """Tries each kind and prints what came of it; 1 if tests failed on any."""
    parser = argparse.ArgumentParser(prog="python -m tools.matrix", description=__doc__)
    parser.add_argument("--short", action="store_true", help="fewer tests, and each kind of server once")
    given = parser.parse_args(argv)
    failed = 0
    for kind in kinds(short=given.short):
        if kind.missing:
            print(f"skipped  {kind.name}: {kind.missing}", flush=True)
            continue
        began_s = time.monotonic()
        passed = _try(kind, SHORT if given.short else LONG)
        failed += not passed
        took_s = time.monotonic() - began_s
        print(f"{'passed' if passed else 'failed'}   {kind.name} ({took_s:.0f} s)", flush=True)
    return 1 if failed else 0


def _try(kind: Kind, tests: tuple[str, ...]) -> bool:
    left_out = NOT_POOLED if "OMNIJOURNEY_TEST_POOLER" in kind.environment else ()
    ignored = [f"--ignore={test}" for test in left_out]
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", *ignored, *tests]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **kind.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        print(done.stdout[-_SHOWN_OF_FAILURES:])
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
