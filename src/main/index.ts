/// <reference types="node" preserve="true" />
/** `epoll-pool`: what users import. */
export type { EventInit, FdLike } from '../shared/arguments.js';
export { Epoll } from '../shared/epoll/epoll.js';
export { type Event, Events } from '../shared/epoll/events.js';
export {
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLERR,
  EPOLLET,
  EPOLLEXCLUSIVE,
  EPOLLHUP,
  EPOLLIN,
  EPOLLMSG,
  EPOLLONESHOT,
  EPOLLOUT,
  EPOLLPRI,
  EPOLLRDBAND,
  EPOLLRDHUP,
  EPOLLRDNORM,
  EPOLLWAKEUP,
  EPOLLWRBAND,
  EPOLLWRNORM,
  formatFlags,
} from '../shared/epoll/flags.js';
export { Waker } from '../shared/epoll/waker.js';
export { EpollError } from '../shared/errors.js';
export { detach } from './detach.js';
export type { Registration, ServiceEvent, WaitServiceEvents } from './service/inbox/service-event.js';
export type { WaitServiceOptions } from './service/options.js';
export { WaitService } from './service/service.js';
export type { ThreadStats, WaitServiceStats } from './service/stats.js';
