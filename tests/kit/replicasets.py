"""A real replica set for the tests, of one node or several, that can be broken and healed again."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from pymongo.errors import OperationFailure

from tests.kit.mongods import Mongod
from tests.kit.waiting import NeverHappened, wait_until

NAME = "tocsin"
HEAL_SECONDS = 60.0
"""How long a set may take until it is whole again: a rollback or a catch-up takes most of it."""
STEPPED_DOWN_SECONDS = 10

# Elections within a second or two rather than in ten to twelve.
SETTINGS = {
    "electionTimeoutMillis": 1_000,
    "heartbeatIntervalMillis": 200,
    "heartbeatTimeoutSecs": 1,
    # A new primary does not wait for ever for a node that is ahead of it but gives nothing away.
    "catchUpTimeoutMillis": 2_000,
}
STOP_REPLICATION = "stopReplProducer"


class ReplicaSet:
    """A replica set; as a context manager it starts, and is killed at the end.

    Every method may block, for a bounded time: in a coroutine call it by `asyncio.to_thread`.
    """

    def __init__(
        self, folder: Path, nodes: int = 1, *, oplog_mb: int = 64, checkpoint_seconds: int = 60
    ) -> None:
        """Take a folder and make what is needed in it; nothing is started yet."""
        self.nodes = [
            Mongod(
                folder / f"node{number}",
                replica_set=NAME,
                oplog_mb=oplog_mb,
                checkpoint_seconds=checkpoint_seconds,
            )
            for number in range(nodes)
        ]
        self._stopped: set[Mongod] = set()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def uri(self) -> str:
        """Where a driver finds the set, whoever is primary."""
        return f"mongodb://{','.join(node.address for node in self.nodes)}/?replicaSet={NAME}"

    def start(self) -> None:
        """Start all nodes, make them a set, and wait until it is whole."""
        for node in self.nodes:
            node.process.start()
        for node in self.nodes:
            node.wait_until_ready()
        members = [{"_id": number, "host": node.address} for number, node in enumerate(self.nodes)]
        config = {"_id": NAME, "version": 1, "members": members, "settings": SETTINGS}
        self.nodes[0].ask({"replSetInitiate": config}, seconds=HEAL_SECONDS)
        self.wait_until_healthy()

    def kill(self) -> None:
        """Kill -9 all nodes."""
        for node in self.nodes:
            node.kill()

    def primary(self, seconds: float = 30.0, *, but: Iterable[Mongod] = ()) -> Mongod:
        """Wait for a primary that is none of those, and return it.

        Of two, as when one just woke up, the one that was elected last.
        """
        others = [node for node in self.nodes if node not in set(but)]
        return wait_until("there is a primary", lambda: _newest_primary(others), seconds)

    def secondaries(self) -> list[Mongod]:
        """Return all nodes but the primary, also those that are down."""
        primary = self.primary()
        return [node for node in self.nodes if node is not primary]

    def step_down(self, seconds: int = STEPPED_DOWN_SECONDS) -> Mongod:
        """Let the primary step down for that long and return it; another is elected, unless it is alone."""
        primary = self.primary()
        command = {"replSetStepDown": seconds, "secondaryCatchUpPeriodSecs": 1, "force": True}
        primary.ask(command, seconds=30.0)
        return primary

    def stop_replication(self, nodes: Iterable[Mongod] | None = None) -> None:
        """Keep nodes (default: all secondaries that run) from replicating, and wait until they are.

        They go on voting: writes are no longer majority-committed, but a new primary can be elected.
        """
        primary = self.primary()
        others = [
            node for node in self.nodes if node is not primary and node.alive and not node.process.paused
        ]
        stopping = others if nodes is None else list(nodes)
        entered = {node: node.fail_point(STOP_REPLICATION) for node in stopping}
        self._stopped.update(stopping)
        # The fail point is noticed when the fetch that is under way comes back: give it something to fetch.
        self._note(primary)
        for node, times in entered.items():
            node.wait_for_fail_point(STOP_REPLICATION, times + 1)

    def release_replication(self) -> None:
        """Let all nodes replicate again that were stopped and still run; it takes up to two seconds."""
        for node in self._stopped:
            if node.alive:
                node.fail_point(STOP_REPLICATION, "off")
        self._stopped.clear()

    def heal(self, seconds: float = HEAL_SECONDS) -> None:
        """Undo everything that was done to the nodes, and wait until the set is whole again."""
        for node in self.nodes:
            node.heal()
        self.release_replication()
        self.wait_until_healthy(seconds)

    def wait_until_healthy(self, seconds: float = HEAL_SECONDS) -> None:
        """Wait until there is one primary, all others follow it, and a write reaches every node.

        Raises:
            NeverHappened: not within that time; the message has what each node says of itself.
        """
        try:
            wait_until("every node has the newest write", self._healthy, seconds)
        except NeverHappened as error:
            states = "; ".join(f"{node}: {_state(node)}" for node in self.nodes)
            raise NeverHappened(f"{error} ({states})") from error

    def _healthy(self) -> bool:
        states = [node.hello() or {} for node in self.nodes]
        primaries = [state.get("me") for state in states if state.get("isWritablePrimary")]
        followed = {state.get("primary") for state in states}
        able = all(state.get("isWritablePrimary") or state.get("secondary") for state in states)
        if not able or len(primaries) != 1 or followed != set(primaries):
            return False
        try:
            self._note(self.primary(1.0), everywhere=True)
        except (OSError, OperationFailure, NeverHappened):
            return False
        return True

    def _note(self, primary: Mongod, *, everywhere: bool = False) -> None:
        """Write an entry to the oplog that changes nothing, if asked to on every node."""
        # Said explicitly: without it a server waits for the majority, which may not come.
        concern = {"w": len(self.nodes), "wtimeout": 1_000} if everywhere else {"w": 1}
        command = {"appendOplogNote": 1, "data": {"kit": time.monotonic()}, "writeConcern": concern}
        primary.ask(command)


def _newest_primary(nodes: Iterable[Mongod]) -> Mongod | None:
    terms = {}
    for node in nodes:
        # A paused one would let us wait; it cannot be the answer.
        if node.alive and not node.process.paused:
            state = node.hello() or {}
            if state.get("isWritablePrimary"):
                terms[node] = state["electionId"]
    return max(terms, key=lambda node: terms[node], default=None)


def _state(node: Mongod) -> str:
    state = node.hello()
    if state is None:
        return "no answer" if node.alive else f"ended with status {node.process.returncode}"
    role = (
        "primary" if state.get("isWritablePrimary") else "secondary" if state.get("secondary") else "neither"
    )
    return f"{role}, follows {state.get('primary')}"
