/* SPDX-License-Identifier: MIT */
#include "sys/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "sys/fd.h"

/* Who owns each signal: the pipe + 1, or 0. The only variables of the process
 * that neap has; several states on several threads may claim. */
static atomic_int owners[SIGNALS_MAX];
static atomic_int owner_pids[SIGNALS_MAX];
static struct sigaction before[SIGNALS_MAX];

static const struct {
  const char *name;
  int number;
} names[] = {
  {"HUP",    SIGHUP   },
  {"INT",    SIGINT   },
  {"QUIT",   SIGQUIT  },
  {"ABRT",   SIGABRT  },
  {"USR1",   SIGUSR1  },
  {"USR2",   SIGUSR2  },
  {"PIPE",   SIGPIPE  },
  {"ALRM",   SIGALRM  },
  {"TERM",   SIGTERM  },
  {"CHLD",   SIGCHLD  },
  {"CONT",   SIGCONT  },
  {"TSTP",   SIGTSTP  },
  {"TTIN",   SIGTTIN  },
  {"TTOU",   SIGTTOU  },
  {"URG",    SIGURG   },
  {"XCPU",   SIGXCPU  },
  {"XFSZ",   SIGXFSZ  },
  {"VTALRM", SIGVTALRM},
  {"PROF",   SIGPROF  },
  {"WINCH",  SIGWINCH },
  {"IO",     SIGIO    },
  {"TRAP",   SIGTRAP  },
  {"SYS",    SIGSYS   },
  {"KILL",   SIGKILL  },
  {"STOP",   SIGSTOP  },
  {"SEGV",   SIGSEGV  },
  {"BUS",    SIGBUS   },
  {"FPE",    SIGFPE   },
  {"ILL",    SIGILL   },
#ifdef SIGPWR
  {"PWR",    SIGPWR   },
#endif
};

int signals_number(const char *name) {
  size_t i;
  if (strncmp(name, "SIG", 3) == 0)
    name += 3;
  for (i = 0; i < countof(names); i++)
    if (strcmp(names[i].name, name) == 0)
      return names[i].number;
  return -EINVAL;
}

const char *signals_name(int number, char buf[SIGNALS_NAMELEN]) {
  size_t i;
  for (i = 0; i < countof(names); i++)
    if (names[i].number == number)
      return names[i].name;
  snprintf(buf, SIGNALS_NAMELEN, "%d", number);
  return buf;
}

int signals_pipe(int fds[2]) {
  return pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0 ? 0 : -errno;
}

/* A full pipe already holds enough to wake whoever waits. */
static void handler(int number) {
  int saved = errno;
  int fd = atomic_load(&owners[number]) - 1;
  unsigned char byte = (unsigned char)number;
  if (fd >= 0 && atomic_load(&owner_pids[number]) == sys_pid())
    while (write(fd, &byte, 1) == -1 && errno == EINTR)
      continue;
  errno = saved;
}

static int can_be_waited_for(int number) {
  switch (number) {
  case SIGKILL:
  case SIGSTOP:
  case SIGSEGV:
  case SIGBUS:
  case SIGFPE:
  case SIGILL:
    return 0;
  default:
    return number > 0 && number < SIGNALS_MAX;
  }
}

int signals_claim(int number, int fd) {
  struct sigaction action;
  int none = 0;
  if (!can_be_waited_for(number))
    return -EINVAL;
  if (!atomic_compare_exchange_strong(&owners[number], &none, fd + 1))
    return -EBUSY;
  atomic_store(&owner_pids[number], sys_pid());
  memset(&action, 0, sizeof action);
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigfillset(&action.sa_mask);
  if (sigaction(number, &action, &before[number]) == 0)
    return 0;
  none = errno;
  atomic_store(&owners[number], 0);
  return -none;
}

void signals_release(int number) {
  sigaction(number, &before[number], NULL);
  atomic_store(&owners[number], 0);
}
