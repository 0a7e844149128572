"""Types of fields that a person gives: parsed at the door, one spelling inside.

A ValueError's text is the rule in words; the caller adds the name of the field.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import date, datetime
from functools import lru_cache
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from annotated_types import Ge, Le
from pydantic import AfterValidator, StringConstraints

from dcx_ari.decide.endpoints import dialable

_E164 = "must be an E.164 number such as +15551234567"
_HOST = re.compile(
    r"^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9])?)*\.?$"
)
_COLOR = re.compile(r"^#[0-9a-fA-F]{6}$")
_CLOCK = re.compile(r"^(?:([01]\d|2[0-3]):[0-5]\d|24:00)$")

# USPS codes of the states, the federal district, the territories and the armed forces' addresses.
_STATES = (
    "AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY "
    "NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY AS GU MP PR VI AA AE AP"
)
STATES = frozenset(_STATES.split())


def e164(value: str) -> str:
    """`+15551234567`; spaces, dots, dashes and brackets are dropped.

    A number must be possible for its country, not allotted: 555 numbers and new ranges are fine.
    """
    text = value.strip()
    if not text.startswith("+") or len(text) > 40:
        raise ValueError(_E164)
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        raise ValueError(_E164) from None
    if number.extension or not phonenumbers.is_possible_number(number):
        raise ValueError(_E164)
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def sip_uri(value: str) -> str:
    """`sip:user@host[:port]` (RFC 3261 §19.1). No control characters: the value ends up in SIP and in ARI."""
    text = value.strip()
    if len(text) > 255 or not text.lower().startswith(("sip:", "sips:")) or dialable(text, {}) is None:
        raise ValueError("must be a sip: URI such as sip:agent@10.0.0.5:5060")
    return text


def endpoint(value: str) -> str:
    if value.strip().lower().startswith(("sip:", "sips:")):
        return sip_uri(value)
    try:
        return e164(value)
    except ValueError:
        raise ValueError("must be an E.164 number such as +15551234567 or a sip: URI") from None


@lru_cache(maxsize=1024)
def zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be an IANA time zone such as America/New_York") from None
    return value


def state_code(value: str) -> str:
    code = value.strip().upper()
    if code not in STATES:
        raise ValueError("must be a two-letter US state code such as CA")
    return code


def network(value: str) -> str:
    """An address or a network in CIDR form, without host bits."""
    try:
        parsed = ipaddress.ip_network(value.strip())
    except ValueError:
        raise ValueError("must be an IP address or a network such as 203.0.113.0/24") from None
    return str(parsed.network_address) if parsed.num_addresses == 1 else str(parsed)


def host(value: str) -> str:
    text = value.strip()
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        pass
    if not _HOST.match(text) or text.replace(".", "").isdigit():
        raise ValueError("must be a host name or an IP address")
    return text.lower()


def clock(value: str) -> str:
    if not _CLOCK.match(value):
        raise ValueError("must be a time of day HH:MM, 00:00 to 24:00")
    return value


def iso_date(value: str) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise ValueError("must be a date YYYY-MM-DD") from None


def moment(value: object) -> object:
    """Epoch milliseconds from RFC 3339 with an offset, or a number of milliseconds."""
    if not isinstance(value, str):
        return value
    try:
        parsed = datetime.fromisoformat(value.strip())
    except ValueError:
        raise ValueError("must be a time such as 2026-01-31T09:00:00Z") from None
    if parsed.tzinfo is None:
        raise ValueError("must carry an offset, such as 2026-01-31T09:00:00Z")
    return int(parsed.timestamp() * 1000)


def label(value: str) -> str:
    """A name: printable, not blank, not digits alone (those are ids)."""
    text = value.strip()
    if not text or not text.isprintable():
        raise ValueError("must be printable text and not blank")
    if text.isascii() and text.isdigit():
        raise ValueError("must not be digits alone: those are taken for an id")
    return text


def email(value: str) -> str:
    """A mail address, or nothing. Whether somebody reads it only a mail can tell."""
    text = value.strip()
    name, at, domain = text.rpartition("@")
    if text and not (name and at and domain and text.isprintable() and not set(" @,;<>") & set(name + domain)):
        raise ValueError("must be an e-mail address such as ann@example.com")
    return text


def color(value: str) -> str:
    if not _COLOR.match(value):
        raise ValueError("must be a colour such as #ff8800")
    return value.lower()


E164 = Annotated[str, AfterValidator(e164)]
SipUri = Annotated[str, AfterValidator(sip_uri)]
Endpoint = Annotated[str, AfterValidator(endpoint)]
Zone = Annotated[str, AfterValidator(zone)]
StateCode = Annotated[str, AfterValidator(state_code)]
Network = Annotated[str, AfterValidator(network)]
Host = Annotated[str, AfterValidator(host)]
Clock = Annotated[str, AfterValidator(clock)]
IsoDate = Annotated[str, AfterValidator(iso_date)]
Label = Annotated[str, StringConstraints(max_length=200), AfterValidator(label)]
Line = Annotated[str, StringConstraints(max_length=255)]
Email = Annotated[str, StringConstraints(max_length=255), AfterValidator(email)]
Color = Annotated[str, AfterValidator(color)]
Notes = Annotated[str, StringConstraints(max_length=10_000)]
# Far below 2^53, so that JSON readers everywhere read sums of them exactly.
Cap = Annotated[int, Ge(0), Le(1_000_000_000)]
Cents = Annotated[int, Ge(0), Le(1_000_000_000)]
Seconds = Annotated[int, Ge(0), Le(86_400)]
Weight = Annotated[int, Ge(0), Le(100)]
Port = Annotated[int, Ge(1), Le(65_535)]
Digit = Annotated[str, StringConstraints(pattern=r"^[0-9A-D*#]$")]
Status = Literal["ACTIVE", "INACTIVE"]
