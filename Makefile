# make quickstart, make test, make stop: see `make help`.
# The rest is an ordinary PGXS extension: make, make install, PG_CONFIG=….

# The checkout's folder, also when make runs in another one with VPATH.
top := $(patsubst %/,%,$(dir $(firstword $(MAKEFILE_LIST))))
from_top = $(sort $(patsubst $(top)/%,%,$(wildcard $(addprefix $(top)/,$(1)))))

# One library for all extensions that have a control file.
EXTENSION = $(basename $(call from_top,*.control))
version_of = $(shell sed -n "s/^default_version *= *'\(.*\)'.*/\1/p" '$(top)/$(1).control')
MODULE_big = amelia
OBJS = $(patsubst %.c,%.o,$(call from_top,src/*.c src/*/*.c))
# The install script is built; upgrade scripts are written by hand.
BUILT_SQL := $(foreach extension,$(EXTENSION),sql/$(extension)--$(call version_of,$(extension)).sql)
DATA_built = $(BUILT_SQL)
DATA = $(call from_top,sql/*--*--*.sql)
EXTRA_CLEAN = .built-for

# WERROR= builds with a compiler that warns about more than ours do.
WERROR ?= -Werror
# PostgreSQL's own headers leave parameters unused, and so does PG_FUNCTION_ARGS.
# Only what the server looks up by name is exported.
PG_CPPFLAGS = -I$(top)/src
PG_CFLAGS = -fvisibility=hidden -Wall -Wextra $(WERROR) -Wno-unused-parameter

# For `make installcheck` against a running server. scripts/run-tests calls the
# same target, with instances of its own.
REGRESS = $(patsubst test/sql/%.sql,%,$(sort $(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test --encoding=UTF8
ISOLATION = $(patsubst test/isolation/specs/%.spec,%,$(sort $(wildcard test/isolation/specs/*.spec)))
# PostgreSQL 16 and later look for expected/ at the top first, unless told.
ISOLATION_OPTS = --inputdir=test/isolation --encoding=UTF8 \
	$(if $(filter-out 15,$(MAJORVERSION)),--expecteddir=test/isolation)
TAP_TESTS = 1
PROVE_TESTS = $(sort $(wildcard test/t/*.pl))

.DEFAULT_GOAL := all

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)

ifneq ($(and $(PGXS),$(wildcard $(PGXS))),)

# A server that was built with LLVM wants bitcode, and names the clang for it;
# without that clang we do without.
pgxs_value = $(shell sed -n 's/^$(1)[ \t]*=[ \t]*//p' $(dir $(PGXS))../Makefile.global)
ifeq ($(shell command -v '$(call pgxs_value,CLANG)' >/dev/null && command -v '$(call pgxs_value,LLVM_BINPATH)/llvm-lto'),)
override with_llvm := no
endif

include $(PGXS)

# A build outside of the checkout has no folders yet, and VPATH would find ours.
$(shell mkdir -p $(sort $(dir $(OBJS))))

# The TAP tests share test/perl, also when PROVE_FLAGS comes from outside.
override PROVE_FLAGS += -I $(CURDIR)/test/perl

# Objects of another server's headers do not load: build anew when it changes.
$(OBJS) $(OBJS:.o=.bc): $(wildcard $(top)/src/*/*.h) .built-for
.built-for: FORCE
	@echo '$(VERSION) $(pkglibdir) $(CC) $(CFLAGS)' | cmp -s - $@ || \
		echo '$(VERSION) $(pkglibdir) $(CC) $(CFLAGS)' > $@

# sql/amelia--1.0.sql from sql/amelia/. The folders are named too, so that a part
# that was removed counts as a change.
.SECONDEXPANSION:
extension_of = $(firstword $(subst --, ,$(notdir $(1))))
$(BUILT_SQL): sql/%.sql: scripts/build-sql $$(call extension_of,$$*).control \
		$$(call from_top,$$(foreach depth,/* /*/* /*/*/*,sql/$$(call extension_of,$$*)$$(depth)))
	@mkdir -p $(@D)
	'$(top)/scripts/build-sql' $(call extension_of,$*) > $@.new
	mv $@.new $@

# The client needs jansson, the server does not: it is installed where it was built.
install: $(if $(wildcard client/amelia-load),install-client)
uninstall: uninstall-client
clean: clean-client

client:
	$(MAKE) -C client PG_CONFIG='$(PG_CONFIG)'
install-client uninstall-client clean-client: %-client:
	$(MAKE) -C client $* PG_CONFIG='$(PG_CONFIG)'

else

all install installcheck uninstall client clean:
	@echo "$(PG_CONFIG): no PostgreSQL server headers (PGXS) found." >&2
	@echo "Install postgresql-server-dev-NN, or name the right one: make PG_CONFIG=/path/to/pg_config" >&2
	@echo "make quickstart installs what is missing on Debian." >&2
	@exit 1

endif

quickstart:
	@scripts/quickstart

stop:
	@scripts/stop

test:
	@scripts/run-tests

# The stress tests as long and as wide, the crashes and the combinations as many, as
# they should be now and then.
stress:
	@AMELIA_STRESS_SECONDS=60 AMELIA_STRESS_WORKERS=32 AMELIA_CRASH_ROUNDS=60 AMELIA_PRUNE_THREADS=1000 \
		AMELIA_RETENTION_ALL=1 AMELIA_TEST_JIT=on scripts/run-tests

# On servers that are built for it.
test-assert test-asan:
	@scripts/test-on $(@:test-%=%)
coverage:
	@scripts/test-on coverage

# amelia-import killed at 50 random moments, with all other tests.
import-stress:
	@AMELIA_IMPORT_STRESS=50 scripts/run-tests

report-picture dashboard-picture:
	@scripts/$@

# What PGXN takes: the files of the last commit.
dist := amelia-$(shell sed -n '/^   "version"/s/.*: "\(.*\)",/\1/p' '$(top)/META.json')
dist:
	git -C '$(top)' archive --format=zip --prefix=$(dist)/ -o $(dist).zip HEAD

# Debian's packages, into .amelia/deb.
deb:
	@scripts/build-deb

help:
	@sed -n 's/^#: \{0,1\}//p' Makefile

#: make quickstart   install what is missing, build, start a private server, load a run
#: make stop         stop that server
#: make test         install what is missing, build, run every test
#: make stress       the same, with the stress tests, the crashes and others at full length
#: make dist         the archive for PGXN, of the last commit
#: make deb          Debian's packages, into .amelia/deb
#: make import-stress   the same, with amelia-import killed at 50 random moments
#: make test-assert  build a PostgreSQL with assertions (once), and test there: see CONTRIBUTING.md
#: make test-asan    the same with the address and undefined behaviour sanitizers
#: make coverage     which lines of src/ the tests run, as pages of lcov
#:
#: make              build the server library and the extension script
#: make client       build amelia-load, amelia-prices, amelia-report, amelia-import, amelia-dashboard (need libpq, jansson, libmicrohttpd, SQLite, OpenSSL)
#: make install      install what was built into the PostgreSQL of PG_CONFIG
#: make installcheck run the tests against that PostgreSQL, which must be running
#: make report-picture  make docs/report.png anew (needs chromium)
#: make dashboard-picture  make docs/dashboard.png and docs/dashboard-workflow.png anew
#: make clean        remove what was built
#:
#: PG_CONFIG=/path/to/pg_config   chooses the PostgreSQL, 15 to 18

FORCE:
.PHONY: FORCE client install-client uninstall-client clean-client quickstart stop test stress import-stress test-assert test-asan coverage report-picture dashboard-picture dist deb help
