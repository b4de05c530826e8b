/** Bounded waits, and the release of what a test opened. */
import { onTestFinished } from 'vitest';

/** The promise's outcome; a rejection that says what was waited for, after `ms`. */
export async function within<T>(promise: PromiseLike<T>, ms = 10_000, what = 'it'): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing after ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** Disposes of the resource when the test has finished. */
export function owned<T extends Disposable>(resource: T): T {
  onTestFinished(() => resource[Symbol.dispose]());
  return resource;
}

/** What the call throws. */
export function thrown(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error('it did not throw');
}

/** What the promise rejects with. */
export async function rejection(promise: Promise<unknown>, ms = 10_000): Promise<unknown> {
  try {
    await within(promise, ms, 'a rejection');
  } catch (error) {
    return error;
  }
  throw new Error('it did not reject');
}

/** Milliseconds that the call took. */
export function took(call: () => unknown): number {
  const from = performance.now();
  call();
  return performance.now() - from;
}
