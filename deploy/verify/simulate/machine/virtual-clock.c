/*
 * Loaded into redis-server with LD_PRELOAD: its wall clock is the one of the simulation, and its random seeds are fixed.
 *
 * The file named by HM_VIRTUAL_CLOCK holds the time as a 64-bit number of microseconds since the epoch, in the byte order
 * of this machine. TIME, expiry, stream ids and idle times follow it. The monotonic clock, which drives the server's own
 * event loop, stays real. Each hash table has the same seed in every run, so that SCAN and HGETALL keep their order.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static volatile int64_t *virtual_us;

__attribute__((constructor)) static void open_clock(void) {
  const char *path = getenv("HM_VIRTUAL_CLOCK");
  int file = path == NULL ? -1 : open(path, O_RDONLY);
  void *page = file < 0 ? MAP_FAILED : mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
  if (page == MAP_FAILED) {
    fprintf(stderr, "virtual-clock: HM_VIRTUAL_CLOCK: expected a file of 8 bytes, got %s\n", path == NULL ? "nothing" : path);
    exit(78);
  }
  virtual_us = page;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone) {
  (void)zone;
  int64_t us = *virtual_us;
  tv->tv_sec = us / 1000000;
  tv->tv_usec = us % 1000000;
  return 0;
}

time_t time(time_t *result) {
  time_t seconds = *virtual_us / 1000000;
  if (result != NULL) *result = seconds;
  return seconds;
}

static FILE *open_file(const char *path, const char *mode) {
  static FILE *(*real)(const char *, const char *);
  if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "fopen");
  return real(strcmp(path, "/dev/urandom") == 0 ? "/dev/zero" : path, mode);
}

FILE *fopen(const char *path, const char *mode) { return open_file(path, mode); }

/* The name under which a build for large files calls it. */
FILE *fopen64(const char *path, const char *mode) { return open_file(path, mode); }
