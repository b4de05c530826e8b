/**
 * The connections of a load test, as far as they are the main thread's: opened at first, registered, given up when they
 * are overdue, and opened again after failures. What ends in good order the threads open again themselves.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { EPOLLET, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from '../../shared/epoll/flags.js';
import { EpollError } from '../../shared/errors.js';
import { close } from '../../shared/kernel/sys.js';
import * as B from '../../shared/load/board.js';
import { clock } from '../../shared/load/clock.js';
import { ResponseFramer } from '../../shared/load/http-response.js';
import { release, seize } from '../../shared/load/owner.js';
import { UNEXPECTED_BYTES } from '../../shared/load/problems.js';
import { Schedule } from '../../shared/load/schedule.js';
import { freeSession } from '../../shared/tls/session.js';
import type { WaitService } from '../service/service.js';
import { type Connector, codeOf } from './connector.js';
import type { ErrorKind } from './result.js';
import type { Tally } from './tally.js';

const EVENTS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
/** Between attempts that fail: doubled each time, up to the longest, which is short once the server has answered anything. */
const SHORTEST_PAUSE = 10;
const LONGEST_PAUSE = 1000;
const LONGEST_AFTER_ANSWERS = 100;
/** Longest wait for a thread to leave a connection that is to be closed; longer, and the thread is dead. */
const PATIENCE = 1000;
/** How long a thread waits for the server's end of a connection that it has ended. */
const LEAVE = 50;
/** How often it is looked whether TLS has been agreed on. */
const LOOK = 2;

interface Connection {
  readonly id: number;
  readonly at: number;
  /** The main thread is about to close it. */
  closing: boolean;
  /** Attempts in a row, and connections in a row that answered nothing. */
  failures: number;
  /** How often it was handed back to the main thread. */
  returns: number;
}

export class Fleet {
  /** How many are open, as of the last look. */
  open = 0;
  /** When the main thread last opened one, and how many attempts have failed since. */
  lastOpened = clock();
  failedSince = 0;
  /** Pauses that were made because nothing had ever been answered. */
  pauses = 0;
  readonly #all: readonly Connection[];
  readonly #board: B.Assignment;
  readonly #records: Float64Array;
  readonly #service: WaitService;
  readonly #connector: Connector;
  readonly #tally: Tally;
  readonly #timeout: number;
  readonly #opening: number;
  readonly #schedule: Schedule | undefined;
  readonly #timers = new Set<NodeJS.Timeout>();
  #started = false;
  #ended = false;

  /** @param opening how many are opened at a time */
  constructor(
    board: B.Assignment,
    connections: number,
    timeout: number,
    opening: number,
    service: WaitService,
    connector: Connector,
    tally: Tally,
  ) {
    this.#board = board;
    this.#records = board.records;
    this.#service = service;
    this.#connector = connector;
    this.#tally = tally;
    this.#timeout = timeout;
    this.#opening = opening;
    this.#schedule = board.schedule && new Schedule(board.schedule);
    this.#all = Array.from({ length: connections }, (_, id) => ({
      id,
      at: id * board.stride,
      closing: false,
      failures: 0,
      returns: 0,
    }));
  }

  /** Resolves once each has been tried; those that failed are tried again meanwhile. */
  async openAll(): Promise<void> {
    let next = 0;
    // As many at a time as the connector makes: ten thousand that wait for it take more memory than all the connections.
    const lane = async (): Promise<void> => {
      for (let connection = this.#all[next++]; connection !== undefined; connection = this.#all[next++]) {
        if (!(await this.#attempt(connection))) this.#retry(connection, true);
      }
    };
    await Promise.all(Array.from({ length: Math.min(this.#opening, this.#all.length) }, lane));
  }

  /** Hands all that are open to the threads; resolves once they have them. */
  async start(): Promise<void> {
    this.#started = true;
    const open = this.#all.filter(({ at }) => (this.#records[at + B.FD] ?? -1) >= 0);
    if (this.#board.tls === undefined) {
      await Promise.all(open.map(connection => this.#register(connection)));
    } else if (this.#board.schedule === undefined) {
      // They are with the threads already, and one more event sets them going.
      await Promise.all(open.map(connection => this.#nudge(connection)));
    }
  }

  async #attempt(connection: Connection): Promise<boolean> {
    const records = this.#records;
    const { id, at } = connection;
    try {
      const fd = await this.#connector.open();
      await this.#seize(id);
      if (this.#ended) {
        close(fd);
        return true;
      }
      records[at + B.FD] = fd;
      records[at + B.DOOMED] = 0;
      records[at + B.SERVED] = 0;
      records[at + B.EARLY] = this.#started ? 0 : 1;
      records[at + B.SINCE] = clock();
      // First: the thread that finds it open may find it broken, too.
      Atomics.store(this.#board.gates, id, B.ANY_THREAD);
      if (this.#board.tls === undefined) {
        records[at + B.STATE] = B.OPEN;
        this.#letGo(connection);
        this.open++;
        this.lastOpened = clock();
        this.failedSince = 0;
        if (this.#started) void this.#register(connection);
      } else {
        // The threads agree on TLS, before the test begins; what goes wrong they tell.
        records[at + B.STATE] = B.CONNECTING;
        this.#letGo(connection);
        await this.#register(connection);
        await this.#agreed(connection);
      }
      return true;
    } catch (error) {
      if (this.#ended) return true;
      this.failedSince++;
      await this.#seize(id);
      if (this.#ended) return true;
      const lost = this.#abandon(connection);
      this.#letGo(connection);
      if (lost > 0) this.#fail('connect', `connect ${codeOf(error)}`, lost, this.#counted);
      else this.#refused('connect', `connect ${codeOf(error)}`);
      return false;
    }
  }

  /** Resolves once a thread has agreed on TLS with the server, or has failed to. */
  async #agreed(connection: Connection): Promise<void> {
    const isOpen = () => this.#records[connection.at + B.STATE] === B.OPEN;
    const { returns } = connection;
    while (!this.#ended && !isOpen() && connection.returns === returns) await sleep(LOOK);
    if (!isOpen()) return;
    this.open++;
    this.lastOpened = clock();
    this.failedSince = 0;
  }

  #counted = 0;

  /** The requests under way will not be answered. @returns how many; `#counted` of these are counted ones */
  #abandon({ at }: Connection): number {
    const records = this.#records;
    const lost = records[at + B.UNDER_WAY] ?? 0;
    this.#counted = B.countedOf(this.#board, at, lost);
    for (const word of [B.UNDER_WAY, B.UNWRITTEN, B.WRITTEN, B.RETRIED, B.LAST_BEGUN]) records[at + word] = 0;
    return lost;
  }

  /** A failure that stands for the request that could not be sent: a number of requests comes to an end all the same. */
  #refused(kind: 'connect' | 'reset', detail: string): void {
    const now = clock();
    if (this.#started && now < (this.#board.times[B.COUNT_FROM] ?? 0)) return;
    if (!B.takeRequest(this.#board)) return;
    this.#tally.refused++;
    this.#fail(kind, detail, 0, 1);
  }

  #fail(kind: ErrorKind, detail: string, lost: number, counted: number): void {
    const now = clock();
    B.fault(this.#board, counted, now);
    this.#tally.fail(kind, detail, lost, counted, now);
  }

  /** Opens it, after a pause if it has failed before, until it succeeds or there is no need any more. */
  #retry(connection: Connection, failed: boolean): void {
    if (this.#ended) return;
    const again = async (): Promise<void> => {
      if (this.#isNeeded(connection)) {
        if (!(await this.#attempt(connection))) this.#retry(connection, true);
      } else {
        Atomics.store(this.#board.gates, connection.id, B.ANY_THREAD);
      }
    };
    const pause = failed ? this.#pauseOf(connection) : 0;
    if (pause === 0) {
      void again();
      return;
    }
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      void again();
    }, pause);
    this.#timers.add(timer);
  }

  #pauseOf(connection: Connection): number {
    const failures = connection.failures++;
    if (failures === 0) return 0;
    const answered = Atomics.load(this.#board.answered, 0) === 1;
    if (!answered && this.#started) this.pauses++;
    const longest = answered ? LONGEST_AFTER_ANSWERS : Math.min(LONGEST_PAUSE, this.#timeout);
    return Math.min(SHORTEST_PAUSE * 2 ** Math.min(failures - 1, 10), longest);
  }

  #isNeeded({ at }: Connection): boolean {
    if (this.#ended) return false;
    if ((this.#records[at + B.UNDER_WAY] ?? 0) > 0) return true;
    if (B.isSpent(this.#board)) return false;
    const { times } = this.#board;
    const now = clock();
    return now < (times[B.END] ?? 0) || (now < (times[B.DEADLINE] ?? 0) && (this.#schedule?.left ?? 0) > 0);
  }

  async #nudge({ id, at }: Connection): Promise<void> {
    const fd = this.#records[at + B.FD] ?? -1;
    if (fd < 0) return;
    try {
      await this.#service.modify(fd, { events: EVENTS, data: id + B.FIRST_DATA });
    } catch (error) {
      // It has ended meanwhile; a thread or parted() sees to it.
      if (!(error instanceof EpollError)) throw error;
    }
  }

  async #register({ id, at }: Connection): Promise<void> {
    const fd = this.#records[at + B.FD] ?? -1;
    try {
      await this.#service.register(fd, { events: EVENTS, data: id + B.FIRST_DATA });
    } catch (error) {
      this.#service.emit('error', error);
    }
  }

  /** What a handler has posted of its connection. */
  parted({ id, kind, detail, lost, counted, stands, todo }: B.Parting): void {
    if (kind === 'connect') this.failedSince++;
    if (kind === 'note') return;
    if (stands && (kind === 'connect' || kind === 'reset')) this.#refused(kind, detail);
    else if (kind !== '') this.#tally.fail(kind, detail, lost, counted, clock());
    const connection = this.#all[id];
    if (connection === undefined || todo === B.NOTHING) return;
    connection.returns++;
    const failed = kind !== '' || todo === B.TO_OPEN;
    if (todo === B.TO_OPEN) this.#retry(connection, failed);
    else void this.#replace(connection, failed);
  }

  /** Counts what is open, and gives up what has waited too long. */
  scan(now: number): void {
    const records = this.#records;
    let open = 0;
    for (const connection of this.#all) {
      const { id, at } = connection;
      const state = records[at + B.STATE];
      if (state === B.OPEN || state === B.LEAVING) open++;
      if (connection.closing || !this.#isOverdue(connection, now)) continue;
      if (state === B.CLOSED) {
        // It is being opened, or about to be. A thread may be giving it more to send: then it is looked at again.
        if (Atomics.load(this.#board.gates, id) === B.MAIN_THREAD && this.#isAlone(id)) {
          this.#giveUp(connection);
          this.#letGo(connection);
        }
      } else if (Atomics.compareExchange(this.#board.gates, id, B.ANY_THREAD, B.MAIN_THREAD) === B.ANY_THREAD) {
        void this.#expire(connection);
      }
    }
    this.open = open;
  }

  #isOverdue({ at }: Connection, now: number): boolean {
    const records = this.#records;
    const state = records[at + B.STATE];
    if (state === B.LEAVING) return now - (records[at + B.SINCE] ?? now) > LEAVE;
    if ((state === B.CONNECTING || state === B.SHAKING) && now - (records[at + B.SINCE] ?? now) > this.#timeout)
      return true;
    if (records[at + B.UNDER_WAY] === 0)
      return this.#isBabbling(at) && now - (records[at + B.SINCE] ?? now) > this.#timeout;
    const begun = records[at + B.RING + B.ENTRY * (records[at + B.OLDEST] ?? 0) + B.BEGUN_AT] ?? now;
    return now - begun > this.#timeout;
  }

  /** The server has begun an answer that nobody asked for, and does not end it. */
  #isBabbling(at: number): boolean {
    const { records, schedule, protocol } = this.#board;
    const isIdle = schedule !== undefined && records[at + B.UNDER_WAY] === 0;
    return isIdle && protocol === 'http' && ResponseFramer.partial(records, at + B.FRAMING);
  }

  async #expire(connection: Connection): Promise<void> {
    const records = this.#records;
    const { id, at } = connection;
    connection.closing = true;
    records[at + B.DOOMED] = 1;
    await this.#isolate(connection);
    const state = records[at + B.STATE];
    if (state === B.LEAVING) {
      this.#closeAlone(connection);
      return this.#retry(connection, false);
    }
    if (this.#isOverdue(connection, clock())) {
      this.failedSince += state === B.CONNECTING || state === B.SHAKING ? 1 : 0;
      if (state === B.OPEN && this.#isBabbling(at)) this.#fail('protocol', `protocol ${UNEXPECTED_BYTES}`, 0, 1);
      else if (records[at + B.UNDER_WAY] === 0) this.#refused('connect', 'connect ETIMEDOUT');
      else this.#giveUp(connection);
    } else if (state === B.OPEN || state === B.CONNECTING || state === B.SHAKING) {
      // Its answer came at the last moment.
      records[at + B.DOOMED] = 0;
      connection.closing = false;
      if (this.#ended) return;
      Atomics.store(this.#board.gates, id, B.ANY_THREAD);
      this.#letGo(connection);
      void this.#register(connection);
      return;
    }
    this.#closeAlone(connection);
    this.#reopen(connection);
  }

  /** Nobody else is at the connection. */
  #giveUp(connection: Connection): void {
    this.#tally.timedOut(connection.at, clock());
    const lost = this.#abandon(connection);
    this.#fail('timeout', 'timeout', lost, this.#counted);
  }

  async #replace(connection: Connection, failed: boolean): Promise<void> {
    connection.closing = true;
    await this.#isolate(connection);
    this.#closeAlone(connection);
    if (failed) this.#reopen(connection);
    else this.#retry(connection, false);
  }

  #reopen(connection: Connection): void {
    if (this.#records[connection.at + B.SERVED] === 1) connection.failures = 0;
    // A connection could be opened: what came after it is for pauses only while nothing was ever answered.
    this.#retry(connection, Atomics.load(this.#board.answered, 0) === 0);
  }

  /** Once it resolves, no thread is at the connection, and none will be. */
  async #isolate({ id, at }: Connection): Promise<void> {
    try {
      await this.#service.unregister(this.#records[at + B.FD] ?? -1);
    } catch (error) {
      if (!(error instanceof EpollError)) throw error;
    }
    await this.#seize(id);
  }

  /** In an open loop a thread may be at a connection that is closed, too: what has become due goes to it. */
  async #seize(id: number): Promise<void> {
    const until = clock() + PATIENCE;
    while (!this.#isAlone(id) && clock() < until) await new Promise(setImmediate);
  }

  /** True: no thread is at it, and letGo() must follow. */
  #isAlone(id: number): boolean {
    return this.#board.schedule === undefined || seize(this.#board.owners, id);
  }

  #letGo({ id, at }: Connection): void {
    if (this.#board.schedule === undefined) return;
    if (release(this.#board.owners, id)) this.#records[at + B.QUEUED] = 0;
  }

  #closeAlone(connection: Connection): void {
    connection.returns++;
    // After the end close() does it.
    if (this.#ended) return;
    const records = this.#records;
    const { at } = connection;
    const fd = records[at + B.FD] ?? -1;
    this.#freeSession(at);
    records[at + B.STATE] = B.CLOSED;
    records[at + B.FD] = -1;
    records[at + B.UNWRITTEN] = records[at + B.UNDER_WAY] ?? 0;
    records[at + B.WRITTEN] = 0;
    if (records[at + B.UNDER_WAY] === 0) records[at + B.LAST_BEGUN] = 0;
    records[at + B.UNREAD] = 0;
    ResponseFramer.reset(records, at + B.FRAMING);
    connection.closing = false;
    this.#letGo(connection);
    if (fd >= 0) close(fd);
  }

  #freeSession(at: number): void {
    const ssl = this.#records[at + B.SESSION] ?? 0;
    this.#records[at + B.SESSION] = 0;
    if (ssl !== 0) freeSession(ssl);
  }

  /** No connection is opened any more. */
  end(): void {
    this.#ended = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#connector.close();
  }

  /** After the service has ended. */
  close(): void {
    for (const { at } of this.#all) {
      const fd = this.#records[at + B.FD] ?? -1;
      this.#freeSession(at);
      if (fd >= 0) close(fd);
      this.#records[at + B.FD] = -1;
    }
  }
}
