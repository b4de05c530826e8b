/** http(): a request that comes byte by byte costs little for each byte, however long it is. */
import { http } from 'epoll-pool/worker';
import { expect, test } from 'vitest';
import { FakeConnection } from './support/protocol.ts';

/** Processor time in microseconds of taking the text byte by byte, the least of some. */
function cost(text: string): number {
  const bytes = Buffer.from(text);
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 3; round++) {
    const protocol = http({ maxHead: 1_000_000 });
    const connection = new FakeConnection({ maxMessage: 10_000_000 });
    const before = process.cpuUsage();
    for (let n = 1; n < bytes.length; n++) {
      if (protocol.frame(bytes.subarray(0, n), n - 1, connection) !== 0) throw new Error(`ended after ${n} bytes`);
    }
    expect(protocol.frame(bytes, bytes.length - 1, connection)).toBe(bytes.length);
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, user + system);
  }
  return least;
}

const head = 'POST / HTTP/1.1\r\nHost: x\r\n';
const chunked = `${head}Transfer-Encoding: chunked\r\n\r\n`;
const kinds: Array<[what: string, text: (n: number) => string]> = [
  ['one long header', n => `${head}X: ${'x'.repeat(n)}\r\n\r\n`],
  ['many headers', n => `${head}${'a:\r\n'.repeat(n / 4)}\r\n`],
  ['a long target', n => `GET /${'x'.repeat(n)} HTTP/1.1\r\nHost: x\r\n\r\n`],
  // Each chunk's data look like the end of the headers.
  ['small chunks', n => `${chunked}${'1\r\n\n\r\n'.repeat(n / 6)}0\r\n\r\n`],
  ['a large chunk', n => `${chunked}${n.toString(16)}\r\n${'a'.repeat(n)}\r\n0\r\n\r\n`],
  ['chunks with extensions', n => `${chunked}${`1;${'x'.repeat(1000)}\r\na\r\n`.repeat(n / 1000)}0\r\n\r\n`],
  ['many trailers', n => `${chunked}0\r\n${'a:\r\n'.repeat(n / 4)}\r\n`],
  ['a long trailer', n => `${chunked}0\r\na:${'x'.repeat(n)}\r\n\r\n`],
];
test.each(kinds)('%s', (_, text) => {
  cost(text(1000));
  // 16 times as many bytes cost 16 times as much, and 256 times if each were looked at again and again.
  expect(cost(text(32_000)) / cost(text(2000))).toBeLessThan(80);
});
