# phantom: filters that make, judge and use synthetic medical images.
# `make help` lists the targets; `make demo` and `make check` need nothing done before them.

config ?= release
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
GOLDEN ?= ../shared/golden
VERSION := 0.1

B := build/$(config)
ifeq ($(origin CC),default)
CC := cc
endif
ifeq ($(origin CFLAGS),undefined)
CFLAGS := -O2 -g
endif
opt_release := -DNDEBUG
opt_debug := -O0 -g
opt_asan := -O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
ifeq ($(filter $(config),release debug asan),)
$(error config=$(config): want release, debug or asan)
endif

PKGS := libarchive libpng libjpeg vulkan zlib
# Before the libraries are there (a bare machine) pkg-config has nothing to say: `deps` installs them first.
pkg_cflags := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
pkg_libs := $(shell pkg-config --libs $(PKGS) 2>/dev/null)

override CPPFLAGS += -D_POSIX_C_SOURCE=200809L -DPHANTOM_VERSION='"$(VERSION)"' -Ilib -I$(B) $(pkg_cflags)
override CFLAGS += -std=c11 -Wall -Wextra -Wpedantic -Wshadow -Wvla -Wstrict-prototypes \
	-Wmissing-prototypes -fno-math-errno -ffp-contract=off -pthread $(opt_$(config))
override LDFLAGS += -Wl,--as-needed -pthread $(filter -fsanitize%,$(opt_$(config)))
LDLIBS := $(pkg_libs) -lcsv -lutf8proc -lopenblas -lm

LIBSRC := $(sort $(wildcard lib/*/*.c))
TOOLS := $(patsubst bin/%.c,%,$(sort $(wildcard bin/*.c)))
UNITS := $(patsubst tests/unit/%.c,$(B)/unit/%,$(sort $(wildcard tests/unit/*.c)))
FUZZERS := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(sort $(wildcard tests/fuzz/*.c)))
BENCHES := $(patsubst tests/bench/%.c,$(B)/bench/%,$(sort $(wildcard tests/bench/*.c)))
EXAMPLES := $(patsubst examples/%.c,$(B)/examples/%,$(sort $(wildcard examples/*.c)))
# release programs stand beside their sources; other builds stay in their own folder
ifeq ($(config),release)
BIN := bin
else
BIN := $(B)/bin
endif
PROGRAMS := $(TOOLS:%=$(BIN)/%)
LIB := $(B)/libphantom.a
OBJ := $(LIBSRC:%.c=$(B)/%.o)

.DELETE_ON_ERROR:
.SECONDARY:
.SUFFIXES:
.PHONY: all deps demo check check-asan bench bench-peers fuzz lint golden install uninstall clean \
	help compile_commands.json units fuzzers benches

all: $(PROGRAMS) $(EXAMPLES)

help:
	@sed -n 's/^#: //p' Makefile

#: make                 build every program into bin/ (config=release|debug|asan)
#: make demo            archive to scored masks and synthetic images, on shapes it draws itself
#:                      (INCEPTION=FILE: FID by these weights instead of random ones)
#: make check           build and run all tests; check-asan: the same under ASan and UBSan
#: make golden          compare with reference outputs (GOLDEN=DIR, default ../shared/golden)
#: make bench           every kernel as a share of this device's ceilings; bench-peers: beside others
#: make fuzz            run each fuzzer for FUZZ_S seconds (default 20)
#: make lint            man pages, shell scripts, SPIR-V, layout of the source
#: make install         PREFIX, DESTDIR, BINDIR and MANDIR are honoured; uninstall takes it back
#: make clean           remove what was built

# ---- kernels: each line `//! NAME: FLAGS` in a shader file is one kernel ----------------------
SHADERS := $(sort $(wildcard shaders/*.comp))
GLSLANG ?= glslangValidator

$(B)/kernels.mk: $(SHADERS) shaders/mkkernels.sh
	@mkdir -p $(B)/spv
	@GLSLANG='$(GLSLANG)' sh shaders/mkkernels.sh $(B) $(SHADERS) >$@.new
	@mv $@.new $@

ifeq ($(filter clean help deps uninstall,$(MAKECMDGOALS)),)
ifneq ($(shell command -v $(GLSLANG) 2>/dev/null),)
-include $(B)/kernels.mk
endif
endif

# a file that a shader once included and that is gone must not stop the build: what wanted it is made anew
shaders/%.glsl: ;

$(B)/lib/gpu/kernel.o: $(B)/kernel_table.h
$(OBJ) $(UNITS) $(FUZZERS) $(PROGRAMS): | $(B)/kernel_enum.h

# ---- C ----------------------------------------------------------------------------------------
$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(LIB): $(OBJ)
	@rm -f $@
	ar rcs $@ $(OBJ)

$(BIN)/%: $(B)/bin/%.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(LIB) $(LDLIBS)

$(B)/unit/%: $(B)/tests/unit/%.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(LIB) $(LDLIBS) -lcmocka

$(B)/bench/%: $(B)/tests/bench/%.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(LIB) $(LDLIBS) -ldl

$(B)/examples/%: $(B)/examples/%.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(LIB) $(LDLIBS)

# a fuzzer is a file with LLVMFuzzerTestOneInput; tests/fuzz/run.h gives it a main of its own
$(B)/fuzz/%: $(B)/tests/fuzz/%.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(LIB) $(LDLIBS)

units: $(UNITS)
fuzzers: $(FUZZERS)
benches: $(BENCHES)
-include $(shell find $(B) -name '*.d' 2>/dev/null)

# ---- what the machine must have ---------------------------------------------------------------
deps:
	@sh tests/deps.sh

# A target that stands for a user's first command installs what is missing, then starts afresh so
# that pkg-config is asked again.
demo:
	@sh tests/deps.sh
	@$(MAKE) --no-print-directory all
	@BUILD='$(CURDIR)/$(B)' sh examples/demo.sh $(if $(INCEPTION),--inception '$(INCEPTION)')

check:
	@sh tests/deps.sh --test
	@$(MAKE) --no-print-directory all units fuzzers
	@sh tests/run.sh $(B)

check-asan:
	@$(MAKE) --no-print-directory config=asan asan-run

asan-run:
	@sh tests/deps.sh --test
	@$(MAKE) --no-print-directory all units fuzzers
	@sh tests/run.sh $(B)
.PHONY: asan-run

golden:
	@sh tests/deps.sh --test
	@$(MAKE) --no-print-directory all units
	@sh tests/golden.sh $(B) $(GOLDEN)

bench:
	@sh tests/deps.sh --test
	@$(MAKE) --no-print-directory all benches
	@sh tests/bench/run.sh $(B)

bench-peers:
	@$(MAKE) --no-print-directory all benches
	@sh tests/bench/peers.sh $(B)

FUZZ_S ?= 20
fuzz:
	@$(MAKE) --no-print-directory config=asan fuzzers
	@sh tests/fuzz/run.sh build/asan/fuzz $(FUZZ_S)

lint: all
	@sh tests/lint.sh $(B)

compile_commands.json:
	bear -- $(MAKE) -B all

install: all
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(MANDIR)/man7
	install -m 755 $(PROGRAMS) $(DESTDIR)$(BINDIR)
	for s in 1 5 7; do install -m 644 man/*.$$s $(DESTDIR)$(MANDIR)/man$$s || exit; done

uninstall:
	for t in $(TOOLS); do rm -f $(DESTDIR)$(BINDIR)/$$t; done
	for m in $(notdir $(wildcard man/*.[157])); do rm -f $(DESTDIR)$(MANDIR)/man$${m##*.}/$$m; done

clean:
	rm -rf build $(TOOLS:%=bin/%) tests/out
