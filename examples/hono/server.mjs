// A Hono application in the server's threads: `npm install hono`, `node examples/hono/server.mjs`, `curl localhost:7004/hello/you`.
import { Server } from 'epoll-pool/server';

const server = await Server.listen({
  port: Number(process.env.PORT ?? 7004),
  handler: new URL('app.mjs', import.meta.url),
});
server.on('error', error => console.error(error));
console.log(`http://localhost:${server.address().port}`);

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.close({ timeout: 5000 }));
