/** `epoll-pool demo`: concurrent wait safety, measured on this machine. */
import { availableParallelism } from 'node:os';
import { ProgressLine } from '../progress-line.js';
import { paintFor } from '../terminal.js';
import { INTERRUPTED } from '../usage.js';
import { lesson } from './lessons.js';
import { type DemoOptions, HELP, parseOptions } from './options.js';
import { report } from './report.js';
import { type Figures, isClean, ROWS, runRow } from './row.js';

/** @returns 0; 1 if the service's row is not clean */
export async function run(argv: string[]): Promise<number> {
  const options = parseOptions(argv);
  const { stdout } = process;
  if (options.help) {
    stdout.write(HELP);
    return 0;
  }
  const progress = new ProgressLine(stdout);
  const interrupt = (): void => {
    progress.clear();
    process.exit(INTERRUPTED);
  };
  process.once('SIGINT', interrupt);
  try {
    const rows = await runAll(options, progress);
    stdout.write(
      options.json ? `${JSON.stringify(asJson(rows, options), null, 2)}\n` : report(rows, options, paintFor(stdout)),
    );
    return isServiceClean(rows, options) ? 0 : 1;
  } finally {
    process.off('SIGINT', interrupt);
  }
}

async function runAll(options: DemoOptions, progress: ProgressLine): Promise<Figures[]> {
  const rows: Figures[] = [];
  const widest = Math.max(...ROWS.map(({ length }) => length));
  try {
    for (const [i, row] of ROWS.entries()) {
      const label = `${i + 1}/${ROWS.length} ${row.padEnd(widest)}`;
      progress.show(label, 0, options.messages);
      rows.push(await runRow(row, options, done => progress.show(label, done, options.messages)));
    }
  } finally {
    progress.clear();
  }
  return rows;
}

function isServiceClean(rows: readonly Figures[], { messages }: DemoOptions): boolean {
  return rows.some(row => row.row === 'service' && isClean(row, messages));
}

function asJson(rows: readonly Figures[], options: DemoOptions): unknown {
  const { threads, connections, messages } = options;
  return {
    cores: availableParallelism(),
    threads,
    connections,
    messages,
    rows: rows.map(row => ({ ...row, lesson: lesson(row, messages) })),
    clean: isServiceClean(rows, options),
  };
}
