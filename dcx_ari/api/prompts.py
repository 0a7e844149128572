"""Prompts: uploaded as they are, or spoken from text; listed, heard, removed."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

from aiohttp import BodyPartReader, web
from aiohttp.http import HttpProcessingError
from msgspec import Meta

from dcx_ari.api.bodies import Body, body_as
from dcx_ari.api.context import answer, context, writing
from dcx_ari.api.routes import Route, declare
from dcx_ari.api.shapes import MOMENT, NUMBER, TEXT, fields, list_of, nullable
from dcx_ari.services import prompts
from dcx_ari.services.errors import Invalid, NotFound

Speak = Callable[[str, str], Awaitable[Path]]
"""(text, voice) -> the file that says it. Raises Invalid where it cannot be spoken."""

PROMPT = fields(
    **dict.fromkeys(("name", "sha256"), TEXT),
    **dict.fromkeys(("id", "duration_ms", "size_bytes", "version"), NUMBER),
    **{name: nullable(TEXT) for name in ("text", "voice")},
    created_at=MOMENT,
    updated_at=MOMENT,
)
_UPLOAD = {
    "type": "object",
    "properties": {"name": TEXT, "file": {"type": "string", "format": "binary"}},
    "required": ["name", "file"],
    "description": "`name` comes before `file`",
}
_CHUNK = 65_536
_NO_MULTIPART = (ValueError, AssertionError, HttpProcessingError)
_TYPE = "audio/wav"


class Spoken(Body):
    text: Annotated[str, Meta(min_length=1, max_length=prompts.MAX_TEXT, description="What it says")]
    voice: Annotated[str, Meta(max_length=64, description="Empty: the usual one")] = ""


def routes(speak: Speak) -> Callable[[web.Application], None]:
    """`speak` is the engine's speech."""

    async def say(request: web.Request) -> web.Response:
        name, body = prompts.check_name(request.match_info["name"]), await body_as(request, Spoken)
        made = await prompts.make_file(_home(request), await speak(body.text, body.voice), spoken=True)
        async with writing(request) as session:
            return answer(await prompts.save(session, name, made, text=body.text, voice=body.voice or None))

    def add_routes(app: web.Application) -> None:
        base, one = "/api/prompts", "/api/prompts/{name}"
        see: dict[str, Any] = {"method": "GET", "permission": "flows.read", "tag": "Prompts"}
        edit: dict[str, Any] = {"permission": "flows.write", "tag": "Prompts", "answer": PROMPT}
        declare(
            app,
            [
                Route(path=base, handler=_index, summary="List prompts, by name", answer=list_of(PROMPT), **see),
                Route(
                    method="POST",
                    path=base,
                    handler=_upload,
                    summary="Upload a prompt; one of the same name is replaced",
                    body=_UPLOAD,
                    body_media="multipart/form-data",
                    status=201,
                    refuses=(409,),
                    **edit,
                ),
                Route(path=one, handler=_show, summary="Show a prompt", answer=PROMPT, **see),
                Route(
                    path=f"{one}/audio",
                    handler=_audio,
                    summary="The sound of a prompt",
                    answer={"type": "string", "format": "binary"},
                    media=_TYPE,
                    refuses=(206, 304, 412, 416),
                    **see,
                ),
                Route(
                    method="PUT",
                    path=f"{one}/speech",
                    handler=say,
                    summary="Make a prompt from text; one of the same name is replaced",
                    body=Spoken,
                    refuses=(409,),
                    **edit,
                ),
                Route(
                    method="DELETE",
                    path=one,
                    handler=_remove,
                    summary="Remove a prompt that nothing names",
                    refuses=(409,),
                    **edit,
                ),
            ],
        )

    return add_routes


async def _index(request: web.Request) -> web.Response:
    async with context(request).database.read() as session:
        found = await prompts.list_prompts(session)
    return answer({"data": found, "next_cursor": None, "total": len(found)})


async def _show(request: web.Request) -> web.Response:
    async with context(request).database.read() as session:
        return answer(prompts.shown(await prompts.find_prompt(session, request.match_info["name"])))


async def _audio(request: web.Request) -> web.StreamResponse:
    async with context(request).database.read() as session:
        row = await prompts.find_prompt(session, request.match_info["name"])
    path = prompts.file_of(_home(request), row.path)
    if not await asyncio.to_thread(path.is_file):
        raise NotFound("prompt", f"{row.name}: its file is missing")
    return web.FileResponse(path, headers={"Content-Type": _TYPE})


async def _upload(request: web.Request) -> web.Response:
    """The file is written down as it comes, under a name of ours, and is gone again whatever happens."""
    if request.content_type != "multipart/form-data":
        raise web.HTTPUnsupportedMediaType(text="Content-Type must be multipart/form-data")
    home, name, made = _home(request), "", None
    folder = home / prompts.FOLDER
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    upload = folder / f"upload-{secrets.token_hex(8)}.part"
    try:
        async for part in await _parts(request):
            if not isinstance(part, BodyPartReader) or part.name not in ("name", "file"):
                raise Invalid("body", "has parts name and file, and no other")
            if part.name == "name":
                name = prompts.check_name((await part.read_chunk(256)).decode("utf-8", "replace").strip())
                continue
            prompts.check_name(name)
            await _store(part, upload)
            made = await prompts.make_file(home, upload)
        if made is None:
            raise Invalid("file", "is required")
    except _NO_MULTIPART as error:  # aiohttp's words for a body that is no multipart
        raise Invalid("body", f"must be multipart/form-data: {str(error)[:200]}") from None
    finally:
        await asyncio.to_thread(upload.unlink, missing_ok=True)
    async with writing(request) as session:
        return answer(await prompts.save(session, name, made), 201)


async def _parts(request: web.Request) -> Any:
    try:
        return await request.multipart()
    except _NO_MULTIPART as error:
        raise Invalid("body", f"must be multipart/form-data: {str(error)[:200]}") from None


async def _store(part: BodyPartReader, target: Path) -> None:
    size = 0
    with await asyncio.to_thread(target.open, "wb") as file:
        while chunk := await part.read_chunk(_CHUNK):
            size += len(chunk)
            if size > prompts.MAX_BYTES:
                raise Invalid("file", f"must not be larger than {prompts.MAX_BYTES // 1024 // 1024} MiB")
            await asyncio.to_thread(file.write, chunk)


async def _remove(request: web.Request) -> web.Response:
    home = _home(request)
    async with writing(request) as session:
        return answer(await prompts.remove(session, home, request.match_info["name"]))


def _home(request: web.Request) -> Path:
    home = context(request).home
    if home is None:
        raise NotFound("prompt", "this API keeps no prompts")
    return home
