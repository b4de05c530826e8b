/// <reference types="node" preserve="true" />
/** `epoll-pool/worker`: what modules that run in the pool's threads import, and the types of what they export. */
export type { EventInit, FdLike } from '../shared/arguments.js';
export type { Connection } from './server/connection.js';
export type { ServerModule } from './server/module.js';
export { fetchHandler } from './server/protocols/fetch-handler.js';
export { http } from './server/protocols/http.js';
export type { HttpRequest } from './server/protocols/http-request.js';
export { lengthPrefixed } from './server/protocols/length-prefixed.js';
export { lines } from './server/protocols/lines.js';
export type { MessageHandler, Protocol } from './server/protocols/protocol.js';
export type { Handler, HandlerModule } from './service/handler.js';
export type { Ready } from './service/ready.js';
