"""Which rights of the Slack app each call and each event needs; the manifest must name them."""

from collections.abc import Mapping

from channels.slack.api import Method

HISTORY = ("channels:history", "groups:history", "im:history")

METHOD_SCOPES: Mapping[Method, tuple[str, ...]] = {
    "auth.test": (),
    "apps.connections.open": (),  # the app token's own right, connections:write
    "chat.postMessage": ("chat:write",),
    "chat.update": ("chat:write",),
    "chat.delete": ("chat:write",),
    "conversations.history": HISTORY,
    "conversations.replies": HISTORY,
    "users.info": ("users:read", "users:read.email"),
    "files.getUploadURLExternal": ("files:write",),
    "files.completeUploadExternal": ("files:write",),
    "files.info": ("files:read",),
}

EVENT_SCOPES: Mapping[str, tuple[str, ...]] = {
    "app_mention": ("app_mentions:read",),
    "message.im": ("im:history",),
    "message.channels": ("channels:history",),
    "message.groups": ("groups:history",),
    "message_metadata_posted": ("metadata.message:read",),
}

# Without them something is less comfortable, nothing is broken.
OPTIONAL = frozenset({"users:read.email", "metadata.message:read"})

NEEDED: frozenset[str] = frozenset(
    scope for scopes in (*METHOD_SCOPES.values(), *EVENT_SCOPES.values()) for scope in scopes
)


def lacking(granted: str) -> set[str]:
    """What is needed and not in `granted`, the list with commas that Slack's answers carry."""
    return set(NEEDED - OPTIONAL - {scope.strip() for scope in granted.split(",")})
