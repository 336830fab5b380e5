"""The widget and hostile text: nothing runs, nothing is fetched, nothing leaves its place."""

from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from rag.types import Citation
from tests.browser.serving import Served
from tests.browser.widget import Widget
from tests.channels.site import FOREIGN, FRIEND, Site
from tests.gateway.world import answered

pytestmark = pytest.mark.browser

HOSTILE = [
    "<script>window.pwned = 1</script>",
    "<img src=x onerror='window.pwned = 1'>",
    "<svg onload=window.pwned=1>",
    "<iframe srcdoc='<script>parent.pwned=1</script>'></iframe>",
    "[click](javascript:window.pwned=1)",
    "[click](https://example.com\" onclick=\"window.pwned=1)",
    "[click](data:text/html,<script>1</script>)",
    "![pixel](https://tracker.example/p.gif)",
    "[a](http://plain.example) http://plain.example/x",
    "[bank](https://user:pass@evil.example/)",
    "**<b onmouseover=window.pwned=1>bold</b>** `<i>code</i>`",
    "- <img src=x onerror=window.pwned=1>\n1. <style>*{display:none}</style>",
    "</textarea></section><h1>out</h1>",
    "{{constructor.constructor('window.pwned=1')()}}",
    "\u202eesrever \u2066isolate\u2069 \u200bzero",
    "a" + "\u0301" * 1_000,
    "[1][2][99] [1]",
    "**" * 5_000,
    "[" * 5_000,
    "`" * 4_999,
    "```\n<script>window.pwned=1</script>",
]  # fmt: skip
VIOLATIONS = """window.violations = [];
addEventListener("securitypolicyviolation", (event) => violations.push(event.violatedDirective));"""


@pytest.fixture
def requests(page: Page) -> list[str]:
    """Every address that the page asks for."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    return asked


def test_hostile_text_is_shown_as_text(page: Page, served: Served, site: Site, requests: list[str]):
    """From the customer, the bot, a source and an agent: no element, no request, no script."""
    said = iter(HOSTILE)
    current = {"text": ""}
    citation = answered().citations[0]

    def reply(_: object):
        text = current["text"]
        evil = replace(
            citation, title=text[:500], source=text[:500], quote=text, url="javascript:1"
        )
        return replace(answered(text), citations=(evil, _second(text)))

    site.world.answerer.reply = reply
    widget = Widget(page, served).open()
    for text in said:
        current["text"] = text
        served.do(site.fresh_minute())
        widget.ask(text)
    facts = page.evaluate(
        """() => {
          const root = document.querySelector("tandem-chat").shadowRoot;
          const links = [...root.querySelectorAll("a")];
          return {
            pwned: window.pwned ?? null,
            tags: [...new Set([...root.querySelectorAll(".log *")].map((n) => n.tagName))],
            links: links.map((a) => [a.protocol, a.username, a.rel, a.target]),
            handlers: [...root.querySelectorAll(".log *")]
              .flatMap((n) => n.getAttributeNames()).filter((name) => name.startsWith("on")),
          };
        }"""
    )

    assert facts["pwned"] is None
    assert widget.errors == []
    assert not {"SCRIPT", "IMG", "SVG", "IFRAME", "STYLE", "H1", "OBJECT"} & set(facts["tags"])
    assert facts["handlers"] == []
    assert {tuple(one) for one in facts["links"]} <= {
        ("https:", "", "noopener noreferrer nofollow", "_blank")
    }
    assert [url for url in requests if not url.startswith(("data:", served.url))] == []
    assert len(widget.texts("bot")) == len(HOSTILE)


def _second(text: str) -> Citation:
    return Citation(n=2, title="", source="s.md", url="https://docs.example/a", quote=text)


def test_the_demo_page_breaks_no_rule_of_its_own(page: Page, served: Served):
    """A whole conversation under the strict content policy, without one violation."""
    page.add_init_script(VIOLATIONS)
    widget = Widget(page, served).open()
    widget.ask("How?").locator("summary").click()
    widget.choose("Talk to a person")
    expect(widget.status).to_contain_text("number 1")

    assert page.evaluate("violations") == []
    assert widget.errors == []


def host_page(served: Served) -> dict[str, str]:
    """Another site's page that shows the widget, under a strict policy of its own."""
    socket = served.url.replace("http", "ws")
    return {
        "body": f"<!doctype html><title>Shop</title><body><p>Shop</p>"
        f'<script src="{served.url}/widget.js" data-open data-lang="en"></script>',
        "policy": f"default-src 'none'; script-src {served.url}; connect-src {served.url} {socket}",
    }


@pytest.fixture(params=[FRIEND, FOREIGN])
def shop(request: pytest.FixtureRequest, page: Page, served: Served) -> str:
    """A page on another site, served from here."""
    host = host_page(served)
    page.route(f"{request.param}/**", lambda route: route.fulfill(
        body=host["body"], content_type="text/html",
        headers={"Content-Security-Policy": host["policy"]},
    ))  # fmt: skip
    page.context.grant_permissions(["local-network-access"], origin=request.param)
    return request.param


def test_only_a_named_site_can_use_the_widget(shop: str, page: Page, served: Served):
    """The named site's visitors get answers; elsewhere the widget shows, and nothing is sent."""
    page.add_init_script(VIOLATIONS)
    widget = Widget(page, served)
    page.goto(f"{shop}/")
    widget.input.wait_for()
    widget.say("How?")
    if shop == FRIEND:
        expect(widget.rows("bot")).to_have_count(1)
    else:
        expect(widget.waiting()).to_have_count(1)
        expect(widget.rows()).to_have_count(0)

    assert page.evaluate("violations") == []
