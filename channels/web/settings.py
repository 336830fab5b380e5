"""What the section `channels.web` may say. Each number is a limit that docs/limits.md explains."""

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from channels import ChannelSettings
from channels.web.identity import Algorithm, HostKey, check_key

NAME = "web"

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(ChannelSettings):
    """Sizes are in bytes, rates per minute, times in seconds."""

    account: Annotated[str, Field(min_length=1, max_length=64)] = "main"  # tokens are bound to it
    demo: bool = True  # a page at / that shows the widget
    page_url: str = ""  # a page that shows the widget, to send customers of other channels to
    identity_algorithm: Algorithm = "HS256"
    identity_secret: str = ""
    identity_public_key: str = ""
    body_bytes_max: Annotated[int, Field(ge=1_024, le=1_000_000)] = 524_288
    body_wait_s: Seconds = 10.0
    sessions_per_minute: Count = 30  # new visitors from one address
    messages_per_minute: Count = 20  # of one visitor
    reads_per_minute: Count = 300  # of one visitor, over HTTP
    uploads_per_minute: Count = 10  # files of one visitor
    uploads_per_address: Count = 60  # files a minute from one address
    upload_wait_s: Seconds = 120.0  # for a file to arrive
    downloads_per_minute: Count = 60  # of one visitor
    poll_wait_s_max: Annotated[float, Field(gt=0, le=25)] = 25.0
    sockets_per_address: Count = 20
    hello_wait_s: Seconds = 10.0
    frame_bytes_max: Annotated[int, Field(ge=1_024, le=65_536)] = 65_536
    frames_per_minute: Count = 120  # of one socket, from the client
    behind_bytes_max: Annotated[int, Field(ge=65_536)] = 1_000_000
    behind_wait_s: Seconds = 5.0  # for a reader that far behind to catch up

    @field_validator("page_url")
    @classmethod
    def _web_address(cls, url: str) -> str:
        if url and not url.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return url

    @field_validator("identity_secret", "identity_public_key")
    @classmethod
    def _usable_key(cls, key: str, info: ValidationInfo) -> str:
        algorithm: Algorithm = info.data.get("identity_algorithm", "HS256")
        wanted = "identity_secret" if algorithm == "HS256" else "identity_public_key"
        if key and info.field_name != wanted:
            raise ValueError(f"is not used with identity_algorithm = {algorithm}: set {wanted}")
        if key:
            check_key(algorithm, key)
        return key

    @property
    def host_key(self) -> HostKey | None:
        """What the host site signs identities with; None where it does not."""
        key = self.identity_secret or self.identity_public_key
        return HostKey(self.identity_algorithm, key) if key else None
