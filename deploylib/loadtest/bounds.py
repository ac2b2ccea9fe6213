"""Bounds keep a locustfile to the environment's services, whatever it sends with.

What is only looked at in ``self.client.get`` is passed by a ``host`` that is set later, by ``client.base_url``, by an ``@`` in a
path, and by a library of one's own. But each of them looks a name up and connects, and Python tells who asked to be told (PEP
578). A method is written in one place by each of locust's clients; requests, urllib3 and ``http.client`` share theirs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from http.client import HTTPConnection
from typing import Any, NoReturn
from urllib.parse import urlsplit

from geventhttpclient.client import HTTPClient

__all__ = ["set_bounds"]

READING = {"GET", "HEAD", "OPTIONS"}
PORTS = {"http": 80, "https": 443}
WRITERS = ((HTTPConnection, "putrequest"), (HTTPClient, "request"))


def set_bounds(hosts: Iterable[str], refuse: Callable[[str], NoReturn], *, write: bool) -> None:
    """Refuse what goes elsewhere, and what writes.

    Args:
        hosts: addresses that may be asked.
        refuse: is told what was tried, and raises.
        write: methods that change something are sent as well.
    """
    allowed = {_place(host) for host in hosts}
    names, ports = {name for name, _ in allowed}, {port for _, port in allowed}

    def see(event: str, given: tuple[Any, ...]) -> None:
        if event == "socket.getaddrinfo" and given[0] is not None:
            name, port = _name(_text(given[0])), _text(given[1] or "")
            # gevent looks a name up without its port, and connects to that one then
            if (name, port) not in allowed and (port or name not in names):
                refuse(f"it asks {name}{port and ':'}{port}, which is no service of the environment")
        elif event == "socket.connect" and isinstance(given[1], tuple) and str(given[1][1]) not in ports:
            refuse(f"it asks {given[1][0]}:{given[1][1]}, which is no service of the environment")

    sys.addaudithook(see)
    if not write:
        for client, name in WRITERS:
            _keep_reading(client, name, refuse)


def _keep_reading(client: type[Any], name: str, refuse: Callable[[str], NoReturn]) -> None:
    send = getattr(client, name)

    def request(self: Any, method: str, path: str, *args: Any, **kwargs: Any) -> Any:
        if method.upper() not in READING:
            refuse(f"it sends {method.upper()} {path.partition('?')[0]}: only with --write, and never to production")
        return send(self, method, path, *args, **kwargs)

    setattr(client, name, request)


def _place(host: str) -> tuple[str, str]:
    """Name and port, in the form in which they are looked up."""
    parts = urlsplit(host)
    return _name(parts.hostname or ""), str(parts.port or PORTS.get(parts.scheme, 0))


def _name(host: str) -> str:
    """Write a name as it is looked up.

    One with other letters than those of ASCII is written in two ways.
    """
    plain = host.lower().rstrip(".")
    return plain if plain.isascii() else plain.encode("idna").decode()


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
