"""What both stores stand on: columns, identifiers, and a database with one queue of writes.

Leftmost folder: it imports nothing of Tandem's. `rag.store` and `gateway.store` each own a
`Database`; neither knows the other's tables (see docs/decisions/0002-storage-folder.md).
"""
