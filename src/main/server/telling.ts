/** What a server tells its listeners. They may throw; that is an uncaught exception, and keeps nothing from going on. */
import type { CloseReason } from '../../shared/server/reasons.js';
import { type PackedError, unpackError } from '../../shared/service/error-transfer.js';
import type { Post } from '../../worker/server/thread-setup.js';
import { throwLater } from '../service/uncaught.js';
import type { Peer } from './events.js';

/** Where events go. */
export interface ServerSink {
  readonly wantsPeers: boolean;
  connection(peer: Peer): void;
  close(id: number, reason: CloseReason): void;
  message(value: unknown, id: number): void;
  error(error: Error, id: number | undefined): void;
}

export class Telling {
  readonly #sink: ServerSink;
  #lastDeath: Error | undefined;

  constructor(sink: ServerSink) {
    this.#sink = sink;
  }

  get wantsPeers(): boolean {
    return this.#sink.wantsPeers;
  }

  opened(peer: Peer): void {
    guarded(() => this.#sink.connection(peer));
  }

  closed(id: number, reason: CloseReason): void {
    guarded(() => this.#sink.close(id, reason));
  }

  /** What a thread has posted: a value of a connection's post(), or what a handler threw. */
  posted(post: Post): void {
    if ('error' in post) guarded(() => this.#sink.error(errorOf(post.error), post.id));
    else guarded(() => this.#sink.message(post.value, post.id));
  }

  /** The service's: a thread's death is told once, whatever it had at work. */
  failed(error: Error, id: number | undefined): void {
    if (error !== this.#lastDeath) guarded(() => this.#sink.error(error, id));
    this.#lastDeath = error;
  }
}

export function isPost(value: unknown): value is Post {
  return typeof value === 'object' && value !== null && 'thread' in value;
}

function guarded(call: () => void): void {
  try {
    call();
  } catch (error) {
    throwLater(error);
  }
}

function errorOf(packed: unknown): Error {
  return isPacked(packed) ? unpackError(packed) : new Error(String(packed));
}

function isPacked(value: unknown): value is PackedError {
  return typeof value === 'object' && value !== null && 'base' in value;
}
