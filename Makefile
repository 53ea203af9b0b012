.PHONY: demo test check package lock environment
PYTHON := .venv/bin/python
STAMP := .venv/.installed
INSTALL := conf/environment/install.sh

demo: $(STAMP)
	$(PYTHON) jobs/run_all.py --config conf/demo.yaml

test: $(STAMP)
	$(PYTHON) -m pytest

check: $(STAMP)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

environment: $(STAMP)

$(STAMP): setup.py $(wildcard conf/environment/*)
	$(INSTALL) .venv
	touch $@

package: $(STAMP) ## dist/: a wheel, and the zip that spark-submit --py-files ships to executors
	rm -rf dist build
	$(PYTHON) -m build --wheel --no-isolation --outdir dist .
	cd dist && cp *.whl profile_lib.zip

lock: $(STAMP) ## exact versions of everything setup.py asks for
	.venv/bin/uv pip compile -q setup.py --extra petastorm --extra horovod --extra int8 --extra wandb \
	    --extra dev --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
	    --generate-hashes --no-emit-index-url --no-header --upgrade \
	    -o conf/environment/requirements.lock
