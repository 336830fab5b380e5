from agent_inbox import models as _inbox  # its tables stand in the gateway's database
from gateway.models import GatewayTable
from storage import migrate

assert _inbox
migrate.run(GatewayTable.metadata)
