/**
 * A thread's own event loop, beside the wait on the shared instance: the timers, sockets, messages and pending requests
 * that a handler module has are served within some milliseconds while its thread waits.
 *
 * Timers bound the wait. Whatever else wakes an event loop makes its backend fd readable. Where a thread has any of that, it
 * waits on an instance of its own, the nest, which has the shared one and the backend in it; where it has none it waits on
 * the shared one alone, and nothing is called for it but uv_backend_timeout.
 *
 * The kernel refuses EPOLLEXCLUSIVE for an epoll instance inside another. So an event wakes every thread that waits on a
 * nest, and the first one has it; those that wait on the shared instance alone are woken one by one, as ever.
 */
import { closeSync, openSync } from 'node:fs';
import { setImmediate } from 'node:timers';
import { EPOLL_CTL_ADD, EPOLLIN } from '../../shared/epoll/flags.js';
import {
  close,
  DATA_LOW,
  dupOnto,
  EVENT_WORDS,
  epollControl,
  epollCreate,
  epollWait,
  eventLoop,
  type Memory,
} from '../../shared/kernel/syscalls.js';

/** How long a thread waits at a time where its loop may have something to do and no event would tell. */
const GLANCE_MS = 3;

/** How long a thread sleeps after its runs before its event loop has a turn. */
const BRIEF_MS = 20;

const SHARED = 1;
const BACKEND = 2;

const nothing = (): void => {};

export class OwnLoop {
  readonly #epfd: number;
  readonly #loop = eventLoop();
  readonly #seen = new Uint32Array(2 * EVENT_WORDS);
  #nest = -1;
  #begun = 0;
  /** The last handle when the others were looked at, and what was found. */
  #lastHandle = 0;
  #hasHandles = false;

  /**
   * Whether the shared instance may be waited on inside another. Files whose poll tells a change only once
   * (/proc/self/mounts, PSI) lose it there: while the service watches one, this is to be false, and a thread whose loop has
   * something of its own looks there every few milliseconds instead.
   */
  mayNest = true;

  /**
   * To be set when a handler has run; `begin` takes it back. The loop is to have a turn soon then, for what nothing tells of (a
   * tick that a tick has asked for, an immediate without a reference), so the wait is shorter. A turn before each sleep would
   * cost the next run a microsecond: what that needs would not be in the core's caches any more.
   */
  hasRun = false;

  /**
   * Made by the thread itself when koffi is loaded, before the handler module runs: what the event loop has by then is
   * Node's, what is added is the module's own. One for each thread; never throws.
   *
   * @param epfd the instance that all threads of the service share
   */
  constructor(epfd: number) {
    this.#epfd = epfd;
  }

  /**
   * At the start of each turn of the wait loop, in the callback of setImmediate. The loop counts as due as long as that
   * callback runs; an immediate that is not referenced takes the mark away.
   *
   * @param now the clock's
   */
  begin(now: number): void {
    this.hasRun = false;
    const loop = this.#loop;
    if (loop === undefined) return;
    setImmediate(nothing).unref();
    loop.updateTime();
    this.#begun = now;
    this.#lastHandle = 0; // handles come and go between two turns, and may have another's address
  }

  /**
   * Fetches events of the shared instance: at once if there are any, otherwise when they come, for at most `limit`
   * milliseconds, and no longer than until the event loop has something to do. After 0 events it is to have a turn. While
   * there are always some, that is for the caller to see to, every few milliseconds.
   *
   * @param room how many events at most
   * @param limit whole milliseconds; 0 only looks
   * @param now the clock's
   * @param isPending whether a promise is pending that another thread may settle without the loop having a trace of it, as
   *   Atomics.waitAsync's
   * @returns how many events are in `agenda`, or the negative errno: EINTR is not retried
   */
  wait(agenda: Memory, room: number, limit: number, now: number, isPending: boolean): number {
    if (limit === 0) return this.#look(agenda, room);
    const longest = this.hasRun ? Math.min(limit, BRIEF_MS) : limit;
    const loop = this.#loop;
    if (loop === undefined) return this.#glance(agenda, room, longest);
    let due = loop.timeout;
    if (due > 0) due = Math.max(0, Math.ceil(due - (now - this.#begun)));
    if (due === 0) return this.#look(agenda, room);
    const bound = due < 0 ? longest : Math.min(due, longest);
    const isOwn = isPending || loop.hasRequests || this.#hasOthers();
    // What a run has just opened is not in the backend before the loop's next turn.
    if (isOwn && this.hasRun) return this.#look(agenda, room);
    return isOwn ? this.#waitForBoth(agenda, room, bound) : epollWait(this.#epfd, agenda, room, bound);
  }

  /** The wait loop has ended. A thread that ends otherwise leaves nothing open either. */
  close(): void {
    if (this.#nest >= 0) closeSync(this.#nest);
    this.#nest = -1;
  }

  #look(agenda: Memory, room: number): number {
    return epollWait(this.#epfd, agenda, room, 0);
  }

  /** No event tells of the loop: it is looked after often. */
  #glance(agenda: Memory, room: number, limit: number): number {
    return epollWait(this.#epfd, agenda, room, Math.min(limit, GLANCE_MS));
  }

  #hasOthers(): boolean {
    const loop = this.#loop;
    if (loop !== undefined && loop.lastHandle !== this.#lastHandle) {
      this.#lastHandle = loop.lastHandle;
      this.#hasHandles = loop.hasHandles;
    }
    return this.#hasHandles;
  }

  #waitForBoth(agenda: Memory, room: number, limit: number): number {
    const n = this.#look(agenda, room);
    if (n !== 0) return n;
    if (!this.mayNest || !this.#openNest()) return this.#glance(agenda, room, limit);
    const seen = this.#seen;
    const ready = epollWait(this.#nest, seen, 2, limit);
    if (ready <= 0) return ready;
    const isShared = seen[DATA_LOW] === SHARED || (ready === 2 && seen[EVENT_WORDS + DATA_LOW] === SHARED);
    return isShared ? this.#look(agenda, room) : 0;
  }

  /** False: it cannot be had now, for want of fds say. */
  #openNest(): boolean {
    if (this.#nest < 0) this.#nest = openNest(this.#epfd, this.#loop?.backendFd ?? -1);
    return this.#nest >= 0;
  }
}

/**
 * An epoll instance with the two in it, or -1. It takes the place of a file that Node has opened: Node closes that fd when
 * the thread ends, however it ends.
 */
function openNest(shared: number, backend: number): number {
  const nest = epollCreate();
  if (nest < 0) return -1;
  let fd = -1;
  try {
    if (add(nest, shared, SHARED) < 0 || add(nest, backend, BACKEND) < 0) return -1;
    fd = openSync('/', 'r');
    if (dupOnto(nest, fd) >= 0) return fd;
  } catch {
    // too many open files, or not allowed to open that one
  } finally {
    close(nest);
  }
  if (fd >= 0) closeSync(fd);
  return -1;
}

function add(nest: number, fd: number, data: number): number {
  const request = new Uint32Array(EVENT_WORDS);
  request[0] = EPOLLIN;
  request[DATA_LOW] = data;
  return epollControl(nest, EPOLL_CTL_ADD, fd, request);
}
