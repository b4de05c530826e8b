/**
 * The packages that this one needs at run time, loaded when they are needed, and by require(): what fails (no fd was left,
 * say) is tried again at the next call, where a failed import() is kept for good.
 */
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { EMFILE, ENFILE, EpollError } from './errors.js';

/** The name of this file, or of its bundle, where that is CommonJS. */
declare const __filename: string;

/** Not imported: webpack makes nothing of a createRequire() whose argument it cannot know. */
const { createRequire } = process.getBuiltinModule('node:module');

/** All that was loaded by require(), by its path. */
export const loadedModules: NodeJS.Dict<NodeJS.Module> = createRequire('/').cache;

/** Where they are looked for: beside this file; if that was bundled, beside the bundle, the program, the working directory. */
function places(): string[] {
  const here: string | undefined = import.meta.url; // CommonJS that esbuild has made has none
  const all = [here, ownFile(), process.argv[1], join(process.cwd(), 'index.js')];
  return all.filter(place => place !== undefined && /^(\/|file:)/.test(place)).map(String);
}

function ownFile(): string | undefined {
  try {
    return __filename; // not typeof: webpack believes to know what that is
  } catch {
    return undefined;
  }
}

/**
 * @param name of a package, or the path of koffi's native part
 * @throws EpollError EMFILE, ENFILE; what require() says
 */
export function requirePackage(name: 'piscina'): typeof import('piscina');
export function requirePackage(name: string): typeof import('koffi');
export function requirePackage(name: string): unknown {
  const found = required.get(name);
  if (found !== undefined) return found;
  reserveFds();
  let missing: unknown;
  for (const place of places()) {
    try {
      const exports: unknown = createRequire(place)(name);
      required.set(name, exports);
      return exports;
    } catch (error) {
      // What one of its own modules misses is no reason to look for another.
      if (!isMissing(error, name)) throw error;
      missing ??= error;
    }
  }
  throw missing;
}

const required = new Map<string, unknown>();

/** As many files as require() has open at a time, the dynamic loader's among them. */
const FDS = 4;

/** Out of fds, Node takes a package.json that it cannot open for one that is not there, and never looks again. */
function reserveFds(): void {
  const fds: number[] = [];
  try {
    while (fds.length < FDS) fds.push(openSync('/dev/null', 'r'));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EMFILE') throw new EpollError(EMFILE, 'open');
    if (code === 'ENFILE') throw new EpollError(ENFILE, 'open');
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}

function isMissing(error: unknown, name: string): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    error.code === 'MODULE_NOT_FOUND' &&
    error.message.startsWith(`Cannot find module '${name}'`)
  );
}
