"""Providers as real HTTP servers: their limits, their refusals, and faults on demand.

Each can be run by hand, too: `python -m tests.fakes.telegram`.
"""
