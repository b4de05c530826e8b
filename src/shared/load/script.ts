/** Scripts: modules that say what each request is, and whether its answer is right. */
import { invalidType } from '../errors.js';

/** One request; what is left out is as the options of the test have it. */
export interface ScriptRequest {
  readonly method?: string | undefined;
  /** With its query; begins with `/`. */
  readonly path?: string | undefined;
  /** Those of the options hold beside these, unless they have the same name. */
  readonly headers?: Readonly<Record<string, string | number | readonly string[]>> | undefined;
  /** A string is sent as UTF-8. */
  readonly body?: string | Uint8Array | undefined;
}

/** An answer, for check(). */
export interface ScriptResponse {
  readonly status: number;
  /** Names in lower case; several values are joined by `, `. */
  readonly headers: Readonly<Record<string, string>>;
  /** Without its chunks' framing; not decompressed. */
  readonly body: Uint8Array;
}

/** What the module of `script` exports: request(), check() or both. Each thread loads it for itself. */
export interface LoadScript<T = unknown> {
  /**
   * The `n`-th request of the whole test, the warm-up's too: from 0, each once over all threads, without gaps. What it throws
   * ends the test. @param data what setup() gave, structured-cloned
   */
  request?(n: number, data: T): ScriptRequest;
  /** Whether the answer is right: false, nothing or a throw count as an error of the kind `check`. */
  check?(response: ScriptResponse, data: T): unknown;
  /** Once, on the main thread, before anything is opened; may be async. */
  setup?(): T | Promise<T>;
  /** Once, on the main thread, when the test has ended, however it did. */
  teardown?(data: T): void | Promise<void>;
}

const NAMES = ['request', 'check', 'setup', 'teardown'] as const;

/** @throws TypeError ERR_INVALID_ARG_TYPE */
export function asScript(module: unknown): LoadScript {
  const inner = typeof module === 'object' && module !== null ? module : {};
  const fallback: unknown = Reflect.get(inner, 'default');
  const isWhole = typeof fallback === 'object' && fallback !== null && ('request' in fallback || 'check' in fallback);
  const holder = isWhole ? fallback : inner;
  if (!isScript(holder))
    throw invalidType('script', 'a module that exports request(n), check(response) or both', holder);
  return holder;
}

function isScript(value: object): value is LoadScript {
  const kinds = NAMES.map(name => typeof Reflect.get(value, name));
  return (
    kinds.every(kind => kind === 'function' || kind === 'undefined') &&
    (kinds[0] !== 'undefined' || kinds[1] !== 'undefined')
  );
}
