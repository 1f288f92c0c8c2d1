# SPDX-License-Identifier: Apache-2.0
#
# The two commands most people need are `make run` and `make test`. Each brings the machine's packages along
# (tools/bootstrap), builds what is missing and is quick when nothing changed. docs/hacking.md says more.

JOBS ?= $(shell nproc)
LISTEN ?= 127.0.0.1:6377
DEMO_DB ?= build/demo.db
PREFIX ?= /usr/local

RELEASE := build/release
MERROW := $(RELEASE)/merrow
DEMO := build/demo
DEMO_SOURCES := $(wildcard examples/demo/src/* examples/demo/*.json examples/demo/build.mjs)

.PHONY: run install extension test soak bench bench-engine format clean merrow demo bench-changesets bench-cells bench-replication
.DEFAULT_GOAL := help
help:
	@echo "make run     build a release and start the demo on http://$(LISTEN)"
	@echo "make install the command and the library (PREFIX=$(PREFIX))"
	@echo "make extension   $(RELEASE)/merrow.so, for any program that uses SQLite"
	@echo "make test    build and run every test"
	@echo "make soak    random tests with fresh seeds until one fails (or MINUTES=n are over)"
	@echo "make bench   the benchmarks of the release build"
	@echo "make bench-engine   the document engine against native Loro and others (needs cargo)"
	@echo "make bench-cells  column rows beside plain tables (ARGS=\"--crsqlite PATH\")"
	@echo "make bench-changesets  bytes of changesets beside Corrosion's layouts"
	@echo "make bench-replication  delay and bytes of changes between servers"
	@echo "make format  clang-format and prettier over the sources"
	@echo "make clean   remove everything that was built"
.PHONY: help

run:
	@tools/bootstrap demo
	@$(MAKE) --no-print-directory merrow demo
	@exec $(MERROW) serve --db $(DEMO_DB) --schema examples/demo/schema.sql --static $(DEMO) --listen $(LISTEN)

# The server alone.
merrow: $(RELEASE)/build.ninja
	@cmake --build $(RELEASE) --target merrow -j $(JOBS)

# The SQLite extension alone.
extension: $(RELEASE)/build.ninja
	@cmake --build $(RELEASE) --target merrow_extension -j $(JOBS)

$(RELEASE)/build.ninja: CMakePresets.json
	@cmake --preset release
	@touch $@

# The demo page, bundled into a folder that the server hands out.
demo: $(DEMO)/index.html
$(DEMO)/index.html: $(DEMO_SOURCES)
	@node examples/demo/build.mjs $(DEMO)

# The command, libmerrow and its headers.
install: $(RELEASE)/build.ninja
	@cmake --build $(RELEASE) --target merrow merrow_shared merrow_static -j $(JOBS)
	@cmake --install $(RELEASE) --prefix "$(PREFIX)"

test:
	@tools/bootstrap test
	@JOBS=$(JOBS) tools/run-tests

soak:
	@tools/bootstrap test
	@JOBS=$(JOBS) tools/soak $(MINUTES)

bench:
	@tools/bootstrap test
	@JOBS=$(JOBS) tools/run-benchmarks

bench-engine:
	@tools/bootstrap test
	@JOBS=$(JOBS) tools/run-engine-benchmarks $(ARGS)

bench-cells: $(RELEASE)/build.ninja
	@tools/bootstrap build
	@cmake --build $(RELEASE) --target cells_speed merrow_extension -j $(JOBS)
	@$(RELEASE)/bench/cells_speed --merrow $(RELEASE)/merrow.so $(ARGS) | tee bench/results/cells.md

bench-changesets: $(RELEASE)/build.ninja
	@tools/bootstrap test
	@cmake --build $(RELEASE) --target changeset_sizes -j $(JOBS)
	@$(RELEASE)/bench/changeset_sizes | tee bench/results/changesets.md

bench-replication: merrow
	@tools/bootstrap test
	@node bench/replication.mjs $(ARGS) | tee bench/results/replication.md

format:
	@tools/bootstrap format
	@git ls-files -co --exclude-standard '*.h' '*.cc' | xargs -r clang-format-14 -i
	@git ls-files -co --exclude-standard '*.mjs' '*.ts' '*.css' '*.html' | \
	  xargs -r examples/demo/node_modules/.bin/prettier --log-level warn --write

clean:
	rm -rf build
