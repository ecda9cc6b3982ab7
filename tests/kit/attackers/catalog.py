"""Every attack that needs nothing but a port, by name; each lasts about as long as it is told."""

from collections.abc import Awaitable, Callable

from tests.kit.attackers import bodies, queries, readers, requests, sessions, silence
from tests.kit.attackers.target import Target

Attack = Callable[[Target, float], Awaitable[object]]

ATTACKS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        bodies.send_large_ids,
        bodies.send_many_alerts,
        bodies.send_many_details,
        bodies.send_many_elements,
        queries.search_the_past,
        readers.leave_events,
        readers.leave_exports,
        readers.leave_streams,
        requests.drip_bodies,
        requests.send_chunks_endlessly,
        requests.send_headers_endlessly,
        sessions.fragment_endlessly,
        sessions.hoard_snapshots,
        sessions.ping_deafly,
        silence.keep_silent,
        silence.never_introduce,
    )
}
