// One processor for each side of a measurement, so that neither takes the other's time.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const cpus = allowed();

/** Whether there are two, and taskset(1) to keep processes to them. */
export const canPin = cpus.length > 1 && spawnSync('taskset', ['--version']).error === undefined;
export const [CLIENT_CPU, SERVER_CPU] = cpus;

/** The command, kept to one processor where that is possible. */
export function pinned(cpu, command) {
  return canPin ? ['taskset', '-c', String(cpu), ...command] : command;
}

/** Those that this process may run on: "0-3,8". */
function allowed() {
  const [, list = ''] = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'latin1')) ?? [];
  return list.split(',').flatMap(range => {
    const [first, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}
