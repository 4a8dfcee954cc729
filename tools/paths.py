"""Where things lie in the repository."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
BUILD: Final = ROOT / "build"
PROTOS: Final = ROOT / "protos"
GENERATED: Final = ROOT / "libs" / "gen"
