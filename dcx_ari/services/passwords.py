"""Passwords: Argon2id (RFC 9106) with the library's parameters, off the event loop.

One hash takes about a tenth of a second and 64 MiB: `Logins` bounds how many run at once.
"""

from __future__ import annotations

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from dcx_ari.services.errors import Invalid

SHORTEST, LONGEST = 12, 200
_HASHER = PasswordHasher()
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXRoaW5nZWxzZTAwMA$8gBLPoLHZXGXzYJCHbmFQ6zvJ1nXBlqcRtcMGqlqNcM"
"""A hash that no password has: an unknown account takes as long to refuse as a known one."""


def check_password(password: str, *, email: str = "", field: str = "password") -> None:
    """Raises Invalid for a password that is no good. Length is what counts (NIST SP 800-63B, 3.1.1.2)."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise Invalid(field, f"must have {SHORTEST} to {LONGEST} characters")
    if "\x00" in password or any("\ud800" <= char <= "\udfff" for char in password):
        raise Invalid(field, "must be valid text without NUL characters")
    if len(set(password)) < 5 or (email and password.lower() == email.lower()):
        raise Invalid(field, "is too easy to guess")


async def hash_password(password: str) -> str:
    """Check the password with `check_password` before."""
    return await asyncio.to_thread(_HASHER.hash, password)


async def is_password(hashed: str | None, password: str) -> bool:
    """As slow for an account that has no password, or is not there."""
    return await asyncio.to_thread(_verify, hashed or _NOBODY, password) and hashed is not None


def is_outdated(hashed: str) -> bool:
    """Whether the hash was made with weaker parameters than those of today."""
    return _HASHER.check_needs_rehash(hashed)


def _verify(hashed: str, password: str) -> bool:
    try:
        return _HASHER.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False
