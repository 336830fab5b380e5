"""Measurements of Tandem against a floor that is measured in the same run: docs/performance.md."""
