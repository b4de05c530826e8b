/* What a Node that was linked with glibc asks of it beyond what musl has. For the smoke test alone. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *handle) {
  (void)handle;
  return pthread_atfork(prepare, parent, child);
}

int fcntl64(int fd, int command, ...) {
  va_list list;
  va_start(list, command);
  void *argument = va_arg(list, void *);
  va_end(list);
  return fcntl(fd, command, argument);
}

const char *gnu_get_libc_version(void) { return "2.28"; }

int __res_init(void) { return 0; }

int backtrace(void **frames, int size) {
  (void)frames, (void)size;
  return 0;
}

char **backtrace_symbols(void *const *frames, int size) {
  (void)frames, (void)size;
  return NULL;
}

void backtrace_symbols_fd(void *const *frames, int size, int fd) { (void)frames, (void)size, (void)fd; }

/* libgcc then asks dl_iterate_phdr. */
int _dl_find_object(void *address, void *result) {
  (void)address, (void)result;
  return -1;
}

/* OpenSSL's async jobs, which nobody starts here. */
int getcontext(void *context) {
  (void)context;
  return -1;
}
void makecontext(void *context, void (*call)(void), int count, ...) { (void)context, (void)call, (void)count, abort(); }
int setcontext(const void *context) {
  (void)context;
  return -1;
}

int __atomic_compare_exchange_bytes(size_t size, void *at, void *expected, void *desired) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&lock);
  int same = memcmp(at, expected, size) == 0;
  memcpy(same ? at : expected, same ? desired : at, size);
  pthread_mutex_unlock(&lock);
  return same;
}
void *__libc_stack_end = 0;

/* Of libgcc itself, which asks for them by a version; musl knows no versions. */
struct {
  unsigned words[4];
} __cpu_model;
int __cpu_indicator_init(void) { return 0; }
