"""What the section `channels.email` may say."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from channels import ChannelSettings

NAME = "email"

Port = Annotated[int, Field(ge=1, le=65_535)]
Security = Literal["tls", "starttls", "none"]
THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


class Settings(ChannelSettings):
    """A mailbox of our own: read by IMAP, answered from by SMTP."""

    account: Annotated[str, Field(min_length=1, max_length=64)] = "main"
    address: Annotated[str, Field(max_length=254)] = ""
    name: Annotated[str, Field(max_length=100)] = ""
    user: str = ""
    password: SecretStr = SecretStr("")
    imap_host: str = ""
    imap_port: Port = 993
    imap_security: Security = "tls"
    smtp_host: str = ""
    smtp_port: Port = 465
    smtp_security: Security = "tls"
    folder: Annotated[str, Field(min_length=1)] = "INBOX"
    sent_folder: str = ""
    poll_s: Annotated[float, Field(gt=0, le=1_500)] = 60.0  # servers end an IDLE after 29 minutes
    wait_s: Annotated[float, Field(gt=0, le=300)] = 30.0
    mail_bytes_max: Annotated[int, Field(ge=10_000, le=25_000_000)] = 10_000_000
    sends_per_minute: Annotated[int, Field(ge=1)] = 20

    @property
    def is_configured(self) -> bool:
        return all((self.address, self.password.get_secret_value(), self.imap_host, self.smtp_host))

    @property
    def login(self) -> str:
        return self.user or self.address

    @field_validator("address")
    @classmethod
    def _is_plain(cls, address: str) -> str:
        local, at, domain = address.rpartition("@")
        if address and (not at or not local or not domain or not address.isascii()):
            raise ValueError("must be a plain address such as help@example.com")
        if any(sign.isspace() or sign in '<>(),;:"\\' for sign in address):
            raise ValueError("must be the address alone: its name is another setting")
        return address

    @field_validator("name")
    @classmethod
    def _is_one_line(cls, name: str) -> str:
        if not name.isprintable():
            raise ValueError("must be one line")
        return name

    @model_validator(mode="after")
    def _hides_the_password(self) -> "Settings":
        for host, security in (
            (self.imap_host, self.imap_security),
            (self.smtp_host, self.smtp_security),
        ):
            if security == "none" and host and host not in THIS_MACHINE:
                raise ValueError(f"the password would be readable on its way to {host}")
        return self
