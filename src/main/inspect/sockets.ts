/** Sockets by inode, from the tables in /proc/PID/net: addresses, states, paths. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface SocketInfo {
  /** `tcp`, `udp6`, `unix stream`, `netlink` … */
  readonly kind: string;
  /** `127.0.0.1:80`, `[::1]:80`, a path, `@name` for an abstract one. */
  readonly local?: string;
  readonly remote?: string;
  /** As ss(8) names it. */
  readonly state?: string;
}

// include/net/tcp_states.h
const TCP_STATES = [
  '',
  'established',
  'syn-sent',
  'syn-received',
  'fin-wait-1',
  'fin-wait-2',
  'time-wait',
  'closed',
  'close-wait',
  'last-ack',
  'listen',
  'closing',
  'new-syn-received',
];
// include/uapi/linux/net.h, enum sock_type
const TYPES: Readonly<Record<string, string>> = { '0001': 'stream', '0002': 'dgram', '0005': 'seqpacket' };
const UNIX_LISTENS = 0x10000; // __SO_ACCEPTCON

type Table = (lines: readonly string[], wanted: ReadonlySet<string>, found: Map<string, SocketInfo>) => void;

const TABLES: ReadonlyArray<readonly [file: string, read: Table]> = [
  ['tcp', internet('tcp')],
  ['tcp6', internet('tcp6')],
  ['unix', unix],
  ['udp', internet('udp')],
  ['udp6', internet('udp6')],
  ['netlink', (lines, wanted, found) => byColumn(lines, wanted, found, 9, () => ({ kind: 'netlink' }))],
  ['packet', (lines, wanted, found) => byColumn(lines, wanted, found, 8, () => ({ kind: 'packet' }))],
  ['raw', internet('raw')],
  ['raw6', internet('raw6')],
  ['icmp', internet('icmp')],
  ['icmp6', internet('icmp6')],
];

/** What is known of these inodes; a socket that is neither bound nor connected is in no table. */
export function findSockets(process: string, inodes: ReadonlySet<string>): Map<string, SocketInfo> {
  const found = new Map<string, SocketInfo>();
  for (const [file, read] of TABLES) {
    if (found.size === inodes.size) break;
    let text: string;
    try {
      text = readFileSync(join(process, 'net', file), 'latin1');
    } catch {
      continue; // this kernel, or this sandbox, has no such table
    }
    read(text.split('\n').slice(1), inodes, found);
  }
  return found;
}

function byColumn(
  lines: readonly string[],
  wanted: ReadonlySet<string>,
  found: Map<string, SocketInfo>,
  column: number,
  info: (columns: readonly string[]) => SocketInfo,
): void {
  for (const line of lines) {
    const columns = line.trim().split(/\s+/);
    const inode = columns[column];
    if (inode !== undefined && wanted.has(inode)) found.set(inode, info(columns));
  }
}

function internet(kind: string): Table {
  return (lines, wanted, found) =>
    byColumn(lines, wanted, found, 9, ([, local = '', remote = '', state = '']) => ({
      kind,
      local: address(local),
      ...(/:0000$/.test(remote) ? {} : { remote: address(remote) }),
      ...(kind.startsWith('tcp') ? { state: TCP_STATES[Number.parseInt(state, 16)] ?? state } : {}),
    }));
}

function unix(lines: readonly string[], wanted: ReadonlySet<string>, found: Map<string, SocketInfo>): void {
  for (const line of lines) {
    const [, flags = '', type = '', state = '', inode = '', path = ''] =
      /^\S+ \S+ \S+ (\S+) (\S+) (\S+) +(\d+)(?: (.*))?$/.exec(line) ?? [];
    if (!wanted.has(inode)) continue;
    const listens = (Number.parseInt(flags, 16) & UNIX_LISTENS) !== 0;
    const connected = state === '03';
    found.set(inode, {
      kind: `unix ${TYPES[type] ?? type}`,
      ...(path === '' ? {} : { local: unixName(path) }),
      ...(listens ? { state: 'listen' } : connected ? { state: 'established' } : {}),
    });
  }
}

/** A path, or `@name`; NUL is shown as `@`, and some programs fill an abstract name up with it. */
function unixName(path: string): string {
  const name = Buffer.from(path, 'latin1').toString();
  return name.startsWith('@') ? name.replace(/(?<=.)@+$/, '') : name;
}

/** `0100007F:1F90`: each 32 bits of the address in the processor's order, the port in the network's. */
function address(text: string): string {
  const [hex = '', port = ''] = text.split(':');
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap(word => [...Buffer.from(word, 'hex').reverse()]);
  const host = bytes.length === 4 ? bytes.join('.') : `[${ipv6(bytes)}]`;
  return `${host}:${Number.parseInt(port, 16)}`;
}

function ipv6(bytes: readonly number[]): string {
  const mapped = bytes.slice(0, 10).every(byte => byte === 0) && bytes[10] === 255 && bytes[11] === 255;
  if (mapped) return `::ffff:${bytes.slice(12).join('.')}`;
  const words: string[] = [];
  for (let i = 0; i < 16; i += 2) words.push((((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0)).toString(16));
  // URL knows where the longest run of zeros is left out (RFC 5952).
  return new URL(`http://[${words.join(':')}]/`).hostname.slice(1, -1);
}
