// HTTP by a service: the main thread accepts and hands over, the threads read, hash and answer.
import { detach, EPOLLET, EPOLLIN, EPOLLRDHUP, sys, WaitService } from '../lib/ours.js';
import { listen, threads, work } from './serve.js';

const service = await WaitService.start({
  threads,
  handler: new URL('handler.js', import.meta.url),
  handlerData: { work },
});
service.on('error', async (error, event) => {
  // A client that is done with us resets its connection.
  if (event === undefined || !['ECONNRESET', 'EPIPE'].includes(error.code)) throw error;
  await service.unregister(event.fd);
  sys.close(event.fd);
});
listen(
  socket => {
    service.register(detach(socket), { events: EPOLLIN | EPOLLRDHUP | EPOLLET });
  },
  { pauseOnConnect: true },
);
