/** Writes requests: the same bytes again and again, or those that a protocol's module gives. */
import { EAGAIN, EINTR, outOfRange } from '../../shared/errors.js';
import * as B from '../../shared/load/board.js';
import { KEPT_BYTES, type LoadProtocol } from '../../shared/load/protocol.js';
import { RequestBuilder } from '../../shared/load/request-builder.js';
import type { LoadScript } from '../../shared/load/script.js';
import type { Wire } from './wire.js';

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
  readonly #wire: Wire;
  readonly #records: Float64Array;
  readonly #request: Uint8Array;
  readonly #batch: Uint8Array;
  readonly #most: number;
  readonly #traits: number;

  constructor(board: B.Assignment, wire: Wire) {
    this.#wire = wire;
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
    const wire = this.#wire;
    const size = this.#request.length;
    let unwritten = records[at + B.UNWRITTEN] ?? 0;
    while (unwritten > 0) {
      const written = records[at + B.WRITTEN] ?? 0;
      const count = written > 0 ? 1 : Math.min(unwritten, this.#most);
      const n =
        written > 0
          ? wire.write(at, this.#request.subarray(written), size - written)
          : wire.write(at, this.#batch, count * size);
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
  readonly #wire: Wire;
  readonly #counts: Float64Array;
  readonly #protocol: LoadProtocol;

  constructor(board: B.Assignment, wire: Wire, counts: Float64Array, protocol: LoadProtocol) {
    this.#wire = wire;
    this.#board = board;
    this.#counts = counts;
    this.#protocol = protocol;
  }

  prepare(): number {
    return 0;
  }

  flush(at: number): number {
    const { records } = this.#board;
    while ((records[at + B.UNWRITTEN] ?? 0) > 0) {
      // WRITTEN: how many bytes of the kept ones are still to go.
      const left = records[at + B.WRITTEN] ?? 0;
      const bytes = left > 0 ? this.#kept(at).subarray(KEPT_BYTES - left) : this.#next(at);
      const n = this.#wire.write(at, bytes, bytes.length);
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

  #next(at: number): Uint8Array {
    const bytes: unknown = this.#protocol.request === undefined ? this.#board.request : this.#protocol.request();
    if (!(bytes instanceof Uint8Array) || bytes.length === 0 || bytes.length > KEPT_BYTES) {
      throw new TypeError(`request() of the protocol's module must return 1 to ${KEPT_BYTES} bytes`);
    }
    const { records, times, pipelining } = this.#board;
    const before = (records[at + B.UNDER_WAY] ?? 0) - (records[at + B.UNWRITTEN] ?? 0);
    const place = ((records[at + B.OLDEST] ?? 0) + before) % pipelining;
    if ((records[at + B.RING + B.ENTRY * place + B.FROM] ?? 0) >= (times[B.COUNT_FROM] ?? 0)) {
      this.#counts[B.BYTES_SENT] = (this.#counts[B.BYTES_SENT] ?? 0) + bytes.length;
    }
    return bytes;
  }

  #kept(at: number): Uint8Array {
    const { kept, stride } = this.#board;
    return new Uint8Array(kept, ((at / stride) * 2 + 1) * KEPT_BYTES, KEPT_BYTES);
  }
}

/** Writes requests of which each may be another: their bytes are told by their place in the connection's ring. */
abstract class ManyWriter implements Writer {
  abstract readonly size: number;
  protected readonly board: B.Assignment;
  readonly #wire: Wire;

  constructor(board: B.Assignment, wire: Wire) {
    this.board = board;
    this.#wire = wire;
  }

  abstract prepare(at: number, place: number): number;

  /** The bytes of the request at this place. */
  protected abstract bytesAt(at: number, place: number): Uint8Array;

  flush(at: number): number {
    const { records, pipelining } = this.board;
    while ((records[at + B.UNWRITTEN] ?? 0) > 0) {
      const before = (records[at + B.UNDER_WAY] ?? 0) - (records[at + B.UNWRITTEN] ?? 0);
      const bytes = this.bytesAt(at, ((records[at + B.OLDEST] ?? 0) + before) % pipelining);
      const written = records[at + B.WRITTEN] ?? 0;
      const n =
        written > 0
          ? this.#wire.write(at, bytes.subarray(written), bytes.length - written)
          : this.#wire.write(at, bytes, bytes.length);
      if (n === -EINTR) continue;
      if (n < 0) return n === -EAGAIN ? 0 : n;
      const isWhole = written + n === bytes.length;
      records[at + B.WRITTEN] = isWhole ? 0 : written + n;
      if (isWhole) records[at + B.UNWRITTEN] = (records[at + B.UNWRITTEN] ?? 0) - 1;
    }
    return 0;
  }
}

/** The requests of a list, in turn. */
export class ListWriter extends ManyWriter {
  size = 0;
  readonly #list: ReadonlyArray<{ readonly bytes: Buffer; readonly traits: number }>;

  constructor(board: B.Assignment, wire: Wire) {
    super(board, wire);
    this.#list = board.list.map(({ bytes, traits }) => ({ bytes: Buffer.from(bytes), traits }));
  }

  prepare(at: number, place: number): number {
    const index = B.takeNumber(this.board) % this.#list.length;
    this.board.records[at + B.RING + B.ENTRY * place + B.NUMBER] = index;
    const request = this.#list[index];
    this.size = request?.bytes.length ?? 0;
    return request?.traits ?? 0;
  }

  protected bytesAt(at: number, place: number): Uint8Array {
    const request = this.#list[this.board.records[at + B.RING + B.ENTRY * place + B.NUMBER] ?? 0];
    if (request === undefined) throw new Error('a request that is not in the list');
    return request.bytes;
  }
}

/** The requests that a script makes. They are kept in shared memory: another thread may have to go on, or to send them again. */
export class ScriptWriter extends ManyWriter {
  readonly #script: LoadScript;
  readonly #builder: RequestBuilder;
  readonly #slot: number;

  constructor(board: B.Assignment, wire: Wire, script: LoadScript) {
    super(board, wire);
    this.#script = script;
    this.#builder = new RequestBuilder(board.base);
    this.#slot = Math.floor(board.keptBytes / board.pipelining);
  }

  get size(): number {
    return this.#builder.length;
  }

  prepare(at: number, place: number): number {
    const { board } = this;
    const builder = this.#builder;
    builder.build(this.#script.request?.(B.takeNumber(board), board.scriptData));
    if (builder.length > this.#slot) {
      throw outOfRange(
        'a request of the script',
        `at most ${this.#slot} bytes with so many connections`,
        builder.length,
      );
    }
    new Uint8Array(board.kept, this.#offset(at, place), builder.length).set(builder.bytes.subarray(0, builder.length));
    board.records[at + B.RING + B.ENTRY * place + B.LENGTH] = builder.length;
    return builder.traits;
  }

  protected bytesAt(at: number, place: number): Uint8Array {
    const { kept, records } = this.board;
    return new Uint8Array(kept, this.#offset(at, place), records[at + B.RING + B.ENTRY * place + B.LENGTH] ?? 0);
  }

  #offset(at: number, place: number): number {
    const { stride, keptBytes } = this.board;
    return ((at / stride) * 2 + 1) * keptBytes + place * this.#slot;
  }
}
