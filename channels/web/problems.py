"""What the web chat answers when it refuses: a stable type, a text in the reader's language.

`detail` never quotes what was sent, and says nothing of our insides.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response
from litestar.openapi.datastructures import ResponseSpec

from rag.types import Language

MEDIA_TYPE = "application/problem+json"

ProblemName = Literal[
    "bad-json", "not-json", "too-large", "too-slow", "invalid", "unstorable-text",
    "identity-refused", "bad-identity", "link-spent", "cannot-join", "unauthorised",
    "foreign-origin", "conflict", "too-many", "unavailable", "not-found", "method-not-allowed",
    "failed", "not-a-file", "no-such-file", "empty-file",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kind:
    """One thing that can be wrong. `details` may have a {slot} that the problem fills."""

    status: int
    title: str
    details: Mapping[Language, str]


KINDS: Mapping[ProblemName, Kind] = {
    "bad-json": Kind(400, "Not readable as JSON", {
        "en": "The body cannot be read as JSON: {why}.",
        "zh": "无法将请求内容解析为 JSON：{why}。",
    }),
    "unauthorised": Kind(401, "No valid token", {
        "en": "The visitor token is missing, unknown or expired. Start a new session.",
        "zh": "访客令牌缺失、无效或已过期，请重新开始会话。",
    }),
    "bad-identity": Kind(401, "Identity not valid", {
        "en": "The signed identity does not hold: it is wrong, expired, or meant for another chat.",
        "zh": "签名身份无效：签名错误、已过期，或属于另一个聊天窗口。",
    }),
    "foreign-origin": Kind(403, "Foreign origin", {
        "en": "This web site is not allowed to use this chat.",
        "zh": "此网站无权使用本聊天服务。",
    }),
    "not-found": Kind(404, "Not found", {
        "en": "There is nothing at this address.", "zh": "此地址没有内容。",
    }),
    "method-not-allowed": Kind(405, "Method not allowed", {
        "en": "This address does not take this method.", "zh": "此地址不支持该请求方法。",
    }),
    "too-slow": Kind(408, "Body too slow", {
        "en": "The body did not arrive in time.", "zh": "请求内容未能及时送达。",
    }),
    "conflict": Kind(409, "Same id, other content", {
        "en": "This client_message_id was used for a message with another content.",
        "zh": "该 client_message_id 已用于另一条内容不同的消息。",
    }),
    "cannot-join": Kind(409, "Two accounts", {
        "en": "This link leads to the conversation of another account. Nothing was connected.",
        "zh": "此链接属于另一个账号的对话，因此没有合并。",
    }),
    "link-spent": Kind(410, "Link used or too old", {
        "en": "This link was used before or is too old. Ask for a new one where you come from.",
        "zh": "此链接已使用过或已失效，请在原来的地方重新获取。",
    }),
    "too-large": Kind(413, "Too large", {
        "en": "The body is larger than this server takes.", "zh": "请求内容超出大小限制。",
    }),
    "not-json": Kind(415, "Not application/json", {
        "en": "Send the body as application/json, without an encoding.",
        "zh": "请以 application/json 发送请求内容，且不要压缩编码。",
    }),
    "not-a-file": Kind(415, "Not application/octet-stream", {
        "en": "Send the file's bytes as application/octet-stream, without an encoding.",
        "zh": "请以 application/octet-stream 发送文件内容，且不要压缩编码。",
    }),
    "empty-file": Kind(422, "Empty file", {
        "en": "The file is empty.", "zh": "文件为空。",
    }),
    "no-such-file": Kind(422, "No such file", {
        "en": "A file of this message is not there any more. Choose it again.",
        "zh": "此消息中的文件已不存在，请重新选择。",
    }),
    "invalid": Kind(422, "Not valid", {
        "en": "A field is missing, unknown or out of its limits; extra names it.",
        "zh": "有字段缺失、未知或超出限制，详见 extra。",
    }),
    "unstorable-text": Kind(422, "Text cannot be stored", {
        "en": "The text holds a NUL character or half of a surrogate pair.",
        "zh": "文本包含 NUL 字符或不完整的代理对。",
    }),
    "identity-refused": Kind(422, "Identity refused", {
        "en": "This server has no key to check identities with. Start a session without one.",
        "zh": "本服务器未配置身份校验密钥，请不带 identity 开始会话。",
    }),
    "too-many": Kind(429, "Too many", {
        "en": "That is too much at once. Try again in {wait_s} s.",
        "zh": "操作过于频繁，请在 {wait_s} 秒后重试。",
    }),
    "failed": Kind(500, "Failed", {
        "en": "Something went wrong on our side. Quote {incident} when you report it.",
        "zh": "我们这边出了问题。反馈时请提供编号 {incident}。",
    }),
    "unavailable": Kind(503, "Not now", {
        "en": "The message could not be taken in just now. Send it again in {wait_s} s.",
        "zh": "暂时无法接收，请在 {wait_s} 秒后重新发送。",
    }),
}  # fmt: skip


class ProblemBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The form of every error."""

    type: Annotated[str, msgspec.Meta(description="A stable URN, e.g. urn:tandem:conflict")]
    title: str
    detail: Annotated[str, msgspec.Meta(description="For people, in their language (en or zh)")]
    extra: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


@dataclass
class Problem(Exception):
    """A refusal on its way out. `wait_s` becomes Retry-After, `slots` fill the detail."""

    name: ProblemName
    slots: Mapping[str, Any] = field(default_factory=dict[str, Any])
    extra: Mapping[str, Any] | None = None
    wait_s: float | None = None
    language: Language | None = None  # of the visitor, where one is known

    @property
    def kind(self) -> Kind:
        return KINDS[self.name]

    def body(self, language: Language) -> ProblemBody:
        slots = {"wait_s": self.wait_whole_s, **self.slots}
        return ProblemBody(
            type=f"urn:tandem:{self.name}",
            title=self.kind.title,
            detail=self.kind.details[language].format(**slots),
            extra=dict(self.extra) if self.extra is not None else msgspec.UNSET,
        )

    @property
    def wait_whole_s(self) -> int:
        return max(1, math.ceil(self.wait_s or 0))


def answer(problem: Problem, accept_language: str) -> Response[ProblemBody]:
    """The response for `problem` in the language asked for, else the visitor's, else English."""
    language = preferred(accept_language) or problem.language or "en"
    headers: dict[str, str] = {"Cache-Control": "no-store"}
    if problem.wait_s is not None:
        headers["Retry-After"] = str(problem.wait_whole_s)
    if problem.name == "unauthorised":
        headers["WWW-Authenticate"] = "Bearer"
    return Response(
        problem.body(language),
        status_code=problem.kind.status,
        media_type=MEDIA_TYPE,
        headers=headers,
    )


def responses(*names: ProblemName) -> dict[int, ResponseSpec]:
    """What a route may answer besides its success, for OpenAPI."""
    found: dict[int, list[str]] = {}
    for name in names:
        found.setdefault(KINDS[name].status, []).append(f"`urn:tandem:{name}`")
    return {
        status: ResponseSpec(
            ProblemBody, description=", ".join(urns), generate_examples=False, media_type=MEDIA_TYPE
        )  # pyright: ignore[reportArgumentType]
        for status, urns in found.items()
    }


def preferred(accept_language: str) -> Language | None:
    """The first of our languages in an Accept-Language header; None if it names neither."""
    weighed: list[tuple[float, int, Language]] = []
    for place, part in enumerate(accept_language[:200].lower().split(",")):
        tag, _, quality = part.partition(";")
        language = _language_of(tag.strip())
        if language is not None:
            weighed.append((-_weight(quality), place, language))
    return min(weighed)[2] if weighed else None


def _language_of(tag: str) -> Language | None:
    primary, _, _ = tag.partition("-")
    if primary == "zh":
        return "zh"
    return "en" if primary == "en" else None


def _weight(quality: str) -> float:
    found = re.fullmatch(r"\s*q=([01](?:\.\d{1,3})?)\s*", quality)
    return float(found[1]) if found else 1.0
