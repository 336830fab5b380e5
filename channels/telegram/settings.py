"""What the section `channels.telegram` may say. Each number is a limit, told in docs/limits.md."""

import base64
import hashlib
import hmac
import re
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator

from channels import ChannelSettings

NAME = "telegram"

_TOKEN = re.compile(r"\d{6,16}:[A-Za-z0-9_-]{30,64}")
_SECRET = re.compile(r"[A-Za-z0-9_-]{43,256}")  # what Telegram takes, and what nobody guesses

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(ChannelSettings):
    """Times are in seconds. Without a token the channel sleeps."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    token: str = ""
    account: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")] = "main"
    mode: Literal["polling", "webhook"] = "polling"
    webhook_secret: str = ""
    groups: Literal["mentioned", "refused"] = "mentioned"
    placeholder: bool = True
    api_url: str = "https://api.telegram.org"
    poll_wait_s: Annotated[float, Field(ge=0, le=50)] = 25.0
    read_wait_s: Seconds = 30.0
    retry_wait_s: Seconds = 1.0
    retry_wait_s_max: Seconds = 60.0
    check_wait_s: Annotated[float, Field(gt=0, le=300)] = 300.0

    @property
    def is_configured(self) -> bool:
        return bool(self.token)

    @property
    def bot_id(self) -> int:
        """The bot's own user id: the public half of its token."""
        return int(self.token.partition(":")[0])

    @property
    def secret(self) -> str:
        """What Telegram shows us with each webhook call. Unless one is set it is made from the
        token: as secret, the same after a restart and in every process, and kept nowhere."""
        if self.webhook_secret:
            return self.webhook_secret
        purpose = f"tandem telegram webhook {self.account}".encode()
        digest = hmac.new(self.token.encode(), purpose, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    @field_validator("token")
    @classmethod
    def _from_bot_father(cls, token: str) -> str:
        token = token.strip()
        if token and not _TOKEN.fullmatch(token):
            raise ValueError("is no bot token: @BotFather gives them as 123456789:AAF… in one line")
        return token

    @field_validator("webhook_secret")
    @classmethod
    def _unguessable(cls, secret: str) -> str:
        if secret and not _SECRET.fullmatch(secret):
            raise ValueError("needs 43 to 256 of A-Z a-z 0-9 _ -; or leave it empty")
        return secret

    @field_validator("api_url")
    @classmethod
    def _web_address(cls, url: str) -> str:
        if not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s@?#]*)?", url):
            raise ValueError("must be an address such as https://api.telegram.org")
        return url.rstrip("/")
