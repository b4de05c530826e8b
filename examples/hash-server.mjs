// A TCP server whose threads read, hash and answer: `node examples/hash-server.mjs`, then `echo hello | nc localhost 7000`.
import { createServer } from 'node:net';
import { detach, EPOLLIN, EPOLLRDHUP, WaitService } from 'epoll-pool';

const service = await WaitService.start({ handler: new URL('hash-handler.mjs', import.meta.url) });
service.on('error', (error, event) => console.error(`fd ${event?.fd}: ${error.message}`));

// Node accepts and hands over: pauseOnConnect keeps it from reading first.
const server = createServer({ pauseOnConnect: true }, socket => {
  service.register(detach(socket), { events: EPOLLIN | EPOLLRDHUP });
});
server.listen(Number(process.env.PORT ?? 7000), () => {
  console.log(`${service.threads} threads hash what port ${server.address().port} is sent`);
});

process.once('SIGINT', async () => {
  server.close();
  await service.close();
});
