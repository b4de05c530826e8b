/** A constant rate: requests are due by the schedule, and go to whichever connection is free. */
import { EPOLLIN, EPOLLRDHUP } from '../../shared/epoll/flags.js';
import * as B from '../../shared/load/board.js';
import { clock } from '../../shared/load/clock.js';
import { ResponseFramer } from '../../shared/load/http-response.js';
import { IdleQueue } from '../../shared/load/idle-queue.js';
import { EVENT, enter, leave, POPPED } from '../../shared/load/owner.js';
import { Schedule, type SchedulePlan } from '../../shared/load/schedule.js';
import type { Ledger } from './ledger.js';

/** What came while another thread was at the connection: to be sure, all there is to read. */
const ANY = EPOLLIN | EPOLLRDHUP;
/** A request that goes out so much later than due, though a connection was free, is the generator's own delay. */
const LATE_MS = 1;

export interface Turner {
  turn(id: number, events: number): void;
}

export class OpenLoop {
  readonly #board: B.Assignment;
  readonly #records: Float64Array;
  readonly #owners: Int32Array;
  readonly #schedule: Schedule;
  readonly #idle: IdleQueue;
  /** Those that the server has closed meanwhile: they are opened when no other is free. */
  readonly #spare: IdleQueue;
  readonly #ledger: Ledger;
  readonly #turner: Turner;
  #dispatching = false;
  #queued = false;

  constructor(board: B.Assignment, schedule: SchedulePlan, ledger: Ledger, turner: Turner) {
    this.#board = board;
    this.#records = board.records;
    this.#owners = board.owners;
    this.#schedule = new Schedule(schedule);
    this.#idle = new IdleQueue(board.idle);
    this.#spare = new IdleQueue(board.spare);
    this.#ledger = ledger;
    this.#turner = turner;
  }

  /** The connection's registration is ready. */
  visit(id: number, events: number): void {
    if (enter(this.#owners, id, EVENT)) this.#stay(id, events);
    // A request may have become due after this connection looked, and before it was in the queue.
    if (this.#queued) this.dispatch();
  }

  /** Gives what is due to connections that are free. */
  dispatch(): void {
    const { times, stride } = this.#board;
    this.#dispatching = true;
    do {
      this.#queued = false;
      const now = clock();
      if (now >= (times[B.DEADLINE] ?? 0)) break;
      while (this.#schedule.isDue(now)) {
        const id = this.#next();
        if (id < 0) break;
        if (!enter(this.#owners, id, POPPED)) continue;
        this.#records[id * stride + B.QUEUED] = 0;
        this.#stay(id, 0);
      }
    } while (this.#queued);
    this.#dispatching = false;
  }

  /** A connection that is free; -1 if there is none. */
  #next(): number {
    for (;;) {
      const id = this.#idle.pop();
      if (id < 0) return this.#spare.pop();
      if (this.#records[id * this.#board.stride + B.STATE] !== B.CLOSED) return id;
      this.#spare.push(id);
    }
  }

  /** The caller has entered. */
  #stay(id: number, events: number): void {
    let mask = events;
    for (;;) {
      this.#turner.turn(id, mask);
      const missed = leave(this.#owners, id);
      if (missed === 0) return;
      if ((missed & POPPED) !== 0) this.#records[id * this.#board.stride + B.QUEUED] = 0;
      // Both: a connection that is closed asks nothing of events, but it was taken off the queue to be opened.
      if (missed === (EVENT | POPPED)) this.#turner.turn(id, ANY);
      mask = missed === EVENT ? ANY : 0;
    }
  }

  /** Takes what is due for a connection; one with room for more goes into the queue. */
  fill(id: number, at: number, now: number): void {
    const records = this.#records;
    const { times, pipelining } = this.#board;
    if (now >= (times[B.DEADLINE] ?? 0)) return;
    // The server has begun to say something of its own, a farewell most likely: the rest of it is waited for.
    if (records[at + B.UNDER_WAY] === 0 && ResponseFramer.partial(records, at + B.FRAMING)) return;
    while ((records[at + B.UNDER_WAY] ?? 0) < pipelining && records[at + B.LAST_BEGUN] !== 1) {
      const due = this.#schedule.take(now);
      if (due < 0) break;
      if (due >= (times[B.COUNT_FROM] ?? 0) && !B.takeRequest(this.#board)) return;
      if (this.#dispatching && now - due > LATE_MS) this.#ledger.late();
      this.#ledger.begin(at, due, now);
    }
    if ((records[at + B.UNDER_WAY] ?? 0) >= pipelining || records[at + B.LAST_BEGUN] === 1) return;
    if (records[at + B.QUEUED] === 1) return;
    records[at + B.QUEUED] = 1;
    this.#queued = true;
    this.#idle.push(id);
  }
}
