from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from core.alarm.alarm import Alarm
from core.alarm.events import Event
from core.delivery.encodings.encoding import Encoding
from core.delivery.encodings.json import JSON
from core.delivery.encodings.msgpack import MESSAGE_PACK
from core.delivery.protocol import Unsubscribe
from core.delivery.requests import NeedPage, NeedSnapshot, NeedTail
from core.delivery.session import Stage, Subscription
from core.lists.filter import Filter
from tests.kit.delivery import Client, DeliveryStage, Received

RING, PAGE, FRAME, LAG, MATCHES = 8, 4, 3_000, 5, 6
ROUNDS = 1_000
"""More than any history here takes to be delivered."""

SOURCES = ["a/1", "a/2", "a/b/3", "c"]
LABELS: list[dict[str, str]] = [{}, {"site": "x"}, {"site": "y"}, {"site": "x", "unit": "1"}]
FILTERS = [
    Filter(),
    Filter(),
    Filter(min_severity="major"),
    Filter(min_severity="major"),
    Filter(sources=frozenset({"a/1"})),
    Filter(sources=frozenset({"a/*", "c"}), min_severity="major"),
    Filter(types=frozenset({"heat"})),
    Filter(min_severity="critical"),
    Filter(labels={"site": "x"}),
    Filter(labels={"site": "x", "unit": "1"}, types=frozenset({"pressure"})),
    Filter(sources=frozenset({"nowhere"})),
]

some_report = st.tuples(
    st.sampled_from(SOURCES),
    st.sampled_from(["critical", "major", "warning"]),
    st.sampled_from(["pressure", "heat"]),
    st.sampled_from(LABELS),
    st.sampled_from(["default", "default", "default", "other"]),
    st.booleans(),
)
pick = st.integers(0, 1_000)


class Scan:
    """A driver's scan of the alarm list, in pages of two rows, each as it stands when it is read."""

    def __init__(self, subscription: Subscription[Client], machine: "DeliveryMachine") -> None:
        self.subscription = subscription
        self.machine = machine
        self.steps = self._steps()

    def step(self, projected: int) -> bool:
        """Go one step, with the list at this position; False: it is over."""
        self.projected = projected
        return next(self.steps, False)

    def _steps(self) -> Iterator[bool]:
        delivery = self.machine.stage.delivery
        for restart in (True, False):
            delivery.snapshot_began(self.subscription, self.projected)
            yield True
            after = ""
            while rows := self._rows(after):
                delivery.snapshot_rows(self.subscription, rows)
                after = rows[-1].id
                yield True
            if restart and not self.machine.swapped:
                break
        delivery.snapshot_ended(self.subscription)

    def _rows(self, after: str) -> list[Alarm]:
        newest: dict[str, Alarm] = {}
        for event in self.machine.log[: self.projected]:
            newest[event.stream] = event.alarm
        tenant = self.subscription.session.tenant
        found = [alarm for alarm in newest.values() if alarm.tenant == tenant and alarm.id > after]
        return sorted(found, key=lambda alarm: alarm.id)[:2]


class DeliveryMachine(RuleBasedStateMachine):
    """Whatever happens in whatever order, each client sees what the log holds for it: all, once, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = [
            patch("core.delivery.pages.PAGE_EVENTS", PAGE),
            patch("core.delivery.frame.FRAME_BYTES", FRAME),
            patch("core.delivery.subscriptions.FRAME_BYTES", FRAME),
            patch("core.delivery.fanout.POSITION_LAG", LAG),
            patch("core.delivery.cohort.MATCHES", MATCHES),
        ]
        for each in self.patches:
            each.start()
        self.stage = DeliveryStage(ring_events=RING)
        self.clients: list[Client] = []
        self.lost: list[tuple[Client, Received]] = []
        self.requests: list[NeedPage | NeedTail] = []
        self.scans: list[Scan] = []
        self.published = 0
        self.swapped = False
        self.names = 0

    @property
    def log(self) -> list[Event]:
        """The whole log, of which this process has published a part."""
        return self.stage.plant.events

    @rule(reports=st.lists(some_report, min_size=1, max_size=12))
    def append(self, reports: list[Any]) -> None:
        for source, severity, kind, labels, tenant, end in reports:
            event = self.stage.plant.reported(source, severity, type=kind, labels=labels, tenant=tenant)
            if end:
                self.stage.plant.ended(event.alarm)

    @rule(reports=st.lists(some_report, min_size=1, max_size=12))
    def happen(self, reports: list[Any]) -> None:
        self.append(reports)
        self.publish(len(self.log))

    @rule(most=st.integers(1, 30))
    def publish(self, most: int) -> None:
        batch = self.log[self.published : self.published + most]
        self.published += len(batch)
        self.stage.publish(*batch)

    @rule(encoding=st.sampled_from([JSON, MESSAGE_PACK]), tenant=st.sampled_from(["default"] * 4 + ["other"]))
    def connect(self, encoding: Encoding, tenant: str) -> None:
        self.clients.append(self.stage.client(tenant, encoding))

    @precondition(lambda self: self.clients)
    @rule(who=pick, wanted=st.sampled_from(FILTERS), where=pick, conflate=st.booleans())
    def subscribe(self, who: int, wanted: Filter, where: int, conflate: bool) -> None:
        choices = [None, *range(len(self.log) + 3)]
        after = choices[where % len(choices)]
        client = self.clients[who % len(self.clients)]
        self.begin(client, filter=wanted, after=after, conflate=conflate)

    @precondition(lambda self: self.clients)
    @rule(who=pick, wanted=st.sampled_from(FILTERS), conflate=st.booleans())
    def subscribe_with_snapshot(self, who: int, wanted: Filter, conflate: bool) -> None:
        client = self.clients[who % len(self.clients)]
        self.begin(client, filter=wanted, snapshot=True, conflate=conflate)

    @precondition(lambda self: self.lost)
    @rule(which=pick)
    def resume(self, which: int) -> None:
        client, received = self.lost.pop(which % len(self.lost))
        back = self.stage.client(received.tenant, client.encoding)
        self.clients.append(back)
        again = self.begin(
            back, filter=received.filter, after=received.position, conflate=received.conflate, log="log-1"
        )
        # What was learned before the connection was lost stays known.
        again.whole, again.rows = received.whole, received.rows

    @precondition(lambda self: self.clients)
    @rule(who=pick)
    def stall(self, who: int) -> None:
        self.clients[who % len(self.clients)].stalled = True

    @precondition(lambda self: self.clients)
    @rule(who=pick)
    def take_data_again(self, who: int) -> None:
        self.stage.resume(self.clients[who % len(self.clients)])

    @precondition(lambda self: self.clients)
    @rule(who=pick)
    def drop(self, who: int) -> None:
        client = self.clients.pop(who % len(self.clients))
        self.stage.delivery.disconnect(client.session)
        self.lost += [(client, each) for each in client.received.values() if each.live and not each.over]

    @precondition(lambda self: any(client.session.subscriptions for client in self.clients))
    @rule(who=pick)
    def unsubscribe(self, who: int) -> None:
        open_ones = [(client, name) for client in self.clients for name in client.session.subscriptions]
        client, name = open_ones[who % len(open_ones)]
        self.stage.delivery.handle(client.session, Unsubscribe(id=name))
        # What was answered before may still be under way; events may not.
        client.received[name].end()

    @rule(most=st.integers(1, 20))
    def pump(self, most: int) -> None:
        self.stage.pump(most)

    @rule()
    def tick(self) -> None:
        self.stage.delivery.tick()

    @rule(which=pick, short=st.integers(0, 3))
    def answer(self, which: int, short: int) -> None:
        if self.requests:
            self.reply(self.requests.pop(which % len(self.requests)), short)

    @precondition(lambda self: self.scans)
    @rule(
        which=pick,
        lag=st.integers(0, 5),
        swapped=st.booleans(),
        meanwhile=st.lists(st.lists(some_report, max_size=3), min_size=1, max_size=6),
    )
    def scan(self, which: int, lag: int, swapped: bool, meanwhile: list[list[Any]]) -> None:
        scan = self.scans[which % len(self.scans)]
        self.swapped = swapped
        for reports in meanwhile:
            if not scan.step(max(0, len(self.log) - lag)):
                self.scans.remove(scan)
                break
            self.append(reports)

    @invariant()
    def fetch(self) -> None:
        """Take what the delivery needs; scans of the alarm list begin at once."""
        for request in self.stage.delivery.requests():
            if isinstance(request, NeedSnapshot):
                self.scans.append(Scan(request.subscription, self))
            else:
                self.requests.append(request)

    @invariant()
    def bounded(self) -> None:
        delivery = self.stage.delivery
        assert len(delivery._ring) <= RING
        for client in self.clients:
            for subscription in client.session.subscriptions.values():
                assert len(subscription.cohort._positions) <= MATCHES
        users = sum(len(client.session.subscriptions) for client in self.clients)
        cohorts = delivery._fanout._cohorts._cohorts.values()
        assert sum(max(len(cohort.members), cohort.users) for cohort in cohorts) <= users
        assert len(delivery.sessions) == len(self.clients)

    def teardown(self) -> None:
        try:
            self.publish(len(self.log))
            self.finish()
        finally:
            for each in self.patches:
                each.stop()

    def begin(self, client: Client, **wanted: Any) -> Received:
        self.names += 1
        return self.stage.subscribe(client, f"s{self.names % 2}-{self.names}", **wanted)

    def reply(self, request: NeedPage | NeedTail, short: int) -> None:
        match request:
            case NeedPage():
                end = (request.number + 1) * PAGE - short
                self.stage.delivery.page(request, self.log[request.after : max(request.after, end)])
            case NeedTail():
                self.stage.delivery.tail(request, len(self.log))

    def finish(self) -> None:
        """Let everyone take everything; then nothing may be missing, and nothing be left over."""
        self.swapped = False
        for client in self.clients:
            self.stage.resume(client)
        rounds = 0
        while self.stage.pump() or self.requests or self.scans:
            rounds += 1
            assert rounds < ROUNDS, "it never comes to rest"
            for request in self.requests:
                self.reply(request, 0)
            self.requests.clear()
            self.scans = [scan for scan in self.scans if scan.step(len(self.log))]
            self.fetch()
        for client in self.clients:
            for received in client.received.values():
                received.settled(self.log)
            for subscription in client.session.subscriptions.values():
                assert subscription.stage is Stage.LIVE
            self.stage.delivery.disconnect(client.session)
        assert len(self.stage.delivery._fanout._cohorts) == 0
        assert not self.stage.delivery.sessions


TestDelivery = DeliveryMachine.TestCase
TestDelivery.settings = settings(stateful_step_count=60)
