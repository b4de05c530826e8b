/**
 * koffi, by which all system calls are made: one in a thread, however many copies of this package are in it. (A handler
 * that was bundled brings one, beside the thread's own.) What one copy has loaded and defined, the next one finds.
 */
import { EpollError, koffiUnavailable } from '../errors.js';
import { loadedModules, requirePackage } from '../packages.js';

export type Koffi = typeof import('koffi');
type KoffiFunction = ReturnType<ReturnType<Koffi['load']>['func']>;

interface Loaded {
  readonly koffi: Koffi;
  /** Where its native part is. */
  readonly file: string | undefined;
  /** Of the running process, by what `define` was given. */
  readonly functions: Map<string, KoffiFunction>;
}

const LOADED = Symbol.for('epoll-pool.koffi');
const RTLD_LAZY_NOLOAD_NODELETE = 0x1 | 0x4 | 0x1000;

/**
 * This thread's koffi, and how functions are defined by it.
 *
 * @param from where its native part is, if another thread has found it
 * @throws Error ERR_KOFFI_UNAVAILABLE; EpollError EMFILE, ENFILE
 */
export function loadKoffi(from?: string): Pick<Loaded, 'koffi' | 'file'> & { readonly define: Define } {
  const shared: unknown = Reflect.get(globalThis, LOADED);
  const loaded = isLoaded(shared) ? shared : load(from);
  if (shared !== loaded) Reflect.set(globalThis, LOADED, loaded);
  const { koffi, file, functions } = loaded;
  const lib = koffi.load(null); // the running process: no library's name to guess, glibc or musl
  const define: Define = (name, result, parameters) => {
    const signature = `${result} ${name}(${parameters})`;
    const defined = functions.get(signature) ?? lib.func(name, result, parameters);
    functions.set(signature, defined);
    return defined;
  };
  // Whoever told this thread where it is has done so.
  if (from === undefined && file !== undefined && shared !== loaded) pin(define, file);
  return { koffi, file, define };
}

export type Define = (name: string, result: string, parameters: string[]) => KoffiFunction;

function isLoaded(value: unknown): value is Loaded {
  return typeof value === 'object' && value !== null && 'functions' in value;
}

function load(from?: string): Loaded {
  const koffi = found(from);
  const files = Object.keys(loadedModules).filter(path => path.endsWith('.node'));
  const file = files.find(path => loadedModules[path]?.exports?.load === koffi.load);
  return { koffi, file, functions: new Map() };
}

function found(from: string | undefined): Koffi {
  try {
    return requirePackage(from ?? 'koffi');
  } catch (error) {
    throw error instanceof EpollError ? error : koffiUnavailable(error);
  }
}

/** Keeps koffi's binary mapped when the worker that loaded it ends: what native code leaves behind must find it there. */
function pin(define: Define, file: string): void {
  const dlopen = define('dlopen', 'void *', ['str', 'int']);
  dlopen(file, RTLD_LAZY_NOLOAD_NODELETE);
}
