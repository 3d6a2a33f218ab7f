# The build of devgate. `make help` lists the targets.
#
# CARGO_TARGET_DIR is honoured; PROFILE chooses nextest's profile (.config/nextest.toml).

CARGO ?= cargo
PROFILE ?= $(if $(CI),ci,default)
target = $(or $(CARGO_TARGET_DIR),target)
host = $(shell rustc -vV | sed -n 's/^host: //p')

.PHONY: help run build web sdk install dist vendor test check bench format clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

run: ## install what is missing, build, and run `devgate up` (ARGS="…" adds flags)
	sh scripts/setup.sh
	$(MAKE) --no-print-directory build
	$(target)/$(host)/release/devgate up $(ARGS)

build: vendor web ## release binaries devgate and devgate-agent
	$(CARGO) build --release --locked -p devgate -p devgate-agent
	@echo "built $(target)/$(host)/release/devgate and devgate-agent"

web: ## build the dashboard and the VS Code extension, parts of the binary (needs Node.js 20.19)
	@sh scripts/web.sh
	@sh scripts/extension.sh

sdk: ## make anew what the SDKs have from the API's document
	sh scripts/sdk.sh generate

install: build ## put binaries, completions and man pages into PREFIX (/usr/local)
	install -D -t $(DESTDIR)$(or $(PREFIX),/usr/local)/bin \
	    $(target)/$(host)/release/devgate $(target)/$(host)/release/devgate-agent
	sh scripts/install-shell.sh $(target)/$(host)/release/devgate \
	    $(DESTDIR)$(or $(PREFIX),/usr/local)/share

dist: build ## pack static binaries, completions and man pages, with their checksums, into dist/
	sh scripts/dist.sh $(target)/$(host)/release

vendor: ## make the patched russh: the published crate and our patch
	@sh scripts/patch-russh.sh

test: web ## install what the tests need, and run them all (TESTS="…" selects)
	sh scripts/setup-tests.sh
	$(CARGO) build --workspace --bins --locked
	$(CARGO) nextest run --workspace --locked --profile $(PROFILE) $(TESTS)

check: vendor web ## what CI runs, and format, clippy, the dashboard's and the extension's own checks
	cd gateway/web && npm run --silent check
	cd ide-extension && npm run --silent check
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(MAKE) --no-print-directory test

bench: vendor web ## print the numbers, against OpenSSH and nginx on this machine
	sh scripts/setup-tests.sh
	$(CARGO) build --release --locked --workspace --bins
	$(target)/$(host)/release/bench $(ARGS)

format: ## format the code
	$(CARGO) fmt --all

clean: ## remove what was built
	$(CARGO) clean
	rm -rf dist vendor gateway/web/dist gateway/web/node_modules tests/browser/node_modules
	rm -rf ide-extension/dist ide-extension/node_modules ide-extension/package/devgate.vsix
	rm -rf sdk/typescript/dist sdk/typescript/build sdk/typescript/node_modules sdk/.installed
