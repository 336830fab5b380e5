"""How a deployment differs from another one. Read by `app.py` and `cli.py` only."""
