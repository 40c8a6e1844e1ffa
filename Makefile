# Two commands: `make book` and `make test`. `make help` lists the rest.
PYTHON  ?= python3
VENV    ?= .venv
BIN     := $(VENV)/bin
SITE    := _build/html
NB      ?=
URL     ?=
HUB     ?=
Q       ?=
LAB     ?= notebooks
PORT    ?= 8000
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help book serve lite serve-lite pdf archive test test-launch lab voila exercises assignments exam execute sweep bench gpu set-repo constraints clean

help:           ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 14

# One stamp a set of packages, named as in pyproject.toml, so that `make book` never installs torch.
# What a set is for, and the stamps of the sets that it holds.
FOR_book  := the book (first time: one to two minutes)
FOR_pdf   := printing the book
FOR_lite  := labs in a browser tab
FOR_lab   := the labs, torch included (first time: a few minutes)
FOR_app   := the labs as apps (first time: a few minutes)
FOR_grade := releases for graders
FOR_bench := measurements, with the packages compared with
FOR_test  := everything, torch included (first time: a few minutes)
HOLDS_pdf := book
HOLDS_lite := book
HOLDS_app := lab
HOLDS_bench := book pdf lab
HOLDS_test := book pdf lab app grade

$(VENV)/.%: pyproject.toml constraints.txt
	@echo "Setting up $(FOR_$*) in $(VENV) ..."
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else f"the book needs Python 3.11 or later; this is {v.major}.{v.minor} (PYTHON=... names another)")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$*]"
	@touch $@ $(HOLDS_$*:%=$(VENV)/.%)

book: $(VENV)/.book  ## build the site and say where to open it
	@$(BIN)/python book/_tools/build.py

serve: book     ## build and serve the site on this machine (PORT=8000)
	@$(BIN)/python -m http.server $(PORT) --directory $(SITE) --bind 127.0.0.1

pdf: book $(VENV)/.pdf  ## print the whole book into one PDF, _build/entropy-lab.pdf
	@$(BIN)/python book/_tools/chromium.py --install
	@$(BIN)/python book/_tools/pdf.py

archive: book   ## one zip of the site to read from disk, _build/entropy-lab-site.zip
	@$(BIN)/python book/_tools/archive.py

lite: $(VENV)/.lite  ## build the site for a web server, with labs that run in a browser tab (needs npm)
	@$(BIN)/python book/_tools/build.py
	@$(BIN)/python book/_tools/lite.py

serve-lite: lite  ## build that site and serve it on this machine (PORT=8000)
	@$(BIN)/python -m http.server $(PORT) --directory _build/online --bind 127.0.0.1

test: $(VENV)/.test  ## run all tests: package, notebooks, book, browser
	@$(BIN)/python book/_tools/chromium.py --install
	@$(BIN)/python book/_tools/build.py
	$(BIN)/python -m pytest tests notebooks --nbval-lax -n $(WORKERS) --max-worker-restart 0 --cov=labutils --cov-report=term

test-launch: $(VENV)/.test lite  ## the ways to start a lab, in a real browser
	$(BIN)/python -m pytest tests/browser/test_launch.py tests/browser/test_tab_labs.py tests/browser/test_voila.py tests/book/test_lite.py

lab: $(VENV)/.lab  ## open the notebooks in JupyterLab
	@$(BIN)/jupyter lab --notebook-dir=notebooks

voila: $(VENV)/.app  ## show the labs as apps with live sliders (LAB=notebooks/a.ipynb for one)
	@$(BIN)/python book/_tools/apps.py $(LAB)

exercises: $(VENV)/.book  ## write the notebooks of exercises from their sources in exercises/
	@$(BIN)/python book/_tools/exercises.py

assignments: $(VENV)/.grade  ## releases of the exercises for nbgrader and otter-grader, in _build/assignments
	@$(BIN)/python book/_tools/assignments.py

exam:           ## compose an exam and its solutions in _build/exam (Q="foundations:2 jaynes:1")
	@$(PYTHON) book/_tools/exams.py $(Q)

execute: $(VENV)/.test  ## re-run notebooks and store their outputs (NB="notebooks/a.ipynb ...")
	@$(BIN)/python book/_tools/execute.py $(NB)

sweep: $(VENV)/.test  ## recreate the committed sweep of the policy labs (about half an hour on two cores)
	@$(BIN)/python -m labutils.policy.sweep

bench: $(VENV)/.bench  ## measure speed and memory (never part of the tests)
	@for f in bench/*.py; do echo "== $$f"; $(BIN)/python $$f || exit 1; done

gpu: $(VENV)/.test  ## run the labs at GPU size; outputs go to _build/gpu
	@LABUTILS_SCALE=gpu $(BIN)/python book/_tools/execute.py --into _build/gpu $(NB)

set-repo:       ## write the repository's address everywhere (URL=https://github.com/OWNER/NAME; HUB=https://... too)
	@$(PYTHON) book/_tools/set_repo.py "$(URL)" "$(HUB)"

constraints: $(VENV)/.test  ## rewrite constraints.txt and environment.yml from what is installed
	@$(BIN)/python book/_tools/constraints.py

clean:          ## remove the built site
	rm -rf _build
