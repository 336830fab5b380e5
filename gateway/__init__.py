"""One conversation per person, and one owner who may speak in it.

Reading order: messages, ports, states, models, conversations, router, worker, outbox.
"""
