/** What the threads of a load test share, for tests that play one of them themselves. */
// The built package has it only within the bundle of the test's threads.
import * as B from '../../src/shared/load/board.js';
import type { Framer } from '../../src/shared/load/framer.js';
import { MORE } from '../../src/shared/load/http-response.js';
import { Driver } from '../../src/worker/load/driver.js';
import { Ledger } from '../../src/worker/load/ledger.js';
import type { Wire } from '../../src/worker/load/wire.js';

const EAGAIN = 11;

/** Of one connection and GET requests of ten bytes, where `plan` does not say otherwise. */
export function boardOf(plan: Partial<B.BoardPlan> = {}): B.Assignment {
  return B.createBoard({
    threads: 1,
    connections: 1,
    pipelining: 1,
    warmup: 0,
    requests: Number.POSITIVE_INFINITY,
    stopAfter: Number.POSITIVE_INFINITY,
    request: new Uint8Array(10),
    traits: 0,
    protocol: 'http',
    module: undefined,
    expected: new Uint8Array(1000),
    tls: undefined,
    script: undefined,
    scriptData: undefined,
    base: { path: '/', authority: '', credentials: undefined, method: undefined, headers: [], body: undefined },
    list: [],
    rate: 0,
    stages: undefined,
    address: undefined,
    ...plan,
  });
}

/** How a fake thread meets the world: what a read brings, what becomes of the bytes, and who is told that it is to run again. */
export interface Surroundings {
  readonly read: Wire['read'];
  readonly next?: () => ReturnType<Framer['next']>;
  readonly isPartial?: boolean;
  readonly again?: () => void;
}

/** A thread of which nothing is real but the driver and the ledger, on connection 0, which is open. */
export function driverOf(board: B.Assignment, surroundings: Surroundings): { driver: Driver; counts: Float64Array } {
  const { read, next = () => MORE, isPartial = false, again = () => {} } = surroundings;
  board.records[B.STATE] = B.OPEN;
  board.records[B.FD] = 0;
  const wire: Wire = {
    isShortReadAll: true,
    open: () => 0,
    read,
    write: () => -EAGAIN,
    reason: () => '',
    isTruncated: () => false,
    farewell: () => {},
    release: () => {},
    answered: () => {},
  };
  const framer: Framer = {
    head: false,
    status: 0,
    bytes: 0,
    close: false,
    offset: 0,
    problem: '',
    next,
    isPartial: () => isPartial,
    end: () => MORE,
  };
  const writer = { size: 10, prepare: () => 0, flush: () => 0 };
  const { counts, histogram } = B.countsOf(board, B.joinBoard(board));
  const office = { post: () => {}, close: () => {}, register: () => {} };
  const ledger = new Ledger(board, counts, histogram, writer);
  return { driver: new Driver({ board, framer, wire, writer, ledger, checker: undefined, office, again }), counts };
}
