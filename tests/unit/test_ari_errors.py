"""What 22.10.1 answers, word for word, and which error each answer is."""

from __future__ import annotations

import pytest

from dcx_ari.ari.errors import (
    AriError,
    BadRequest,
    Conflict,
    EndpointUnavailable,
    Gone,
    NotInStasis,
    NotSet,
    ServerFault,
    classify,
)

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "Channel not found", Gone),  # addChannel, removeChannel
        (400, "Invalid reason for hangup reason provided", BadRequest),
        (403, "Cannot update sorcery objects of type 'aor'", BadRequest),
        (404, "Bridge not found", Gone),
        (404, "Provided variable was not found", NotSet),
        (405, "Invalid method", BadRequest),
        (409, "Channel not in Stasis application", NotInStasis),
        (409, "Channel with given unique ID already exists", Conflict),
        (409, "Channel is not in the 'Down' state", Conflict),
        (412, "Channel in invalid state", Conflict),
        (413, "Request body too large", BadRequest),
        (422, "Channel not in Stasis application", NotInStasis),
        (422, "Channel not in this bridge", Conflict),
        (422, "specified format is unknown on this system", BadRequest),
        (422, "Event source does not exist", Gone),
        (422, "Event source was not subscribed to", Conflict),
        (500, "Allocation failed", EndpointUnavailable),
        (500, "Unable to read provided function", BadRequest),
        (500, "Unable to create bridge. Possible duplicate bridge id 'b2'", ServerFault),
        (501, "", ServerFault),
        (503, "", ServerFault),
    ],
)
def test_each_answer_has_one_error(status: int, message: str, kind: type[AriError]) -> None:
    error = classify("POST", "channels/x/y", status, message)
    assert type(error) is kind
    assert error.status == status
    assert str(error) == f"POST channels/x/y: {status} {message}"
