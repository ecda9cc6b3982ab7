"""Keeps webhooks, whose URLs come from outside, from calling internal addresses (SSRF)."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from core.errors import AddressRefused, StartupRefused

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_REFUSED: tuple[Network, ...] = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",  # "this" network
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared address space of carriers, RFC 6598
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's metadata and health probes
        "169.254.0.0/16",  # link-local; clouds keep their credentials there
        "172.16.0.0/12",
        "192.0.0.0/24",  # IETF protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
"""IPv4 that is not the public Internet (RFC 6890 and its registry), or leads inside a cloud."""
_GLOBAL6 = IPv6Network("2000::/3")
"""All IPv6 that is allocated; unique local, link-local, site-local and multicast lie outside."""
_REFUSED6: tuple[Network, ...] = tuple(
    ip_network(network)
    for network in (
        "2001::/23",  # IETF protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")


class SsrfGuard:
    """Lets calls through to the public Internet and to whatever the setting allows.

    `allowed` names networks (CIDR), addresses and host names. A named host may resolve to any address.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        """Take the setting.

        Raises:
            StartupRefused: an entry is neither a network nor a host.
        """
        self._networks: list[Network] = []
        self._hosts: set[str] = set()
        for entry in allowed:
            self._allow(entry.strip())

    def check(self, host: str, address: str) -> None:
        """Check an address that the host's name resolved to. Raises AddressRefused."""
        if _plain_host(host) in self._hosts:
            return
        ip = ip_address(address.partition("%")[0])
        for each in (ip, embedded(ip)):
            if each is not None and any(each in network for network in self._networks):
                return
        if not is_public(ip):
            raise AddressRefused("its address is not of the public Internet")

    def check_literal(self, host: str) -> None:
        """Check a host that is an address; a name is checked once it is resolved.

        Raises:
            AddressRefused: the address must not be called.
        """
        try:
            ip_address(host.strip("[]").partition("%")[0])
        except ValueError:
            return
        self.check(host, host.strip("[]"))

    def _allow(self, entry: str) -> None:
        try:
            self._networks.append(ip_network(entry))
        except ValueError as error:
            if "/" in entry or ":" in entry or not entry or entry.replace(".", "").isdigit():
                raise StartupRefused(
                    f"webhooks cannot be allowed to call {entry!r}: it is no network (such as 10.1.0.0/16),"
                    " no address and no host name"
                ) from error
            self._hosts.add(_plain_host(entry))


def is_public(address: Address) -> bool:
    """Tell whether an address is of the public Internet; an embedded IPv4 address decides for IPv6."""
    inner = embedded(address)
    if inner is not None:
        return is_public(inner)
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _REFUSED)
    return address in _GLOBAL6 and not any(address in network for network in _REFUSED6)


def embedded(address: Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 one embeds (mapped, 6to4 or NAT64), None without one."""
    if isinstance(address, IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.sixtofour


def _plain_host(host: str) -> str:
    return host.rstrip(".").lower()
