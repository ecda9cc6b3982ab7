"""Histories that folds and audits are tested with."""

from hypothesis import strategies as st

from tests.kit.history import History

moves = st.lists(st.tuples(st.sampled_from(["raised", "cleared", "acknowledged"]), st.sampled_from("abc")))


def history(steps: list[tuple[str, str]]) -> History:
    made = History()
    for move, source in steps:
        getattr(made, move)(source)
    return made


def long_history() -> History:
    return history(
        [("raised", "a"), ("raised", "b"), ("acknowledged", "a"), ("cleared", "a"), ("raised", "a")]
    )
