// A JSON API with a costly route beside a cheap one: `node examples/http-api/server.mjs`, then `curl localhost:7002/time` and
// `curl -d '{"password":"secret"}' localhost:7002/hash`. SIGTERM ends it when the requests at work are answered.
import { Server } from 'epoll-pool/server';

const server = await Server.listen({
  port: Number(process.env.PORT ?? 7002),
  handler: new URL('handler.mjs', import.meta.url),
  idleTimeout: 60_000,
});
server.on('error', error => console.error(error));
console.log(`http://localhost:${server.address().port}`);

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.close({ timeout: 10_000 }));
