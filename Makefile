# neap: `make help` lists the targets, CONTRIBUTING.md says more.
#
# Packagers and LuaRocks may set CC CFLAGS LDFLAGS LIBFLAG LUA LUA_INCDIR
# PREFIX LUADIR LIBDIR DESTDIR. WERROR=1 makes errors of warnings,
# SAN=address,undefined adds sanitizers, BUILD is where everything is built,
# SPEC="spec/tcp_spec.lua --filter=peek" is what busted is told.

BUILD ?= build
CFLAGS ?= -O3
LIBFLAG ?= -shared
PREFIX ?= /usr/local
LUADIR ?= $(PREFIX)/share/lua/5.4
LIBDIR ?= $(PREFIX)/lib/lua/5.4
INSTALL ?= install
PKG_CONFIG ?= pkg-config

# What follows is looked up when it is used: `make run` and its like install
# what they need first, and say so themselves where it cannot be found.
LUA ?= $(shell for l in lua5.4 lua-5.4 lua54 lua; do \
  "$$l" -e 'os.exit(_VERSION == "Lua 5.4")' 2>/dev/null && \
  { command -v "$$l"; exit; }; done; echo lua5.4)
LUA_PC = $(shell for p in lua5.4 lua-5.4 lua54 lua; do \
  $(PKG_CONFIG) --exists "$$p >= 5.4 $$p < 5.5" 2>/dev/null && \
  { echo "$$p"; exit; }; done)
LUA_CFLAGS ?= $(if $(LUA_INCDIR),-I$(LUA_INCDIR),$(if $(LUA_PC),\
  $(shell $(PKG_CONFIG) --cflags $(LUA_PC))))
LUA_LIBS ?= $(if $(LUA_PC),$(shell $(PKG_CONFIG) --libs $(LUA_PC)),\
  -llua5.4 -lm -ldl)

# neap/tlscore.so is an object of its own, built only where OpenSSL is found.
TLS_NOTE = $(shell v=$$($(PKG_CONFIG) --modversion openssl 2>/dev/null) && \
  echo "OpenSSL $$v found" || echo "OpenSSL not found: neap.tls is not built")
TLS := $(shell $(PKG_CONFIG) --exists 'openssl >= 1.1.1' 2>/dev/null && echo yes)

# neap/filtercore.so likewise, for libpcap.
PCAP_NOTE = $(shell v=$$($(PKG_CONFIG) --modversion libpcap 2>/dev/null) && \
  echo "libpcap $$v found" || echo "libpcap not found: filters are not compiled")
PCAP := $(shell $(PKG_CONFIG) --exists libpcap 2>/dev/null && echo yes)

# neap/idncore.so likewise, for libidn2.
IDN_NOTE = $(shell v=$$($(PKG_CONFIG) --modversion libidn2 2>/dev/null) && \
  echo "libidn2 $$v found" || echo "libidn2 not found: names must be ASCII")
IDN := $(shell $(PKG_CONFIG) --exists libidn2 2>/dev/null && echo yes)

# neap/zcore.so likewise, for zlib; with libbrotlidec and libzstd it decodes
# what they do, too.
Z_NOTE = $(shell v=$$($(PKG_CONFIG) --modversion zlib 2>/dev/null) && \
  echo "zlib $$v found$(Z_MORE:%=, %)" || echo "zlib not found: HTTP bodies are not compressed")
Z := $(shell $(PKG_CONFIG) --exists zlib 2>/dev/null && echo yes)
Z_MORE := $(shell for p in libbrotlidec libzstd; do \
  $(PKG_CONFIG) --exists $$p 2>/dev/null && echo $$p; done)

# neap/usrsctpcore.so likewise, for libusrsctp.
USRSCTP_NOTE = $(shell v=$$($(PKG_CONFIG) --modversion usrsctp 2>/dev/null) && \
  echo "usrsctp $$v found" || echo "usrsctp not found: SCTP needs the kernel's")
USRSCTP := $(shell $(PKG_CONFIG) --exists usrsctp 2>/dev/null && echo yes)

# A thread of ours may outlive the Lua state, and OpenSSL knows functions of
# ours: their code must stay mapped.
NODELETE = $(shell t=$$(mktemp) && \
  echo 'int probe;' | $(CC) -shared -fPIC -Wl,-z,nodelete -x c - -o "$$t" \
  2>/dev/null && echo -Wl,-z,nodelete; rm -f "$$t")

# The way of a byte leads through all layers: with optimization at link time
# it is shorter. Not with sanitizers, nor where names are wrapped.
LTO := $(if $(SAN)$(WRAP),,$(shell t=$$(mktemp) && \
  echo 'int probe(void); int probe(void) { return 0; }' | \
  $(CC) -O2 -flto=auto -shared -fPIC -x c - -o "$$t" 2>/dev/null && \
  echo -flto=auto; rm -f "$$t"))

WARNINGS = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes \
  -Wmissing-prototypes -Wwrite-strings -Wundef -Wvla $(if $(WERROR),-Werror)
SANITIZE = $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all \
  -fno-omit-frame-pointer -g)
FLAGS := -std=c11 -D_GNU_SOURCE -Icsrc -fPIC -fvisibility=hidden -pthread \
  $(WARNINGS) $(CFLAGS) $(LTO) $(SANITIZE)

# Under WRAP the object leaves its allocations to the host (test/oom/host.c).
comma := ,
WRAPPED := malloc calloc realloc free strdup strndup
WRAPS := $(if $(WRAP),$(WRAPPED:%=-Wl$(comma)--wrap=%))

SOURCES := $(sort $(wildcard $(addprefix csrc/,base/*.c sys/*.c loop/*.c \
  io/*.c lua/*.c)))
OBJECTS := $(SOURCES:csrc/%.c=$(BUILD)/obj/%.o)
BELOW_LUA = $(filter-out $(BUILD)/obj/lua/%,$(OBJECTS) $(foreach p,wire http,$(call PART_OBJECTS,$(p))))
UNITS := $(patsubst test/unit/%.c,$(BUILD)/unit/%,$(wildcard test/unit/*.c))
HOSTS := $(patsubst examples/%.c,$(BUILD)/examples/%,$(wildcard examples/*.c))
CORE := $(BUILD)/neap/core.so

# Objects of their own, which need no symbol of the core: neap/NAMEcore.so is
# made of csrc/NAME and csrc/lua/NAME, and is loaded only when its module is.
PARTS := wire http $(if $(Z),z) $(if $(PCAP),filter) $(if $(IDN),idn) $(if $(TLS),tls) \
  $(if $(USRSCTP),usrsctp)
FLAGS_filter = $(shell $(PKG_CONFIG) --cflags libpcap)
LIBS_filter = $(shell $(PKG_CONFIG) --libs libpcap)
FLAGS_idn = $(shell $(PKG_CONFIG) --cflags libidn2)
LIBS_idn = $(shell $(PKG_CONFIG) --libs libidn2)
FLAGS_z = $(shell $(PKG_CONFIG) --cflags zlib $(Z_MORE)) \
  $(if $(filter libbrotlidec,$(Z_MORE)),-DNEAP_BROTLI) \
  $(if $(filter libzstd,$(Z_MORE)),-DNEAP_ZSTD)
LIBS_z = $(shell $(PKG_CONFIG) --libs zlib $(Z_MORE))
FLAGS_tls = $(shell $(PKG_CONFIG) --cflags openssl)
LIBS_tls = $(shell $(PKG_CONFIG) --libs openssl) $(NODELETE)
FLAGS_usrsctp = $(shell $(PKG_CONFIG) --cflags usrsctp)
LIBS_usrsctp = $(shell $(PKG_CONFIG) --libs usrsctp) -pthread $(NODELETE)
# What some need of the layers below, of which each gets its own.
BELOW_usrsctp := base/error sys/addr sys/cmsg sys/entropy sys/fd sys/sock sys/sockmany
PART_SOURCES = $(sort $(wildcard $(addprefix csrc/,$(1)/*.c lua/$(1)/*.c)))
PART_OBJECTS = $(patsubst csrc/%.c,$(BUILD)/obj/%.o,$(call PART_SOURCES,$(1))) \
  $(BELOW_$(1):%=$(BUILD)/obj/%.o)
ALL_SOURCES := $(SOURCES) $(foreach part,$(PARTS),$(call PART_SOURCES,$(part)))
MODULES := $(CORE) $(PARTS:%=$(BUILD)/neap/%core.so)

# The checkout's own modules, and nothing that the user's settings add.
RUN = env -u LUA_PATH_5_4 -u LUA_CPATH_5_4 NEAP_BUILD='$(BUILD)' \
  LUA='$(LUA)' LUA_PATH='$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;;' \
  LUA_CPATH='$(abspath $(BUILD))/?.so;;'
# V=1 shows the commands in full.
SAY = $(if $(V),,@echo "  $(1)";)
MAKEFLAGS += --no-print-directory

.PHONY: all run test check lint asan gc oom fuzz vm bench install clean help \
  tour suite sweep damage machine figures hosts FORCE

all: $(MODULES) ## build the module into build/

run: ## install what is missing, build, and take the tour
	@.ci/deps build run
	@$(MAKE) tour

test: ## install what is missing, build, and run the suite
	@.ci/deps build run test
	@$(MAKE) suite

check: ## everything that CI runs
	@bash .ci/run

lint: ## format, warnings, layers, budget, docs
	@.ci/deps build run lint
	@$(MAKE) all
	+@$(RUN) CC='$(CC)' test/lint/all

asan: ## the suite under the address and undefined-behaviour sanitizers
	@.ci/deps build run test
	@$(MAKE) suite BUILD=$(BUILD)/asan SAN=address,undefined CFLAGS=-O1

gc: ## the suite with a collector that never rests
	@.ci/deps build run test
	@$(MAKE) suite GC=1

oom: ## the scripts of test/oom, with the n-th allocation failing, for all n
	@.ci/deps build run
	@$(MAKE) sweep BUILD=$(BUILD)/oom SAN=address,undefined CFLAGS=-O1 WRAP=1

fuzz: ## FUZZ damaged packets (a million) for neap.wire, libFuzzer for neap.http, sanitized
	@.ci/deps build run
	@$(MAKE) damage BUILD=$(BUILD)/asan SAN=address,undefined CFLAGS=-O1
	@$(MAKE) fuzzer

vm: ## what needs a kernel with kTLS or SCTP, in one that is booted for it
	@.ci/deps build run vm
	@$(MAKE) machine

bench: ## the benchmark against C and the peers
	@.ci/deps build run bench
	@$(MAKE) figures

install: all ## into PREFIX (LUADIR and LIBDIR), below DESTDIR
	$(INSTALL) -d '$(DESTDIR)$(LIBDIR)/neap'
	$(INSTALL) -m 755 $(MODULES) '$(DESTDIR)$(LIBDIR)/neap'
	find lua/neap -name '*.lua' | sed 's|^lua/||' | while read -r file; do \
	  $(INSTALL) -d "$(DESTDIR)$(LUADIR)/$${file%/*}" && \
	  $(INSTALL) -m 644 "lua/$$file" "$(DESTDIR)$(LUADIR)/$$file" || exit; \
	done

clean: ## remove build/
	rm -rf '$(BUILD)'

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 10
	@echo 'Lua:      $(LUA), $(or $(LUA_CFLAGS),no headers found)'
	@echo 'TLS:      $(TLS_NOTE)'
	@echo 'filters:  $(PCAP_NOTE)'
	@echo 'names:    $(IDN_NOTE)'
	@echo 'bodies:   $(Z_NOTE)'
	@echo 'SCTP:     $(USRSCTP_NOTE)'

# What the targets above do once their needs are there.

tour: all
	@$(RUN) $(LUA) examples/tour.lua

suite: all hosts $(UNITS)
	@$(RUN) SAN='$(SAN)' GC='$(GC)' CC='$(CC)' test/suite $(SPEC)

sweep: all $(BUILD)/host
	@$(RUN) test/oom/all '$(BUILD)/host' $(or $(OOM_FLAGS),-t 20)

damage: all
	@$(RUN) LD_PRELOAD="$$($(CC) -print-file-name=libasan.so)" \
	  ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
	  $(LUA) test/fuzz/wire.lua $(FUZZ)

machine: all $(BUILD)/probe.so
	@$(RUN) test/vm/boot test/vm/*.lua

# For FUZZ_SECONDS, over what test/fuzz/http has, what the specs have, and
# what earlier runs found.
FUZZER ?= clang
FUZZ_SECONDS ?= 60
fuzzer: $(BUILD)/fuzz/http
	@mkdir -p $(BUILD)/fuzz/found $(BUILD)/fuzz/seeds
	@$(LUA) test/fuzz/http_seeds.lua $(BUILD)/fuzz/seeds
	@$< -max_len=800 -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 -verbosity=0 \
	  -artifact_prefix=$(BUILD)/fuzz/ $(BUILD)/fuzz/found $(BUILD)/fuzz/seeds test/fuzz/http

$(BUILD)/fuzz/http: test/fuzz/http.c $(wildcard csrc/http/*.[ch])
	@mkdir -p $(@D)
	$(call SAY,fuzzer $<)$(FUZZER) -std=c11 -D_GNU_SOURCE -Icsrc -g -O1 -fno-sanitize-recover=all \
	  -fsanitize=fuzzer,address,undefined -o $@ $(filter %.c,$^)

figures: all
	@$(RUN) CC='$(CC)' $(LUA) bench/run $(BENCH)

hosts: $(HOSTS)

$(CORE): $(OBJECTS)
	@mkdir -p $(@D)
	$(call SAY,link $@)$(CC) $(LIBFLAG) -pthread $(CFLAGS) $(LTO) $(SANITIZE) $(LDFLAGS) $(NODELETE) $(WRAPS) \
	  -o $@.new $(OBJECTS) -lm
	@mv $@.new $@

$(foreach part,$(PARTS),$(eval \
  $(BUILD)/neap/$(part)core.so: $(call PART_OBJECTS,$(part))))
$(filter-out $(CORE),$(MODULES)): $(BUILD)/neap/%core.so: $(BUILD)/sources
	@mkdir -p $(@D)
	$(call SAY,link $@)$(CC) $(LIBFLAG) $(CFLAGS) $(LTO) $(SANITIZE) $(LDFLAGS) $(WRAPS) \
	  -o $@.new $(filter %.o,$^) $(LIBS_$*)
	@mv $@.new $@

$(BUILD)/obj/%.o: csrc/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call SAY,cc $<)$(CC) $(FLAGS) $(if $(filter csrc/lua/%,$<),$(LUA_CFLAGS)) \
	  $(FLAGS_$(word 2,$(subst /, ,$<))) $(FLAGS_$(word 3,$(subst /, ,$<))) -MMD -MP -c -o $@ $<

$(BUILD)/unit/%: test/unit/%.c $(BELOW_LUA)
	@mkdir -p $(@D)
	$(call SAY,cc $<)$(CC) $(FLAGS) $(LDFLAGS) -MMD -MP -o $@ $< $(BELOW_LUA) -lm

$(BUILD)/examples/%: examples/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call SAY,cc $<)$(CC) $(FLAGS) $(LUA_CFLAGS) $(LDFLAGS) -o $@ $< $(LUA_LIBS)

$(BUILD)/host: test/oom/host.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call SAY,cc $<)$(CC) $(FLAGS) $(LUA_CFLAGS) $(LDFLAGS) -rdynamic -o $@ $< $(LUA_LIBS)

# test probe: what the specs need of the system (test/probe.c).
suite: $(BUILD)/probe.so
$(BUILD)/probe.so: test/probe.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call SAY,cc $<)$(CC) $(FLAGS) $(LUA_CFLAGS) $(LIBFLAG) $(LDFLAGS) -o $@ $< -lm

# Changes when the flags do, so that no object of other flags is left over.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(FLAGS) $(LUA_INCDIR) $(WRAPS) $(Z_MORE)' | cmp -s - $@ || \
	  echo '$(CC) $(FLAGS) $(LUA_INCDIR) $(WRAPS) $(Z_MORE)' >$@

# An object that lost its source must not stay in the module.
$(CORE): $(BUILD)/sources
$(BUILD)/sources: FORCE
	@mkdir -p $(@D)
	@echo '$(ALL_SOURCES)' | cmp -s - $@ || echo '$(ALL_SOURCES)' >$@

-include $(ALL_SOURCES:csrc/%.c=$(BUILD)/obj/%.d) $(UNITS:=.d)
