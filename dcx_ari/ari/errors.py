"""What can go wrong between us and Asterisk, translated once.

    AriError
    ├── Unreachable         no connection, or no answer in time; the request may or may not have run
    ├── AccessDenied        Asterisk refuses our user and password: trying again cannot help
    ├── Replaced            another client connected with the name of our application: so neither can this
    ├── BadRequest          Asterisk refuses the request as we wrote it (a fault of ours)
    ├── Gone                the channel, bridge, playback or recording is no longer there
    ├── NotInStasis         it exists but is not (yet, or any more) in our application
    ├── Conflict            the id is taken, or the resource is in the wrong state
    ├── EndpointUnavailable no such endpoint, or nobody registered on it
    └── ServerFault         Asterisk failed

`classify` holds the quirks: Asterisk answers 400 "Channel not found" where it means gone, and 500
"Allocation failed" where it means that the endpoint cannot be dialled.
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


class NotInStasis(AriError): ...


class Conflict(AriError): ...


class EndpointUnavailable(AriError): ...


class ServerFault(AriError): ...


def classify(method: str, path: str, status: int, message: str) -> AriError:
    """The error for a refused request.

    >>> type(classify("POST", "channels/x/answer", 404, "Channel not found")).__name__
    'Gone'
    """
    what = f"{method} {path}: {status} {message}"
    said = message.lower()
    kind: type[AriError]
    if status == 500 and "allocation failed" in said:
        kind = EndpointUnavailable
    elif status == 404 or (status in (400, 409, 412) and "not found" in said):
        kind = Gone
    elif status == 422 or (status in (409, 412) and "stasis" in said):
        kind = NotInStasis
    elif status in (409, 412):
        kind = Conflict
    elif 400 <= status < 500:
        kind = BadRequest
    else:
        kind = ServerFault
    return kind(what, status=status)
