.DEFAULT_GOAL := help
.PHONY: help demo test test-slow trials check docs package lock environment
PYTHON := .venv/bin/python
# Two processes, between which tests/conftest.py divides the tests by the fixtures they share.
PYTEST := $(PYTHON) -m pytest -n 2 --dist loadgroup --no-loadscope-reorder
STAMP := .venv/.installed
INSTALL := conf/environment/install.sh

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

environment: $(STAMP) ## install everything into .venv

demo: $(STAMP) ## run the core jobs on a simulated shop and print three profiles
	$(PYTHON) jobs/run_all.py --config demo

test: $(STAMP) ## run the fast tests
	$(PYTEST) -m "not slow and not trial"

test-slow: $(STAMP) ## run the tests that start processes, clusters, notebooks or streams, and other slow ones
	$(PYTEST) -m "slow and not trial"

trials: $(STAMP) ## run the tests that take minutes each: before a release, and after changes of what they try
	$(PYTEST) -m trial

check: $(STAMP) docs ## check style, types, import rules, language and pages
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(PYTHON) docs/check_language.py
	$(PYTHON) docs/diagrams.py --check

docs: $(STAMP) ## build the pages as a site in build/site
	NO_MKDOCS_2_WARNING=1 PYTHONPATH=. $(PYTHON) -m mkdocs build --strict --quiet

$(STAMP): setup.py $(wildcard conf/environment/*)
	$(INSTALL) .venv
	touch $@

package: $(STAMP) ## build the wheel, and the zip that spark-submit --py-files ships to executors
	rm -rf dist build
	$(PYTHON) -m build --wheel --no-isolation --outdir dist .
	cd dist && cp *.whl profile_lib.zip

lock: $(STAMP) ## resolve the exact versions of everything that setup.py requires
	.venv/bin/uv pip compile -q setup.py --extra petastorm --extra horovod --extra int8 --extra wandb \
	    --extra dev --extra docs --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
	    --generate-hashes --no-emit-index-url --no-header --upgrade \
	    -o conf/environment/requirements.lock
