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
  const isWoken = (due & WAKE) !== 0;
  if (isFresh && !isWoken) return told;
  const isLook = isLevel(interest) && (due & LOOK) !== 0 && !isFresh;
  if (!isLook && !isWoken) {
    const isOld = isLate || (due & LOOK) !== 0;
    return isOld && !files.isIts(slot) ? NOT_ITS_FILE : told;
  }
  // A poll that has told once does not tell again; of other files, what came in the run before may be dealt with.
  const isTold = told !== 0 && (!isLook || files.isNews(slot));
  if (isTold && !isWoken) return told;
  const found = files.ready(slot, interest);
  if (found === 0 && isWoken && !files.isIts(slot)) return NOT_ITS_FILE;
  return isTold ? found | told : found;
}
