/** Where a load test goes: `http://host:port/path?query`, `https://`, `tcp://host:port`, each over a Unix socket as well. */
import { invalidType, outOfRange } from '../errors.js';

/** A parsed address. Either `host` and `port`, or `socketPath`. */
export interface Target {
  /** As given, but without user and password: it is in every result. */
  readonly url: string;
  readonly protocol: 'http' | 'tcp';
  /** Whether it is https://. */
  readonly tls: boolean;
  /** A name or an address, an IPv6 one without its brackets; empty for a Unix socket. */
  readonly host: string;
  /** 1 to 65,535; 0 for a Unix socket. */
  readonly port: number;
  /** The path of a Unix socket. */
  readonly socketPath?: string;
  /** What is asked for, query included; `/` for tcp. */
  readonly path: string;
  /** What the header Host says. */
  readonly authority: string;
  /** `user:password`, if the address has them. */
  readonly credentials?: string;
}

const EXPECTED = 'an address such as http://host:8080/path, tcp://[::1]:7000 or http://unix:/run/app.sock:/path';
/** The notation of nginx's proxy_pass: the path of the socket, and after the next colon what is asked of it. */
const UNIX = /^(https?|tcp):\/\/unix:([^:]+)(?::(.*))?$/i;
/** All that URL's parser takes for user and password: after any slashes or none, up to the last @ before the path. */
const USER = /^([a-z]+:[/\\]*)[^/\\?#]*@/i;

/**
 * @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE
 */
export function parseTarget(url: string | URL): Target {
  if (typeof url !== 'string' && !(url instanceof URL)) throw invalidType('url', EXPECTED, url);
  const text = String(url);
  // The parser of URLs would drop them silently, and a request is made of lines.
  if (hasControlOrBlank(text)) throw outOfRange('url', 'without blanks and control characters', text);
  const unix = UNIX.exec(text);
  if (unix !== null) return unixTarget(text, unix);
  const parsed = URL.canParse(text) ? new URL(text) : undefined;
  if (parsed === undefined || parsed.host === '' || !['http:', 'https:', 'tcp:'].includes(parsed.protocol)) {
    throw outOfRange('url', EXPECTED, text);
  }
  const protocol = parsed.protocol === 'tcp:' ? 'tcp' : 'http';
  const tls = parsed.protocol === 'https:';
  const port = Number(parsed.port || (tls ? 443 : protocol === 'http' ? 80 : 0));
  if (port === 0) throw outOfRange('url', 'with a port from 1 to 65535, such as tcp://localhost:7000', text);
  if (protocol === 'tcp' && (parsed.pathname.length > 1 || parsed.search || parsed.hash || hasUser(parsed))) {
    throw outOfRange('url', 'tcp://host:port, with nothing after it', text);
  }
  const credentials = `${decoded(parsed.username, text)}:${decoded(parsed.password, text)}`;
  return {
    url: hasUser(parsed) ? text.replace(USER, '$1') : text,
    protocol,
    tls,
    host: parsed.hostname.replace(/^\[(.*)\]$/, '$1'),
    port,
    path: `${parsed.pathname || '/'}${parsed.search}`,
    authority: parsed.host,
    ...(credentials === ':' ? {} : { credentials }),
  };
}

function unixTarget(url: string, [, scheme = '', socketPath = '', path = '']: RegExpExecArray): Target {
  const protocol = scheme.toLowerCase() === 'tcp' ? 'tcp' : 'http';
  if (protocol === 'tcp' && path !== '')
    throw outOfRange('url', 'tcp://unix:/path/of.sock, with nothing after it', url);
  const socket = decoded(socketPath, url);
  if (Buffer.byteLength(socket) > 107) throw outOfRange('url', 'with a socket path of at most 107 bytes', url);
  return {
    url,
    protocol,
    tls: scheme.toLowerCase() === 'https',
    host: '',
    port: 0,
    socketPath: socket,
    path: askedPath(path.startsWith('/') ? path : `/${path}`),
    authority: 'localhost',
  };
}

/** What a request line says for a path and its query: encoded, without a fragment. */
export function askedPath(path: string): string {
  // Not as a base's relative address: one that begins with // would name another host.
  const { pathname, search } = new URL(`http://localhost${path}`);
  return `${pathname}${search}`;
}

function hasUser({ username, password }: URL): boolean {
  return username !== '' || password !== '';
}

function hasControlOrBlank(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code <= 32 || code === 127) return true;
  }
  return false;
}

function decoded(text: string, url: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw outOfRange('url', 'with two hexadecimal digits after each %', url);
  }
}
