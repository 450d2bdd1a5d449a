# One image per function: docker build --target scorer --tag dev.local/fraud-scorer:1 .
# Each holds what that function imports and no more, at the versions and hashes of requirements.lock.
ARG PYTHON_IMAGE=python:3.11-slim

FROM ${PYTHON_IMAGE} AS build
ARG UV_VERSION=0.13.9
# Behind a proxy with a certificate of its own: --build-arg SSL_CERT_FILE=<bundle in the base image>.
ARG SSL_CERT_FILE
ENV VIRTUAL_ENV=/opt/venv UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1
RUN python -m pip install --no-cache-dir --disable-pip-version-check "uv==${UV_VERSION}" && uv venv "$VIRTUAL_ENV"
WORKDIR /app
COPY pyproject.toml requirements.lock ./

FROM build AS scorer-packages
ARG SSL_CERT_FILE
RUN uv pip install --requirements pyproject.toml --extra scorer --constraints requirements.lock
FROM build AS feature-updater-packages
ARG SSL_CERT_FILE
RUN uv pip install --requirements pyproject.toml --extra feature-updater --constraints requirements.lock
FROM build AS shadow-scorer-packages
ARG SSL_CERT_FILE
RUN uv pip install --requirements pyproject.toml --extra shadow-scorer --constraints requirements.lock
FROM build AS train-packages
ARG SSL_CERT_FILE
RUN uv pip install --requirements pyproject.toml --extra train --constraints requirements.lock
FROM build AS archiver-packages
ARG SSL_CERT_FILE
RUN uv pip install --requirements pyproject.toml --extra archiver --constraints requirements.lock
FROM build AS drift-packages
ARG SSL_CERT_FILE
RUN uv pip install --requirements pyproject.toml --extra drift --constraints requirements.lock
FROM build AS promote-packages
ARG SSL_CERT_FILE
RUN uv pip install --requirements pyproject.toml --extra promote --constraints requirements.lock
FROM build AS dispatcher-packages
ARG SSL_CERT_FILE
RUN uv pip install --requirements pyproject.toml --extra dispatcher --constraints requirements.lock
FROM build AS producer-packages
ARG SSL_CERT_FILE
RUN uv pip install --requirements pyproject.toml --extra producer --constraints requirements.lock

# What all images share: the code, a user without rights, and the server in front of functions-framework.
FROM ${PYTHON_IMAGE} AS function
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PORT=8080
WORKDIR /app
COPY functions functions
COPY shared shared
USER 65532:65532
EXPOSE 8080
CMD ["sh", "-c", "exec uvicorn functions_framework.aio:app --host 0.0.0.0 --port ${PORT} --loop uvloop --http httptools --no-access-log --timeout-graceful-shutdown 30"]

FROM function AS scorer
COPY --from=scorer-packages /opt/venv /opt/venv
ENV FUNCTION_TARGET=scorer FUNCTION_SOURCE=functions/scorer/main.py

FROM function AS feature-updater
COPY --from=feature-updater-packages /opt/venv /opt/venv
ENV FUNCTION_TARGET=feature_updater FUNCTION_SOURCE=functions/feature_updater/main.py

FROM function AS shadow-scorer
COPY --from=shadow-scorer-packages /opt/venv /opt/venv
ENV FUNCTION_TARGET=shadow_scorer FUNCTION_SOURCE=functions/shadow_scorer/main.py

FROM function AS train
COPY --from=train-packages /opt/venv /opt/venv
ENV FUNCTION_TARGET=train FUNCTION_SOURCE=functions/train/main.py

FROM function AS archiver
COPY --from=archiver-packages /opt/venv /opt/venv
ENV FUNCTION_TARGET=archiver FUNCTION_SOURCE=functions/archiver/main.py

FROM function AS drift
COPY --from=drift-packages /opt/venv /opt/venv
ENV FUNCTION_TARGET=drift FUNCTION_SOURCE=functions/drift/main.py

FROM function AS promote
COPY --from=promote-packages /opt/venv /opt/venv
ENV FUNCTION_TARGET=promote FUNCTION_SOURCE=functions/promote/main.py

FROM function AS producer
COPY --from=producer-packages /opt/venv /opt/venv
CMD ["python", "-m", "functions.producer"]

# Delivers events as KafkaSources do, where there are none: it reads the same manifests.
FROM function AS dispatcher
COPY --from=dispatcher-packages /opt/venv /opt/venv
COPY knative/base knative/base
CMD ["python", "-m", "shared.emulator.delivery", "--help"]

# The same functions for AWS Lambda: behind the runtime interface client instead of a server; /tmp alone is writable there.
FROM build AS lambda-packages
ARG SSL_CERT_FILE
RUN uv pip install --target /opt/lambda --constraints requirements.lock awslambdaric

FROM scorer AS scorer-lambda
COPY --from=lambda-packages /opt/lambda /opt/lambda
ENV PYTHONPATH=/app:/opt/lambda HOME=/tmp TMPDIR=/tmp MPLCONFIGDIR=/tmp FRAUD_STATE_DIR=/tmp/fraud
ENTRYPOINT ["python", "-m", "awslambdaric"]
CMD ["functions.scorer.main.lambda_handler"]

FROM feature-updater AS feature-updater-lambda
COPY --from=lambda-packages /opt/lambda /opt/lambda
ENV PYTHONPATH=/app:/opt/lambda HOME=/tmp TMPDIR=/tmp MPLCONFIGDIR=/tmp FRAUD_STATE_DIR=/tmp/fraud
ENTRYPOINT ["python", "-m", "awslambdaric"]
CMD ["functions.feature_updater.main.lambda_handler"]

FROM shadow-scorer AS shadow-scorer-lambda
COPY --from=lambda-packages /opt/lambda /opt/lambda
ENV PYTHONPATH=/app:/opt/lambda HOME=/tmp TMPDIR=/tmp MPLCONFIGDIR=/tmp FRAUD_STATE_DIR=/tmp/fraud
ENTRYPOINT ["python", "-m", "awslambdaric"]
CMD ["functions.shadow_scorer.main.lambda_handler"]

FROM train AS train-lambda
COPY --from=lambda-packages /opt/lambda /opt/lambda
ENV PYTHONPATH=/app:/opt/lambda HOME=/tmp TMPDIR=/tmp MPLCONFIGDIR=/tmp FRAUD_STATE_DIR=/tmp/fraud
ENTRYPOINT ["python", "-m", "awslambdaric"]
CMD ["functions.train.main.lambda_handler"]

FROM archiver AS archiver-lambda
COPY --from=lambda-packages /opt/lambda /opt/lambda
ENV PYTHONPATH=/app:/opt/lambda HOME=/tmp TMPDIR=/tmp MPLCONFIGDIR=/tmp FRAUD_STATE_DIR=/tmp/fraud
ENTRYPOINT ["python", "-m", "awslambdaric"]
CMD ["functions.archiver.main.lambda_handler"]

FROM drift AS drift-lambda
COPY --from=lambda-packages /opt/lambda /opt/lambda
ENV PYTHONPATH=/app:/opt/lambda HOME=/tmp TMPDIR=/tmp MPLCONFIGDIR=/tmp FRAUD_STATE_DIR=/tmp/fraud
ENTRYPOINT ["python", "-m", "awslambdaric"]
CMD ["functions.drift.main.lambda_handler"]

FROM promote AS promote-lambda
COPY --from=lambda-packages /opt/lambda /opt/lambda
ENV PYTHONPATH=/app:/opt/lambda HOME=/tmp TMPDIR=/tmp MPLCONFIGDIR=/tmp FRAUD_STATE_DIR=/tmp/fraud
ENTRYPOINT ["python", "-m", "awslambdaric"]
CMD ["functions.promote.main.lambda_handler"]
