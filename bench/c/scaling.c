// What the steps of an event cost, alone and with another core: the input of bench/scaling/, and what its results are held against.
// Arguments: "steps", "line", "away", "wake", or "loop KIND threads instances batch handler-ns ms".
#include "common.h"
#include <sched.h>

#define FDS 64
#define MAX_THREADS 8
#define ROUNDS 1000

static const uint64_t one = 1;
static int fds[FDS];
static int epfd;

static void pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  check(sched_setaffinity(0, sizeof set, &set), "sched_setaffinity");
}

static void write_all(void) {
  for (int i = 0; i < FDS; i++) check(write(fds[i], &one, 8), "write");
}

static void read_all(void) {
  uint64_t value;
  for (int i = 0; i < FDS; i++) check(read(fds[i], &value, 8), "read");
}

static void wait_all(int batch) {
  struct epoll_event events[FDS];
  for (int n = 0; n < FDS; n += batch) {
    if (check(epoll_wait(epfd, events, batch, 0), "epoll_wait") != batch) exit(1);
  }
}

static void wait_for_nothing(void) {
  struct epoll_event event;
  for (int i = 0; i < FDS; i++) check(epoll_wait(epfd, &event, 1, 0), "epoll_wait");
}

static void note(int64_t *least, int64_t from) {
  int64_t took = now_ns() - from;
  if (took < *least) *least = took;
}

static void *sleeper(void *arg) {
  pause();
  return arg;
}

// One thread: ns for each call, the least of many rounds, since what else the machine does only adds to it.
static void steps(void) {
  enum { PLAIN, WATCHED, EMPTY, READ, FETCH, KINDS = FETCH + 4 };
  static const int batches[] = {1, 4, 16, 64};
  int64_t least[KINDS];
  for (int i = 0; i < KINDS; i++) least[i] = INT64_MAX;
  // Where a process has one thread only, the kernel counts no uses of a file.
  pthread_t id;
  pthread_create(&id, NULL, sleeper, NULL);
  pin(0);
  for (int i = 0; i < FDS; i++) fds[i] = check(eventfd(0, EFD_NONBLOCK), "eventfd");
  for (int i = 0; i < ROUNDS; i++) {
    int64_t from = now_ns();
    write_all();
    note(&least[PLAIN], from);
    read_all();
  }
  epfd = check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  for (int i = 0; i < FDS; i++) add_fd(epfd, fds[i], EPOLLIN | EPOLLET, i);
  for (int i = 0; i < ROUNDS; i++) {
    for (int b = 0; b < 4; b++) {
      int64_t from = now_ns();
      write_all();
      note(&least[WATCHED], from);
      from = now_ns();
      wait_all(batches[b]);
      note(&least[FETCH + b], from);
      from = now_ns();
      read_all();
      note(&least[READ], from);
      from = now_ns();
      wait_for_nothing();
      note(&least[EMPTY], from);
    }
  }
  static const char *names[] = {"plainWrite", "watchedWrite", "emptyWait", "read", "fetch1", "fetch4", "fetch16", "fetch64"};
  printf("RESULT {");
  for (int i = 0; i < KINDS; i++) printf("%s\"%s\":%.1f", i ? "," : "", names[i], (double)least[i] / FDS);
  printf("}\n");
}

static atomic_int turn;
static int64_t least_fetch = INT64_MAX, least_read = INT64_MAX, least_write = INT64_MAX;
static int64_t least_trip = INT64_MAX;

// Whoever waits in vain for long gives its core to others: the one that it waits for may need it.
static void until(atomic_int *word, int value) {
  for (int i = 1; atomic_load(word) != value; i++) {
    if (i % 10000 == 0) sched_yield();
  }
}

static void *take_turns(void *arg) {
  int me = (int)(long)arg;
  pin(me);
  for (int i = 0; i < ROUNDS; i++) {
    until(&turn, me);
    int64_t from = now_ns();
    wait_all(FDS);
    note(&least_fetch, from);
    from = now_ns();
    read_all();
    note(&least_read, from);
    from = now_ns();
    write_all();
    note(&least_write, from);
    atomic_store(&turn, !me);
  }
  return NULL;
}

#define TRIPS 100

static void *go_and_come(void *arg) {
  int me = (int)(long)arg;
  pin(me);
  for (int i = 0; i < 100; i++) {
    int64_t from = now_ns();
    for (int trip = 0; trip < TRIPS; trip++) {
      until(&turn, me);
      atomic_store(&turn, !me);
    }
    if (me == 0) note(&least_trip, from);
  }
  return NULL;
}

static void on_two(void *(*run)(void *)) {
  pthread_t ids[2];
  atomic_store(&turn, 0);
  for (long t = 0; t < 2; t++) pthread_create(&ids[t], NULL, run, (void *)t);
  for (int t = 0; t < 2; t++) pthread_join(ids[t], NULL);
}

// How long a word takes from one core to the other, in ns. A virtual machine's cores are now neighbours, now not.
static double line(void) {
  least_trip = INT64_MAX;
  on_two(go_and_come);
  return (double)least_trip / TRIPS / 2;
}

// Two threads in turn, never at once: what an event costs whose data the other core has touched last.
static void away(void) {
  epfd = check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  for (int i = 0; i < FDS; i++) {
    fds[i] = check(eventfd(0, EFD_NONBLOCK), "eventfd");
    add_fd(epfd, fds[i], EPOLLIN | EPOLLET, i);
  }
  write_all();
  on_two(take_turns);
  printf("RESULT {\"fetch64\":%.1f,\"read\":%.1f,\"write\":%.1f,\"line\":%.1f}\n", (double)least_fetch / FDS, (double)least_read / FDS,
         (double)least_write / FDS, line());
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

#define NAPS 500

static _Atomic int64_t woken_at;
static atomic_int asleep;

static void *wait_for_one(void *arg) {
  struct epoll_event event;
  uint64_t value;
  pin(1);
  for (int i = 0; i < ROUNDS; i++) {
    asleep = 1;
    check(epoll_wait(epfd, &event, 1, -1), "epoll_wait");
    woken_at = now_ns();
    check(read(fds[0], &value, 8), "read");
  }
  return arg;
}

// What a write takes that wakes a thread, and how long after its end the thread runs.
static void wake(void) {
  pthread_t id;
  int64_t least_write = INT64_MAX, least_after = INT64_MAX;
  epfd = check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  fds[0] = check(eventfd(0, EFD_NONBLOCK), "eventfd");
  add_fd(epfd, fds[0], EPOLLIN | EPOLLET, 0);
  pin(0);
  pthread_create(&id, NULL, wait_for_one, NULL);
  for (int i = 0; i < ROUNDS; i++) {
    until(&asleep, 1);
    asleep = 0;
    // Time to fall asleep.
    for (int64_t until = now_ns() + 20000; now_ns() < until;) {
    }
    woken_at = 0;
    int64_t from = now_ns();
    check(write(fds[0], &one, 8), "write");
    int64_t written = now_ns();
    while (woken_at == 0) {
    }
    if (written - from < least_write) least_write = written - from;
    if (woken_at - from < least_after) least_after = woken_at - from;
  }
  pthread_join(id, NULL);
  // As `perf bench epoll wait` sleeps; what is usual counts here, not the least.
  double naps[NAPS];
  for (int i = 0; i < NAPS; i++) {
    int64_t from = now_ns();
    nanosleep(&(struct timespec){0, 500}, NULL);
    naps[i] = now_ns() - from;
  }
  qsort(naps, NAPS, sizeof *naps, ascending);
  printf("RESULT {\"wakingWrite\":%lld,\"awake\":%lld,\"nap\":%.0f}\n", (long long)least_write, (long long)least_after, naps[NAPS / 2]);
}

// Threads that do the same at once, each on a core of its own.
static struct {
  int epfd;
  int fds[FDS];
  pthread_t id;
  _Alignas(64) _Atomic int64_t count;
} state[MAX_THREADS];
static int threads, instances, batch;
static int64_t handler_ns;
static int64_t end_at;
static atomic_int stop, begun;
static double rates[100000];
static int windows, whole;

static int64_t cpu_ns(pthread_t id) {
  clockid_t clock;
  struct timespec t;
  pthread_getcpuclockid(id, &clock);
  clock_gettime(clock, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

// The first thread looks at all of them now and then: only a time in which each had its core to itself is counted.
static void look(void) {
  static int64_t at, count, cpu[MAX_THREADS];
  int64_t now = now_ns();
  int64_t window = handler_ns > 25000 ? 40 * handler_ns : 1000000;
  if (at != 0 && now - at < window) return;
  int64_t total = 0;
  int had_all = at != 0;
  for (int t = 0; t < threads; t++) {
    int64_t used = cpu_ns(state[t].id);
    if (used - cpu[t] < 0.98 * (now - at)) had_all = 0;
    cpu[t] = used;
    total += state[t].count;
  }
  windows++;
  if (had_all && whole < 100000) rates[whole++] = (total - count) * 1e9 / (now - at);
  count = total;
  at = now;
  if (now > end_at) stop = 1;
}

static void counted(long me, int64_t *count, int n) {
  int64_t before = *count;
  *count += n;
  atomic_store_explicit(&state[me].count, *count, memory_order_relaxed);
  if (me == 0 && before / 16 != *count / 16) look();
}

static void start_loop(long me) {
  pin((int)me);
  begun++;
  until(&begun, threads);
}

// Fetches what is always ready: ep->mtx, and little beside it.
static void *wait_loop(void *arg) {
  long me = (long)arg;
  int64_t count = 0;
  struct epoll_event events[FDS];
  start_loop(me);
  while (!stop) counted(me, &count, check(epoll_wait(state[me].epfd, events, batch, 100), "epoll_wait"));
  return NULL;
}

// A service: each run reads, computes, and writes what makes its own fd ready again.
static void *cycle_loop(void *arg) {
  long me = (long)arg;
  int64_t count = 0;
  uint64_t value;
  struct epoll_event events[FDS];
  start_loop(me);
  while (!stop) {
    int n = check(epoll_wait(state[me].epfd, events, batch, 100), "epoll_wait");
    for (int i = 0; i < n; i++) {
      int fd = events[i].data.fd;
      check(read(fd, &value, 8), "read");
      if (handler_ns > 0) {
        for (int64_t until = now_ns() + handler_ns; now_ns() < until;) {
        }
      }
      check(write(fd, &one, 8), "write");
      counted(me, &count, 1);
    }
  }
  return NULL;
}

static void loop(char **argv) {
  char kind = argv[2][1];
  threads = atoi(argv[3]);
  instances = atoi(argv[4]);
  batch = atoi(argv[5]);
  handler_ns = atol(argv[6]);
  if (threads < 1 || threads > MAX_THREADS || instances < 1 || instances > threads || batch < 1 || batch > FDS) exit(2);
  uint32_t mask = kind == 'a' ? EPOLLIN : EPOLLIN | EPOLLET;
  for (int t = 0; t < threads; t++) {
    state[t].epfd = t < instances ? check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1") : state[t % instances].epfd;
    for (int i = 0; i < FDS; i++) {
      int fd = state[t].fds[i] = check(eventfd(1, EFD_NONBLOCK), "eventfd");
      add_fd(state[t].epfd, fd, mask, fd);
    }
  }
  double trip = threads > 1 ? line() : 0;
  end_at = now_ns() + (int64_t)(atof(argv[7]) * 1e6);
  void *(*run)(void *) = kind == 'a' ? wait_loop : cycle_loop;
  for (long t = 1; t < threads; t++) pthread_create(&state[t].id, NULL, run, (void *)t);
  state[0].id = pthread_self();
  run((void *)0);
  for (int t = 1; t < threads; t++) pthread_join(state[t].id, NULL);
  qsort(rates, whole, sizeof *rates, ascending);
  double quarter = whole ? rates[whole / 4] : 0, half = whole ? rates[whole / 2] : 0, most = whole ? rates[whole * 3 / 4] : 0;
  printf("RESULT {\"rate\":%.0f,\"quartiles\":[%.0f,%.0f],\"whole\":%d,\"windows\":%d,\"line\":%.1f}\n", half, quarter, most, whole, windows - 1,
         trip);
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "steps") == 0) steps();
  else if (argc == 2 && strcmp(argv[1], "line") == 0) printf("RESULT {\"line\":%.1f}\n", line());
  else if (argc == 2 && strcmp(argv[1], "away") == 0) away();
  else if (argc == 2 && strcmp(argv[1], "wake") == 0) wake();
  else if (argc == 8 && strcmp(argv[1], "loop") == 0) loop(argv);
  else return 2;
  return 0;
}
