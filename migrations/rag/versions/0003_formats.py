"""wordings and audiences of chunks; vector spaces; words in both languages"""

import json

import sqlalchemy as sa
import sqlmodel
from alembic import op

import storage.columns


revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('vector_space',
    sa.Column('fingerprint', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('recipe', sa.JSON(), nullable=False),
    sa.Column('created_at', storage.columns.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('fingerprint')
    )
    with op.batch_alter_table('knowledge', schema=None) as batch_op:
        batch_op.add_column(sa.Column('space', sqlmodel.sql.sqltypes.AutoString(), nullable=True))
    with op.batch_alter_table('chunk', schema=None) as batch_op:
        batch_op.add_column(sa.Column('entry_id', sqlmodel.sql.sqltypes.AutoString(), nullable=True))
        batch_op.add_column(sa.Column('own_audience', sqlmodel.sql.sqltypes.AutoString(), nullable=True))
        batch_op.add_column(sa.Column('audience', sqlmodel.sql.sqltypes.AutoString(), nullable=False, server_default='public'))
    op.execute(
        "UPDATE chunk SET audience = (SELECT revision.audience FROM revision"
        " WHERE revision.id = chunk.revision_id)"
    )
    with op.batch_alter_table('chunk', schema=None) as batch_op:
        batch_op.alter_column('audience', server_default=None)
    connection = op.get_bind()
    table = sa.table('revision', sa.column('id'), sa.column('reason', sa.JSON()), sa.column('health', sa.JSON()))
    plain = sa.text("SELECT id, reason, health FROM revision WHERE reason IS NOT NULL OR health IS NOT NULL")
    rows = connection.execute(plain).all()
    with op.batch_alter_table('revision', schema=None) as batch_op:
        batch_op.drop_column('reason')
        batch_op.add_column(sa.Column('reason', sa.JSON(), nullable=True))
    for key, reason, health in rows:
        health = json.loads(health) if isinstance(health, str) else health
        if health and health.get('warnings'):
            health['warnings'] = [{'en': one, 'zh': one} for one in health['warnings']]
        words = {'en': reason, 'zh': reason} if reason else sa.null()
        connection.execute(table.update().where(table.c.id == key).values(reason=words, health=health or sa.null()))
