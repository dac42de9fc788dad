/* SPDX-License-Identifier: MIT
 * Runs a Lua script again and again, and fails another of its allocations
 * each time: host [-s step] [-t seconds] script.lua...
 *
 * An allocation is one of the Lua state's allocator or one of the module's
 * own: the module must be linked with --wrap for the functions below (make
 * WRAP=1). Each script is swept twice: first one allocation fails (for the
 * state also its repetition after the emergency collection), then that and
 * all later ones. A script that raises is fine; what must not happen is a
 * crash, a hang, memory or a descriptor that is left when the state has been
 * closed, or a failure while nothing was made to fail.
 *
 * A script is one test; its sweeps run in a child each, so that a crash costs
 * no more than its sweep. -s: only every step-th allocation; by default as
 * many as fit into `seconds` (40) for each sweep. Last line:
 * `N passed, N failed, N skipped`. */
#include <dirent.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum { RUN_SECONDS = 20 }; /* a run that takes longer hangs */

/* ---- what fails ---- */

enum pattern { NEVER, ONCE, FROM_THEN_ON };

static struct {
  atomic_bool armed;
  enum pattern pattern;
  long nth;          /* which allocation fails, from 1 */
  atomic_long count; /* allocations so far */
  atomic_long live;  /* the module's own blocks */
} fault;

static bool fails(void) {
  long n;
  if (!atomic_load(&fault.armed))
    return false;
  n = atomic_fetch_add(&fault.count, 1) + 1;
  return fault.pattern == ONCE
           ? n == fault.nth
           : fault.pattern == FROM_THEN_ON && n >= fault.nth;
}

/* The state's memory. Lua repeats a failed request once, after a collection;
 * that must fail as well, or the script would never see a failure. */
struct heap {
  size_t used;
  size_t refused; /* the size of the last request if that failed */
};

static void *lua_alloc(void *ud, void *old, size_t osize, size_t nsize) {
  struct heap *h = ud;
  void *p;
  if (old == NULL)
    osize = 0;         /* there it is a type */
  if (nsize > osize) { /* Lua relies on it that shrinking works */
    bool repeated = h->refused == nsize;
    if (repeated || fails()) {
      h->refused = repeated ? 0 : nsize;
      return NULL;
    }
    h->refused = 0;
  }
  h->used += nsize - osize;
  if (nsize == 0) {
    free(old);
    return NULL;
  }
  p = realloc(old, nsize);
  if (p == NULL)
    abort(); /* the machine itself is out of memory */
  return p;
}

/* The module's memory: what the linker puts in the place of its calls. */

EXPORT void *__wrap_malloc(size_t size);
EXPORT void *__wrap_calloc(size_t count, size_t size);
EXPORT void *__wrap_realloc(void *old, size_t size);
EXPORT void __wrap_free(void *p);
EXPORT char *__wrap_strdup(const char *s);
EXPORT char *__wrap_strndup(const char *s, size_t size);

static void *counted(void *p) {
  if (p != NULL)
    atomic_fetch_add(&fault.live, 1);
  return p;
}

void *__wrap_malloc(size_t size) {
  return fails() ? NULL : counted(malloc(size));
}

void *__wrap_calloc(size_t count, size_t size) {
  return fails() ? NULL : counted(calloc(count, size));
}

void *__wrap_realloc(void *old, size_t size) {
  if (fails())
    return NULL;
  return old == NULL ? counted(malloc(size)) : realloc(old, size);
}

void __wrap_free(void *p) {
  if (p != NULL)
    atomic_fetch_sub(&fault.live, 1);
  free(p);
}

char *__wrap_strdup(const char *s) {
  return fails() ? NULL : counted(strdup(s));
}

char *__wrap_strndup(const char *s, size_t size) {
  return fails() ? NULL : counted(strndup(s, size));
}

/* ---- one run ---- */

/* Shared with the parent, which reports when this process cannot. */
struct progress {
  enum pattern pattern;
  long nth;
  char why[256];
};

static int open_descriptors(void) {
  DIR *dir = opendir("/proc/self/fd");
  int n = 0;
  if (dir == NULL)
    return 0; /* no such system: not counted */
  while (readdir(dir) != NULL)
    n++;
  closedir(dir);
  return n;
}

/* A thread of the module's may take a moment to end. */
static bool settles(int descriptors) {
  const struct timespec pause = {0, 1000000};
  int tries;
  for (tries = 0; tries < 2000; tries++) {
    if (atomic_load(&fault.live) <= 0 && open_descriptors() <= descriptors)
      return true;
    nanosleep(&pause, NULL);
  }
  return false;
}

/* closefd(fd), for a script that is given one: it needs no memory. */
static int l_closefd(lua_State *L) {
  close((int)luaL_checkinteger(L, 1));
  return 0;
}

/* Protected, since loading a file allocates, too. */
static int load_and_call(lua_State *L) {
  if (luaL_loadfile(L, lua_touserdata(L, 1)) != LUA_OK)
    return lua_error(L);
  lua_call(L, 0, 0);
  return 0;
}

/* Returns whether the script got to its end; its error goes to `why`. */
static bool run_script(lua_State *L, const char *script, char *why,
                       size_t size) {
  bool ok;
  lua_pushcfunction(L, load_and_call);
  lua_pushlightuserdata(L, (void *)(uintptr_t)script);
  atomic_store(&fault.armed, true);
  ok = lua_pcall(L, 1, 0, 0) == LUA_OK;
  if (!ok) {
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1)
                                                      : luaL_typename(L, -1);
    snprintf(why, size, "%s", text);
  }
  return ok;
}

/* Runs the script with one fault. Returns false, with the reason in p->why,
 * if something is left over; *complete: no allocation was left to fail. */
static bool run_once(const char *script, struct progress *p, bool *complete) {
  struct heap heap = {0, 0};
  int descriptors = open_descriptors();
  lua_State *L = lua_newstate(lua_alloc, &heap);
  bool ok;
  if (L == NULL)
    abort();
  luaL_openlibs(L);
  lua_register(L, "closefd", l_closefd);
  fault.pattern = p->pattern;
  fault.nth = p->nth;
  atomic_store(&fault.count, 0);
  atomic_store(&fault.live, 0);
  alarm(RUN_SECONDS);
  ok = run_script(L, script, p->why, sizeof p->why);
  *complete = atomic_load(&fault.count) < p->nth || p->pattern == NEVER;
  heap.refused = 0;
  lua_close(L); /* still armed: finalizers must bear it as well */
  atomic_store(&fault.armed, false);
  alarm(0);
  if (!ok && *complete)
    return false;
  if (heap.used != 0)
    snprintf(p->why, sizeof p->why, "%zu bytes of the state are left",
             heap.used);
  else if (!settles(descriptors))
    snprintf(p->why, sizeof p->why, "left: %ld blocks, %d descriptors",
             atomic_load(&fault.live), open_descriptors() - descriptors);
  else
    return true;
  return false;
}

/* ---- sweeps ---- */

static struct {
  long step; /* 0: what fits into `seconds` */
  double seconds;
} option = {0, 40};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The script's own output, of the last run only, and a report of its end. */
static void reopen_output(FILE *log) {
  rewind(log);
  if (ftruncate(fileno(log), 0) != 0)
    abort();
}

/* In the child. A run without a fault comes first: it must succeed, and tells
 * how many allocations there are and how long they take. */
static bool sweep(const char *script, struct progress *p, FILE *log) {
  enum pattern pattern = p->pattern;
  long all, step = option.step;
  bool complete = false;
  double began = now(), limit;
  p->pattern = NEVER;
  p->nth = 0;
  if (!run_once(script, p, &complete))
    return false;
  all = atomic_load(&fault.count);
  p->pattern = pattern;
  limit = now() + option.seconds;
  if (step == 0)
    step = 1 + (long)((double)all * (now() - began) / option.seconds);
  for (p->nth = 1, complete = false; !complete; p->nth += step) {
    if (now() > limit) { /* slower than foreseen */
      step = step * 2;
      limit += option.seconds / 4;
    }
    reopen_output(log);
    if (!run_once(script, p, &complete))
      return false;
  }
  snprintf(p->why, sizeof p->why, "%ld allocations, step %ld, %.1f s", all,
           step, now() - began);
  return true;
}

static void show(FILE *log) {
  char line[1024];
  rewind(log);
  while (fgets(line, sizeof line, log) != NULL)
    printf("    %s", line);
}

static const char *ending(int status) {
  static char text[64];
  if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
    return "is not clean";
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
    return "hung";
  snprintf(text, sizeof text, "crashed (status %#x)", (unsigned)status);
  return text;
}

/* Sweeps in a child whose output goes to a file. */
static bool sweep_apart(const char *script, enum pattern pattern,
                        struct progress *p) {
  static const char *const names[] = {"never", "once", "from then on"};
  FILE *log = tmpfile();
  pid_t child;
  int status = -1;
  if (log == NULL)
    abort();
  *p = (struct progress){.pattern = pattern};
  fflush(NULL);
  child = fork();
  if (child == 0) {
    dup2(fileno(log), STDOUT_FILENO);
    dup2(fileno(log), STDERR_FILENO);
    setvbuf(stdout, NULL, _IONBF, 0);
    _exit(sweep(script, p, log) ? 0 : 1);
  }
  waitpid(child, &status, 0);
  if (status == 0)
    printf("ok: %s, failing %s: %s\n", script, names[pattern], p->why);
  else {
    printf("FAILED: %s %s, allocation %ld failing %s: %s\n", script,
           ending(status), p->nth, names[p->pattern], p->why);
    show(log);
  }
  fclose(log);
  return status == 0;
}

static int options(int argc, char **argv) {
  int c;
  while ((c = getopt(argc, argv, "s:t:")) != -1) {
    if (c == 's')
      option.step = atol(optarg);
    else if (c == 't')
      option.seconds = atof(optarg);
    else
      exit(2);
  }
  return optind;
}

int main(int argc, char **argv) {
  struct progress *p = mmap(NULL, sizeof *p, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int i, passed = 0, failed = 0;
  if (p == MAP_FAILED)
    return 2;
  for (i = options(argc, argv); i < argc; i++) {
    bool once = sweep_apart(argv[i], ONCE, p);
    bool on = sweep_apart(argv[i], FROM_THEN_ON, p);
    passed += once && on;
    failed += !(once && on);
  }
  printf("%d passed, %d failed, 0 skipped\n", passed, failed);
  return failed > 0 || passed == 0;
}
