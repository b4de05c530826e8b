/**
 * Waits on the event loop for one epoll instance: the queue behind `waitAsync` and `for await`.
 *
 * A wait is settled at the moment its events are fetched, so that neither an abort nor a time-out that comes later can
 * lose them. Whoever waits looks first, by epoll_wait(0); only an empty look goes to the reactor.
 */
import { clearInterval, clearTimeout, setImmediate, setInterval, setTimeout } from 'node:timers';
import { deadlineAfter, LONGEST_TIMER, remaining } from '../../clock.js';
import { aborted, EBADF, EpollError } from '../../errors.js';
import { type Event, type Events, fill } from '../events.js';
import { waitFor } from '../wait.js';
import type { Fetched } from './fetched.js';
import { reactor } from './reactor.js';
import { loopIsDue } from './turns.js';

export interface WaitOptions {
  signal?: AbortSignal | undefined;
}

/** An event of an iteration, beside an answer of many; and one that was fetched with others. */
const EVENT_WEIGHT = 1 / 16;
const FETCHED_WEIGHT = 1 / 4096;
/** How often a wait on an instance that another thread may close looks whether it has: no event tells. */
const CHECK_MS = 250;

/** One wait in the queue. */
interface Waiter {
  /** Takes what is ready; how many, or the negative errno. */
  readonly look: (isLast: boolean) => number;
  readonly resolve: (n: number) => void;
  readonly reject: (error: unknown) => void;
  /** Lets go of what else would end it. */
  readonly release?: () => void;
  /** Whose next event it is for, and what has been fetched for all of them. */
  readonly iteration?: object;
  readonly fetched?: Fetched;
}

/** Calls `onTimeout` when the time is over. Timers may come early by the loop's clock, and no timer is longer than 24.8 days. */
class Timeout {
  #timer: NodeJS.Timeout | undefined;
  readonly #deadline: number;
  readonly #onTimeout: () => void;

  constructor(timeout: number, onTimeout: () => void) {
    this.#deadline = deadlineAfter(timeout);
    this.#onTimeout = onTimeout;
    this.#arm(timeout);
  }

  #arm(left: number): void {
    this.#timer = setTimeout(
      () => {
        const rest = remaining(this.#deadline);
        if (rest > 0) this.#arm(rest);
        else this.#onTimeout();
      },
      Math.min(Math.ceil(left), LONGEST_TIMER),
    );
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}

export class LoopWait {
  readonly #fd: number;
  readonly #queue = new Set<Waiter>();
  /** Whether the reactor has been asked for the next event. */
  #watching = false;
  #closed = false;
  /** How many in the queue are for iterations. */
  #iterating = 0;
  /** Which iteration was given an event last; it may not have come to look at it yet. */
  #holder: object | undefined;
  readonly #onReady = (code: number): void => {
    this.#watching = false;
    if (code < 0) this.#failAll(code, code === -EBADF ? 'epoll_wait' : 'epoll_ctl');
    else this.#serve();
  };

  readonly #borrowed: boolean;
  #check: NodeJS.Timeout | undefined;

  /** @param borrowed whether another thread may close the fd */
  constructor(fd: number, borrowed: boolean) {
    this.#fd = fd;
    this.#borrowed = borrowed;
  }

  /** @param timeout milliseconds, -1 for ever */
  wait(events: Events, timeout: number, signal: AbortSignal | undefined): Promise<number> {
    if (signal?.aborted) return Promise.reject(aborted(signal));
    if (timeout !== 0 && this.#queue.size > 0) return this.#enqueue(events, timeout, signal);
    const n = this.#look(events, timeout !== 0);
    if (n < 0) return Promise.reject(new EpollError(n, 'epoll_wait', this.#fd));
    if (n === 0 && timeout !== 0) return this.#enqueue(events, timeout, signal);
    return loopIsDue() ? new Promise(resolve => setImmediate(resolve, n)) : Promise.resolve(n);
  }

  /** The next event for an iteration; done once the instance is closed, or the iteration cancelled. */
  next(iteration: object, fetched: Fetched): Promise<IteratorResult<Event>> {
    let isDue = false;
    // What is there is theirs who have asked before.
    if (this.#iterating === 0 && (!fetched.isEmpty || this.#queue.size === 0)) {
      const weight = !fetched.isEmpty ? FETCHED_WEIGHT : fetched.isClear ? 1 : EVENT_WEIGHT;
      // What another loop does with the event it was just given may concern what this one would be given.
      isDue = (this.#holder ?? iteration) !== iteration || loopIsDue(weight);
      const n = isDue || !fetched.isEmpty ? 0 : fetched.fetch();
      if (n < 0) return Promise.reject(new EpollError(n, 'epoll_wait', this.#fd));
      if (!isDue && !fetched.isEmpty) return Promise.resolve(this.#give(iteration, fetched));
    }
    return new Promise((resolve, reject) => {
      this.#iterating++;
      this.#add({
        // Beside waits that are no iteration's one at a time: what is fetched is out of their reach.
        look: () => (fetched.isEmpty ? fetched.fetch(this.#queue.size === this.#iterating) : 1),
        resolve: n => resolve(n > 0 ? this.#give(iteration, fetched) : resultOf(undefined)),
        reject: error => (this.#closed ? resolve(resultOf(undefined)) : reject(error)),
        release: () => this.#iterating--,
        iteration,
        fetched,
      });
      // Not before the loop has had its turn.
      if (isDue) this.#serveSoon();
      else this.#watch();
    });
  }

  #give(iteration: object, fetched: Fetched): IteratorResult<Event> {
    this.#holder = iteration;
    return resultOf(fetched.shift());
  }

  /** Ends what the iteration waits for. */
  cancel(iteration: object): void {
    if (this.#holder === iteration) this.#holder = undefined;
    for (const waiter of this.#queue) if (waiter.iteration === iteration) this.#settle(waiter, 0);
  }

  /** Rejects what waits with EBADF; the fd is still open. */
  close(): void {
    this.#closed = true;
    this.#failAll(EBADF);
  }

  /** @param keep whether finding nothing leaves the buffer alone, as the wait goes on: it may be in use by another */
  #look(events: Events, keep: boolean): number {
    return fill(events, waitFor, this.#fd, 0, keep);
  }

  #enqueue(events: Events, timeout: number, signal: AbortSignal | undefined): Promise<number> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => signal && this.#fail(waiter, aborted(signal));
      const limit = timeout < 0 ? undefined : new Timeout(timeout, () => this.#expire(waiter));
      const release = (): void => {
        limit?.clear();
        signal?.removeEventListener('abort', onAbort);
      };
      const waiter: Waiter = { look: isLast => this.#look(events, !isLast), resolve, reject, release };
      signal?.addEventListener('abort', onAbort);
      this.#add(waiter);
      this.#watch();
    });
  }

  #add(waiter: Waiter): void {
    this.#queue.add(waiter);
    if (this.#borrowed) this.#check ??= setInterval(() => this.#checkClosed(), CHECK_MS).unref();
  }

  /** Asks the reactor for the next event, unless that is under way. */
  #watch(): void {
    if (this.#watching || this.#queue.size === 0) return;
    try {
      const code = reactor().notify(this.#fd, this.#onReady);
      if (code < 0) this.#failAll(code, 'epoll_ctl');
      else this.#watching = true;
    } catch (error) {
      // There is no reactor yet, and no fd for one. Whoever stayed in the queue would take events that nobody gets.
      for (const waiter of this.#queue) this.#fail(waiter, error);
    }
  }

  #checkClosed(): void {
    if (this.#watching && reactor().isGone(this.#fd)) this.#failAll(EBADF);
    if (this.#queue.size > 0) return;
    clearInterval(this.#check);
    this.#check = undefined;
  }

  /**
   * Gives what has come to those who wait, first come first served. One that iterates is not served in one go with others
   * before it: what they do with theirs may concern what it would be given.
   */
  #serve(): void {
    let isFirst = true;
    let isDrained = false;
    for (const waiter of this.#queue) {
      // What an iteration has fetched is no news to the kernel: those behind one that finds nothing are not to wait for that.
      if (isDrained && (waiter.fetched?.isEmpty ?? true)) continue;
      if (waiter.iteration !== undefined && !isFirst) {
        this.#serveSoon();
        return;
      }
      const n = waiter.look(false);
      if (n === 0) {
        isDrained = true;
        if (this.#iterating === 0) break;
        continue;
      }
      if (n < 0) this.#fail(waiter, new EpollError(n, 'epoll_wait', this.#fd));
      else this.#settle(waiter, n);
      isFirst = false;
    }
    if (isDrained) this.#watch();
    else if (this.#queue.size > 0) this.#serveSoon();
  }

  #serveSoon(): void {
    // The owner may close it before that, and another instance have its number: the reactor tells.
    if (this.#borrowed) this.#watch();
    setImmediate(() => this.#serve());
  }

  #expire(waiter: Waiter): void {
    const n = waiter.look(true);
    if (n < 0) this.#fail(waiter, new EpollError(n, 'epoll_wait', this.#fd));
    else this.#settle(waiter, n);
  }

  #settle(waiter: Waiter, n: number): void {
    this.#remove(waiter);
    waiter.resolve(n);
  }

  #fail(waiter: Waiter, error: unknown): void {
    this.#remove(waiter);
    waiter.reject(error);
  }

  #failAll(code: number, syscall = 'epoll_wait'): void {
    for (const waiter of this.#queue) this.#fail(waiter, new EpollError(code, syscall, this.#fd));
  }

  #remove(waiter: Waiter): void {
    waiter.release?.();
    this.#queue.delete(waiter);
    if (this.#queue.size === 0) this.#forget();
  }

  /** Nobody waits any more: the loop need not stay alive for this instance. */
  #forget(): void {
    if (this.#watching) reactor().forget(this.#fd, this.#onReady);
    this.#watching = false;
  }
}

/** Done without an event. */
export function resultOf(event: Event | undefined): IteratorResult<Event> {
  return event === undefined ? { value: undefined, done: true } : { value: event, done: false };
}
