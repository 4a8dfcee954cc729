"""What the bench compares with stays what it was."""

import hashlib

from tools.paths import ROOT

_FLOOR_0 = "749b351d4d3f222510b73b87ea8210f07112d7ed581270842763104fbd46436a"


def test_the_first_floor_is_never_changed() -> None:
    # Ratios to it are compared over releases: whoever wants another floor writes another script.
    script = (ROOT / "bench" / "floor_0.py").read_bytes()
    assert hashlib.sha256(script).hexdigest() == _FLOOR_0
