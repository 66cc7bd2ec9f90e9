# `make demo` and `make test` set up what they need in .venv first, once; scripts/set_up.sh says what can be chosen.
# The tests run two at a time on one thread each; more only helps where there are more cores: `make test WORKERS=8`.
WORKERS ?= 2
BIN := .venv/bin
READY := .venv/ready
RUNTIMES := .venv/ready-runtimes
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS)

.PHONY: demo test test-all lint bench setup site browser web release

demo: $(READY)
	$(BIN)/shufflekit demo

test: lint $(RUNTIMES) browser
	$(PYTEST) -m "not slow"

test-all: lint $(RUNTIMES) browser
	$(PYTEST)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The documentation, in build/site.
site: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

# Every file of a release, built and checked; hours on two cores.
release:
	scripts/set_up.sh all,dev,wheels
	scripts/wheels.sh --page

browser:
	scripts/set_up_browser.sh

# The engine as WebAssembly, plans of the networks that have weights, and the page web/demo over https. CALIB=folder of photos adds int8.
web: $(RUNTIMES)
	scripts/build_web.sh
	scripts/web_plans.sh $(CALIB)
	$(BIN)/python scripts/serve_web.py

bench: $(RUNTIMES)
	$(BIN)/shufflekit device --refresh
	for file in benchmarks/[!_]*.py; do echo "== $$file" && $(BIN)/python $$file || exit 1; done

setup: $(READY)

$(READY): scripts/set_up.sh pyproject.toml constraints.txt CMakeLists.txt $(shell find native -type f)
	scripts/set_up.sh
	touch $@

# The other runtimes, which the tests and benchmarks compare with, and what web/ is built and tested with; a demo does without.
$(RUNTIMES): $(READY)
	scripts/set_up.sh all,dev,bench,web
	touch $@
