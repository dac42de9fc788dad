/* SPDX-License-Identifier: MIT
 * What specs need of the system and Lua itself lacks: processes, signals, raw
 * descriptors, and Lua states of their own. Failures raise. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int check(lua_State *L, int result, const char *what) {
  if (result < 0)
    return luaL_error(L, "%s: %s", what, strerror(errno));
  return result;
}

static int checkint(lua_State *L, int arg) {
  return (int)luaL_checkinteger(L, arg);
}

static int push_result(lua_State *L, int result, const char *what) {
  lua_pushinteger(L, check(L, result, what));
  return 1;
}

static void sleep_ms(long ms) {
  struct timespec t = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&t, NULL);
}

/* ---- processes ---- */

static int l_fork(lua_State *L) {
  return push_result(L, fork(), "fork");
}

/* exit(code): at once, without finalizers or flushing. */
static int l_exit(lua_State *L) {
  _exit((int)luaL_optinteger(L, 1, 0));
}

/* waitpid(pid[, seconds = 10]): "exit" or "signal", and which. A child that
 * does not end in time is killed. */
static int l_waitpid(lua_State *L) {
  pid_t pid = checkint(L, 1);
  long left = (long)(luaL_optnumber(L, 2, 10) * 100);
  int status = 0, got;
  while ((got = waitpid(pid, &status, WNOHANG)) == 0 && left-- > 0)
    sleep_ms(10);
  if (got == 0) {
    kill(pid, SIGKILL);
    got = waitpid(pid, &status, 0);
  }
  check(L, got, "waitpid");
  lua_pushstring(L, WIFEXITED(status) ? "exit" : "signal");
  lua_pushinteger(L,
                  WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
  return 2;
}

static int l_getpid(lua_State *L) {
  lua_pushinteger(L, getpid());
  return 1;
}

/* kill(pid, signal) */
static int l_kill(lua_State *L) {
  return push_result(L, kill(checkint(L, 1), checkint(L, 2)), "kill");
}

/* sleep(seconds): blocks the whole process. */
static int l_sleep(lua_State *L) {
  sleep_ms((long)(luaL_checknumber(L, 1) * 1000));
  return 0;
}

/* alarm(seconds): this process is killed then. */
static int l_alarm(lua_State *L) {
  lua_pushinteger(L, alarm((unsigned)checkint(L, 1)));
  return 1;
}

/* nofile([soft limit]): how many descriptors there may be; sets it, if asked,
 * and returns what it was. */
static int l_nofile(lua_State *L) {
  struct rlimit r;
  check(L, getrlimit(RLIMIT_NOFILE, &r), "getrlimit");
  lua_pushinteger(L, (lua_Integer)r.rlim_cur);
  if (!lua_isnoneornil(L, 1)) {
    r.rlim_cur = (rlim_t)luaL_checkinteger(L, 1);
    check(L, setrlimit(RLIMIT_NOFILE, &r), "setrlimit");
  }
  return 1;
}

/* ---- signals ---- */

static volatile sig_atomic_t counted;

static void count(int signal) {
  (void)signal;
  counted++;
}

/* counted(): how often the handler "count" ran. */
static int l_counted(lua_State *L) {
  lua_pushinteger(L, counted);
  return 1;
}

/* signal(number[, "default" | "ignore" | "count"]): what is done about it
 * ("other": a handler that is not ours); sets it if asked. */
static int l_signal(lua_State *L) {
  static const char *const names[] = {"default", "ignore", "count", NULL};
  static void (*const handlers[])(int) = {SIG_DFL, SIG_IGN, count};
  struct sigaction now, set;
  int i, number = checkint(L, 1);
  check(L, sigaction(number, NULL, &now), "sigaction");
  if (!lua_isnoneornil(L, 2)) {
    memset(&set, 0, sizeof set);
    set.sa_handler = handlers[luaL_checkoption(L, 2, NULL, names)];
    check(L, sigaction(number, &set, NULL), "sigaction");
  }
  for (i = 0; i < 3; i++)
    if (now.sa_handler == handlers[i]) {
      lua_pushstring(L, names[i]);
      return 1;
    }
  lua_pushliteral(L, "other");
  return 1;
}

/* blocked(number[, boolean]): whether this thread blocks it; sets it. */
static int l_blocked(lua_State *L) {
  sigset_t now, set;
  int number = checkint(L, 1);
  check(L, -pthread_sigmask(SIG_BLOCK, NULL, &now), "pthread_sigmask");
  if (!lua_isnoneornil(L, 2)) {
    sigemptyset(&set);
    sigaddset(&set, number);
    pthread_sigmask(lua_toboolean(L, 2) ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
  }
  lua_pushboolean(L, sigismember(&now, number) == 1);
  return 1;
}

/* ---- descriptors ---- */

static int l_pipe(lua_State *L) {
  int fd[2];
  check(L, pipe2(fd, O_CLOEXEC), "pipe");
  lua_pushinteger(L, fd[0]);
  lua_pushinteger(L, fd[1]);
  return 2;
}

/* socketpair([type]): two Unix sockets. */
static int l_socketpair(lua_State *L) {
  static const char *const names[] = {"stream", "dgram", "seqpacket", NULL};
  static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
  int fd[2], type = types[luaL_checkoption(L, 1, "stream", names)];
  check(L, socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fd), "socketpair");
  lua_pushinteger(L, fd[0]);
  lua_pushinteger(L, fd[1]);
  return 2;
}

/* open(path[, "r" | "w"]) */
static int l_open(lua_State *L) {
  static const char *const modes[] = {"r", "w", NULL};
  static const int flags[] = {O_RDONLY, O_WRONLY | O_CREAT};
  const char *path = luaL_checkstring(L, 1);
  int mode = luaL_checkoption(L, 2, "r", modes);
  return push_result(L, open(path, flags[mode] | O_CLOEXEC, 0600), path);
}

static int l_dup(lua_State *L) {
  return push_result(L, fcntl(checkint(L, 1), F_DUPFD_CLOEXEC, 0), "dup");
}

/* dup2(from, to) */
static int l_dup2(lua_State *L) {
  return push_result(L, dup2(checkint(L, 1), checkint(L, 2)), "dup2");
}

static int l_close(lua_State *L) {
  return push_result(L, close(checkint(L, 1)), "close");
}

/* isopen(fd) */
static int l_isopen(lua_State *L) {
  lua_pushboolean(L, fcntl(checkint(L, 1), F_GETFD) >= 0);
  return 1;
}

/* flags(fd): "nonblock", "cloexec" -> boolean. */
static int l_flags(lua_State *L) {
  int fd = checkint(L, 1);
  int file = check(L, fcntl(fd, F_GETFL), "F_GETFL");
  int own = check(L, fcntl(fd, F_GETFD), "F_GETFD");
  lua_createtable(L, 0, 2);
  lua_pushboolean(L, file & O_NONBLOCK);
  lua_setfield(L, -2, "nonblock");
  lua_pushboolean(L, own & FD_CLOEXEC);
  lua_setfield(L, -2, "cloexec");
  return 1;
}

/* nonblock(fd, boolean) */
static int l_nonblock(lua_State *L) {
  int fd = checkint(L, 1);
  int flags = check(L, fcntl(fd, F_GETFL), "F_GETFL");
  flags = lua_toboolean(L, 2) ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
  return push_result(L, fcntl(fd, F_SETFL, flags), "F_SETFL");
}

/* read(fd[, most]): what one read(2) gives; nil where it would block. */
static int l_read(lua_State *L) {
  luaL_Buffer b;
  size_t most = (size_t)luaL_optinteger(L, 2, 65536);
  char *at = luaL_buffinitsize(L, &b, most);
  ssize_t n = read(checkint(L, 1), at, most);
  if (n < 0 && errno == EAGAIN)
    return 0;
  check(L, (int)n, "read");
  luaL_pushresultsize(&b, (size_t)n);
  return 1;
}

/* write(fd, data): how much one write(2) took; nil where it would block. */
static int l_write(lua_State *L) {
  size_t len;
  const char *data = luaL_checklstring(L, 2, &len);
  ssize_t n = write(checkint(L, 1), data, len);
  if (n < 0 && errno == EAGAIN)
    return 0;
  return push_result(L, (int)n, "write");
}

/* sendurgent(fd, data): out of band. */
static int l_sendurgent(lua_State *L) {
  size_t len;
  const char *data = luaL_checklstring(L, 2, &len);
  ssize_t n = send(checkint(L, 1), data, len, MSG_OOB | MSG_NOSIGNAL);
  return push_result(L, (int)n, "send");
}

/* reset(fd): closed by a reset, not in order. */
static int l_reset(lua_State *L) {
  struct linger now = {1, 0};
  int fd = checkint(L, 1);
  check(L, setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), "linger");
  return push_result(L, close(fd), "close");
}

/* poll(fd, "r" | "w", seconds): whether it is ready, as a foreign loop asks;
 * milliseconds are rounded up. */
static int l_poll(lua_State *L) {
  static const char *const modes[] = {"r", "w", NULL};
  struct pollfd p = {0};
  int ms = (int)ceil(luaL_checknumber(L, 3) * 1000);
  p.fd = checkint(L, 1);
  p.events = luaL_checkoption(L, 2, "r", modes) == 0 ? POLLIN : POLLOUT;
  lua_pushboolean(L, check(L, poll(&p, 1, ms), "poll"));
  return 1;
}

/* setns(fd): this thread goes into the namespace that the descriptor of a
 * /proc/.../ns/... names; its sockets stay where they were made. */
static int l_setns(lua_State *L) {
  return push_result(L, setns(checkint(L, 1), 0), "setns");
}

/* ---- Lua states, and depth ---- */

/* deep(levels, fn, ...): calls fn(...) from that many C calls within each
 * other. */
static int l_deep(lua_State *L) {
  lua_Integer levels = luaL_checkinteger(L, 1);
  if (levels > 0) {
    lua_pushinteger(L, levels - 1);
    lua_replace(L, 1);
    lua_pushcfunction(L, l_deep);
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
  }
  lua_remove(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

struct job {
  const char *chunk, *path, *cpath;
  char *result;
  bool ok;
};

static void set_path(lua_State *L, const char *field, const char *value) {
  lua_getglobal(L, "package");
  lua_pushstring(L, value);
  lua_setfield(L, -2, field);
  lua_pop(L, 1);
}

static void *run_job(void *arg) {
  struct job *j = arg;
  lua_State *L = luaL_newstate();
  if (L == NULL)
    return NULL;
  luaL_openlibs(L);
  set_path(L, "path", j->path);
  set_path(L, "cpath", j->cpath);
  j->ok =
    luaL_loadstring(L, j->chunk) == LUA_OK && lua_pcall(L, 0, 1, 0) == LUA_OK;
  j->result = strdup(luaL_tolstring(L, -1, NULL));
  lua_close(L);
  return NULL;
}

static void new_job(lua_State *L, struct job *j) {
  memset(j, 0, sizeof *j);
  j->chunk = luaL_checkstring(L, 1);
  j->path = luaL_checkstring(L, 2);
  j->cpath = luaL_checkstring(L, 3);
}

static void push_job(lua_State *L, struct job *j) {
  lua_pushboolean(L, j->ok);
  lua_pushstring(L, j->result);
  free(j->result);
}

/* state(chunk, path, cpath): runs it in a Lua state of its own, which is
 * closed then. Whether it went well, and its result or error as text. */
static int l_state(lua_State *L) {
  struct job j;
  new_job(L, &j);
  run_job(&j);
  push_job(L, &j);
  return 2;
}

enum { MAX_THREADS = 16 };

/* threads(chunk, path, cpath, n): the same in n threads at once. A list of
 * { whether it went well, text }. */
static int l_threads(lua_State *L) {
  struct job jobs[MAX_THREADS];
  pthread_t threads[MAX_THREADS];
  int i, n = checkint(L, 4);
  luaL_argcheck(L, n > 0 && n <= MAX_THREADS, 4, "at most 16");
  for (i = 0; i < n; i++) {
    new_job(L, &jobs[i]);
    if (pthread_create(&threads[i], NULL, run_job, &jobs[i]) != 0)
      abort();
  }
  lua_createtable(L, n, 0);
  for (i = 0; i < n; i++) {
    pthread_join(threads[i], NULL);
    lua_createtable(L, 2, 0);
    push_job(L, &jobs[i]);
    lua_rawseti(L, -3, 2);
    lua_rawseti(L, -2, 1);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static const luaL_Reg functions[] = {
  {"fork",       l_fork      },
  {"exit",       l_exit      },
  {"waitpid",    l_waitpid   },
  {"getpid",     l_getpid    },
  {"kill",       l_kill      },
  {"sleep",      l_sleep     },
  {"nofile",     l_nofile    },
  {"alarm",      l_alarm     },
  {"counted",    l_counted   },
  {"signal",     l_signal    },
  {"blocked",    l_blocked   },
  {"pipe",       l_pipe      },
  {"socketpair", l_socketpair},
  {"open",       l_open      },
  {"dup",        l_dup       },
  {"dup2",       l_dup2      },
  {"close",      l_close     },
  {"isopen",     l_isopen    },
  {"flags",      l_flags     },
  {"nonblock",   l_nonblock  },
  {"read",       l_read      },
  {"write",      l_write     },
  {"sendurgent", l_sendurgent},
  {"reset",      l_reset     },
  {"poll",       l_poll      },
  {"setns",      l_setns     },
  {"deep",       l_deep      },
  {"state",      l_state     },
  {"threads",    l_threads   },
  {NULL,         NULL        }
};

__attribute__((visibility("default"))) int luaopen_probe(lua_State *L);

int luaopen_probe(lua_State *L) {
  luaL_newlib(L, functions);
  lua_pushinteger(L, SIGUSR1);
  lua_setfield(L, -2, "SIGUSR1");
  lua_pushinteger(L, SIGTERM);
  lua_setfield(L, -2, "SIGTERM");
  lua_pushinteger(L, SIGKILL);
  lua_setfield(L, -2, "SIGKILL");
  return 1;
}
