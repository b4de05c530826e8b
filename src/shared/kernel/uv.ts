/**
 * The event loop of the thread that asks, as libuv has it: how long it has nothing to do, and what was put there beside
 * Node's own.
 *
 * What no function of libuv's tells in passing is read where it stands. uv_loop_t and uv_handle_t belong to libuv's ABI
 * and are the same in all of 1.x; what is read lies before the first field whose size depends on the platform, and is
 * checked before it is relied upon.
 */
import { MessageChannel } from 'node:worker_threads';
import type { KoffiFunc } from 'koffi';
import type { Define, Koffi } from './koffi.js';

type Call<A extends unknown[], R = number> = KoffiFunc<(...args: A) => R>;

/** What of libuv is called. */
export interface Uv {
  readonly koffi: Koffi;
  readonly napi_get_uv_event_loop: Call<[env: Koffi['node']['env'], loop: Uint32Array]>;
  readonly uv_backend_fd: Call<[loop: number]>;
  readonly uv_backend_timeout: Call<[loop: number]>;
  readonly uv_update_time: Call<[loop: number], void>;
  readonly uv_handle_get_type: Call<[handle: number]>;
}

/** Undefined where the runtime does not export them. */
export function defineUv(koffi: Koffi, define: Define): Uv | undefined {
  try {
    return {
      koffi,
      napi_get_uv_event_loop: define('napi_get_uv_event_loop', 'int', ['void *', 'void *']),
      uv_backend_fd: define('uv_backend_fd', 'int', ['size_t']),
      uv_backend_timeout: define('uv_backend_timeout', 'int', ['size_t']),
      uv_update_time: define('uv_update_time', 'void', ['size_t']),
      uv_handle_get_type: define('uv_handle_get_type', 'int', ['size_t']),
    };
  } catch {
    return undefined;
  }
}

// uv_loop_t in 32-bit words; a pointer is two of them.
/** handle_queue, a node of a ring: next, previous. */
const HANDLES = 4;
const LAST_HANDLE = HANDLES + 2;
const ACTIVE_REQS = 8;
const BACKEND_FD = 16;
const LOOP_BYTES = 72;
/** Where the node of a handle stands in uv_handle_t, in bytes. */
const NODE_AT = 32;

/** uv_handle_type: what never makes the backend fd readable. */
const QUIET: readonly number[] = [2 /* check */, 6 /* idle */, 9 /* prepare */, 13 /* timer */];

const HIGH = 2 ** 32;

/** Kept for their handles, which stand between those that were there before and those that are added. */
const anchors: MessageChannel[] = [];

export class EventLoop {
  /** The epoll instance that the loop waits on. */
  readonly backendFd: number;
  readonly #uv: Uv;
  readonly #loop: number;
  readonly #words: Uint32Array;
  /** The last handle of the anchor: what is added comes after it. */
  readonly #anchor: number;

  /**
   * This thread's, to be asked for once; what is there by now counts as Node's own. Undefined where its fields are not
   * where they should be, or memory that is not JavaScript's cannot be read.
   */
  static open(uv: Uv): EventLoop | undefined {
    const out = new Uint32Array(2);
    if (uv.napi_get_uv_event_loop(uv.koffi.node.env, out) !== 0) return undefined;
    try {
      const address = pointerAt(out, 0);
      const words = new Uint32Array(uv.koffi.view(address, LOOP_BYTES));
      if (words[BACKEND_FD] !== uv.uv_backend_fd(address)) return undefined;
      const before = pointerAt(words, LAST_HANDLE);
      const loop = new EventLoop(uv, address, words);
      return loop.#followsOn(before) ? loop : undefined;
    } catch {
      return undefined;
    }
  }

  private constructor(uv: Uv, loop: number, words: Uint32Array) {
    this.#uv = uv;
    this.#loop = loop;
    this.#words = words;
    this.backendFd = words[BACKEND_FD] ?? -1;
    anchors.push(new MessageChannel());
    this.#anchor = this.lastHandle;
  }

  /** Whether the anchor's two handles are the last of the ring, after `before`. */
  #followsOn(before: number): boolean {
    const first = this.#next(before);
    return this.#next(first) === this.#anchor && this.#next(this.#anchor) === this.#end;
  }

  get #end(): number {
    return this.#loop + HANDLES * 4;
  }

  /** The node after this one; the addresses come from the ring itself. */
  #next(node: number): number {
    return this.#uv.koffi.decode(node, 'size_t');
  }

  /**
   * Milliseconds until the next timer, by the loop's clock, which stands still while JavaScript runs; 0: there is something
   * to do at once, an fd that the backend does not know yet for instance; -1: nothing to wait for but fds.
   */
  get timeout(): number {
    return this.#uv.uv_backend_timeout(this.#loop);
  }

  /** Sets the loop's clock. */
  updateTime(): void {
    this.#uv.uv_update_time(this.#loop);
  }

  /** Whether something is under way that tells the loop when it is done: in libuv's threads, or on a socket. */
  get hasRequests(): boolean {
    return this.#words[ACTIVE_REQS] !== 0;
  }

  /** Names the handle that was added last, or one before it if that was closed. Handles leave only while the loop runs. */
  get lastHandle(): number {
    return pointerAt(this.#words, LAST_HANDLE);
  }

  /** Whether anything was added, and not closed since, that makes the backend fd readable: a socket, a MessagePort … */
  get hasHandles(): boolean {
    if (this.lastHandle === this.#anchor) return false;
    for (let node = this.#next(this.#anchor); node !== this.#end; node = this.#next(node)) {
      if (!QUIET.includes(this.#uv.uv_handle_get_type(node - NODE_AT))) return true;
    }
    return false;
  }
}

function pointerAt(words: Uint32Array, at: number): number {
  return (words[at] ?? 0) + (words[at + 1] ?? 0) * HIGH;
}
