/** Without /proc, or with Node's --permission and no right to read it: what needs it says so, and the rest works. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { ROOT } from './support/run.ts';

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Ways to have no /proc: the words before the arguments of node. */
const hidden = ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /proc && exec "$@"', 'sh', process.execPath];
const { status: mounted, stderr: whyNot } = spawnSync('unshare', [...hidden.slice(1), '-e', '0'], { timeout: 20_000 });
const noMounts = mounted === 0 ? '' : ` (skipped: no mounts of one's own here: ${String(whyNot).trim()})`;

const permission = process.allowedNodeEnvironmentFlags.has('--permission')
  ? '--permission'
  : '--experimental-permission';
const restricted = [
  process.execPath,
  ...[
    permission,
    '--no-warnings',
    '--allow-addons',
    '--allow-worker',
    `--allow-fs-read=${ROOT}*`,
    '--allow-fs-read=/tmp/*',
  ],
];

async function outcome(command: readonly string[], args: readonly string[]): Promise<Outcome> {
  const [program = '', ...rest] = [...command, ...args];
  const child = spawn(program, rest, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], timeout: 25_000 });
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  return { code, stdout, stderr };
}

const CLI = `${ROOT}dist/main/cli.js`;

/** What works all the same, and what registered() says. */
const PROGRAM = `
  import { Epoll, EPOLLIN, Events, WaitService } from 'epoll-pool';
  import { eventfd } from 'epoll-pool/sys';
  const fd = eventfd(1);
  const epoll = new Epoll();
  epoll.register(fd, { events: EPOLLIN });
  console.log(epoll.wait(new Events(1), 1000.5), await epoll.waitAsync(new Events(1), 1000));
  const service = await WaitService.start({ threads: 2 });
  await service.register(fd, { events: EPOLLIN });
  for await (const event of service) {
    console.log(event.fd === fd);
    break;
  }
  await service.close();
  try {
    console.log(epoll.registered());
  } catch (error) {
    console.log(error.name, error.code, error.fd === epoll.fd, error.message);
  }
`;

describe.each([
  ['without /proc', noMounts, hidden, 'ENOENT', /\/proc is missing/],
  ['with --permission', '', restricted, 'EACCES', /--permission.*--allow-fs-read=\/proc/],
] as const)('%s%s', (_, skipped, command, code, words) => {
  test.skipIf(skipped)('registered() says what is wrong, and all else works', async () => {
    const { stdout, stderr, code: exit } = await outcome(command, ['--input-type=module', '-e', PROGRAM]);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
    const [primitive, service, registered] = stdout.split('\n');
    expect([primitive, service]).toEqual(['1 1', 'true']);
    expect(registered).toMatch(new RegExp(`^EpollError ${code} true ${code}: `));
    expect(registered).toMatch(words);
  });

  test.skipIf(skipped).each([[[]], [['--json']], [['1']], [['--json', '1']]])('inspect %j', async args => {
    const { stdout, stderr, code: exit } = await outcome(command, [CLI, 'inspect', ...args]);
    expect({ exit, stdout }).toEqual({ exit: 1, stdout: '' });
    expect(stderr).toMatch(/^epoll-pool inspect: \/proc is (missing|forbidden)[^\n]*\n$/);
    expect(stderr).toMatch(words);
  });
});

test('an fd that is not open is EBADF as ever, with /proc at hand', async () => {
  const source = `
    import { Epoll } from 'epoll-pool';
    try { Epoll.borrow(1000).registered(); } catch (error) { console.log(error.code); }
  `;
  expect(await outcome([process.execPath], ['--input-type=module', '-e', source])).toEqual({
    code: 0,
    stdout: 'EBADF\n',
    stderr: '',
  });
});
