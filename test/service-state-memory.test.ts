/**
 * stateBytes: a registration that never touches them costs neither their memory nor their zeroing.
 *
 * @module-tag slow
 */
import { expect, test } from 'vitest';
import { run } from './support/run.ts';

const SOURCE = `
  const handler = 'data:text/javascript,' + encodeURIComponent(\`
    export default ready => {
      ready.read(new Uint8Array(8));
      if (ready.data === 0n) return;
      ready.post([ready.state.every(byte => byte === 0), ready.state.length]);
      ready.state.fill(255);
    };
  \`);
  const service = await lib.WaitService.start({ threads: 1, handler, stateBytes: 1_100_000, capacity: 1000 });
  const messages = [];
  service.on('message', value => messages.push(value));
  const fds = Array.from({ length: 1000 }, () => sys.eventfd(0));
  const rss = process.memoryUsage().rss;
  const from = performance.now();
  const made = await Promise.all(fds.map(fd => service.register(fd, { events: EPOLLIN, data: 0 })));
  const took = performance.now() - from;
  console.log(took < 300, process.memoryUsage().rss - rss < 100e6);
  // Touched by one registration, zero for the next in its slot; there is room for so many that all slots come round.
  const one = new BigUint64Array([1n]);
  for (let i = 0; i < 2500; i++) {
    await service.unregister(fds[0]);
    await service.register(fds[0], { events: EPOLLIN, data: 1 });
    if (i % 25 !== 0) continue;
    sys.write(fds[0], one);
    const before = messages.length;
    for (const limit = performance.now() + 5000; messages.length === before && performance.now() < limit; ) await new Promise(r => setTimeout(r, 1));
  }
  console.log(messages.length, messages.every(([zero, length]) => zero && length === 1_100_000));
  await service.close();
`;

test('1,000 idle registrations of 1.1 MB; what was touched is zeroed for the next', async () => {
  const result = await run(SOURCE, 28_000);
  expect(result).toMatchObject({ code: 0, stderr: '' });
  expect(result.stdout).toBe('true true\n100 true\n');
});
