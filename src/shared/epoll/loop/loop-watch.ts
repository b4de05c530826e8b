/**
 * A new epoll instance that this thread's event loop watches. Node offers no way to watch such an fd; there are two
 * roundabout ones, and each is right where the other is not.
 *
 * On the main thread, a poll handle of koffi's: the fastest. Its traps: it aborts the process if it is open and readable
 * while its environment is torn down (so 'exit' closes it), and crashes it if it is used after that; in its callback
 * exceptions vanish and microtasks wait (so everything goes on from setImmediate).
 *
 * In a worker there is no 'exit' when worker.terminate() ends it, and a busy handle aborts the process in nearly every
 * round. A datagram socket of Node's own does not: it is given a UDP socket's fd, behind which the epoll instance is put.
 * When that is readable the loop calls recvmsg, which the kernel answers with ENOTSOCK, and the socket's 'error' event is
 * the news. Node closes it, fd and all, however the thread ends. It costs some 4 µs more each time.
 *
 * On Deno a poll handle calls back once, start() or not, in workers too: there is a new one each time.
 */
import { createSocket } from 'node:dgram';
import { setImmediate } from 'node:timers';
import { isMainThread } from 'node:worker_threads';
import { EpollError } from '../../errors.js';
import { udpSocket } from '../../kernel/sockets.js';
import * as sys from '../../kernel/syscalls.js';
import { isDeno } from '../../runtime.js';

export interface LoopWatch {
  /** The epoll instance; owned by the watch. */
  readonly fd: number;
  /** Whether it keeps the process alive; it does not to begin with. */
  ref(): void;
  unref(): void;
}

/** Calls `onReady` from the loop whenever the instance has events. @throws EpollError EMFILE, ENFILE, ENOMEM */
export function openLoopWatch(onReady: () => void): LoopWatch {
  if (isDeno) return byPollHandles(onReady);
  return isMainThread ? byPollHandle(onReady) : byDatagramSocket(onReady);
}

function byPollHandles(onReady: () => void): LoopWatch {
  const fd = opened(sys.epollCreate(), 'epoll_create1');
  let isRef = false;
  let handle: sys.PollHandle | undefined;
  const watch = (): void => {
    handle = sys.watch(fd, () => {
      handle?.close();
      handle = undefined;
      setImmediate(() => {
        onReady();
        watch();
      });
    });
    if (!isRef) handle.unref();
  };
  watch();
  return {
    fd,
    ref: () => {
      isRef = true;
      handle?.ref();
    },
    unref: () => {
      isRef = false;
      handle?.unref();
    },
  };
}

function byPollHandle(onReady: () => void): LoopWatch {
  const fd = opened(sys.epollCreate(), 'epoll_create1');
  const handle = sys.watch(fd, () => setImmediate(onReady));
  let ended = false;
  handle.unref();
  process.on('exit', () => {
    ended = true;
    handle.close();
  });
  return {
    fd,
    ref: () => !ended && handle.ref(),
    unref: () => !ended && handle.unref(),
  };
}

function byDatagramSocket(onReady: () => void): LoopWatch {
  const fd = opened(udpSocket(), 'socket');
  const socket = createSocket('udp4');
  socket.on('error', onReady);
  socket.bind({ fd, exclusive: true }); // exclusive: not by way of a cluster's primary
  socket.unref();
  try {
    putEpollBehind(fd);
  } catch (error) {
    socket.close();
    throw error;
  }
  return { fd, ref: () => socket.ref(), unref: () => socket.unref() };
}

/** `fd` becomes a new epoll instance. The loop has not looked at it yet: that is for its next turn. */
function putEpollBehind(fd: number): void {
  const epfd = opened(sys.epollCreate(), 'epoll_create1');
  const code = sys.dupOnto(epfd, fd);
  sys.close(epfd);
  if (code < 0) throw new EpollError(code, 'dup3', fd);
}

function opened(fd: number, syscall: string): number {
  if (fd < 0) throw new EpollError(fd, syscall);
  return fd;
}
