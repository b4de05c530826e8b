/** A service for one test: what it emits is kept, and it is closed when the test has finished. */
import { type ServiceEvent, WaitService, type WaitServiceOptions } from 'epoll-pool';
import { onTestFinished } from 'vitest';

/** What an 'error' listener was given. */
export interface Failure {
  readonly error: Error;
  readonly event: ServiceEvent | undefined;
}

export interface Started {
  readonly service: WaitService;
  readonly failures: Failure[];
  readonly messages: unknown[];
}

/** Two threads, unless the options say otherwise. */
export async function start(options: WaitServiceOptions = {}): Promise<Started> {
  const service = await WaitService.start({ threads: 2, ...options });
  onTestFinished(() => service.close({ timeout: 0 }));
  const failures: Failure[] = [];
  const messages: unknown[] = [];
  service.on('error', (error: Error, event?: ServiceEvent) => failures.push({ error, event }));
  service.on('message', (value: unknown) => messages.push(value));
  return { service, failures, messages };
}

/** A handler module, from its source; it can import nothing but Node's own modules. */
export function module(source: string): string {
  return `data:text/javascript,${encodeURIComponent(source)}`;
}

/** Polls until the condition holds; a rejection that says what was waited for, after `ms`. */
export async function until(condition: () => boolean, what: string, ms = 10_000): Promise<void> {
  const limit = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > limit) throw new Error(`${what}: not after ${ms} ms`);
    await pause(2);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms));
}

/** Long enough for what must not come to have come, on a machine that is not very busy. */
export function quiet(): Promise<void> {
  return pause(150);
}

/** Of all threads together. */
export function total(
  service: WaitService,
  field: 'waits' | 'events' | 'handled' | 'contended' | 'stale' | 'errors',
): number {
  return service.stats().threads.reduce((sum, thread) => sum + thread[field], 0);
}
