/** `epoll-pool load`: a load test from the command line. */
import { ProgressLine } from '../progress-line.js';
import { INTERRUPTED, UsageError } from '../usage.js';
import { asTyped, LOAD_USAGE, type LoadCommand, parseLoadCommand } from './command-line.js';
import { exitCode } from './conditions.js';
import { number, time } from './format.js';
import { load } from './index.js';
import { planLoad } from './options.js';
import { checkWritable, printResult } from './output.js';
import type { LoadProgress } from './progress.js';
import { isOfSetup } from './script-setup.js';

/** Of the progress bar: it shows shares of this. */
const WHOLE = 1000;

/** @returns 0; 1 after errors, or when the test could not be run; wrong usage is thrown */
export async function run(argv: string[]): Promise<number> {
  const command = checked(argv);
  if (command === undefined) {
    process.stdout.write(LOAD_USAGE);
    return 0;
  }
  const { options, output } = command;
  checkWritable(output);
  const progress = new ProgressLine(process.stderr);
  const controller = new AbortController();
  let begun = false;
  const interrupt = (): void => {
    // The second time, whoever asks does not want to wait.
    if (controller.signal.aborted) process.exit(INTERRUPTED);
    controller.abort();
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  try {
    const result = await load({
      ...options,
      signal: controller.signal,
      onProgress: now => {
        begun = true;
        progress.show(label(now), Math.floor(now.fraction * WHOLE), WHOLE);
      },
    });
    progress.clear();
    printResult(result, output);
    return exitCode(result);
  } catch (error) {
    progress.clear();
    // What a script throws later may have the code of a wrong option.
    throw begun ? error : asUsage(error);
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}

/** The command, with its options checked before anything else is done. */
function checked(argv: string[]): LoadCommand | undefined {
  try {
    const command = parseLoadCommand(argv);
    if (command !== undefined) planLoad(command.options);
    return command;
  } catch (error) {
    throw asUsage(error);
  }
}

/** Who imports a script or a protocol is nothing to whoever has mistyped its name. */
const OWN_IMPORT = /(?: resolving ES modules)? imported from .*\/(import-url\.js|thread\.cjs)$/;
const WRONG =
  /^(ERR_INVALID_|ERR_OUT_OF_RANGE|ERR_MODULE_NOT_FOUND|ERR_UNSUPPORTED_DIR_IMPORT|ERR_UNKNOWN_FILE_EXTENSION|ERR_OSSL_|ERR_TLS_|ERR_CRYPTO_|EACCES$)/;
const OF_HEADERS = /^ERR_INVALID_(HTTP_TOKEN|CHAR)$/;

/** What is wrong with an option is wrong usage; so is a module that is none. */
function asUsage(error: unknown): unknown {
  if (isOfSetup(error)) return error;
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  if (!(error instanceof Error && WRONG.test(String(code)))) return error;
  const message = error.message.replace(/^[\w.[\]"-]+(?= must be |: )/, asTyped).replace(OWN_IMPORT, '');
  // Node's own words for what is wrong with a header do not name the option.
  return new UsageError(OF_HEADERS.test(String(code)) ? `--headers: ${message}` : message);
}

function label({ phase, elapsed, connections, responses, errors }: LoadProgress): string {
  if (phase === 'connecting') return `connecting: ${number(connections)} open`;
  if (phase === 'warming up') return 'warming up';
  const failed = errors === 0 ? '' : `, ${number(errors)} errors`;
  return `${time(Math.round(elapsed / 100) * 100)}, ${number(responses)} responses${failed}`;
}
