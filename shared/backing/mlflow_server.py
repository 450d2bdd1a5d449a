"""What the MLflow process runs: the database's schema first, then the server.

MLflow makes the schema at the first request, and two first requests at once (scorers poll the registry while it comes
up) make it twice, which breaks the database for good. The function that makes it is private to MLflow, whose version is
pinned.

    python -m shared.backing.mlflow_server HOST PORT DATABASE
"""

from __future__ import annotations

import sys

import uvicorn
from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine

_GRACE_SECONDS = 5


def main(host: str, port: str, database: str) -> None:
    """Serve until SIGTERM.

    Args:
        host: Address to listen on.
        port: Port to listen on.
        database: SQLAlchemy URL; MLflow's own settings must name the same.
    """
    _initialize_tables(create_sqlalchemy_engine(database))  # type: ignore[no-untyped-call]
    uvicorn.run(
        "mlflow.server.fastapi_app:app",
        host=host,
        port=int(port),
        log_level="warning",
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
