"""A certificate that the edge shows to nobody, so that it makes none.

No port of ours speaks TLS; Traefik makes itself a certificate all the same, a new one with each change of its routes, and
looks for the primes of its key for a tenth of a second. This one costs nothing: its key is the number one, whose public
half is the generator of the curve itself; signed it is not, as nobody looks.
"""

from __future__ import annotations

import base64
import textwrap

_SEQUENCE, _INTEGER, _BITS, _OCTETS, _OBJECT, _UTC, _CURVE_OF_KEY = 0x30, 0x02, 0x03, 0x04, 0x06, 0x17, 0xA0
_P256, _PUBLIC_KEY, _SIGNED = "2A8648CE3D030107", "2A8648CE3D0201", "2A8648CE3D040302"  # RFC 5480, RFC 5758
_GENERATOR = (
    "6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296"
    "4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5"
)


def certificate() -> str:
    """The certificate, as PEM."""
    algorithm, nobody = _der(_SEQUENCE, _named(_SIGNED)), _der(_SEQUENCE)
    always = _der(_SEQUENCE, _der(_UTC, b"000101000000Z"), _der(_UTC, b"491231235959Z"))
    curve = _der(_SEQUENCE, _named(_PUBLIC_KEY), _named(_P256))
    key = _der(_SEQUENCE, curve, _der(_BITS, b"\0\4", bytes.fromhex(_GENERATOR)))
    held = _der(_SEQUENCE, _der(_INTEGER, b"\1"), algorithm, nobody, always, nobody, key)
    return _pem("CERTIFICATE", _der(_SEQUENCE, held, algorithm, _der(_BITS, b"\0")))


def private_key() -> str:
    """Its key, as PEM."""
    one = (1).to_bytes(32, "big")
    named = _der(_CURVE_OF_KEY, _named(_P256))
    return _pem("EC PRIVATE KEY", _der(_SEQUENCE, _der(_INTEGER, b"\1"), _der(_OCTETS, one), named))


def _der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = len(body)
    if size < 0x80:
        return bytes((tag, size)) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def _named(identifier: str) -> bytes:
    return _der(_OBJECT, bytes.fromhex(identifier))


def _pem(kind: str, content: bytes) -> str:
    lines = textwrap.wrap(base64.b64encode(content).decode(), 64)
    return "\n".join([f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----", ""])
