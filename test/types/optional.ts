// What may be left out may be undefined too: programs compiled with exactOptionalPropertyTypes pass on what they were given.
import { Epoll, type EventInit, Events, WaitService, type WaitServiceOptions } from 'epoll-pool';
import { type LoadOptions, load } from 'epoll-pool/load';

type OptionalKeys<T> = { [K in keyof T]-?: Record<never, never> extends Pick<T, K> ? K : never }[keyof T];
/** Every optional property, and each undefined. */
type Undefined<T> = { [K in OptionalKeys<T>]: undefined };

declare const serviceOptions: Undefined<WaitServiceOptions>;
declare const eventInit: Undefined<EventInit>;
declare const loadOptions: Undefined<LoadOptions>;
declare const loadHooks: Undefined<Parameters<typeof load>[0]>;
declare const strict: Undefined<{ readonly given: number; readonly omitted?: number }>;

serviceOptions satisfies Partial<WaitServiceOptions>;
eventInit satisfies Partial<EventInit>;
loadOptions satisfies Partial<LoadOptions>;
loadHooks satisfies Partial<Parameters<typeof load>[0]>;
strict satisfies { readonly omitted?: number }; // TS1360

export async function use(given: { threads?: number; signal?: AbortSignal; timeout?: number }): Promise<void> {
  const service = await WaitService.start({ threads: given.threads, handler: undefined, resourceLimits: undefined });
  await service.register(0, { events: 1, data: undefined });
  await service.close({ timeout: given.timeout });
  await new Epoll().waitAsync(new Events(1), undefined, { signal: given.signal });
  await load({ url: 'http://localhost/', rate: undefined, signal: given.signal });
  await WaitService.start({ thread: 2 }); // TS2561
}
