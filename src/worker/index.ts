/** `epoll-pool/worker`: the types of a handler module. */
export type { EventInit, FdLike } from '../shared/arguments.js';
export type { Connection } from './server/connection.js';
export type { MessageHandler, ServerModule } from './server/module.js';
export type { Protocol } from './server/protocols/protocol.js';
export type { Handler, HandlerModule } from './service/handler.js';
export type { Ready } from './service/ready.js';
