"""Hostile and broken files, made on the spot: none of them is kept in the repository."""

import functools
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable

import openpyxl

from tests.rag import papers

MB = 1024 * 1024
CONTENT_TYPES = b'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/x"/>'
BODY = (
    b'<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/'
    b'wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>text</w:t></w:r></w:p></w:body>'
    b"</w:document>"
)
LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">'
    + b"".join(
        b'<!ENTITY lol%d "%s">' % (n, b"&lol%s;" % (b"" if n == 1 else b"%d" % (n - 1)) * 10)
        for n in range(1, 10)
    )
    + b"]><w:document>&lol9;</w:document>"
)
ENTITY = (
    b'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    b"<w:document>&x;</w:document>"
)


def package(parts: Iterable[tuple[str | zipfile.ZipInfo, bytes]], *, docx: bool = True) -> bytes:
    """A ZIP with these parts, beside those that make it a Word file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        if docx:
            archive.writestr("[Content_Types].xml", CONTENT_TYPES)
        for name, content in parts:
            archive.writestr(name, content)
    return file.getvalue()


def with_body(*parts: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    return package([("word/document.xml", BODY), *parts])


def link() -> bytes:
    """A part that is a symbolic link to a file of ours."""
    info = zipfile.ZipInfo("word/media/link")
    info.external_attr = 0o120777 << 16
    return with_body((info, b"/etc/passwd"))


def lying_sizes() -> bytes:
    """The directory says that a part is small; 120 MB come out of it."""
    content = bytearray(with_body(("word/media/zeros.bin", bytes(120 * MB))))
    at = content.rfind(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", 1_000)
    return bytes(content)


def encrypted_docx() -> bytes:
    """The flag that a part wants a password."""
    content = bytearray(with_body())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(mark)
        while at >= 0:
            content[at + place] |= 1
            at = content.find(mark, at + 4)
    return bytes(content)


def office_encrypted() -> bytes:
    """How Office itself encrypts: an old container around the new file."""
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500) + "EncryptedPackage".encode("utf-16-le")


def pdf(*objects: bytes, trailer: bytes = b"/Root 1 0 R") -> bytes:
    """A PDF of these objects, numbered from 1."""
    out = io.BytesIO()
    out.write(b"%PDF-1.7\n")
    places: list[int] = []
    for number, content in enumerate(objects, start=1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, content))
    table = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    for place in places:
        out.write(b"%010d 00000 n \n" % place)
    size = len(objects) + 1
    out.write(b"trailer << /Size %d %s >>\nstartxref\n%d\n%%%%EOF\n" % (size, trailer, table))
    return out.getvalue()


def stream(content: bytes, extra: bytes = b"") -> bytes:
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(content), extra, content)


FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
CATALOG = b"<< /Type /Catalog /Pages 2 0 R >>"


def text_page(text: bytes, *, contents: bytes | None = None) -> bytes:
    """One page that says this."""
    shown = contents or stream(b"BT /F1 12 Tf 72 700 Td (%s) Tj ET" % text)
    return pdf(
        CATALOG,
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        shown,
        FONT,
    )


def many_page_references() -> bytes:
    """100,000 pages that are all the same one, in half a megabyte."""
    kids = b" ".join([b"3 0 R"] * 100_000)
    return pdf(
        CATALOG,
        b"<< /Type /Pages /Kids [%s] /Count 100000 >>" % kids,
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] >>",
    )


def cyclic_tree() -> bytes:
    """A page tree that is its own child."""
    return pdf(CATALOG, b"<< /Type /Pages /Kids [2 0 R] /Count 5 >>")


def deep_tree() -> bytes:
    """20,000 page trees inside each other."""
    depth = 20_000
    levels = [b"<< /Type /Pages /Kids [%d 0 R] /Count 1 >>" % (n + 3) for n in range(depth)]
    page = b"<< /Type /Page /MediaBox [0 0 612 792] >>"
    return pdf(CATALOG, *levels, page)


def deep_arrays() -> bytes:
    """Arrays nested 500,000 deep."""
    return pdf(CATALOG, b"[" * 500_000 + b"]" * 500_000)


@functools.cache
def large_stream() -> bytes:
    """300 MB of page content, packed into 300 KB."""
    packed = zlib.compress(b"BT /F1 12 Tf (x) Tj ET " * (300 * MB // 23), 1)
    return text_page(b"", contents=stream(packed, b"/Filter /FlateDecode"))


def encrypted_pdf() -> bytes:
    """A PDF whose security handler wants a password that nobody gave."""
    trailer = (
        b"/Root 1 0 R /ID [<00112233445566778899aabbccddeeff> <00112233445566778899aabbccddeeff>]"
        b" /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s> >>"
        % (b"41" * 32, b"42" * 32)
    )
    return pdf(CATALOG, b"<< /Type /Pages /Kids [] /Count 0 >>", trailer=trailer)


def scan(pages: int = 1) -> bytes:
    """Pages that are pictures."""
    picture = stream(
        b"\x80" * 64,
        b"/Type /XObject /Subtype /Image /Width 8 /Height 8 /BitsPerComponent 8"
        b" /ColorSpace /DeviceGray",
    )
    kids = b" ".join(b"%d 0 R" % (5 + n) for n in range(pages))
    page = (
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        b" /Resources << /XObject << /I 3 0 R >> >> >>"
    )
    return pdf(
        CATALOG,
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, pages),
        picture,
        stream(b"q 612 0 0 792 0 0 cm /I Do Q"),
        *[page] * pages,
    )


def endless_sheet() -> bytes:
    """Two cells at the ends of the largest sheet that there can be."""
    book = openpyxl.Workbook()
    for place in ("A1", "XFD1048576"):
        book.worksheets[0][place] = "x"
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


# Name of the file, what makes it, and what its refusal says. "" where it may be read.
CORPUS: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "billion laughs": ("a.docx", lambda: package([("word/document.xml", LAUGHS)]), "DTD"),
    "laughs in UTF-16": (
        "a.docx",
        lambda: package([("word/document.xml", LAUGHS.decode().encode("utf-16"))]),
        "DTD",
    ),
    "external entity": ("a.docx", lambda: package([("word/document.xml", ENTITY)]), "DTD"),
    "entity in a sheet": (
        "a.xlsx",
        lambda: package([("xl/workbook.xml", BODY), ("xl/worksheets/s1.xml", ENTITY)], docx=False),
        "DTD",
    ),
    "zip bomb": (
        "a.docx",
        lambda: with_body(("word/media/zeros.bin", bytes(99 * MB))),
        "unpacks more than 100-fold",
    ),
    "too much in all": (
        "a.docx",
        lambda: with_body(*((f"word/{n}.bin", bytes(60 * MB)) for n in range(2))),
        "more than 100 MB when unpacked",
    ),
    "sizes that lie": ("a.docx", lying_sizes, "cannot be opened"),
    "too many parts": (
        "a.docx",
        lambda: with_body(*((f"word/{n}.xml", b"<x/>") for n in range(2_000))),
        "2,002 parts; 2,000",
    ),
    "zip in it": ("a.docx", lambda: with_body(("word/embeddings/x.bin", with_body())), "archive"),
    "link": ("a.docx", link, "a link"),
    "way out": ("a.docx", lambda: with_body(("../../etc/cron.d/x", b"x")), "points outside"),
    "absolute way": ("a.docx", lambda: with_body(("/etc/cron.d/x", b"x")), "points outside"),
    "encrypted part": ("a.docx", encrypted_docx, "password"),
    "encrypted by Office": ("a.docx", office_encrypted, "password"),
    "no Word in it": ("a.docx", lambda: package([("x", b"y")]), "a part of it is missing"),
    "Excel named Word": ("a.docx", lambda: papers.as_table_book(papers.ENGLISH), "missing"),
    "cut off": ("a.docx", lambda: papers.as_docx(papers.ENGLISH)[:-500], "cannot be opened"),
    "damaged sheet": (
        "a.xlsx",
        lambda: package([("xl/workbook.xml", b"<workbook")], docx=False),
        "damaged",
    ),
    "prefixed": ("a.docx", lambda: b"MZ\x90" + with_body(), "a program"),
    "with a tail": ("a.docx", lambda: with_body() + b"<script>", "two kinds of file"),
    "PDF and ZIP": ("a.pdf", lambda: text_page(b"hello there") + with_body(), "two kinds of file"),
    "text and ZIP": ("a.txt", lambda: b"harmless\n" + with_body(), "two kinds of file"),
    "page references": ("a.pdf", many_page_references, "100,000 pages; 2,000 are the limit"),
    "cyclic page tree": ("a.pdf", cyclic_tree, " "),
    "deep page tree": ("a.pdf", deep_tree, " "),
    "deep arrays": ("a.pdf", deep_arrays, " "),
    "300 MB stream": ("a.pdf", large_stream, " "),
    "encrypted PDF": ("a.pdf", encrypted_pdf, "password"),
    "scan": ("a.pdf", lambda: scan(3), "It is a scan"),
    "empty page": ("a.pdf", lambda: text_page(b""), "No text was found on any"),
    "broken PDF": ("a.pdf", lambda: b"%PDF-1.7\n" + bytes(range(256)) * 50, "damaged"),
    "endless sheet": ("a.xlsx", endless_sheet, "needs too much memory or time"),
    "wide sheet": ("a.csv", lambda: b",".join([b"x"] * 201) + b"\n", "201 columns; 200"),
    "endless cell": ("a.csv", lambda: b'a,"' + b"x" * 40_000 + b'"\n', "not a CSV file"),
    "deep page": ("a.html", lambda: b"<div>" * 100_000 + b"x", "levels deep"),
}
