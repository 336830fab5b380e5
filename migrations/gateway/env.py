from agent_inbox.models import GatewayTable  # with its own tables, in the same database
from storage import migrate

migrate.run(GatewayTable.metadata)
