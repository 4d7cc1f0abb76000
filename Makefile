# An index: each target is one command of the same name. `make` alone prints it.
.DEFAULT_GOAL := help

# Values reach the command through the environment, never pasted into a shell line: quotes, blanks and $ arrive unharmed.
NAMES := AGENT ENV SET ROOM METADATA MINUTES ARGS
$(foreach name,$(NAMES),$(if $(value $(name)),$(eval export SWITCHBOARD_$(name) := $$(value $(name)))))
unexport $(NAMES)

SWITCHBOARD ?= .venv/bin/switchboard
# -S: it needs nothing that is installed, and starts faster without
INSTALL := @python3 -S shared/cli/install.py
VENV := .venv/bin

##@ Use
.PHONY: help
help: ## Print this
	@awk '/^##@/ {print "\n" substr($$0, 5)} /^[a-z-]+:.*## / {split($$0, part, ":.*## "); printf "  make %-12s %s\n", part[1], part[2]}' Makefile
	@printf '\nVariables\n  AGENT=intake,support  ENV=local|dev|staging|prod  SET="llm.temperature=0.1"\n  METADATA='"'"'{"user_id":"12345"}'"'"'  ROOM=name  ARGS="more words for the command"\n'

.PHONY: run
run: ## Host AGENT, all agents without it, until Ctrl-C
	$(INSTALL) local "$$SWITCHBOARD_AGENT"
	@$(SWITCHBOARD) run

.PHONY: call
call: ## Call AGENT with METADATA from a second terminal
	$(INSTALL) local "$$SWITCHBOARD_AGENT"
	@$(SWITCHBOARD) call

.PHONY: console
console: ## Write to AGENT with METADATA instead of speaking, a line a turn
	$(INSTALL) local "$$SWITCHBOARD_AGENT"
	@$(SWITCHBOARD) console

.PHONY: dispatch
dispatch: ## Send AGENT with METADATA into ROOM and see it there
	$(INSTALL) local "$$SWITCHBOARD_AGENT"
	@$(SWITCHBOARD) dispatch

.PHONY: config
config: ## Print the config of AGENT in ENV, with SET on top
	$(INSTALL) local "$$SWITCHBOARD_AGENT"
	@$(SWITCHBOARD) config

.PHONY: explain
explain: ## Say where each value of a call comes from, and what of METADATA is refused
	$(INSTALL) local "$$SWITCHBOARD_AGENT"
	@$(SWITCHBOARD) explain

.PHONY: gateway
gateway: ## Serve frontends and the page to talk to an agent
	$(INSTALL) local "$$SWITCHBOARD_AGENT"
	@$(SWITCHBOARD) gateway

.PHONY: doctor
doctor: ## Look for what would keep ENV from working: variables, keys, servers, network
	$(INSTALL) local
	@$(SWITCHBOARD) doctor

##@ Work on it
.PHONY: install
install: ## Set .venv up for development
	$(INSTALL) dev

.PHONY: setup-browser
setup-browser: # What tests/browser needs: Debian's headless Chromium, packages of npm
	@command -v chromium-headless-shell > /dev/null || { apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium-headless-shell > /dev/null; } || { echo "no chromium-headless-shell: install it as root, apt-get install chromium-headless-shell" >&2; exit 1; }
	@[ tests/browser/node_modules -nt tests/browser/package-lock.json ] || { npm ci --no-audit --no-fund --loglevel=error --prefix tests/browser > /dev/null && touch tests/browser/node_modules; }

PYTEST := PYTEST_ADDOPTS="$$PYTEST_ADDOPTS $$SWITCHBOARD_ARGS" SWITCHBOARD_ARGS= $(VENV)/python -m pytest
BESIDE := @$(MAKE) --no-print-directory -j2
# Whole calls have the machine to themselves: audio that is late is misheard.
.PHONY: test
ifdef ARGS
test: install setup-browser check ## Check and test everything; ARGS='tests/shared -k name' narrows it down
	@$(PYTEST)
else
test:
	$(BESIDE) install setup-browser
	$(BESIDE) check test-parts
endif

.PHONY: test-parts
test-parts: # First what needs no machine for itself
	@$(PYTEST) -n 3 --dist loadfile --no-loadscope-reorder tests/house tests/shared tests/test_makefile.py
	@$(PYTEST) tests/hosts tests/calls tests/losses
	@$(PYTEST) tests/browser

.PHONY: check
check: install ## Lint, types, layers, files of conf, generated files
	@$(VENV)/ruff check --quiet
	@$(VENV)/ruff format --quiet --check
	@nice $(VENV)/mypy
	@SWITCHBOARD_ARGS= $(SWITCHBOARD) check-config --lint
	@SWITCHBOARD_ARGS= $(SWITCHBOARD) schema --check
	@mkdir -p var && $(VENV)/lint-imports --no-cache > var/lint-imports.log 2>&1 || { cat var/lint-imports.log; exit 1; }

.PHONY: check-config
check-config: install ## Compose every config there is: agents, environments, profiles, options
	@$(SWITCHBOARD) check-config

.PHONY: new
new: ## Make a new agent of this name: AGENT=billing
	$(INSTALL) local
	@$(SWITCHBOARD) new

.PHONY: schema
schema: install ## Write what is generated from contracts and conf: schemas, README's table
	@$(SWITCHBOARD) schema

.PHONY: bench
bench: install ## Compare with a plain LiveKit worker; ARGS='--only start' for a part
	@SWITCHBOARD_ARGS= $(VENV)/python -m bench $(ARGS)

.PHONY: chaos
chaos: install ## Dispatch for MINUTES while jobs, hosts and the server are killed, beside the plain way
	@SWITCHBOARD_ARGS= $(VENV)/python -m bench.chaos --minutes "$${SWITCHBOARD_MINUTES:-5}" $(ARGS)

.PHONY: lock
lock: install ## Write the lock files anew from pyproject.toml
	@$(VENV)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra openai --extra postgres --extra local --extra dev pyproject.toml -o requirements-dev.lock
	@$(VENV)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra openai --extra postgres --extra local -c requirements-dev.lock pyproject.toml -o requirements-local.lock
	@$(VENV)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra openai --extra postgres -c requirements-dev.lock pyproject.toml -o requirements.lock
	@$(VENV)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group setup -o requirements-setup.lock

.PHONY: clean
clean: ## Remove .venv and var, records too
	@rm -rf .venv var
