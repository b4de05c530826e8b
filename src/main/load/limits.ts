/** Whether this machine lets a process open so many connections: said before any is opened. */
import { readdirSync, readFileSync } from 'node:fs';
import { outOfRange } from '../../shared/errors.js';
import type { LoadPlan } from './options.js';

/** Connections that are being opened at a time: more are not faster, and a server's backlog is no longer. */
const OPENING = 128;
/** What the service has open for itself, and for each thread (Node's event loop and its ways to wake it). */
const OF_SERVICE = 7;
const OF_THREAD = 4;

export interface MachineLimits {
  /** RLIMIT_NOFILE, and how many fds the process has open. */
  readonly files: number;
  readonly open: number;
  /** Local ports for connections to one address. */
  readonly ports: number;
}

/** @throws RangeError ERR_OUT_OF_RANGE that names the limit */
export function checkLimits(
  { connections, threads, rate, target }: LoadPlan,
  limits: MachineLimits = readLimits(),
): void {
  const timer = rate > 0 ? 1 : 0;
  const most = limits.files - limits.open - OF_SERVICE - OF_THREAD * threads - timer;
  if (connections > most) {
    const words = most > 0 ? `at most ${most} here` : `tested with fewer than ${threads} threads, or more open files`;
    throw outOfRange(
      'connections',
      `${words}: the limit of open files, RLIMIT_NOFILE (ulimit -n), is ${limits.files}`,
      connections,
    );
  }
  if (target.socketPath === undefined && connections > limits.ports) {
    throw outOfRange(
      'connections',
      `at most ${limits.ports} here: so many local ports has the sysctl net.ipv4.ip_local_port_range`,
      connections,
    );
  }
}

/** How many connections may be opened at a time. */
export function openingAtATime(): number {
  return OPENING;
}

/** What cannot be read is no limit. */
function readLimits(): MachineLimits {
  const [, files] = /^Max open files\s+(\d+)/m.exec(contents('/proc/self/limits')) ?? [];
  const [low, high] = contents('/proc/sys/net/ipv4/ip_local_port_range').trim().split(/\s+/).map(Number);
  return {
    files: files === undefined ? Number.POSITIVE_INFINITY : Number(files),
    open: countOpen(),
    ports: low && high ? high - low + 1 : Number.POSITIVE_INFINITY,
  };
}

function contents(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function countOpen(): number {
  try {
    // The folder itself is among them.
    return readdirSync('/proc/self/fd').length - 1;
  } catch {
    return 0;
  }
}
