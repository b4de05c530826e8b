/**
 * process.exit() at any moment during start(): never an abort, never a hang.
 *
 * @module-tag slow
 */
import { expect, test } from 'vitest';
import { ended, run, startFile } from './support/run.ts';

const ROUNDS = 50;

test('fifty moments', async () => {
  // From the import of the package to threads that wait.
  const delays = Array.from({ length: ROUNDS }, (_, i) => (i * 150) / ROUNDS);
  for (let i = 0; i < ROUNDS; i += 2) {
    const results = await Promise.all(
      delays.slice(i, i + 2).map(delay =>
        run(`
          setTimeout(() => { process.stdout.write('x'); process.exit(6); }, ${delay});
          const handler = 'data:text/javascript,export default () => {}';
          await lib.WaitService.start({ threads: ${1 + (i % 6)}, handler });
          await new Promise(() => {});
        `),
      ),
    );
    for (const { code, signal, stdout, stderr } of results) {
      expect({ delay: delays[i], code, signal, stdout, stderr }).toEqual({
        delay: delays[i],
        code: 6,
        signal: null,
        stdout: 'x',
        stderr: '',
      });
    }
  }
}, 120_000);

test('threads load no ES module by require(): one that is ended in the middle of that aborts the process', async () => {
  const source = `
    import { WaitService } from 'epoll-pool';
    const handler = 'data:text/javascript,export default () => {}';
    const service = await WaitService.start({ threads: 2, handler });
    await service.close();
    process.stdout.write('closed');
  `;
  const { result } = startFile(['--trace-require-module=all', '--input-type=module', '-e', source]);
  expect(await result).toEqual(ended('closed'));
});
