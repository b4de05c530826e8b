// Lines by a service: what epoll-pool/server does for its users, written by hand.
import { detach, EPOLLET, EPOLLIN, EPOLLOUT, EPOLLRDHUP, sys, WaitService } from '../lib/ours.js';
import { STATE_BYTES } from './lines-state.js';
import { listen, threads, work } from './serve.js';

const service = await WaitService.start({
  threads,
  handler: new URL('lines-by-hand-handler.js', import.meta.url),
  handlerData: { times: Number(work) },
  stateBytes: STATE_BYTES,
});
service.on('error', async (error, event) => {
  // A client that is done with us resets its connection.
  if (event === undefined || !['ECONNRESET', 'EPIPE'].includes(error.code)) throw error;
  await service.unregister(event);
  sys.close(event.fd);
});
listen(
  socket => {
    service.register(detach(socket), { events: EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET });
  },
  { pauseOnConnect: true },
);
