"""One server under measurement: `python -m benchmarks.serve APP FOLDER PORT`.

APP is product.hook, product.chat, floor.hook or floor.chat. All run under the same web server with
the settings of `tandem serve`.
"""

import importlib
import sys
from pathlib import Path

import uvicorn


def main(app: str, folder: str, port: str) -> None:
    side, _, kind = app.partition(".")
    module = importlib.import_module(f"benchmarks.{side}")
    made = getattr(module, f"{kind}_app")(Path(folder))
    uvicorn.run(
        made, host="127.0.0.1", port=int(port), log_config=None, access_log=False, lifespan="on",
        proxy_headers=False, server_header=False, timeout_graceful_shutdown=2,
    )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
