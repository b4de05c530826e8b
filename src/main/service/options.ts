/** The options of WaitService.start, checked, each read once. */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { ResourceLimits } from 'node:worker_threads';
import { options as checkOptions, integer } from '../../shared/arguments.js';
import { invalidType, outOfRange } from '../../shared/errors.js';
import { createPlan, type Plan } from '../../shared/service/layout.js';
import { ownThreadFile } from './thread-file.js';

export interface WaitServiceOptions {
  /** Threads that wait, 1 to 254; default os.availableParallelism(). */
  threads?: number | undefined;
  /** Module whose default export runs in the pool for each event. Without one, events come to this thread. */
  handler?: string | URL | undefined;
  /** Structured-cloned into the handler module's `setup`. */
  handlerData?: unknown;
  /** Bytes of shared memory that each registration carries from call to call, for its handler; at most 2^32-1, default 0. */
  stateBytes?: number | undefined;
  /** Most registrations at one time, 1 to 2^24; default 65,536. One too many rejects with code ERR_OUT_OF_RANGE. */
  capacity?: number | undefined;
  /** Most events that one thread takes at once, 1 to 65,536; the service takes fewer when handlers are slow. Default 64. */
  batch?: number | undefined;
  /** Most runs of one thread whose promises are pending at a time, 1 to 65,536; default 64. 1: a thread waits for each. */
  concurrency?: number | undefined;
  resourceLimits?: ResourceLimits | undefined;
  /**
   * Where the threads' module is: a bundle of `epoll-pool/thread`. Without it, a program that was bundled writes the module
   * to a temporary file.
   */
  threadFile?: string | URL | undefined;
}

export interface CheckedOptions {
  readonly plan: Plan;
  readonly capacity: number;
  /** For import(). */
  readonly handler: string | undefined;
  readonly handlerData: unknown;
  readonly resourceLimits: ResourceLimits | undefined;
  /** A path. */
  readonly threadFile: string;
}

/** A claim word has a byte for its owner: 0 is nobody, 255 the main thread. */
export const MOST_THREADS = 254;
const MOST_SLOTS = 2 ** 24;
const MOST_BATCH = 65_536;
const MOST_CONCURRENCY = 65_536;
/** A typed array holds at most this much. */
const MOST_STATE = 2 ** 32 - 1;

const LIMITS = ['maxOldGenerationSizeMb', 'maxYoungGenerationSizeMb', 'codeRangeSizeMb', 'stackSizeMb'] as const;

export function checkServiceOptions(given: WaitServiceOptions): CheckedOptions {
  checkOptions(given);
  const {
    threads: givenThreads = Math.min(MOST_THREADS, availableParallelism()),
    capacity: givenCapacity = 65_536,
    batch: givenBatch = 64,
    stateBytes: givenStateBytes = 0,
    concurrency: givenConcurrency = 64,
  } = given;
  const threads = integer(givenThreads, 'threads', 1, MOST_THREADS);
  const capacity = integer(givenCapacity, 'capacity', 1, MOST_SLOTS);
  const batch = integer(givenBatch, 'batch', 1, MOST_BATCH);
  const stateBytes = integer(givenStateBytes, 'stateBytes', 0, MOST_STATE);
  const concurrency = integer(givenConcurrency, 'concurrency', 1, MOST_CONCURRENCY);
  const handler = handlerUrl(given.handler);
  const threadFile = filePath(given.threadFile, 'threadFile') ?? ownThreadFile();
  const resourceLimits = checkLimits(given.resourceLimits);
  // Threads that are replaced later get what was given now.
  const handlerData: unknown = structuredClone(given.handlerData);
  return {
    plan: plan(threads, capacity, batch, stateBytes, concurrency),
    capacity,
    handler,
    handlerData,
    resourceLimits,
    threadFile,
  };
}

function plan(threads: number, capacity: number, batch: number, stateBytes: number, concurrency: number): Plan {
  try {
    const made = createPlan(threads, capacity, batch, stateBytes, concurrency);
    if (made.state.byteLength <= MOST_STATE) return made;
  } catch {
    // More than the machine, or JavaScript, can hold.
  }
  throw outOfRange('capacity * stateBytes', 'less than this machine can reserve', capacity * stateBytes);
}

/** A URL as it is; a string is a URL too, or else a path, relative to the working directory. */
function handlerUrl(handler: unknown): string | undefined {
  if (handler === undefined) return undefined;
  if (handler instanceof URL) return handler.href;
  if (typeof handler !== 'string') throw invalidType('handler', 'a path or a URL', handler);
  return /^(file|data|node):/.test(handler) ? handler : pathToFileURL(resolve(handler)).href;
}

/** A file's URL, as a string too, or a path, relative to the working directory. */
function filePath(file: unknown, name: string): string | undefined {
  if (file === undefined) return undefined;
  if (!(file instanceof URL) && typeof file !== 'string') throw invalidType(name, 'a path or the URL of a file', file);
  if (typeof file === 'string' && !file.startsWith('file:')) return resolve(file);
  try {
    return fileURLToPath(file);
  } catch {
    throw invalidType(name, 'a path or the URL of a file', file);
  }
}

function checkLimits(given: unknown): ResourceLimits | undefined {
  if (given === undefined) return undefined;
  checkOptions(given, 'resourceLimits');
  const limits: ResourceLimits = {};
  for (const key of LIMITS) {
    const value: unknown = typeof given === 'object' && given !== null ? Reflect.get(given, key) : undefined;
    if (value === undefined) continue;
    if (typeof value !== 'number') throw invalidType(`resourceLimits.${key}`, 'a number of megabytes', value);
    if (!(value > 0 && Number.isFinite(value))) throw outOfRange(`resourceLimits.${key}`, 'above 0', value);
    limits[key] = value;
  }
  return limits;
}
