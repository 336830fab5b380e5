"""What the section `channels.slack` may say."""

from typing import Annotated, Literal

from pydantic import Field

from channels import ChannelSettings

NAME = "slack"

PlaceKind = Literal["dm", "mentions", "threads"]
Rule = Literal["refuse", "allow"]


class Settings(ChannelSettings):
    """One workspace. It is configured once it has a bot token and one of the two ways in."""

    account: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = "main"
    bot_token: Annotated[str, Field(pattern=r"^(xoxb-\S+)?$", repr=False)] = ""
    app_token: Annotated[str, Field(pattern=r"^(xapp-\S+)?$", repr=False)] = ""  # Socket Mode
    signing_secret: Annotated[str, Field(repr=False)] = ""  # HTTP
    api_url: Annotated[str, Field(pattern=r"^https?://[^\s?#]+$")] = "https://slack.com/api/"
    places: tuple[PlaceKind, ...] = ("dm", "mentions", "threads")
    guests: Rule = "allow"
    connect: Rule = "refuse"

    @property
    def is_configured(self) -> bool:
        return bool(self.bot_token and (self.app_token or self.signing_secret))
