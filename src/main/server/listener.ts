/**
 * A listening socket: accepts in batches as connections come.
 *
 * It stops while there is no room for more (pause), and for a moment when the kernel has no fd or memory for another: what comes
 * waits in the kernel's backlog. An edge that came meanwhile is not told twice, so it looks by itself when it goes on.
 */

import { lookup } from 'node:dns/promises';
import { unlinkSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { isIP } from 'node:net';
import { clearTimeout, setImmediate, setTimeout } from 'node:timers';
import { EAGAIN, EINTR, EMFILE, ENFILE, ENOMEM, EpollError } from '../../shared/errors.js';
import { SOCKADDR_BYTES } from '../../shared/kernel/sockaddr.js';
import { acceptFrom, setNoDelay } from '../../shared/kernel/sockets.js';
import { listen, localAddress } from '../../shared/kernel/stream-sockets.js';
import { closeTracked, track } from '../service/tracked-fd.js';
import { acceptWatch } from './accept-watch.js';
import type { CheckedServerOptions, Place } from './options.js';

/** How many are accepted before the event loop has a turn. */
const BATCH = 64;
/** How many before they are taken into service. */
const TOGETHER = 16;
const ENOBUFS = 105;
/** After which the kernel is asked again. */
const PAUSE_MS = 100;
const SHORTAGES = new Set([-EMFILE, -ENFILE, -ENOMEM, -ENOBUFS]);
/** What has nothing to do with the listening socket: accept(2) reports a connection's own troubles, too. */
const TRIED_AGAIN = 1000;

/** What becomes of connections. */
export interface Taker {
  /** @param address the peer's struct sockaddr, of `bytes` bytes @returns whether there is room for another */
  take(fd: number, address: Uint8Array, bytes: number): boolean;
  /** Some were taken, and no other comes at once. */
  taken(): void;
}

export class Listener {
  readonly #fd: number;
  readonly #path: string | undefined;
  readonly #taker: Taker;
  readonly #address: AddressInfo | string;
  readonly #peer = new Uint8Array(SOCKADDR_BYTES);
  readonly #bytes = new Uint32Array(1);
  #paused = false;
  #scheduled = false;
  #isRef = false;
  #warned = false;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param ref whether it keeps the process alive @throws EpollError EADDRINUSE … */
  static async open(place: Place, options: CheckedServerOptions, taker: Taker): Promise<Listener> {
    const { backlog, reusePort } = options;
    if ('path' in place) return new Listener(track(listen({ path: place.path, backlog })), place.path, taker);
    const { port, host, ipv6Only } = place;
    const address = host === undefined || isIP(host.split('%')[0] ?? '') !== 0 ? host : (await lookup(host)).address;
    const where = address === undefined ? {} : { host: address };
    return new Listener(track(listen({ ...where, port, backlog, reusePort, ipv6Only })), undefined, taker);
  }

  private constructor(fd: number, path: string | undefined, taker: Taker) {
    this.#fd = fd;
    this.#path = path;
    this.#taker = taker;
    try {
      // The connections have it from their listening socket.
      if (path === undefined) setNoDelay(fd);
      const { family, address, port } = localAddress(fd);
      this.#address = family === 'unix' ? (path ?? address) : { address, family, port };
      acceptWatch().add(fd, () => this.#accept());
    } catch (error) {
      closeTracked(fd);
      throw error;
    }
  }

  get address(): AddressInfo | string {
    return this.#address;
  }

  ref(): void {
    if (!this.#isRef && !this.#closed) acceptWatch().hold();
    this.#isRef = true;
  }

  unref(): void {
    if (this.#isRef && !this.#closed) acceptWatch().release();
    this.#isRef = false;
  }

  /** There is no room for more. */
  pause(): void {
    this.#paused = true;
  }

  /** There is room again. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#soon();
  }

  #soon(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#accept();
    });
  }

  #accept(): void {
    for (let left = BATCH; left > 0; left -= TOGETHER) {
      const hasMore = this.#acceptSome();
      this.#taker.taken();
      if (!hasMore) return;
    }
    this.#soon();
  }

  /** Whether there may be more. */
  #acceptSome(): boolean {
    let aborted = 0;
    for (let left = TOGETHER; left > 0; ) {
      if (this.#paused || this.#closed || this.#timer !== undefined) return false;
      const fd = acceptFrom(this.#fd, this.#peer, this.#bytes);
      if (fd >= 0) {
        left--;
        this.#warned = false;
        if (!this.#taker.take(fd, this.#peer, this.#bytes[0] ?? 0)) this.#paused = true;
      } else if (fd === -EAGAIN) {
        return false;
      } else if (SHORTAGES.has(fd)) {
        this.#rest(fd);
        return false;
      } else if (fd !== -EINTR && ++aborted > TRIED_AGAIN) {
        this.#rest(fd);
        return false;
      }
    }
    return true;
  }

  /** The kernel has nothing for another connection: those that come wait. */
  #rest(code: number): void {
    if (!this.#warned) {
      const error = new EpollError(code, 'accept4', this.#fd);
      process.emitWarning(`${error.message}; connections wait to be accepted`, { code: error.code });
    }
    this.#warned = true;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#accept();
    }, PAUSE_MS);
    this.#timer.unref();
  }

  /** Accepts no more; a unix socket's path goes, as net.Server does it. */
  close(): void {
    if (this.#closed) return;
    this.unref();
    this.#closed = true;
    clearTimeout(this.#timer);
    acceptWatch().remove(this.#fd);
    closeTracked(this.#fd);
    if (this.#path === undefined || this.#path.startsWith('\0')) return;
    try {
      unlinkSync(this.#path);
    } catch {
      // Somebody has taken it away.
    }
  }
}
