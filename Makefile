# Every target creates .venv on first use and reuses it afterwards; `make` alone lists them.
# Stamp files under .venv/.stamps remember what is installed, and expire when pyproject.toml or
# constraints.txt changes. Works with GNU make 3.81, which is what macOS ships.

PYTHON ?= python3
ARGS ?=
SCALE ?= full

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
INSTALL := $(BIN)/pip --disable-pip-version-check install --quiet --progress-bar off -c constraints.txt

# The root must not get on sys.path: `import agents` would load second copies. `pytest` is called as a
# script for the same reason.
unexport PYTHONPATH
unexport PYTHONHOME

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test check format bench soak mini reproduce docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

demo: $(STAMPS)/llama ## check four solutions with the bundled model (installs llama.cpp, no torch)
	@echo "==> genprm demo"
	@$(BIN)/genprm demo $(ARGS)

test: $(STAMPS)/dev ## run the tests; ARGS='-k name' goes to pytest
	@echo "==> pytest (without the soak tests)"
	@$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile $(ARGS)

# mypy reads the wheel a user would install, from a folder outside the tree: what is missing in the wheel is
# missing here too. The wheel is built by way of the sdist, so leftovers in build/ cannot get into it.
check: $(STAMPS)/dev ## ruff format, ruff, mypy --strict on the installed wheel, and the documentation's site
	@echo "==> ruff format --check"
	@$(BIN)/ruff format --check
	@echo "==> ruff check"
	@$(BIN)/ruff check
	@echo "==> building the sdist and, from it, the wheel"
	@rm -rf $(VENV)/wheel && mkdir -p $(VENV)/wheel
	@$(BIN)/pyproject-build --no-isolation --outdir $(VENV)/wheel/dist >$(VENV)/wheel/build.log 2>&1 \
		|| { cat $(VENV)/wheel/build.log; exit 1; }
	@$(BIN)/pip --disable-pip-version-check install -q --no-deps --target $(VENV)/wheel/site $(VENV)/wheel/dist/*.whl
	@echo "==> mypy --strict on the installed wheel"
	@outside=$$(mktemp -d) && trap 'rm -rf "$$outside"' EXIT && cd "$$outside" \
		&& MYPYPATH="$(CURDIR)/$(VENV)/wheel/site" "$(CURDIR)/$(BIN)/mypy" --config-file "$(CURDIR)/pyproject.toml" \
			--cache-dir "$(CURDIR)/.mypy_cache" -p genprm_sdk
	@$(MAKE) --no-print-directory docs

format: $(STAMPS)/dev ## format the code and apply ruff's safe fixes
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format

bench: $(STAMPS)/dev ## measure speed, and write build/benchmarks/full/benchmarks.md; hours; ARGS=--quick: minutes
	@$(BIN)/python benchmarks/page.py $(ARGS)

# pytest's status 5 means that no test carries the marker.
soak: $(STAMPS)/dev ## run the long tests that `make test` leaves out
	@echo "==> pytest -m soak"
	@$(BIN)/pytest -m soak --timeout 7200 $(ARGS) || { status=$$?; [ $$status = 5 ] && echo "no soak tests selected" || exit $$status; }

mini: $(STAMPS)/dev ## train both bundled models from nothing into build/; hours, resumes
	@echo "==> policy-mini"
	@$(BIN)/python -m genprm_sdk.training.run policy-mini --out build/policy-mini $(ARGS)
	@echo "==> genprm-mini"
	@$(BIN)/python -m genprm_sdk.training.run genprm-mini --out build/genprm-mini --solver build/policy-mini $(ARGS)

reproduce: $(STAMPS)/dev ## the paper in miniature, into docs/reproduction.md; hours, resumes; SCALE=smoke: minutes
	@echo "==> the paper in miniature, $(SCALE)"
	@$(BIN)/python benchmarks/reproduce.py --scale $(SCALE) \
		$(if $(filter full,$(SCALE)),--page docs/reproduction.md) $(ARGS)

docs: $(STAMPS)/dev ## write the documentation's site to build/docs; every warning is an error
	@echo "==> mkdocs build --strict"
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean: ## remove .venv, build outputs and caches
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find genprm_sdk agents training tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

# ------------------------------------------------------------------------------------------ installing

$(STAMPS)/venv:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, $(PYTHON) is " + sys.version.split()[0] + "; try: make PYTHON=python3.13 ...")'
	@echo "==> creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/llama: $(STAMPS)/venv pyproject.toml constraints.txt
	@echo "==> installing genprm-sdk[llama] into $(VENV)"
	@echo "    The first time, llama-cpp-python is compiled: 4-5 minutes on 2 cores, and a C++ compiler is needed."
	@echo "    pip caches the wheel, so later installs take seconds."
	@$(INSTALL) -e '.[llama]'
	@touch $@

$(STAMPS)/dev: $(STAMPS)/venv pyproject.toml constraints.txt
	@echo "==> installing genprm-sdk[llama,train,dev] into $(VENV)"
	@echo "    This includes torch. The first time, llama-cpp-python is compiled: 4-5 minutes on 2 cores."
	@$(INSTALL) -e '.[llama,train,dev]'
	@touch $(STAMPS)/llama $@
