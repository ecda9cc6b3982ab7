"""How a benchmark says what it found: ours against a floor measured in the same run."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One figure. `ratio` is ours / floor; `aim` says what it should be, such as ">= 0.6"."""

    name: str
    ours: str
    floor: str
    ratio: float
    aim: str

    @property
    def met(self) -> bool:
        """Whether the ratio reaches the aim."""
        relation, bound = self.aim.split()
        return self.ratio >= float(bound) if relation == ">=" else self.ratio <= float(bound)


def print_table(rows: list[Row]) -> None:
    """Print the rows as a table for people."""
    print(f"{'':<46} {'ours':>18} {'floor':>18} {'ratio':>7}  aim")
    for row in rows:
        mark = "" if row.met else "   <- missed"
        print(f"{row.name:<46} {row.ours:>18} {row.floor:>18} {row.ratio:>7.2f}  {row.aim}{mark}")


def median(values: list[float]) -> float:
    """Return the middle value."""
    return percentile(values, 0.5)


def percentile(values: list[float], share: float) -> float:
    """Return the value below which the share of all lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
