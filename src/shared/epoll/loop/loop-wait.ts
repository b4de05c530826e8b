/**
 * Waits on the event loop for one epoll instance: the queue behind `waitAsync`.
 *
 * A wait is settled at the moment its events are fetched, so that neither an abort nor a time-out that comes later can
 * lose them. Whoever waits looks first, by epoll_wait(0); only an empty look goes to the reactor.
 */
import { clearInterval, clearTimeout, setImmediate, setInterval, setTimeout } from 'node:timers';
import { deadlineAfter, LONGEST_TIMER, remaining } from '../../clock.js';
import { aborted, EBADF, EpollError } from '../../errors.js';
import { type Events, fill } from '../events.js';
import { waitFor } from '../wait.js';
import { reactor } from './reactor.js';
import { loopIsDue } from './turns.js';

export interface WaitOptions {
  signal?: AbortSignal | undefined;
}

/** How often a wait on an instance that another thread may close looks whether it has: no event tells. */
const CHECK_MS = 250;

/** One wait in the queue. */
class Waiter {
  #timer: NodeJS.Timeout | undefined;
  readonly #deadline: number;

  constructor(
    readonly events: Events,
    timeout: number,
    readonly signal: AbortSignal | undefined,
    readonly resolve: (n: number) => void,
    readonly reject: (error: unknown) => void,
    readonly onAbort: () => void,
    onTimeout: () => void,
  ) {
    this.#deadline = deadlineAfter(timeout);
    signal?.addEventListener('abort', onAbort);
    if (timeout >= 0) this.#arm(timeout, onTimeout);
  }

  /** Timers may come early by the loop's clock, and no timer is longer than 24.8 days. */
  #arm(left: number, onTimeout: () => void): void {
    this.#timer = setTimeout(
      () => {
        const rest = remaining(this.#deadline);
        if (rest > 0) this.#arm(rest, onTimeout);
        else onTimeout();
      },
      Math.min(Math.ceil(left), LONGEST_TIMER),
    );
  }

  release(): void {
    clearTimeout(this.#timer);
    this.signal?.removeEventListener('abort', this.onAbort);
  }
}

export class LoopWait {
  readonly #fd: number;
  readonly #queue = new Set<Waiter>();
  /** Whether the reactor has been asked for the next event. */
  #watching = false;
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

  /** Takes back the wait that was to fill this buffer: it resolves with 0, and the buffer is as it was. */
  cancel(events: Events): void {
    for (const waiter of this.#queue) if (waiter.events === events) this.#settle(waiter, 0);
  }

  /** Rejects what waits with EBADF; the fd is still open. */
  close(): void {
    this.#failAll(EBADF);
  }

  /** @param keep whether finding nothing leaves the buffer alone, as the wait goes on: it may be in use by another */
  #look(events: Events, keep: boolean): number {
    return fill(events, waitFor, this.#fd, 0, keep);
  }

  #enqueue(events: Events, timeout: number, signal: AbortSignal | undefined): Promise<number> {
    return new Promise((resolve, reject) => {
      const waiter = new Waiter(
        events,
        timeout,
        signal,
        resolve,
        reject,
        () => signal && this.#fail(waiter, aborted(signal)),
        () => this.#expire(waiter),
      );
      this.#queue.add(waiter);
      this.#watch();
      if (this.#borrowed) this.#check ??= setInterval(() => this.#checkClosed(), CHECK_MS).unref();
    });
  }

  /** Asks the reactor for the next event, unless that is under way. */
  #watch(): void {
    if (this.#watching || this.#queue.size === 0) return;
    const code = reactor().notify(this.#fd, this.#onReady);
    if (code < 0) this.#failAll(code, 'epoll_ctl');
    else this.#watching = true;
  }

  #checkClosed(): void {
    if (this.#watching && reactor().isGone(this.#fd)) this.#failAll(EBADF);
    if (this.#queue.size > 0) return;
    clearInterval(this.#check);
    this.#check = undefined;
  }

  /** Gives what has come to those who wait, first come first served. */
  #serve(): void {
    for (const waiter of this.#queue) {
      const n = this.#look(waiter.events, true);
      if (n === 0) break;
      if (n < 0) this.#fail(waiter, new EpollError(n, 'epoll_wait', this.#fd));
      else this.#settle(waiter, n);
    }
    this.#watch();
  }

  #expire(waiter: Waiter): void {
    const n = this.#look(waiter.events, false);
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
    waiter.release();
    this.#queue.delete(waiter);
    if (this.#queue.size === 0) this.#forget();
  }

  /** Nobody waits any more: the loop need not stay alive for this instance. */
  #forget(): void {
    if (this.#watching) reactor().forget(this.#fd, this.#onReady);
    this.#watching = false;
  }
}
