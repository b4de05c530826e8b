/** `epoll-pool`: what users import. */
export type { EventInit, FdLike } from '../shared/arguments.js';
export { Epoll } from '../shared/epoll.js';
export { EpollError } from '../shared/errors.js';
export { type Event, Events } from '../shared/events.js';
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
} from '../shared/flags.js';
export { Waker } from '../shared/waker.js';
export type { ServiceEvent } from './consumer.js';
export { detach } from './detach.js';
export type { WaitServiceOptions } from './options.js';
export { WaitService } from './service.js';
export type { ThreadStats, WaitServiceStats } from './stats.js';
