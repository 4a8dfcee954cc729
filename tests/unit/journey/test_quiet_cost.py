"""What do-not-disturb costs a message: calls of Python, counted, since times depend on the machine (J-12f)."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Final

import pytest

from tools.paths import ROOT

EXTRA_CALLS_MAX: Final = 12
"""Two searches in times that are known already, and what leads to them."""


@pytest.mark.rule("J-12f")
def test_a_message_takes_no_more_with_two_windows_than_with_none_and_with_many_as_with_two() -> None:
    command = [sys.executable, "-m", "tests.unit.journey.quiet_cost"]
    counted = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60)
    none, two, many = json.loads(counted.stdout)
    assert many == two
    assert none <= two <= none + EXTRA_CALLS_MAX
    assert none > 5 * EXTRA_CALLS_MAX, "next to what a message takes at all"
