/** Loads a handler module. */
import { invalidType } from '../../shared/errors.js';
import { importUrl } from '../../shared/import-url.js';
import type { Ready } from './ready.js';

/** A throw (or rejection) becomes an 'error' event and rests the registration until modify(). */
export type Handler = (ready: Ready) => void | Promise<void>;

export interface HandlerModule {
  default: Handler;
  /** Runs once per thread before it waits. */
  setup?(handlerData: unknown): void | Promise<void>;
}

/** What a thread offers to modules of the package itself, in any run and between runs. */
export interface ThreadServices {
  /** The thread's number, from 0. */
  readonly index: number;
  /** One more run of that registration, as ready.wake(). False: there is none any more. */
  wake(id: number): boolean;
  /** When the present run began, or a little before, by the clock's `now`: at no cost. */
  now(): number;
  /** As ready.post(). */
  post(value: unknown): void;
  /**
   * A promise is pending that no registration is held for: it counts for `concurrency`, and the event loop is served for it,
   * until release().
   */
  hold(): void;
  release(): void;
  /** A promise that is held for waits for what takes nothing of this thread, and does not count for `concurrency` until it goes on. */
  rests(): void;
  goesOn(): void;
}

export interface LoadedHandler {
  readonly handle: Handler;
  /**
   * A part of the package: it returns no promise, uses no Ready after its run, closes no fd that is registered, and asks its files
   * itself whether they are ready. So no object is made for each registration, and a run that was waked costs no system call.
   */
  readonly isTrusted: boolean;
  /**
   * Asked while `concurrency` promises are pending: whether this thread does runs all the same. Without it, it waits until one settles.
   */
  readonly mayGoOnFull?: (() => boolean) | undefined;
}

/**
 * Imports the module and runs its setup. A module of the package itself may have `setupThread` instead, and is trusted then; and
 * `mayGoOnFull`.
 *
 * @param url as for import(), or of one of the package's own @param own those
 */
export async function loadHandler(
  url: string,
  handlerData: unknown,
  thread: ThreadServices,
  own: ReadonlyMap<string, () => Promise<object>>,
): Promise<LoadedHandler> {
  const mine = await own.get(url)?.();
  const imported: unknown = mine ?? (await importUrl(url));
  const outer = member(imported, 'default');
  // CommonJS, compiled from TypeScript or not: its exports are import()'s default.
  const [holder, handler] = typeof outer === 'function' ? [imported, outer] : [outer, member(outer, 'default')];
  if (!isHandler(handler)) throw invalidType('the default export of the handler module', 'a function', handler);
  const setupThread = member(mine, 'setupThread');
  if (typeof setupThread === 'function') {
    await setupThread.call(mine, handlerData, thread);
    const mayGoOnFull = member(mine, 'mayGoOnFull');
    return { handle: handler, isTrusted: true, mayGoOnFull: isQuestion(mayGoOnFull) ? mayGoOnFull : undefined };
  }
  const setup = member(holder, 'setup') ?? member(handler, 'setup');
  if (setup !== undefined) {
    if (typeof setup !== 'function') throw invalidType('the setup of the handler module', 'a function', setup);
    await setup.call(holder, handlerData);
  }
  return { handle: handler, isTrusted: false };
}

function member(value: unknown, key: string): unknown {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
    ? Reflect.get(value, key)
    : undefined;
}

/** The package's own: what has the name is what it should be. */
function isQuestion(value: unknown): value is () => boolean {
  return typeof value === 'function';
}

function isHandler(value: unknown): value is Handler {
  return typeof value === 'function';
}
