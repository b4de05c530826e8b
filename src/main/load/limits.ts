/** Whether this machine lets a process open so many connections: said before any is opened. */
import { readdirSync, readFileSync } from 'node:fs';
import { outOfRange } from '../../shared/errors.js';
import type { LoadPlan } from './options.js';

/** Connections that Node is opening have two fds for a moment; a few more for the service and whatever comes up. */
export const OPENING = 128;
const OTHERS = 64;

export interface MachineLimits {
  /** RLIMIT_NOFILE, and how many fds the process has open. */
  readonly files: number;
  readonly open: number;
  /** Local ports for connections to one address. */
  readonly ports: number;
}

/** @throws RangeError ERR_OUT_OF_RANGE that names the limit */
export function checkLimits({ connections, target }: LoadPlan, limits: MachineLimits = readLimits()): void {
  const spare = limits.files - limits.open - Math.min(connections, OPENING) - OTHERS;
  if (connections > spare) {
    throw outOfRange(
      'connections',
      `at most ${Math.max(0, spare)} here: the limit of open files, RLIMIT_NOFILE (ulimit -n), is ${limits.files}`,
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
    return readdirSync('/proc/self/fd').length;
  } catch {
    return 0;
  }
}
