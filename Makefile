# The pipeline: from a params file and numbered notebooks to reports. `make help` lists targets.

RUN ?= simulated
NB ?=
P ?=
ifeq ($(origin AS),default)
AS := # Make's own AS is an assembler
endif
DATASET ?=
FROM ?=
LAB_OPTIONS ?=
A ?=
B ?=

DRY := $(findstring n,$(firstword -$(MAKEFLAGS)))
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := help
.PHONY: help setup data reports report fast lab test bench compare lock clean FORCE

export SCREENBOOK_HOME := $(CURDIR)

# A variant (RUN=simulated@k-30) repeats single notebooks; file rules are those of its run.
BASE := $(firstword $(subst @, ,$(RUN)))
VARIANT := $(strip $(P)$(AS)$(findstring @,$(RUN)))

# --- Python: .venv of our own, the active conda environment, or PYTHON=... as it is ----------

UV ?= $(shell command -v uv 2>/dev/null)
empty :=
space := $(empty) $(empty)

ifeq ($(origin PYTHON),command line)
PY := $(PYTHON)
else ifneq ($(and $(CONDA_PREFIX),$(filter-out base,$(CONDA_DEFAULT_ENV))),)
ENV := $(CONDA_PREFIX)
STAMP := $(ENV)/.screenbook$(subst /,-,$(subst $(space),_,$(CURDIR)))
else
ENV := .venv
STAMP := $(ENV)/.screenbook
endif

ifdef ENV
PY := $(ENV)/bin/python
READY := $(STAMP)-run
READY_TO_TEST := $(STAMP)-dev
endif

SCREENBOOK = $(PY) -m screenbook
INSTALL = $(if $(UV),$(UV) pip install --quiet --python $(PY),$(PY) -m pip install -qq --disable-pip-version-check) -c constraints.txt

# 3.11 first: the pinned versions were tested with it.
define make_venv
if [ -n "$(UV)" ]; then $(UV) venv --quiet --allow-existing --python '>=3.11,<3.13' .venv; exit; fi; \
for python in python3.11 python3.12 python3 python; do \
  if $$python -c 'import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null; \
  then exec $$python -m venv .venv; fi; \
done; \
echo "No Python 3.11 or 3.12 with its venv module was found on PATH: install one (Debian: apt install python3-venv), or uv, or activate the conda environment of environment.yml" >&2; \
exit 1
endef

ifdef ENV
$(READY): pyproject.toml constraints.txt $(if $(wildcard $(PY)),,FORCE)
	@$(if $(filter .venv,$(ENV)),$(make_venv))
	@echo "Installing screenbook and what it needs into $(ENV): 150 packages, a few minutes, once"
	@$(INSTALL) -e .
	@touch $@

$(READY_TO_TEST): $(READY)
	@echo "Installing what the tests need into $(ENV)"
	@$(INSTALL) -e '.[dev]'
	@touch $@
endif

# --- What needs what --------------------------------------------------------------------------

# A run has the reports of what its params file describes: those on cell images, on expression,
# on the screen. Where it describes nothing, those on the screen say so.
ON_IMAGES := 06a_% 06b_% 08b_% 08c_%
ON_EXPRESSION := 07_%
SECTIONS := $(or $(shell grep -Eso '^(screen|images|expression):' params/$(BASE).yml),screen:)
NOTEBOOKS := $(sort $(wildcard notebooks/[0-9]*_*.py))
NAMES := $(NOTEBOOKS:notebooks/%.py=%)
made_from = $(if $(filter $(ON_IMAGES),$(1)),images,$(if $(filter $(ON_EXPRESSION),$(1)),expression,screen))
NAMES := $(foreach name,$(NAMES),$(if $(filter $(call made_from,$(name)):,$(SECTIONS)),$(name)))
BOOKS := $(NAMES:%=build/$(BASE)/%.ipynb)
HTML := $(NAMES:%=reports/$(BASE)/%.html)
SETTINGS := $(patsubst %,build/$(BASE)/settings/%.json,screen images expression $(NAMES))
LIB := lib/screenbook
SCREEN_CODE := $(wildcard $(LIB)/sources/*.py $(LIB)/simulate/*.py $(LIB)/profiles/aggregate.py) \
  $(patsubst %,$(LIB)/%.py,screen metadata chemistry)
IMAGE_CODE := $(wildcard $(LIB)/sources/images/*.py $(LIB)/simulate/images/*.py) $(LIB)/image_set.py
EXPRESSION_CODE := $(wildcard $(LIB)/sources/expression/*.py $(LIB)/simulate/expression/*.py) \
  $(wildcard $(LIB)/simulate/compounds.py $(LIB)/simulate/pharmacology.py) \
  $(LIB)/expression/pseudobulk.py $(LIB)/expression_set.py
THEME := $(patsubst %,$(LIB)/report/%.py,outputs page raster render series text thumbnail) \
  $(wildcard $(LIB)/report/theme/*)

# Which notebook reads what another one wrote.
NEEDS_03 := 02
NEEDS_04 := 01 02 03
NEEDS_05 := 02 04
NEEDS_08 := 02 04
NEEDS_09 := 02 04 05

book = $(filter build/$(BASE)/$(1)_%,$(BOOKS))
needs = $(foreach need,$(NEEDS_$(firstword $(subst _, ,$(1)))),$(call book,$(need)))
page = $(1:build/%.ipynb=reports/%.html)
$(foreach name,$(NAMES),$(eval build/$(BASE)/$(name).ipynb: $(call needs,$(name))))
$(foreach name,$(NAMES),$(eval reports/$(BASE)/$(name).html: | $(call page,$(call needs,$(name)))))

$(foreach name,$(NAMES),$(eval build/$(BASE)/$(name).ipynb: build/$(BASE)/$(call made_from,$(name)).json))

# Which modules each notebook imports, and which files the data were made of; written with them.
-include $(BOOKS:.ipynb=.d) $(wildcard $(patsubst %,build/$(BASE)/%.d,screen images expression))

# Settings are split by notebook, and a part that stays the same keeps its time: a change in
# one section of the params file repeats that notebook and what reads its output, no more.
# As an included makefile, the check runs first of all, and Make looks at times only then.
CHECKED := build/$(BASE)/settings/checked.mk
ifneq ($(filter reports report build/% reports/%,$(MAKECMDGOALS)),)
ifneq ($(DRY)$(wildcard $(CHECKED)),n)
include $(CHECKED)
endif
endif

$(CHECKED): params/$(BASE).yml $(if $(filter-out $(wildcard $(SETTINGS)),$(SETTINGS)),FORCE) | $(READY)
	@$(SCREENBOOK) settings $(BASE)
	@touch $@

$(SETTINGS): ;

params/%.yml: | $(READY)
	@$(SCREENBOOK) settings $*

build/$(BASE)/screen.json: build/$(BASE)/settings/screen.json $(SCREEN_CODE) | $(READY)
	@$(SCREENBOOK) screen $(BASE)

build/$(BASE)/images.json: build/$(BASE)/settings/images.json $(IMAGE_CODE) | $(READY)
	@$(SCREENBOOK) images $(BASE)

build/$(BASE)/expression.json: build/$(BASE)/settings/expression.json $(EXPRESSION_CODE) | $(READY)
	@$(SCREENBOOK) expression $(BASE)

$(BOOKS): build/$(BASE)/%.ipynb: notebooks/%.py build/$(BASE)/settings/%.json | $(READY)
	@$(SCREENBOOK) run $* --run $(BASE)

$(HTML): reports/$(BASE)/%.html: build/$(BASE)/%.ipynb $(THEME) | $(READY)
	@$(SCREENBOOK) render $* --run $(BASE)
	@touch $@

reports/index.html: $(HTML) $(LIB)/report/index.py
	@$(SCREENBOOK) index
	@touch $@

# --- Targets ----------------------------------------------------------------------------------

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: $(READY) $(READY_TO_TEST) ## make .venv and install what was tested; other targets do so by themselves

data: $(READY) ## download a public data set and check it: DATASET=rxrx19a; FROM=folder copies it
	@$(SCREENBOOK) data "$(DATASET)" $(if $(FROM),--from "$(FROM)")

reports: reports/index.html ## every report of a run and the index: RUN=simulated; -j2 runs two at once
	@echo "The reports of run $(RUN) are up to date: open reports/index.html"

fast: ## every report on a tiny screen (RUN=fast), in a minute or two
	@$(MAKE) reports RUN=fast

NOTEBOOK := $(if $(NB),$(filter $(NB) $(NB)_% 0$(NB)_%,$(NAMES)))
ifneq ($(and $(filter reports,$(MAKECMDGOALS)),$(findstring @,$(RUN))),)
$(error RUN=$(RUN) is a variant, which repeats single notebooks: make report NB=04 RUN=$(RUN))
endif
ifneq ($(filter report,$(MAKECMDGOALS)),)
ifneq ($(words $(NOTEBOOK)),1)
$(error make report takes the number of a notebook: NB=$(firstword $(subst _, ,$(firstword $(NAMES)))); there are $(NAMES))
endif
endif

ifdef VARIANT
report: build/$(BASE)/$(call made_from,$(NOTEBOOK)).json $(call needs,$(NOTEBOOK)) | $(READY)
	@$(SCREENBOOK) run $(NOTEBOOK) --run $(RUN) $(if $(P),--set $(P)) $(if $(AS),--as $(AS)) --report
else
report: reports/$(BASE)/$(NOTEBOOK).html ## one report: NB=04; with P="name=value ..." a variant beside it, named AS=...
	@$(SCREENBOOK) index
	@echo "The report is up to date: open $<"
endif

compare: $(READY) ## what changed between two runs: A=simulated B=simulated@k-30
	@$(if $(and $(A),$(B)),,echo "make compare takes two runs: A=simulated B=simulated@k-30" >&2; exit 2)
	@$(SCREENBOOK) compare $(A) $(B)

lab: $(READY) ## the notebooks in JupyterLab; .py files open as notebooks
	@mkdir -p build/lab/labconfig
	@echo '{"@jupyterlab/docmanager-extension:plugin": {"defaultViewers": {"python": "Jupytext Notebook"}}, "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}' > build/lab/labconfig/default_setting_overrides.json
	@JUPYTER_CONFIG_PATH=$(CURDIR)/build/lab JUPYTER_PREFER_ENV_PATH=1 $(PY) -m jupyterlab $(LAB_OPTIONS) notebooks

# Unordered: the browser tests, first by name, take longest, and must not start last.
test: $(READY_TO_TEST) ## the whole check: lint, format, types, tests
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	  echo "The browser tests were skipped: they need Chromium (Debian: apt-get install chromium)"

bench: $(READY_TO_TEST) ## measure speed and memory (tests/benchmarks)
	@for file in $(wildcard tests/benchmarks/bench_*.py); do $(PY) $$file || exit; done

lock: ## write constraints.txt anew, from a clean environment
	@rm -rf build/lock
	@$(subst .venv,build/lock,$(make_venv))
	@echo "Installing the newest versions that pyproject.toml allows into build/lock"
	@build/lock/bin/python -m pip install -qq --disable-pip-version-check -e '.[dev]'
	@{ echo "# Every version that was tested together; make lock writes this file."; \
	  echo "# torch has no CPU or CUDA tag here: which build is taken is the machine's choice."; \
	  build/lock/bin/python -m pip --disable-pip-version-check freeze --exclude-editable \
	    | sed -E 's/^([^ ]+==[^ +]+)\+.*/\1/' | LC_ALL=C sort -f; } > build/lock/constraints.txt
	@mv build/lock/constraints.txt constraints.txt

clean: ## remove what can be made again: build, reports, caches (not data, not .venv)
	@rm -rf build $(filter-out reports/README.%,$(wildcard reports/*)) .mypy_cache .ruff_cache .pytest_cache .hypothesis
