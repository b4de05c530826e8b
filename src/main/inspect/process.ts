/** Reads from /proc which epoll instances a process has, and what each of them watches. */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseRegistered } from '../../shared/epoll/fdinfo.js';
import { EPOLLET, EPOLLEXCLUSIVE, EPOLLONESHOT, EPOLLWAKEUP, formatFlags } from '../../shared/epoll/flags.js';
import { compareWatched } from '../../shared/kernel/syscalls.js';
import { describeFile, type FileInfo, inodeOf } from './files.js';
import { findSockets } from './sockets.js';

/** One registration of an epoll instance. */
export interface Watched extends FileInfo {
  /** The number it was registered by. */
  readonly fd: number;
  readonly events: number;
  readonly flags: string;
  readonly data: bigint;
  /** Whether it is an EPOLLONESHOT registration that has fired, and rests until epoll_ctl(MOD). */
  readonly spent: boolean;
  /**
   * The number does not stand for the registered file any more: it was closed, or used again, while the file stays open
   * by another number or in another process. Its events still come.
   */
  readonly stale?: 'closed' | 'reused';
}

export interface Instance {
  readonly fd: number;
  readonly watched: readonly Watched[];
}

export interface ProcessEpolls {
  readonly pid: number;
  /** The command line; the name in brackets where there is none. */
  readonly command: string;
  readonly instances: readonly Instance[];
}

const EPOLL_LINK = 'anon_inode:[eventpoll]';
const NOT_READINESS = (EPOLLET | EPOLLEXCLUSIVE | EPOLLONESHOT | EPOLLWAKEUP) >>> 0;

/**
 * @param root where proc(5) is mounted
 * @throws the system's ENOENT (or ESRCH) for no such process, EACCES or EPERM without permission
 */
export function inspectProcess(pid: number, root = '/proc'): ProcessEpolls {
  const process = join(root, String(pid));
  const links = readLinks(process);
  const epolls = epollsOf(links);
  const inodes = new Set<string>();
  const wanted = epolls.map(fd => {
    let nth = 0; // of those that are registered under one number
    const found = readInfo(process, fd)
      .split('\n')
      .flatMap(line => parseRegistered(line).map(entry => ({ ...entry, line })))
      .sort((a, b) => a.fd - b.fd)
      .map((entry, i, all) => {
        nth = all[i - 1]?.fd === entry.fd ? nth + 1 : 0;
        return { ...entry, nth };
      });
    for (const { fd, line } of found) {
      for (const inode of [inodeOf(links.get(fd) ?? '', 'socket'), registeredInode(line)]) {
        if (inode !== undefined) inodes.add(inode);
      }
    }
    return { fd, found };
  });
  const sockets = findSockets(process, inodes);

  const describe = (fd: number): FileInfo => describeFile(links.get(fd) ?? '', readInfo(process, fd), sockets);
  const instances = wanted.map(({ fd, found }) => ({
    fd,
    watched: found.map(({ fd: number, events, data, line, nth }): Watched => {
      const is: Comparison = candidate => (root === '/proc' ? compare(pid, candidate, fd, number, nth) : undefined);
      const stale = staleness(process, links.get(number), number, line, is);
      const file = stale === undefined ? describe(number) : describeStale(links, line, describe, is);
      const spent = (events & EPOLLONESHOT) !== 0 && (events & ~NOT_READINESS) === 0;
      return { fd: number, ...file, events, flags: formatFlags(events), data, spent, ...(stale ? { stale } : {}) };
    }),
  }));
  return { pid, command: commandOf(process), instances };
}

/**
 * Every process with epoll instances, by pid, and how many processes could not be looked into.
 *
 * @throws Error when proc(5) is missing or forbidden
 */
export function inspectAll(root = '/proc'): { processes: ProcessEpolls[]; hidden: number } {
  const obstacle = obstacleIn(root);
  if (obstacle !== undefined) throw new Error(obstacle);
  const pids = readdirSync(root).filter(isPid);
  const processes: ProcessEpolls[] = [];
  let hidden = 0;
  for (const pid of pids.map(Number).sort((a, b) => a - b)) {
    try {
      if (epollsOf(readLinks(join(root, String(pid)))).length > 0) processes.push(inspectProcess(pid, root));
    } catch (error) {
      if (isForbidden(error)) hidden++;
      else if (!isGone(error)) throw error;
    }
  }
  return { processes, hidden };
}

/** Why nothing can be seen there; undefined: it can. (Where proc(5) is mounted, there is at least this process.) */
export function obstacleIn(root: string): string | undefined {
  try {
    return readdirSync(root).some(isPid) ? undefined : `${root} is missing: proc(5) is not mounted there`;
  } catch (error) {
    if (isGone(error)) return `${root} is missing: proc(5) is not mounted there`;
    if (!hasCode(error, 'ERR_ACCESS_DENIED'))
      return `${root} cannot be read: ${error instanceof Error ? error.message : error}`;
    return `${root} is forbidden by Node's --permission: add --allow-fs-read=${root}`;
  }
}

function isPid(name: string): boolean {
  return /^\d+$/.test(name);
}

/** No permission to look into it. */
export function isForbidden(error: unknown): boolean {
  return hasCode(error, 'EACCES', 'EPERM');
}

/** No such process, or not any more. */
export function isGone(error: unknown): boolean {
  return hasCode(error, 'ENOENT', 'ESRCH');
}

function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code);
}

/** Where each of its fds leads; those that are closed meanwhile are left out. */
function readLinks(process: string): Map<number, string> {
  const links = new Map<number, string>();
  for (const name of readdirSync(join(process, 'fd'))) {
    try {
      links.set(Number(name), readlinkSync(join(process, 'fd', name)));
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
  return links;
}

function epollsOf(links: ReadonlyMap<number, string>): number[] {
  return [...links]
    .filter(([, link]) => link === EPOLL_LINK)
    .map(([fd]) => fd)
    .sort((a, b) => a - b);
}

/** Empty when it was closed meanwhile. */
function readInfo(process: string, fd: number): string {
  try {
    return readFileSync(join(process, 'fdinfo', String(fd)), 'latin1');
  } catch (error) {
    if (isGone(error)) return '';
    throw error;
  }
}

/** The inode of the registered file, in decimal as in links; kernels before 5.3 do not say it. */
function registeredInode(line: string): string | undefined {
  const [, inode] = /\bino:([0-9a-f]+)/.exec(line) ?? [];
  return inode === undefined ? undefined : BigInt(`0x${inode}`).toString();
}

/** Whether an fd of the process is the registered file; undefined: the kernel does not say. */
type Comparison = (fd: number) => boolean | undefined;

function compare(pid: number, fd: number, epfd: number, number: number, nth: number): boolean | undefined {
  try {
    const order = compareWatched(pid, fd, epfd, number, nth);
    return order < 0 ? undefined : order === 0;
  } catch {
    return undefined; // no koffi
  }
}

function staleness(
  process: string,
  link: string | undefined,
  fd: number,
  line: string,
  is: Comparison,
): Watched['stale'] {
  if (link === undefined) return 'closed';
  const registered = registeredInode(line);
  if (registered === undefined) return undefined;
  const inode = inodeOf(link, 'socket') ?? inodeOf(link, 'pipe') ?? inodeByStat(join(process, 'fd', String(fd)));
  if (inode === undefined) return undefined;
  if (inode !== registered) return 'reused';
  // All files without a name (eventfd, timerfd …) share one inode.
  return isAnonymous(link) && is(fd) === false ? 'reused' : undefined;
}

function inodeByStat(path: string): string | undefined {
  try {
    return statSync(path, { bigint: true }).ino.toString();
  } catch {
    return undefined;
  }
}

function isAnonymous(link: string): boolean {
  return link.startsWith('anon_inode:');
}

/** The registered file by another number, if the process has one; sockets and pipes are known by their inodes. */
function describeStale(
  links: ReadonlyMap<number, string>,
  line: string,
  describe: (fd: number) => FileInfo,
  is: Comparison,
): FileInfo {
  const inode = registeredInode(line);
  for (const [fd, link] of links) {
    const own = inodeOf(link, 'socket') ?? inodeOf(link, 'pipe');
    const isSame = inode !== undefined && (own === undefined ? isAnonymous(link) && is(fd) === true : own === inode);
    if (!isSame) continue;
    const file = describe(fd);
    return { ...file, text: `${file.text}, open as fd ${fd}` };
  }
  return { kind: 'unknown', text: inode === undefined ? 'open elsewhere' : `inode ${inode}, open elsewhere` };
}

function commandOf(process: string): string {
  const command = readText(join(process, 'cmdline')).replace(/\0+$/, '').replaceAll('\0', ' ');
  return command || `[${readText(join(process, 'comm')).trim()}]`;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
