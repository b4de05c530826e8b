/** What a registration is to run with, for whoever has just taken it. */
import { READINESS } from '../epoll/flags.js';
import { isLevel, LOOK, WAKE } from './claim.js';
import type { Files } from './files.js';

/** The fd is another file's by now: there is nothing to run. */
export const NOT_ITS_FILE = -1;

/**
 * The mask, or NOT_ITS_FILE.
 *
 * @param due what was due with it
 * @param isFresh the kernel has just told of it
 * @param isLate it has waited for a while
 */
export function readiness(
  files: Files,
  slot: number,
  due: number,
  interest: number,
  isFresh: boolean,
  isLate: boolean,
): number {
  const told = due & READINESS;
  if (due & WAKE) {
    const found = files.ready(slot, interest);
    return found === 0 && !files.isIts(slot) ? NOT_ITS_FILE : found | told;
  }
  if (isFresh) return told;
  if ((due & LOOK) === 0) return isLate && !files.isLikelyIts(slot) ? NOT_ITS_FILE : told;
  // What came in the run before may have been dealt with by it.
  const isAsked = isLevel(interest) && files.canAsk(slot) && !(told !== 0 && files.isNews(slot));
  if (isAsked) return files.ready(slot, interest);
  return files.isIts(slot) ? told : NOT_ITS_FILE;
}
