/**
 * fds that are closed when the thread that opened them ends, also when it is a Worker that is terminated: nothing of ours
 * runs then, but Node closes what a Worker has opened by fs.open(). So each is put in the place of such a file.
 */
import { closeSync, openSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { EMFILE, ENFILE, EpollError } from '../../shared/errors.js';
import { close, dupOnto } from '../../shared/kernel/syscalls.js';

const tracked = new Set<number>();

/** The same open file by a number that Node keeps account of; `fd` is closed. @throws EpollError EMFILE, ENFILE: `fd` is then closed too */
export function track(fd: number): number {
  if (isMainThread) return fd;
  const place = openPlace(fd);
  if (place === undefined) return fd;
  const code = dupOnto(fd, place);
  close(fd);
  if (code < 0) {
    closeSync(place);
    throw new EpollError(code, 'dup3', fd);
  }
  tracked.add(place);
  return place;
}

/** The same, of one among many: where no number is to be had, it keeps its own, and stays open for a thread that is terminated. */
export function trackIfPossible(fd: number): number {
  if (isMainThread) return fd;
  let place: number;
  try {
    place = openSync('/dev/null', 'r');
  } catch {
    return fd;
  }
  if (dupOnto(fd, place) < 0) {
    closeSync(place);
    return fd;
  }
  close(fd);
  tracked.add(place);
  return place;
}

/** Undefined where Node may not open it (--permission): the fd then stays open for a thread that is terminated. */
function openPlace(fd: number): number | undefined {
  try {
    return openSync('/dev/null', 'r');
  } catch (error) {
    const errno = error instanceof Error && 'errno' in error ? error.errno : undefined;
    if (errno !== -EMFILE && errno !== -ENFILE) return undefined;
    close(fd);
    throw new EpollError(errno, 'open');
  }
}

/** Closes what `track` has returned. */
export function closeTracked(fd: number): void {
  if (tracked.delete(fd)) closeSync(fd);
  else close(fd);
}
