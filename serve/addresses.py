"""Pictures and clips by address: only from where the operator allowed, at every step of the way.

An address is fetched when it begins with an allowed one. Its host's name is resolved here, every address it
has must be a public one, and the connection goes to the very address that was looked at; so a name that
answers differently the second time leads nowhere. Redirects are followed by the same rules. A private or
loopback address is reached only if the operator allowed it by its number (`--allow http://127.0.0.1:9000/`).
"""

import http.client
import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any
from urllib.parse import SplitResult, urljoin, urlsplit

from cinescribe import storage
from cinescribe.errors import UsageError
from cinescribe.media.cache import split_s3
from serve.replies import refusal

_HOPS = 4
_BLOCK = 64 * 1024
_ODD = re.compile(r"[\x00-\x20\x7f\\]|%(?:2e|2f|5c|00)|/\.{1,2}(?:/|$|\?|#)", re.IGNORECASE)


def check_allowed(allow: Sequence[str]) -> None:
    """Check what the operator allows. Raises UsageError on what is no s3://, http:// or https:// prefix."""
    for prefix in allow:
        parts = urlsplit(prefix)
        if parts.scheme not in ("s3", "http", "https") or not parts.hostname or "@" in parts.netloc:
            raise UsageError(
                f"--allow {prefix}: give s3://bucket/prefix or https://host/path, without name and password"
            )


def fetch(address: str, allow: Sequence[str], target: Path, most_bytes: int, seconds: float) -> None:
    """Write what is at `address` to `target`.

    Raises:
        HTTPException: 403 not allowed, 413 too large, 408 too slow, 502 for all that goes wrong over there.
    """
    deadline = time.monotonic() + seconds
    with target.open("wb") as file:
        if address.startswith("s3://"):
            _fetch_s3(address, allow, file, most_bytes, deadline)
            return
        for _ in range(_HOPS):
            following = _fetch_http(address, allow, file, most_bytes, deadline)
            if following is None:
                return
            address = urljoin(address, following)
    raise refusal(502, "redirects", "the address leads from one to another too often")


def is_allowed(address: str, allow: Sequence[str]) -> bool:
    """Whether an address begins with one of those allowed, at a boundary of its path."""
    if _ODD.search(address):
        return False
    try:
        wanted = urlsplit(address)
        return any(_covers(urlsplit(prefix), wanted) for prefix in allow)
    except ValueError:  # a port or an IPv6 address that is none
        return False


def _covers(prefix: SplitResult, wanted: SplitResult) -> bool:
    folder = prefix.path.rstrip("/") + "/"
    path = wanted.path or "/"
    return (
        prefix.scheme == wanted.scheme
        and "@" not in wanted.netloc
        and (prefix.hostname or "").rstrip(".") == (wanted.hostname or "").rstrip(".")
        and _port(prefix) == _port(wanted)
        and (path.startswith(folder) or (path == prefix.path and prefix.path not in ("", "/")))
    )


def _port(parts: SplitResult) -> int | None:
    return parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _refuse_address() -> Any:
    return refusal(403, "address", "the service may not fetch from that address; upload the file instead")


def _fetch_s3(address: str, allow: Sequence[str], file: IO[bytes], most_bytes: int, deadline: float) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    if not is_allowed(address, allow):
        raise _refuse_address()
    bucket, key = split_s3(address)
    try:
        body = storage.s3_client().get_object(Bucket=bucket, Key=key)["Body"]
        try:
            _copy(iter(lambda: body.read(_BLOCK), b""), file, most_bytes, deadline)
        finally:
            body.close()
    except (BotoCoreError, ClientError) as error:
        raise refusal(502, "address", "the object can't be read; check its name") from error


def _fetch_http(
    address: str, allow: Sequence[str], file: IO[bytes], most_bytes: int, deadline: float
) -> str | None:
    """Fetch one address into `file`, or give the one it redirects to."""
    if not is_allowed(address, allow):
        raise _refuse_address()
    parts = urlsplit(address)
    host, port = str(parts.hostname), _port(parts) or 0
    number = resolve(host, port, allow)
    try:
        connection = _connection(parts.scheme, host, port, number, deadline)
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", path, headers={"User-Agent": "cinescribe", "Accept": "image/*,video/*"})
            reply = connection.getresponse()
            if reply.status in (301, 302, 303, 307, 308):
                return reply.headers.get("location") or ""
            if reply.status != 200:
                raise refusal(502, "address", f"the address answered {reply.status}")
            _copy(iter(lambda: reply.read1(_BLOCK), b""), file, most_bytes, deadline, connection)
        finally:
            connection.close()
    except TimeoutError as error:
        raise _too_slow() from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise refusal(502, "address", "the address does not answer as a web server should") from error
    return None


def resolve(host: str, port: int, allow: Sequence[str]) -> str:
    """The number to connect to. Raises HTTPException 403 if any number of the host is not public."""
    named = {urlsplit(prefix).hostname for prefix in allow}
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise refusal(502, "address", "the host of the address is not known") from error
    numbers = [str(entry[4][0]) for entry in found]
    by_number = _is_number(host) and host in named  # the operator wrote this very number
    if not by_number and not all(is_public(number) for number in numbers):
        raise _refuse_address()
    return numbers[0]


def is_public(number: str) -> bool:
    """Whether an IP address is one of the open internet's, also behind IPv6 forms that carry an IPv4 one."""
    address = ipaddress.ip_address(number.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return address.is_global and not address.is_multicast and not address.is_reserved


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _connection(
    scheme: str, host: str, port: int, number: str, deadline: float
) -> http.client.HTTPConnection:
    """A connection to `number` that speaks, and checks certificates, as one to `host`."""
    left = max(0.1, deadline - time.monotonic())
    connection: http.client.HTTPConnection
    if scheme == "https":
        connection = http.client.HTTPSConnection(host, port, timeout=left)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=left)
    plain = socket.create_connection((number, port), left)
    if scheme == "https":
        connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
    else:
        connection.sock = plain
    return connection


def _copy(blocks: Any, file: IO[bytes], most_bytes: int, deadline: float, connection: Any = None) -> None:
    total = 0
    for block in blocks:
        total += len(block)
        if total > most_bytes:
            raise refusal(413, "too-large", f"more than {most_bytes / 2**20:.0f} MB at that address")
        file.write(block)
        left = deadline - time.monotonic()
        if left <= 0:
            raise _too_slow()
        if connection is not None and connection.sock is not None:
            connection.sock.settimeout(left)


def _too_slow() -> Any:
    return refusal(408, "too-slow", "the address is too slow; upload the file instead")
