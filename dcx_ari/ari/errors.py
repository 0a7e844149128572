"""What can go wrong between us and Asterisk, translated once.

    AriError
    ├── Unreachable         no connection, or no answer in time; the request may or may not have run
    ├── AccessDenied        Asterisk refuses our user and password: trying again cannot help
    ├── Replaced            another client connected with the name of our application: so neither can this
    ├── BadRequest          Asterisk refuses the request as we wrote it (a fault of ours)
    ├── Gone                the channel, bridge, playback or recording is no longer there
    ├── NotSet              the variable has no value
    ├── NotInStasis         it exists but is not (yet, or any more) in our application
    ├── Conflict            the id is taken, or the resource is in the wrong state
    ├── EndpointUnavailable no such endpoint, or nobody registered on it
    └── ServerFault         Asterisk failed

`classify` holds the quirks, each seen on 22.10.1 (tests/ari/test_client.py): 400 "Channel not found"
means gone, 500 "Allocation failed" that the endpoint cannot be dialled, and 422 says nearly anything.
"""

from __future__ import annotations


class AriError(Exception):
    """A request that did not succeed. `status` is the HTTP status, 0 where there was no answer."""

    def __init__(self, what: str, *, status: int = 0) -> None:
        super().__init__(what)
        self.status = status


class Unreachable(AriError): ...


class AccessDenied(AriError): ...


class Replaced(AriError): ...


class BadRequest(AriError): ...


class Gone(AriError): ...


class NotSet(AriError): ...


class NotInStasis(AriError): ...


class Conflict(AriError): ...


class EndpointUnavailable(AriError): ...


class ServerFault(AriError): ...


def classify(method: str, path: str, status: int, message: str) -> AriError:
    """The error for a refused request.

    >>> type(classify("POST", "channels/x/answer", 404, "Channel not found")).__name__
    'Gone'
    """
    said = message.lower()
    return _kind(status, said)(f"{method} {path}: {status} {message}", status=status)


def _kind(status: int, said: str) -> type[AriError]:
    if status == 500:
        if "allocation failed" in said:
            return EndpointUnavailable
        ours = "unable to read provided function" in said or "error parsing request" in said
        return BadRequest if ours else ServerFault
    if status == 404:
        return NotSet if "variable was not found" in said else Gone
    if status in (400, 409, 412, 422):
        if "not found" in said or "does not exist" in said:
            return Gone
        if "not in stasis" in said:
            return NotInStasis
    if status in (409, 412) or (status == 422 and ("not in this bridge" in said or "not subscribed" in said)):
        return Conflict
    return BadRequest if 400 <= status < 500 else ServerFault
