"""What happens in a shift, drawn by Hypothesis."""

from collections.abc import Iterable

from hypothesis import strategies as st

from tests.kit.history import Shift

steps = st.lists(
    st.tuples(
        st.sampled_from(["raised", "raised", "cleared", "acknowledged"]),
        st.sampled_from("abc"),
        st.sampled_from([0, 1, 9, 20, 61, 400, 3_000]),
    ),
    max_size=40,
)


def shift(moves: Iterable[tuple[str, str, float]]) -> Shift:
    made = Shift()
    for move, source, seconds in moves:
        getattr(made, move)(source)
        made.wait(seconds)
    return made
