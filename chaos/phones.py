"""`python -m chaos.phones callers|buyers …`: the phones of one side, as a process of its own.

Takes orders as lines of JSON, and writes what was seen of each call as such lines.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

import msgspec

from chaos.dialogs import say
from chaos.parties import Buyers, Callers
from chaos.records import CallSeen, LegSeen, Seen
from chaos.rtp import Media

_SWITCH_S = 0.001  # threads that must not wait for one another


class Dial(msgspec.Struct, tag="dial"):
    n: int
    number: str


class Drop(msgspec.Struct, tag="drop"):
    """An Asterisk died at this time."""

    at: float


class Ask(msgspec.Struct, tag="ask"):
    """How many calls are open?"""


class Finish(msgspec.Struct, tag="finish"):
    """Report what is open as such, and end."""


Order = Dial | Drop | Ask | Finish


class Status(msgspec.Struct, tag="status"):
    """`late_ms`: by how much packets were sent too late, at most."""

    open: int
    late_ms: float


News = CallSeen | LegSeen | Status
ORDERS = msgspec.json.Decoder(Order)
NEWS = msgspec.json.Decoder(News)


async def work(options: argparse.Namespace) -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    switch = ("127.0.0.1", options.switch)
    with Media(options.host, options.port + 10) as media:
        kind = Callers if options.side == "callers" else Buyers
        party = kind((options.host, options.port), switch, media, _report, options.seed, options.talk_s)
        await party.open()
        say(Status(0, 0.0))
        while line := await reader.readline():
            order = ORDERS.decode(line)
            if isinstance(order, Dial) and isinstance(party, Callers):
                party.dial(order.n, order.number)
            elif isinstance(order, Drop):
                party.drop(order.at)
            elif isinstance(order, Finish):
                for dialog in party.live():
                    party.finish(dialog, "open")
                break
            else:
                say(Status(len(party.live()), 1000 * media.late_s))
        say(Status(0, 1000 * media.late_s))


def _report(seen: Seen) -> None:
    say(seen)


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("side", choices=("callers", "buyers"))
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--switch", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--talk-s", type=float, required=True)
    sys.setswitchinterval(_SWITCH_S)
    asyncio.run(work(parser.parse_args(argv)))


if __name__ == "__main__":
    main(sys.argv[1:])
