"""Callers, who dial, and buyers, who answer."""

from __future__ import annotations

import time
from collections.abc import Callable

from chaos.dialogs import T1_S, Dialog, Party, new_branch
from chaos.records import CallSeen, LegSeen, Seen
from chaos.rtp import Address, Media
from chaos.script import Script, buyer_hz, call_of, caller_hz, caller_of, refuses, script
from chaos.sip import Message, response, user_of

PATIENCE_S = 45.0  # the dialplan looks for an engine for 20 s, a buyer rings for some more


class Callers(Party):
    """Everybody who calls."""

    def __init__(
        self, address: Address, switch: Address, media: Media, report: Callable[[Seen], None], seed: int, talk_s: float
    ) -> None:
        super().__init__(address, switch, media, report)
        self._seed = seed
        self._talk_s = talk_s

    def dial(self, n: int, number: str) -> None:
        plan = self.plan(n)
        caller = f"<sip:{caller_of(n)}@{self.address[0]}>;tag={self.tag}{n}"
        uri = f"sip:{number}@{self.switch[0]}:{self.switch[1]}"
        seen = CallSeen(n, time.time())
        dialog = Dialog(f"chaos{n}-{self.tag}", seen, caller, f"<{uri}>", uri, branch=new_branch())
        self.dialogs[dialog.call_id] = dialog
        invite = self.request(dialog, "INVITE", branch=dialog.branch, body=self.description(n))
        self.repeat(invite, lambda: self.finish(dialog, "no reply"))
        self.later(dialog, plan.abandon_s or PATIENCE_S, self._leave)

    def plan(self, n: int) -> Script:
        return script(self._seed, n, self._talk_s)

    def waits(self, dialog: Dialog) -> bool:
        return isinstance(dialog.seen, CallSeen) and dialog.seen.replied_at is None

    def _leave(self, dialog: Dialog) -> None:
        """Before anybody answered (RFC 3261, 9.1: CANCEL only once there was some response)."""
        seen = dialog.seen
        if seen.answered_at is not None:
            return
        planned = self.plan(seen.n).abandon_s is not None
        self.settle(dialog.branch, "INVITE")
        if not self.waits(dialog):
            dialog.left = True
            self.repeat(self.request(dialog, "CANCEL", branch=dialog.branch))
        self.finish(dialog, "cancelled" if planned else "gave up")

    def _answered(self, message: Message) -> None:
        super()._answered(message)
        dialog = self.dialogs.get(message.header("call-id"))
        if dialog is None or message.method != "INVITE" or not isinstance(dialog.seen, CallSeen):
            return
        seen = dialog.seen
        seen.status = message.status
        if seen.replied_at is None:
            seen.replied_at = time.time()
        if message.status < 200:
            if dialog.over and not dialog.ack and not dialog.left:  # heard of only after the caller had given up
                dialog.left = True
                self.repeat(self.request(dialog, "CANCEL", branch=dialog.branch))
            return
        to = message.header("to")
        if message.status >= 300:
            dialog.remote = to
            self.send(self.request(dialog, "ACK", branch=dialog.branch).encode())
            self.finish(dialog, "refused")
        elif dialog.ack:
            self.send(dialog.ack)
        else:
            self._connected(dialog, message, to)

    def _connected(self, dialog: Dialog, message: Message, to: str) -> None:
        dialog.remote, dialog.target = to, message.contact or dialog.target
        dialog.ack = self.request(dialog, "ACK").encode()
        self.send(dialog.ack)
        if dialog.over:  # answered in the instant in which the caller gave up
            dialog.cseq += 1
            self.repeat(self.request(dialog, "BYE"))
            return
        seen, plan = dialog.seen, self.plan(dialog.seen.n)
        seen.answered_at = time.time()
        self.talk(dialog, message, caller_hz(seen.n), buyer_hz(seen.n))
        # If the buyer is to end it, the caller does so only where the buyer never comes to it.
        self.later(dialog, plan.talk_s + (PATIENCE_S if plan.buyer_ends else 0.0), self.hang_up)


class Buyers(Party):
    """Everybody who is called: `sip:buyer7@…` is buyer 7."""

    def __init__(
        self, address: Address, switch: Address, media: Media, report: Callable[[Seen], None], seed: int, talk_s: float
    ) -> None:
        super().__init__(address, switch, media, report)
        self._seed = seed
        self._talk_s = talk_s
        self._attempts: dict[tuple[int, int], int] = {}

    def _asked(self, message: Message) -> None:
        known = message.header("call-id") in self.dialogs
        if message.method == "INVITE" and not known:
            self._rings(message)
        elif message.method == "INVITE" and "tag=" not in message.header("to"):
            self._again(message)
        elif message.method == "CANCEL" and known:
            self._cancelled(message)
        else:
            super()._asked(message)

    def _rings(self, message: Message) -> None:
        n, buyer = call_of(user_of(message.header("from"))), user_of(message.uri).removeprefix("buyer")
        if n is None or not buyer.isdigit():
            self.reply(message, 404, "Not Found")
            return
        call_id, to = message.header("call-id"), f"{message.header('to')};tag={self.tag}"
        seen = LegSeen(n, int(buyer), time.time())
        dialog = Dialog(
            call_id, seen, to, message.header("from"), message.contact, invite=message, branch=message.branch
        )
        self.dialogs[call_id] = dialog
        attempt = self._attempts.get((n, seen.buyer), 0)
        self._attempts[n, seen.buyer] = attempt + 1
        if refuses(self._seed, n, seen.buyer, attempt):
            self.reply(message, 486, "Busy Here")
            self.finish(dialog, "refused")
            return
        self.reply(message, 180, "Ringing")
        self.later(dialog, script(self._seed, n, self._talk_s).answer_s, self._answer)

    def _again(self, message: Message) -> None:
        """The same INVITE once more: our reply was lost, or has not come yet."""
        dialog = self.dialogs[message.header("call-id")]
        if dialog.over:
            self.reply(message, 486, "Busy Here")
        elif dialog.seen.answered_at is None:
            self.reply(message, 180, "Ringing")

    def _answer(self, dialog: Dialog) -> None:
        invite, plan = dialog.invite, script(self._seed, dialog.seen.n, self._talk_s)
        if invite is None:
            return
        dialog.seen.answered_at = time.time()
        self.talk(dialog, invite, buyer_hz(dialog.seen.n), caller_hz(dialog.seen.n))
        ok = response(invite, 200, "OK", self.tag, [("Contact", self.contact)], self.description(dialog.seen.n))
        self._repeat(ok, (dialog.branch, "200"), T1_S, time.monotonic(), lambda: self.finish(dialog, "no reply"))
        if plan.buyer_ends:
            self.later(dialog, plan.talk_s, self.hang_up)

    def _cancelled(self, message: Message) -> None:
        dialog = self.dialogs[message.header("call-id")]
        self.reply(message, 200, "OK")
        if dialog.invite is not None and dialog.seen.answered_at is None:
            self.reply(dialog.invite, 487, "Request Terminated")
            self.finish(dialog, "cancelled")
