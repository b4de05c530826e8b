/** Which of the kernel's threads this one is. */
import { readlinkSync } from 'node:fs';

/** gettid(); 0 where /proc is not there. */
export function threadNumber(): number {
  try {
    return Number(/(\d+)$/.exec(readlinkSync('/proc/thread-self'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
