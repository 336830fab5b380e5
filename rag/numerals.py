"""Numbers, months, weekdays and units that are written as words, in English and Chinese. Pure.

"Three days", "三天" and "3 days" are one value: what an answer may say does not depend on how
the passage spelled it, and an invented number is not hidden by spelling it out.
"""

import re
from collections.abc import Iterator

_ONES = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15,
    "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70,
    "eighty": 80, "ninety": 90,
}  # fmt: skip
_SCALES = {"hundred": 100, "thousand": 1_000, "million": 1_000_000}
_UNIT_WORDS = {
    "second": "second|seconds|秒|秒钟",
    "minute": "minute|minutes|mins?|分钟",
    "hour": "hour|hours|小时|个小时|钟头",
    "day": "day|days|天|日|个工作日|工作日|business days?|working days?",
    "week": "week|weeks|周|星期|个星期|礼拜",
    "month": "month|months|个月",
    "year": "year|years|年",
    "percent": "%|percent|per cent",
    "usd": "usd|us dollars?|dollars?|美元|美金",
    "eur": "eur|euros?|欧元",
    "cny": "cny|rmb|yuan|元|块|块钱|人民币",
    "gbp": "gbp|pounds?|英镑",
}
_FAMILY = {
    **dict.fromkeys(("second", "minute", "hour", "day", "week", "month", "year"), "time"),
    **dict.fromkeys(("percent", "usd", "eur", "cny", "gbp"), "money"),
}
_SIGNS = {"$": "usd", "€": "eur", "¥": "cny", "£": "gbp"}
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_VERBS_TOO = ("march", "may")  # months only beside a number

_LATIN_NUMBER = re.compile(
    rf"\b(?:(?P<tens>{'|'.join(_TENS)})(?:[- ](?P<unit>{'|'.join(list(_ONES)[:8])}|one))?"
    rf"|(?P<one>{'|'.join(_ONES)}|one(?=[- ](?:{_UNIT_WORDS['day']}|hundred|thousand|week|month|"
    rf"year|hour|minute|euro|dollar))))\b(?:[- ](?P<scale>{'|'.join(_SCALES)})\b)?"
)
_HAN_DIGITS = {c: n for n, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_HAN_SCALES = {"十": 10, "百": 100, "千": 1_000, "万": 10_000, "亿": 100_000_000}
_HAN = "零〇一二两三四五六七八九十百千万亿"
_HAN_NUMBER = re.compile(
    rf"(?:百分之(?P<share>[{_HAN}]+)|(?P<number>[{_HAN}]+)(?=个?(?:工作日|小时|分钟|秒|天|日|周|星期|月|年|"
    rf"元|块|美元|欧元|次|人|件|岁|倍|折|页|层|台|张|份|条|步|种|项|位)))"
)
_UNIT_OF = {
    word: name
    for name, words in _UNIT_WORDS.items()
    for word in re.sub(r"(\w)\?", r"\1", words).split("|")
} | {"min": "minute", "business day": "day", "working day": "day", "us dollar": "usd",
     "dollar": "usd", "euro": "eur", "pound": "gbp"}  # fmt: skip
_LATIN_UNITS = "|".join(
    word for words in _UNIT_WORDS.values() for word in words.split("|") if word.isascii()
)
_HAN_UNITS = "|".join(
    sorted(
        (word for words in _UNIT_WORDS.values() for word in words.split("|") if not word.isascii()),
        key=len, reverse=True,
    )
)  # fmt: skip
_MEASURED = re.compile(
    rf"(?P<sign>[$€¥£])? ?(?P<number>\d[\d,]*(?:\.\d+)?)(?:[- ]?(?P<unit>(?:{_HAN_UNITS})|%"
    rf"|(?:{_LATIN_UNITS})\b))?"
)
_DATE = re.compile(r"\b\d{4}[-/.](\d{1,2})[-/.]\d{1,2}\b")
_HAN_MONTH = re.compile(r"(\d{1,2})月")
_MONTH = re.compile(
    rf"(?P<before>\d(?:st|nd|rd|th)? (?:of )?)?\b(?P<name>{'|'.join(_MONTHS)}|"
    rf"(?:{'|'.join(name[:3] for name in _MONTHS)})\.?(?= ?\d))(?P<after>,? ?\d)?"
)
_WEEKDAY = re.compile(rf"\b({'|'.join(_WEEKDAYS)})s?\b|(?:星期|周|礼拜)([一二三四五六日天])")


def spelled_out(text: str) -> Iterator[str]:
    """The numbers that are written as words, as digits. `text` is lower case."""
    for found in _LATIN_NUMBER.finditer(text):
        value = _TENS.get(found["tens"] or "", 0) + _ONES.get(found["unit"] or "", 0)
        value += (found["unit"] == "one") + _ONES.get(found["one"] or "", 0)
        value += found["one"] == "one"
        yield str(value * _SCALES.get(found["scale"] or "", 1))
    for found in _HAN_NUMBER.finditer(text):
        yield str(_from_han(found["share"] or found["number"]))


def with_digits(text: str) -> str:
    """`text` with numbers in words replaced by digits, so that their units can be read."""

    def latin(found: re.Match[str]) -> str:
        return next(spelled_out(found[0] + (" days" if found["one"] == "one" else "")), found[0])

    text = _LATIN_NUMBER.sub(latin, text)
    return _HAN_NUMBER.sub(
        lambda found: f"{_from_han(found['share'])}%" if found["share"]
        else str(_from_han(found["number"])), text
    )  # fmt: skip


def measured(text: str) -> Iterator[tuple[str, str, str]]:
    """(number, unit, family) of each number; unit and family are "" where none stands beside it."""
    for found in _MEASURED.finditer(with_digits(text)):
        unit = _SIGNS.get(found["sign"] or "") or _UNIT_OF.get(found["unit"] or "", "")
        yield found["number"].replace(",", ""), unit, _FAMILY.get(unit, "")


def calendar(text: str) -> Iterator[str]:
    """The months and weekdays that a text names, in one spelling. `text` is lower case."""
    for number in (*_DATE.findall(text), *_HAN_MONTH.findall(text)):
        yield f"month{int(number)}"
    for found in _MONTH.finditer(text):
        if found["name"] not in _VERBS_TOO or found["before"] or found["after"]:
            start = found["name"][:3]
            yield f"month{next(n for n, name in enumerate(_MONTHS, 1) if name[:3] == start)}"
    for latin, han in _WEEKDAY.findall(text):
        at = _WEEKDAYS.index(latin) if latin else "一二三四五六日天".index(han)
        yield f"weekday{min(at, 6) + 1}"


def _from_han(text: str) -> int:
    if not any(char in _HAN_SCALES for char in text):
        return int("".join(str(_HAN_DIGITS[char]) for char in text))
    total = section = digit = 0
    for char in text:
        if char in _HAN_DIGITS:
            digit = _HAN_DIGITS[char]
        elif (scale := _HAN_SCALES[char]) >= 10_000:
            total, section, digit = total + (section + digit) * scale, 0, 0
        else:
            section, digit = section + (digit or 1) * scale, 0
    return total + section + digit
