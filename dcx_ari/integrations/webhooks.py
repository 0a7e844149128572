"""Sending one webhook by Standard Webhooks 1.0.0, and one message to a Slack incoming webhook."""

from __future__ import annotations

from collections.abc import Sequence

from dcx_ari.decide.backoff import retry_after
from dcx_ari.decide.signature import headers
from dcx_ari.integrations.http import Answer, GuardedSession, NoAnswer
from dcx_ari.integrations.results import Result

_JSON = {"Content-Type": "application/json"}
_SLOW_DOWN = (429, 502, 503, 504)
_SLACK_GONE = (403, 404, 410)  # the webhook was revoked, the channel is gone or archived


async def send_webhook(
    http: GuardedSession, url: str, secrets: Sequence[str], message_id: str, payload: str, now_ms: int
) -> Result:
    """POST the payload, signed with each secret as of now. Only 2xx is a success; 410 ends it for the endpoint."""
    body = payload.encode()
    try:
        answer = await http.request(
            "POST", url, body=body, headers={**_JSON, **headers(secrets, message_id, now_ms // 1000, body)}
        )
    except NoAnswer as error:
        return Result(False, error=str(error))
    except ValueError as error:  # the secret in the row was spoilt by hand
        return Result(False, error=f"secret: {error}")
    if answer.status == 410:
        return _failed(answer, final=True, disable="the receiver says that it is gone (410)")
    return _succeeded(answer) if 200 <= answer.status < 300 else _failed(answer)


async def send_slack(http: GuardedSession, url: str, payload: str) -> Result:
    """POST `{"text": …}`. 403, 404 and 410 end it for the endpoint, another 4xx for the message."""
    try:
        answer = await http.request("POST", url, body=payload.encode(), headers=_JSON)
    except NoAnswer as error:
        return Result(False, error=str(error))
    if answer.status == 200:
        return _succeeded(answer)
    if answer.status in _SLACK_GONE:
        return _failed(answer, final=True, disable=f"Slack refuses it ({answer.status} {answer.text[:50]})")
    return _failed(answer, final=400 <= answer.status < 429)


def _succeeded(answer: Answer) -> Result:
    return Result(True, answer.status, answer=answer.text, took_ms=answer.took_ms)


def _failed(answer: Answer, *, final: bool = False, disable: str | None = None) -> Result:
    wait = retry_after(answer.headers.get("Retry-After")) if answer.status in _SLOW_DOWN else None
    return Result(
        False,
        answer.status,
        error=f"answered {answer.status}",
        answer=answer.text,
        took_ms=answer.took_ms,
        retry_after_s=wait,
        final=final,
        disable=disable,
    )
