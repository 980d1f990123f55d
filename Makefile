# Everything a developer types.  `make setup` is implied by the others.
PYTHON ?= /usr/bin/python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest -n 2 --require fuse,userns,root --durations=40

BUILD_PACKAGES := python3-dev python3-venv gcc make pkg-config libfuse3-dev fuse3 libxxhash-dev
TEST_PACKAGES := podman buildah skopeo runc crun fuse-overlayfs fio attr acl xfsprogs btrfs-progs e2fsprogs \
	clang clang-format libclang-rt-14-dev mmdebstrap busybox-static strace uidmap \
	umoci docker-registry erofs-utils openssl slirp4netns python3-seccomp \
	$(patsubst %,linux-libc-dev-%-cross,arm64 armhf ppc64el riscv64 s390x mips64el)

BENCH_PACKAGES := fuse-overlayfs mmdebstrap e2fsprogs xfsprogs git strace

PACKAGED := pyproject.toml setup.py MANIFEST.in native/build.py native/launcher.py native/core.cdef.h \
	native/image.cdef.h
SOURCES := $(PACKAGED) $(shell find native/include native/src native/launch native/lamina_native unionfs runtime \
	benchmarks -type f \
	! -name '*.pyc' ! -path '*.egg-info*' 2>/dev/null)

.PHONY: setup demo test test-python native-check fuzz check format bench clean help
help:  ## show the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | sort

setup: $(STAMP)  ## install what is missing, build, install into .venv

$(VENV)/bin/python:
	.ci/packages $(BUILD_PACKAGES)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade "setuptools>=77" wheel "cffi>=1.16"

$(VENV)/.dependencies: pyproject.toml $(VENV)/bin/python
	$(BIN)/python .ci/requirements.py pyproject.toml > $(VENV)/requirements.txt
	$(BIN)/pip install --quiet --requirement $(VENV)/requirements.txt
	touch $@

$(STAMP): $(VENV)/.dependencies $(SOURCES)
	rm -rf build/lib* build/bdist*
	$(BIN)/pip install --quiet --no-build-isolation --no-deps --force-reinstall .
	$(BIN)/python -I -c "import lamina_native._core, lamina_native._image"
	touch $@

demo: setup  ## a Debian tree under an upper, then in containers: run, commit, ship, why
	.ci/packages mmdebstrap busybox-static fuse3 uidmap slirp4netns
	$(BIN)/python -m tests.demo

test: setup native-check test-python  ## all tests

test-python: setup
	.ci/packages $(TEST_PACKAGES)
	$(PYTEST)

native-check: $(VENV)/bin/python  ## C unit tests under ASan, UBSan and TSan
	$(MAKE) --no-print-directory -s -C native check

FUZZ ?= 60
fuzz: setup  ## look for inputs that the parsers do not stand; FUZZ=SECONDS a target
	$(BIN)/pip install --quiet "atheris>=3"
	for target in $(notdir $(wildcard tests/fuzz/corpus/*)); do $(BIN)/python -m tests.fuzz $$target $(FUZZ) || exit; done

check: setup native-check  ## linters, types, layering, formatting, sanitizers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	clang-format --dry-run -Werror native/include/lamina/*.h native/include/lamina/image/*.h \
		native/src/*.[ch] native/src/image/*.[ch] native/launch/*.[ch] $(wildcard native/tests/*.[ch]) \
		benchmarks/*/*.c

format:  ## rewrite the sources as check wants them
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	clang-format -i native/include/lamina/*.h native/include/lamina/image/*.h \
		native/src/*.[ch] native/src/image/*.[ch] native/launch/*.[ch] $(wildcard native/tests/*.[ch]) \
		benchmarks/*/*.c

bench: setup  ## measure beside kernel overlayfs and fuse-overlayfs; BENCH=--quick and other words
	.ci/packages $(BENCH_PACKAGES)
	$(BIN)/lamina bench $(BENCH)

clean:  ## remove what was built; .venv too
	rm -rf build dist $(VENV) native/build unionfs/*.egg-info native/*.egg-info runtime/*.egg-info benchmarks/*.egg-info *.egg-info \
		.pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
