"""The Bot API as this channel uses it: one request for each call, its failure in our own words."""

from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, cast

from telegram import Bot, BotCommand, LinkPreviewOptions, WebhookInfo

from channels.telegram.condition import Condition
from channels.telegram.outcomes import REVOKED, translated
from channels.telegram.settings import Settings
from channels.telegram.wire import Wire
from gateway.errors import Ambiguous, BadToken, ChannelError, Refused, Unavailable, Unreachable

UPDATES_WANTED = ("message", "edited_message", "callback_query", "my_chat_member")
UPDATES_MAX = 100
DOWNLOAD_BYTES_MAX = 20_000_000  # Telegram's limit for bots
NO_PREVIEW = LinkPreviewOptions(is_disabled=True)  # a preview would fetch what a text names
_POLL_SLACK_S = 10.0


class Api:
    """One bot. `bot` is the vendor's client; use it inside `calling` only."""

    def __init__(self, settings: Settings, condition: Condition) -> None:
        self._settings = settings
        self._condition = condition
        self._wire = Wire(read_wait_s=settings.read_wait_s, tell_date=condition.saw_date)
        self.bot = Bot(
            settings.token,
            base_url=f"{settings.api_url}/bot",
            base_file_url=f"{settings.api_url}/file/bot",
            request=self._wire,
            get_updates_request=self._wire,
        )
        self.username = ""

    @asynccontextmanager
    async def connected(self) -> AsyncGenerator[None]:
        """Connections are kept meanwhile; outside, each call has one of its own."""
        await self._wire.initialize()
        try:
            yield
        finally:
            await self._wire.shutdown()

    @contextmanager
    def calling(self) -> Generator[None]:
        """Around one call: leaves of ChannelError alone, and the bot's condition kept."""
        try:
            with translated():
                yield
        except BadToken:
            self._condition.ails("token", REVOKED)
            raise
        except (Unreachable, Unavailable, Ambiguous) as error:
            self._condition.unanswered(str(error))
            raise
        except ChannelError:
            self._condition.answered()
            raise
        self._condition.answered()
        self._condition.well("token")

    async def learn_name(self) -> None:
        with self.calling():
            self.username = (await self.bot.get_me()).username or ""

    async def updates(self, offset: int | None) -> Sequence[object]:
        """The next updates as they came, unread; waits for some. Those below `offset` are over."""
        asked: dict[str, Any] = {
            "timeout": int(self._settings.poll_wait_s), "limit": UPDATES_MAX,
            "allowed_updates": list(UPDATES_WANTED),
        }  # fmt: skip
        if offset is not None:
            asked["offset"] = offset
        with self.calling():
            # In lower case, as Telegram allows: under its usual name the library warns, and would
            # have us use a method that loses a whole batch to one odd update.
            return cast(
                "Sequence[object]",
                await self.bot.do_api_request(
                    "getupdates",
                    api_kwargs=asked,
                    read_timeout=self._settings.poll_wait_s + _POLL_SLACK_S,
                ),
            )

    async def take_webhook_off(self) -> None:
        with self.calling():
            await self.bot.delete_webhook(drop_pending_updates=False)

    async def set_webhook(self, url: str) -> None:
        with self.calling():
            await self.bot.set_webhook(
                url,
                secret_token=self._settings.secret,
                allowed_updates=UPDATES_WANTED,
                drop_pending_updates=False,
            )

    async def webhook(self) -> WebhookInfo:
        with self.calling():
            return await self.bot.get_webhook_info()

    async def set_commands(self, commands: Sequence[BotCommand], language: str | None) -> None:
        with self.calling():
            await self.bot.set_my_commands(commands, language_code=language)

    async def download(self, file_id: str, bytes_max: int) -> bytes:
        """A file that a customer sent. Raises Refused when it is larger, or gone."""
        most = min(bytes_max, DOWNLOAD_BYTES_MAX)
        with self.calling():
            file = await self.bot.get_file(file_id)
            if (file.file_size or 0) > most:
                raise Refused(f"the file has more than {most} bytes")
            content = bytes(await file.download_as_bytearray())
        if len(content) > most:
            raise Refused(f"the file has more than {most} bytes")
        return content
