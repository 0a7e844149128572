"""`python -m chaos`: one run, its report, and exit status 1 where a promise was broken."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from chaos.blows import FREEZE, WEIGHTS
from chaos.check import summary, violations
from chaos.run import Plan, chaos
from dcx_asterisk.errors import AsteriskError

_SHOWN = 60


def main(argv: Sequence[str]) -> int:
    options = _options(argv)
    plan = Plan(
        seed=options.seed,
        calls=options.calls,
        kills=options.kills,
        rate=options.rate,
        talk_s=options.talk_s,
        workers=options.workers,
        database=options.database,
        redis=not options.no_redis,
        only=[each for each in options.only.split(",") if each],
        keep=options.keep,
        at=[float(each) for each in options.at.split(",") if each],
    )
    began = time.monotonic()

    def say(words: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {words}", flush=True)

    try:
        evidence = asyncio.run(chaos(plan, say))
    except (AsteriskError, ValueError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped: nothing was judged", file=sys.stderr)
        return 130
    found = violations(evidence, plan.talk_s)
    figures = summary(evidence, plan.talk_s)
    if options.report:
        report = {"plan": plan, "figures": figures, "violations": found, "evidence": evidence}
        options.report.write_bytes(msgspec.json.format(msgspec.json.encode(report, enc_hook=str)))
    print()
    for name, value in figures.items():
        print(f"{name:38} {value:>9.10g}")
    print(f"{'violations':38} {len(found):>9}")
    for each in found[:_SHOWN]:
        print(f"  {each}")
    if len(found) > _SHOWN:
        print(f"  and {len(found) - _SHOWN} more")
    if found:
        print(f"broken with seed {plan.seed}: the same blows come again with --seed {plan.seed}")
    return 1 if found else 0


def _options(argv: Sequence[str]) -> argparse.Namespace:
    usual = Plan()
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=usual.seed, help="draws calls and blows (%(default)s)")
    parser.add_argument("--calls", type=int, default=usual.calls, help="(%(default)s)")
    parser.add_argument("--kills", type=int, default=usual.kills, help="blows in all (%(default)s)")
    parser.add_argument("--rate", type=float, default=usual.rate, help="calls a second (%(default)s)")
    parser.add_argument("--talk-s", type=float, default=usual.talk_s, help="seconds of talk, mean (%(default)s)")
    parser.add_argument("--workers", type=int, default=usual.workers, help="(%(default)s)")
    parser.add_argument("--database", choices=("postgres", "sqlite"), default=usual.database, help="(%(default)s)")
    parser.add_argument("--no-redis", action="store_true", help="run without Redis")
    parser.add_argument("--only", default="", help=f"blows or their families: {','.join([*WEIGHTS, FREEZE])}")
    parser.add_argument("--at", default="", help="instants of the blows, seconds from the first call: 5,9.5")
    parser.add_argument("--report", type=Path, help="write all that was seen to this file, as JSON")
    parser.add_argument("--keep", type=Path, help="a new folder for home and logs, which are kept")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
