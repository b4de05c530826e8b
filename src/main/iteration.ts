/** `for await (const event of service)`: a registration rests from the moment its event is yielded until the next is asked for. */
import { setImmediate } from 'node:timers';
import { loopIsDue } from '../shared/turns.js';
import type { Consumer, HeldEvent, ServiceEvent } from './consumer.js';

type Result = IteratorResult<ServiceEvent>;

const END: Result = { value: undefined, done: true };

export class EventIteration implements AsyncIterableIterator<ServiceEvent> {
  readonly #consumer: Consumer;
  readonly #pull: () => HeldEvent | undefined;
  readonly #onEnd: () => void;
  readonly #waiting: Array<(result: Result) => void> = [];
  #held: HeldEvent | undefined;
  #serving = false;
  #done = false;

  /** @param pull the next event, if there is one. @param onEnd the service is free for another consumer */
  constructor(consumer: Consumer, pull: () => HeldEvent | undefined, onEnd: () => void) {
    this.#consumer = consumer;
    this.#pull = pull;
    this.#onEnd = onEnd;
  }

  next(): Promise<Result> {
    if (this.#done) return Promise.resolve(END);
    return new Promise(resolve => {
      this.#waiting.push(resolve);
      if (this.#serving) return;
      if (!loopIsDue()) {
        this.serve();
        return;
      }
      this.#serving = true;
      setImmediate(() => {
        this.#serving = false;
        this.serve();
      });
    });
  }

  /** Gives what has come to whoever has asked. */
  serve(): void {
    while (this.#waiting.length > 0) {
      this.#release();
      const event = this.#next();
      if (event === undefined) return;
      this.#waiting.shift()?.({ value: event, done: false });
    }
  }

  #next(): ServiceEvent | undefined {
    for (;;) {
      const held = this.#pull();
      if (held === undefined) return undefined;
      const event = this.#consumer.open(held);
      if (event === undefined) continue;
      this.#held = held;
      return event;
    }
  }

  #release(): void {
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) this.#consumer.release(held);
  }

  /** Whether the consumer has this event. */
  holds(slot: number, generation: number): boolean {
    return this.#held?.slot === slot && this.#held.generation === generation;
  }

  async return(): Promise<Result> {
    this.end();
    return END;
  }

  /** The loop was left, or the service was closed. */
  end(): void {
    if (this.#done) return;
    this.#done = true;
    this.#release();
    for (const resolve of this.#waiting.splice(0)) resolve(END);
    this.#onEnd();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
