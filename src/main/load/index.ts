/** `epoll-pool/load`: load tests, driven by a WaitService. */
/// <reference types="node" preserve="true" />
import { fileURLToPath } from 'node:url';
import * as args from '../../shared/arguments.js';
import { aborted, invalidType, outOfRange } from '../../shared/errors.js';
import { importUrl } from '../../shared/import-url.js';
import { encodePath } from '../../shared/kernel/sockaddr.js';
import { createBoard, STATE_BYTES } from '../../shared/load/board.js';
import { asScript, type LoadScript } from '../../shared/load/script.js';
import { refuseOnDeno } from '../../shared/runtime.js';
import { LOAD_HANDLER } from '../../shared/service/own-handlers.js';
import { TlsContext } from '../../shared/tls/context.js';
import { freeResumption } from '../../shared/tls/session.js';
import { WaitService } from '../service/service.js';
import { checkLimits } from './limits.js';
import { type LoadOptions, type LoadPlan, planLoad } from './options.js';
import type { LoadProgress } from './progress.js';
import type { LoadResult } from './result.js';
import { setUp } from './script-setup.js';
import { Session } from './session.js';

export type { LoadProtocol } from '../../shared/load/protocol.js';
export type { LoadScript, ScriptRequest, ScriptResponse } from '../../shared/load/script.js';
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
  readonly signal?: AbortSignal | undefined;
  /** Called about ten times a second. */
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  /** As WaitServiceOptions has it, for bundles. */
  readonly threadFile?: string | URL | undefined;
}

/**
 * Sends requests over many connections from a few threads, and resolves with what was measured: latencies in milliseconds,
 * counts, errors by kind. Errors of the server's are in the result; it does not reject for them.
 *
 *     const { latency, errorCount } = await load({ url: 'http://localhost:8080/', rate: 1000, duration: '5s' });
 *
 * @throws (rejects) TypeError, RangeError for options (a protocol's module among them); RangeError ERR_OUT_OF_RANGE when the
 *   machine lets it open too few files or ports; what `bodyFile` says; EpollError EMFILE …; DOMException AbortError when the
 *   signal was aborted before; Error ERR_FEATURE_UNAVAILABLE_ON_PLATFORM; what a
 *   protocol's module or a script throws in request(), setup() or teardown()
 */
export async function load(options: LoadOptions & LoadHooks): Promise<LoadResult> {
  const plan = planLoad(options);
  const signal = args.abortSignal(options.signal, 'signal');
  const { onProgress } = options;
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw invalidType('onProgress', 'a function', onProgress);
  }
  const hooks = { signal, onProgress, threadFile: options.threadFile };
  refuseOnDeno('load() needs Node');
  checkLimits(plan);
  if (signal?.aborted) throw aborted(signal);
  if (plan.script === undefined) return run(plan, undefined, undefined, hooks);
  const script = asScript(await importScript(plan.script));
  if (script.request !== undefined && plan.list.length > 0) {
    throw outOfRange('urls', "given only without a script's request()", options.urls);
  }
  const data = await setUp(script);
  try {
    return await run(plan, script, data, hooks);
  } finally {
    await script.teardown?.(data);
  }
}

/** A file:// URL. */
async function importScript(url: string): Promise<unknown> {
  try {
    return await importUrl(url);
  } catch (error) {
    // Its own words do not say where.
    if (error instanceof SyntaxError) error.message = `${fileURLToPath(url)}: ${error.message}`;
    throw error;
  }
}

async function run(
  plan: LoadPlan,
  script: LoadScript | undefined,
  data: unknown,
  { signal, onProgress, threadFile }: LoadHooks,
): Promise<LoadResult> {
  const {
    threads,
    pipelining,
    requests,
    stopAfter,
    request,
    traits,
    list,
    base,
    connections,
    rate,
    stages,
    warmup,
    target,
  } = plan;
  const context = plan.tls && TlsContext.forClient(plan.tls, target.host || 'localhost');
  // What a check() says of an answer is enough, unless status codes were asked for.
  const isChecked = script?.check !== undefined && plan.expect === null;
  const board = createBoard({
    threads,
    pipelining,
    requests,
    stopAfter,
    request,
    traits,
    list,
    base,
    script: plan.script,
    scriptData: data,
    protocol: protocolOf(plan),
    module: plan.protocol,
    tls: context && {
      context: context.pointer,
      servername: context.servername,
      resumes: plan.resume,
      resumption: new Float64Array(new SharedArrayBuffer(8)),
      taken: new Int32Array(new SharedArrayBuffer(4)),
    },
    address: target.socketPath === undefined ? undefined : encodePath(Buffer.from(target.socketPath)).bytes,
    expected: isChecked ? new Uint8Array(1000).fill(1) : plan.expected,
    connections,
    rate,
    stages,
    warmup,
  });
  try {
    const service = await WaitService.start({
      threads,
      handler: new URL(LOAD_HANDLER),
      threadFile,
      handlerData: board,
      stateBytes: STATE_BYTES,
      // Beside the connections a timer; and one that is opened anew is registered before the old one has ended.
      capacity: 2 * connections + 1,
    });
    return await new Session(plan, board, service, signal, onProgress).run();
  } finally {
    const resumption = board.tls?.resumption[0] ?? 0;
    if (resumption !== 0) freeResumption(resumption);
    context?.close();
  }
}

function protocolOf(plan: LoadPlan): 'http' | 'echo' | 'module' {
  if (plan.target.protocol === 'http') return 'http';
  return plan.protocol === undefined ? 'echo' : 'module';
}
