/** When the handler cannot be loaded, start() rejects with that very error and leaves nothing behind. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { WaitService } from 'epoll-pool';
import { expect, onTestFinished, test } from 'vitest';
import { countFds, countThreads, threadsDownTo } from './support/fds.ts';
import { ended, run } from './support/run.ts';
import { module } from './support/service.ts';
import { rejection } from './support/within.ts';

const cases: ReadonlyArray<readonly [what: string, handler: string, error: object]> = [
  ['a missing module', '/nowhere/handler.mjs', { code: 'ERR_MODULE_NOT_FOUND' }],
  ['a syntax error', module('export default ('), { name: 'SyntaxError' }],
  [
    'a throw while loading',
    module("throw Object.assign(new TypeError('no'), { code: 'E_MINE', extra: { deep: [1n] } }); export default 1;"),
    { name: 'TypeError', message: 'no', code: 'E_MINE', extra: { deep: [1n] } },
  ],
  ['no default export', module('export const handler = () => {};'), { code: 'ERR_INVALID_ARG_TYPE' }],
  ['a default export that is no function', module('export default 5;'), { code: 'ERR_INVALID_ARG_TYPE' }],
  [
    'a setup that is no function',
    module('export const setup = 1; export default () => {};'),
    { code: 'ERR_INVALID_ARG_TYPE' },
  ],
  [
    'a setup that throws',
    module("export const setup = () => { throw new RangeError('setup') }; export default () => {};"),
    { name: 'RangeError', message: 'setup' },
  ],
  [
    'a setup that rejects',
    module(
      "export const setup = async () => { throw Object.assign(new Error('s'), { code: 'E_S' }) }; export default () => {};",
    ),
    { message: 's', code: 'E_S' },
  ],
  [
    'an error with a name of its own',
    module("class Mine extends Error { name = 'Mine' }; throw new Mine('m'); export default 1;"),
    { name: 'Mine', message: 'm' },
  ],
  ['a thread that ends while loading', module('process.exit(7); export default 1;'), { message: /7/ }],
];

test.each(cases)('%s', async (_what, handler, error) => {
  // What the first service of a process leaves loaded is not what is tested here.
  await (await WaitService.start({ threads: 1 })).close();
  const before = { fds: countFds(), threads: countThreads() };
  const found = await rejection(WaitService.start({ threads: 3, handler }));
  const { message, ...rest } = { message: undefined, ...error };
  expect(found).toBeInstanceOf(Error);
  expect(found).toMatchObject(rest);
  if (message !== undefined) expect(found).toHaveProperty('message', expect.stringMatching(message));
  expect(countFds()).toBe(before.fds);
  await threadsDownTo(before.threads);
});

test('threads that are still reading their files leave none of them open', { tags: ['slow'] }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'epoll-pool-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const imports = ['first.mjs', 'second.mjs', 'third.mjs'];
  for (const file of imports) writeFileSync(join(folder, file), '// a line\n'.repeat(20_000));
  const handler = pathToFileURL(join(folder, 'handler.mjs'));
  writeFileSync(handler, `${imports.map(file => `import './${file}';`).join('\n')}\nthrow new Error('thrown');`);
  await (await WaitService.start({ threads: 1 })).close();
  const before = { fds: countFds(), threads: countThreads() };
  for (let i = 0; i < 10; i++) {
    expect(await rejection(WaitService.start({ threads: 3, handler }))).toHaveProperty('message', 'thrown');
    expect(countFds()).toBe(before.fds);
    await threadsDownTo(before.threads);
  }
});

test('the stack is the one of the place that threw', async () => {
  const handler = module('function culprit() { throw new Error("here"); }\nculprit(); export default 1;');
  expect(await rejection(WaitService.start({ threads: 1, handler }))).toHaveProperty(
    'stack',
    expect.stringMatching(/culprit/),
  );
});

test('the process ends by itself afterwards', async () => {
  const source = `
    await lib.WaitService.start({ handler: '/nowhere.mjs' }).catch(error => process.stdout.write(error.code));
  `;
  expect(await run(source)).toEqual(ended('ERR_MODULE_NOT_FOUND'));
});
