/** Runs a module's source in a child process under the machine's limits, as another user if need be. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import { ROOT } from './run.ts';
import { type Refusal, underFilter } from './seccomp.ts';

export interface Limits {
  /** RLIMIT_NOFILE, soft and hard; 'most': as many as the machine lets. */
  readonly fds?: number | 'most';
  /** RLIMIT_NPROC: processes and threads of the user; nothing to root. */
  readonly tasks?: number;
  /** A user id, who has no privileges; only for root to give. */
  readonly uid?: number;
  /** System calls that a seccomp filter refuses; needs what `noSeccomp` tells of. */
  readonly refuse?: readonly Refusal[];
  /** Options of Node's. */
  readonly node?: readonly string[];
}

export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Beside the public names: print, until (10 s), total (runs of a service), countFds, countThreads, root (the package's URL). */
const PRELUDE = `
import { readdirSync } from 'node:fs';
import * as lib from 'epoll-pool';
import * as sys from 'epoll-pool/sys';
const { Epoll, WaitService, EPOLLIN, EPOLLOUT, EPOLLET, EPOLLONESHOT } = lib;
const root = ${JSON.stringify(pathToFileURL(`${ROOT}/`).href)};
const print = (...words) => console.log(...words);
const countFds = () => readdirSync('/proc/self/fd').length - 1;
const countThreads = () => readdirSync('/proc/self/task').length;
const total = (service, field = 'handled') => service.stats().threads.reduce((sum, thread) => sum + thread[field], 0);
async function until(condition, ms = 10_000) {
  for (const limit = performance.now() + ms; !condition(); await new Promise(resolve => setTimeout(resolve, 2))) {
    if (performance.now() > limit) throw new Error('not after ' + ms + ' ms: ' + condition);
  }
}
countFds();
`;

/** Why a child cannot run as that user; undefined: it can. Folders on the way may be the owner's alone. */
export function obstacleTo(uid: number): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  const args = ['--input-type=module', '-e', "await import('epoll-pool')"];
  const { status, error } = spawnSync(process.execPath, args, { cwd: ROOT, uid, gid: uid, timeout: 20_000 });
  return status === 0 ? undefined : `another user cannot run the package from this folder: ${error ?? status}`;
}

/** @param onText is told what the child prints, as it comes; the child is killed after `milliseconds` */
export async function runLimited(
  limits: Limits,
  source: string,
  milliseconds = 25_000,
  onText: (text: string) => void = () => {},
): Promise<Outcome> {
  const { fds } = limits;
  const limit = fds === undefined ? 'true' : `ulimit -n ${fds === 'most' ? '$(ulimit -Hn)' : fds}`;
  const raise = fds === 'most' ? 'for n in 1048576 200000 110000; do ulimit -n $n 2>/dev/null && break; done; ' : '';
  const tasks =
    limits.tasks === undefined ? 'true' : `{ ulimit -u ${limits.tasks} 2>&- || ulimit -p ${limits.tasks}; }`;
  const script = `${raise}${limit} && ${tasks}; exec "$@"`;
  const node = [process.execPath, ...(limits.node ?? []), '--expose-gc', '--input-type=module', '-e', PRELUDE + source];
  const command = limits.refuse === undefined ? node : underFilter(limits.refuse, node);
  const child = spawn('sh', ['-c', script, 'sh', ...command], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: milliseconds,
    killSignal: 'SIGKILL',
    ...(limits.uid !== undefined && { uid: limits.uid, gid: limits.uid }),
  });
  child.stdout.on('data', chunk => onText(String(chunk)));
  const [stdout, stderr, [code, signal]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ]);
  return { code, signal, stdout, stderr };
}
