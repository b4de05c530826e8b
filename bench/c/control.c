// EPOLL_CTL_ADD and EPOLL_CTL_DEL of idle eventfds while threads wait on the instance.
// Arguments: threads, fds, how many are added before they are deleted, warm-up ms, measured ms.
#include "common.h"

static int epfd;

static void *wait_for_the_end(void *unused) {
  struct epoll_event event;
  check(epoll_wait(epfd, &event, 1, -1), "epoll_wait");
  return unused;
}

static int64_t run(const int *fds, int count, int bulk, double ms, double *seconds) {
  int64_t from = now_ns(), done = 0;
  for (int at = 0; now_ns() - from < ms * 1e6; at = (at + bulk) % count) {
    for (int i = at; i < at + bulk; i++) add_fd(epfd, fds[i], EPOLLIN | EPOLLET, fds[i]);
    for (int i = at; i < at + bulk; i++) check(epoll_ctl(epfd, EPOLL_CTL_DEL, fds[i], NULL), "epoll_ctl");
    done += bulk;
  }
  *seconds = (now_ns() - from) / 1e9;
  return done;
}

int main(int argc, char **argv) {
  if (argc != 6) return 2;
  int threads = atoi(argv[1]), count = atoi(argv[2]), bulk = atoi(argv[3]);
  pthread_t *ids = calloc(threads, sizeof *ids);
  int *fds = calloc(count, sizeof *fds);
  epfd = check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  int exit_fd = check(eventfd(0, 0), "eventfd");
  add_fd(epfd, exit_fd, EPOLLIN, 0);
  for (int i = 0; i < count; i++) fds[i] = check(eventfd(0, EFD_NONBLOCK), "eventfd");
  for (int i = 0; i < threads; i++) pthread_create(&ids[i], NULL, wait_for_the_end, NULL);
  double seconds;
  int64_t total = run(fds, count, bulk, atof(argv[4]), &seconds);
  int64_t done = run(fds, count, bulk, atof(argv[5]), &seconds);
  total += done;
  uint64_t one = 1;
  check(write(exit_fd, &one, 8), "write");
  for (int i = 0; i < threads; i++) pthread_join(ids[i], NULL);
  // Every call that fails ends the program.
  printf("RESULT {\"values\":{\"rate\":%f},\"sent\":%lld,\"received\":%lld}\n", done / seconds, (long long)(2 * total),
         (long long)(2 * total));
  return 0;
}
