"""All cohorts of a process, and the index that finds those that an event concerns."""

from collections.abc import Iterator
from typing import Generic

from core.alarm.events import Event
from core.delivery.cohort import Cohort, CohortKey
from core.delivery.encodings.encoding import Encoding
from core.delivery.index import Index
from core.delivery.session import PeerT, Subscription
from core.lists.filter import Filter


class Cohorts(Generic[PeerT]):
    """Creates a cohort with its first subscription, and drops it with its last."""

    def __init__(self) -> None:
        self._cohorts: dict[CohortKey, Cohort[PeerT]] = {}
        self._indexes: dict[str, Index[Cohort[PeerT]]] = {}

    def __len__(self) -> int:
        return len(self._cohorts)

    def enter(self, tenant: str, wanted: Filter, encoding: Encoding, since: int) -> Cohort[PeerT]:
        """Return the cohort for one more subscription; a new cohort remembers matches after `since`."""
        key = (tenant, wanted, encoding.subprotocol)
        cohort = self._cohorts.get(key)
        if cohort is None:
            cohort = self._cohorts[key] = Cohort(tenant, wanted, encoding, since)
            self._indexes.setdefault(tenant, Index()).add(wanted, cohort)
        cohort.users += 1
        return cohort

    def leave(self, subscription: Subscription[PeerT]) -> None:
        """Take a subscription out of its cohort."""
        cohort = subscription.cohort
        cohort.members.pop(subscription, None)
        cohort.users -= 1
        if not cohort.users:
            del self._cohorts[cohort.key]
            index = self._indexes[cohort.tenant]
            index.remove(cohort.filter, cohort)
            if not index:
                del self._indexes[cohort.tenant]

    def concerned(self, event: Event) -> Iterator[tuple[Cohort[PeerT], bool]]:
        """Yield the cohorts whose filter the event matches, and whether its alarm left that filter."""
        index = self._indexes.get(event.tenant)
        if index is None:
            return
        for cohort in index.candidates(event):
            verdict = cohort.matcher.verdict(event)
            if verdict != "no":
                yield cohort, verdict == "left"
