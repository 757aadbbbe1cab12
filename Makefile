# Everything runs in .venv, which is made on first use. On Windows without make, see README.md.
PYTHON ?= $(if $(filter Windows_NT,$(OS)),python,python3)
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)

.PHONY: lab demo test test-browser test-book web test-web mutation mutation-sample notebooks book book-stored book-print clean

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $@

lab: $(VENV)/ready
	$(BIN)/jupyter lab --LabApp.default_url=/lab/tree/notebooks/00_tour.ipynb

demo: $(VENV)/ready
	$(BIN)/python -m vosedu demo --out out

test: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/python -m pytest tests
	$(BIN)/python -m pytest --nbval-lax --nbval-current-env --nbval-cell-timeout=300 notebooks

# Needs Chromium on the machine (Debian: apt install chromium).
test-browser: $(VENV)/browser
	$(BIN)/python -m pytest -m browser tests/project/test_browser.py
	$(BIN)/python -m pytest -m "" tests/project/test_book.py

# The page of docs/web.md, into web/dist, after its tests. Needs Node.js 20 or newer with npm, and clang with lld (Debian: apt
# install clang lld). Look at it: python -m http.server --directory web/dist
web: $(VENV)/ready
	cd web && npm install --no-audit --no-fund
	$(BIN)/python -m vosedu export --out web/build/networks
	$(BIN)/python web/tests/vectors.py web/build/vectors
	cd web && node build.mjs --products && node --test tests/ && node build.mjs

# The page in Chromium: learns and segments two scenes, so minutes.
test-web: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[browser]"
	$(BIN)/python -m pytest -m browser tests/web/test_page.py

# Every mutant of what docs/tests.md lists: hours. Ctrl-C stops it, and the same command goes on.
mutation: $(VENV)/ready
	$(BIN)/python -m benchmarks.mutation

# The same few mutants every time: does a change to the tests lose what they noticed?
mutation-sample: $(VENV)/ready
	$(BIN)/python -m benchmarks.mutation --out out/mutation-sample.json --sample 4 --least 0.75 \
		--modules loss solver memory aggregation evaluation.metrics files.images files.frames

notebooks: $(VENV)/ready
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.store_widget_state=False notebooks/*.ipynb
	$(BIN)/python -m book.strip notebooks/*.ipynb

# The book with every widget's states, in out/book/html: runs every notebook that has changed, two at a time; all of them take 13
# minutes of processor time.
book: $(VENV)/book
	$(BIN)/python -m book

# The same in seconds, from the stored outputs: widgets are pictures there.
book-stored: $(VENV)/book
	$(BIN)/python -m book --stored

# Also on paper: book.pdf and poster.pdf in out/book. Needs Chromium.
book-print: $(VENV)/browser
	$(BIN)/python -m book --pdf --poster

# Every page of the book in Chromium, with everything but its own files blocked. Checks accessibility where npm is there.
test-book: book $(VENV)/browser
	VOSEDU_BOOK=out/book/html $(BIN)/python -m pytest -m "" tests/project/test_book.py

$(VENV)/book: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[book]"
	touch $@

$(VENV)/browser: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[book,browser]"
	if command -v npm > /dev/null; then cd book && npm install --no-package-lock --no-audit --no-fund --silent; fi
	touch $@

clean:
	rm -rf $(VENV) out
