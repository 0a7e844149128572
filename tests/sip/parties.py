"""Phones of callers and buyers, started for a test and gone after it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcx_asterisk.phone import PORTS, Phone
from dcx_asterisk.ports import free_ports
from dcx_asterisk.tree import Tree
from tests.sip.sounds import LOUD, lately

STEP_S = 20.0  # no step of a call may take longer, on however slow a machine
CALLER_HZ = 560


async def until(condition: Callable[[], object], what: str, timeout_s: float = STEP_S, every_s: float = 0.02) -> None:
    """Wait until something is so; `what` is said if it never is."""
    try:
        async with asyncio.timeout(timeout_s):
            while not condition():
                await asyncio.sleep(every_s)
    except TimeoutError:
        raise AssertionError(f"not within {timeout_s:g} s: {what}") from None


@dataclass(kw_only=True)
class Parties:
    """`sip_port` is that of the exchange they call."""

    tree: Tree
    folder: Path
    stack: AsyncExitStack
    sip_port: int

    async def phones(self, **tones: float | tuple[float, str]) -> list[Phone]:
        """Started phones by name: `buyer=700`, or `buyer=(700, "auto")` for how they answer."""
        wanted = {name: tone if isinstance(tone, tuple) else (tone, "manual") for name, tone in tones.items()}
        ports = free_ports(len(wanted), spacing=PORTS)
        made = [
            Phone(self.tree, self.folder / name, port, name=name, tone_hz=tone, answer=answer)  # type: ignore[arg-type]
            for port, (name, (tone, answer)) in zip(ports, wanted.items(), strict=True)
        ]
        await asyncio.gather(*(self.stack.enter_async_context(phone) for phone in made))
        return made

    async def caller(self, number: str = "+12125550123", tone_hz: float = CALLER_HZ, **options: Any) -> Phone:
        """A phone whose calls come from `number`."""
        (port,) = free_ports(1, spacing=PORTS)
        phone = Phone(self.tree, self.folder / f"caller{port}", port, name=number, tone_hz=tone_hz, **options)
        await self.stack.enter_async_context(phone)
        return phone

    async def dial(self, caller: Phone, number: str) -> None:
        await caller.dial(f"sip:{number}@127.0.0.1:{self.sip_port}")

    async def hear(self, phone: Phone, hz: float, timeout_s: float = STEP_S) -> None:
        """Wait until a phone has heard a tone for half a second, and still does."""

        def steady() -> bool:
            return phone.hears(hz, -0.5) > LOUD and lately(phone.heard, hz) >= 0.45

        await until(steady, f"{phone.name} hears {hz:g} Hz", timeout_s, every_s=0.1)
