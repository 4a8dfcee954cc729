"""Crash points: what may be asked for, and that nothing happens unless it is."""

import signal
import subprocess
import sys

import pytest

from libs.common import crash


def test_points_are_read() -> None:
    found = crash.parse("journey.before_commit:0.01:7, gateway.after_mark:1:8")
    assert found == [
        crash.CrashPoint("journey.before_commit", 0.01, 7),
        crash.CrashPoint("gateway.after_mark", 1.0, 8),
    ]
    assert crash.parse("") == []


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ("nowhere:0.5:1", "no crash point 'nowhere'"),
        ("journey.before_commit", "is not point:probability:seed"),
        ("journey.before_commit:often:1", "is not point:probability:seed"),
        ("journey.before_commit:1.5:1", "not between 0 and 1"),
    ],
)
def test_what_is_wrong_is_named(spec: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        crash.parse(spec)


@pytest.mark.parametrize(("probability", "code"), [("1", -signal.SIGKILL), ("0", 0)])
def test_a_process_dies_where_its_number_is_up_and_nowhere_else(probability: str, code: int) -> None:
    program = (
        "from libs.common import crash\n"
        "crash.reach('points.after_commit')\n"
        f"crash.arm('points.after_commit:{probability}:1')\n"
        "crash.reach('points.before_commit')\n"
        "crash.reach('points.after_commit')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == code
    assert (b"crash point" in done.stdout + done.stderr) or code == 0
