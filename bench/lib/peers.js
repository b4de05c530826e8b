// The peers: what is not there, or could not be built, says so in its row.
import { createRequire } from 'node:module';
import { Skip } from './contestant.js';

const require = createRequire(import.meta.url);

/** npm `epoll`: the class Epoll. It is compiled at install. */
export function npmEpoll() {
  try {
    return require('epoll').Epoll;
  } catch {
    throw new Skip('not installed, or not built: it needs a compiler');
  }
}

/** koffi, the same that epoll-pool uses. */
export function koffi() {
  return require('koffi');
}

/** System calls through koffi alone, without the checks of epoll-pool. */
export function bareCalls() {
  const lib = koffi().load(null);
  return {
    epollWait: lib.func('epoll_wait', 'int', ['int', 'void *', 'int', 'int']),
    read: lib.func('read', 'long', ['int', 'void *', 'size_t']),
    schedYield: lib.func('sched_yield', 'int', []),
    write: lib.func('write', 'long', ['int', 'void *', 'size_t']),
  };
}
