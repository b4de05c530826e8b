/** What the threads of a load test share, for tests that play one of them themselves. */
// The built package has it only within the bundle of the test's threads.
import * as B from '../../src/shared/load/board.js';

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
