/** `epoll-pool inspect`: what it says of another process whose epolls are known, and whom it refuses. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { EPOLLET, EPOLLIN, EPOLLONESHOT, EPOLLOUT, Epoll } from 'epoll-pool';
import { afterEach, expect, test } from 'vitest';
import { inspectCommand } from '../dist/main/inspect/command.js';
import { knowsRegisteredFiles } from '../dist/shared/kernel/syscalls.js';

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** Runs `code`, which prints one line of JSON and then stays; returns that and the pid. */
async function start<T>(code: string, read: (json: unknown) => T): Promise<{ pid: number; said: T }> {
  const root = new URL('..', import.meta.url);
  const child = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { Epoll, Events, EPOLLET, EPOLLIN, EPOLLONESHOT, EPOLLOUT } from 'epoll-pool';
       import * as sys from 'epoll-pool/sys';
       import net from 'node:net';
       import { watch } from 'node:fs';
       process.stdout; // opens what it opens now, not when numbers matter
       const say = value => console.log(JSON.stringify(value));
       setTimeout(() => process.exit(), 60_000);
       ${code}`,
    ],
    { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  children.push(child);
  const lines = createInterface({ input: child.stdout });
  const [line] = await once(lines, 'line', { signal: AbortSignal.timeout(20_000) });
  if (child.pid === undefined) throw new Error('not started');
  return { pid: child.pid, said: read(JSON.parse(String(line))) };
}

async function inspect(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ['', ''];
  const code = await inspectCommand(argv, {
    out: {
      write: text => {
        out += text;
      },
    },
    err: {
      write: text => {
        err += text;
      },
    },
  });
  return { code, out, err };
}

function fdsOf(json: unknown): Record<string, number> {
  const fds: Record<string, number> = {};
  if (typeof json !== 'object' || json === null) throw new Error('no fds');
  for (const [name, fd] of Object.entries(json)) fds[name] = Number(fd);
  return fds;
}

/** The instance `epfd` of a process, by registered fd. */
async function watchedBy(pid: number, epfd: number): Promise<Map<number, Record<string, unknown>>> {
  const { code, out, err } = await inspect('--json', String(pid));
  expect([code, err]).toEqual([0, '']);
  const report: { pid: number; instances: Array<{ fd: number; watched: Array<Record<string, unknown>> }> } =
    JSON.parse(out);
  expect(report.pid).toBe(pid);
  const instance = report.instances.find(({ fd }) => fd === epfd);
  return new Map(instance?.watched.map(entry => [Number(entry.fd), entry]));
}

function hasKcmp(): boolean {
  const [epoll, other] = [new Epoll(), new Epoll()];
  epoll.register(other, { events: EPOLLIN });
  const known = knowsRegisteredFiles(epoll.fd, other.fd);
  for (const one of [epoll, other]) one.close();
  return known;
}

test('every kind of fd, with its flags and data', async () => {
  const { pid, said } = await start(
    `const epoll = new Epoll();
     const inner = new Epoll();
     const { readable, writable } = sys.pipe();
     const event = sys.eventfd(7);
     const timer = sys.timerfd(50_000, 250);
     inner.register(event, { events: EPOLLIN });
     inner.register(timer, { events: EPOLLIN });
     const spent = sys.eventfd(1);
     epoll.register(spent, { events: EPOLLIN | EPOLLONESHOT, data: 1 });
     epoll.wait(new Events(1), 0);
     epoll.register(readable, { events: EPOLLIN | EPOLLET, data: 2n ** 64n - 1n });
     epoll.register(writable, { events: EPOLLOUT, data: 0 });
     epoll.register(event, { events: 0 });
     epoll.register(timer, { events: EPOLLIN });
     epoll.register(inner.fd, { events: EPOLLIN });
     say({ epoll: epoll.fd, inner: inner.fd, readable, writable, event, timer, spent });`,
    fdsOf,
  );
  const { epoll = -1, inner = -1, readable = -1, writable = -1, event = -1, timer = -1, spent = -1 } = said;
  const found = await watchedBy(pid, epoll);
  const always = 0x18; // EPOLLERR and EPOLLHUP
  expect([...found.keys()]).toEqual([inner, readable, writable, event, timer, spent].sort((a, b) => a - b));
  expect(found.get(readable)).toEqual({
    fd: readable,
    kind: 'pipe',
    text: 'pipe, reading end',
    events: (EPOLLIN | EPOLLET | always) >>> 0,
    flags: 'EPOLLIN|EPOLLERR|EPOLLHUP|EPOLLET',
    data: '18446744073709551615',
    spent: false,
  });
  expect(found.get(writable)).toMatchObject({ text: 'pipe, writing end', events: EPOLLOUT | always, data: '0' });
  expect(found.get(event)).toMatchObject({ kind: 'eventfd', text: 'eventfd, count 7', flags: 'EPOLLERR|EPOLLHUP' });
  expect(found.get(timer)).toMatchObject({
    kind: 'timerfd',
    text: expect.stringMatching(/^timerfd, monotonic, expires in [34]\d\.\d+ s, every 0.25 s$/),
    data: String(timer),
  });
  expect(found.get(inner)).toMatchObject({ kind: 'epoll', text: 'epoll, watches 2' });
  expect(found.get(spent)).toMatchObject({ spent: true, flags: 'EPOLLONESHOT', events: EPOLLONESHOT });

  const { code, out } = await inspect(String(pid));
  expect(code).toBe(0);
  expect(out).toMatch(new RegExp(`^process ${pid}: .*node`));
  expect(out).toContain(`\nepoll ${epoll} watches 6\n`);
  expect(out).toMatch(new RegExp(`\\n +${readable}  pipe, reading end .*EPOLLET +0xffffffffffffffff\\n`));
  expect(out).toMatch(new RegExp(`\\n +${spent}  eventfd, count 1 +EPOLLONESHOT +1  spent\\n`));
  expect(out).toContain(`\nepoll ${inner} watches 2\n`);
});

test('sockets, with their addresses', async () => {
  const { pid, said } = await start(
    `const epoll = new Epoll();
     const fds = {};
     const add = (name, socket) => {
       fds[name] = sys.dup(socket._handle.fd); // the loop of Node itself watches the other one
       epoll.register(fds[name], { events: EPOLLIN });
     };
     const listen = (...to) => new Promise(resolve => {
       const server = net.createServer(() => {}).listen(...to, () => resolve(server));
     });
     const connect = (...to) => new Promise((resolve, reject) => {
       const socket = net.connect(...to, () => resolve(socket)).on('error', reject);
     });
     const ports = {};
     for (const [name, host] of [['v4', '127.0.0.1'], ['v6', '::1']]) {
       const server = await listen(0, host).catch(() => undefined);
       if (!server) continue;
       ports[name] = server.address().port;
       const client = await connect(ports[name], host);
       ports[name + 'client'] = client.localPort;
       add(name + 'listens', server);
       add(name + 'connected', client);
     }
     add('unixlistens', await listen('\\0epoll-pool-inspect-' + process.pid));
     const [pair] = sys.socketpair();
     epoll.register(pair, { events: EPOLLIN });
     say({ epoll: epoll.fd, ...fds, pair, ...Object.fromEntries(Object.entries(ports).map(([k, v]) => ['port' + k, v])) });`,
    fdsOf,
  );
  const found = await watchedBy(pid, said.epoll ?? -1);
  const of = (name: string) => found.get(said[name] ?? -1);
  const { portv4, portv4client } = said;
  expect(of('v4listens')).toMatchObject({ kind: 'tcp', local: `127.0.0.1:${portv4}`, state: 'listen' });
  expect(of('v4listens')).not.toHaveProperty('remote');
  expect(of('v4connected')).toMatchObject({
    kind: 'tcp',
    local: `127.0.0.1:${portv4client}`,
    remote: `127.0.0.1:${portv4}`,
    state: 'established',
    text: `tcp 127.0.0.1:${portv4client} → 127.0.0.1:${portv4}, established`,
  });
  if (said.portv6 !== undefined) {
    expect(of('v6listens')).toMatchObject({ kind: 'tcp6', local: `[::1]:${said.portv6}`, state: 'listen' });
    expect(of('v6connected')).toMatchObject({ local: `[::1]:${said.portv6client}`, remote: `[::1]:${said.portv6}` });
  }
  expect(of('unixlistens')).toMatchObject({
    kind: 'unix stream',
    local: `@epoll-pool-inspect-${pid}`,
    state: 'listen',
  });
  expect(of('pair')).toMatchObject({ kind: 'unix stream', state: 'established' });
});

test('registrations whose number was closed, or used again, while the file stays open', async () => {
  const { pid, said } = await start(
    `const epoll = new Epoll();
     const [a, b] = sys.socketpair();
     const [c, d] = sys.socketpair();
     const fresh = sys.eventfd();
     for (const fd of [a, c, fresh]) epoll.register(fd, { events: EPOLLIN });
     const keptA = sys.dup(a);
     const keptC = sys.dup(c);
     const spare = sys.pipe();
     sys.close(c);
     const reused = sys.dup(spare.readable); // the lowest free number: c
     sys.close(a);
     say({ epoll: epoll.fd, a, c, keptA, keptC, fresh, reused });`,
    fdsOf,
  );
  const { epoll = -1, a = -1, c = -1, fresh = -1 } = said;
  expect(said.reused).toBe(c);
  const found = await watchedBy(pid, epoll);
  expect(found.get(a)).toMatchObject({
    stale: 'closed',
    kind: 'unix stream',
    text: `unix stream, established, open as fd ${said.keptA}`,
  });
  expect(found.get(c)).toMatchObject({
    stale: 'reused',
    kind: 'unix stream',
    text: `unix stream, established, open as fd ${said.keptC}`,
  });
  expect(found.get(fresh)).not.toHaveProperty('stale');
  const { out } = await inspect(String(pid));
  expect(out).toMatch(/ closed\n/);
  expect(out).toMatch(/ reused\n/);
});

test('the same of files that share an inode, as eventfds and timerfds do', async ({ skip }) => {
  if (!hasKcmp()) skip('this kernel, or this sandbox, has no kcmp(2)');
  const { pid, said } = await start(
    `const epoll = new Epoll();
     const number = sys.eventfd(5);
     epoll.register(number, { events: EPOLLIN, data: 1 });
     const kept = sys.dup(number);
     sys.close(number);
     const fresh = sys.timerfd(60_000);
     epoll.register(fresh, { events: EPOLLIN, data: 2 });
     const closed = sys.eventfd(6);
     epoll.register(closed, { events: EPOLLIN, data: 3 });
     const copy = sys.dup(closed);
     sys.close(closed);
     say({ epoll: epoll.fd, number, fresh, kept, closed, copy });`,
    fdsOf,
  );
  const { epoll, number, fresh, kept, closed, copy } = said;
  expect(fresh).toBe(number);
  const report: { instances: Array<{ fd: number; watched: Array<Record<string, unknown>> }> } = JSON.parse(
    (await inspect('--json', String(pid))).out,
  );
  const watched = report.instances.find(({ fd }) => fd === epoll)?.watched ?? [];
  const rows = watched.map(({ fd, kind, text, data, stale }) => ({ data, fd, kind, text, stale }));
  rows.sort((a, b) => Number(a.data) - Number(b.data));
  expect(rows).toEqual([
    { data: '1', fd: number, kind: 'eventfd', text: `eventfd, count 5, open as fd ${kept}`, stale: 'reused' },
    {
      data: '2',
      fd: number,
      kind: 'timerfd',
      text: expect.stringMatching(/^timerfd, monotonic, expires/),
      stale: undefined,
    },
    { data: '3', fd: closed, kind: 'eventfd', text: `eventfd, count 6, open as fd ${copy}`, stale: 'closed' },
  ]);
});

test('without a pid: every other process that has epoll instances', async () => {
  const { pid } = await start('const epoll = new Epoll(); say({});', fdsOf);
  const { code, out } = await inspect();
  expect(code).toBe(0);
  expect(out).toMatch(/^ *PID +EPOLLS +WATCHED +COMMAND\n/);
  expect(out).toMatch(new RegExp(`^ *${pid} +\\d+ +\\d+ +.*node`, 'm'));
  expect(out).not.toMatch(new RegExp(`^ *${process.pid} `, 'm'));
  const json: { processes: Array<{ pid: number; instances: object[] }> } = JSON.parse((await inspect('--json')).out);
  const own = json.processes.find(entry => entry.pid === pid);
  expect(own?.instances).toContainEqual({ fd: expect.any(Number), watched: 0 });
});

test('a process without epoll instances', async () => {
  const child = spawn('sleep', ['60']);
  children.push(child);
  await once(child, 'spawn');
  const { code, out } = await inspect(String(child.pid));
  expect([code, out]).toEqual([0, expect.stringContaining('has no epoll instance')]);
});

test('no such process: exit code 1, and said', async () => {
  const child = spawnSync('true');
  expect(await inspect(String(child.pid))).toEqual({
    code: 1,
    out: '',
    err: `epoll-pool inspect: there is no process ${child.pid}\n`,
  });
  expect((await inspect('4194305')).code).toBe(1);
});

test('no permission: exit code 1, and whose process it is', () => {
  // Root gives its rights up, and looks into its own parent; anybody else looks into pid 1.
  const root = process.getuid?.() === 0;
  const pid = root ? process.pid : 1;
  const code = `
    const { inspectCommand } = await import(${JSON.stringify(new URL('../dist/main/inspect/command.js', import.meta.url).href)});
    if (${root}) { process.setegid(65534); process.seteuid(65534); }
    process.exitCode = await inspectCommand(['${pid}']);
    await inspectCommand([]);
    await inspectCommand(['--json']);`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  expect(stderr).toMatch(new RegExp(`^epoll-pool inspect: no permission to look into process ${pid}.*root`));
  expect(status).toBe(1);
  const [, hidden, json = ''] =
    /(\d+) other process(?:es)? could not be looked into.*\n(\{[\s\S]*)$/.exec(stdout) ?? [];
  expect(Number(hidden)).toBeGreaterThan(0);
  expect(JSON.parse(json)).toEqual({ processes: expect.any(Array), hidden: expect.any(Number) });
  expect(JSON.parse(json).hidden).toBeGreaterThan(0);
});

test('help and wrong usage', async () => {
  expect(await inspect('--help')).toEqual({
    code: 0,
    out: expect.stringContaining('Usage: epoll-pool inspect'),
    err: '',
  });
  for (const argv of [['x'], ['0'], ['-1'], ['1.5'], ['1', '2'], ['--nothing'], ['']]) {
    expect(await inspect(...argv)).toEqual({
      code: 2,
      out: '',
      err: expect.stringMatching(/^epoll-pool inspect: .*\nTry 'epoll-pool inspect --help'\.\n$/),
    });
  }
});
