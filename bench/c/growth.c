// Busy eventfds that are written again when they were read, beside idle registrations.
// Arguments: busy, idle, warm-up ms, measured ms.
#include "common.h"

#define BATCH 64

static int epfd;
static atomic_int stop;
static _Atomic int64_t received, sent;

static void *loop(void *unused) {
  static const uint64_t one = 1;
  struct epoll_event events[BATCH];
  while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
    int n = check(epoll_wait(epfd, events, BATCH, 20), "epoll_wait");
    for (int i = 0; i < n; i++) {
      uint64_t value;
      if (read(events[i].data.fd, &value, 8) != 8) continue;
      atomic_store_explicit(&received, received + value, memory_order_relaxed);
      check(write(events[i].data.fd, &one, 8), "write");
      atomic_store_explicit(&sent, sent + 1, memory_order_relaxed);
    }
  }
  return unused;
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  int busy = atoi(argv[1]), idle = atoi(argv[2]);
  int *fds = calloc(busy, sizeof *fds);
  epfd = check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  for (int i = 0; i < idle; i++) {
    int fd = eventfd(0, EFD_NONBLOCK);
    if (fd < 0) {
      printf("RESULT {\"skipped\":\"%s: this process may not open %d files\"}\n", strerror(errno), idle);
      return 0;
    }
    add_fd(epfd, fd, EPOLLIN | EPOLLET, fd);
  }
  for (int i = 0; i < busy; i++) {
    fds[i] = check(eventfd(1, EFD_NONBLOCK), "eventfd");
    add_fd(epfd, fds[i], EPOLLIN | EPOLLET, fds[i]);
  }
  pthread_t thread;
  pthread_create(&thread, NULL, loop, NULL);
  while (received == 0) sleep_ms(1);
  sleep_ms(atof(argv[3]));
  int64_t from = now_ns(), before = received;
  sleep_ms(atof(argv[4]));
  while (received == before) sleep_ms(1);
  double cost = (double)(now_ns() - from) / (received - before);
  stop = 1;
  pthread_join(thread, NULL);
  int64_t total = received;
  for (int i = 0; i < busy; i++) {
    uint64_t value;
    if (read(fds[i], &value, 8) == 8) total += value;
  }
  printf("RESULT {\"values\":{\"cost\":%f},\"sent\":%lld,\"received\":%lld}\n", cost, (long long)(busy + sent),
         (long long)total);
  return 0;
}
