// A TCP server whose threads read, hash and answer: `node examples/hash-server.mjs`, then `echo hello | nc localhost 7000`.
import { createServer } from 'node:net';
import { detach, EPOLLIN, EPOLLRDHUP, WaitService } from 'epoll-pool';
import { close } from 'epoll-pool/sys';

const service = await WaitService.start({ handler: new URL('hash-handler.mjs', import.meta.url) });
service.on('error', async (error, event) => {
  if (error.code !== 'ECONNRESET') console.error(error.message);
  if (event === undefined) return;
  // The registration rests, and its fd is ours to close, once nothing can touch it.
  await service.unregister(event).then(() => close(event.fd), console.error);
});

// Node accepts and hands over: pauseOnConnect keeps it from reading first.
const server = createServer({ pauseOnConnect: true }, async socket => {
  let fd = -1;
  try {
    fd = detach(socket);
    await service.register(fd, { events: EPOLLIN | EPOLLRDHUP });
  } catch (error) {
    console.error(error.message); // no fd left, as many registrations as there is room for …
    if (fd >= 0) close(fd);
    else socket.destroy();
  }
});
server.listen(Number(process.env.PORT ?? 7000), () => {
  console.log(`${service.threads} threads hash what port ${server.address().port} is sent`);
});

process.once('SIGINT', async () => {
  server.close();
  await service.close();
});
