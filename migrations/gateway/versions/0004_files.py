"""Files of our own, and one copy at most of what a person sends again."""

import sqlalchemy as sa
import sqlmodel
import storage.columns
from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('kept_file',
    sa.Column('id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('owner', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('message_id', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('media_type', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('size_bytes', sa.Integer(), nullable=False),
    sa.Column('created_at', storage.columns.UtcDateTime(), nullable=False),
    sa.ForeignKeyConstraint(['message_id'], ['message.id'], ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('id')
    )
    unused = sa.text('message_id IS NULL')
    op.create_index('ix_kept_file_unused', 'kept_file', ['owner', 'created_at'], unique=False, sqlite_where=unused, postgresql_where=unused)
    op.create_index('ix_kept_file_message_id', 'kept_file', ['message_id'], unique=False)
    op.create_index('ux_delivery_resends', 'delivery', ['resends'], unique=True)


def downgrade() -> None:
    op.drop_index('ux_delivery_resends', table_name='delivery')
    op.drop_table('kept_file')
