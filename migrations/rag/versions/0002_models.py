"""Language models: what they cost, and what they wrote."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "token_use",
        sa.Column("day", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("asker", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "asker"),
    )
    op.add_column("record", sa.Column("candidates", sa.JSON(), nullable=True))
    op.add_column("record", sa.Column("writing", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("record", "writing")
    op.drop_column("record", "candidates")
    op.drop_table("token_use")
