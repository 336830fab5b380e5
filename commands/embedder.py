"""The embedder that the settings name."""

from config.settings import Embedder as Section
from rag.embed import EmbedderSettings, HashEmbedder, SentenceEmbedder
from rag.ports import Embedder


def load_embedder(section: Section) -> Embedder:
    """The embedder that the settings name. Blocks for seconds. Raises ModelUnavailable."""
    if section.kind == "hash":
        return HashEmbedder()
    return SentenceEmbedder(embedder_settings(section))


def embedder_settings(section: Section) -> EmbedderSettings:
    """The section in the embedder's own terms."""
    return EmbedderSettings(
        model=section.model,
        query_prefix=section.query_prefix,
        document_prefix=section.document_prefix,
        weights_sha256=section.weights_sha256 or None,
        threads=section.threads,
    )
