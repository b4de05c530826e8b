// What a process and those that it has started have used of the processors (proc(5), stat).
import { readdirSync, readFileSync } from 'node:fs';

/** The kernel tells it in these, everywhere that Node runs. */
const TICK_MS = 10;

/** User and system time of a process, and of its children that run, in milliseconds. */
export function cpuTime(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ');
  const own = (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  return childrenOf(pid).reduce((sum, child) => sum + cpuTime(child), own);
}

function childrenOf(pid) {
  return readdirSync(`/proc/${pid}/task`).flatMap(thread =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1').split(' ').filter(Boolean),
  );
}
