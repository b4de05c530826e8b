// The two peers that watch fds on the event loop, given the same eventfds and the same consumer.
import { koffi, npmEpoll } from './peers.js';

/** npm epoll: one instance, a thread of its own that fetches one event at a time. */
export function byNpmEpoll(feed) {
  const Epoll = npmEpoll();
  const epoll = new Epoll((error, fd) => {
    if (error) throw error;
    feed.consume(fd);
  });
  for (const fd of feed.fds) epoll.add(fd, Epoll.EPOLLIN | Epoll.EPOLLET);
}

/** koffi.node.poll: a handle of the loop's for each fd. */
export function byKoffiPoll(feed) {
  const { poll } = koffi().node;
  // Collected handles go silent: something must hold them.
  handles.push(...feed.fds.map(fd => poll(fd, () => feed.consume(fd))));
}

const handles = [];
