/**
 * What a thread does with a connection that is ready: reads responses, counts them, and sends what comes next.
 *
 * All that is known of a connection stands in its record, in shared memory: any thread can go on with it. In a closed loop
 * the service's own promise keeps two threads from being at it; in an open loop a timer's thread may send on it as well,
 * and owner.ts keeps them apart. Nothing here allocates, but where something goes wrong.
 */

import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLRDHUP } from '../../shared/epoll/flags.js';
import { EAGAIN, EINTR } from '../../shared/errors.js';
import { read } from '../../shared/kernel/syscalls.js';
import * as B from '../../shared/load/board.js';
import { clock } from '../../shared/load/clock.js';
import type { Framer } from '../../shared/load/framer.js';
import { COMPLETE, FAILED } from '../../shared/load/http-response.js';
import { Breakage } from './breakage.js';
import type { Ledger } from './ledger.js';
import { OpenLoop } from './open-loop.js';
import type { Writer } from './writer.js';

const HANGUP = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
const READING = EPOLLIN | HANGUP;
/** After so many full buffers in a row from one connection, others have their turn (not in an open loop, which is never flat out). */
const MOST_READS = 32;

export interface DriverParts {
  readonly board: B.Assignment;
  readonly framer: Framer;
  readonly writer: Writer;
  readonly ledger: Ledger;
  /** Tells the main thread. */
  readonly part: (parting: B.Parting) => void;
  /** Has the handler that is running run again. */
  readonly again: () => void;
}

export class Driver {
  readonly #board: B.Assignment;
  readonly #records: Float64Array;
  readonly #times: Float64Array;
  readonly #stride: number;
  readonly #pipelining: number;
  readonly #framer: Framer;
  readonly #writer: Writer;
  readonly #ledger: Ledger;
  readonly #breakage: Breakage;
  readonly #again: () => void;
  readonly #open: OpenLoop | undefined;
  /** Where bytes go that are looked at once. */
  readonly #chunk = Buffer.allocUnsafeSlow(65_536);
  /** When the thread last looked. */
  #now = 0;

  constructor({ board, framer, writer, ledger, part, again }: DriverParts) {
    this.#board = board;
    this.#records = board.records;
    this.#times = board.times;
    this.#stride = board.stride;
    this.#pipelining = board.pipelining;
    this.#framer = framer;
    this.#writer = writer;
    this.#ledger = ledger;
    this.#breakage = new Breakage(board, part);
    this.#again = again;
    this.#open = board.schedule && new OpenLoop(board, board.schedule, ledger, this);
  }

  /** The connection's registration is ready. */
  visit(id: number, events: number): void {
    if (this.#open === undefined) this.turn(id, events);
    else this.#open.visit(id, events);
  }

  /** The timer has expired. */
  tick(): void {
    this.#open?.dispatch();
  }

  /** Reads if `events` say so, then sends. The caller is the only one at this connection. */
  turn(id: number, events: number): void {
    const at = id * this.#stride;
    const records = this.#records;
    if (records[at + B.STATE] !== B.OPEN) return;
    if ((events & READING) !== 0) {
      if (!this.#receive(at, events)) return;
    } else {
      this.#now = clock();
    }
    if (this.#open === undefined) this.#fill(at);
    else this.#open.fill(id, at, this.#now);
    if (records[at + B.UNWRITTEN] !== 0) {
      const code = this.#writer.flush(at);
      if (code < 0) this.#breakage.broken(at, code);
    }
  }

  /** A closed loop: what was answered is sent again. */
  #fill(at: number): void {
    const now = this.#now;
    if (now >= (this.#times[B.END] ?? 0)) return;
    const counts = now >= (this.#times[B.COUNT_FROM] ?? 0);
    for (let room = this.#pipelining - (this.#records[at + B.UNDER_WAY] ?? 0); room > 0; room--) {
      if (counts && !B.takeRequest(this.#board)) return;
      this.#ledger.begin(at, now, now);
    }
  }

  /** Reads what there is. False: the connection is done with. */
  #receive(at: number, events: number): boolean {
    const records = this.#records;
    const chunk = this.#chunk;
    const fd = records[at + B.FD] ?? -1;
    for (let reads = 0; records[at + B.DOOMED] === 0; ) {
      const n = read(fd, chunk, chunk.length);
      if (n === -EINTR) continue;
      this.#now = clock();
      if (n === -EAGAIN) return true;
      if (n < 0) return this.#breakage.broken(at, n);
      if (n === 0) return this.#ended(at);
      if (!this.#parse(at, n)) return false;
      // A short read was all there is, unless the end came with it: what comes later is another edge.
      if (n < chunk.length && (events & HANGUP) === 0) return true;
      if (++reads < MOST_READS || this.#open !== undefined) continue;
      this.#again();
      return true;
    }
    return false;
  }

  /** The first `n` bytes of the chunk. False: the connection is done with. */
  #parse(at: number, n: number): boolean {
    const records = this.#records;
    const framer = this.#framer;
    const chunk = this.#chunk;
    const state = at + B.FRAMING;
    for (let i = 0; ; i = framer.offset) {
      const outcome = framer.next(records, state, chunk, i, n);
      if (outcome === COMPLETE) {
        if (!this.#complete(at)) return false;
        continue;
      }
      if (outcome === FAILED) return this.#breakage.garbage(at, framer.problem);
      if (i < n && records[at + B.UNDER_WAY] === 0) return this.#breakage.garbage(at, 'unasked');
      return true;
    }
  }

  /** A response is whole. False: the connection is done with. */
  #complete(at: number): boolean {
    const records = this.#records;
    const underWay = records[at + B.UNDER_WAY] ?? 0;
    const unwritten = records[at + B.UNWRITTEN] ?? 0;
    // It may answer a request of which a part is still to go, and then this connection is of no more use; but not another.
    const early = underWay === unwritten;
    if (early && (underWay === 0 || records[at + B.WRITTEN] === 0)) return this.#breakage.garbage(at, 'unasked');
    this.#ledger.answered(at, this.#now, this.#framer.status, this.#framer.bytes);
    if (early) records[at + B.UNWRITTEN] = unwritten - 1;
    return early || this.#framer.close ? this.#breakage.parted(at) : true;
  }

  /** End of stream. */
  #ended(at: number): boolean {
    const outcome = this.#framer.end(this.#records, at + B.FRAMING);
    if (outcome === COMPLETE) {
      this.#complete(at);
      return false;
    }
    if (outcome === FAILED) return this.#breakage.garbage(at, this.#framer.problem);
    return this.#breakage.closed(at);
  }
}
