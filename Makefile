# Every target sets up what it needs, and costs next to nothing where that is there already. The work is in scripts/.
.DEFAULT_GOAL := help
.PHONY: help demo test chaos serve check setup images bench format setup-python setup-engine setup-packages \
	image-small image-default image-default-in-background image-runner-simulated image-engine image-runner \
	images-local images-export images-import

# One step after the other, whatever -j says: apt-get and the engine are shared.
.NOTPARALLEL:

RUN := scripts/uv run --no-sync

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

demo: setup-python setup-engine image-small image-runner-simulated image-default-in-background ## see it work: commands and a workflow job in real containers
	@scripts/with-engine $(RUN) chaser demo

test: setup image-engine ## run all tests, against real Docker, PostgreSQL and registries
	@scripts/with-engine $(RUN) pytest $(ARGS)

chaos: setup image-engine ## kill the service at every point that could hurt, and lay siege to its fleet, for minutes
	@CHASER_CHAOS=long scripts/with-engine $(RUN) pytest tests/chaos $(ARGS)

serve: setup-python setup-engine image-small image-default-in-background ## start the service and stay
	@scripts/with-engine $(RUN) chaser serve

check: setup-python setup-packages ## format, lint, types, import rules, dead code, shell scripts
	@scripts/check

setup: setup-python setup-engine setup-packages images-local ## only the set-up, for all of these

images: images-local image-runner ## build all images; the last, for real workflow jobs, needs a registry

images-local: setup-engine image-small image-runner-simulated image-default ## build those that need none

image-runner: setup-engine ## build the image for real workflow jobs: docs/images.md
	@scripts/with-engine images/runner/build $(ARGS)

images-export: setup-engine ## write the images to FILE, for a closed network: FILE=images.tar.zst
	@scripts/with-engine scripts/images-export "$$FILE"

images-import: setup-engine ## read them from FILE there, after a look at its checksum
	@scripts/with-engine scripts/images-import "$$FILE"

bench: setup-python setup-engine setup-packages image-small image-runner-simulated image-default ## compare with the bare Docker SDK and other queues, as ratios
	@scripts/with-engine $(RUN) python -m bench $(ARGS)

format: setup-python ## format the code and sort its imports
	@$(RUN) ruff check --quiet --fix --select I chaser tests $(wildcard bench)
	@$(RUN) ruff format chaser tests $(wildcard bench)

setup-python:
	@scripts/setup-python

setup-engine:
	@scripts/setup-engine

setup-packages:
	@scripts/setup-packages

image-small image-default image-runner-simulated image-engine: setup-engine
	@scripts/with-engine images/$(@:image-%=%)/build

image-runner-simulated: image-small

image-default-in-background: setup-engine
	@scripts/with-engine scripts/build-in-background
