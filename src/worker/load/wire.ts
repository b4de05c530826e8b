/** How bytes get to a connection's socket and back: as they are, or through a TLS session. */
import { EAGAIN, EpollError } from '../../shared/errors.js';
import { read, write } from '../../shared/kernel/syscalls.js';
import * as B from '../../shared/load/board.js';
import { clock } from '../../shared/load/clock.js';
import type { Histogram } from '../../shared/load/histogram.js';
import * as session from '../../shared/tls/session.js';

/** What opening has come to. */
export const READY = 0;
export const WAITING = 1;
export const REFUSED = 2;

/** Connections are given by where their record begins. */
export interface Wire {
  /** Whether a read that does not fill the buffer has taken all there was. */
  readonly isShortReadAll: boolean;
  /** After the socket was connected, and at each event until it is READY or REFUSED. */
  open(at: number): typeof READY | typeof WAITING | typeof REFUSED;
  /** Bytes read, 0 at the end of stream, or a negative errno; BROKEN where it is none. */
  read(at: number, buffer: Buffer): number;
  /** Bytes written, or as read(). */
  write(at: number, bytes: Uint8Array, length: number): number;
  /** Why open(), read() or write() has just failed. */
  reason(code: number): string;
  /** Whether a stream that has ended may have been cut short by somebody. */
  isTruncated(at: number): boolean;
  /** Tells the other end that no more is sent. */
  farewell(at: number): void;
  /** The connection is not used any more. */
  release(at: number): void;
  /** An answer has come. */
  answered(at: number): void;
}

export class PlainWire implements Wire {
  readonly isShortReadAll = true;
  readonly #records: Float64Array;

  constructor(board: B.Assignment) {
    this.#records = board.records;
  }

  open(): typeof READY {
    return READY;
  }

  read(at: number, buffer: Buffer): number {
    return read(this.#records[at + B.FD] ?? -1, buffer, buffer.length);
  }

  write(at: number, bytes: Uint8Array, length: number): number {
    return write(this.#records[at + B.FD] ?? -1, bytes, length);
  }

  reason(code: number): string {
    return new EpollError(code, 'read').code;
  }

  isTruncated(): boolean {
    return false;
  }

  farewell(): void {}

  release(): void {}

  answered(): void {}
}

/** A TLS call failed, and not by the socket's error. */
const BROKEN = -0x1_0000;

export class TlsWire implements Wire {
  // Decrypted bytes may lie in the session.
  readonly isShortReadAll = false;
  readonly #records: Float64Array;
  readonly #tls: NonNullable<B.Assignment['tls']>;
  readonly #counts: Float64Array;
  readonly #handshakes: Histogram;
  #reason = '';

  constructor(board: B.Assignment, tls: NonNullable<B.Assignment['tls']>, counts: Float64Array, handshakes: Histogram) {
    this.#records = board.records;
    this.#tls = tls;
    this.#counts = counts;
    this.#handshakes = handshakes;
    session.requireTls();
  }

  open(at: number): typeof READY | typeof WAITING | typeof REFUSED {
    const records = this.#records;
    const { context, servername, resumption } = this.#tls;
    let ssl = records[at + B.SESSION] ?? 0;
    if (ssl === 0) {
      ssl = session.connectSession(context, records[at + B.FD] ?? -1, servername, resumption[0] ?? 0);
      if (ssl === 0) throw new Error('no memory for a TLS session');
      records[at + B.SESSION] = ssl;
      records[at + B.SHAKING_SINCE] = clock();
    }
    const result = session.handshake(ssl);
    if (result === session.FAILED) {
      const { errno, reason } = session.lastFailure();
      this.#reason = errno > 0 ? new EpollError(errno, 'read').code : reason;
      return REFUSED;
    }
    if (result !== session.DONE) return WAITING;
    this.#handshakes.record((clock() - (records[at + B.SHAKING_SINCE] ?? 0)) * 1000);
    if (session.wasResumed(ssl)) this.#counts[B.RESUMED] = (this.#counts[B.RESUMED] ?? 0) + 1;
    return READY;
  }

  read(at: number, buffer: Buffer): number {
    return this.#outcome(session.read(this.#records[at + B.SESSION] ?? 0, buffer, 0, buffer.length));
  }

  write(at: number, bytes: Uint8Array, length: number): number {
    return this.#outcome(session.write(this.#records[at + B.SESSION] ?? 0, bytes, 0, length));
  }

  #outcome(result: number): number {
    if (result >= 0) return result;
    if (result !== session.FAILED) return -EAGAIN;
    const { errno, reason } = session.lastFailure();
    this.#reason = reason;
    return errno > 0 ? -errno : BROKEN;
  }

  reason(code: number): string {
    return code === BROKEN || code === 0 ? this.#reason : new EpollError(code, 'read').code;
  }

  isTruncated(at: number): boolean {
    return session.wasTruncated(this.#records[at + B.SESSION] ?? 0);
  }

  farewell(at: number): void {
    session.shutdown(this.#records[at + B.SESSION] ?? 0);
  }

  release(at: number): void {
    const ssl = this.#records[at + B.SESSION] ?? 0;
    this.#records[at + B.SESSION] = 0;
    if (ssl !== 0) session.freeSession(ssl);
  }

  /** The first session that can be resumed is, by every connection from then on. */
  answered(at: number): void {
    const { resumes, resumption, taken } = this.#tls;
    if (!resumes || resumption[0] !== 0 || Atomics.compareExchange(taken, 0, 0, 1) !== 0) return;
    const found = session.takeResumption(this.#records[at + B.SESSION] ?? 0);
    if (found === 0) Atomics.store(taken, 0, 0);
    else resumption[0] = found;
  }
}
