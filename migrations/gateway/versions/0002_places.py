"""Albums, answered messages, placeholders and repeated sends."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('message', schema=None) as batch_op:
        batch_op.add_column(sa.Column('album', sqlmodel.sql.sqltypes.AutoString(), nullable=True))
        batch_op.create_index('ux_message_album', ['album'], unique=True)
    # Not in a batch: SQLite would copy the table and lose the trigger that guards final states.
    for name in ('placeholder_id', 'resends'):
        op.add_column('delivery', sa.Column(name, sqlmodel.sql.sqltypes.AutoString(), nullable=True))
    op.add_column('delivery', sa.Column('paced', sa.Boolean(), nullable=False, server_default=sa.false()))
    held = sa.text('placeholder_id IS NOT NULL')
    op.create_index('ix_delivery_placeholder', 'delivery', ['state'], unique=False, sqlite_where=held, postgresql_where=held)


def downgrade() -> None:
    op.drop_index('ix_delivery_placeholder', table_name='delivery')
    for name in ('paced', 'resends', 'placeholder_id'):
        op.drop_column('delivery', name)
    with op.batch_alter_table('message', schema=None) as batch_op:
        batch_op.drop_index('ux_message_album')
        batch_op.drop_column('album')
