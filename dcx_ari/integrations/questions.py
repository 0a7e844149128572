"""What flows ask outside systems, through the one guarded way out: the `Web` port."""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Any, Self

from dcx_ari.call.ports import Question, WebFailed
from dcx_ari.integrations.http import MAX_ANSWER, GuardedSession, NoAnswer
from dcx_ari.store.targets import Targets


class Questions:
    """Implements the `Web` port. Close it when done; the session is opened by the first question."""

    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self._session: GuardedSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, question: Question) -> Any:
        """The JSON of a 200 answer. Raises `WebFailed`: its text never repeats what was asked or answered."""
        if self._session is None:
            self._session = GuardedSession(self._targets)
        body = None if question.body is None else json.dumps(question.body).encode()
        headers = {**question.headers, "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with asyncio.timeout(question.timeout_s):
                answer = await self._session.request(question.method, question.url, body=body, headers=headers)
        except NoAnswer as error:
            raise WebFailed(str(error)) from None
        except TimeoutError:
            raise WebFailed(f"no answer within {question.timeout_s:g} s") from None
        if answer.status != 200:
            raise WebFailed(f"status {answer.status}")
        if len(answer.body) >= MAX_ANSWER:
            raise WebFailed(f"the answer is larger than {MAX_ANSWER // 1024} KiB")
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError):
            raise WebFailed("the answer is no JSON") from None
