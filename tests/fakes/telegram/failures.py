"""A refusal in the shape that the Bot API documents."""

from typing import Any


class Fail(Exception):
    """`description` begins as Telegram's do; `parameters` such as retry_after."""

    def __init__(self, code: int, description: str, **parameters: Any) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters

    def body(self) -> dict[str, Any]:
        said = {"ok": False, "error_code": self.code, "description": self.description}
        return said | ({"parameters": self.parameters} if self.parameters else {})


def bad(description: str, **parameters: Any) -> Fail:
    return Fail(400, f"Bad Request: {description}", **parameters)
