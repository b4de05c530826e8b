/** Processor time of single threads of this process, as the kernel counts it. */
import { readFileSync } from 'node:fs';

/** Of /proc/…/stat, in which user and system time are counted: USER_HZ, the same on every Linux that Node runs on. */
const TICK_MS = 10;

/** Milliseconds; 0 where the kernel does not say. @param thread its number, gettid() */
export function threadCpu(thread: number): number {
  const [ran] = contents(`/proc/self/task/${thread}/schedstat`).split(' ');
  if (ran !== undefined && ran !== '') return Number(ran) / 1e6;
  // Behind the name, which may hold anything: state, ppid … utime and stime are fields 14 and 15.
  const stat = contents(`/proc/self/task/${thread}/stat`);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * TICK_MS;
}

function contents(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
