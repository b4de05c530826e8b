/* Runs a command under a seccomp filter: each rule names a system call and the errno that it is answered with.
 *
 *   seccomp RULE... -- COMMAND [ARGUMENT...]
 *   RULE: call=errno, or call@argument:value=errno for that value alone (its low 32 bits)
 *
 * A call is a name of the table below or a number, an errno is a number. What has no rule is allowed. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#define RULES_MAX 512

#define CALL(name) { #name, SYS_##name }
static const struct {
  const char *name;
  long number;
} calls[] = {
    CALL(epoll_pwait2), CALL(kcmp), CALL(eventfd2), CALL(epoll_create1), CALL(epoll_ctl), CALL(epoll_pwait),
    CALL(timerfd_create), CALL(pipe2), CALL(socket), CALL(socketpair), CALL(accept4), CALL(bind), CALL(listen),
    CALL(connect), CALL(setsockopt), CALL(getsockopt), CALL(dup3), CALL(fcntl), CALL(openat), CALL(mmap), CALL(madvise),
    CALL(pidfd_open), CALL(pidfd_getfd), CALL(pidfd_send_signal), CALL(close_range), CALL(sched_setaffinity), CALL(ppoll),
    CALL(acct), CALL(add_key), CALL(bpf), CALL(clock_adjtime), CALL(clock_settime), CALL(clone3), CALL(delete_module),
    CALL(fanotify_init), CALL(finit_module), CALL(fsconfig), CALL(fsmount), CALL(fsopen), CALL(fspick), CALL(get_mempolicy),
    CALL(init_module), CALL(io_uring_enter), CALL(io_uring_register), CALL(io_uring_setup), CALL(kexec_load), CALL(keyctl),
    CALL(lookup_dcookie), CALL(mbind), CALL(migrate_pages), CALL(mount), CALL(move_mount), CALL(move_pages),
    CALL(name_to_handle_at), CALL(nfsservctl), CALL(open_by_handle_at), CALL(open_tree), CALL(perf_event_open),
    CALL(personality), CALL(pivot_root), CALL(process_madvise), CALL(process_vm_readv), CALL(process_vm_writev), CALL(ptrace),
    CALL(quotactl), CALL(reboot), CALL(request_key), CALL(set_mempolicy), CALL(setdomainname), CALL(sethostname), CALL(setns),
    CALL(settimeofday), CALL(swapoff), CALL(swapon), CALL(syslog), CALL(umount2), CALL(unshare), CALL(userfaultfd),
    CALL(vhangup),
#ifdef SYS_epoll_wait
    CALL(epoll_wait), CALL(poll), CALL(pipe), CALL(open), CALL(eventfd), CALL(epoll_create),
#endif
};

static long number_of(const char *name, size_t length) {
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    if (strlen(calls[i].name) == length && strncmp(calls[i].name, name, length) == 0) return calls[i].number;
  char *end;
  long number = strtol(name, &end, 10);
  if (end != name + length || length == 0) {
    fprintf(stderr, "seccomp: unknown call: %.*s\n", (int)length, name);
    exit(125);
  }
  return number;
}

int main(int argc, char **argv) {
  static struct sock_filter filter[RULES_MAX * 5 + 2];
  unsigned short n = 0;
  int at = 1;
  for (; at < argc && strcmp(argv[at], "--") != 0; at++) {
    char *rule = argv[at], *equals = strrchr(rule, '=');
    if (equals == NULL || at > RULES_MAX) {
      fprintf(stderr, "seccomp: no rule: %s\n", rule);
      return 125;
    }
    size_t length = strcspn(rule, "@=");
    struct sock_filter load = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    struct sock_filter answer = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)atoi(equals + 1));
    filter[n++] = load;
    if (rule[length] == '@') {
      char *colon;
      long argument = strtol(rule + length + 1, &colon, 10);
      struct sock_filter call = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number_of(rule, length), 0, 3);
      struct sock_filter take = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 8 * argument);
      struct sock_filter value = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, strtoul(colon + 1, NULL, 10), 0, 1);
      filter[n++] = call;
      filter[n++] = take;
      filter[n++] = value;
    } else {
      struct sock_filter call = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number_of(rule, length), 0, 1);
      filter[n++] = call;
    }
    filter[n++] = answer;
  }
  struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  filter[n++] = allow;
  if (at + 1 >= argc) {
    fprintf(stderr, "seccomp: no command\n");
    return 125;
  }
  struct sock_fprog program = {.len = n, .filter = filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
    fprintf(stderr, "seccomp: %s\n", strerror(errno));
    return 125;
  }
  execvp(argv[at + 1], argv + at + 1);
  fprintf(stderr, "seccomp: %s: %s\n", argv[at + 1], strerror(errno));
  return 127;
}
