/** The connections of a load test: opened, registered, given up when they are overdue, closed and opened again. */

import { EPOLLET, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from '../../shared/epoll/flags.js';
import { EpollError } from '../../shared/errors.js';
import { close } from '../../shared/kernel/sys.js';
import * as B from '../../shared/load/board.js';
import { clock } from '../../shared/load/clock.js';
import { ResponseFramer } from '../../shared/load/http-response.js';
import { release, seize } from '../../shared/load/owner.js';
import { Schedule } from '../../shared/load/schedule.js';
import { writeOff } from '../../shared/load/write-off.js';
import type { WaitService } from '../service/service.js';
import { type Connector, codeOf } from './connector.js';
import { OPENING } from './limits.js';
import type { Tally } from './tally.js';

const EVENTS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
/** Between attempts that fail: doubled each time. */
const SHORTEST_PAUSE = 10;
const LONGEST_PAUSE = 1000;
/** Longest wait for a thread to leave a connection that is to be closed; longer, and the thread is dead. */
const PATIENCE = 1000;

interface Connection {
  readonly id: number;
  readonly at: number;
  fd: number;
  epoch: number;
  closing: boolean;
  /** Attempts in a row, and connections in a row that answered nothing. */
  failures: number;
}

export class Fleet {
  /** How many are open. */
  open = 0;
  /** Since when none is, by clock(). */
  noneSince = clock();
  readonly #all: readonly Connection[];
  readonly #board: B.Assignment;
  readonly #service: WaitService;
  readonly #connector: Connector;
  readonly #tally: Tally;
  readonly #timeout: number;
  readonly #schedule: Schedule | undefined;
  readonly #pauses = new Set<NodeJS.Timeout>();
  #started = false;
  #ended = false;

  constructor(
    board: B.Assignment,
    connections: number,
    timeout: number,
    service: WaitService,
    connector: Connector,
    tally: Tally,
  ) {
    this.#board = board;
    this.#service = service;
    this.#connector = connector;
    this.#tally = tally;
    this.#timeout = timeout;
    this.#schedule = board.schedule && new Schedule(board.schedule);
    this.#all = Array.from({ length: connections }, (_, id) => ({
      id,
      at: id * board.stride,
      fd: -1,
      epoch: 0,
      closing: false,
      failures: 0,
    }));
  }

  /** Resolves once each has been tried; those that failed are tried again meanwhile. */
  async openAll(): Promise<void> {
    let next = 0;
    // As many at a time as the connector makes: ten thousand that wait for it take more memory than all the connections.
    const lane = async (): Promise<void> => {
      for (let connection = this.#all[next++]; connection !== undefined; connection = this.#all[next++]) {
        if (!(await this.#attempt(connection))) this.#retry(connection);
      }
    };
    await Promise.all(Array.from({ length: Math.min(OPENING, this.#all.length) }, lane));
  }

  /** Hands all that are open to the threads; resolves once they have them. */
  async start(): Promise<void> {
    this.#started = true;
    const open = this.#all.filter(({ fd }) => fd >= 0);
    await Promise.all(open.map(connection => this.#register(connection)));
  }

  async #attempt(connection: Connection): Promise<boolean> {
    try {
      const fd = await this.#connector.open();
      if (this.#ended) {
        close(fd);
        return true;
      }
      const { records } = this.#board;
      connection.fd = fd;
      connection.epoch++;
      records[connection.at + B.FD] = fd;
      records[connection.at + B.EPOCH] = connection.epoch;
      records[connection.at + B.DOOMED] = 0;
      records[connection.at + B.SERVED] = 0;
      records[connection.at + B.STATE] = B.OPEN;
      this.open++;
      if (this.#started) void this.#register(connection);
      return true;
    } catch (error) {
      if (!this.#ended) this.#refused(codeOf(error));
      return this.#ended;
    }
  }

  #refused(code: string): void {
    const now = clock();
    const { times } = this.#board;
    if (this.#started && now < (times[B.COUNT_FROM] ?? 0)) return;
    // It stands for the request that could not be sent: a number of requests comes to an end all the same.
    if (!B.takeRequest(this.#board)) return;
    this.#tally.refused++;
    this.#tally.fail('connect', `connect ${code}`, 0, 1, now);
  }

  /** Tries again after a pause, until it succeeds or there is no need any more. */
  #retry(connection: Connection): void {
    const pause = connection.failures === 0 ? 0 : SHORTEST_PAUSE * 2 ** Math.min(connection.failures - 1, 10);
    connection.failures++;
    const again = async (): Promise<void> => {
      if (this.#isNeeded(connection) && !(await this.#attempt(connection))) this.#retry(connection);
    };
    if (pause === 0) {
      void again();
      return;
    }
    const timer = setTimeout(
      () => {
        this.#pauses.delete(timer);
        void again();
      },
      Math.min(pause, LONGEST_PAUSE),
    );
    this.#pauses.add(timer);
  }

  #isNeeded({ at }: Connection): boolean {
    if (this.#ended) return false;
    const { records, times } = this.#board;
    if ((records[at + B.UNDER_WAY] ?? 0) > 0) return true;
    if (B.isSpent(this.#board)) return false;
    const now = clock();
    return now < (times[B.END] ?? 0) || (now < (times[B.DEADLINE] ?? 0) && (this.#schedule?.left ?? 0) > 0);
  }

  async #register({ fd, id }: Connection): Promise<void> {
    try {
      await this.#service.register(fd, { events: EVENTS, data: id + B.FIRST_DATA });
    } catch (error) {
      this.#service.emit('error', error);
    }
  }

  /** A handler has done with its connection. */
  parted({ id, epoch, kind, detail, lost, counted }: B.Parting): void {
    const now = clock();
    // Bytes that nobody asked for are an error too.
    const alone = lost === 0 && now >= (this.#board.times[B.COUNT_FROM] ?? 0) ? 1 : 0;
    if (kind !== '') this.#tally.fail(kind, detail, lost, lost === 0 ? alone : counted, now);
    const connection = this.#all[id];
    if (connection === undefined || connection.epoch !== epoch || connection.closing) return;
    if (kind === '') this.#unused(connection, now);
    void this.#replace(connection);
  }

  /** A closed loop sends at once: a connection that ends without a request was closed in its face, and that is an error. */
  #unused({ at }: Connection, now: number): void {
    const { records, times, schedule } = this.#board;
    if (schedule !== undefined || records[at + B.SERVED] === 1 || (records[at + B.UNDER_WAY] ?? 0) > 0) return;
    if (now < (times[B.COUNT_FROM] ?? 0) || now >= (times[B.END] ?? 0) || !B.takeRequest(this.#board)) return;
    this.#tally.refused++;
    this.#tally.fail('reset', 'reset before a request', 0, 1, now);
  }

  /** Gives up what has waited too long. */
  scan(now: number): void {
    for (const connection of this.#all) {
      if (connection.closing || !this.#isOverdue(connection, now)) continue;
      if (connection.fd < 0) this.#giveUp(connection);
      else void this.#expire(connection);
    }
  }

  #isOverdue({ at }: Connection, now: number): boolean {
    const { records } = this.#board;
    if (records[at + B.UNDER_WAY] === 0) return false;
    const begun = records[at + B.RING + 2 * (records[at + B.OLDEST] ?? 0) + 1] ?? now;
    return now - begun > this.#timeout;
  }

  async #expire(connection: Connection): Promise<void> {
    const { records } = this.#board;
    connection.closing = true;
    records[connection.at + B.DOOMED] = 1;
    await this.#isolate(connection);
    if (this.#isOverdue(connection, clock())) {
      this.#giveUp(connection);
    } else if (records[connection.at + B.STATE] === B.OPEN) {
      // Its answer came at the last moment.
      records[connection.at + B.DOOMED] = 0;
      connection.closing = false;
      this.#letGo(connection);
      if (!this.#ended) void this.#register(connection);
      return;
    }
    this.#closeAlone(connection);
    this.#reopen(connection);
  }

  /** Nobody else is at the connection. */
  #giveUp({ at }: Connection): void {
    const { lost, counted } = writeOff(this.#board, at);
    this.#board.records[at + B.WRITTEN] = 0;
    this.#tally.fail('timeout', 'timeout', lost, counted, clock());
  }

  async #replace(connection: Connection): Promise<void> {
    connection.closing = true;
    await this.#isolate(connection);
    this.#closeAlone(connection);
    this.#reopen(connection);
  }

  #reopen(connection: Connection): void {
    if (this.#board.records[connection.at + B.SERVED] === 1) connection.failures = 0;
    this.#retry(connection);
  }

  /** Once it resolves, no thread is at the connection, and none will be. */
  async #isolate({ fd, id }: Connection): Promise<void> {
    try {
      await this.#service.unregister(fd);
    } catch (error) {
      if (!(error instanceof EpollError)) throw error;
    }
    if (this.#board.schedule === undefined) return;
    const until = clock() + PATIENCE;
    while (!seize(this.#board.owners, id) && clock() < until) await new Promise(setImmediate);
  }

  #letGo({ id, at }: Connection): void {
    if (this.#board.schedule === undefined) return;
    if (release(this.#board.owners, id)) this.#board.records[at + B.QUEUED] = 0;
  }

  #closeAlone(connection: Connection): void {
    const { records } = this.#board;
    const { at, fd } = connection;
    records[at + B.STATE] = B.CLOSED;
    records[at + B.FD] = -1;
    records[at + B.UNWRITTEN] = records[at + B.UNDER_WAY] ?? 0;
    records[at + B.WRITTEN] = 0;
    ResponseFramer.reset(records, at + B.FRAMING);
    connection.fd = -1;
    connection.closing = false;
    this.#letGo(connection);
    // After the end, close() has done it.
    if (!this.#ended) close(fd);
    this.open--;
    if (this.open === 0) this.noneSince = clock();
  }

  /** No connection is opened any more. */
  end(): void {
    this.#ended = true;
    for (const timer of this.#pauses) clearTimeout(timer);
    this.#connector.close();
  }

  /** After the service has ended. */
  close(): void {
    for (const connection of this.#all) {
      if (connection.fd >= 0) close(connection.fd);
      connection.fd = -1;
    }
  }
}
