/** Runs programs under a seccomp filter that refuses system calls, as sandboxes and container engines do. Needs gcc. */
import { spawnSync } from 'node:child_process';
import { existsSync, renameSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inject } from 'vitest';
import { hasGcc } from './gcc.ts';

export type Errno = keyof typeof constants.errno;

/** One system call, by a name that seccomp.c knows or by its number, and what it is answered with. */
export interface Refusal {
  readonly call: string | number;
  readonly errno: Errno;
  /** With this value of one argument alone: its index, from 0, and the value's low 32 bits. */
  readonly where?: { readonly argument: number; readonly is: number };
}

/** How to write one: `refusal('kcmp', 'EPERM')`. */
export function refusal(call: Refusal['call'], errno: Errno, where?: Refusal['where']): Refusal {
  return { call, errno, ...(where && { where }) };
}

/**
 * What the default profiles of Docker, containerd and podman refuse a process without capabilities. Those profiles are
 * lists of what is allowed; this is what is missing from them that a program such as Node or this package could think of.
 * epoll_pwait2 is missing from those that are older than 2021.
 */
export const CONTAINER_DEFAULTS: readonly Refusal[] = [
  ...[
    ...['acct', 'add_key', 'bpf', 'clock_adjtime', 'clock_settime', 'delete_module', 'epoll_pwait2', 'fanotify_init'],
    ...['finit_module', 'fsconfig', 'fsmount', 'fsopen', 'fspick', 'get_mempolicy', 'init_module', 'io_uring_enter'],
    ...['io_uring_register', 'io_uring_setup', 'kcmp', 'kexec_load', 'keyctl', 'lookup_dcookie', 'mbind', 'mount'],
    ...['move_mount', 'move_pages', 'name_to_handle_at', 'nfsservctl', 'open_by_handle_at', 'open_tree'],
    ...['perf_event_open', 'pidfd_getfd', 'pivot_root', 'process_madvise', 'process_vm_readv', 'process_vm_writev'],
    ...['ptrace', 'quotactl', 'reboot', 'request_key', 'set_mempolicy', 'setdomainname', 'sethostname', 'setns'],
    ...['settimeofday', 'swapoff', 'swapon', 'syslog', 'umount2', 'unshare', 'userfaultfd', 'vhangup'],
  ].map(call => refusal(call, 'EPERM')),
  refusal('clone3', 'ENOSYS'),
];

/** The built program: by whoever needs it first. Two that build it at once rename the same thing into the same place. */
function binary(): string {
  const program = join(inject('scratch'), 'seccomp');
  if (!existsSync(program)) {
    const source = fileURLToPath(new URL('seccomp.c', import.meta.url));
    const mine = `${program}.${process.pid}`;
    const built = spawnSync('gcc', ['-O1', '-Wall', '-o', mine, source], { encoding: 'utf8' });
    if (built.status !== 0) throw new Error(built.stderr);
    renameSync(mine, program);
  }
  return program;
}

/** The words that run a command under a filter: for spawn(words[0], words.slice(1)). */
export function underFilter(refusals: readonly Refusal[], command: readonly string[]): [string, ...string[]] {
  const rules = refusals.map(({ call, errno, where }) => {
    const when = where === undefined ? '' : `@${where.argument}:${where.is}`;
    return `${call}${when}=${constants.errno[errno]}`;
  });
  return [binary(), ...rules, '--', ...command];
}

/** Why there are no filters here; '' if there are. For test.skipIf() and a test's name. */
export const noSeccomp = obstacle();

function obstacle(): string {
  if (!hasGcc) return ' (skipped: no gcc to build the filter with)';
  const [program, ...args] = underFilter([refusal('kcmp', 'EPERM')], ['true']);
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  return status === 0 ? '' : ` (skipped: no filters here: ${stderr.trim()})`;
}
