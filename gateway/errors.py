"""What can go wrong in the gateway, by what the caller can do about it.

GatewayError
├── ChannelError          a send went wrong; the leaf says how (reliability classes in brackets)
│   ├── Unreachable       [A] not a byte left: retry
│   ├── RateLimited       [B] wait `wait_s`, then retry
│   ├── Refused           [B] this message will never be taken: fail it with the reason
│   ├── Unavailable       [B] the far end says "not now": retry
│   ├── Ambiguous         [C] it may have arrived: reconcile, never simply send again
│   ├── WindowClosed      [B] the channel's reply window is over: fail it
│   ├── Blocked           [B] the customer shut us out: fail it and all that waits for the place
│   ├── Moved             [B] the place is `to_chat` now: send it there
│   ├── Missing           [B] the message to be changed is not there (any more)
│   └── BadToken          [B] the account is dead until an operator acts: pause the channel
├── IllegalMove           the state table has no such move
├── StaleEpoch            somebody else owns the conversation by now
├── StaleView             the agent has not seen the newest customer message
├── NoSuchMessage         a message is not there, or in another conversation
├── NoSuchFile            an upload is not there, or somebody else's
├── EmptyFile             a file without a byte
├── Conflict              the same id again with other content
├── TooMuch               a named limit is passed
└── Unauthorised          no right to do this
"""


class GatewayError(Exception):
    """The root of everything the gateway raises on purpose."""


class ChannelError(GatewayError):
    """A channel could not deliver."""


class Unreachable(ChannelError):
    """Nothing was sent: refused, DNS, TLS, or no connection in time."""


class RateLimited(ChannelError):
    """The far end asked to wait."""

    def __init__(self, message: str, *, wait_s: float) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class Refused(ChannelError):
    """The far end will never take this message; the text says why, for an agent to read."""


class Unavailable(ChannelError):
    """The far end answered that it cannot now."""


class Ambiguous(ChannelError):
    """Bytes left and no clear answer came: it may have arrived."""


class WindowClosed(ChannelError):
    """The time in which this channel lets us answer is over."""


class Blocked(ChannelError):
    """The customer does not take messages from us here; the text says why, for an agent to read."""


class Moved(ChannelError):
    """The place has another id by now."""

    def __init__(self, message: str, *, to_chat: str) -> None:
        super().__init__(message)
        self.to_chat = to_chat


class Missing(ChannelError):
    """There is no such message to edit or delete."""


class BadToken(ChannelError):
    """The account's credentials are refused."""


class IllegalMove(GatewayError):
    """The state table knows no such move."""


class StaleEpoch(GatewayError):
    """The work was done under an owner who does not own the conversation any more."""


class StaleView(GatewayError):
    """The customer wrote after what the agent has seen: show it and ask again."""

    def __init__(self, newest_seq: int) -> None:
        super().__init__(f"the conversation goes on to seq {newest_seq}")
        self.newest_seq = newest_seq


class NoSuchMessage(GatewayError):
    """There is no such message, or it is not in the conversation that was named."""


class NoSuchFile(GatewayError):
    """A named upload is not there, is somebody else's, or was deleted because nobody used it."""


class EmptyFile(GatewayError):
    """A file without a single byte."""


class Conflict(GatewayError):
    """The same client message id came with another content."""


class TooMuch(GatewayError):
    """A named limit is passed. `limit` is its name, `wait_s` when it makes sense to come back."""

    def __init__(self, message: str, *, limit: str, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.limit = limit
        self.wait_s = wait_s


class Unauthorised(GatewayError):
    """The token, or the account behind it, has no right to this."""
