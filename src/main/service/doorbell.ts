/** How threads wake the main thread: a pipe, read by a socket of Node's, which is safe to ref, unref and tear down. */
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { EpollError } from '../../shared/errors.js';
import { close, pipe } from '../../shared/kernel/syscalls.js';
import { ringBell } from '../../shared/service/bell.js';
import { closeTracked, track } from './tracked-fd.js';

export class Doorbell {
  /** What the threads write to. */
  readonly bell: number;
  readonly #socket: Socket;
  #isRef = true;

  /** @param onRing may throw: that is an uncaught exception @throws EpollError EMFILE, ENFILE */
  constructor(onRing: () => void) {
    const fds = new Int32Array(2);
    const code = pipe(fds);
    if (code < 0) throw new EpollError(code, 'pipe2');
    const [readable = -1, writable = -1] = fds;
    try {
      this.bell = track(writable);
    } catch (error) {
      close(readable);
      throw error;
    }
    const options: SocketConstructorOpts & { onread: OnReadOpts } = {
      fd: readable,
      readable: true,
      writable: false,
      onread: {
        buffer: Buffer.alloc(64),
        callback: () => {
          onRing();
          return true;
        },
      },
    };
    this.#socket = new Socket(options);
    // Closing the service while a read is under way is no error of anybody's.
    this.#socket.on('error', () => {});
    this.#socket.resume();
  }

  /** The main thread wakes itself, for when its event loop has had a turn. */
  ring(): void {
    ringBell(this.bell);
  }

  /** Whether it holds the process. */
  get isRef(): boolean {
    return this.#isRef;
  }

  ref(): void {
    this.#isRef = true;
    this.#socket.ref();
  }

  unref(): void {
    this.#isRef = false;
    this.#socket.unref();
  }

  /** No thread writes any more. */
  close(): void {
    this.#socket.destroy();
    closeTracked(this.bell);
  }
}
