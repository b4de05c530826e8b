/** Loads the module whose default export handles a server's messages. */
import { invalidType } from '../../shared/errors.js';
import type { CloseReason } from '../../shared/server/reasons.js';
import type { Connection } from './connection.js';
import { HOOKS, type MessageHandler, type Protocol, type ProtocolHooks } from './protocols/protocol.js';

export interface ServerModule<M = Buffer> {
  default: MessageHandler<M>;
  /** Without one, a message is whatever has come. */
  protocol?: Protocol<M> | undefined;
  /** Runs once per thread before it serves. */
  setup?: ((handlerData: unknown) => void | Promise<void>) | undefined;
  /** As soon as it is there (with TLS: after the handshake), though no message ever comes; a greeting is sent here. */
  open?: ((connection: Connection) => void) | undefined;
  /** Exactly once for each open(), after its last run and its last promise. */
  close?: ((connection: Connection, reason: CloseReason) => void) | undefined;
}

type Method<A extends unknown[], R> = (...args: A) => R;

/** What a thread calls; each is bound to its module, or its protocol. */
export interface LoadedModule {
  readonly handle: Method<[message: unknown, connection: Connection], unknown>;
  readonly frame: Method<[input: Buffer, seen: number, connection: Connection], unknown> | undefined;
  readonly decode: Method<[bytes: Buffer, connection: Connection], unknown> | undefined;
  readonly refuse: Method<[error: unknown], unknown> | undefined;
  readonly hooks: ProtocolHooks<unknown>;
  readonly open: Method<[connection: Connection], unknown> | undefined;
  readonly close: Method<[connection: Connection, reason: CloseReason], unknown> | undefined;
}

/** Imports the module and runs its setup. @param url as for import() */
export async function loadModule(url: string, handlerData: unknown): Promise<LoadedModule> {
  const imported: unknown = await import(url);
  const outer = member(imported, 'default');
  // CommonJS, compiled from TypeScript or not: its exports are import()'s default.
  const [holder, handle] = typeof outer === 'function' ? [imported, outer] : [outer, member(outer, 'default')];
  if (typeof handle !== 'function') throw invalidType('the default export of the handler module', 'a function', handle);
  const exported = (key: string): unknown => member(holder, key) ?? member(handle, key);
  const setup = exported('setup');
  if (setup !== undefined && typeof setup !== 'function') {
    throw invalidType('the setup of the handler module', 'a function', setup);
  }
  // Before the rest is read: it may depend on the handlerData.
  if (setup !== undefined) await setup.call(holder, handlerData);
  const protocol = exported('protocol');
  if (protocol !== undefined && (typeof protocol !== 'object' || protocol === null)) {
    throw invalidType('the protocol of the handler module', 'an object with frame()', protocol);
  }
  const frame = method<[Buffer, number, Connection]>(protocol, protocol, 'frame', 'the protocol of the handler module');
  if (protocol !== undefined && frame === undefined) {
    throw invalidType("the protocol's frame", 'a function', undefined);
  }
  const hooks = member(protocol, HOOKS);
  return {
    handle: (message: unknown, connection: Connection): unknown => handle(message, connection),
    frame,
    decode: method<[Buffer, Connection]>(protocol, protocol, 'decode', 'the protocol of the handler module'),
    refuse: method<[unknown]>(protocol, protocol, 'refuse', 'the protocol of the handler module'),
    hooks: isHooks(hooks) ? hooks : {},
    open: method<[Connection]>(holder, { open: exported('open') }, 'open', 'the handler module'),
    close: method<[Connection, CloseReason]>(holder, { close: exported('close') }, 'close', 'the handler module'),
  };
}

function member(value: unknown, key: PropertyKey): unknown {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
    ? Reflect.get(value, key)
    : undefined;
}

function method<A extends unknown[]>(
  self: unknown,
  holder: unknown,
  key: string,
  whose: string,
): Method<A, unknown> | undefined {
  const found = member(holder, key);
  if (found === undefined) return undefined;
  if (typeof found !== 'function') throw invalidType(`${key} of ${whose}`, 'a function', found);
  return (...args) => Reflect.apply(found, self, args);
}

/** The package's own: what is under the symbol is what it should be. */
function isHooks(value: unknown): value is ProtocolHooks<unknown> {
  return typeof value === 'object' && value !== null;
}
