# A newcomer's commands. `make help` lists them.

BRIEF = examples/digits.toml
ARGS =
PYTHON =

python := .venv/bin/python

# The Python that makes .venv; stops with one line where none is suitable.
define suitable_python
$(eval found := $(shell sh scripts/find_python.sh '$(PYTHON)' 2>&1 || echo UNSUITABLE))$(if \
$(filter UNSUITABLE,$(found)),$(error $(filter-out UNSUITABLE,$(found))),$(found))
endef

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help search test lint clean

help:
	@echo "make search   set up .venv and run the search of $(BRIEF)"
	@echo "                BRIEF=path    another brief"
	@echo "                ARGS=\"...\"    options of archwright search"
	@echo "make test     set up .venv and run ruff, mypy and all tests; ARGS=\"...\" for pytest"
	@echo "make lint     ruff and mypy only"
	@echo "make clean    remove .venv, caches and build folders; runs are kept"
	@echo "PYTHON=path   the Python that makes .venv (with any of the above, after make clean)"

search: .venv/installed
	@.venv/bin/archwright search "$(BRIEF)" $(ARGS)

# Files in the order of their names: xdist's own order leaves the whole searches, few tests that
# take long, for the end, where one of two workers would be idle.
test: lint
	@OMP_NUM_THREADS=1 $(python) -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: .venv/installed-dev
	@$(python) -m ruff check .
	@$(python) -m ruff format --check .
	@$(python) -m mypy

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/installed: pyproject.toml constraints.txt
	@sh scripts/install.sh "$(suitable_python)"

.venv/installed-dev: pyproject.toml constraints.txt
	@sh scripts/install.sh "$(suitable_python)" dev

# The stamps of a .venv whose Python has gone say nothing: install again.
ifeq ($(shell test -x $(python) && echo runs),)
.PHONY: .venv/installed .venv/installed-dev
endif
