/** `epoll-pool inspect` on a /proc made by hand: kinds of file, tables, and kernels that a test does not meet otherwise. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { inspectCommand } from '../dist/main/inspect/command.js';
import { inspectAll, inspectProcess } from '../dist/main/inspect/process.js';

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

interface Fake {
  /** What each fd leads to, and the lines of its fdinfo. */
  readonly fds: Record<number, readonly [link: string, info?: string]>;
  readonly net?: Record<string, string>;
  readonly command?: string;
}

function proc(processes: Record<number, Fake>): string {
  const root = mkdtempSync(join(tmpdir(), 'epoll-pool-proc-'));
  roots.push(root);
  for (const [pid, { fds, net = {}, command = 'a\0b\0' }] of Object.entries(processes)) {
    for (const folder of ['fd', 'fdinfo', 'net']) mkdirSync(join(root, pid, folder), { recursive: true });
    writeFileSync(join(root, pid, 'cmdline'), command);
    writeFileSync(join(root, pid, 'comm'), 'name\n');
    for (const [fd, [link, info = '']] of Object.entries(fds)) {
      symlinkSync(link, join(root, pid, 'fd', fd));
      writeFileSync(join(root, pid, 'fdinfo', fd), `pos:\t0\nflags:\t02\n${info}`);
    }
    for (const [table, text] of Object.entries(net)) writeFileSync(join(root, pid, 'net', table), text);
  }
  return root;
}

const EPOLL = 'anon_inode:[eventpoll]';
const tfd = (fd: number, rest = '') => `tfd: ${fd} events: 19 data: ${fd.toString(16)}${rest}\n`;

/** What fd 4, watched by the epoll 3, is said to be. */
function described(link: string, info?: string, net?: Record<string, string>) {
  const fake: Fake['fds'] = { 3: [EPOLL, tfd(4)], 4: [link, info ?? ''] };
  const root = proc({ 100: { fds: fake, ...(net === undefined ? {} : { net }) } });
  return inspectProcess(100, root).instances[0]?.watched[0];
}

test.each<[link: string, info: string, kind: string, text: string]>([
  ['anon_inode:[eventfd]', 'eventfd-count: 1f\n', 'eventfd', 'eventfd, count 31'],
  ['anon_inode:[eventfd]', 'eventfd-count: fffffffffffffffe\n', 'eventfd', 'eventfd, count 18446744073709551614'],
  ['anon_inode:[signalfd]', 'sigmask:\t0000000000004003\n', 'signalfd', 'signalfd, SIGHUP SIGINT SIGTERM'],
  ['anon_inode:[signalfd]', 'sigmask:\t8000000000000000\n', 'signalfd', 'signalfd, SIG64'],
  ['anon_inode:inotify', 'inotify wd:1 ino:2\ninotify wd:2 ino:3\n', 'inotify', 'inotify, 2 watches'],
  [
    'anon_inode:[timerfd]',
    'clockid: 0\nit_value: (0, 0)\nit_interval: (0, 0)\n',
    'timerfd',
    'timerfd, realtime, not armed',
  ],
  [
    'anon_inode:[timerfd]',
    'clockid: 7\nit_value: (2, 500000000)\nit_interval: (0, 1000000)\n',
    'timerfd',
    'timerfd, boottime, expires in 2.5 s, every 0.001 s',
  ],
  ['anon_inode:[timerfd]', '', 'timerfd', 'timerfd'],
  ['anon_inode:[pidfd]', 'Pid:\t42\n', 'pidfd', 'pidfd of 42'],
  ['anon_inode:[pidfd]', 'Pid:\t-1\n', 'pidfd', 'pidfd, gone'],
  ['anon_inode:[eventpoll]', `${tfd(7)}${tfd(8)}`, 'epoll', 'epoll, watches 2'],
  ['anon_inode:[userfaultfd]', '', 'userfaultfd', 'userfaultfd'],
  ['anon_inode:bpf-map', '', 'bpf-map', 'bpf-map'],
  ['/dev/pts/0', '', 'device', '/dev/pts/0'],
  ['/sys/class/gpio/gpio4/value', '', 'file', '/sys/class/gpio/gpio4/value'],
  ['/tmp/fifo (deleted)', '', 'file', '/tmp/fifo (deleted)'],
  ['socket:[9]', '', 'socket', 'socket:[9], neither bound nor connected'],
])('%s %j is %s', (link, info, kind, text) => {
  expect(described(link, info)).toMatchObject({ fd: 4, kind, text });
});

const HEAD = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const row = (local: string, remote: string, state: string) =>
  `${HEAD}   0: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000     0        0 55 1 0 100 0\n`;
test.each<[table: string, text: string, expected: object]>([
  ['tcp', row('0100007F:1F90', '00000000:0000', '0A'), { kind: 'tcp', local: '127.0.0.1:8080', state: 'listen' }],
  [
    'tcp6',
    row('B80D0120000000000000000001000000:0050', '0000000000000000FFFF00000100007F:C350', '08'),
    { local: '[2001:db8::1]:80', remote: '[::ffff:127.0.0.1]:50000', state: 'close-wait' },
  ],
  ['udp', row('00000000:0035', '00000000:0000', '07'), { kind: 'udp', local: '0.0.0.0:53', text: 'udp 0.0.0.0:53' }],
  [
    'udp6',
    row('00000000000000000000000000000000:0035', '00000000000000000000000000000000:0000', '07'),
    { local: '[::]:53' },
  ],
  [
    'unix',
    'Num RefCount Protocol Flags Type St Inode Path\n0: 2 0 00010000 0001 01    55 /run/my app.sock\n',
    { kind: 'unix stream', local: '/run/my app.sock', state: 'listen' },
  ],
  [
    'unix',
    'Num RefCount Protocol Flags Type St Inode Path\n0: 2 0 00000000 0002 01 55 @abstract\n',
    { kind: 'unix dgram', local: '@abstract', text: 'unix dgram @abstract' },
  ],
  [
    'netlink',
    'sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode\n0000 0 1 00000000 0 0 0 2 0 55\n',
    { kind: 'netlink', text: 'netlink' },
  ],
])('a socket in /proc/net/%s', (table, text, expected) => {
  expect(described('socket:[55]', '', { [table]: text })).toMatchObject(expected);
});

test('kernels that do not say which inode is registered: no guess', () => {
  const fds = { 3: [EPOLL, `${tfd(4)}${tfd(5)}`], 4: ['pipe:[77]'] } as const;
  const [instance] = inspectProcess(100, proc({ 100: { fds } })).instances;
  expect(instance?.watched[0]).not.toHaveProperty('stale');
  expect(instance?.watched[1]).toMatchObject({ fd: 5, stale: 'closed', kind: 'unknown', text: 'open elsewhere' });
});

test('a registered socket that only another process still has', () => {
  const fds = { 3: [EPOLL, tfd(4, '  pos:0 ino:37 sdev:9')], 4: ['socket:[56]'] } as const;
  const [instance] = inspectProcess(100, proc({ 100: { fds } })).instances;
  expect(instance?.watched[0]).toMatchObject({ stale: 'reused', text: 'inode 55, open elsewhere' });
});

test('all processes: those without epoll, and what is no process, are left out', () => {
  const root = proc({
    200: { fds: { 3: [EPOLL], 5: [EPOLL, tfd(6)], 6: ['pipe:[1]'] }, command: '' },
    20: { fds: { 9: [EPOLL] } },
    300: { fds: { 1: ['/dev/null'] } },
  });
  mkdirSync(join(root, 'sys'));
  mkdirSync(join(root, '400')); // has just ended
  const { processes, hidden } = inspectAll(root);
  expect(hidden).toBe(0);
  expect(processes.map(({ pid, command }) => [pid, command])).toEqual([
    [20, 'a b'],
    [200, '[name]'],
  ]);
  expect(processes[1]?.instances.map(({ fd, watched }) => [fd, watched.length])).toEqual([
    [3, 0],
    [5, 1],
  ]);
});

test('what processes and files are called does not reach the terminal as a command', async () => {
  const root = proc({ 100: { fds: { 3: [EPOLL, tfd(4)], 4: ['/tmp/\x1b[2Jx'] }, command: 'a\x1b[31m\nb\0' } });
  let text = '';
  const out = {
    write: (more: string) => {
      text += more;
    },
  };
  for (const argv of [['100'], []]) expect(await inspectCommand(argv, { out, err: out, root })).toBe(0);
  expect(text).toContain('a?[31m?b');
  expect(text).not.toContain('\x1b');
});
