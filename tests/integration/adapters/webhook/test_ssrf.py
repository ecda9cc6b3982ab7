import pytest

from adapters.webhook.sender import retry_after_of
from adapters.webhook.ssrf import SsrfGuard
from core.errors import AddressRefused, StartupRefused

PRIVATE = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.9.9.9",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
PUBLIC = (
    "1.1.1.1 8.8.8.8 93.184.216.34 100.63.255.255 172.32.0.1 2606:4700::1111 ::ffff:8.8.8.8 64:ff9b::808:808"
)


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_outside_the_public_internet_is_refused(address: str) -> None:
    with pytest.raises(AddressRefused):
        SsrfGuard().check("example.com", address)
    with pytest.raises(AddressRefused):
        SsrfGuard().check_literal(address)


@pytest.mark.parametrize("address", PUBLIC.split())
def test_a_public_address_is_not_refused(address: str) -> None:
    SsrfGuard().check("example.com", address)
    SsrfGuard().check_literal(f"[{address}]" if ":" in address else address)


def test_a_network_that_is_allowed_may_be_called_in_any_spelling() -> None:
    guard = SsrfGuard(["10.1.0.0/16", "::1", "intern.example"])
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "::1"):
        guard.check("whatever", address)
    with pytest.raises(AddressRefused):
        guard.check("whatever", "10.2.0.1")


def test_a_host_that_is_allowed_may_lead_anywhere() -> None:
    guard = SsrfGuard(["Intern.example"])
    guard.check("intern.EXAMPLE.", "10.0.0.1")
    with pytest.raises(AddressRefused):
        guard.check("other.example", "10.0.0.1")


@pytest.mark.parametrize("entry", ["", "10.0.0.0/33", "10.0.0.1/8", "1.2.3", "http://x/", "::zz"])
def test_an_allowance_that_is_neither_a_network_nor_a_host_refuses_the_start(entry: str) -> None:
    with pytest.raises(StartupRefused):
        SsrfGuard([entry])


@pytest.mark.parametrize(
    ("value", "seconds"), [(None, None), ("120", 120), ("-1", None), ("soon", None), ("9" * 99, 999999999999)]
)
def test_retry_after_is_read_in_seconds_if_it_makes_sense(value: str | None, seconds: float | None) -> None:
    assert retry_after_of(value) == seconds


def test_retry_after_may_be_a_date() -> None:
    assert retry_after_of("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert (retry_after_of("Wed, 21 Oct 2199 07:28:00 GMT") or 0) > 1e9
