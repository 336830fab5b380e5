"""The widget as a person sees it: what tests do with it, by role and text."""

from playwright.sync_api import Locator, Page

from tests.browser.serving import Served


class Widget:
    """A page with the widget on it."""

    def __init__(self, page: Page, served: Served, *, language: str = "en") -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", lambda dialog: self.errors.append(f"dialog: {dialog.message}"))
        self.url = f"{served.url}/?lang={language}"

    def open(self) -> "Widget":
        self.page.goto(self.url)
        self.input.wait_for()
        return self

    @property
    def input(self) -> Locator:
        return self.page.locator("tandem-chat textarea")

    @property
    def status(self) -> Locator:
        return self.page.locator("tandem-chat .status")

    @property
    def note(self) -> Locator:
        return self.page.locator("tandem-chat .note")

    def rows(self, kind: str = "") -> Locator:
        """Lines of the log that came from the server; `kind`: customer, bot, agent, system."""
        return self.page.locator(f"tandem-chat .items:not([aria-live]) .row{kind and '.' + kind}")

    def waiting(self) -> Locator:
        """Lines that are not taken in yet."""
        return self.page.locator("tandem-chat .pending")

    def texts(self, kind: str = "") -> list[str]:
        return self.rows(kind).locator(".text").all_inner_texts()

    def say(self, text: str) -> None:
        self.input.fill(text)
        self.input.press("Enter")

    def ask(self, text: str) -> Locator:
        """Say it, and wait for the bot's next line."""
        before = self.rows("bot").count()
        self.say(text)
        answer = self.rows("bot").nth(before)
        answer.wait_for()
        return answer

    def choose(self, label: str) -> None:
        self.page.locator("tandem-chat .choice", has_text=label).click()
