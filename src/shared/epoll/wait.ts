/** epoll_wait as the contract has it: EINTR retried with the time that is left, fractions honoured, no limit on the time. */
import { isMainThread } from 'node:worker_threads';
import { deadlineAfter, remaining } from '../clock.js';
import { EINTR } from '../errors.js';
import { epollWait, epollWaitPrecise, type Memory } from '../kernel/syscalls.js';

const INT_MAX = 0x7fff_ffff;

/**
 * The longest that a thread which is not the main one stays in the kernel. Node cannot end a thread that is inside
 * epoll_wait: process.exit() and worker.terminate() would wait for it, and Node waits for its threads one by one.
 */
const SLICE = isMainThread ? INT_MAX : 20;

/** Whether epoll_pwait2 is there to count fractions of a millisecond. */
let precise = true;

/** @param timeout milliseconds, -1 for ever. @returns how many events, or the negative errno */
export function waitFor(epfd: number, words: Memory, max: number, timeout: number): number {
  if (timeout === 0) {
    for (;;) {
      const n = epollWait(epfd, words, max, 0);
      if (n !== -EINTR) return n;
    }
  }
  const deadline = deadlineAfter(timeout);
  for (let left = timeout; ; left = remaining(deadline)) {
    const n = waitOnce(epfd, words, max, left);
    if (n > 0 || (n < 0 && n !== -EINTR)) return n;
    if (n === 0 && remaining(deadline) === 0) return 0;
  }
}

/** At most a slice. @param left milliseconds, -1 for ever */
function waitOnce(epfd: number, words: Memory, max: number, left: number): number {
  if (left < 0 || left >= SLICE) return epollWait(epfd, words, max, left < 0 && SLICE === INT_MAX ? -1 : SLICE);
  const whole = Math.ceil(left);
  if (!precise || whole === left) return epollWait(epfd, words, max, whole);
  const n = epollWaitPrecise(epfd, words, max, left);
  if (n >= 0 || n === -EINTR) return n;
  // Sandboxes refuse it with any errno. If it was not the call that is wrong, epoll_wait says so too.
  const again = epollWait(epfd, words, max, whole);
  if (again >= 0) precise = false;
  return again;
}
