/* The program under measurement: started on a core of its own, metered, and
 * ended whatever happens.
 * SPDX-License-Identifier: MIT */
#ifndef BENCH_TARGET_H
#define BENCH_TARGET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

/* Puts this process on the last allowed core, bounds its life in seconds, and
 * sees to it that what it starts dies with it. */
void target_prepare(unsigned seconds);

/* Gives this process and what it starts a loopback of their own, which no
 * firewall and no neighbour slows; false where the system does not allow it. */
int target_isolate(void);

/* Starts the command on the first allowed core, with the port appended. */
void target_start(char **command, int port);

/* The port that a server prints when it listens, or one for each socket. */
int target_port(void);
void target_ports(int *ports, int count);

/* Prints the next line that the program prints; whether there is one yet. */
void target_report(void);
int target_reports(void);

/* Runs another command on our own core until it is interrupted after so many
 * seconds; what it printed, up to its end. */
void target_beside(char **command, double seconds, char *text, size_t size);

/* Starts the other end on our own core, by a command of the shell's; the port
 * that it prints. */
int target_other(const char *command);

/* User and system time so far, in nanoseconds, all threads. */
int64_t target_cpu(void);

/* Resident memory in bytes. */
long target_rss(void);

/* Counts the system calls between the two calls, by way of a file. */
void target_trace(const char *file);
long target_untrace(const char *file);

/* Samples where the program is between the two calls, into perf's file. */
void target_profile(char *file);
void target_unprofile(void);

/* Runs the command once to its end; nanoseconds of its life. */
int64_t target_run(char **command, struct rusage *usage);

#endif
