"""Signatures by Standard Webhooks: its test vector, and the library that receivers use."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from dcx_ari.decide.signature import headers, new_secret, secret_bytes, sign

pytestmark = pytest.mark.unit

SECRET = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
BODY = b'{"test": 2432232314}'
VECTOR = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("prefix", ["", "whsec_"])
def test_the_vector_of_the_specification(prefix: str):
    assert sign(prefix + SECRET, ID, 1_614_265_330, BODY) == VECTOR


def test_the_three_headers():
    assert headers([SECRET], ID, 1_614_265_330, BODY) == {
        "webhook-id": ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": VECTOR,
    }


@given(st.binary(min_size=24, max_size=64), st.text())
def test_a_receiver_with_the_library_accepts_it(random: bytes, text: str):
    secret, body, now = new_secret(random), text.encode(), int(datetime.now(UTC).timestamp())
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret(b"another key of 24 bytes!")).verify(body, headers([secret], ID, now, body))
    assert Webhook(secret).sign(ID, datetime.fromtimestamp(now, UTC), text) == sign(secret, ID, now, body)


def test_while_secrets_change_both_receivers_accept_it():
    old, new, now = new_secret(b"o" * 32), new_secret(b"n" * 32), int(datetime.now(UTC).timestamp())
    signed = headers([new, old], ID, now, BODY)
    for secret in (old, new):
        assert Webhook(secret).verify(BODY, signed) == {"test": 2432232314}
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(BODY + b" ", signed)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!!", "whsec_c2hvcnQ=", "whsec_" + "A" * 120])
def test_what_is_not_a_secret(secret: str):
    with pytest.raises(ValueError, match="24 to 64 bytes"):
        secret_bytes(secret)
