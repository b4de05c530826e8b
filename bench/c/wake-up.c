// From just before one thread writes to a socket pair until another is out of epoll_wait.
// Arguments: pause between writes in ms, how many to leave out first, how many to measure.
#include "common.h"
#include <linux/futex.h>
#include <sys/syscall.h>

static int pair[2];
static atomic_int turns;
static int samples;
static double *latencies;

static void *receive(void *unused) {
  int epfd = check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  add_fd(epfd, pair[1], EPOLLIN | EPOLLET, 0);
  for (int i = 0; i < samples; i++) {
    struct epoll_event event;
    int64_t sent;
    check(epoll_wait(epfd, &event, 1, -1), "epoll_wait");
    int64_t now = now_ns();
    check(read(pair[1], &sent, sizeof sent), "read");
    latencies[i] = (now - sent) / 1000.0;
    atomic_fetch_add(&turns, 1);
    syscall(SYS_futex, &turns, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
  }
  return unused;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  double pause = atof(argv[1]);
  int warmup = atoi(argv[2]), measured = atoi(argv[3]);
  samples = warmup + measured;
  latencies = calloc(samples, sizeof *latencies);
  check(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
  pthread_t receiver;
  pthread_create(&receiver, NULL, receive, NULL);
  for (int i = 0; i < samples; i++) {
    sleep_ms(pause);
    int64_t now = now_ns();
    check(write(pair[0], &now, sizeof now), "write");
    while (atomic_load(&turns) == i) syscall(SYS_futex, &turns, FUTEX_WAIT_PRIVATE, i, NULL, NULL, 0);
  }
  pthread_join(receiver, NULL);
  qsort(latencies + warmup, measured, sizeof *latencies, ascending);
  printf("RESULT {\"values\":{\"p50\":%f,\"p99\":%f},\"sent\":%d,\"received\":%d}\n", latencies[warmup + measured / 2],
         latencies[warmup + (int)(measured * 0.99)], samples, (int)turns);
  return 0;
}
