"""What a file is: its name and its first bytes must say the same."""

import re
from pathlib import PurePath
from urllib.parse import urlsplit

from rag.errors import SourceUnreadable
from rag.types import Words

# First bytes → what the file is, whatever its name says, in English and Chinese.
_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"%PDF", "a PDF", "PDF"),
    (b"PK\x03\x04", "a ZIP or Office file", "ZIP 或 Office 文件"),
    (b"PK\x05\x06", "an empty ZIP file", "空的 ZIP 文件"),
    (b"PK\x07\x08", "a ZIP in parts", "分卷 ZIP 文件"),
    (b"\xd0\xcf\x11\xe0", "an old Office file", "旧版 Office 文件"),
    (b"{\\rtf", "an RTF file", "RTF 文件"),
    (b"\x89PNG", "a picture", "图片"),
    (b"GIF8", "a picture", "图片"),
    (b"\xff\xd8\xff", "a picture", "图片"),
    (b"\x1f\x8b", "a gzip archive", "gzip 压缩包"),
    (b"7z\xbc\xaf", "a 7z archive", "7z 压缩包"),
    (b"Rar!", "a RAR archive", "RAR 压缩包"),
    (b"\x7fELF", "a program", "程序"),
    (b"MZ\x90", "a program", "程序"),
    (b"SQLite format 3", "a database", "数据库"),
)
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
_ZIP_END = b"PK\x05\x06"
_ZIP_END_BYTES = 65_535 + 22  # a ZIP may end with a comment of this length
_PROGRAM = re.compile(rb"\A#!|\A<\?php|\A\s*<%", re.IGNORECASE)
_MUST_BEGIN = {".pdf": b"%PDF-", ".docx": b"PK\x03\x04", ".xlsx": b"PK\x03\x04"}
_MODERN = {
    ".doc": ".docx", ".rtf": ".docx", ".odt": ".docx", ".pages": ".docx",
    ".xls": ".xlsx", ".ods": ".xlsx", ".numbers": ".xlsx", ".ppt": ".pdf", ".pptx": ".pdf",
}  # fmt: skip


def suffix_of(name: str) -> str:
    """The extension that says how a document is read. The name of a web page is its address."""
    if "://" not in name:
        return PurePath(name).suffix.lower()
    parts = urlsplit(name)
    named = PurePath(parts.fragment).suffix or parts.fragment
    return (named if named.startswith(".") else PurePath(parts.path).suffix).lower()


def refuse_other_kind(name: str, suffix: str, content: bytes) -> None:
    """Raise SourceUnreadable where the first bytes are not those of `suffix`, or the file is two
    kinds at once."""
    wanted = _MUST_BEGIN.get(suffix)
    if content.startswith(_OLD_OFFICE) and _ENCRYPTED_PACKAGE in content:
        raise encrypted()
    if wanted is None or not content.startswith(wanted):
        found = _found(content)
        if found is not None or wanted is not None:
            raise _mismatch(suffix, found or Words("something else", "其他内容"))
        if _PROGRAM.match(content):
            raise _mismatch(suffix, Words("a program", "程序"))
    if wanted != b"PK\x03\x04" and _ZIP_END in content[-_ZIP_END_BYTES:] and _is_zip_too(content):
        raise _two_kinds()


def refuse_unknown(name: str, suffix: str, known: list[str]) -> None:
    """Raise SourceUnreadable for an extension that nothing reads."""
    if suffix in known:
        return
    kinds = ", ".join(known)
    if suffix in _MODERN:
        modern = _MODERN[suffix]
        raise SourceUnreadable(
            f"{suffix} is not a kind of document Tandem reads. Save it as {modern}.",
            f"Tandem 不读取 {suffix} 文件。请另存为 {modern}。",
        )
    raise SourceUnreadable(
        f"{suffix or 'A name without an extension'} is not a kind of document Tandem reads."
        f" Convert it to one of {kinds}.",
        f"{suffix or '没有扩展名的文件'}不是 Tandem 能读取的类型。请转换为以下类型之一：{kinds}。",
    )


def encrypted() -> SourceUnreadable:
    """For every format that can carry a password."""
    return SourceUnreadable(
        "It is protected by a password. Save a copy without one and upload that.",
        "文件受密码保护。请另存一份没有密码的副本再上传。",
    )


def two_kinds() -> SourceUnreadable:
    """For a file that two programs would read differently."""
    return _two_kinds()


def _two_kinds() -> SourceUnreadable:
    return SourceUnreadable(
        "The file is two kinds of file at once, which no office program writes. Open it and save"
        " it anew.",
        "这个文件同时是两种类型的文件，正常的办公软件不会这样保存。请打开后重新保存。",
    )


def _found(content: bytes) -> Words | None:
    for signature, english, chinese in _SIGNATURES:
        if content.startswith(signature):
            return Words(english, chinese)
    return None


def _mismatch(suffix: str, found: Words) -> SourceUnreadable:
    return SourceUnreadable(
        f"It is named {suffix} but the file is {found.en}. Give it the name that fits, or save it"
        f" as {suffix}.",
        f"文件扩展名是 {suffix}，内容却是{found.zh}。请改成相符的扩展名，或另存为 {suffix}。",
    )


def _is_zip_too(content: bytes) -> bool:
    """Whether the end record that was found points at a directory of entries."""
    end = content.rfind(_ZIP_END)
    size = int.from_bytes(content[end + 12 : end + 16], "little")
    return size > 0 and content[end - size : end - size + 4] == b"PK\x01\x02"
