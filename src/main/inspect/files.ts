/** What an open file is, from the link in /proc/PID/fd and the lines in /proc/PID/fdinfo. */
import type { SocketInfo } from './sockets.js';

export interface FileInfo {
  /** `tcp`, `pipe`, `eventfd`, `timerfd`, `epoll`, `file` … */
  readonly kind: string;
  /** The same with all that is known of it, in words. */
  readonly text: string;
  readonly local?: string;
  readonly remote?: string;
  readonly state?: string;
  readonly path?: string;
}

const READ_ONLY = 0;
const ACCESS = 3;

// arch/x86/include/uapi/asm/signal.h; the same on arm64
const SIGNALS = (
  'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU ' +
  'XFSZ VTALRM PROF WINCH IO PWR SYS'
).split(' ');
const CLOCKS: Readonly<Record<string, string>> = {
  '0': 'realtime',
  '1': 'monotonic',
  '7': 'boottime',
  '8': 'realtime alarm',
  '9': 'boottime alarm',
};

/** The inode of a socket or pipe, as its link says it. */
export function inodeOf(link: string, kind: 'socket' | 'pipe'): string | undefined {
  return link.startsWith(`${kind}:[`) ? link.slice(kind.length + 2, -1) : undefined;
}

/** @param info the text of fdinfo; empty when it could not be read */
export function describeFile(link: string, info: string, sockets: ReadonlyMap<string, SocketInfo>): FileInfo {
  const socket = inodeOf(link, 'socket');
  if (socket !== undefined) return describeSocket(link, sockets.get(socket));
  if (inodeOf(link, 'pipe') !== undefined) return { kind: 'pipe', text: `pipe, ${pipeEnd(info)}` };
  const [, anonymous] = /^anon_inode:\[?([^\]]*)\]?$/.exec(link) ?? [];
  if (anonymous !== undefined) return describeAnonymous(anonymous, info);
  const deleted = link.endsWith(' (deleted)');
  const path = deleted ? link.slice(0, -' (deleted)'.length) : link;
  return { kind: path.startsWith('/dev/') ? 'device' : 'file', text: deleted ? `${path} (deleted)` : path, path };
}

function describeSocket(link: string, info: SocketInfo | undefined): FileInfo {
  if (info === undefined) return { kind: 'socket', text: `${link}, neither bound nor connected` };
  const { kind, local, remote, state } = info;
  const ends = remote === undefined ? (local ?? '') : `${local} → ${remote}`;
  return { ...info, text: `${[kind, ends].filter(Boolean).join(' ')}${state === undefined ? '' : `, ${state}`}` };
}

function pipeEnd(info: string): string {
  const [, flags] = /^flags:\s*(\d+)/m.exec(info) ?? [];
  if (flags === undefined) return 'one end';
  return (Number.parseInt(flags, 8) & ACCESS) === READ_ONLY ? 'reading end' : 'writing end';
}

function describeAnonymous(name: string, info: string): FileInfo {
  switch (name) {
    case 'eventfd': {
      const [, count] = /^eventfd-count:\s*([0-9a-f]+)/m.exec(info) ?? [];
      return { kind: 'eventfd', text: count === undefined ? 'eventfd' : `eventfd, count ${BigInt(`0x${count}`)}` };
    }
    case 'timerfd':
      return { kind: 'timerfd', text: `timerfd${timer(info)}` };
    case 'signalfd': {
      const [, mask] = /^sigmask:\s*([0-9a-f]+)/m.exec(info) ?? [];
      return { kind: 'signalfd', text: mask === undefined ? 'signalfd' : `signalfd, ${signals(BigInt(`0x${mask}`))}` };
    }
    case 'inotify': {
      const watches = info.match(/^inotify wd:/gm)?.length ?? 0;
      return { kind: 'inotify', text: `inotify, ${watches} ${watches === 1 ? 'watch' : 'watches'}` };
    }
    case 'eventpoll': {
      const watched = info.match(/^tfd:/gm)?.length ?? 0;
      return { kind: 'epoll', text: `epoll, watches ${watched}` };
    }
    case 'pidfd': {
      const [, pid] = /^Pid:\s*(-?\d+)/m.exec(info) ?? [];
      return { kind: 'pidfd', text: pid === undefined ? 'pidfd' : pid === '-1' ? 'pidfd, gone' : `pidfd of ${pid}` };
    }
    default:
      return { kind: name, text: name };
  }
}

function timer(info: string): string {
  const [, clock = ''] = /^clockid:\s*(\d+)/m.exec(info) ?? [];
  const value = seconds(info, 'it_value');
  const interval = seconds(info, 'it_interval');
  const words = [
    CLOCKS[clock],
    value === 0 ? 'not armed' : value === undefined ? undefined : `expires in ${value} s`,
    interval === undefined || interval === 0 ? undefined : `every ${interval} s`,
  ];
  return words
    .filter(word => word !== undefined)
    .map(word => `, ${word}`)
    .join('');
}

/** `it_value: (0, 49406829)`: seconds and nanoseconds. */
function seconds(info: string, name: string): number | undefined {
  const [, whole, nano] = new RegExp(`^${name}:\\s*\\((\\d+),\\s*(\\d+)\\)`, 'm').exec(info) ?? [];
  return whole === undefined ? undefined : Number((Number(whole) + Number(nano) / 1e9).toFixed(6));
}

function signals(mask: bigint): string {
  const names: string[] = [];
  for (let i = 0; i < 64; i++) {
    if ((mask >> BigInt(i)) & 1n) names.push(`SIG${SIGNALS[i] ?? `${i + 1}`}`);
  }
  return names.join(' ') || 'no signal';
}
