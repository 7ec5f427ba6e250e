# Forebay: make builds, make check tests, make demo shows the main job. make help lists the rest.
.DEFAULT_GOAL := all
V ?= release
B := build/$(V)
PYTHON := /usr/bin/python3
VERSION := 0.1.0

PACKAGES := libsystemd libmodbus yaml-0.1 jansson libcbor libzstd zlib libcrypto libssl libqpid-proton libcares sqlcipher libseccomp
PACKAGE_CFLAGS := $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)

WARNINGS := -Wall -Wextra -Werror -Wformat=2 -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes \
  -Wwrite-strings -Wvla -Wundef -Wcast-qual -Wswitch-enum -Wno-missing-field-initializers
CPPFLAGS += -I. -I$(B) -D_GNU_SOURCE -DSQLITE_HAS_CODEC -DFOREBAY_VERSION='"$(VERSION)"' $(PACKAGE_CFLAGS)
CFLAGS_COMMON := -std=gnu17 -g $(WARNINGS) -fno-omit-frame-pointer -fno-strict-aliasing
HARDENING := -O2 -fPIE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection \
  $(if $(filter x86_64,$(shell uname -m)),-fcf-protection)
LDFLAGS_release := -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed,--gc-sections

ifeq ($(V),release)
  CFLAGS += $(CFLAGS_COMMON) $(HARDENING) -ffunction-sections -fdata-sections
  LDFLAGS += $(LDFLAGS_release)
else ifeq ($(V),asan)
  CFLAGS += $(CFLAGS_COMMON) -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
  # Bound at the start, as in release: a function bound at its first call leaves the vector registers on the stack, and in them a key.
  LDFLAGS += -fsanitize=address,undefined -Wl,-z,now
else ifeq ($(V),fuzz)
  CC := clang-19
  CFLAGS += $(CFLAGS_COMMON) -O1 -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all
  LDFLAGS += -fsanitize=address,undefined
endif

CONFINE := gateway/common/confine.c
COMMON := $(filter-out $(CONFINE),$(wildcard gateway/common/*.c))
CONFIG := $(wildcard gateway/config/*.c)
AMQP := $(wildcard gateway/amqp/*.c)
# How long certificates hold: what core needs of them.
VALIDITY := gateway/amqp/validity.c gateway/amqp/certificate.c
STORE := $(wildcard store/*.c)
# What is pure, and therefore also linked into the command and the tests.
BATCH := $(wildcard store/batch*.c store/catalogue*.c) store/record_chain.c
PLAN := drivers/plan.c
DRIVERS := $(wildcard drivers/*.c)
RECEIVE := $(wildcard gateway/receive/*.c)
# What the command needs to ask an instrument itself, when no gateway runs.
PROBE := drivers/ask.c drivers/json_memory.c drivers/checksum.c drivers/connection.c drivers/decode.c drivers/driver.c drivers/guard.c \
  drivers/probe.c drivers/recorder.c drivers/rs485.c drivers/tcp_connect.c drivers/text_value.c $(wildcard drivers/modbus_*.c drivers/line_*.c)

core_SOURCES := $(wildcard gateway/core/*.c) $(COMMON) $(CONFINE) $(CONFIG) $(PLAN) $(STORE) $(VALIDITY)
core_LIBS := libseccomp libsystemd yaml-0.1 jansson libcbor libzstd libcrypto sqlcipher
field_SOURCES := $(DRIVERS) $(COMMON)
field_LIBS := libsystemd libmodbus jansson
cloud_SOURCES := $(wildcard gateway/cloud/*.c) $(AMQP) $(BATCH) $(COMMON) $(CONFINE)
cloud_LIBS := libsystemd jansson libseccomp libssl libcrypto libqpid-proton libcares libcbor libzstd zlib
# What `forebay run` becomes, with few of the other commands' libraries.
RUN := gateway/cli/run.c gateway/cli/nginx.c gateway/cli/page_files.c
run_SOURCES := $(RUN) gateway/cli/supervisor.c gateway/cli/alive.c gateway/cli/options.c gateway/cli/client.c gateway/cli/answer.c $(CONFIG) $(PLAN) $(COMMON)
run_LIBS := libsystemd yaml-0.1 jansson
cli_SOURCES := $(filter-out $(RUN),$(wildcard gateway/cli/*.c)) $(RECEIVE) $(AMQP) $(BATCH) $(CONFIG) $(PLAN) $(PROBE) $(COMMON)
cli_LIBS := libsystemd libmodbus yaml-0.1 jansson libcbor libzstd libssl libcrypto libqpid-proton libcares

objects = $(patsubst %.c,$(B)/%.o,$(1))
libraries = $(shell pkg-config --libs $(1)) -lm

PROGRAMS := $(B)/forebay $(B)/forebay-run $(B)/forebay-core $(B)/forebay-field $(B)/forebay-cloud

all: $(PROGRAMS)

$(B)/forebay: $(call objects,$(cli_SOURCES))
	@echo '  LINK $@'
	@$(CC) $(LDFLAGS) -o $@ $^ $(call libraries,$(cli_LIBS))
$(B)/forebay-run: $(call objects,$(run_SOURCES))
	@echo '  LINK $@'
	@$(CC) $(LDFLAGS) -o $@ $^ $(call libraries,$(run_LIBS))
$(B)/forebay-core: $(call objects,$(core_SOURCES))
	@echo '  LINK $@'
	@$(CC) $(LDFLAGS) -o $@ $^ $(call libraries,$(core_LIBS))
$(B)/forebay-field: $(call objects,$(field_SOURCES))
	@echo '  LINK $@'
	@$(CC) $(LDFLAGS) -o $@ $^ $(call libraries,$(field_LIBS))
$(B)/forebay-cloud: $(call objects,$(cloud_SOURCES))
	@echo '  LINK $@'
	@$(CC) $(LDFLAGS) -o $@ $^ $(call libraries,$(cloud_LIBS))

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo '  CC   $<'
	@$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# Unit tests: tests/unit/test_X.c is one program. Its first line "// links: FILE ..." names the sources it tests.
UNIT := $(patsubst tests/unit/%.c,$(B)/tests/%,$(wildcard tests/unit/test_*.c))
FUZZ := $(patsubst tests/fuzz/%.c,$(B)/tests/%,$(wildcard tests/fuzz/fuzz_*.c))
ALL_LIBS := $(PACKAGES)

links = $(wildcard $(shell sed -n '1s,^// links: ,,p' $(1)))
.SECONDEXPANSION:
$(B)/tests/test_%: $(B)/tests/unit/test_%.o $$(call objects,$$(call links,tests/unit/test_%.c))
	@mkdir -p $(@D)
	@echo '  LINK $@'
	@$(CC) $(LDFLAGS) -o $@ $^ -lcmocka $(call libraries,$(ALL_LIBS))
# A fuzz target is LLVMFuzzerTestOneInput(); outside V=fuzz it is linked with a replayer of its corpus.
REPLAY := $(if $(filter fuzz,$(V)),,tests/fuzz/replay.c gateway/common/file.c gateway/common/error.c)
FUZZ_LDFLAGS := $(if $(filter fuzz,$(V)),-fsanitize=fuzzer)
$(B)/tests/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(call objects,$(REPLAY)) $$(call objects,$$(call links,tests/fuzz/fuzz_%.c))
	@mkdir -p $(@D)
	@echo '  LINK $@'
	@$(CC) $(LDFLAGS) $(FUZZ_LDFLAGS) -o $@ $^ $(call libraries,$(ALL_LIBS))

# The page's files go beside the programs, where `forebay run` looks for them.
PAGES := $(wildcard gateway/web/*.html gateway/web/*.css gateway/web/*.js gateway/web/*.svg gateway/web/*.in)
$(B)/web/%: gateway/web/%
	@mkdir -p $(@D)
	@cp $< $@
all: $(PAGES:gateway/web/%=$(B)/web/%)

# So do the profiles.
PROFILES := $(wildcard drivers/profiles/*.yaml)
$(B)/profiles/%: drivers/profiles/%
	@mkdir -p $(@D)
	@cp $< $@
all: $(PROFILES:drivers/profiles/%=$(B)/profiles/%)

unit-programs: $(UNIT) $(FUZZ)
# They wait for the disk more than they compute.
UNITS_AT_ONCE := 4
unit: $(UNIT)
	@printf '%s\n' $(UNIT) | xargs -P $(UNITS_AT_ONCE) -n 1 sh -c 'echo "  UNIT $$1" && $$1 >$$1.log 2>&1 || { cat $$1.log; exit 255; }' unit
	@cat $(UNIT:=.log) | awk '/PASSED/ { passed += $$4 } /FAILED/ { failed += $$4 } END { printf "unit tests ($(V)): %d passed, %d failed\n", passed, failed }'

corpus: $(FUZZ)
	@for test in $(FUZZ); do $$test tests/corpus/$${test##*/fuzz_} || exit 1; done

# Runs each fuzz target for T seconds; what it finds is written to build/fuzz/.
T ?= 60
fuzz:
	@$(MAKE) --no-print-directory V=fuzz fuzz-targets
	@for target in $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c)); do \
	  mkdir -p build/fuzz/$$target && echo "fuzz_$$target for $(T) s" && \
	  build/fuzz/tests/fuzz_$$target -max_total_time=$(T) -timeout=10 -rss_limit_mb=2048 -artifact_prefix=build/fuzz/$$target/ \
	    -print_final_stats=0 -verbosity=0 build/fuzz/$$target tests/corpus/$$target || exit 1; done
fuzz-targets: $(FUZZ)

setup:
	@tests/setup.sh
	@tests/rabbitmq.sh
	@tests/peers.sh tests/peers

PYTEST := PYTHONDONTWRITEBYTECODE=1 $(PYTHON) -m pytest -q -p no:cacheprovider
FLEET_PARTS := $(B)/tests/fleet_cores $(B)/tests/fleet_certificates
e2e-programs: all $(B)/tests/fill_store $(FLEET_PARTS) $(B)/tests/test_batch_vectors $(B)/tests/test_store_image
e2e: e2e-programs
	@V=$(V) $(PYTEST) --durations=8 tests/decoder tests/page tests/e2e tests/fleet

# All cores build, and no test runs beside a build.
CORES := $(shell nproc)
# Everything a change must pass. Sub-makes, so that a fresh machine has its packages before pkg-config is asked.
check:
	@tests/setup.sh
	@tests/rabbitmq.sh
	@tests/peers.sh tests/peers
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory -j$(CORES) V=asan unit-programs
	@$(MAKE) --no-print-directory V=asan unit corpus
	@$(MAKE) --no-print-directory -j$(CORES) V=release e2e-programs
	@$(MAKE) --no-print-directory V=release e2e

# N rounds of kills and cuts, instead of the few in make check.
N ?= 100
abuse: all $(B)/tests/test_cloud_link $(B)/tests/test_store_crash $(B)/tests/test_store_power $(B)/tests/test_store_image
	@for test in crash power; do ABUSE=$(N) $(B)/tests/test_store_$$test || exit 1; done
	@ABUSE=$(N) $(B)/tests/test_cloud_link
	@ABUSE=$(N) $(PYTEST) tests/e2e -k 'killed or cut or abuse'

# 200 endpoints and two lines for so long, instead of the minute in make check.
MINUTES ?= 10
soak: all
	@MINUTES=$(MINUTES) $(PYTEST) -s tests/e2e/test_soak.py

# N gateways' links to one broker and to a cluster that loses a node, instead of the dozen in make check.
fleet: all $(FLEET_PARTS)
	@FLEET=$(N) V=$(V) $(PYTEST) -s tests/fleet

demo:
	@tests/setup.sh demo
	@$(MAKE) --no-print-directory V=release all
	@build/release/forebay demo $(if $(DURATION),--duration $(DURATION))

bench: all $(B)/tests/fill_store $(B)/tests/bare_sender $(FLEET_PARTS) $(patsubst tests/bench/%.c,$(B)/tests/%,$(wildcard tests/bench/bench_*.c))
	@PYTHONDONTWRITEBYTECODE=1 $(PYTHON) tests/bench/bench.py $(B)

C_FILES := $(wildcard gateway/*/*.[ch] drivers/*.[ch] store/*.[ch] tests/*/*.[ch])
WALKED := $(wildcard gateway/*/*.c drivers/*.c store/*.c)
TIDY_FILES := $(filter %.c,$(filter-out tests/%,$(C_FILES)))
lint:
	@echo '  LINT clang-format' && clang-format-19 --dry-run -Werror $(C_FILES)
	@echo '  LINT cppcheck' && cppcheck --quiet --std=c11 --error-exitcode=1 --inline-suppr \
	  --enable=warning,portability,performance --suppress=missingIncludeSystem --suppress=missingInclude \
	  --suppress=normalCheckLevelMaxBranches --suppress=ctuuninitvar --suppress=objectIndex:gateway/config/check.c \
	  -D_GNU_SOURCE -DJSON_INTEGER_FORMAT='"lld"' -I. $(TIDY_FILES)
	@echo '  LINT clang-tidy' && mkdir -p build && printf '%s\n' $(TIDY_FILES) | xargs -P 2 -n 8 sh -c 'clang-tidy-19 --quiet \
	  --warnings-as-errors="*" "$$@" -- $(subst ','"'"',$(CPPFLAGS)) -std=gnu17' lint 2>build/tidy.log
	@echo '  LINT page' && tidy -q -e gateway/web/index.html
	@echo '  LINT man pages' && for page in docs/man/*.[0-9]; do man --warnings -E UTF-8 -l -Tutf8 -Z $$page 2>&1 >/dev/null | \
	  { ! grep . ; } || exit 1; done
	@echo '  LINT ARCHITECTURE.md' && for file in $(WALKED); do grep -qwF "$${file##*/}" ARCHITECTURE.md || \
	  { echo "ARCHITECTURE.md: its walk does not name $$file; say there what it does" >&2; exit 1; }; done

# Installs below PREFIX (and DESTDIR): programs, page, man pages.
PREFIX ?= /usr/local
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/forebay/web $(DESTDIR)$(PREFIX)/share/man/man1 \
	  $(DESTDIR)$(PREFIX)/share/man/man5
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin
	install -d $(DESTDIR)$(PREFIX)/share/forebay/profiles
	install -m 644 $(PROFILES) $(DESTDIR)$(PREFIX)/share/forebay/profiles
	install -m 644 $(PAGES) $(DESTDIR)$(PREFIX)/share/forebay/web
	install -m 644 docs/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 docs/man/*.5 $(DESTDIR)$(PREFIX)/share/man/man5

help:
	@printf '%s\n' 'make            build (V=release, asan or fuzz) into build/V' \
	  'make demo       run a gateway with simulated instruments; DURATION=30 ends by itself' \
	  'make setup      install what building and testing need; says what first' \
	  'make check      everything a change must pass; sets the machine up first' \
	  'make unit       the unit tests alone' 'make corpus     replay the fuzz corpora' \
	  'make e2e        the end-to-end tests alone' 'make abuse N=300  long campaigns of kills and cuts' \
  'make soak MINUTES=10  200 endpoints with faults; memory must stay flat' \
	  'make fleet N=200  links of many gateways; a broker cluster that loses a node' \
	  'make fuzz T=60  run each fuzz target for T seconds' 'make bench      measure; writes build/bench.json' \
	  'make lint       formatting, static analysis, page and man pages' 'make install   below PREFIX (/usr/local)' \
	  'make clean      remove build'

$(B)/tests/bare_%: $(B)/tests/bench/bare_%.o $$(call objects,$$(call links,tests/bench/bare_%.c))
	@mkdir -p $(@D)
	@echo '  LINK $@'
	@$(CC) $(LDFLAGS) -o $@ $^ $(call libraries,$(ALL_LIBS))
$(B)/tests/fill_%: $(B)/tests/bench/fill_%.o $$(call objects,$$(call links,tests/bench/fill_%.c))
	@mkdir -p $(@D)
	@echo '  LINK $@'
	@$(CC) $(LDFLAGS) -o $@ $^ $(call libraries,$(ALL_LIBS))
$(B)/tests/bench_%: $(B)/tests/bench/bench_%.o $$(call objects,$$(call links,tests/bench/bench_%.c))
	@mkdir -p $(@D)
	@echo '  LINK $@'
	@$(CC) $(LDFLAGS) -o $@ $^ $(call libraries,$(ALL_LIBS))

$(B)/tests/fleet_%: $(B)/tests/fleet/fleet_%.o $$(call objects,$$(call links,tests/fleet/fleet_%.c))
	@mkdir -p $(@D)
	@echo '  LINK $@'
	@$(CC) $(LDFLAGS) -o $@ $^ $(call libraries,$(ALL_LIBS))

clean:
	rm -rf build

-include $(shell find $(B) -name '*.d' 2>/dev/null)
.PHONY: all unit unit-programs e2e-programs corpus fuzz fuzz-targets setup e2e check abuse soak fleet demo bench lint install help clean
.SECONDARY:
