"""What the section `channels.web` may say. Each number is a limit that docs/limits.md explains."""

from typing import Annotated

from pydantic import Field

from channels import ChannelSettings

NAME = "web"

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(ChannelSettings):
    """Sizes are in bytes, rates per minute, times in seconds."""

    account: Annotated[str, Field(min_length=1, max_length=64)] = "main"  # tokens are bound to it
    demo: bool = True  # a page at / that shows the widget
    body_bytes_max: Annotated[int, Field(ge=1_024, le=1_000_000)] = 524_288
    body_wait_s: Seconds = 10.0
    sessions_per_minute: Count = 30  # new visitors from one address
    messages_per_minute: Count = 20  # of one visitor
    reads_per_minute: Count = 300  # of one visitor, over HTTP
    poll_wait_s_max: Annotated[float, Field(gt=0, le=25)] = 25.0
    sockets_per_address: Count = 20
    hello_wait_s: Seconds = 10.0
    frame_bytes_max: Annotated[int, Field(ge=1_024, le=65_536)] = 65_536
    frames_per_minute: Count = 120  # of one socket, from the client
    behind_bytes_max: Annotated[int, Field(ge=65_536)] = 1_000_000
    behind_wait_s: Seconds = 5.0  # for a reader that far behind to catch up
