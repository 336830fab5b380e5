"""The typed tree of settings. Defaults live in `default.toml` alone, so that it is the reference.

`config.sources.load` fills it. `channels.*` stay raw tables here: each is validated by the
module that it configures, and `app.py` adds what that module says to the same report.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator

from config.secrets import masked

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Table = dict[str, Any]


class Section(BaseModel):
    """A table of settings: nothing unknown in it, nothing changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Server(Section):
    host: str
    port: Port
    public_url: str
    origins: tuple[str, ...]
    trusted_proxies: Annotated[int, Field(ge=0, le=10)]
    schema_page: bool

    @field_validator("origins")
    @classmethod
    def _whole_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            scheme, _, rest = origin.partition("://")
            if scheme not in ("http", "https") or not rest or "/" in rest or "*" in rest:
                raise ValueError(f"{origin!r} is not an origin such as https://www.example.com")
        return origins

    @field_validator("public_url")
    @classmethod
    def _web_address(cls, url: str) -> str:
        return _web_address(url)


class Database(Section):
    url: str
    queue_max: Count
    group_max: Count
    commit_wait_s: Seconds
    readers: Count
    writers: Count
    busy_timeout_s: Seconds
    retries_max: Count

    @field_validator("url")
    @classmethod
    def _known_kind(cls, url: str) -> str:
        return _database_url(url)


class Embedder(Section):
    kind: Literal["sentence", "hash"]
    model: str
    query_prefix: str
    document_prefix: str
    weights_sha256: str
    threads: Count


class Split(Section):
    chunk_tokens: Count
    overlap_tokens: Annotated[int, Field(ge=0)]
    faq_tokens_max: Count
    chunk_chars_max: Count
    chunks_max: Count


class Web(Section):
    hosts: list[str]
    internal_hosts: list[str]
    bytes_max: Count
    wait_s: Seconds
    redirects_max: Annotated[int, Field(ge=0)]
    pages_max: Count
    sitemaps_max: Count


class Parser(Section):
    cpu_s: Count
    wall_s: Seconds
    memory_bytes: Count


class Index(Section):
    kind: Literal["chroma", "memory"]


class Intake(Section):
    waiting_max: Count
    attempts_max: Count
    embed_batch: Count
    rows_per_write: Count
    rows_per_page: Count
    probes: Count
    canary_wait_s: Seconds
    failures_max: Count
    retry_wait_s: Seconds
    retry_wait_s_max: Seconds
    file_age_s_min: Seconds


class Search(Section):
    near_wait_s: Seconds
    near_max: Count
    rest_s: Seconds
    rest_s_max: Seconds


class Batcher(Section):
    questions_waiting_max: Count
    documents_waiting_max: Count
    batch_max: Count
    question_wait_s: Seconds


class Chroma(Section):
    ready_wait_s: Seconds
    stop_wait_s: Seconds
    restart_wait_s_max: Seconds
    query_wait_s: Seconds
    write_wait_s: Seconds
    rows_per_call: Annotated[int, Field(ge=1, le=5_461)]
    timeouts_max: Count


class RagLimits(Section):
    upload_bytes_max: Count
    answer_wait_s: Seconds
    knowledge_wait_s: Seconds
    fetch_wait_s: Seconds
    rebuild_wait_s: Seconds
    health_wait_s: Seconds
    connect_wait_s: Seconds
    ready_wait_s: Seconds
    breaker_failures: Count
    breaker_window_s: Seconds
    breaker_wait_s: Seconds


class Rag(Section):
    database_url: str
    sample: bool
    embedder: Embedder
    index: Index
    split: Split
    parser: Parser
    web: Web
    intake: Intake
    search: Search
    batcher: Batcher
    chroma: Chroma
    limits: RagLimits

    @field_validator("database_url")
    @classmethod
    def _known_kind(cls, url: str) -> str:
        return _database_url(url)


class Model(Section):
    url: str
    key: str
    name: str
    fallbacks: tuple[str, ...]
    answer_tokens_max: Count
    first_token_wait_s: Seconds
    idle_wait_s: Seconds
    total_wait_s: Seconds
    calls_max: Count
    connect_wait_s: Seconds
    retry_wait_s_max: Seconds
    rest_s: Seconds
    rest_s_max: Seconds
    turn_tokens_max: Count
    customer_tokens_max: Count
    day_tokens_max: Count

    @field_validator("url")
    @classmethod
    def _web_address(cls, url: str) -> str:
        return _web_address(url)

    @field_validator("key")
    @classmethod
    def _fits_into_a_header(cls, key: str) -> str:
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise ValueError("holds characters that no key has")
        return key


class Turns(Section):
    answer_wait_s: Seconds
    alike_wait_s: Seconds
    lease_s: Seconds
    heartbeat_s: Seconds
    restarts_max: Count
    attempts_max: Count
    history_max: Count
    text_to_bot_max: Count


class HandOff(Section):
    repeats_max: Count
    alike_min: Share
    declines_max: Count
    offers_max: Annotated[int, Field(ge=0)]
    bot_turns_per_minute_max: Count


class Worker(Section):
    lane_max: Count
    admitted_max: Count
    turns_at_once_max: Count
    sweep_s: Seconds
    retry_s: Seconds
    park_s: Seconds
    parked_max_s: Seconds
    introduce_wait_s: Seconds
    failures_max: Count
    crashes_max: Count


class Outbox(Section):
    claims_max: Count
    lease_s: Seconds
    backoff_base_s: Seconds
    backoff_cap_s: Seconds
    attempts_max: Count
    bot_text_age_max_s: Seconds
    people_text_age_max_s: Seconds
    pause_s: Seconds
    rate_limit_cap_s: Seconds
    reconcile_first_s: Seconds
    reconcile_again_s: Seconds
    breaker_failures: Count
    breaker_window_s: Seconds
    breaker_rest_s: Seconds
    breaker_rest_s_max: Seconds
    poll_s: Seconds


class Health(Section):
    event_age_max_s: Seconds
    turn_age_max_s: Seconds
    delivery_age_max_s: Seconds
    probe_wait_s: Seconds


class Identity(Section):
    email_domains: tuple[str, ...]

    @field_validator("email_domains")
    @classmethod
    def _whole_domains(cls, domains: tuple[str, ...]) -> tuple[str, ...]:
        for domain in domains:
            if "@" in domain or "*" in domain or "." not in domain.strip("."):
                raise ValueError(f"{domain!r} is not a domain such as example.com")
        return domains


class Gateway(Section):
    turns: Turns
    handoff: HandOff
    identity: Identity
    worker: Worker
    outbox: Outbox
    health: Health


class Console(Section):
    enabled: bool


class Inbox(Section):
    console: Console


class Logging(Section):
    level: Literal["debug", "info", "warning", "error"]
    format: Literal["console", "json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """A setting in force: `value` is fit to be shown (secrets masked), `origin` says who set it."""

    key: str
    value: Any
    origin: str


class Settings(Section):
    """Everything a deployment can choose. Built by `config.sources.load`."""

    data_dir: Path
    server: Server
    database: Database
    gateway: Gateway
    rag: Rag
    model: Model
    channels: dict[str, Table]
    inbox: Inbox
    logging: Logging
    _origins: Mapping[str, str] = PrivateAttr(default_factory=dict[str, str])

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, folder: Path) -> Path:
        return folder.expanduser().absolute()

    @property
    def database_url(self) -> str:
        """Of the gateway's store: the one set, or a file below `data_dir`."""
        return self.database.url or f"sqlite:///{self.data_dir / 'gateway.db'}"

    @property
    def rag_database_url(self) -> str:
        """Of the librarian's store: the one set, or a file below `data_dir`."""
        return self.rag.database_url or f"sqlite:///{self.data_dir / 'knowledge.db'}"

    @property
    def origins(self) -> Mapping[str, str]:
        """Dotted key → who set it, without those that nobody set."""
        return self._origins

    def origin(self, key: str) -> str:
        """Who set the dotted `key`: "default", "FILE:LINE" or the name of a variable."""
        return self._origins.get(key, "default")

    def describe(self) -> list[Effective]:
        """Every setting in force with its origin, sorted by key, fit to be shown to a person."""
        values = sorted(leaves(self.model_dump(mode="json")))
        return [
            Effective(key=key, value=masked(key, value), origin=self.origin(key))
            for key, value in values
        ]


def leaves(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """`table` as (dotted key, value) pairs. A list is a value; an empty table has none."""
    found: list[tuple[str, Any]] = []
    for name, value in table.items():
        key = f"{prefix}{name}"
        inner = cast("Table", value) if isinstance(value, dict) else None
        found += [(key, value)] if inner is None else leaves(inner, f"{key}.")
    return found


def _web_address(url: str) -> str:
    if url and not url.startswith(("http://", "https://")):
        raise ValueError("must start with http:// or https://")
    return url.rstrip("/")


def _database_url(url: str) -> str:
    if url and not url.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise ValueError("must start with sqlite:/// or postgresql+psycopg://")
    return url
