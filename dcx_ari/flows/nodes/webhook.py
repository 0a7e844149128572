"""webhook: ask an outside system, and keep what it answers as tags."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

from msgspec import Meta, field

from dcx_ari.call.call import Call
from dcx_ari.call.ports import Question, WebFailed
from dcx_ari.call.tasks import cancel_and_wait
from dcx_ari.decide.templates import fill
from dcx_ari.flows.nodes.base import Edge, Name, Node, Tag, tag_text
from dcx_ari.flows.problems import Path
from dcx_ari.flows.prompts import variables

_GRACE_S = 0.5  # the shell keeps the time; ours is for the day that it does not
_MAX_BODY_DEPTH = 10
Header = Annotated[str, Meta(pattern="^[A-Za-z0-9-]{1,64}$")]
HeaderValue = Annotated[str, Meta(pattern=r"^[\x20-\x7e]{0,1000}$")]


class Webhook(Node, frozen=True, tag="webhook"):
    """Ask an outside system while the caller waits. Texts in `url` and `body` may have variables.

    The answer must be a JSON object with status 200, of at most 64 KiB, within `timeout_s`; `tags` says which of its
    fields become which tags (`tier: customer.tier`). Anything else leads to `on.error`, or on to `next`.
    """

    url: Annotated[str, Meta(pattern="^https?://[^/{}]+(/.*)?$", max_length=2000, description="http or https address")]
    next: Name
    method: Literal["GET", "POST", "PUT"] = "POST"
    headers: Annotated[dict[Header, HeaderValue], Meta(max_length=20)] = field(default_factory=dict)
    body: Annotated[dict[str, Any], Meta(description="Sent as JSON; without it POST and PUT send all tags")] | None = (
        None
    )
    tags: Annotated[
        dict[Tag, Annotated[str, Meta(pattern="^[A-Za-z0-9_-]+([.][A-Za-z0-9_-]+)*$", max_length=200)]],
        Meta(max_length=50, description="Tag: field of the answer, with dots between levels"),
    ] = field(default_factory=dict)
    timeout_s: Annotated[float, Meta(ge=0.1, le=5, description="Seconds, at most 5")] = 1.0
    on: dict[Literal["error", "any"], Name] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if not parts.hostname or parts.username or parts.password:
            raise ValueError("url: needs a host, and no user name or password in it (use headers)")
        if self.method == "GET" and self.body is not None:
            raise ValueError("body: GET sends none")
        if _depth(self.body) > _MAX_BODY_DEPTH:
            raise ValueError(f"body: nested more than {_MAX_BODY_DEPTH} deep")

    def texts(self) -> Iterator[tuple[Path, str]]:
        yield ("url",), self.url
        yield from _texts(self.body, ("body",))

    def sets(self) -> Iterator[tuple[Path, str]]:
        yield from ((("tags", name), name) for name in self.tags)

    async def run(self, call: Call) -> Edge | None:
        known = variables(call)
        url = fill(self.url, {name: quote(value, safe="") for name, value in known.items()})
        body = None if self.method == "GET" else known if self.body is None else _filled(self.body, known)
        try:
            answer = await _ask(call, Question(self.method, url, self.headers, body, self.timeout_s))
            if not isinstance(answer, dict):
                raise WebFailed("the answer is no JSON object")
        except WebFailed as error:
            call.note("webhook_failed", error=str(error))
            return self.following("error") or Edge("next", self.next)
        found = {tag: value for tag, field in self.tags.items() if (value := _field(answer, field)) is not None}
        call.tag(**found)
        call.note("webhook", tags=sorted(found))
        return Edge("next", self.next)


async def _ask(call: Call, question: Question) -> Any:
    """The answer. A caller who hangs up does not wait for it."""
    asking = asyncio.create_task(_asked(call, question), name=f"webhook {call.id}")
    asking.add_done_callback(lambda _: call.nudge())
    try:
        if not await call.wait(asking.done, question.timeout_s + _GRACE_S):
            raise WebFailed(f"no answer within {question.timeout_s:g} s")
        return asking.result()
    finally:
        await cancel_and_wait(asking)
        if not asking.cancelled():
            asking.exception()  # seen, also where the caller went first


async def _asked(call: Call, question: Question) -> Any:
    return await call.ports.web.ask(question)


def _field(answer: Mapping[str, Any], path: str) -> str | None:
    """A field as a tag; None where there is none, or it is no single value."""
    value: Any = answer
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return tag_text(value) if isinstance(value, str | int | float | bool) else None


def _filled(value: Any, known: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return fill(value, known)
    if isinstance(value, dict):
        return {name: _filled(each, known) for name, each in value.items()}
    return [_filled(each, known) for each in value] if isinstance(value, list) else value


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | list):
        for name, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(each, (*path, name))


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)
