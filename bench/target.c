/* Processes: start, pin, meter, trace and end the measured program.
 * SPDX-License-Identifier: MIT */
#include "target.h"

#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "common.h"

enum { ARGUMENTS = 32 };

static pid_t target, tracer, beside;
static int output, cores[2];

static void end(pid_t *pid, int how) {
  if (*pid <= 0)
    return;
  kill(*pid, how);
  waitpid(*pid, NULL, 0);
  *pid = 0;
}

static void end_all(void) {
  end(&tracer, SIGKILL);
  end(&beside, SIGKILL);
  end(&target, SIGKILL);
}

/* kill, waitpid and _exit may be called from a handler. */
static void on_signal(int signal) {
  static const char late[] = "out of time\n";
  if (signal == SIGALRM)
    (void)!write(STDERR_FILENO, late, sizeof late - 1);
  end_all();
  _exit(1);
}

static void pin(int core) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(core, &one);
  must(sched_setaffinity(0, sizeof one, &one), "sched_setaffinity");
}

int target_isolate(void) {
  struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP};
  if (unshare(CLONE_NEWNET) && unshare(CLONE_NEWUSER | CLONE_NEWNET))
    return 0;
  int fd = must(socket(AF_INET, SOCK_DGRAM, 0), "socket");
  must(ioctl(fd, SIOCSIFFLAGS, &up), "loopback");
  close(fd);
  return 1;
}

/* Two benchmarks at once would measure each other: one waits. */
static void take_turns(void) {
  int program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  if (program >= 0)
    flock(program, LOCK_EX);
}

void target_prepare(unsigned seconds) {
  cpu_set_t allowed;
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  take_turns();
  must(sched_getaffinity(0, sizeof allowed, &allowed), "sched_getaffinity");
  cores[0] = -1;
  for (int i = 0; i < CPU_SETSIZE; i++)
    if (CPU_ISSET(i, &allowed)) {
      if (cores[0] < 0)
        cores[0] = i;
      cores[1] = i;
    }
  pin(cores[1]);
  signal(SIGALRM, on_signal);
  signal(SIGTERM, on_signal);
  signal(SIGINT, on_signal);
  atexit(end_all);
  alarm(seconds);
}

/* Forks a child that dies with us; its stream `from` goes to the pipe. */
static pid_t start(char **command, int core, int from, int *pipe_out) {
  int ends[2];
  must(pipe2(ends, O_CLOEXEC), "pipe");
  pid_t pid = must(fork(), "fork");
  if (!pid) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    pin(core);
    dup2(ends[1], from);
    execvp(command[0], command);
    die(command[0]);
  }
  close(ends[1]);
  *pipe_out = ends[0];
  return pid;
}

void target_start(char **command, int port) {
  char *arguments[ARGUMENTS + 2] = {NULL}, number[16];
  int n = 0;
  for (; n < ARGUMENTS && command[n]; n++)
    arguments[n] = command[n];
  snprintf(number, sizeof number, "%d", port);
  arguments[n] = number;
  target = start(arguments, cores[0], STDOUT_FILENO, &output);
}

/* Reads until the text, or until the end; false at the end. */
static int read_until(int fd, char *text, size_t size, const char *stop) {
  size_t have = 0;
  ssize_t n = 1;
  while (have + 1 < size && n > 0) {
    n = read(fd, text + have, size - have - 1);
    if (n > 0)
      have += (size_t)n;
    text[have] = 0;
    if (strstr(text, stop))
      return 1;
  }
  return 0;
}

int target_other(const char *command) {
  char text[64], *shell[] = {"sh", "-c", (char *)command, NULL};
  int from;
  beside = start(shell, cores[1], STDOUT_FILENO, &from);
  if (read_until(from, text, sizeof text, "\n"))
    return atoi(text);
  fprintf(stderr, "the other end did not start\n");
  exit(1);
}

int target_port(void) {
  int port;
  target_ports(&port, 1);
  return port;
}

void target_ports(int *ports, int count) {
  char text[4096], *at = text;
  int have = read_until(output, text, sizeof text, "\n");
  for (int i = 0; have && i < count; i++) {
    char *begin = at;
    ports[i] = (int)strtol(begin, &at, 10);
    have = at > begin;
  }
  if (have)
    return;
  fprintf(stderr, "the server did not start\n");
  exit(1);
}

int target_reports(void) {
  struct pollfd ready = {.fd = output, .events = POLLIN};
  return poll(&ready, 1, 0) > 0;
}

void target_report(void) {
  char text[256];
  if (!read_until(output, text, sizeof text, "\n"))
    exit(1);
  fputs(text, stdout);
}

void target_beside(char **command, double seconds, char *text, size_t size) {
  int from;
  size_t have = 0;
  beside = start(command, cores[1], STDOUT_FILENO, &from);
  usleep((useconds_t)(seconds * 1e6));
  kill(beside, SIGINT);
  for (ssize_t n; (n = read(from, text + have, size - 1 - have)) > 0;)
    have += (size_t)n;
  text[have] = 0;
  close(from);
  end(&beside, SIGKILL);
}

int64_t target_cpu(void) {
  clockid_t clock;
  if (clock_getcpuclockid(target, &clock))
    die("cpu clock");
  return clock_ns(clock);
}

/* smaps_rollup counts pages; the cheaper statm lags by some dozens. */
long target_rss(void) {
  char path[64], line[256];
  long kilobytes = -1;
  snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)target);
  FILE *file = fopen(path, "r");
  if (!file)
    die(path);
  while (kilobytes < 0 && fgets(line, sizeof line, file))
    sscanf(line, "Rss: %ld kB", &kilobytes);
  fclose(file);
  return kilobytes * 1024;
}

/* perf hardly slows the program down; it needs rights that strace does not. */
void target_trace(const char *file) {
  char pid[16], text[256], *name = (char *)file;
  char *perf[] = {"perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter",
                  "-o",   name,   "-p",  pid,  NULL};
  char *strace[] = {"strace", "-fc", "-Uname,calls", "-o", name, "-p",
                    pid,      NULL};
  int errors;
  snprintf(pid, sizeof pid, "%d", (int)target);
  tracer = start(perf, cores[1], STDERR_FILENO, &errors);
  usleep(500000);
  if (waitpid(tracer, NULL, WNOHANG) == 0)
    return;
  tracer = start(strace, cores[1], STDERR_FILENO, &errors);
  if (!read_until(errors, text, sizeof text, "attached")) {
    fprintf(stderr, "strace: %s", text);
    exit(1);
  }
}

/* Either tool's count is the last number that stands where it puts it. */
long target_untrace(const char *file) {
  char line[256];
  long calls = -1;
  end(&tracer, SIGINT);
  FILE *counts = fopen(file, "r");
  while (counts && fgets(line, sizeof line, counts))
    if (sscanf(line, "%ld,,raw_syscalls", &calls) != 1)
      sscanf(line, "total %ld", &calls);
  if (counts)
    fclose(counts);
  return calls;
}

void target_profile(char *file) {
  char pid[16];
  int errors;
  snprintf(pid, sizeof pid, "%d", (int)target);
  char *perf[] = {"perf", "record", "-q", "-e", "cpu-clock", "-F",
                  "2000", "-o",     file, "-p", pid,         NULL};
  tracer = start(perf, cores[1], STDERR_FILENO, &errors);
}

void target_unprofile(void) {
  end(&tracer, SIGINT);
}

int64_t target_run(char **command, struct rusage *usage) {
  char text[256];
  int status;
  int64_t begin = clock_ns(CLOCK_MONOTONIC);
  target = start(command, cores[0], STDOUT_FILENO, &output);
  must(wait4(target, &status, 0, usage), "wait4");
  int64_t life = clock_ns(CLOCK_MONOTONIC) - begin;
  target = 0;
  (void)!read(output, text, sizeof text);
  close(output);
  if (status) {
    fprintf(stderr, "%s failed\n", command[0]);
    exit(1);
  }
  return life;
}
