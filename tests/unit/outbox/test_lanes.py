"""Which row goes out when: the decisions of the relay, against an outbox that is a dict."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.outbox.lanes import AT_ONCE, LANE_ROWS, WINDOW, Lanes, ReadLane, Scan
from core.outbox.row import Row
from tests.kit.outgoing import NOON, row

SECOND = timedelta(seconds=1)


class Play:
    """Lanes, the outbox behind them, and everything that was sent."""

    def __init__(self, rows: Sequence[Row] = (), lanes: Lanes | None = None) -> None:
        self.lanes = lanes or Lanes()
        self.rows = {each.position: each for each in rows}
        self.now: datetime = NOON
        self.flying: list[Row] = []
        self.sent: list[Row] = []
        self.asked: Scan | ReadLane | None = None
        self.found: Sequence[Row] = ()

    def ask(self) -> None:
        """Begin a read: what it finds is what is there at this moment."""
        assert self.asked is None
        self.asked = self.lanes.wanted()
        pending = [each for _, each in sorted(self.rows.items()) if each.state == "pending"]
        if isinstance(self.asked, ReadLane):
            pending = [each for each in pending if each.alarm_id == self.asked.alarm_id]
        elif self.asked is not None:
            pending = [each for each in pending if each.position > self.asked.after]
        self.found = [] if self.asked is None else pending[: self.asked.limit]

    def answer(self) -> None:
        """End the read."""
        asked, self.asked = self.asked, None
        if isinstance(asked, ReadLane):
            self.lanes.lane_read(asked.alarm_id, self.found, self.now, asked.limit)
        elif asked is not None:
            self.lanes.scanned(self.found, self.now, asked.limit)

    def read(self) -> None:
        while True:
            self.ask()
            if self.asked is None:
                return
            self.answer()

    def take(self) -> Row | None:
        taken = self.lanes.take()
        if taken is not None:
            self.check(taken)
            self.flying.append(taken)
            self.sent.append(taken)
        return taken

    def check(self, taken: Row) -> None:
        """Nothing earlier of its alarm may be pending, and nothing of its alarm under way."""
        assert self.rows[taken.position].state == "pending"
        assert self.rows[taken.position].next_at <= self.now
        assert taken.alarm_id not in {each.alarm_id for each in self.flying}
        assert not [
            each
            for each in self.rows.values()
            if each.alarm_id == taken.alarm_id and each.position < taken.position and each.state == "pending"
        ]

    def settle(self, taken: Row, outcome: str) -> None:
        self.flying.remove(taken)
        if outcome == "failed":
            settled = replace(taken, attempts=taken.attempts + 1, next_at=self.now + 5 * SECOND)
        else:
            settled = replace(taken, state=outcome)
        self.rows[taken.position] = settled
        self.lanes.settled(settled, self.now)

    @property
    def dead(self) -> list[int]:
        return sorted(position for position, each in self.rows.items() if each.state == "dead")

    def revive(self, position: int) -> None:
        self.rows[position] = replace(self.rows[position], state="pending", attempts=0)
        self.lanes.rescan()

    def add(self, position: int, alarms: Sequence[str]) -> None:
        self.rows |= {position + index: row(position + index, alarm) for index, alarm in enumerate(alarms)}
        self.lanes.stir()

    def finish(self) -> None:
        """Let everything succeed from here on."""
        if self.asked is not None:
            self.answer()
        self.lanes.stir()
        for _ in range(10 * len(self.rows) + 10):
            self.lanes.wake(self.now)
            self.read()
            while self.take():
                pass
            if not self.flying:
                earliest = self.lanes.earliest()
                if earliest is None:
                    break
                self.now = max(self.now, earliest)
            for taken in list(self.flying):
                self.settle(taken, "delivered")
        assert self.lanes.idle
        assert not [each for each in self.rows.values() if each.state == "pending"]


def test_rows_of_one_alarm_go_one_after_the_other_and_alarms_beside_each_other() -> None:
    play = Play([row(1, "a"), row(2, "b"), row(3, "a")])
    play.read()
    first, second = play.take(), play.take()
    assert (first, second) == (row(1, "a"), row(2, "b"))
    assert play.take() is None
    assert first is not None
    play.settle(first, "delivered")
    assert play.take() == row(3, "a")


def test_a_failed_row_holds_back_its_alarm_and_no_other() -> None:
    play = Play([row(1, "a"), row(2, "a"), row(3, "b"), row(4, "b")])
    play.read()
    failing = play.take()
    assert failing is not None
    play.settle(failing, "failed")
    for expected in (3, 4):
        taken = play.take()
        assert taken is not None
        assert taken.position == expected
        play.settle(taken, "delivered")
    assert play.take() is None
    assert play.lanes.earliest() == NOON + 5 * SECOND
    play.now += 5 * SECOND
    play.finish()
    assert [each.position for each in play.sent] == [1, 3, 4, 1, 2]


def test_later_rows_pass_a_dead_one() -> None:
    play = Play([row(1, "a"), row(2, "a")])
    play.read()
    dead = play.take()
    assert dead is not None
    play.settle(dead, "dead")
    taken = play.take()
    assert taken is not None
    assert taken.position == 2


def test_a_failing_endpoint_is_called_by_one_at_a_time_until_it_answers() -> None:
    play = Play([row(number, f"alarm {number}") for number in range(1, 60)])
    play.read()
    while play.take():
        pass
    assert len(play.flying) == AT_ONCE
    for taken in list(play.flying):
        play.settle(taken, "failed")
    assert play.take() is not None
    assert play.take() is None
    play.settle(play.flying[0], "delivered")
    while play.take():
        pass
    assert len(play.flying) == 2


def test_a_backlog_of_any_size_is_held_a_window_at_a_time() -> None:
    play = Play([row(number, f"alarm {number % 500}") for number in range(1, 3_000)])
    play.read()
    assert play.lanes._loaded <= WINDOW * 3 // 2
    play.finish()
    assert len(play.sent) == 2_999


def test_one_busy_alarm_leaves_room_for_the_others() -> None:
    rows = [row(number, "busy") for number in range(1, 2 * WINDOW)] + [row(1_000, "other")]
    play = Play(rows)
    play.read()
    assert play.lanes._loaded == LANE_ROWS + 1
    assert [play.take(), play.take()] == [rows[0], rows[-1]]
    play.finish()


STEPS = {"add": 2, "ask": 4, "answer": 3, "take": 6, "settle": 5, "time": 1, "revive": 1}


def step(play: Play, chance: Random, name: str, position: int) -> None:
    """Take one step, if it is possible now."""
    if name == "add":
        play.add(position, chance.choices("abc", k=chance.randint(1, 5)))
    elif name == "ask" and play.asked is None:
        play.ask()
    elif name == "answer":
        play.answer()
    elif name == "take":
        play.take()
    elif name == "settle" and play.flying:
        outcome = chance.choice(["delivered", "delivered", "failed", "dead"])
        play.settle(chance.choice(play.flying), outcome)
    elif name == "time":
        play.now += SECOND * chance.randint(0, 10)
        play.lanes.wake(play.now)
    elif name == "revive" and play.asked is None and play.dead:
        play.revive(chance.choice(play.dead))


@given(st.integers())
def test_whatever_happens_rows_go_in_order_and_in_the_end_all_have_gone(seed: int) -> None:
    """The window is small, so that its edges are met often."""
    chance = Random(seed)
    play = Play(lanes=Lanes(4, window=4, lane_rows=2))
    names = chance.choices(list(STEPS), list(STEPS.values()), k=400)
    for number, name in enumerate(names):
        step(play, chance, name, 10 * number + 1)
    play.finish()


def test_a_row_that_came_back_to_life_goes_before_later_ones_of_its_alarm() -> None:
    play = Play([row(1, state="dead"), row(2, attempts=1, next_at=NOON + SECOND)])
    play.read()
    assert play.take() is None
    play.rows[1] = row(1)
    play.lanes.rescan()
    play.read()
    taken = play.take()
    assert taken is not None
    assert taken.position == 1
    play.settle(taken, "delivered")
    play.finish()
    assert [each.position for each in play.sent] == [1, 2]


def test_a_row_that_goes_out_while_a_scan_finds_it_is_not_sent_again() -> None:
    rows = [
        row(1, "a", attempts=1, next_at=NOON + SECOND),
        *(row(n, f"alarm {n}") for n in range(2, 6)),
        row(6, "a"),
    ]
    play = Play(rows, Lanes(window=4, lane_rows=8))
    play.read()
    play.now += SECOND
    play.lanes.wake(play.now)
    assert [play.take(), play.take()] == rows[1:3]
    play.read()
    taken = [play.take(), play.take()]
    assert taken == [rows[3], rows[0]]
    play.settle(rows[0], "delivered")
    assert play.take() == rows[5]
    play.ask()
    assert play.found == [*rows[4:]]
    play.settle(rows[5], "delivered")
    play.answer()
    assert play.take() == rows[4]
    assert play.take() is None
    play.finish()
    assert len(play.sent) == len(rows)


def test_a_row_that_comes_while_a_scan_is_under_way_is_read_afterwards() -> None:
    play = Play()
    play.ask()
    play.add(1, "a")
    play.answer()
    play.read()
    assert play.take() == row(1, "a")
