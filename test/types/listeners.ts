// Listeners of a WaitService: their arguments are inferred, and names that are no events are refused.
import { type EventEmitter, on, once } from 'node:events';
import type { ServiceEvent, WaitService, WaitServiceEvents } from 'epoll-pool';

declare const service: WaitService;
declare const later: 'event' | 'message';
declare const whatever: string;
function failed(_error: Error, _event?: ServiceEvent): void {}

service.on('event', ({ fd, events, data }) => [fd.toFixed(), events.toFixed(), data.toString(16)]);
service.on('event', event => event.nothing); // TS2339
service.on('message', (value: unknown) => value);
service.on('message', value => value.fd); // TS18046
service.on('message', (value: number) => value); // TS2345
service.on('error', error => error.message);
service.on('error', (error, event) => [error.message, event?.data]);
service.on('error', (_, event) => event.data); // TS18048
service.on('error', (_error, _event, _more) => {}); // TS2345
service.on('event', () => {}).on('error', failed); // chained
service.on(later, (value: unknown) => value);

service.on('evnet', () => {}); // TS2345
service.on('close', () => {}); // TS2345
service.on('', () => {}); // TS2345
service.on(Symbol('event'), () => {}); // TS2345
service.on(whatever, () => {}); // TS2345

service.once('event', event => event.nothing); // TS2339
service.off('event', event => event.nothing); // TS2339
service.addListener('event', event => event.nothing); // TS2339
service.removeListener('event', event => event.nothing); // TS2339
service.prependListener('event', event => event.nothing); // TS2339
service.prependOnceListener('event', event => event.nothing); // TS2339

service.once('error', failed);
service.off('error', failed);
service.addListener('error', failed);
service.removeListener('error', failed);
service.prependListener('error', failed);
service.prependOnceListener('error', failed);

service.once('evnet', () => {}); // TS2345
service.off('evnet', () => {}); // TS2345
service.addListener('evnet', () => {}); // TS2345
service.removeListener('evnet', () => {}); // TS2345
service.prependListener('evnet', () => {}); // TS2345
service.prependOnceListener('evnet', () => {}); // TS2345

// It is an EventEmitter all the same, for what takes any.
const plain: EventEmitter = service;
const first: Promise<unknown[]> = once(service, 'event');
const all: AsyncIterable<unknown> = on(service, 'event');
const listeners: number = service.listenerCount('event');

/** The names, for what forwards them. */
const names: Array<keyof WaitServiceEvents> = ['event', 'message', 'error'];
const wrong: keyof WaitServiceEvents = 'evnet'; // TS2820

export { all, first, listeners, names, plain, wrong };
