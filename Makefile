# make lab    from nothing to a highly available Kubernetes cluster on this machine, and the proof of it
# make test   everything that is tested: unit, contract, property and, on real nodes, end to end
# make check  formatting, vet, staticcheck, generated files
# make bench  benchmarks; make bench-ansible compares with Ansible on 20 nodes (needs root)
# make scale  10,000 simulated nodes of 20 roles, measured and held against the limits; make scale EXTERNAL=1: on an etcd of its own
# make load   200 clients read and change 1,000 nodes of 20 roles for a minute, held against the limits
# make rinse  masters, members of etcd, minions and name servers come and go in a real cluster under load (needs root)
# make certs  every authority and key of a real cluster is rotated under load (needs root)
# make years  eleven years go by in a real cluster under load: every program's clock moves, certificates are renewed as they become due (needs root)
# make failover  masters of a real cluster are lost in six ways; how long programs went without the API (needs root)
# make restore  a real cluster loses its power, its etcd members, all its masters, and is brought back; nothing is lost (needs root)
# make upgrade  a real cluster under load is taken to another version of etcd and Kubernetes, and to one that does not work (needs root)
# make robustness  daemons killed at every failpoint, ten times each; three daemons on three etcd members (needs root)
# make compat  scripts of foreign barclamps on three releases of Debian, and a cluster by the native package alone (needs root)
# make pictures  the pictures of the pages in docs/images, anew
# make ui     the web pages in a real browser; pictures of all of them in .ui/
# make generate  the code beside proto/role/v1/role.proto; make vuln VULNDB=URL: what ships against the database of known vulnerabilities
# make packages  Debian and RPM packages in dist/ (ARCH=amd64,arm64); make test-packages: built twice, checked, and tried on nodes (needs root)
# make ui-long  ten minutes of updates of 1,000 nodes of 20 roles in one tab: what it uses of memory, minute by minute
# make build  the four programs, in bin/
SHELL := /bin/bash
GO ?= go
export CGO_ENABLED ?= 0
LAB ?= $(CURDIR)/.lab
CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/kubeclamp
PACKAGES := jq mmdebstrap iproute2 iptables nftables openssh-client openssh-server dnsutils zstd gcc libc6-dev libseccomp-dev pkg-config util-linux procps kmod ca-certificates

.PHONY: build
build:
	@mkdir -p bin
	$(GO) build -trimpath -o bin/ ./cmd/...

# Only what is missing is installed; services that a package brings are not started.
.PHONY: deps
deps:
	@missing=; for p in $(PACKAGES); do dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then echo "installing$$missing"; \
	  had=; [ -e /usr/sbin/policy-rc.d ] && had=1; [ -n "$$had" ] || { printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d; }; \
	  trap '[ -n "$$had" ] || rm -f /usr/sbin/policy-rc.d' EXIT; \
	  apt-get -q update >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $$missing >/dev/null; fi

.PHONY: artifacts
artifacts: build
	bin/kubeclampd artifacts --artifact-cache $(CACHE)/artifacts

.PHONY: lab
lab: deps build artifacts
	bin/kubeclamp lab up --dir $(LAB) --artifact-cache $(CACHE)/artifacts --image-cache $(CACHE)/images

.PHONY: down
down: build
	bin/kubeclamp lab down --dir $(LAB)

.PHONY: test
test: deps unit e2e

.PHONY: unit
unit:
	CGO_ENABLED=1 $(GO) test -race -timeout 20m ./...
	$(GO) test -count 1 -timeout 20m -v -run 'TestSim$$' ./test/sim -sim.seeds 10000

.PHONY: robustness
robustness:
	$(GO) test -count 1 -timeout 60m -v ./test/robustness -failpoint.kills 10 -failpoint.ready 3s
	$(GO) test -count 1 -timeout 60m -v -tags robustness ./test/robustness/three

.PHONY: e2e
e2e: build artifacts
	KUBECLAMP_CACHE=$(CACHE) $(GO) test -tags e2e -count 1 -timeout 60m -v ./test/e2e/...

# NODES of the cluster (1 to 3); FOR opencrowbar or rebar alone
.PHONY: compat
compat: build artifacts
	KUBECLAMP_CACHE=$(CACHE) COMPAT_NODES=$(or $(NODES),3) COMPAT_FOR=$(FOR) $(GO) test -tags compat -count 1 -timeout 60m -v ./test/compat

.PHONY: check
check:
	@test -z "$$(gofmt -l cmd jigs packaging pkg proto roles test)" || { gofmt -l cmd jigs packaging pkg proto roles test; echo 'run: gofmt -w cmd jigs packaging pkg proto roles test'; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags e2e,ui,packages,compat ./test/...
	cd packaging && $(GO) vet .
	$(GO) tool -modfile=tools/go.mod staticcheck ./...

.PHONY: generate
generate:
	cd proto && $(GO) tool -modfile=../tools/go.mod buf lint && $(GO) tool -modfile=../tools/go.mod buf generate

# VULNDB may be a folder with a copy of the database: file:///...
.PHONY: vuln
vuln:
	$(GO) tool -modfile=tools/go.mod govulncheck $(if $(VULNDB),-db $(VULNDB)) ./...

.PHONY: bench
bench:
	$(GO) test -run '^$$' -bench . -benchmem ./pkg/...

.PHONY: bench-ansible
bench-ansible: deps build
	$(GO) run ./test/beside --check --image-cache $(CACHE)/images

.PHONY: scale
scale:
	$(GO) run ./test/scale --check $(if $(EXTERNAL),--external)

.PHONY: failover
failover: deps build artifacts
	$(GO) run ./test/failover --check --cache $(CACHE)

.PHONY: certs
certs: deps build artifacts
	$(GO) run ./test/certs --check --cache $(CACHE)

.PHONY: years
years: deps build
	$(GO) run ./test/years --check --cache $(CACHE)

.PHONY: rinse
rinse: deps build artifacts
	$(GO) run ./test/rinse --check --cache $(CACHE)

.PHONY: restore
restore: deps build artifacts
	$(GO) run ./test/restore --cache $(CACHE)

.PHONY: packages
packages:
	cd packaging && $(GO) run . --out $(CURDIR)/dist --arch $(or $(ARCH),$(shell $(GO) env GOARCH))

.PHONY: test-packages
test-packages: build artifacts
	@$(MAKE) --no-print-directory deps PACKAGES="$(PACKAGES) lintian rpm rpmlint"
	KUBECLAMP_CACHE=$(CACHE) $(GO) test -tags packages -count 1 -timeout 30m -v ./test/packages

.PHONY: upgrade
# The versions to begin with are built on demand alone.
upgrade: deps artifacts
	bin/kubeclampd artifacts --artifact-cache $(CACHE)/artifacts kubernetes@v1.36.3 etcd@v3.6.16
	$(GO) run ./test/upgrade --check --cache $(CACHE)

.PHONY: load
load:
	$(GO) run ./test/load --check

# axe-core judges whether pages can be used by everybody; it is no part of the product.
AXE := $(CACHE)/axe-core-4.14.1.min.js
$(AXE):
	@mkdir -p $(CACHE) && cd $(CACHE) && tgz=$$(npm pack --silent axe-core@4.14.1) && echo 'e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745  '$$tgz | sha256sum -c --quiet && \
	tar -xzOf $$tgz package/axe.min.js > $@.part && mv $@.part $@; rm -f $$tgz

.PHONY: ui
ui: $(AXE)
	@$(MAKE) --no-print-directory deps PACKAGES="chromium fonts-dejavu-core"
	UI_AXE=$(AXE) UI_PICTURES=$(CURDIR)/.ui $(GO) test -tags ui -count 1 -timeout 20m -v ./test/ui

.PHONY: pictures
pictures:
	@$(MAKE) --no-print-directory deps PACKAGES="chromium fonts-dejavu-core"
	UI_PICTURES=$(CURDIR)/.ui $(GO) test -tags ui -count 1 -timeout 20m -run 'TestPictures$$' ./test/ui
	rm -f docs/images/ui-* && cp .ui/docs/ui-*.webp docs/images/

.PHONY: ui-long
ui-long:
	@$(MAKE) --no-print-directory deps PACKAGES="chromium fonts-dejavu-core"
	UI_LONG=$(or $(LONG),10m30s) $(GO) test -tags ui -count 1 -timeout 40m -v -run 'TestMemory$$' ./test/ui

.PHONY: clean
clean:
	rm -rf bin
