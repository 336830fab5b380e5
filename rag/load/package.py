"""Office files are ZIP archives of XML: looked over before any parser opens them."""

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath

from rag.errors import SourceUnreadable
from rag.load.kinds import encrypted, two_kinds

UNPACKED_BYTES_MAX = 100 * 1024 * 1024
ENTRIES_MAX = 2_000
RATIO_MAX = 100  # of an entry that is large enough to do harm
_RATIO_FROM_BYTES = 1024 * 1024
_PIECE = 1 << 16
_LINK = 0o120000
_ARCHIVE = re.compile(rb"PK\x03\x04|\x1f\x8b\x08|7z\xbc\xaf|Rar!")
_ARCHIVE_NAME = re.compile(r"\.(?:zip|gz|7z|rar|tar|jar|docx|xlsx|pptx)$", re.IGNORECASE)
_DTD = re.compile(rb"<!\s*(?:DOCTYPE|ENTITY)|<\0?!\0?(?:D\0?O\0?C\0?T\0?Y\0?P\0?E|E\0?N\0?T\0?I)")
_DTD_BYTES = 32  # the longest match of it, so that none hides between two pieces


def refuse_unfit_package(content: bytes, *, part: str) -> None:
    """Raise SourceUnreadable for an archive that is broken, hostile, or not the kind of Office
    file whose main part is `part`."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            _refuse_list(content, archive, entries)
            if part not in {entry.filename for entry in entries}:
                raise _broken("a part of it is missing", "缺少必要的部分")
            _refuse_contents(archive, entries)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, OSError, ValueError) as error:
        raise _broken("its archive is damaged", "压缩结构已损坏") from error
    except NotImplementedError as error:
        raise _broken("it is packed in an unusual way", "使用了不常见的压缩方式") from error
    except RuntimeError as error:  # zipfile says so where an entry wants a password
        raise encrypted() from error


def _refuse_list(content: bytes, archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> None:
    """What the directory of the archive says of itself."""
    if len(entries) > ENTRIES_MAX:
        raise _bomb(
            f"{len(entries):,} parts; {ENTRIES_MAX:,}",
            f"{len(entries):,} 个部分，上限为 {ENTRIES_MAX:,}",
        )
    if (
        not content.endswith(archive.comment)
        or content[-22 - len(archive.comment) :][:4] != b"PK\x05\x06"
    ):
        raise two_kinds()
    names = [entry.filename for entry in entries]
    if len(set(names)) < len(names):
        raise _broken("two of its parts have one name", "有两个部分同名")
    for entry in entries:
        path = PurePosixPath(entry.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in entry.filename:
            raise _broken("a part of it points outside", "有部分指向文件之外")
        if entry.external_attr >> 16 & 0o170000 == _LINK:
            raise _broken("a part of it is a link", "其中包含链接")
        if entry.flag_bits & 0x1:
            raise encrypted()
    total = sum(entry.file_size for entry in entries)
    if total > UNPACKED_BYTES_MAX:
        raise _too_large()


def _refuse_contents(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> None:
    """What really comes out, whatever the directory says."""
    total = 0
    for entry in entries:
        is_xml = entry.filename.endswith((".xml", ".rels", ".vml"))
        size, tail = 0, b""
        for piece in _pieces(archive, entry):
            if size == 0 and (_ARCHIVE.match(piece) or _ARCHIVE_NAME.search(entry.filename)):
                raise _nested()
            size, total = size + len(piece), total + len(piece)
            if total > UNPACKED_BYTES_MAX:
                raise _too_large()
            if size > _RATIO_FROM_BYTES and size > RATIO_MAX * max(entry.compress_size, 1):
                raise _bomb(
                    f"a part that unpacks more than {RATIO_MAX}-fold; {RATIO_MAX}",
                    f"膨胀超过 {RATIO_MAX} 倍的部分，上限为 {RATIO_MAX} 倍",
                )
            if is_xml and _DTD.search(tail + piece):
                raise _dtd()
            tail = piece[-_DTD_BYTES:]


def _pieces(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    with archive.open(entry) as file:
        while piece := file.read(_PIECE):
            yield piece


def _too_large() -> SourceUnreadable:
    most = UNPACKED_BYTES_MAX // 1024 // 1024
    return _bomb(
        f"more than {most} MB when unpacked; {most} MB",
        f"解压后超过 {most} MB 的内容，上限为 {most} MB",
    )


def _bomb(what: str, chinese: str) -> SourceUnreadable:
    return SourceUnreadable(
        f"The file holds {what} are the limit. Save the document anew, or split it.",
        f"文件包含{chinese}。请重新保存文档，或拆分成几个文件。",
    )


def _broken(why: str, chinese: str) -> SourceUnreadable:
    return SourceUnreadable(
        f"The file cannot be opened: {why}. Open it in your office program and save it anew.",
        f"文件无法打开：{chinese}。请用办公软件打开后重新保存。",
    )


def _nested() -> SourceUnreadable:
    return SourceUnreadable(
        "The file holds an archive or another Office file. Take that out, and upload it by itself.",
        "文件内嵌了压缩包或其他 Office 文件。请将其取出并单独上传。",
    )


def _dtd() -> SourceUnreadable:
    return SourceUnreadable(
        "Its XML declares a document type (DTD), which office programs never do and which may be"
        " used to do harm. Open it in your office program and save it anew.",
        "文件的 XML 含有 DTD 声明，办公软件不会这样写，且可能被用于攻击。"
        "请用办公软件打开后重新保存。",
    )
