/** `for await (const event of service)`: a registration rests from the moment its event is yielded until the next is asked for. */
import { loopIsDue } from '../../../shared/epoll/loop/turns.js';
import type { HeldEvent } from './consumer.js';
import type { Intake } from './intake.js';
import type { ServiceEvent } from './service-event.js';

type Result = IteratorResult<ServiceEvent>;

const END: Result = { value: undefined, done: true };

export class EventIteration implements AsyncIterableIterator<ServiceEvent> {
  readonly #intake: Intake;
  readonly #onEnd: () => void;
  readonly #waiting: Array<(result: Result) => void> = [];
  #held: HeldEvent | undefined;
  #serving = false;
  #done = false;

  /**
   * @param intake where the next event comes from, if there is one
   * @param onEnd the service is free for another consumer
   */
  constructor(intake: Intake, onEnd: () => void) {
    this.#intake = intake;
    this.#onEnd = onEnd;
  }

  next(): Promise<Result> {
    if (this.#done) return Promise.resolve(END);
    if (this.#serving || this.#waiting.length > 0) return this.#wait();
    if (loopIsDue()) {
      this.#serving = true;
      this.#intake.afterTurn(() => {
        this.#serving = false;
        this.serve();
      });
      return this.#wait();
    }
    const event = this.#take();
    return event === undefined ? this.#wait() : Promise.resolve({ value: event, done: false });
  }

  #wait(): Promise<Result> {
    return new Promise(resolve => {
      this.#waiting.push(resolve);
    });
  }

  /** Gives what has come to whoever has asked. */
  serve(): void {
    while (this.#waiting.length > 0) {
      const event = this.#take();
      if (event === undefined) return;
      this.#waiting.shift()?.({ value: event, done: false });
    }
  }

  /** Lets go of the event before, and takes the next, if there is one. */
  #take(): ServiceEvent | undefined {
    this.#release();
    for (;;) {
      const held = this.#intake.pull();
      if (held === undefined) return undefined;
      const event = this.#intake.consumer.open(held);
      if (event === undefined) continue;
      this.#held = held;
      return event;
    }
  }

  #release(): void {
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) this.#intake.consumer.release(held);
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
    this.#intake.abandon();
    this.#release();
    for (const resolve of this.#waiting.splice(0)) resolve(END);
    this.#onEnd();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
