/** `epoll-pool/server`: connections, served by threads. */
/// <reference types="node" preserve="true" />
export type { CloseReason } from '../../shared/server/reasons.js';
export type { Peer, ServerEvents, ServerStats } from './events.js';
export type { ServerOptions } from './options.js';
export { Server } from './server.js';
