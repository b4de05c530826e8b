/** `epoll-pool/load`: load tests, driven by a WaitService. */
import * as args from '../../shared/arguments.js';
import { aborted, invalidType } from '../../shared/errors.js';
import { createBoard, STATE_BYTES } from '../../shared/load/board.js';
import { WaitService } from '../service/service.js';
import { checkLimits } from './limits.js';
import { type LoadOptions, type LoadPlan, planLoad } from './options.js';
import type { LoadProgress } from './progress.js';
import type { LoadResult } from './result.js';
import { Session } from './session.js';

export type { LoadProtocol } from '../../shared/load/protocol.js';
export type { Verdict } from './conditions.js';
export { mergeResults } from './merge.js';
export type { LoadOptions } from './options.js';
export type { LoadProgress } from './progress.js';
export { reportHtml } from './report-html.js';
export { reportText } from './report-text.js';
export { type ErrorKind, type LatencySummary, type LoadResult, percentile } from './result.js';
export { readResult } from './result-json.js';

export interface LoadHooks {
  /** Ends the test at once: what was measured so far is the result, with `interrupted`. */
  readonly signal?: AbortSignal;
  /** Called about ten times a second. */
  readonly onProgress?: (progress: LoadProgress) => void;
}

/**
 * Sends requests over many connections from a few threads, and resolves with what was measured: latencies in milliseconds,
 * counts, errors by kind. Errors of the server's are in the result; it does not reject for them.
 *
 *     const { latency, errorCount } = await load({ url: 'http://localhost:8080/', rate: 1000, duration: '5s' });
 *
 * @throws (rejects) TypeError, RangeError for options (a protocol's module among them); RangeError ERR_OUT_OF_RANGE when the
 *   machine lets it open too few files or ports; what `bodyFile` says; EpollError EMFILE …; DOMException AbortError when the
 *   signal was aborted before; Error ERR_FEATURE_UNAVAILABLE_ON_PLATFORM; what a protocol's module throws in request()
 */
export async function load(options: LoadOptions & LoadHooks): Promise<LoadResult> {
  const plan = planLoad(options);
  const signal = args.abortSignal(options.signal, 'signal');
  const { onProgress } = options;
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw invalidType('onProgress', 'a function', onProgress);
  }
  checkLimits(plan);
  if (signal?.aborted) throw aborted(signal);
  const board = createBoard({
    threads: plan.threads,
    pipelining: plan.pipelining,
    requests: plan.requests,
    stopAfter: plan.stopAfter,
    request: plan.request,
    protocol: protocolOf(plan),
    module: plan.protocol,
    traits: plan.traits,
    destination: { port: plan.target.port, path: plan.target.socketPath },
    expected: plan.expected,
    connections: plan.connections,
    rate: plan.rate,
  });
  const service = await WaitService.start({
    threads: plan.threads,
    handler: new URL('../../worker/load/handler.js', import.meta.url),
    handlerData: board,
    stateBytes: STATE_BYTES,
    // Beside the connections a timer; and one that is opened anew is registered before the old one has ended.
    capacity: 2 * plan.connections + 1,
  });
  return new Session(plan, board, service, signal, onProgress).run();
}

function protocolOf(plan: LoadPlan): 'http' | 'echo' | 'module' {
  if (plan.target.protocol === 'http') return 'http';
  return plan.protocol === undefined ? 'echo' : 'module';
}
