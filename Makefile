# Everything a person or CI does here. `make` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: $(shell sed -nE 's/^([a-z-]+):.*\#\# .*/\1/p' $(firstword $(MAKEFILE_LIST)))

UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
MANIFESTS := knative/base
COMPOSE := localstack/compose.yaml
FUNCTIONS := scorer feature-updater shadow-scorer train archiver drift promote producer
IMAGES := $(FUNCTIONS) dispatcher backing

# The first Python that is new enough; PYTHON=... chooses another.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)

# uv does not read pip's settings: hand it the user's own index, wheels and certificates.
define uv_settings
export VIRTUAL_ENV=$(CURDIR)/$(VENV); \
index="$${PIP_INDEX_URL:-$$($(BIN)/pip config get global.index-url 2>/dev/null || true)}"; \
[ -z "$$index" ] || export UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$$index}"; \
[ -z "$${PIP_EXTRA_INDEX_URL:-}" ] || export UV_INDEX="$${UV_INDEX:-$$PIP_EXTRA_INDEX_URL}"; \
[ -z "$${PIP_FIND_LINKS:-}" ] || export UV_FIND_LINKS="$${UV_FIND_LINKS:-$$PIP_FIND_LINKS}"; \
for bundle in "$${PIP_CERT:-}" /etc/ssl/certs/ca-certificates.crt; do \
	if [ -n "$$bundle" ] && [ -f "$$bundle" ]; then export SSL_CERT_FILE="$${SSL_CERT_FILE:-$$bundle}"; fi; done
endef

export CONTEXT INGRESS LOAD_IMAGE HTTP_PORT PYTHON_IMAGE

# Kafka's jars are fetched with the same certificates.
ifdef SSL_CERT_FILE
export REQUESTS_CA_BUNDLE ?= $(SSL_CERT_FILE)
endif

help: ## List what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | expand -t 21

setup: $(INSTALLED) ## Make .venv with everything in it (needs Python 3.11 or newer, and a network)

$(BIN)/uv: | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"

$(VENV)/pyvenv.cfg:
	@[ -n "$(PYTHON)" ] || { echo "make: no Python 3.11 or newer found; set PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): requirements.lock pyproject.toml | $(BIN)/uv
	@$(uv_settings); \
	$(BIN)/uv pip install --quiet --require-hashes -r requirements.lock; \
	$(BIN)/uv pip install --quiet --no-deps --editable .
	@touch $@

up: $(INSTALLED) ## Start the whole system; ends with its addresses and live figures
	@$(BIN)/fraud up $(ARGS)

down: $(INSTALLED) ## Stop it in order, with nothing lost (ARGS=--wipe removes its state)
	@$(BIN)/fraud down $(ARGS)

status: $(INSTALLED) ## Show how it stands
	@$(BIN)/fraud status $(ARGS)

# Prometheus and promtool come from PATH, or from Debian's or Ubuntu's package. Unpacked without being installed that
# does all that tests need; its pages in the browser want /usr/share/prometheus.
PROMETHEUS := $(or $(shell command -v prometheus),$(BIN)/prometheus)
$(BIN)/prometheus: | $(VENV)/pyvenv.cfg
	@command -v apt-get dpkg-deb >/dev/null || { \
		echo "make: no prometheus on PATH, and no apt-get to fetch it with; install Prometheus 2.42 or newer" >&2; exit 1; }
	@folder="$$(mktemp -d)"; trap 'rm -rf "$$folder"' EXIT; cd "$$folder"; \
	apt-get -qq download prometheus 2>/dev/null || { apt-get -qq update; apt-get -qq download prometheus; }; \
	dpkg-deb --extract prometheus_*.deb .; \
	install usr/bin/promtool usr/bin/prometheus $(CURDIR)/$(BIN)/

monitoring-tools: $(PROMETHEUS) ## Fetch Prometheus and promtool, where PATH has none (Debian, Ubuntu; no root needed)

PROMETHEUS_PORT ?= 9090
prometheus: $(PROMETHEUS) ## Watch the running system with Prometheus on PROMETHEUS_PORT=9090 (Ctrl-C ends it)
	@[ $(PROMETHEUS) != $(BIN)/prometheus ] || [ -e /usr/share/prometheus ] || { \
		echo "make: this Prometheus answers its API only; for its pages install the package: sudo apt-get install prometheus"; }
	$(PROMETHEUS) --config.file=knative/monitoring/prometheus/local.yml --storage.tsdb.path=.fraud/prometheus \
		--web.listen-address=127.0.0.1:$(PROMETHEUS_PORT) $(ARGS)

test: $(INSTALLED) ## Run the tests: unit, integration, end to end (ARGS go to one pytest)
ifdef ARGS
	$(BIN)/pytest $(ARGS)
else
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-unit test-servers
endif

test-unit: $(INSTALLED) ## Run the unit tests, in the time that other work leaves
	nice $(BIN)/pytest tests/unit

test-servers: $(INSTALLED) ## Run the tests with real servers: integration, end to end
	$(BIN)/pytest tests/integration tests/e2e

$(VENV)-sam/.installed: pyproject.toml | $(INSTALLED)
	$(BIN)/python -m venv $(VENV)-sam
	@$(uv_settings); VIRTUAL_ENV=$(CURDIR)/$(VENV)-sam $(BIN)/uv pip install --quiet --editable '.[sam]'
	@touch $@

check: $(INSTALLED) $(VENV)-sam/.installed ## Lint, format, types, manifests, templates: exactly what CI checks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@$(BIN)/python -c 'import pathlib; from shared.emulator.manifests import load_manifests; \
	load_manifests(pathlib.Path("$(MANIFESTS)")); print("$(MANIFESTS): every manifest can be honoured")'
	$(BIN)/pytest -q tests/unit/knative
	$(BIN)/cfn-lint template.yaml
	SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 $(VENV)-sam/bin/sam validate --lint --template-file template.yaml
	@if docker compose version > /dev/null 2>&1; then docker compose --file $(COMPOSE) config --quiet; \
	else echo "$(COMPOSE): no docker compose here; the tests look at its structure alone"; fi

format: $(INSTALLED) ## Format the code and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(INSTALLED) ## Measure: throughput, latency, memory, start-up
	$(BIN)/python -m tests.benchmarks $(ARGS)

$(VENV)-bench/.installed: pyproject.toml | $(INSTALLED)
	$(BIN)/python -m venv $(VENV)-bench
	@$(uv_settings); VIRTUAL_ENV=$(CURDIR)/$(VENV)-bench $(BIN)/uv pip install --quiet --editable '.[bench]'
	@touch $@

bench-streams: $(INSTALLED) $(VENV)-bench/.installed ## Measure: from Kafka into Redis, beside Quix Streams and Bytewax
	$(BIN)/python -m tests.benchmarks.streams --others $(VENV)-bench/bin/python $(ARGS)

EVENTS ?= 1000000
verify-features: $(INSTALLED) ## Compare both engines and the oracle on EVENTS=1000000 decisions (SEED=n; 15 minutes)
	$(BIN)/python -m tests.verification.verify_features --events $(EVENTS) $(if $(SEED),--seed $(SEED)) $(ARGS)

bench-features: $(INSTALLED) ## Measure the feature engines by size of card and of history (no running system needed)
	$(BIN)/python -m tests.benchmarks.features $(ARGS)

bench-lambda: $(INSTALLED) ## Measure the scorer under AWS Lambda's runtime interface: cold start, warm latency, memory (1 minute)
	$(BIN)/python -m tests.benchmarks.lambda_runtime

bench-train: $(INSTALLED) ## Measure one fit on 1.75 million transactions (5 minutes; keeps its rows in .fraud/bench-train)
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m tests.benchmarks.training .fraud/bench-train $(ARGS)

verify-faults: $(INSTALLED) ## Kill processes of the running system 70 times under 50 TPS, check every promise (10 minutes)
	$(BIN)/python -m tests.e2e.verify_faults $(ARGS)

verify-hostile: $(INSTALLED) ## Send 10,000 hostile records through the running system
	$(BIN)/python -m tests.e2e.verify_hostile $(ARGS)

verify-hosts: EVENTS = 10000
verify-hosts: $(INSTALLED) ## Compare EVENTS=10000 decisions on four hosts byte by byte (3 minutes; ARGS="--url URL --mlflow URL")
	$(BIN)/python -m tests.e2e.hosts --events $(EVENTS) $(if $(SEED),--seed $(SEED)) $(ARGS)

compose-up: ## Start the whole system in containers (needs Docker Compose); ends when all are healthy
	docker compose --file $(COMPOSE) up --build --detach --wait $(ARGS)

compose-down: ## Stop it (ARGS=--volumes removes its state)
	docker compose --file $(COMPOSE) down $(ARGS)

# The commit names an image's revision and its date. The classic builder serves too (DOCKER_BUILDKIT=0).
define image_settings
settings=(--label org.opencontainers.image.title=fraud-detection --label org.opencontainers.image.licenses=MIT \
	--label org.opencontainers.image.revision="$$(git rev-parse HEAD)" \
	--label org.opencontainers.image.created="$$(TZ=UTC0 git log -1 --format=%cd --date=iso-strict-local)"); \
for name in SSL_CERT_FILE PIP_INDEX_URL UV_DEFAULT_INDEX FRAUD_MAVEN_REPOSITORY SOURCE_DATE_EPOCH PYTHON_IMAGE; do \
	[ -z "$${!name:-}" ] || settings+=(--build-arg "$$name"); done
endef

images: ## Build the container images (needs a Docker engine; IMAGES="scorer train", ARGS=--network=host)
	@docker info >/dev/null 2>&1 || { echo "make: the Docker engine does not answer" >&2; exit 1; }
	@$(image_settings); for image in $(IMAGES); do \
		docker build "$${settings[@]}" $(ARGS) --target "$$image" --tag "dev.local/fraud-$$image:1" .; done

bench-images: $(INSTALLED) ## Measure the images: size over the base, container start to first decision
	$(BIN)/python -m tests.e2e.images.bench $(ARGS)

test-images: $(INSTALLED) ## Start each image read-only, as nobody, without a network, and ask it (after make images)
	$(BIN)/pytest tests/e2e/images/verify_images.py $(ARGS)

kind-up-fresh: ## New Kind cluster with Knative and the whole system in it (CONTEXT=name: your cluster instead)
	@knative/scripts/up.sh fresh

kind-up-fast: ## The same cluster again, with what has changed since (CONTEXT=name)
	@knative/scripts/up.sh fast

kind-autoscale-demo: $(INSTALLED) ## Open-loop load, replicas live and as a picture, a verdict (CONTEXT=, INGRESS=, RATE=1000)
	$(BIN)/python -m tests.e2e.knative.autoscale $(if $(RATE),--rate $(RATE)) $(ARGS)

kind-down: ## Remove the Kind cluster (CONTEXT=name: what is ours in your cluster)
	@knative/scripts/down.sh

verify-knative: $(INSTALLED) ## Check every promise on the cluster that runs (CONTEXT=, INGRESS=; 12 minutes)
	$(BIN)/python -m tests.e2e.knative $(ARGS)

verify-archiver: $(INSTALLED) ## Kill the archiver at 50 random moments under load, compare the lake event by event (5 minutes)
	$(BIN)/python -m tests.e2e.verify_archiver $(ARGS)

verify-drift: $(INSTALLED) ## Count the drift function's false alarms and finds on simulated windows (5 minutes)
	$(BIN)/python -m tests.e2e.verify_drift $(ARGS)

demo-lifecycle: $(INSTALLED) ## Play 60 days of a model's life: new fraud, drift, training, promotion (10 minutes; ARGS=--no-new-pattern)
	$(BIN)/python -m tests.e2e.lifecycle $(ARGS)

verify-swap: $(INSTALLED) ## Swap the running system's champion under 300 TPS, check every answer (3 minutes)
	$(BIN)/python -m tests.e2e.verify_swap $(ARGS)

lock: $(INSTALLED) ## Resolve all dependencies anew: requirements.lock and Kafka's jars
	@$(uv_settings); \
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-header --python-version 3.11 \
		--extra local --extra dev --no-emit-package fraud-detection pyproject.toml -o requirements.lock
	$(BIN)/python -m shared.backing.jars --lock

clean: ## Stop the system and remove its state, .venv and all caches of the tools
	@[ ! -x $(BIN)/fraud ] || $(BIN)/fraud down --wipe
	rm -rf $(VENV) $(VENV)-bench $(VENV)-sam .pytest_cache .mypy_cache .ruff_cache .hypothesis .schemathesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
