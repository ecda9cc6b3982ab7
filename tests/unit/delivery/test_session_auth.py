from datetime import datetime, timedelta

from core.access.callers import ANYONE, Caller
from core.access.revocations import Kind, Revocation
from core.delivery.limits import Limits
from core.delivery.protocol import ErrorMessage, Hello
from core.roles import Role
from tests.kit.delivery import NOW, Client, DeliveryStage

MINUTE = timedelta(minutes=1)


class Door:
    """Sessions that begin with nobody known."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.stage = DeliveryStage(limits=limits)
        self.delivery = self.stage.delivery

    def nobody(self) -> Client:
        return Client(self.delivery, None)

    def somebody(self, caller: Caller) -> Client:
        client = self.nobody()
        self.delivery.identify(client.session, caller, NOW)
        self.stage.pump()
        return client

    def at(self, now: datetime) -> None:
        self.delivery.end_overdue(now)
        self.stage.pump()


def caller(
    subject: str = "ann",
    tenant: str = "default",
    role: Role = "operator",
    expires_at: datetime | None = NOW + MINUTE,
    key_id: str | None = None,
) -> Caller:
    return Caller(
        tenant=tenant, subject=subject, roles=frozenset({role}), expires_at=expires_at, key_id=key_id
    )


def closing(client: Client) -> tuple[int, str] | None:
    return None if client.closed is None else (client.closed.code, client.closed.reason)


def test_nobody_is_told_anything_before_saying_who_they_are() -> None:
    door = Door()
    client = door.nobody()
    door.delivery.reset("log-2", 7)
    door.stage.pump()
    assert client.messages == []
    door.delivery.identify(client.session, caller(), NOW)
    door.stage.pump()
    assert client.messages == [Hello(log="log-2", position=7)]


def test_who_does_not_say_who_it_is_is_closed_in_time() -> None:
    door = Door()
    client = door.nobody()
    assert door.delivery.next_deadline == NOW + timedelta(seconds=10)
    door.at(NOW + timedelta(seconds=9.999))
    assert closing(client) is None
    door.at(NOW + timedelta(seconds=10))
    assert closing(client) == (4401, "not authenticated in time")
    assert door.delivery.next_deadline is None


def refusal(client: Client) -> tuple[str, tuple[int, str] | None]:
    (error,) = [each for each in client.messages if isinstance(each, ErrorMessage)]
    return error.code, closing(client)


def test_one_subject_cannot_take_all_places() -> None:
    door = Door(Limits(subject_sessions=2))
    first, _, third = (door.somebody(caller()) for _ in range(3))
    assert refusal(third) == ("too_many_sessions", (4429, "too_many_sessions"))
    # Neither others, nor who prolongs, nor another tenant's namesake is concerned.
    door.delivery.identify(first.session, caller(expires_at=NOW + 2 * MINUTE), NOW)
    assert closing(first) is None
    assert closing(door.somebody(caller("bob"))) is None
    assert door.delivery.refusal(caller()) is not None
    assert door.delivery.refusal(caller(tenant="other")) is None
    door.delivery.disconnect(first.session)
    assert door.delivery.refusal(caller()) is None


def test_one_tenant_cannot_take_all_places() -> None:
    door = Door(Limits(tenant_sessions=1))
    door.somebody(caller("ann"))
    assert refusal(door.somebody(caller("bob"))) == ("too_many_sessions", (4429, "too_many_sessions"))
    assert closing(door.somebody(caller("eve", tenant="other"))) is None


def test_without_authentication_only_the_limit_of_the_process_holds() -> None:
    door = Door(Limits(tenant_sessions=1, subject_sessions=1))
    assert [closing(door.somebody(ANYONE)) for _ in range(3)] == [None, None, None]


def test_a_session_ends_with_its_token() -> None:
    door = Door()
    short, long = door.somebody(caller()), door.somebody(caller(expires_at=NOW + 2 * MINUTE))
    door.at(NOW + MINUTE)
    assert (closing(short), closing(long)) == ((4401, "expired"), None)
    assert door.delivery.next_deadline == NOW + 2 * MINUTE


def test_a_newer_token_lets_a_session_go_on() -> None:
    door = Door()
    client = door.somebody(caller())
    door.delivery.identify(client.session, caller(expires_at=NOW + 2 * MINUTE), NOW)
    door.at(NOW + MINUTE)
    assert closing(client) is None
    assert client.messages == [Hello(log="log-1", position=0)] * 2
    door.at(NOW + 2 * MINUTE)
    assert closing(client) == (4401, "expired")


def test_a_session_stays_with_its_subject_and_tenant() -> None:
    door = Door()
    for other in (caller("bob"), caller(tenant="other"), caller(role="source")):
        client = door.somebody(caller())
        door.delivery.identify(client.session, other, NOW)
        door.stage.pump()
        assert client.closed is not None
        assert client.closed.code == 4403


def test_a_source_follows_nothing() -> None:
    door = Door()
    assert closing(door.somebody(caller(role="source"))) == (
        4403,
        "the role operator, viewer or admin is needed",
    )


def test_sessions_that_are_over_are_forgotten() -> None:
    door = Door()
    client = door.somebody(caller())
    door.delivery.disconnect(client.session)
    assert door.delivery.next_deadline is None
    assert door.delivery.sessions_of("default") == []


def test_saying_who_one_is_again_and_again_fills_no_memory() -> None:
    door = Door()
    client = door.somebody(caller())
    for second in range(10_000):
        later = caller(expires_at=NOW + timedelta(seconds=60 + second))
        door.delivery.identify(client.session, later, NOW)
        door.stage.pump()
    assert len(door.delivery._auth._deadlines) < 100
    assert door.delivery.next_deadline == NOW + timedelta(seconds=60 + 9_999)


def revocation(subject: str, tenant: str = "default", **more: str) -> Revocation:
    kind: Kind = "key" if more.get("kind") == "key" else "subject"
    return Revocation(
        id="1", kind=kind, tenant=tenant, subject=subject, at=NOW, reason=more.get("reason", "")
    )


def test_a_revocation_closes_whom_it_is_about() -> None:
    door = Door()
    clients = {
        "ann": door.somebody(caller("ann")),
        "ann elsewhere": door.somebody(caller("ann", "other")),
        "bob": door.somebody(caller("bob")),
        "key": door.somebody(caller("key:x", key_id="k1")),
    }
    door.delivery.revoke(revocation("ann", reason="go home"))
    door.delivery.revoke(revocation("k1", kind="key", reason="revoked"))
    door.stage.pump()
    assert {name: closing(client) for name, client in clients.items()} == {
        "ann": (4403, "go home"),
        "ann elsewhere": None,
        "bob": None,
        "key": (4401, "revoked"),
    }


def test_a_reason_fits_a_close() -> None:
    door = Door()
    client = door.somebody(caller())
    door.delivery.revoke(revocation("ann", reason="ä" * 100))
    door.stage.pump()
    assert closing(client) == (4403, "ä" * 61)


def test_sessions_are_shown_to_their_tenant() -> None:
    door = Door()
    client = door.somebody(caller())
    door.somebody(caller(tenant="other"))
    door.nobody()
    door.stage.subscribe(client)
    (info,) = door.delivery.sessions_of("default")
    assert (info.subject, info.tenant, info.since, info.expires_at) == ("ann", "default", NOW, NOW + MINUTE)
    assert (info.subscriptions, info.slow, info.encoding) == (1, False, "tocsin.v1.json")
