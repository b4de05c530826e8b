/// <reference types="node" preserve="true" />
/** `epoll-pool/worker`: the types of a handler module. */
export type { EventInit, FdLike } from '../shared/arguments.js';
export type { Handler, HandlerModule } from './service/handler.js';
export type { Ready } from './service/ready.js';
