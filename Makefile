# headgate: `make` builds, `make run` shows it at work, `make test` runs every test. See README.md.
#
#   SANITIZER=address|thread   another variant, in a build directory of its own
#   V=1                        show the commands
#   PREFIX, DESTDIR            where `make install` puts things
#   CC, CFLAGS, LDFLAGS        yours are appended to ours; for a static program: LDFLAGS=-static-pie and
#   PKG_CONFIG                 "pkg-config --static"

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

SANITIZER ?=
ifeq ($(SANITIZER),)
VARIANT := release
else
VARIANT := $(SANITIZER)
endif
B := build/$(VARIANT)

PREFIX ?= /usr/local
DESTDIR ?=
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-6s %s\n' $(1) $(2))

PKG_CONFIG ?= pkg-config
PKGS := liburing openssl libbsd-overlay jansson libseccomp
# -Wno-format-truncation: error texts and log fields are cut at their buffers' ends on purpose. clang does not know it.
HG_CFLAGS := -std=c17 -D_GNU_SOURCE -Iinclude -O2 -g -fno-omit-frame-pointer \
	-Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wno-format-truncation -Wno-unknown-warning-option -Werror \
	-fstack-protector-strong -fPIE $(shell $(PKG_CONFIG) --cflags $(PKGS) 2>/dev/null)
HG_LDFLAGS := -pie -Wl,-z,relro,-z,now -pthread
HG_LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS) 2>/dev/null)

ifeq ($(SANITIZER),address)
HG_CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=undefined
HG_LDFLAGS += -fsanitize=address,undefined
else ifeq ($(SANITIZER),thread)
HG_CFLAGS += -fsanitize=thread
HG_LDFLAGS += -fsanitize=thread
else ifeq ($(SANITIZER),)
HG_CFLAGS += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
else
$(error SANITIZER is address, thread or empty)
endif

# Everything but main.c goes into one archive, which the program, the tests, the fuzzers and the benchmarks link.
LIB_SRC := $(filter-out src/main.c,$(wildcard src/*.c))
LIB_OBJ := $(LIB_SRC:src/%.c=$B/%.o)
UNIT_SRC := $(wildcard tests/unit/*.c)
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$B/unit/%)
UNIT_OBJ := $(if $(filter thread,$(SANITIZER)),$B/criterion_arena.o)

.PHONY: all run test unit lint fuzz format install uninstall clean compile_commands man

all: $B/headgate man

$B/headgate: $B/main.o $B/libheadgate.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(HG_LDFLAGS) $(LDFLAGS) -o $@ $^ $(HG_LIBS)

$B/libheadgate.a: $(LIB_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# Before the first compilation, so that what is missing is said by name and not by a compiler.
.PHONY: libraries
libraries:
	$(Q)$(if $(HG_LIBS),:,for p in $(PKGS); do $(PKG_CONFIG) --exists $$p 2>/dev/null || missing="$$missing $$p"; done; \
		echo "make: not found by $(PKG_CONFIG):$$missing; on Debian or Alpine, as root:" >&2; \
		echo "  tests/support/install-packages tests/support/packages-build.txt" >&2; exit 1)

# The version is an input as any other: main.o is made anew when it changes.
$B/version: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' >$@
$B/main.o: $B/version
$B/main.o: HG_CFLAGS += -DHEADGATE_VERSION='"$(VERSION)"'
FORCE:

$B/%.o: src/%.c Makefile | libraries
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(HG_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$B/%.o: tests/support/%.c Makefile | libraries
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(HG_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(UNIT_BIN): $(UNIT_OBJ)

# -O0: the compiler takes a third of the time for tests that run once, and that is most of the time of a variant. What
# they test is optimized.
$B/unit/%: tests/unit/%.c $B/libheadgate.a
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(HG_CFLAGS) -O0 -U_FORTIFY_SOURCE $(CFLAGS) -MMD -MP -MF $@.d -MT $@ $(HG_LDFLAGS) $(LDFLAGS) -o $@ $< $(UNIT_OBJ) $B/libheadgate.a $(HG_LIBS) -lcriterion

unit: $(UNIT_BIN)

$B/headgate.8: src/headgate.8.in $B/headgate
	$(call say,MAN,$@)
	$(Q)for c in serve connect token explain health; do $B/headgate man-options $$c >$B/options-$$c.mdoc || exit 1; done
	$(Q)sed -e '/@OPTIONS serve@/{r $B/options-serve.mdoc' -e 'd}' \
		-e '/@OPTIONS connect@/{r $B/options-connect.mdoc' -e 'd}' \
		-e '/@OPTIONS token@/{r $B/options-token.mdoc' -e 'd}' \
		-e '/@OPTIONS explain@/{r $B/options-explain.mdoc' -e 'd}' \
		-e '/@OPTIONS health@/{r $B/options-health.mdoc' -e 'd}' src/headgate.8.in >$@

man: $B/headgate.8

# A private engine where there is none, a first command through the gate, then serving until Ctrl-C.
run:
	@tests/support/try

# PARTS="unit lint" runs only those; tests/run lists them.
test:
	@tests/run $(PARTS)

lint:
	@tests/lint/run

# A minute for each target; `make test` only replays the corpora.
fuzz:
	@FUZZ_SECONDS=$${FUZZ_SECONDS:-60} tests/fuzz/run

format:
	clang-format -i src/*.c include/*.h $(wildcard tests/*/*.[ch] bench/*.[ch])

# The container's image, with the docker CLI. IMAGE=registry.example.com/headgate:1 for another name.
IMAGE ?= headgate:latest
.PHONY: image
image:
	docker build -f container/Dockerfile --build-arg VERSION='$(VERSION)' -t '$(IMAGE)' .

compile_commands:
	@tests/lint/compile_commands

install: $B/headgate $B/headgate.8
	install -D -m 755 $B/headgate $(DESTDIR)$(PREFIX)/sbin/headgate
	install -D -m 644 $B/headgate.8 $(DESTDIR)$(PREFIX)/share/man/man8/headgate.8

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/sbin/headgate $(DESTDIR)$(PREFIX)/share/man/man8/headgate.8

clean:
	rm -rf build/release build/address build/thread build/fuzz

-include $(wildcard $B/*.d $B/unit/*.d)

# The stand-in engine, the load generator and the attackers of the benchmarks.
$B/bench/engine: $(wildcard bench/engine*.[ch]) Makefile
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(HG_CFLAGS) $(CFLAGS) $(HG_LDFLAGS) $(LDFLAGS) -o $@ $(filter %.c,$^) $(HG_LIBS)

LOAD_SRC := $(addprefix bench/,load.c client.c request.c answer.c histogram.c stall.c)
$B/bench/load: $(LOAD_SRC) bench/client.h bench/histogram.h bench/stall.h Makefile
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(HG_CFLAGS) $(CFLAGS) $(HG_LDFLAGS) $(LDFLAGS) -o $@ $(filter %.c,$^) $(HG_LIBS)

$B/bench/abuse: bench/abuse.c Makefile
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(HG_CFLAGS) $(CFLAGS) $(HG_LDFLAGS) $(LDFLAGS) -o $@ $(filter %.c,$^) $(HG_LIBS)

# What drives headgate in the guests of tests/guest, which links it statically.
$B/guest/driver: $(wildcard tests/guest/driver/*.c) $B/libheadgate.a $(wildcard tests/guest/driver/*.h) Makefile
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(HG_CFLAGS) $(CFLAGS) $(HG_LDFLAGS) $(LDFLAGS) -o $@ $(filter %.c %.a,$^) $(HG_LIBS)

# Which way of moving bytes is cheapest on this kernel. MOVERS="--only tls1.3 --rounds 9" goes to bench/movers.
# It needs liburing alone, so that LDFLAGS=-static gives a program for a guest.
$B/bench/movers: $(wildcard bench/movers*.c) bench/movers.h Makefile
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(HG_CFLAGS) $(CFLAGS) $(HG_LDFLAGS) $(LDFLAGS) -o $@ $(filter %.c,$^) \
		$(shell $(PKG_CONFIG) --libs liburing 2>/dev/null)

.PHONY: bench-movers
bench-movers: $B/bench/movers
	$(Q)$B/bench/movers $(MOVERS)

# What a check of a token and a policy costs, and a reload of 10,000 lines.
$B/bench/check: bench/check.c $B/libheadgate.a Makefile
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(HG_CFLAGS) $(CFLAGS) $(HG_LDFLAGS) $(LDFLAGS) -o $@ $(filter %.c %.a,$^) $(HG_LIBS)

.PHONY: bench-check
bench-check: $B/bench/check
	$(Q)$B/bench/check $(CHECK)

# What a reload costs the requests that run meanwhile. RELOAD="ROUNDS REQUESTS" goes to bench/reload.
.PHONY: bench-reload
bench-reload: $B/headgate $B/bench/engine $B/bench/load
	$(Q)bench/reload $(RELOAD)

# headgate beside its peers: bench/README.md. WORKLOAD="1 ping" and PEERS="nginx haproxy" choose; BENCH has options of
# bench/run. bench-compare says what moved between bench/baseline.json and the last run; COMPARE="OLD NEW" two other files.
BENCH_PROGRAMS := $B/headgate $B/bench/engine $B/bench/load $B/bench/abuse
.PHONY: bench bench-quick bench-compare
.PHONY: bench-python
bench-python:
	@command -v python3 >/dev/null || { echo "make: the benchmarks need python3: apt-get install python3" >&2; exit 1; }
bench: bench-python $(BENCH_PROGRAMS)
	$(Q)bench/run --workloads '$(WORKLOAD)' --peers '$(PEERS)' $(BENCH)
bench-quick: bench-python $(BENCH_PROGRAMS)
	$(Q)bench/run --quick --workloads '$(WORKLOAD)' --peers '$(PEERS)' $(BENCH)
bench-compare:
	$(Q)bench/run compare $(COMPARE)

# For tests/lint: the flags, quoted for a shell.
.PHONY: print-cflags
print-cflags:
	$(info $(HG_CFLAGS))@:
