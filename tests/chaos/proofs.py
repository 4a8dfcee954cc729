"""What the checker says: one comparison each, and what it counted."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Proof:
    """One comparison: what, as it was found, as it must be."""

    what: str
    found: object
    wanted: object
    good: bool


@dataclass(slots=True)
class Proofs:
    """All comparisons of a check, and the counts behind them."""

    made: list[Proof] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def same(self, what: str, found: object, wanted: object) -> None:
        """Notes a comparison."""
        self.made.append(Proof(what, found, wanted, found == wanted))

    def at_most(self, what: str, found: int, limit: int) -> None:
        """Notes a comparison with a limit."""
        self.made.append(Proof(what, found, f"at most {limit}", found <= limit))

    def none(self, what: str, found: "list[object]") -> None:
        """Notes that there must be no exception; the first few are shown."""
        self.same(what, [str(each) for each in found[:5]], [])

    @property
    def bad(self) -> list[Proof]:
        """Those that do not agree."""
        return [proof for proof in self.made if not proof.good]
