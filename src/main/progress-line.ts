/** One line on a terminal that rewrites itself; nothing anywhere else. */
import { now } from '../shared/clock.js';
import { type Paint, paintFor } from './terminal.js';

const BAR = 30;
/** Milliseconds between two versions of the line. */
const PACE = 100;
const CLEAR = '\r\x1b[2K';

export class ProgressLine {
  readonly #output: NodeJS.WriteStream;
  readonly #paint: Paint;
  readonly #shown: boolean;
  #paintedAt = Number.NEGATIVE_INFINITY;

  constructor(output: NodeJS.WriteStream) {
    this.#output = output;
    this.#paint = paintFor(output);
    this.#shown = output.isTTY === true && process.env.TERM !== 'dumb';
  }

  /** @param done of `all` */
  show(label: string, done: number, all: number): void {
    const at = now();
    if (!this.#shown || at - this.#paintedAt < PACE) return;
    this.#paintedAt = at;
    const percent = ` ${Math.floor((100 * done) / all)}%`;
    // A line that wraps cannot be rewritten.
    const room = (this.#output.columns || Number.POSITIVE_INFINITY) - 1;
    const width = Math.max(0, Math.min(BAR, room - label.length - 1 - percent.length));
    const filled = Math.round((width * Math.min(done, all)) / all);
    const bar = '█'.repeat(filled) + this.#paint('dim', '░'.repeat(width - filled));
    this.#output.write(`${CLEAR}${label.slice(0, Math.max(0, room - percent.length - 1))} ${bar}${percent}`.trimEnd());
  }

  clear(): void {
    if (this.#shown) this.#output.write(CLEAR);
  }
}
