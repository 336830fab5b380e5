"""files.*: an address, the bytes, completing; and giving them out to who may have them."""

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from tests.fakes.slack.posting import Refusal, check, place_of, with_ids
from tests.fakes.slack.workspace import APP, BOT, BOT_USER, TEAM, File, Json

if TYPE_CHECKING:
    from tests.fakes.slack.server import SlackServer

LOGIN_PAGE = "<!DOCTYPE html><html><head><title>Slack</title></head><body>Sign in</body></html>"


class Filing:
    """`shows_after`: how many looks at a file it takes until a completed one is shown in its
    place; None never shows it, though completing says ok."""

    def __init__(self, server: "SlackServer") -> None:
        self.server = server
        self.shows_after: int | None = 0
        self.uploads: list[str] = []
        self.downloads: list[str] = []
        self._to_show: list[tuple[int, Json, list[File]]] = []

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_post("/upload/{file}", self._upload)
        router.add_get("/files-pri/{file}/{name}", self._download)

    async def do(self, method: str, values: Json) -> Json:
        match method:
            case "files.getUploadURLExternal":
                return self._address(values)
            case "files.completeUploadExternal":
                return await self._complete(values)
            case _:
                return await self._info(values)

    def _address(self, values: Json) -> Json:
        length = int(values.get("length") or 0)
        if not values.get("filename") or length < 1:
            raise Refusal("invalid_arguments")
        workspace = self.server.workspace
        media_type = "image/png" if str(values["filename"]).endswith(".png") else "text/plain"
        file = File(workspace.new_id("F"), str(values["filename"]), media_type, length)
        workspace.files[file.id] = file
        return {"file_id": file.id, "upload_url": f"{self.server.url}/upload/{file.id}"}

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        async def call() -> web.StreamResponse:
            file = self.server.workspace.files.get(request.match_info["file"])
            content = await request.read()
            if file is None or len(content) != file.length:
                return web.Response(status=400, text="wrong length")
            file.content = content
            self.uploads.append(file.id)
            return web.Response(text=f"OK - {len(content)}")

        return await self.server.faults.around(request, "upload", call)

    async def _complete(self, values: Json) -> Json:
        workspace = self.server.workspace
        files = [workspace.files.get(str(one.get("id"))) for one in values.get("files", ())]
        known = [file for file in files if file is not None and file.content is not None]
        if not known or len(known) < len(files):
            raise Refusal("file_not_found")
        if values.get("channel_id"):
            place_of(workspace, str(values["channel_id"]))
            blocks = [] if values.get("initial_comment") else values.get("blocks") or []
            if blocks:
                check("", blocks)
            if self.shows_after is not None:
                self._to_show.append((self.shows_after, dict(values), known))
                await self._show_due()
        return {"files": [{"id": file.id, "title": file.name} for file in known]}

    async def _show_due(self) -> None:
        for waiting in list(self._to_show):
            looks, values, files = waiting
            if looks <= 0:
                self._to_show.remove(waiting)
                await self._show(values, files)

    async def _show(self, values: Json, files: list[File]) -> None:
        workspace = self.server.workspace
        place = workspace.places[str(values["channel_id"])]
        blocks = [] if values.get("initial_comment") else values.get("blocks") or []
        message: Json = {
            "type": "message", "subtype": "file_share", "user": BOT_USER, "bot_id": BOT,
            "app_id": APP, "team": TEAM, "ts": workspace.new_ts(),
            "text": str(values.get("initial_comment") or ""), "_request": values,
            "files": [workspace.file_json(file, self.server.url) for file in files],
        }  # fmt: skip
        if blocks:
            message["blocks"] = with_ids(blocks)
        if values.get("thread_ts"):
            message["thread_ts"] = values["thread_ts"]
        place.messages.append(message)
        for file in files:
            file.shares[place.id] = message["ts"]
        await self.server.events.posted(place, message)

    async def _info(self, values: Json) -> Json:
        file = self.server.workspace.files.get(str(values.get("file")))
        if file is None:
            raise Refusal("file_not_found")
        self._to_show = [(looks - 1, said, files) for looks, said, files in self._to_show]
        await self._show_due()
        return {"file": self.server.workspace.file_json(file, self.server.url)}

    async def _download(self, request: web.Request) -> web.StreamResponse:
        """Without token or scope Slack shows its login page, with 200."""

        async def call() -> web.StreamResponse:
            from tests.fakes.slack.server import BOT_TOKEN

            file = self.server.workspace.files.get(request.match_info["file"])
            bearer = request.headers.get("Authorization", "")
            if bearer != f"Bearer {BOT_TOKEN}" or "files:read" not in self.server.scopes:
                return web.Response(text=LOGIN_PAGE, content_type="text/html")
            if file is None or file.content is None:
                return web.Response(status=404)
            self.downloads.append(file.id)
            await asyncio.sleep(0)
            return web.Response(
                body=file.content, content_type=file.media_type,
                headers={"Content-Disposition": "attachment"},
            )  # fmt: skip

        return await self.server.faults.around(request, "download", call)
