"""Telegram's Bot API as a real HTTP server, with its limits, its refusals and people who write.

By hand: `python -m tests.fakes.telegram`.
"""

from tests.fakes.telegram.network import TOKEN, Telegram
from tests.fakes.telegram.people import Customer
from tests.fakes.telegram.places import Shown

__all__ = ["TOKEN", "Customer", "Shown", "Telegram"]
