# Everything starts from Python 3.11 or later and nothing else. `make demo` and `make test` set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RUNTIME_STAMP := $(VENV)/.runtime

.PHONY: setup runtime demo run test interop chaos commerce fast fast-wheel fast-from-wheel plain test-fast check bench bench-campaigns bench-closing bench-export bench-flow bench-codec bench-import bench-intake bench-verify bench-reading bench-reconcile bench-replies replies numbers fuzz soak format lock clean

setup: $(STAMP)

runtime: $(RUNTIME_STAMP)

$(RUNTIME_STAMP): requirements/runtime.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing what smsgate needs to run"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m smsgate.kept_tables
	@touch $@

$(STAMP): requirements/dev.lock $(RUNTIME_STAMP)
	@echo "installing what the tests need"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@touch $@

# The main job with nothing installed beforehand: database, SMSC, phones, shop and gateway. ONCE=1 ends by itself.
demo: $(RUNTIME_STAMP)
	@$(BIN)/smsgate demo $(if $(ONCE),--once --json)

run: $(RUNTIME_STAMP)
	@$(BIN)/smsgate run

# Real PostgreSQL, real sockets; needs Python alone.
test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not interop and not chaos and not compiled"

# Peers that we did not write; installs them from Debian (as root), npm and PyPI.
interop: $(STAMP)
	tests/interop/install
	$(BIN)/python -m pytest -n 2 --dist worksteal -m interop tests/interop

# Kills of gateway, PostgreSQL, SMSC and connections at random points, with the proof that nothing is lost or doubled;
# the disk full (as root), and slow. About 5 s a kill. The same with a summary in JSON, and what it leaves behind to look at:
# .venv/bin/python -m tests.chaos --kills 300 --seed 7 --directory /tmp/chaos
KILLS ?= 100
SEED ?= 1
chaos: $(STAMP)
	KILLS=$(KILLS) SEED=$(SEED) $(BIN)/python -m pytest -m chaos -s tests/chaos tests/store/test_closes_that_are_killed.py

# Offers, replies, STOPs, the shop's answers, time and crashes in any order: `make test` has a few examples, always the
# same; here they are others each time. Some 4 s an example.
EXAMPLES ?= 100
commerce: $(STAMP)
	COMMERCE_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -q tests/flows/test_commerce_machine.py

# The pump and the reading of replies, compiled and installed into .venv: a third less CPU of the gateway for each message, half
# of it for a reply. `make plain` takes them out.
FAST_STAMP := $(VENV)/.fast

fast: $(FAST_STAMP)

$(FAST_STAMP): fast/pyproject.toml fast/setup.py fast/smsgate_fast/pump.pyx fast/install $(wildcard smsgate/campaigns/*.py) $(RUNTIME_STAMP)
	@fast/install
	@touch $@

# The same in two steps, as the image does it: built where a C compiler is (dist/), installed where none is. Both lie beside the same sources.
fast-wheel:
	@$(PYTHON) -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist ./fast

fast-from-wheel: $(RUNTIME_STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-index --no-deps --force-reinstall dist/smsgate_fast-*.whl

plain:
	@$(BIN)/python -m pip uninstall --quiet --yes smsgate-fast
	@rm -f $(FAST_STAMP)

# What is compiled beside plain Python: octet for octet, reading for reading; then what goes through it: codec, links, flush, replies.
test-fast: $(STAMP) $(FAST_STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not interop and not chaos" tests/compiled tests/replies $(wildcard tests/unit/campaigns/test_repl*.py) tests/unit/protocol tests/store/test_copy_rows.py tests/links tests/flows/test_sending.py
	$(BIN)/python -m tests.fuzz --streams 20000

# Format, lint, types, import contracts and the unit tests: seconds.
check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q -n 2 tests/unit

# The codec alone, beside smpplib, aiosmpplib and (after make interop) npm smpp: operations per CPU second.
bench-codec: $(STAMP)
	$(BIN)/python -m benchmarks.codec

# Random and mutated octet streams against the codec; the default takes 13 minutes of CPU. In pieces:
# make fuzz FUZZ="--seconds 200 --state fuzz.json", again and again.
STREAMS ?= 10000000
fuzz: $(STAMP)
	$(BIN)/python -m tests.fuzz --streams $(STREAMS) $(FUZZ)

# What the reply reader gets wrong, on the samples and on the own set; BASE=main also says what changed since then.
replies: $(STAMP)
	@$(BIN)/python -m tests.replies $(if $(BASE),--base $(BASE)) $(if $(ERRORS),--errors)

# Replies read per second of CPU.
bench-reading: $(STAMP)
	$(BIN)/python -m benchmarks.reply_reading

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)
	$(BIN)/python -m benchmarks.sending

# An hour of 5,000 messages a second: memory must be flat.
soak: $(STAMP)
	$(BIN)/python -m benchmarks.soak --rate $(or $(RATE),5000) --seconds $(or $(SECONDS),3600)

# A shop's signed webhooks, one event each, over keep-alive connections.
bench-intake: $(STAMP)
	$(BIN)/python -m benchmarks.intake

# Campaigns of one person each, as webhooks make them: claimed, sent, finished.
bench-campaigns: $(STAMP)
	$(BIN)/python -m benchmarks.campaigns

# A million subscribers with their consent, over HTTP, into a throw-away database.
bench-import: $(STAMP)
	$(BIN)/python -m benchmarks.importing

# Phones that say OK at a rate: from the deliver_sm to the committed order and its confirmation, beside an ordinary design.
.PHONY: bench-inbound
bench-inbound: $(STAMP)
	$(BIN)/python -m benchmarks.inbound

# A shop's next campaign over years of rows, beside a first one in a new database: twice 50 million rows, some 20 GB of disk.
.PHONY: bench-past
bench-past: $(STAMP)
	$(BIN)/python -m benchmarks.past --rows $(or $(ROWS),50000000)

# Campaigns of ten thousand messages and of ten million; one campaign or a hundred, of one merchant or of as many.
.PHONY: bench-growth
bench-growth: $(STAMP)
	$(BIN)/python -m benchmarks.growth

# API reads beside a running campaign, in one process with it.
.PHONY: bench-beside
bench-beside: $(STAMP)
	$(BIN)/python -m benchmarks.beside

# A flash sale: everybody says OK at once, and there is one piece for every two hundred.
bench-replies: $(STAMP)
	$(BIN)/python -m benchmarks.inbound --rate 0 --answers $(or $(ANSWERS),20000) --stock $(or $(STOCK),100) --ordinary 0

# Ten million message rows: the proof of the books, and an export that must not grow in memory.
bench-verify: $(STAMP)
	$(BIN)/python -m benchmarks.verifying

# What billing costs a message of the bulk path.
.PHONY: bench-ledger
bench-ledger: $(STAMP)
	$(BIN)/python -m benchmarks.ledger_cost

bench-export: $(STAMP)
	$(BIN)/python -m benchmarks.exporting --rows 10000000

# A carrier's bill of a million messages against ours: memory must not grow with its lines.
bench-reconcile: $(STAMP)
	$(BIN)/python -m benchmarks.reconciling

# The close of a month of a hundred merchants with a million messages, from the cut to the documents.
bench-closing: $(STAMP)
	$(BIN)/python -m benchmarks.closing

# The compiled numbering plans against phonenumbers itself: ten minutes of CPU, more numbers than the tests take.
numbers: $(STAMP)
	NUMBERS=300000 $(BIN)/python -m pytest -q --timeout 3000 tests/unit/text/test_numbering.py

# Window, rate and enquire_link over real sockets: the figures of docs/performance.md, in some 4 minutes.
bench-flow: $(STAMP)
	$(BIN)/python -m benchmarks.flow

# New versions go in here and nowhere else; the lock files hold hashes and no addresses.
lock: $(STAMP)
	$(BIN)/python -m pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --strip-extras --generate-hashes --allow-unsafe --no-emit-index-url \
	    --no-emit-find-links --no-emit-options --no-header --output-file requirements/runtime.lock pyproject.toml requirements/build.in
	$(BIN)/pip-compile --quiet --strip-extras --generate-hashes --allow-unsafe --no-emit-index-url \
	    --no-emit-find-links --no-emit-options --no-header --extra dev --output-file requirements/dev.lock pyproject.toml requirements/build.in

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
