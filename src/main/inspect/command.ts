/** `epoll-pool inspect [pid]`: what the epoll instances of a process watch. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../../shared/errors.js';
import { columns, type Output, type Paint, paintFor, printable } from '../terminal.js';
import { usageMessage } from '../usage.js';
import {
  type Instance,
  inspectAll,
  inspectProcess,
  isForbidden,
  isGone,
  obstacleIn,
  type ProcessEpolls,
  type Watched,
} from './process.js';

export const INSPECT_USAGE = `Usage: epoll-pool inspect [--json] [pid]

Lists the epoll instances of a process and what each of them watches, as the kernel has it (proc(5)): the fd, what it is,
the flags (the kernel adds EPOLLERR and EPOLLHUP to every mask), and the data that its events carry. Without a pid it lists
every other process that has epoll instances.

      --json  the same as JSON; data is a string, for it has 64 bits
  -h, --help

A registration is "closed" or "reused" when its number does not stand for the registered file any more, which stays open
elsewhere: its events still come, and epoll_ctl cannot remove it by that number. "spent" is an EPOLLONESHOT registration that
has fired. Another user's process needs root, or CAP_SYS_PTRACE. Exits with 0, 1 when it cannot look, 2 for wrong usage.
`;

export interface InspectOptions {
  readonly out?: Output;
  readonly err?: Output;
  /** Where proc(5) is mounted. */
  readonly root?: string;
}

/** @returns the exit code: 0; 1 when the process cannot be looked into; 2 for wrong usage */
export async function inspectCommand(argv: string[], options: InspectOptions = {}): Promise<number> {
  const { out = process.stdout, err = process.stderr, root = '/proc' } = options;
  let pid: number | undefined;
  let json: boolean;
  try {
    const { values, positionals } = parseArgs({
      args: argv,
      options: { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
    });
    if (values.help) {
      out.write(INSPECT_USAGE);
      return 0;
    }
    json = values.json ?? false;
    pid = parsePid(positionals);
  } catch (error) {
    err.write(`epoll-pool inspect: ${usageMessage(error)}\nTry 'epoll-pool inspect --help'.\n`);
    return 2;
  }
  try {
    const paint = paintFor(out);
    if (pid === undefined) {
      const all = inspectAll(root);
      // This command's own are nobody's concern.
      const found = { ...all, processes: all.processes.filter(({ pid }) => pid !== process.pid) };
      out.write(json ? toJSON(shortened(found)) : listText(found, paint));
    } else {
      const found = inspectProcess(pid, root);
      out.write(json ? toJSON(found) : processText(found, paint));
    }
    return 0;
  } catch (error) {
    err.write(`epoll-pool inspect: ${reason(error, pid, root)}\n`);
    return 1;
  }
}

function parsePid(positionals: readonly string[]): number | undefined {
  const [text, ...others] = positionals;
  if (others.length > 0) throw new Error('one pid at most');
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new Error(`a pid is a number, not '${printable(text)}'`);
  return Number(text);
}

function reason(error: unknown, pid: number | undefined, root: string): string {
  if (process.platform !== 'linux' && root === '/proc') return `epoll is Linux's own; this is ${process.platform}`;
  const obstacle = obstacleIn(root);
  if (obstacle !== undefined) return obstacle;
  if (pid !== undefined && isGone(error)) return `there is no process ${pid}`;
  if (pid !== undefined && isForbidden(error)) {
    const owner = ownerOf(join(root, String(pid)));
    const whose = owner === undefined || owner === process.getuid?.() ? '' : `, which belongs to uid ${owner}`;
    return `no permission to look into process ${pid}${whose}: that takes root, or CAP_SYS_PTRACE`;
  }
  return messageOf(error);
}

/** The real uid, which anybody may read. */
function ownerOf(directory: string): number | undefined {
  try {
    const [, uid] = /^Uid:\s*(\d+)/m.exec(readFileSync(join(directory, 'status'), 'latin1')) ?? [];
    return uid === undefined ? undefined : Number(uid);
  } catch {
    return undefined;
  }
}

function toJSON(value: unknown): string {
  const text = JSON.stringify(value, (_key, value) => (typeof value === 'bigint' ? String(value) : value), 2);
  return `${text}\n`;
}

interface Found {
  readonly processes: readonly ProcessEpolls[];
  readonly hidden: number;
}

function shortened({ processes, hidden }: Found): object {
  return {
    processes: processes.map(({ pid, command, instances }) => ({
      pid,
      command,
      instances: instances.map(({ fd, watched }) => ({ fd, watched: watched.length })),
    })),
    hidden,
  };
}

function listText({ processes, hidden }: Found, paint: Paint): string {
  const rows = processes.map(({ pid, command, instances }) => [
    String(pid),
    String(instances.length),
    String(instances.reduce((sum, { watched }) => sum + watched.length, 0)),
    printable(command.length > 100 ? `${command.slice(0, 99)}…` : command),
  ]);
  const [title = '', ...lines] = columns([['PID', 'EPOLLS', 'WATCHED', 'COMMAND'], ...rows], [0, 1, 2]);
  const text = processes.length === 0 ? ['no process with epoll instances'] : [paint('bold', title), ...lines];
  if (hidden > 0) {
    const others = hidden === 1 ? '1 other process' : `${hidden} other processes`;
    text.push(paint('dim', `${others} could not be looked into: that takes root, or CAP_SYS_PTRACE`));
  }
  return `${text.join('\n')}\n`;
}

function processText({ pid, command, instances }: ProcessEpolls, paint: Paint): string {
  const title = `process ${pid}: ${printable(command)}`;
  if (instances.length === 0) return `${title}\nhas no epoll instance\n`;
  return `${title}\n${instances.map(instance => instanceText(instance, paint)).join('')}`;
}

function instanceText({ fd, watched }: Instance, paint: Paint): string {
  const title = paint('bold', `\nepoll ${fd}`);
  if (watched.length === 0) return `${title} watches nothing\n`;
  const head = ['', 'FD', 'WHAT', 'FLAGS', 'DATA', ''];
  const rows = watched.map(entry => ['', String(entry.fd), printable(entry.text), entry.flags, dataText(entry.data)]);
  const lines = columns([head, ...rows], [1, 4]);
  const text = lines.map((line, i) => {
    const entry = watched[i - 1];
    return entry === undefined ? paint('dim', line) : `${line}${remark(entry, paint)}`;
  });
  return `${title} watches ${watched.length}\n${text.join('\n')}\n`;
}

function remark({ stale, spent }: Watched, paint: Paint): string {
  if (stale !== undefined) return `  ${paint('yellow', stale)}`;
  return spent ? `  ${paint('dim', 'spent')}` : '';
}

/** Numbers and fds as they are; what looks like a pointer in hexadecimal. */
function dataText(data: bigint): string {
  return data < 0x1_0000_0000n ? String(data) : `0x${data.toString(16)}`;
}
