// From just before a write to a socket pair until the other end's thread is out of epoll_wait; it answers with a byte.
// Arguments: `send`, to write to fd 3, which somebody else reads; or `receive`, with a sender of its own; then the pause
// before a write in ms, how many to send without one first, how many to measure.
#include "common.h"
#include <sys/wait.h>

static double pause_ms;
static int warmup, samples;

// Each write is the time in nanoseconds, once the one before was answered.
static void send_all(int fd) {
  check(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK), "fcntl");
  struct timeval patience = {5, 0};
  check(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), "setsockopt");
  for (int i = 0; i < samples; i++) {
    if (i >= warmup) sleep_ms(pause_ms);
    char answer;
    int64_t now = now_ns();
    check(write(fd, &now, sizeof now), "write");
    check(read(fd, &answer, 1), "read");
  }
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void receive_all(int fd) {
  double *latencies = calloc(samples, sizeof *latencies);
  int epfd = check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1"), received = 0;
  add_fd(epfd, fd, EPOLLIN | EPOLLET, 0);
  while (received < samples) {
    struct epoll_event event;
    int64_t sent;
    check(epoll_wait(epfd, &event, 1, -1), "epoll_wait");
    int64_t now = now_ns();
    if (check(read(fd, &sent, sizeof sent), "read") == 0) break;
    latencies[received++] = (now - sent) / 1000.0;
    check(write(fd, "", 1), "write");
  }
  qsort(latencies + warmup, samples - warmup, sizeof *latencies, ascending);
  int middle = warmup + (samples - warmup) / 2, last = warmup + (int)((samples - warmup) * 0.99);
  printf("RESULT {\"values\":{\"p50\":%f,\"p99\":%f},\"sent\":%d,\"received\":%d}\n", latencies[middle], latencies[last],
         samples, received);
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  pause_ms = atof(argv[2]);
  warmup = atoi(argv[3]);
  samples = warmup + atoi(argv[4]);
  if (strcmp(argv[1], "send") == 0) {
    send_all(3);
    return 0;
  }
  int pair[2], status;
  check(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
  pid_t sender = check(fork(), "fork");
  check(close(pair[sender == 0]), "close");
  if (sender == 0) {
    send_all(pair[0]);
    return 0;
  }
  receive_all(pair[1]);
  check(waitpid(sender, &status, 0), "waitpid");
  return status != 0;
}
