"""Which addresses the server may reach on behalf of a caller.

The check is made on the address that a socket is about to be opened to. Names that resolve to several addresses or to
another one later, literals in any notation, and every retry all pass there.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Mapping
from typing import Any

import aiohttp

from .settings import Network, as_network

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# The standard library counts both as global although they lead to any IPv4 address.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NAT64_LOCAL = ipaddress.IPv6Network("64:ff9b:1::/48")
_6TO4 = ipaddress.IPv6Network("2002::/16")
# Reserved, but global in some versions of the standard library: protocol assignments, relays of 6to4, documentation.
_RESERVED = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "3fff::/20")))
# All that is handed out; what lies outside, such as ::127.0.0.1, is nobody's even where the library says global.
_UNICAST = ipaddress.IPv6Network("2000::/3")

# Below 1024, recordings are served on these; on the others are services that might take a request for something else.
_WEB_PORTS = (80, 443)
_FIRST_FREE_PORT = 1024


class AddressRefusedError(OSError):
    """The address may not be reached."""


class AddressGuard:
    """Decides about addresses.

    Args:
        allowed: Names, addresses and ranges that may be reached although they are private.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        self._networks: list[Network] = []
        self._names: set[str] = set()
        for item in allowed:
            network = as_network(item)
            if network is None:
                self._names.add(item.rstrip("."))
            else:
                self._networks.append(network)

    def permits(self, host: str, address: str, port: int = 443) -> bool:
        """Tell whether *port* of *address*, found under the name *host*, may be reached."""
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        inner = _inner(found)
        if found.is_link_local or (inner is not None and inner.is_link_local):
            return False
        if host.lower().rstrip(".") in self._names or any(found in network for network in self._networks):
            return True
        if port not in _WEB_PORTS and port < _FIRST_FREE_PORT:
            return False
        if isinstance(found, ipaddress.IPv6Address) and (inner is not None or found not in _UNICAST):
            return False
        return found.is_global and not found.is_multicast and not any(found in network for network in _RESERVED)


class GuardedSockets:
    """Makes sockets to permitted addresses only, for a connector that is used for one *host* alone.

    Attributes:
        refused: Whether an address was turned down. Connectors try several and fold their errors into one.
    """

    def __init__(self, guard: AddressGuard, host: str) -> None:
        self._guard = guard
        self._host = host
        self.refused = False

    def __call__(self, info: tuple[Any, ...]) -> socket.socket:
        """Make the socket for an entry of ``getaddrinfo``, or raise :class:`AddressRefusedError`."""
        family, kind, protocol, _, address = info
        if not self._guard.permits(self._host, address[0], address[1]):
            self.refused = True
            raise AddressRefusedError(f"{address[0]} port {address[1]} may not be reached")
        return socket.socket(family, kind, protocol)


def guarded_session(
    sockets: GuardedSockets, *, timeout: aiohttp.ClientTimeout, headers: Mapping[str, str]
) -> aiohttp.ClientSession:
    """Return the session in which the server goes to one address that a caller named.

    Nothing outlives it: no cookie, connection or name lookup. Proxies and credentials of the environment are not used.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(socket_factory=sockets, force_close=True, use_dns_cache=False),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=timeout,
        trust_env=False,
        auto_decompress=False,
        headers={"Accept-Encoding": "identity", "User-Agent": "symbl_async", **headers},
    )


def _inner(address: Address) -> Address | None:
    """The IPv4 address that an IPv6 address stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _6TO4:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or address in _NAT64_LOCAL:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None
