/** The process ends at once on exit(), an uncaught error or a signal, whatever the threads are waiting for. */
import { expect, test } from 'vitest';
import { run, start } from './support/run.ts';

/** Long for a loaded machine, short beside a thread that is waited for. */
const SOON = 3000;

/** A service with threads that wait, one that is in a handler, and one that waits for room for its posts. */
const SERVICE = `
  const handler = 'data:text/javascript,' + encodeURIComponent(\`
    export default ready => {
      if (ready.data === 1n) { ready.post(1); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); }
      if (ready.data === 2n) for (;;) ready.post(2);
      if (ready.data === 3n) { ready.post(1); for (;;); }
      if (ready.data === 4n) { ready.post(1); return new Promise(() => {}); }
    };
  \`);
  const service = await lib.WaitService.start({ threads: 6, handler });
  const begun = new Promise(resolve => { let n = 0; service.on('message', value => { if (value === 1 && ++n === 3) resolve(); }); });
  for (const data of [0, 1, 3, 4]) await service.register(sys.eventfd(data > 0 ? 1 : 0), { events: EPOLLIN, data });
  await begun;
  if (POSTING) await service.register(sys.eventfd(1), { events: EPOLLIN, data: 2 });
  const idle = await lib.WaitService.start({ threads: 3 });
  const from = performance.now();
  process.on('exit', () => process.stdout.write('exit'));
`;

test.each([
  ['process.exit(0)', 'process.exit(0);', 0],
  ['process.exit(7)', 'process.exit(7);', 7],
  ['exit() in a timer', 'setTimeout(() => process.exit(5), 20);', 5],
  ['an uncaught throw', "setTimeout(() => { throw new Error('uncaught'); }, 20);", 1],
  ['an unhandled rejection', "Promise.reject(new Error('unhandled'));", 1],
  ['a throw of the main module', "throw new Error('thrown');", 1],
])('%s', async (_how, statement, code) => {
  for (const posting of [false, true]) {
    const { child, result } = start(`const POSTING = ${posting};${SERVICE} process.stdout.write('now'); ${statement}`);
    let from = Number.NaN;
    child.stdout?.on('data', text => {
      if (String(text).includes('now')) from = performance.now();
    });
    const { code: found, signal, stdout } = await result;
    expect({ found, signal, stdout }).toEqual({ found: code, signal: null, stdout: 'nowexit' });
    expect(performance.now() - from).toBeLessThan(SOON);
  }
});

test.each(['process.exit(2)', 'service.unref()'])('it waits for no thread: %s', async statement => {
  // All threads have just begun a wait that would last half a second.
  const source = `
    const service = await lib.WaitService.start({ threads: 2 });
    setTimeout(() => { process.stdout.write('now'); ${statement}; }, 20);
  `;
  const times: number[] = [];
  // The best of several, because the machine may be busy.
  while (times.length < 8 && !times.some(ms => ms < 200)) {
    const { child, result } = start(source);
    await new Promise(resolve => child.stdout?.once('data', resolve));
    const from = performance.now();
    await result;
    times.push(performance.now() - from);
  }
  expect(Math.min(...times)).toBeLessThan(200);
});

test.each(['SIGINT', 'SIGTERM', 'SIGKILL'] as const)('%s ends it, by default', async signal => {
  const { child, result } = start(`const POSTING = false;${SERVICE} process.stdout.write('now');`);
  await new Promise(resolve => child.stdout?.once('data', resolve));
  const from = performance.now();
  child.kill(signal);
  expect(await result).toMatchObject({ code: null, signal });
  expect(performance.now() - from).toBeLessThan(SOON);
});

test('a SIGTERM listener that exits', async () => {
  const source = `process.on('SIGTERM', () => process.exit(9)); const POSTING = false;${SERVICE} process.stdout.write('now');`;
  const { child, result } = start(source);
  await new Promise(resolve => child.stdout?.once('data', resolve));
  child.kill('SIGTERM');
  expect(await result).toMatchObject({ code: 9, signal: null });
});

test('exit() during close()', async () => {
  const source = `const POSTING = false;${SERVICE} service.close(); idle.close(); setTimeout(() => process.exit(3), 10);`;
  expect(await run(source)).toMatchObject({ code: 3, signal: null });
});
