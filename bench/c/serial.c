// What epoll adds to an event, and at most how much of it one instance does one after the other: for docs/benchmarks.md.
// The least of many rounds: what else the machine does only adds to it.
#include "common.h"

#define FDS 64
#define ROUNDS 4000

static const uint64_t one = 1;
static int fds[FDS];
static int epfd;

static void write_all(void) {
  for (int i = 0; i < FDS; i++) check(write(fds[i], &one, 8), "write");
}

static void read_all(void) {
  uint64_t value;
  for (int i = 0; i < FDS; i++) check(read(fds[i], &value, 8), "read");
}

static void wait_all(void) {
  struct epoll_event events[FDS];
  if (check(epoll_wait(epfd, events, FDS, 0), "epoll_wait") != FDS) exit(1);
}

static void nothing(void) {}

// The least time of `call`, in ns for each fd; `before` and `after` are not counted.
static double least(void (*before)(void), void (*call)(void), void (*after)(void)) {
  int64_t best = INT64_MAX;
  for (int i = 0; i < ROUNDS; i++) {
    before();
    int64_t from = now_ns();
    call();
    int64_t took = now_ns() - from;
    after();
    if (took < best) best = took;
  }
  return (double)best / FDS;
}

static void wait_and_read(void) {
  wait_all();
  read_all();
}

int main(void) {
  for (int i = 0; i < FDS; i++) fds[i] = check(eventfd(0, EFD_NONBLOCK), "eventfd");
  double plain = least(nothing, write_all, read_all);
  epfd = check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  for (int i = 0; i < FDS; i++) add_fd(epfd, fds[i], EPOLLIN | EPOLLET, i);
  double watched = least(nothing, write_all, wait_and_read);
  double fetch = least(write_all, wait_all, read_all);
  printf("write to an eventfd: %.0f ns; to one that epoll watches: %.0f ns; its fetch, 64 at once: %.0f ns\n", plain, watched, fetch);
  double serial = watched - plain + fetch;
  printf("epoll's part of an event: %.0f ns, so at most %.1f million events/s for each instance\n", serial, 1000 / serial);
  return 0;
}
