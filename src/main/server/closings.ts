/**
 * Ends that the main thread has learnt of, until they are told. What a thread posted for a connection comes before that connection's
 * 'close': each thread counts what it has posted before it reports an end, and that is told once as much has come of each.
 */
import { POSTED, type ThreadMemory } from '../../shared/server/layout.js';
import { CLOSE_REASONS, type CloseReason } from '../../shared/server/reasons.js';

interface Closing {
  /** 0: its 'connection' was not told. */
  readonly id: number;
  readonly reason: CloseReason;
  readonly posted: readonly number[];
}

export class Closings {
  readonly #threads: readonly ThreadMemory[];
  readonly #tell: (id: number, reason: CloseReason) => void;
  readonly #waiting: Closing[] = [];
  readonly #received: number[];
  readonly #counts = new Map<CloseReason, number>(CLOSE_REASONS.map(reason => [reason, 0]));
  /** How many were told. */
  told = 0;

  /** @param tell called for each end of a connection that was told */
  constructor(threads: readonly ThreadMemory[], tell: (id: number, reason: CloseReason) => void) {
    this.#threads = threads;
    this.#tell = tell;
    this.#received = new Array<number>(threads.length).fill(0);
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  add(id: number, reason: CloseReason): void {
    const posted = this.#threads.map(({ words }) => Atomics.load(words, POSTED));
    this.#waiting.push({ id, reason, posted });
  }

  /** Something has come that thread `index` posted. */
  received(index: number): void {
    this.#received[index] = ((this.#received[index] ?? 0) + 1) | 0;
  }

  /** Thread `index` is dead, and all that it has posted has come. */
  settle(index: number): void {
    const words = this.#threads[index]?.words;
    if (words !== undefined) this.#received[index] = Atomics.load(words, POSTED);
  }

  /** Tells what can be told; all of it, if nothing more will come. */
  flush(all: boolean): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (!all && next.posted.some((count, index) => (((this.#received[index] ?? 0) - count) | 0) < 0)) return;
      const { id, reason } = next;
      this.#waiting.shift();
      this.told++;
      this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + 1);
      if (id !== 0) this.#tell(id, reason);
    }
  }

  counts(): Record<CloseReason, number> {
    const of = (reason: CloseReason): number => this.#counts.get(reason) ?? 0;
    return {
      end: of('end'),
      reset: of('reset'),
      destroyed: of('destroyed'),
      idle: of('idle'),
      handshake: of('handshake'),
      protocol: of('protocol'),
      'too-long': of('too-long'),
      'too-slow': of('too-slow'),
      memory: of('memory'),
      handler: of('handler'),
      thread: of('thread'),
      server: of('server'),
    };
  }
}
