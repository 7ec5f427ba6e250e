# Forebay: make builds, make check tests, make demo shows the main job. make help lists the rest.
.DEFAULT_GOAL := all
V ?= release
B := build/$(V)
PYTHON := /usr/bin/python3
VERSION := $(shell cat VERSION 2>/dev/null || echo 0.1.0)

PACKAGES := libsystemd libmodbus yaml-0.1 jansson libcbor libzstd libcrypto libssl libqpid-proton libcares sqlcipher libseccomp
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
  LDFLAGS += -fsanitize=address,undefined
else ifeq ($(V),fuzz)
  CC := clang-19
  CFLAGS += $(CFLAGS_COMMON) -O1 -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all
  LDFLAGS += -fsanitize=address,undefined
endif

COMMON := $(wildcard gateway/common/*.c)
CONFIG := $(wildcard gateway/config/*.c)
AMQP := $(wildcard gateway/amqp/*.c)
STORE := $(wildcard store/*.c)
# What is pure, and therefore also linked into the command and the tests.
BATCH := $(wildcard store/batch*.c store/catalogue*.c)
PLAN := drivers/plan.c
DRIVERS := $(wildcard drivers/*.c)
RECEIVE := $(wildcard gateway/receive/*.c)

core_SOURCES := $(wildcard gateway/core/*.c) $(COMMON) $(CONFIG) $(PLAN) $(STORE)
core_LIBS := libsystemd yaml-0.1 jansson libcbor libzstd libcrypto sqlcipher
field_SOURCES := $(DRIVERS) $(COMMON)
field_LIBS := libsystemd libmodbus jansson
cloud_SOURCES := $(wildcard gateway/cloud/*.c) $(AMQP) $(COMMON)
cloud_LIBS := libsystemd jansson libssl libcrypto libqpid-proton libcares
cli_SOURCES := $(wildcard gateway/cli/*.c) $(RECEIVE) $(AMQP) $(BATCH) $(CONFIG) $(PLAN) $(COMMON)
cli_LIBS := libsystemd yaml-0.1 jansson libcbor libzstd libssl libcrypto libqpid-proton libcares

objects = $(patsubst %.c,$(B)/%.o,$(1))
libraries = $(shell pkg-config --libs $(1)) -lm

PROGRAMS := $(B)/forebay $(B)/forebay-core $(B)/forebay-field $(B)/forebay-cloud

all: $(PROGRAMS)

$(B)/forebay: $(call objects,$(cli_SOURCES))
	@echo '  LINK $@'
	@$(CC) $(LDFLAGS) -o $@ $^ $(call libraries,$(cli_LIBS))
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

links = $(shell sed -n '1s,^// links: ,,p' $(1))
.SECONDEXPANSION:
$(B)/tests/test_%: $(B)/tests/unit/test_%.o $$(call objects,$$(call links,tests/unit/test_%.c))
	@mkdir -p $(@D)
	@echo '  LINK $@'
	@$(CC) $(LDFLAGS) -o $@ $^ -lcmocka $(call libraries,$(ALL_LIBS))
# A fuzz target is LLVMFuzzerTestOneInput(); outside V=fuzz it is linked with a replayer of its corpus.
REPLAY := $(if $(filter fuzz,$(V)),,tests/fuzz/replay.c)
FUZZ_LDFLAGS := $(if $(filter fuzz,$(V)),-fsanitize=fuzzer)
$(B)/tests/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(call objects,$(REPLAY)) $$(call objects,$$(call links,tests/fuzz/fuzz_%.c))
	@mkdir -p $(@D)
	@echo '  LINK $@'
	@$(CC) $(LDFLAGS) $(FUZZ_LDFLAGS) -o $@ $^ $(call libraries,$(ALL_LIBS))

clean:
	rm -rf build

-include $(shell find $(B) -name '*.d' 2>/dev/null)
.PHONY: all clean
.SECONDARY:
