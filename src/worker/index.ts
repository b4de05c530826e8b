/** `epoll-pool/worker`: the types of a handler module. */
export type { EventInit, FdLike } from '../shared/arguments.js';
export type { Handler, HandlerModule } from './handler.js';
export type { Ready } from './ready.js';
