from rag.models import RagTable
from storage import migrate

migrate.run(RagTable.metadata)
