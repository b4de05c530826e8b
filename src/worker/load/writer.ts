/** Writes requests: the same bytes again and again, or those that a protocol's module gives. */
import { EAGAIN, EINTR } from '../../shared/errors.js';
import { write } from '../../shared/kernel/syscalls.js';
import * as B from '../../shared/load/board.js';
import { KEPT_BYTES, type LoadProtocol } from '../../shared/load/protocol.js';

/** Writes what is unwritten of the connection whose record begins at `at`. */
export interface Writer {
  /** Bytes of the request that was prepared last; 0 if that is not known before it is written. */
  readonly size: number;
  /** A request begins, in this place of the connection's ring. @returns its traits */
  prepare(at: number, place: number): number;
  /** @returns 0: all is written, or the connection takes no more for now; a negative errno: it is broken */
  flush(at: number): number;
}

/** Requests that go out in one write are kept one behind the other, up to so many bytes. */
const BATCH_BYTES = 65_536;

export class SameWriter implements Writer {
  readonly size: number;
  readonly #records: Float64Array;
  readonly #request: Uint8Array;
  readonly #batch: Uint8Array;
  readonly #most: number;
  readonly #traits: number;

  constructor(board: B.Assignment) {
    this.#records = board.records;
    this.#request = Buffer.from(board.request);
    this.#traits = board.traits;
    this.size = this.#request.length;
    this.#most = Math.max(1, Math.min(board.pipelining, Math.floor(BATCH_BYTES / this.#request.length)));
    this.#batch = Buffer.concat(Array.from({ length: this.#most }, () => this.#request));
  }

  prepare(): number {
    return this.#traits;
  }

  flush(at: number): number {
    const records = this.#records;
    const size = this.#request.length;
    const fd = records[at + B.FD] ?? -1;
    let unwritten = records[at + B.UNWRITTEN] ?? 0;
    while (unwritten > 0) {
      const written = records[at + B.WRITTEN] ?? 0;
      const count = written > 0 ? 1 : Math.min(unwritten, this.#most);
      const n =
        written > 0 ? write(fd, this.#request.subarray(written), size - written) : write(fd, this.#batch, count * size);
      if (n === -EINTR) continue;
      if (n < 0) return n === -EAGAIN ? 0 : n;
      const whole = Math.floor((written + n) / size);
      unwritten -= whole;
      records[at + B.UNWRITTEN] = unwritten;
      records[at + B.WRITTEN] = written + n - whole * size;
    }
    return 0;
  }
}

/** What is left of a request that was written in part is kept in shared memory: another thread may have to go on. */
export class ModuleWriter implements Writer {
  readonly size = 0;
  readonly #board: B.Assignment;
  readonly #counts: Float64Array;
  readonly #protocol: LoadProtocol;

  constructor(board: B.Assignment, counts: Float64Array, protocol: LoadProtocol) {
    this.#board = board;
    this.#counts = counts;
    this.#protocol = protocol;
  }

  prepare(): number {
    return 0;
  }

  flush(at: number): number {
    const { records } = this.#board;
    const fd = records[at + B.FD] ?? -1;
    while ((records[at + B.UNWRITTEN] ?? 0) > 0) {
      // WRITTEN: how many bytes of the kept ones are still to go.
      const left = records[at + B.WRITTEN] ?? 0;
      const bytes = left > 0 ? this.#kept(at).subarray(KEPT_BYTES - left) : this.#next();
      const n = write(fd, bytes, bytes.length);
      if (n === -EINTR && left > 0) continue;
      if (n < 0 && n !== -EAGAIN && n !== -EINTR) return n;
      const rest = bytes.length - Math.max(0, n);
      if (rest > 0 && left === 0) this.#kept(at).set(bytes.subarray(bytes.length - rest), KEPT_BYTES - rest);
      records[at + B.WRITTEN] = rest;
      if (rest === 0) records[at + B.UNWRITTEN] = (records[at + B.UNWRITTEN] ?? 0) - 1;
      if (n === -EAGAIN) return 0;
    }
    return 0;
  }

  #next(): Uint8Array {
    const bytes: unknown = this.#protocol.request === undefined ? this.#board.request : this.#protocol.request();
    if (!(bytes instanceof Uint8Array) || bytes.length === 0 || bytes.length > KEPT_BYTES) {
      throw new TypeError(`request() of the protocol's module must return 1 to ${KEPT_BYTES} bytes`);
    }
    this.#counts[B.BYTES_SENT] = (this.#counts[B.BYTES_SENT] ?? 0) + bytes.length;
    return bytes;
  }

  #kept(at: number): Uint8Array {
    const { kept, stride } = this.#board;
    return new Uint8Array(kept, ((at / stride) * 2 + 1) * KEPT_BYTES, KEPT_BYTES);
  }
}
