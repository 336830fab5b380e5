"""What a person wrote in a mail, without the mail that they answered and without their signature.

Line by line and in linear time: mails are hostile. What is unsure stays: too much is read, too
little is lost. If nothing would stay, all does.
"""

import re
from collections.abc import Sequence

LINE_CHARS_MAX = 300  # a longer line is nobody's "… wrote:"
SIGNATURE_LINES_MAX = 12  # what is longer is no signature
HEADER_LINES = 5

# "---- Original Message ----", as Outlook, QQ mail and NetEase put it. A forwarded one is meant.
_ORIGINAL = re.compile(
    r"[-_=\s]*(?:original message|original mail|原始邮件|原邮件|回复的原邮件)[-_=\s]*",
    re.IGNORECASE,
)
_WROTE = re.compile(r"(?:wrote|写道|寫道|schrieb|a écrit|escribió)\s?[:：]$")
_HEADER = re.compile(
    r"\*?(?:from|sent|to|cc|date|subject|发件人|发送时间|发送日期|收件人|抄送|日期|时间|主题)\*?\s?[:：]",
    re.IGNORECASE,
)
_FROM = re.compile(r"\*?(?:from|发件人)\*?\s?[:：]", re.IGNORECASE)
_FOOTERS = (
    "Sent from my ", "Sent from Mail for ", "Sent from Outlook", "Get Outlook for ", "发自我的",
    "从我的", "来自我的", "发送自", "发自",
)  # fmt: skip


def own_words(text: str) -> str:
    """`text` without quoted history, signature and a telephone's advertisement."""
    lines = text.split("\n")
    kept: list[str] = []
    at = 0
    while at < len(lines):
        if _begins_history(lines, at):
            break
        if told := _attribution(lines, at):
            if not _is_quoted(_next_line(lines, at + told)):
                break
            at += told
        else:
            if not _is_quoted(lines[at]):
                kept.append(lines[at])
            at += 1
    own = "\n".join(_without_signature(kept)).strip()
    return own or text.strip()


def _is_quoted(line: str) -> bool:
    return line.lstrip().startswith(">")


def _next_line(lines: Sequence[str], at: int) -> str:
    return next((line for line in lines[at : at + HEADER_LINES] if line.strip()), "")


def _begins_history(lines: Sequence[str], at: int) -> bool:
    """Whether an older mail begins here, with a line that says so or with its headers."""
    line = lines[at].strip()
    if not line or len(line) > LINE_CHARS_MAX:
        return False
    if _ORIGINAL.fullmatch(line):
        return True
    if not _FROM.match(line):
        return False
    following = [
        lines[n].strip()[:LINE_CHARS_MAX] for n in range(at + 1, len(lines))[:HEADER_LINES]
    ]
    return sum(1 for other in following if _HEADER.match(other)) >= 2


def _attribution(lines: Sequence[str], at: int) -> int:
    """How many lines from here say who wrote what follows; 0 when none does.

    "On Monday, Ana <ana@example.com> wrote:" is wrapped by some programs. Without a word for
    "wrote", an address and a date count only where quoted lines follow.
    """
    whole = ""
    for count, line in enumerate(lines[at : at + 3], 1):
        if not line.strip() or _is_quoted(line) or len(line) > LINE_CHARS_MAX:
            return 0
        whole = f"{whole} {line.strip()}".strip()
        if not whole.endswith((":", "：")):
            continue
        dated = any(sign.isdigit() for sign in whole)
        if dated and _WROTE.search(whole):
            return count
        quoted = _is_quoted(_next_line(lines, at + count))
        return count if quoted and dated and "@" in whole else 0
    return 0


def _without_signature(lines: Sequence[str]) -> Sequence[str]:
    """RFC 3676: a line of two hyphens and a space. Many programs lose the space."""
    kept = list(lines)
    marks = [at for at, line in enumerate(kept) if line.rstrip() == "--"]
    if marks and len(kept) - marks[-1] <= SIGNATURE_LINES_MAX:
        kept = kept[: marks[-1]]
    while kept and not kept[-1].strip():
        kept.pop()
    if kept and kept[-1].strip().startswith(_FOOTERS) and len(kept[-1]) < LINE_CHARS_MAX:
        kept.pop()
    return kept
