# Needs make, git and Python 3.11 or newer; everything else is installed into .venv by the target that needs it.

PYTHON ?= python3
BIN := .venv/bin
RUN := $(BIN)/python

# gRPC's own lines, one for each idle connection that is closed, would stand between what a target prints.
export GRPC_VERBOSITY ?= NONE
# Where it is set, each of hundreds of processes compiles all modules anew.
unexport PYTHONDONTWRITEBYTECODE

# Options of `make demo`; one that is not given is left to the demo's own default.
DEMO_OPTIONS = $(if $(MONTH),--month '$(MONTH)') $(if $(DATA),--data '$(DATA)') \
	$(if $(REPORT),--report '$(REPORT)') $(if $(SPEED),--speed '$(SPEED)') $(if $(WATCH),--watch deploy)

.DEFAULT_GOAL := help
.PHONY: help demo up test check chart matrix audit sbom docs sim rules chaos fuzz overload walk bench bench-peers failover protos protos-baseline unimplemented configuration metrics schema schema-baseline differential golden format lock \
	install install-dev clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## replay a real month through all five services (MONTH=1..12, DATA=file.csv.gz, REPORT=file.json, SPEED=n, WATCH=1 by a Prometheus)
	@$(PYTHON) tools/install.py demo $(if $(DATA),,demo-data)
	@$(BIN)/omnijourney demo $(DEMO_OPTIONS)

up: ## start the five services, PostgreSQL, Valkey and emulators of the channels, until Ctrl-C (EMULATORS=0, TLS=on|mutual, ONE=1 in one process, TRACES=http://host:4317)
	@$(PYTHON) tools/install.py $(if $(TRACES),traces,runtime)
	@$(if $(TRACES),OMNIJOURNEY_TRACES_ENDPOINT='$(TRACES)') $(BIN)/omnijourney up $(if $(filter 0 off no,$(EMULATORS)),--no-emulators) $(if $(TLS),--tls '$(TLS)') $(if $(ONE),--one-process)

test: install-dev ## run all tests, servers included, and print what of each service they ran (ARGS="…" goes to pytest)
	@$(RUN) -m pytest $(if $(ARGS),$(ARGS),-n 4 --rules-record build/rules.json --coverage)

check: install-dev ## what every change must pass, without a server: format, lint, types, imports, contracts, quick tests
	@$(RUN) -m tools.check $(STEPS)

chart: install-dev ## lint the Helm chart, render it, and look at it by the schemas of Kubernetes
	@$(PYTHON) tools/install.py chart
	@$(RUN) -m pytest -q -n 0 tests/unit/tools/test_deployments.py

.PHONY: digests
digests: ## pin images of others to the digests that they have in your registry: docker-compose.override.yml (needs docker)
	@docker compose -f docker-compose.yml config --lock-image-digests postgres valkey prometheus grafana > build.override
	@mv build.override docker-compose.override.yml
	@echo "docker-compose.override.yml has them; ours is built on: export PYTHON_IMAGE=python:3.12-slim@$$(docker buildx imagetools inspect python:3.12-slim --format '{{.Manifest.Digest}}')"

matrix: install-dev ## integration tests on PostgreSQL 15, on Redis and behind PgBouncer, where the machine has them (SHORT=1)
	@$(RUN) -m tools.matrix $(if $(SHORT),--short)

audit: install-dev ## advisories on the libraries that are shipped, their licences, and a security linter on our code
	@$(PYTHON) tools/install.py audit
	@$(RUN) -m tools.audit

sbom: install-dev ## write build/sbom.json, the libraries that are shipped (CycloneDX)
	@$(PYTHON) tools/install.py audit
	@mkdir -p build
	@$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible -o build/sbom.json requirements/traces.txt

docs: install-dev ## build the documentation site in build/site, strictly: a link that leads nowhere fails
	@$(PYTHON) tools/install.py docs
	@$(RUN) -m tools.site

sim: install-dev ## thousands of seeded runs of the services' logic under faults (SEED=n replays one, RUNS=n)
	@$(if $(SEED),SEED='$(SEED)') $(RUN) -m tests.sim $(if $(RUNS),--runs '$(RUNS)')

rules: install-dev ## the table of all rules and the tests that prove them
	@$(RUN) -m tools.rules

chaos: install-dev ## load while everything is killed, paused and cut off; then an independent check (SEED=n replays)
	@$(RUN) -m tests.chaos $(if $(SEED),--seed '$(SEED)')

.PHONY: upgrade
upgrade: install-dev ## the release before is replaced by this one under load, process by process; then the same check (FROM=revision, SEED=n)
	@$(RUN) -m tests.upgrade $(if $(FROM),--from '$(FROM)') $(if $(SEED),--seed '$(SEED)')

fuzz: install-dev ## odd requests to every RPC and endpoint of a whole installation (N=cases, SEED=n, FIRST=n replays from a chunk)
	@$(RUN) -m tests.fuzz $(if $(N),--cases '$(N)') $(if $(SEED),--seed '$(SEED)') $(if $(FIRST),--first '$(FIRST)')

walk: install-dev ## every RPC with every kind of caller who may not call it: the table of what they are answered
	@$(RUN) -m tests.walk

overload: install-dev ## large orders, and thousands while stats or segment stands still: what becomes of them, and of another team's
	@$(RUN) -m tests.overload

bench: install-dev ## measure the hot paths and thirteen works (W=w1|w1-http|w2|w3|w4|stop|audience|simulate|channels|ledger|segment|stats|import one, N=its size, RATES=10,100, QUICK=1, ONE=1, WORKERS=n); JSON under build/
	@$(PYTHON) tools/install.py bench
	@$(RUN) -m bench $(if $(W),--work '$(W)') $(if $(N),--n '$(N)') $(if $(RATES),--rates '$(RATES)') $(if $(QUICK),--quick) $(if $(ONE),--one-process) $(if $(WORKERS),--workers '$(WORKERS)')

PEERS := build/peers
bench-peers: ## install what `make bench` also compares with, Restate (needs npm) and arq, in build/peers; no part of the product
	@$(PYTHON) -m venv $(PEERS)/venv
	@$(PEERS)/venv/bin/python -m pip --disable-pip-version-check install --quiet -r bench/peers/requirements.txt
	@npm install --prefix $(PEERS) --no-fund --no-audit --ignore-scripts @restatedev/restate-server@1.7.12

FAILOVER := build/failover
failover: install-dev ## three hosts (network namespaces) that die and take over under load, then the check of chaos (SEED=n, ROUNDS=n); needs root, ip and etcd
	@$(PYTHON) -m venv $(FAILOVER)/venv
	@$(FAILOVER)/venv/bin/python -m pip --disable-pip-version-check install --quiet -r tests/failover/requirements.txt
	@$(RUN) -m tests.failover $(if $(SEED),--seed '$(SEED)') $(if $(ROUNDS),--rounds '$(ROUNDS)')

protos: install-dev ## generate libs/gen from protos/
	@$(RUN) -m tools.contracts generate

protos-baseline: install-dev ## take the contracts of implemented RPCs as the new baseline for breaking changes
	@$(RUN) -m tools.contracts baseline

unimplemented: install-dev ## rewrite docs/unimplemented.md, the list of RPCs that answer UNIMPLEMENTED
	@$(RUN) -m tools.contracts unimplemented

configuration: install-dev ## rewrite docs/configuration.md, the list of all variables
	@$(RUN) -m tools.configuration

metrics: install-dev ## rewrite docs/metrics.md, the list of metrics, from the code
	@$(RUN) -m tools.metrics_page

.PHONY: messages browser
messages: install-dev ## give the console's catalogue the sentences that its pages and templates have
	@$(RUN) -m tools.messages

browser: install-dev ## try the console in Chromium: its pages in both languages, by keyboard, with axe (ARGS="…" goes to pytest)
	@$(RUN) -m pytest -n 0 tests/browser $(if $(ARGS),$(ARGS),--rules-record build/rules.browser.json)

schema: install-dev ## rewrite sql/schema.sql of every service from a freshly migrated database
	@$(RUN) -m tools.schema

schema-baseline: install-dev ## take the functions of the database as those that the release before calls
	@$(RUN) -m tools.schema baseline

differential: install-dev ## run others' clients and the channels' OpenAPI files against the emulators, and print what agreed
	@$(RUN) -m tests.integration.emulators

golden: install-dev ## keep the forms that this release writes beside those that earlier ones wrote
	@$(RUN) -m tests.golden

format: install-dev ## format the code and apply the linter's safe repairs
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .
	@$(BIN)/buf format --write protos

# uv names no index in what it writes, so the files hold for any mirror.
COMPILE = $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate \
	--no-emit-index-url --custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade)

lock: ## write requirements/*.txt anew from pyproject.toml (UPGRADE=1: to the newest versions)
	@$(PYTHON) tools/install.py lock
	@$(COMPILE) pyproject.toml --group build -o requirements/runtime.txt
	@$(COMPILE) pyproject.toml --group build --extra demo -c requirements/runtime.txt -o requirements/demo.txt
	@$(COMPILE) pyproject.toml --group build --extra traces -c requirements/runtime.txt -o requirements/traces.txt
	@$(COMPILE) pyproject.toml --group build --extra demo --extra traces --group dev -c requirements/demo.txt -o requirements/dev.txt
	@$(COMPILE) --group chart -c requirements/dev.txt -o requirements/chart.txt
	@$(COMPILE) --group audit -c requirements/dev.txt -o requirements/audit.txt
	@$(COMPILE) --group docs -c requirements/dev.txt -o requirements/docs.txt
	@$(COMPILE) --group bench -c requirements/dev.txt -o requirements/bench.txt
	@$(COMPILE) --no-deps --group demo-data -o requirements/demo-data.txt
	@$(COMPILE) --group lock -o requirements/lock.txt

install: ## what the product needs, into .venv (other targets call it)
	@$(PYTHON) tools/install.py runtime

install-dev: ## what the developers' tools need, into .venv (other targets call it)
	@$(PYTHON) tools/install.py dev

clean: ## remove what the tools have built and cached; .venv and data stay
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
