/** Makes connections for the main thread, a limited number at a time: the first by name, the others to the address it has found. */
import { connect as connectByName, type NetConnectOpts, type Socket } from 'node:net';
import { Epoll } from '../../shared/epoll/epoll.js';
import { Events } from '../../shared/epoll/events.js';
import { EPOLLONESHOT, EPOLLOUT } from '../../shared/epoll/flags.js';
import { close, connect, socketError } from '../../shared/kernel/sys.js';
import type { Target } from '../../shared/load/target.js';
import { detach } from '../detach.js';

const MOST_EVENTS = 64;

interface Pending {
  readonly resolve: (fd: number) => void;
  readonly reject: (error: unknown) => void;
  readonly timer: NodeJS.Timeout;
}

export class Connector {
  readonly #target: Target;
  readonly #timeout: number;
  readonly #most: number;
  readonly #found: (address: string) => void;
  readonly #waiting: Array<() => void> = [];
  readonly #sockets = new Set<Socket>();
  readonly #epoll = new Epoll();
  readonly #pending = new Map<number, Pending>();
  #opening = 0;
  #tried = false;
  #closed = false;
  #watching = false;
  /** What the name turned out to be: asked once, not by each connection. */
  #address: string | undefined;

  /**
   * @param timeout longest wait for a connection, in milliseconds @param most at a time
   * @param found told once what the name turned out to be
   */
  constructor(target: Target, timeout: number, most: number, found: (address: string) => void) {
    this.#target = target;
    this.#timeout = timeout;
    this.#most = most;
    this.#found = found;
  }

  /** The fd of a connection, non-blocking. @throws (rejects) Error with a code: ECONNREFUSED, ENOTFOUND, ETIMEDOUT … */
  async open(): Promise<number> {
    await new Promise<void>(resolve => {
      this.#waiting.push(resolve);
      this.#admit();
    });
    try {
      if (this.#closed) throw failure('ECANCELED');
      const { socketPath, port } = this.#target;
      if (socketPath !== undefined) return await this.#connect({ path: socketPath });
      if (this.#address !== undefined) return await this.#connect({ host: this.#address, port });
      return await this.#connectByName();
    } finally {
      this.#tried = true;
      this.#opening--;
      this.#admit();
    }
  }

  /** The first goes alone: the others need not ask for the name again. */
  #admit(): void {
    const most = this.#closed ? Number.POSITIVE_INFINITY : this.#tried ? this.#most : 1;
    while (this.#opening < most) {
      const go = this.#waiting.shift();
      if (go === undefined) return;
      this.#opening++;
      go();
    }
  }

  /** A name may have several addresses, of which not every one answers: Node tries them in turn. */
  #connectByName(): Promise<number> {
    return new Promise((resolve, reject) => {
      const { host, port } = this.#target;
      const options: NetConnectOpts = { host, port, noDelay: true };
      const socket = connectByName(options);
      this.#sockets.add(socket);
      let connected = false;
      // A thread that was busy for so long has the news still to come: they are looked at first.
      const late = () => setImmediate(() => connected || socket.destroy(failure('ETIMEDOUT')));
      const timer = setTimeout(late, this.#timeout);
      // What the server says first is for the threads to read.
      socket.pause();
      socket.once('connect', () => {
        connected = true;
        const { remoteAddress } = socket;
        try {
          const fd = detach(socket);
          if (remoteAddress !== undefined && this.#address === undefined) {
            this.#address = remoteAddress;
            this.#found(remoteAddress);
          }
          resolve(fd);
        } catch (error) {
          socket.destroy();
          reject(error);
        }
      });
      socket.on('error', reject);
      socket.once('close', () => {
        clearTimeout(timer);
        this.#sockets.delete(socket);
        reject(failure('ECANCELED'));
      });
    });
  }

  #connect(to: { host: string; port: number } | { path: string }): Promise<number> {
    return new Promise((resolve, reject) => {
      const fd = connect(to);
      const timer = setTimeout(() => this.#giveUp(fd), this.#timeout);
      this.#pending.set(fd, { resolve, reject, timer });
      this.#epoll.register(fd, { events: EPOLLOUT | EPOLLONESHOT });
      if (!this.#watching) this.#watch().catch(error => this.#fail(error));
    });
  }

  async #watch(): Promise<void> {
    this.#watching = true;
    const events = new Events(MOST_EVENTS);
    while (this.#pending.size > 0) {
      if ((await this.#epoll.waitAsync(events, this.#timeout)) > 0) this.#take(events);
    }
    this.#watching = false;
  }

  /** Those that have ended, well or not. */
  #take(events: Events): void {
    for (const { data } of events) {
      const fd = Number(data);
      try {
        socketError(fd);
        this.#settle(fd, undefined);
      } catch (error) {
        this.#settle(fd, error);
      }
    }
  }

  /** The time is over; but where this thread was busy for so long, the connection may have been there in time. */
  #giveUp(fd: number): void {
    const events = new Events(MOST_EVENTS);
    while (this.#pending.has(fd) && this.#epoll.wait(events, 0) > 0) this.#take(events);
    this.#settle(fd, failure('ETIMEDOUT'));
  }

  #settle(fd: number, error: unknown): void {
    const pending = this.#pending.get(fd);
    if (pending === undefined) return;
    this.#pending.delete(fd);
    clearTimeout(pending.timer);
    this.#epoll.unregister(fd);
    if (error === undefined) {
      pending.resolve(fd);
    } else {
      close(fd);
      pending.reject(error);
    }
  }

  #fail(error: unknown): void {
    this.#watching = false;
    for (const fd of [...this.#pending.keys()]) this.#settle(fd, error);
  }

  /** Ends what is being opened. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const socket of this.#sockets) socket.destroy(failure('ECANCELED'));
    for (const fd of [...this.#pending.keys()]) this.#settle(fd, failure('ECANCELED'));
    this.#admit();
    this.#epoll.close();
  }
}

function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}

/** `ECONNREFUSED`, of the error that open() rejects with. */
export function codeOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0]);
  const code: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, 'code') : undefined;
  return typeof code === 'string' ? code : String(error);
}
