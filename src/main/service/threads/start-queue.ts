/**
 * The start tasks that wait for a worker. Piscina itself keeps a task for ever whose worker never came up, and its
 * promise out of reach where the worker could not even be made; here each knows whom to tell.
 */
import type { TaskQueue } from 'piscina';

type Task = Parameters<TaskQueue['push']>[0];
type Reject = (error: unknown) => void;

export class StartQueue implements TaskQueue {
  readonly #waiting: Task[] = [];
  readonly #rejects = new WeakMap<Task, Reject>();
  /** Whose task comes next. */
  #adding: Reject | undefined;

  /** The outcome of `run`, which has the pool take one task; or why its worker did not come up. */
  add<T>(run: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#adding = reject;
      try {
        run().then(resolve, reject);
      } catch (error) {
        // Making a worker may throw (no thread to be had), with the task in the queue.
        const left = this.#waiting.find(task => this.#rejects.get(task) === reject);
        if (left !== undefined) this.remove(left);
        reject(error);
      } finally {
        this.#adding = undefined;
      }
    });
  }

  /** A worker has failed before it could take a task: there is one task too many. */
  giveUpOne(error: Error): void {
    const task = this.#waiting.shift();
    if (task !== undefined) this.#rejects.get(task)?.(error);
  }

  get size(): number {
    return this.#waiting.length;
  }

  push(task: Task): void {
    if (this.#adding !== undefined) this.#rejects.set(task, this.#adding);
    this.#adding = undefined;
    this.#waiting.push(task);
  }

  unshift(task: Task): void {
    this.#waiting.unshift(task);
  }

  shift(): Task | null {
    return this.#waiting.shift() ?? null;
  }

  remove(task: Task): void {
    const at = this.#waiting.indexOf(task);
    if (at >= 0) this.#waiting.splice(at, 1);
  }
}
