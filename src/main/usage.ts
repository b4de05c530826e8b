/** What the commands share about their arguments and exit codes. */
import { messageOf } from '../shared/errors.js';

/** The exit code after Ctrl-C, as shells have it: 128 + SIGINT. */
export const INTERRUPTED = 130;

/** The user asked for what the command does not have: exit code 2, the message on stderr. */
export class UsageError extends Error {}

/** Wrong usage, by a command or by parseArgs. */
export function isUsageError(error: unknown): error is Error {
  if (error instanceof UsageError) return true;
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS_');
}

/** What it says, without the advice that parseArgs adds and nobody here needs. */
export function usageMessage(error: unknown): string {
  const message = messageOf(error);
  return isUsageError(error) ? message.replace(/\. To specify a positional argument .*$/s, '') : message;
}

/** @throws UsageError unless `text` is a whole number from `min` to `max`; none: `fallback` */
export function wholeNumber(
  name: string,
  text: string | undefined,
  min: number,
  max: number,
  fallback: number,
): number {
  if (text === undefined) return fallback;
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  const range = `${min} to ${max.toLocaleString('en-US')}`;
  throw new UsageError(`--${name} must be a whole number from ${range}; received '${text}'`);
}
