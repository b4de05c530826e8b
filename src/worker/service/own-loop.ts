/**
 * A thread's own event loop, as its wait loop sees it: the timers, sockets, messages and pending requests that a handler
 * module has beside the service are served within some milliseconds while the thread waits.
 *
 * (The signature; what it does is being built.)
 */
import { epollWait, type Memory } from '../../shared/kernel/syscalls.js';

export class OwnLoop {
  readonly #epfd: number;

  /**
   * Made by the thread itself as soon as koffi is loaded and before the handler module runs: what the event loop has by
   * then is Node's, what is added later is the handler module's own.
   *
   * @param epfd the instance that all threads of the service share
   * @throws EpollError EMFILE, ENFILE, ENOMEM
   */
  constructor(epfd: number) {
    this.#epfd = epfd;
  }

  /**
   * To be called first in each turn of the wait loop, inside the callback of setImmediate: otherwise the loop counts as due
   * for as long as that callback runs. `now` is the clock's, as for `wait`.
   */
  begin(_now: number): void {}

  /**
   * Fetches events of the shared instance: at once if there are any, otherwise as they come, for at most `limit` milliseconds
   * and no longer than the event loop has nothing to do. Nothing beyond one epoll_wait is called, and some 60 ns, where the
   * loop has nothing of its own.
   *
   * @param room how many events at most
   * @param limit whole milliseconds; 0 only looks, and leaves `isDue` as it was
   * @param now the clock's, at most a millisecond old
   * @param pending whether a promise is pending that some other thread may settle (Atomics.waitAsync leaves no trace in the loop)
   * @returns how many events are in `agenda`, or the negative errno (EINTR is not retried)
   */
  wait(agenda: Memory, room: number, limit: number, _now: number, _pending: boolean): number {
    return epollWait(this.#epfd, agenda, room, limit);
  }

  /** Whether the event loop has something to do since the last `begin`: the turn is to end soon, whatever `wait` has returned. */
  get isDue(): boolean {
    return false;
  }

  /**
   * Whether the shared instance may be waited on through another one; true to begin with. News files (/proc/self/mounts, PSI)
   * lose their news in nested instances: where the service has one, set this to false, and a thread whose loop has something of
   * its own waits in slices of some milliseconds instead.
   */
  mayNest = true;
}
