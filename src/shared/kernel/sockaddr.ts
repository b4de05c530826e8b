/** struct sockaddr of the three families, to and from what users write: host and port, or a path. */
import { isIPv4, isIPv6 } from 'node:net';
import { ENODEV, EpollError } from '../errors.js';
import type { SocketAddress } from './socket-address.js';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  type Family,
  formatAddress,
  interfaceIndex,
  interfaceName,
  parseAddress,
} from './sockets.js';

/** Bytes of the longest one, struct sockaddr_un. */
export const SOCKADDR_BYTES = 110;
/** Bytes of a path that struct sockaddr_un has room for, its NUL included. */
export const PATH_BYTES = 108;

// struct sockaddr_in: family, port (big-endian), address. sockaddr_in6: family, port, flow, address, scope.
const PORT = 2;
const ADDRESS4 = 4;
const BYTES4 = 16;
const ADDRESS6 = 8;
const SCOPE6 = 24;
const BYTES6 = 28;
const PATH = 2;

export interface Target {
  readonly family: Family;
  readonly bytes: Uint8Array;
  /** For people. */
  readonly text: string;
}

/**
 * @param host a numeric address, known to be one; IPv6 with a zone ('fe80::1%eth0') if need be
 * @throws EpollError ENODEV: there is no such zone
 */
export function encodeHost(host: string, port: number): Target {
  return isIPv4(host) ? encode4(host, port) : encode6(host, port);
}

function encode4(host: string, port: number): Target {
  const bytes = Buffer.alloc(BYTES4);
  bytes.writeUInt16LE(AF_INET, 0);
  bytes.writeUInt16BE(port, PORT);
  parseAddress(AF_INET, host, bytes.subarray(ADDRESS4));
  return { family: AF_INET, bytes, text: `${host}:${port}` };
}

function encode6(host: string, port: number): Target {
  const [number = '', zone] = host.split('%');
  const bytes = Buffer.alloc(BYTES6);
  bytes.writeUInt16LE(AF_INET6, 0);
  bytes.writeUInt16BE(port, PORT);
  parseAddress(AF_INET6, number, bytes.subarray(ADDRESS6, SCOPE6));
  if (zone !== undefined) bytes.writeUInt32LE(indexOf(zone), SCOPE6);
  return { family: AF_INET6, bytes, text: `[${host}]:${port}` };
}

function indexOf(zone: string): number {
  const index = /^\d+$/.test(zone) ? Number(zone) : interfaceIndex(zone);
  if (index === 0 || index > 0xffff_ffff) throw new EpollError(ENODEV, 'if_nametoindex', undefined, zone);
  return index;
}

/** @param path at most PATH_BYTES - 1, PATH_BYTES in the abstract namespace */
export function encodePath(path: Buffer): Target {
  // A name of the abstract namespace has no NUL at its end: its length is what ends it.
  const bytes = Buffer.alloc(PATH + path.length + (path[0] === 0 ? 0 : 1));
  bytes.writeUInt16LE(AF_UNIX, 0);
  path.copy(bytes, PATH);
  return { family: AF_UNIX, bytes, text: path.toString().replaceAll('\0', '@') };
}

/** Whether it is a numeric address. */
export function isNumericHost(host: string): boolean {
  return isIPv4(host) || isIPv6(host);
}

/** @param length how many bytes the kernel has filled @returns undefined for another family */
export function decode(bytes: Buffer, length: number): SocketAddress | undefined {
  const family = bytes.readUInt16LE(0);
  if (family === AF_INET) {
    const address = formatAddress(AF_INET, bytes.subarray(ADDRESS4, ADDRESS4 + 4));
    return { family: 'IPv4', address, port: bytes.readUInt16BE(PORT) };
  }
  if (family === AF_INET6) {
    const address = formatAddress(AF_INET6, bytes.subarray(ADDRESS6, SCOPE6));
    const scope = bytes.readUInt32LE(SCOPE6);
    return {
      family: 'IPv6',
      address: scope === 0 ? address : `${address}%${interfaceName(scope)}`,
      port: bytes.readUInt16BE(PORT),
    };
  }
  if (family !== AF_UNIX) return undefined;
  const path = bytes.subarray(PATH, length);
  const end = path[0] === 0 ? -1 : path.indexOf(0);
  return { family: 'unix', address: path.toString('utf8', 0, end < 0 ? path.length : end), port: 0 };
}
