"""What callers can be made to hear, and what callers can say, with the Asterisk of this machine."""

from __future__ import annotations

from pathlib import Path

from dcx_ari.flows.known import Known
from dcx_ari.media.recogniser import Vocabulary
from dcx_ari.media.speech import VOICES, FliteSpeech
from dcx_ari.settings import Settings
from dcx_ari.voicemails import speaker
from dcx_asterisk.errors import AsteriskError
from dcx_asterisk.fetch import present
from dcx_asterisk.tree import Tree


def audible() -> Known:
    """As `audible_in`, of the Asterisk that was fetched to this machine."""
    return audible_in(present("engine"))


def audible_in(tree: Tree | None) -> Known:
    """What callers can be made to hear with an Asterisk of this tree; of sounds and voices nothing is known without."""
    if tree is None:
        return Known(hears=Vocabulary())
    try:
        tree.program("flite")
        speech = ""
    except AsteriskError as error:
        speech = str(error)
    sounds = tree.path("usr/share/asterisk/sounds/en")
    names = (path.relative_to(sounds).with_suffix("").as_posix() for path in sounds.rglob("*.*"))
    return Known(speech=speech, voices=VOICES, sounds=frozenset(names), hears=Vocabulary())


async def spoken(settings: Settings, text: str, voice: str) -> Path:
    """The file of a text that is spoken on this machine. Raises Invalid where it cannot be."""
    tree = present("engine")
    command = (lambda *args: tree.command("flite", *args)) if tree is not None else (lambda *args: ("flite", *args))
    return await speaker(FliteSpeech(command, settings.home / "speech"))(text, voice)
