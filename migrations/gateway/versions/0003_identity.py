"""Persons with several accounts: links, one-time codes, and whose account each line belongs to."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import storage.columns

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None

PROOFS = "('channel','host_token','deep_link','verified_email','agent')"
TEXT = sqlmodel.sql.sqltypes.AutoString
TIME = storage.columns.UtcDateTime


def upgrade() -> None:
    op.add_column('contact', sa.Column('joined_into', TEXT(), nullable=True))
    op.add_column('conversation', sa.Column('reply_identity', TEXT(), nullable=True))
    op.add_column('conversation', sa.Column('joined_into', TEXT(), nullable=True))
    op.add_column('message', sa.Column('identity_id', TEXT(), nullable=True))
    with op.batch_alter_table('identity', schema=None) as batch_op:
        batch_op.add_column(sa.Column('verified', sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column('email', TEXT(), nullable=True))
        batch_op.add_column(sa.Column('numbering', sa.Integer(), nullable=False, server_default='0'))
        batch_op.create_check_constraint('ck_identity_proof', f'proof IN {PROOFS}')
        batch_op.create_index('ix_identity_email', ['email'], unique=False)
    op.create_table('verified_email',
    sa.Column('email', TEXT(), nullable=False),
    sa.Column('identity_id', TEXT(), nullable=False),
    sa.Column('created_at', TIME(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['identity_id'], ['identity.id'], ),
    sa.PrimaryKeyConstraint('email')
    )
    op.create_table('link',
    sa.Column('id', TEXT(), nullable=False),
    sa.Column('kept_id', TEXT(), nullable=False),
    sa.Column('gone_id', TEXT(), nullable=False),
    sa.Column('proof', TEXT(), nullable=False),
    sa.Column('actor', TEXT(), nullable=False),
    sa.Column('reason', TEXT(), nullable=False),
    sa.Column('linked_at', TIME(timezone=True), nullable=False),
    sa.Column('undone_at', TIME(timezone=True), nullable=True),
    sa.Column('undone_by', TEXT(), nullable=True),
    sa.Column('undone_reason', TEXT(), nullable=False),
    sa.CheckConstraint(f'proof IN {PROOFS}', name='ck_link_proof'),
    sa.ForeignKeyConstraint(['gone_id'], ['contact.id'], ),
    sa.ForeignKeyConstraint(['kept_id'], ['contact.id'], ),
    sa.PrimaryKeyConstraint('id')
    )
    with op.batch_alter_table('link', schema=None) as batch_op:
        batch_op.create_index('ix_link_kept_id', ['kept_id'], unique=False)
        batch_op.create_index('ix_link_gone_id', ['gone_id'], unique=False)
    op.create_table('linked_account',
    sa.Column('link_id', TEXT(), nullable=False),
    sa.Column('identity_id', TEXT(), nullable=False),
    sa.ForeignKeyConstraint(['identity_id'], ['identity.id'], ),
    sa.ForeignKeyConstraint(['link_id'], ['link.id'], ),
    sa.PrimaryKeyConstraint('link_id', 'identity_id')
    )
    with op.batch_alter_table('linked_account', schema=None) as batch_op:
        batch_op.create_index('ix_linked_account_identity_id', ['identity_id'], unique=False)
    op.create_table('link_code',
    sa.Column('code_hash', sa.LargeBinary(), nullable=False),
    sa.Column('identity_id', TEXT(), nullable=False),
    sa.Column('channel', TEXT(), nullable=False),
    sa.Column('created_at', TIME(timezone=True), nullable=False),
    sa.Column('expires_at', TIME(timezone=True), nullable=False),
    sa.Column('used_at', TIME(timezone=True), nullable=True),
    sa.Column('used_by', TEXT(), nullable=True),
    sa.ForeignKeyConstraint(['identity_id'], ['identity.id'], ),
    sa.PrimaryKeyConstraint('code_hash')
    )
    with op.batch_alter_table('link_code', schema=None) as batch_op:
        batch_op.create_index('ix_link_code_identity_id', ['identity_id'], unique=False)
    # Until now a contact had one account: every line came through it, or was said to it.
    op.execute(
        'UPDATE message SET identity_id ='
        ' (SELECT min(i.id) FROM identity i WHERE i.contact_id = message.contact_id)'
    )
    op.execute(
        'UPDATE conversation SET reply_identity ='
        ' (SELECT min(i.id) FROM identity i WHERE i.contact_id = conversation.contact_id)'
    )


def downgrade() -> None:
    for table in ('link_code', 'linked_account', 'link', 'verified_email'):
        op.drop_table(table)
    with op.batch_alter_table('identity', schema=None) as batch_op:
        batch_op.drop_index('ix_identity_email')
        batch_op.drop_constraint('ck_identity_proof', type_='check')
        for name in ('numbering', 'email', 'verified'):
            batch_op.drop_column(name)
    op.drop_column('message', 'identity_id')
    for name in ('joined_into', 'reply_identity'):
        op.drop_column('conversation', name)
    op.drop_column('contact', 'joined_into')
