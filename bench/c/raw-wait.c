// Each thread writes to 64 fds, waits for up to 64 edges on one shared epoll instance, and reads what is ready.
// Arguments: "eventfd" or "tcp", threads, warm-up ms, measured ms.
#include "common.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#define FDS 64
#define MAX_THREADS 64
#define MESSAGE 1024
#define ROOM 4096

static int tcp;
static int epfd;
static atomic_int stop;
static struct {
  int in[FDS], out[FDS];
  _Alignas(64) _Atomic int64_t sent;
  _Alignas(64) _Atomic int64_t received;
} state[MAX_THREADS];

static void tcp_pair(int *a, int *b) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int one = 1;
  int server = check(socket(AF_INET, SOCK_STREAM, 0), "socket");
  check(bind(server, (struct sockaddr *)&address, length), "bind");
  check(listen(server, 1), "listen");
  check(getsockname(server, (struct sockaddr *)&address, &length), "getsockname");
  *a = check(socket(AF_INET, SOCK_STREAM, 0), "socket");
  check(connect(*a, (struct sockaddr *)&address, length), "connect");
  *b = check(accept(server, NULL, NULL), "accept");
  close(server);
  for (int i = 0; i < 2; i++) {
    int fd = i ? *a : *b;
    check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), "setsockopt");
    check(fcntl(fd, F_SETFL, O_NONBLOCK), "fcntl");
  }
}

// All that is there, in units of what one write sends.
static int64_t read_all(int fd, char *buffer, int room) {
  int64_t units = 0;
  for (;;) {
    long n = read(fd, buffer, room);
    if (n <= 0) return units;
    if (tcp) units += n;
    else units += *(uint64_t *)buffer;
    if (n < room) return units;
  }
}

static void *loop(void *arg) {
  long me = (long)arg;
  static const uint64_t one = 1;
  char message[MESSAGE] = {0};
  char buffer[ROOM];
  struct epoll_event events[FDS];
  int64_t sent = 0, received = 0;
  int room = tcp ? ROOM : 16;
  while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
    for (int i = 0; i < FDS; i++) {
      long n = tcp ? write(state[me].out[i], message, MESSAGE) : write(state[me].out[i], &one, 8);
      if (n > 0) sent += tcp ? n : 1;
    }
    int n = check(epoll_wait(epfd, events, FDS, 20), "epoll_wait");
    for (int i = 0; i < n; i++) received += read_all(events[i].data.fd, buffer, room);
    atomic_store_explicit(&state[me].sent, sent, memory_order_relaxed);
    atomic_store_explicit(&state[me].received, received, memory_order_relaxed);
  }
  return NULL;
}

static int64_t total(int threads, int received) {
  int64_t sum = 0;
  for (int i = 0; i < threads; i++) sum += received ? state[i].received : state[i].sent;
  return sum;
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  tcp = strcmp(argv[1], "tcp") == 0;
  int threads = atoi(argv[2]);
  if (threads < 1 || threads > MAX_THREADS) return 2;
  pthread_t ids[MAX_THREADS];
  epfd = check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  for (int t = 0; t < threads; t++) {
    for (int i = 0; i < FDS; i++) {
      if (tcp) tcp_pair(&state[t].out[i], &state[t].in[i]);
      else state[t].in[i] = state[t].out[i] = check(eventfd(0, EFD_NONBLOCK), "eventfd");
      add_fd(epfd, state[t].in[i], EPOLLIN | EPOLLET, state[t].in[i]);
    }
  }
  for (long t = 0; t < threads; t++) pthread_create(&ids[t], NULL, loop, (void *)t);
  while (total(threads, 1) == 0) sleep_ms(1);
  sleep_ms(atof(argv[3]));
  int64_t from = now_ns(), before = total(threads, 1);
  double cpu = cpu_us();
  sleep_ms(atof(argv[4]));
  // On a machine that is busy with other things not one event may have come: without one there is nothing to divide by.
  while (total(threads, 1) == before) sleep_ms(1);
  double events = (total(threads, 1) - before) / (tcp ? (double)MESSAGE : 1), seconds = (now_ns() - from) / 1e9;
  cpu = cpu_us() - cpu;
  stop = 1;
  for (int t = 0; t < threads; t++) pthread_join(ids[t], NULL);
  int64_t received = total(threads, 1);
  char buffer[ROOM];
  for (int t = 0; t < threads; t++) {
    for (int i = 0; i < FDS; i++) received += read_all(state[t].in[i], buffer, tcp ? ROOM : 16);
  }
  printf("RESULT {\"values\":{\"rate\":%f,\"cpu\":%f},\"sent\":%lld,\"received\":%lld}\n", events / seconds, cpu / events,
         (long long)total(threads, 0), (long long)received);
  return 0;
}
