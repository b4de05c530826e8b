/** Makes connections with node:net, a limited number at a time, and takes them away from it. */
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { detach } from '../detach.js';
import { OPENING } from './limits.js';
import type { Target } from './target.js';

export class Connector {
  readonly #target: Target;
  readonly #timeout: number;
  readonly #waiting: Array<() => void> = [];
  readonly #sockets = new Set<Socket>();
  #opening = 0;
  #tried = false;
  #closed = false;
  /** What the name turned out to be: asked once, not by each connection. */
  #address: { readonly host: string; readonly family: number } | undefined;

  /** @param timeout longest wait for a connection, in milliseconds */
  constructor(target: Target, timeout: number) {
    this.#target = target;
    this.#timeout = timeout;
  }

  /** The fd of a connection, non-blocking. @throws (rejects) Error with a code: ECONNREFUSED, ENOTFOUND, ETIMEDOUT … */
  async open(): Promise<number> {
    await new Promise<void>(resolve => {
      this.#waiting.push(resolve);
      this.#admit();
    });
    try {
      if (this.#closed) throw failure('ECANCELED');
      return await this.#connect();
    } finally {
      this.#tried = true;
      this.#opening--;
      this.#admit();
    }
  }

  /** The first goes alone: the others need not ask for the name again. */
  #admit(): void {
    const most = this.#closed ? Number.POSITIVE_INFINITY : this.#tried ? OPENING : 1;
    while (this.#opening < most) {
      const go = this.#waiting.shift();
      if (go === undefined) return;
      this.#opening++;
      go();
    }
  }

  #connect(): Promise<number> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.#where());
      this.#sockets.add(socket);
      const timer = setTimeout(() => socket.destroy(failure('ETIMEDOUT')), this.#timeout);
      // What the server says first is for the threads to read.
      socket.pause();
      socket.once('connect', () => {
        const { remoteAddress: host, remoteFamily: family } = socket;
        try {
          const fd = detach(socket);
          if (host !== undefined) this.#address ??= { host, family: family === 'IPv6' ? 6 : 4 };
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

  #where(): NetConnectOpts {
    const { socketPath, host, port } = this.#target;
    if (socketPath !== undefined) return { path: socketPath };
    return { port, noDelay: true, host, ...this.#address };
  }

  /** Ends what is being opened. */
  close(): void {
    this.#closed = true;
    for (const socket of this.#sockets) socket.destroy(failure('ECANCELED'));
    this.#admit();
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
