"""Trunks as PJSIP objects, pushed into a running Asterisk.

The objects live in Asterisk's memory wizard: they survive a reload and not a restart, so everything is pushed
again on every connection. Order and fields follow what Asterisk 22 was seen to do: auth, aor, endpoint,
identify on the way in, the reverse on the way out; `callerid` is always sent, because a PUT without it turns
the caller of every later call into "unknown". No `set_var`: an endpoint that has one can never be PUT again
(500, "Could not find option suitable"), since Asterisk reads its own writing of it wrongly.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

from dcx_ari.ari.errors import AriError, Gone
from dcx_ari.ari.resources import Ari
from dcx_ari.decide.endpoints import SIP_ENDPOINT, trunk_endpoint

_CLASS = "res_pjsip"  # the class of every PJSIP type, also of identify and registration
_COMMON = {
    "allow": "!all,ulaw,alaw",
    "allow_overlap": "no",
    "callerid": "",
    "context": "from-trunk",
    "direct_media": "no",
    "dtmf_mode": "rfc4733",
    "force_rport": "yes",
    "identify_by": "ip",  # by name, anybody could write a trunk's into From
    "rewrite_contact": "no",
    "rtp_symmetric": "yes",
    "send_connected_line": "no",  # a re-INVITE for every answered call otherwise
    "send_pai": "yes",
    "trust_id_inbound": "yes",
    "trust_id_outbound": "yes",
    "allow_transfer": "no",  # a REFER with Refer-Sub: false crashes Asterisk before 22.11
    "100rel": "no",
}


@dataclass(frozen=True, slots=True)
class TrunkAccount:
    """A trunk with what only Asterisk may see. `accept_from`: IP addresses and networks calls may come from."""

    id: int
    name: str
    host: str
    port: int
    transport: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    accept_from: Sequence[str] = ()
    active: bool = True

    @property
    def endpoint(self) -> str:
        return trunk_endpoint(self.id)


class TrunkObjects:
    """Keeps Asterisk's PJSIP objects the same as the trunks given to `sync`."""

    def __init__(self, ari: Ari) -> None:
        self._ari = ari
        self._pushed: dict[int, TrunkAccount] = {}
        self._one_at_a_time = asyncio.Lock()

    def forget(self) -> None:
        """Asterisk may have restarted: push everything the next time."""
        self._pushed.clear()

    async def sync(self, trunks: Iterable[TrunkAccount]) -> list[str]:
        """Push what is new or changed, remove what has gone. Returns one message per trunk that was refused."""
        async with self._one_at_a_time:
            return await self._sync(trunks)

    async def _sync(self, trunks: Iterable[TrunkAccount]) -> list[str]:
        problems = []
        wanted = {trunk.id: trunk for trunk in trunks if trunk.active}
        for trunk_id in set(self._pushed) - set(wanted):
            await self._remove(self._pushed.pop(trunk_id))
        if not self._pushed:
            await self._put("endpoint", SIP_ENDPOINT, {**_COMMON, "context": "refused"})
        for trunk in wanted.values():
            if self._pushed.get(trunk.id) == trunk:
                continue
            try:
                if not await self._is_there(trunk):
                    await self._push(trunk)
            except AriError as error:
                problems.append(f"trunk {trunk.name}: Asterisk refused it: {error}")
            else:
                self._pushed[trunk.id] = trunk
        return problems

    async def _is_there(self, trunk: TrunkAccount) -> bool:
        """Whether another process, or the one before us, has pushed the very same. While a trunk is pushed, calls from
        it are refused: a worker that starts must not do that to the others' callers.
        """
        there = await self._ari.asterisk.get_global_var(variable=_mark(trunk))
        return there.value == _digest(trunk)

    async def _push(self, trunk: TrunkAccount) -> None:
        name = trunk.endpoint
        await self._ari.asterisk.set_global_var(variable=_mark(trunk), value="")
        scheme = f"sip:{trunk.host}:{trunk.port}" + (";transport=tcp" if trunk.transport == "tcp" else "")
        # A PUT merges: an AOR would keep its former contact beside the new one, an identify its addresses.
        await self._delete("identify", name)
        await self._delete("aor", name)
        await self._put("aor", name, {"contact": scheme, "max_contacts": "1"})
        if trunk.username:
            auth = {"auth_type": "userpass", "username": trunk.username, "password": trunk.password or ""}
            await self._put("auth", name, auth)
        await self._put(
            "endpoint",
            name,
            {
                **_COMMON,
                "aors": name,
                "outbound_auth": name if trunk.username else "",
                "transport": f"transport-{trunk.transport}",
            },
        )
        if trunk.accept_from:
            await self._put("identify", name, {"endpoint": name, "match": ",".join(trunk.accept_from)})
        if not trunk.username:
            await self._delete("auth", name)
        await self._ari.asterisk.set_global_var(variable=_mark(trunk), value=_digest(trunk))

    async def _remove(self, trunk: TrunkAccount) -> None:
        await self._ari.asterisk.set_global_var(variable=_mark(trunk), value="")
        for kind in ("identify", "endpoint", "aor", "auth"):
            await self._delete(kind, trunk.endpoint)

    async def _put(self, kind: str, name: str, fields: dict[str, str]) -> None:
        rows = [{"attribute": attribute, "value": value} for attribute, value in fields.items()]
        await self._ari.asterisk.update_object(_CLASS, kind, name, fields=rows)

    async def _delete(self, kind: str, name: str) -> None:
        with contextlib.suppress(Gone):
            await self._ari.asterisk.delete_object(_CLASS, kind, name)


def _mark(trunk: TrunkAccount) -> str:
    """The global variable that says what was pushed of a trunk; like the objects it goes with Asterisk."""
    return f"DCX_TRUNK_{trunk.id}"


def _digest(trunk: TrunkAccount) -> str:
    told = [_COMMON, *(value for name, value in asdict(trunk).items() if name != "name")]
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=list).encode()).hexdigest()
