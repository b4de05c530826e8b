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
import { UNEXPECTED_BYTES } from '../../shared/load/problems.js';
import { Breakage } from './breakage.js';
import { type Checker, RIGHT } from './checker.js';
import { Dialer, type Office } from './dialer.js';
import type { Ledger } from './ledger.js';
import { OpenLoop } from './open-loop.js';
import type { Wire } from './wire.js';
import type { Writer } from './writer.js';

const HANGUP = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
const READING = EPOLLIN | HANGUP;
const REQUEST_TIMEOUT = 408;
/** After so many full buffers in a row from one connection, others have their turn. */
const MOST_READS = 32;

export interface DriverParts {
  readonly board: B.Assignment;
  readonly framer: Framer;
  readonly wire: Wire;
  readonly writer: Writer;
  readonly ledger: Ledger;
  readonly checker: Checker | undefined;
  readonly office: Office;
  /** Has the handler that is running run again. */
  readonly again: () => void;
}

export class Driver {
  readonly #board: B.Assignment;
  readonly #records: Float64Array;
  readonly #times: Float64Array;
  readonly #stride: number;
  readonly #pipelining: number;
  readonly #http: boolean;
  readonly #framer: Framer;
  readonly #wire: Wire;
  readonly #writer: Writer;
  readonly #ledger: Ledger;
  readonly #checker: Checker | undefined;
  readonly #breakage: Breakage;
  readonly #dialer: Dialer;
  readonly #again: () => void;
  readonly #open: OpenLoop | undefined;
  /** Where bytes go that are looked at once. */
  readonly #chunk = Buffer.allocUnsafeSlow(65_536);
  /** When the thread last looked. */
  #now = 0;

  constructor({ board, framer, wire, writer, ledger, checker, office, again }: DriverParts) {
    this.#board = board;
    this.#records = board.records;
    this.#times = board.times;
    this.#stride = board.stride;
    this.#pipelining = board.pipelining;
    this.#http = board.protocol === 'http';
    this.#framer = framer;
    this.#wire = wire;
    this.#writer = writer;
    this.#ledger = ledger;
    this.#checker = checker;
    this.#dialer = new Dialer(board, wire, ledger.counts, office, at => this.#sendFirst(at));
    this.#breakage = new Breakage(board, ledger, this.#dialer);
    this.#again = again;
    this.#open = board.schedule && new OpenLoop(board, board.schedule, ledger, this);
  }

  /** The connection's registration is ready. */
  visit(id: number, events: number): void {
    this.#dialer.own = id;
    if (this.#open === undefined) this.turn(id, events);
    else this.#open.visit(id, events);
    this.#dialer.own = -1;
  }

  /** The timer has expired. */
  tick(): void {
    this.#open?.dispatch();
  }

  /** Reads if `events` say so, then sends. The caller is the only one at this connection. */
  turn(id: number, events: number): void {
    const at = id * this.#stride;
    const records = this.#records;
    const state = records[at + B.STATE];
    if (state !== B.OPEN) {
      if (state === B.CLOSED && events === 0) this.#wake(id, at);
      if (state === B.LEAVING && events !== 0) this.#left(at);
      const isOpening = state === B.CONNECTING || state === B.SHAKING;
      if (!isOpening || events === 0 || !this.#dialer.isOpen(id, at)) return;
    }
    // What was left unread is for the run that was asked for then.
    if ((events & READING) !== 0 || (records[at + B.UNREAD] === 1 && this.#isOwn(at))) {
      if (!this.#receive(at, events)) return;
    } else {
      this.#now = clock();
    }
    this.#send(id, at);
    if (records[at + B.UNWRITTEN] !== 0) this.#flush(at, events);
  }

  /** Something is due, and the server has closed this connection while it was idle. */
  #wake(id: number, at: number): void {
    this.#now = clock();
    this.#open?.fill(id, at, this.#now);
    if (this.#records[at + B.UNDER_WAY] !== 0) this.#dialer.open(id, at);
  }

  /** Begins what is to be sent. */
  #send(id: number, at: number): void {
    if (this.#open === undefined) this.#fill(at);
    else this.#open.fill(id, at, this.#now);
  }

  #flush(at: number, events: number): void {
    const code = this.#writer.flush(at);
    if (code >= 0) return;
    // The server may have answered before it closed.
    const looked = (events & HANGUP) !== 0;
    if (looked || this.#receive(at, HANGUP)) this.#breakage.broken(at, this.#wire.reason(code));
  }

  /** On a connection that was opened just now; if it is broken, its registration is going to tell. */
  #sendFirst(at: number): void {
    this.#now = clock();
    this.#send(at / this.#stride, at);
    if (this.#records[at + B.UNWRITTEN] !== 0) this.#writer.flush(at);
  }

  /** A closed loop: what was answered is sent again. */
  #fill(at: number): void {
    const from = this.#times[B.COUNT_FROM] ?? 0;
    if (this.#now >= (this.#times[B.END] ?? 0) || from === Number.POSITIVE_INFINITY) return;
    // Without a warm-up all requests count, though this thread may have looked at the clock before the test began.
    const now = this.#board.warmup === 0 ? Math.max(from, this.#now) : this.#now;
    const counts = now >= from;
    const records = this.#records;
    for (let room = this.#pipelining - (records[at + B.UNDER_WAY] ?? 0); room > 0; room--) {
      if (records[at + B.LAST_BEGUN] === 1) return;
      if (counts && !B.takeRequest(this.#board)) return;
      this.#ledger.begin(at, now, now);
    }
  }

  /** Reads what there is. False: the connection is done with. */
  #receive(at: number, events: number): boolean {
    const records = this.#records;
    const chunk = this.#chunk;
    records[at + B.UNREAD] = 0;
    for (let reads = 0; records[at + B.DOOMED] === 0; ) {
      const n = this.#wire.read(at, chunk);
      if (n === -EINTR) continue;
      this.#now = clock();
      if (n === -EAGAIN) return true;
      if (n < 0) return this.#breakage.broken(at, this.#wire.reason(n));
      if (n === 0) return this.#ended(at);
      if (!this.#parse(at, n)) return false;
      // A short read was all there is, unless the end came with it: what comes later is another edge.
      if (n < chunk.length && (events & HANGUP) === 0 && this.#wire.isShortReadAll) return true;
      if (++reads < MOST_READS || !this.#isOwn(at)) continue;
      // With TLS it may lie in the session, of which no event tells.
      records[at + B.UNREAD] = 1;
      this.#again();
      return true;
    }
    return false;
  }

  /** Whether this connection's handler runs, and not the timer's or another one's: only that can be had to run again. */
  #isOwn(at: number): boolean {
    return this.#dialer.own * this.#stride === at;
  }

  /** The first `n` bytes of the chunk. False: the connection is done with. */
  #parse(at: number, n: number): boolean {
    const records = this.#records;
    const framer = this.#framer;
    const chunk = this.#chunk;
    const state = at + B.FRAMING;
    let isBegun = this.#open !== undefined && framer.isPartial(records, state);
    for (let i = 0; ; i = framer.offset) {
      if (this.#http) framer.head = (this.#ledger.traits(at) & B.HEAD) !== 0;
      const outcome = framer.next(records, state, chunk, i, n);
      if (outcome === COMPLETE) {
        if (!this.#complete(at)) return false;
        isBegun = false;
        continue;
      }
      const isIdle = records[at + B.UNDER_WAY] === 0;
      if (outcome === FAILED) return this.#breakage.garbage(at, isIdle ? UNEXPECTED_BYTES : framer.problem);
      if (!isIdle || !framer.isPartial(records, state)) return true;
      // The beginning of an answer that nobody asked for: its end may say that it is a farewell. A closed loop cannot wait.
      if (this.#open === undefined || !this.#http) return this.#breakage.garbage(at, UNEXPECTED_BYTES);
      if (!isBegun) records[at + B.SINCE] = this.#now;
      return true;
    }
  }

  /** A response is whole. False: the connection is done with. */
  #complete(at: number): boolean {
    const records = this.#records;
    const underWay = records[at + B.UNDER_WAY] ?? 0;
    const unwritten = records[at + B.UNWRITTEN] ?? 0;
    const { status, bytes, close } = this.#framer;
    // It may answer a request of which a part is still to go, and then this connection is of no more use; but not another.
    const early = underWay === unwritten;
    if (early && (underWay === 0 || records[at + B.WRITTEN] === 0)) {
      // So servers say that they have waited long enough for a request, and close.
      if (close || status === REQUEST_TIMEOUT) return this.#breakage.idle(at);
      return this.#breakage.garbage(at, UNEXPECTED_BYTES);
    }
    if (status === REQUEST_TIMEOUT && close && records[at + B.SERVED] === 1 && this.#ledger.isRepeatable(at)) {
      return this.#breakage.refused(at);
    }
    const last = (this.#ledger.traits(at) & B.CLOSES) !== 0;
    this.#ledger.answered(at, this.#now, status, bytes, this.#checker?.judge() ?? RIGHT);
    this.#wire.answered(at);
    if (early) {
      records[at + B.UNWRITTEN] = unwritten - 1;
      // The rest of it is never sent.
      records[at + B.WRITTEN] = 0;
    }
    return early || close || last ? this.#part(at) : true;
  }

  /** The connection is not used any more, and ends in good order: the server's end is waited for, if it is to come yet. */
  #part(at: number): false {
    // What was sent behind the last answer is lost however this ends: the main thread may have to end it.
    if (this.#records[at + B.UNDER_WAY] !== 0) this.#ledger.again(at);
    const ended = this.#drain(at);
    if (!ended && this.#dialer.leave(at)) return false;
    return this.#breakage.parted(at);
  }

  /** What comes on a connection that this side has ended. */
  #left(at: number): void {
    if (this.#drain(at)) this.#breakage.parted(at);
  }

  /** Whether the server has ended the connection; what it said before that is nothing to anybody. */
  #drain(at: number): boolean {
    for (let reads = 0; reads < MOST_READS; reads++) {
      const n = read(this.#records[at + B.FD] ?? -1, this.#chunk, this.#chunk.length);
      if (n === -EAGAIN) return false;
      if (n !== -EINTR && n <= 0) return true;
    }
    return true;
  }

  /** End of stream. */
  #ended(at: number): boolean {
    const outcome = this.#framer.end(this.#records, at + B.FRAMING);
    // The end of the connection is the end of the answer, unless anybody could have made it.
    if (outcome === COMPLETE && this.#wire.isTruncated(at)) return this.#breakage.garbage(at, 'truncated');
    if (outcome === FAILED && this.#records[at + B.UNDER_WAY] === 0)
      return this.#breakage.garbage(at, UNEXPECTED_BYTES);
    if (outcome === COMPLETE) {
      this.#complete(at);
      return false;
    }
    if (outcome === FAILED) return this.#breakage.garbage(at, this.#framer.problem);
    return this.#breakage.closed(at);
  }
}
