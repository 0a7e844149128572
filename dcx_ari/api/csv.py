"""CSV files of every kind of row: `bulk-import`, `export.csv`, `import-template.csv`; and `/api/calls/export.csv`.

An upload goes to a temporary file as it comes; neither it nor an export is ever whole in memory.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import IO, Any

from aiohttp import BodyPartReader, MultipartReader, web

from dcx_ari.api.context import answer, context, query_of
from dcx_ari.api.routes import Handler, Param, Route, declare
from dcx_ari.api.row_shapes import list_query
from dcx_ari.services.csv_text import ENCODINGS
from dcx_ari.services.errors import Invalid, Refused
from dcx_ari.services.export_calls import export_calls
from dcx_ari.services.exporting import export_rows, template_csv
from dcx_ari.services.importing import import_csv
from dcx_ari.services.resources import RESOURCES, Resource
from dcx_ari.services.views import with_view
from dcx_ari.store.errors import StoreError

log = logging.getLogger(__name__)

MAX_UPLOAD = 256 * 1024 * 1024
"""Bytes of a CSV file that is sent: about three million rows of buyers."""
_CHUNK = 64 * 1024
_FLAG: dict[str, Any] = {"type": "boolean"}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_FAULT: dict[str, Any] = {
    "type": "object",
    "properties": {"row": {"type": "integer"}, "field": {"type": "string"}, "message": {"type": "string"}},
    "required": ["row", "field", "message"],
}
_REPORT: dict[str, Any] = {
    "type": "object",
    "properties": {
        **dict.fromkeys(("created", "updated", "unchanged", "failed", "rows"), _COUNT),
        "dry_run": _FLAG,
        "errors": {"type": "array", "items": _FAULT},
    },
    "required": ["created", "updated", "unchanged", "failed", "rows", "dry_run", "errors"],
}
_IMPORT = {
    "dry_run": Param("Write nothing; say what would be written.", _FLAG),
    "atomic": Param("Write all rows, or none if one is refused.", _FLAG),
    "encoding": Param("Of the file; else UTF-8, or UTF-16 by its byte order mark.", {"enum": list(ENCODINGS)}),
}
_TRACKDRIVE = {"trackdrive_table_id": Param("Accepted and not looked at.")}


def add_routes(app: web.Application) -> None:
    for resource in RESOURCES.values():
        for path in (resource.path, *resource.aliases):
            declare(app, _routes(resource, f"/api/{path}"))
    declare(
        app,
        [
            Route(
                method="GET",
                path="/api/calls/export.csv",
                handler=_export_calls,
                summary="The call log as CSV: all calls that the filters match.",
                permission="calls.view",
                tag="calls",
                query=_TRACKDRIVE,
                open_query=True,
                media="text/csv",
            )
        ],
    )


def _routes(resource: Resource, base: str) -> list[Route]:
    kind = resource.name.replace("-", "_")
    return [
        Route(
            method="POST",
            path=f"{base}/bulk-import",
            handler=_import(resource),
            summary=f"Make or change {resource.name} from a CSV file, each by its key.",
            permission=f"{kind}.write",
            tag=resource.name,
            query=_IMPORT,
            body={"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}},
            body_media="multipart/form-data",
            answer=_REPORT,
        ),
        Route(
            method="GET",
            path=f"{base}/export.csv",
            handler=_export(resource),
            summary=f"The list of {resource.name} as CSV: all rows that the filters match, in its order.",
            permission=f"{kind}.read",
            tag=resource.name,
            refuses=(400,),
            query={**_asked(resource), "columns": Param("Only these, separated by commas."), **_TRACKDRIVE},
            open_query=True,
            media="text/csv",
        ),
        Route(
            method="GET",
            path=f"{base}/import-template.csv",
            handler=_template(resource),
            summary=f"The header to begin an import of {resource.name} with.",
            permission=f"{kind}.read",
            tag=resource.name,
            media="text/csv",
        ),
    ]


def _asked(resource: Resource) -> dict[str, Param]:
    """What a list can be asked, but for its pages."""
    return {name: param for name, param in list_query(resource).items() if name not in ("limit", "cursor")}


def _import(resource: Resource) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        options = {name: _flag(request, name) for name in ("dry_run", "atomic")}
        encoding = request.query.get("encoding")
        async with _upload(request) as file:
            report = await import_csv(context(request).database, resource, file, encoding=encoding, **options)
        told = report.as_json()
        if report.landed:
            return answer(told)
        rule = f"{report.failed} of {report.rows} rows are refused, so none is written"
        error = {"field": "rows", "rule": rule, "message": f"rows: {rule}"}
        return answer({**told, "error": error}, 422)

    return handle


def _export(resource: Resource) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        asked = query_of(request)
        dropped = ("columns", *_TRACKDRIVE)
        query = replace(asked, filters={key: each for key, each in asked.filters.items() if key not in dropped})
        columns = [name for name in request.query.get("columns", "").split(",") if name]
        database = context(request).database
        async with database.read() as session:
            query = await with_view(session, resource.name, query)
        return await _stream(request, export_rows(database, resource, query, columns), resource.path)

    return handle


def _template(resource: Resource) -> Handler:
    async def handle(_request: web.Request) -> web.Response:
        headers = _download(f"{resource.path}-template")
        return web.Response(body=template_csv(resource), content_type="text/csv", charset="utf-8", headers=headers)

    return handle


async def _export_calls(request: web.Request) -> web.StreamResponse:
    asked = query_of(request)
    query = replace(asked, filters={key: each for key, each in asked.filters.items() if key not in _TRACKDRIVE})
    database = context(request).database
    async with database.read() as session:
        query = await with_view(session, "calls", query)
    return await _stream(request, export_calls(database, query), "calls")


async def _stream(request: web.Request, parts: AsyncIterator[bytes], name: str) -> web.StreamResponse:
    """Send parts as they are made; what is wrong with the request is found out before the first one is sent."""
    first = await anext(parts, b"")
    response = web.StreamResponse(headers=_download(name))
    response.content_type, response.charset = "text/csv", "utf-8"
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    try:
        await response.write(first)
        async for part in parts:
            await response.write(part)
        await response.write_eof()
    except (StoreError, Refused) as error:
        log.error("an export broke off: %s", error)
        if request.transport is not None:
            request.transport.close()  # without the last chunk: the reader sees that it is not whole
    return response


def _download(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}.csv"'}


def _flag(request: web.Request, name: str) -> bool:
    text = request.query.get(name, "false").lower()
    if text not in ("", "true", "false", "1", "0"):
        raise Invalid(name, "must be true or false")
    return text in ("", "true", "1")


@asynccontextmanager
async def _upload(request: web.Request) -> AsyncIterator[IO[bytes]]:
    """The file that was sent, in a temporary file without a name. Raises Invalid, HTTP 413 and 415."""
    file = await asyncio.to_thread(tempfile.TemporaryFile)
    try:
        if request.content_type == "multipart/form-data":
            await _from_form(request, file)
        elif request.content_type in ("text/csv", "text/plain", "application/csv"):
            await _copy(request.content.iter_chunked(_CHUNK), file)
        else:
            raise web.HTTPUnsupportedMediaType(text="Content-Type must be multipart/form-data or text/csv")
        file.seek(0)
        yield file
    finally:
        file.close()


async def _from_form(request: web.Request, file: IO[bytes]) -> None:
    """The one part that is a file, or that is called so."""
    found = False
    try:
        reader: MultipartReader = await request.multipart()
        while (part := await reader.next()) is not None:
            if found:
                raise Invalid("file", "must be the only part of the form")
            if not isinstance(part, BodyPartReader) or not (part.filename or part.name == "file"):
                break
            found = True
            await _copy(_chunks(part), file)
    except (ValueError, RuntimeError, AssertionError) as error:
        raise Invalid("body", f"must be a form with a file: {error}") from None
    if not found:
        raise Invalid("file", "is required: a part of the form with the CSV file")


async def _chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk(_CHUNK):
        yield chunk


async def _copy(chunks: AsyncIterator[bytes], file: IO[bytes]) -> None:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > MAX_UPLOAD:
            raise web.HTTPRequestEntityTooLarge(MAX_UPLOAD, size)
        await asyncio.to_thread(file.write, chunk)
