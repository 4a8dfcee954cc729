"""How long records are kept."""

from datetime import timedelta
from typing import Final

OUTCOMES_KEPT: Final = timedelta(days=400)
"""Domain time for which an outcome answers repetitions of its key: 13 months and a little. The database refuses to
drop younger ones than 13 months, to its owner too."""
