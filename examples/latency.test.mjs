// A server's latency as a test of vitest's: `npx vitest run examples`.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { load } from 'epoll-pool/load';
import { afterAll, beforeAll, expect, test } from 'vitest';

const server = createServer((_request, response) => response.end('hello\n'));
let url;

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${server.address().port}/`;
});

afterAll(() => server.close());

test('500 requests a second: none fails, 99 of 100 are answered within half a second', {
  timeout: 30_000,
}, async () => {
  const { responses, errorCount, latency } = await load({ url, rate: 500, duration: '2s', connections: 20 });
  expect(errorCount).toBe(0);
  expect(responses).toBe(1000);
  expect(latency.p99).toBeLessThan(500); // milliseconds
});
