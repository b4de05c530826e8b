/** A service keeps the process alive until it is closed or unreferenced; then the process ends by itself, at once. */
import { expect, test } from 'vitest';
import { ended, run, start } from './support/run.ts';

const HANDLER = "const handler = 'data:text/javascript,export default r => { r.read(new Uint8Array(8)); r.post(1); }';";

test.each(['', 'handler, '])('after unref() the process ends by itself (%s)', { tags: ['slow'] }, async option => {
  const source = `
    ${HANDLER}
    const service = await lib.WaitService.start({ ${option} threads: 4 });
    await service.register(sys.eventfd(0), { events: EPOLLIN });
    service.unref();
    process.on('exit', () => process.stdout.write('exit'));
  `;
  const result = await run(source);
  expect(result).toEqual(ended('exit'));
  expect(result.ms).toBeLessThan(10_000);
});

test('by default it stays', { tags: ['slow'] }, async () => {
  const source = `
    const service = await lib.WaitService.start({ threads: 2 });
    service.unref();
    service.ref();
    console.log('up');
  `;
  const { child, result } = start(source);
  await new Promise(resolve => child.stdout?.once('data', resolve));
  await new Promise(resolve => setTimeout(resolve, 300));
  expect(child.exitCode).toBe(null);
  child.kill('SIGTERM');
  expect(await result).toMatchObject({ code: null, signal: 'SIGTERM' });
});

test('after close() the process ends by itself', async () => {
  const source = `
    ${HANDLER}
    const service = await lib.WaitService.start({ handler, threads: 2 });
    await service.register(sys.eventfd(1), { events: EPOLLIN });
    service.on('message', value => { process.stdout.write(String(value)); service.close(); });
  `;
  expect(await run(source)).toEqual(ended('1'));
});

test('unreferenced, it works for as long as something else keeps the process', async () => {
  const source = `
    ${HANDLER}
    const service = await lib.WaitService.start({ handler, threads: 2 });
    service.unref();
    const fd = sys.eventfd(1);
    await service.register(fd, { events: EPOLLIN });
    let seen = 0;
    service.on('message', () => { seen++; });
    const timer = setInterval(() => {
      if (seen === 0) return;
      process.stdout.write('seen');
      clearInterval(timer);
    }, 5);
  `;
  expect(await run(source)).toEqual(ended('seen'));
});

test('promises that threads have to settle hold the process: close(), and unregister() with ref()', async () => {
  const source = `
    const slow = 'data:text/javascript,export default r => { r.post(1); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300); }';
    const service = await lib.WaitService.start({ handler: slow, threads: 2 });
    service.unref();
    const fd = sys.eventfd(1);
    const began = new Promise(resolve => service.once('message', resolve));
    const timer = setInterval(() => {}, 1000);
    await service.register(fd, { events: EPOLLIN | EPOLLET });
    await began;
    clearInterval(timer);
    await service.close();
    process.stdout.write('closed');
  `;
  expect(await run(source)).toEqual(ended('closed'));
});
