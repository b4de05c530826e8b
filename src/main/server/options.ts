/** The options of Server.listen, checked, each read once. */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import type { SecureContextOptions } from 'node:tls';
import { pathToFileURL } from 'node:url';
import type { ResourceLimits } from 'node:worker_threads';
import * as args from '../../shared/arguments.js';
import { invalidType, outOfRange } from '../../shared/errors.js';
import { BLOCK_BYTES } from '../../shared/server/arena.js';
import { createPlan, MOST_CONNECTIONS, type ServerPlan } from '../../shared/server/layout.js';

/** As node:tls takes them. */
export type ServerTlsOptions = SecureContextOptions & {
  requestCert?: boolean | undefined;
  rejectUnauthorized?: boolean | undefined;
  ALPNProtocols?: string[] | undefined;
};

export interface ServerOptions {
  /** Where to listen, as net.Server.listen() has it: port (0: any) and host ('::'), or a unix socket's path; neither: adopt() only. */
  port?: number | undefined;
  host?: string | undefined;
  path?: string | undefined;
  backlog?: number | undefined;
  reusePort?: boolean | undefined;
  ipv6Only?: boolean | undefined;
  /** The module whose default export handles each message, in the threads. */
  handler: string | URL;
  /** Structured-cloned into the handler module's `setup`. */
  handlerData?: unknown;
  /** Threads that serve, 1 to 254; default os.availableParallelism(). */
  threads?: number | undefined;
  /** Bytes of shared memory that each connection carries from message to message, for its handler; default 0. */
  stateBytes?: number | undefined;
  /**
   * Most handlers of one thread whose promises are pending at a time; default 64. 1: one message after the other. With as many in each
   * thread no message begins until one settles; all else goes on: output, ends, time-outs, handshakes, what the main thread asks for.
   */
  concurrency?: number | undefined;
  resourceLimits?: ResourceLimits | undefined;
  /** Where the threads' module (`epoll-pool/thread`) is, for a bundle that has moved it. */
  threadFile?: string | URL | undefined;
  /**
   * TLS 1.2 and 1.3 in the threads, handshakes too: key, cert, ca, passphrase, pfx, ciphers, minVersion … as node:tls takes them. Sessions
   * are resumed (tickets), renegotiation is refused. Wrong options reject with node:tls's own error.
   */
  tls?: ServerTlsOptions | undefined;
  /** Default 65,536. More wait in the kernel's backlog until one ends. */
  maxConnections?: number | undefined;
  /** Most bytes of one message, default 1 MiB; a longer one ends its connection ('too-long'). */
  maxMessage?: number | undefined;
  /** While more output than this is kept for a peer (default 64 KiB), its next message waits, and its socket is not read. */
  highWaterMark?: number | undefined;
  /** Most output kept for one peer, default 16 MiB: what would exceed it is refused, and ends the connection ('too-slow'). */
  maxOutput?: number | undefined;
  /** Shared memory for all that is kept, in bytes, default 256 MiB; only what is used is committed, and used again. */
  memory?: number | undefined;
  /** Ends a connection after so long (ms) without a byte in either direction and no message at work ('idle'); default 0: never. */
  idleTimeout?: number | undefined;
  /** From accept to the end of the TLS handshake (ms); default 10 s ('handshake'); 0: as long as it takes. */
  handshakeTimeout?: number | undefined;
}

/** Where to listen. */
export type Place =
  | { readonly path: string }
  | { readonly port: number; readonly host: string | undefined; readonly ipv6Only: boolean };

export interface CheckedServerOptions {
  readonly place: Place | undefined;
  readonly backlog: number;
  readonly reusePort: boolean;
  /** For import(). */
  readonly module: string;
  readonly handlerData: unknown;
  readonly threads: number;
  readonly concurrency: number;
  readonly resourceLimits: ResourceLimits | undefined;
  readonly threadFile: string | URL | undefined;
  readonly tls: ServerTlsOptions | undefined;
  readonly maxConnections: number;
  readonly maxMessage: number;
  readonly highWaterMark: number;
  readonly maxOutput: number;
  readonly idleTimeout: number;
  readonly handshakeTimeout: number;
  readonly plan: ServerPlan;
}

const MOST_THREADS = 254;
const MOST_BYTES = 0x7fff_ffff;
const MOST_MESSAGE = 2 ** 30;
const MOST_MEMORY = 2 ** 32 - BLOCK_BYTES;
const MOST_STATE = 2 ** 32 - 1;
const MOST_PORT = 65_535;
const HANDSHAKE_MS = 10_000;
/** Node's. */
const BACKLOG = 511;

export function checkServerOptions(given: ServerOptions): CheckedServerOptions {
  args.options(given);
  const integer = (key: keyof ServerOptions, fallback: number, low: number, high: number): number => {
    const value: unknown = given[key];
    return value === undefined ? fallback : args.integer(value, key, low, high);
  };
  const duration = (key: keyof ServerOptions, fallback: number): number => {
    const value: unknown = given[key];
    return value === undefined ? fallback : args.duration(value, key);
  };
  const threads = integer('threads', Math.min(MOST_THREADS, availableParallelism()), 1, MOST_THREADS);
  const maxConnections = integer('maxConnections', 65_536, 1, MOST_CONNECTIONS);
  const stateBytes = integer('stateBytes', 0, 0, MOST_STATE);
  const memory = integer('memory', 256 << 20, BLOCK_BYTES, MOST_MEMORY);
  return {
    place: placeOf(given),
    backlog: integer('backlog', BACKLOG, 0, MOST_BYTES),
    reusePort: args.flag(given.reusePort, 'reusePort'),
    module: moduleUrl(given.handler),
    handlerData: given.handlerData,
    threads,
    concurrency: integer('concurrency', 64, 1, MOST_BYTES),
    resourceLimits: given.resourceLimits,
    threadFile: given.threadFile,
    tls: tlsOptions(given.tls),
    maxConnections,
    maxMessage: integer('maxMessage', 1 << 20, 1, MOST_MESSAGE),
    highWaterMark: integer('highWaterMark', 65_536, 0, MOST_BYTES),
    maxOutput: integer('maxOutput', 16 << 20, 0, MOST_BYTES),
    idleTimeout: duration('idleTimeout', 0),
    handshakeTimeout: duration('handshakeTimeout', HANDSHAKE_MS),
    plan: plan(threads, maxConnections, stateBytes, memory),
  };
}

function plan(threads: number, maxConnections: number, stateBytes: number, memory: number): ServerPlan {
  try {
    return createPlan({ threads, maxConnections, stateBytes, memory });
  } catch {
    // More than the machine, or JavaScript, can hold.
    throw outOfRange(
      'maxConnections * stateBytes + memory',
      'less than this machine can reserve',
      maxConnections * stateBytes + memory,
    );
  }
}

function placeOf({ port, host, path, ipv6Only: only }: ServerOptions): Place | undefined {
  const ipv6Only = args.flag(only, 'ipv6Only');
  if (path !== undefined) {
    if (typeof path !== 'string') throw invalidType('path', 'a string', path);
    if (port !== undefined || host !== undefined) {
      throw invalidType('options', 'either a path, or a port and a host', { path, port, host });
    }
    return { path };
  }
  if (port === undefined) {
    if (host !== undefined) throw invalidType('port', 'a number, beside a host', port);
    return undefined;
  }
  if (host !== undefined && typeof host !== 'string') throw invalidType('host', 'a string', host);
  return {
    port: args.integer(port, 'port', 0, MOST_PORT),
    host: host === '' ? undefined : host,
    ipv6Only,
  };
}

/** A URL as it is; a string is a URL too, or else a path, relative to the working directory. */
function moduleUrl(handler: unknown): string {
  if (handler instanceof URL) return handler.href;
  if (typeof handler !== 'string') throw invalidType('handler', 'a path or a URL', handler);
  return /^(file|data|node):/.test(handler) ? handler : pathToFileURL(resolve(handler)).href;
}

export function tlsOptions(tls: ServerTlsOptions | undefined): ServerTlsOptions | undefined {
  if (tls !== undefined) args.options(tls, 'tls');
  return tls;
}
