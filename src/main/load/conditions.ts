/** What must hold of a result, as users write it: `p99<50ms`, `errors<=0.1%`, `rate>=10k`; and whether it does. */
import { invalidType, outOfRange } from '../../shared/errors.js';
import { Histogram, type HistogramJSON } from '../../shared/load/histogram.js';

/** Whether a condition holds. */
export interface Verdict {
  readonly condition: string;
  readonly ok: boolean;
  /** What was measured: milliseconds, requests a second, errors or percent of errors, as the condition has it; null: nothing. */
  readonly value: number | null;
}

type Operator = '<' | '<=' | '>' | '>=';

export interface Condition {
  readonly text: string;
  /** `p99`, `max`, `mean`, `min`, `rate`, `errors`. */
  readonly subject: string;
  readonly operator: Operator;
  /** In the unit of Verdict.value; with `x`, a ratio. */
  readonly limit: number;
  readonly unit: 'time' | 'number' | '%' | 'x';
}

const FORM = /^(p\d{1,2}(?:\.\d+)?|p100|min|mean|max|rate|errors)\s*(<=|>=|<|>)\s*(\d+(?:\.\d+)?)\s*([a-zA-Z%µ/]*)$/;
const TIMES: ReadonlyMap<string, number> = new Map([
  ['us', 0.001],
  ['µs', 0.001],
  ['ms', 1],
  ['s', 1000],
]);
const COUNTS: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['k', 1e3],
  ['K', 1e3],
  ['M', 1e6],
]);
const EXAMPLES = "such as 'p99<50ms', 'max<=1s', 'rate>10k', 'errors<0.1%' or 'errors<5'";

/**
 * @param ratios whether limits are ratios to another result: `p99<1.1x`
 * @param name what errors call it
 * @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE
 */
export function parseCondition(value: unknown, ratios = false, name = 'require'): Condition {
  const examples = ratios ? "such as 'p99<1.1x' or 'rate>=0.95x'" : EXAMPLES;
  if (typeof value !== 'string') throw invalidType(name, `conditions ${examples}`, value);
  const text = value.trim();
  const [, subject = '', operator = '', amount = '', unit = ''] = FORM.exec(text) ?? [];
  const limit = scaled(subject, Number(amount), unit, ratios);
  if (!isOperator(operator) || limit === undefined) throw outOfRange(name, `a condition ${examples}`, value);
  return { text, subject, operator, ...limit };
}

function scaled(
  subject: string,
  amount: number,
  unit: string,
  ratios: boolean,
): Pick<Condition, 'limit' | 'unit'> | undefined {
  if (ratios) return unit === 'x' ? { limit: amount, unit: 'x' } : undefined;
  if (subject === 'errors' && unit === '%') return { limit: amount, unit: '%' };
  const table = subject === 'rate' || subject === 'errors' ? COUNTS : TIMES;
  const factor = table.get(subject === 'rate' ? unit.replace(/\/s$/, '') : unit);
  if (factor === undefined) return undefined;
  return { limit: amount * factor, unit: table === TIMES ? 'time' : 'number' };
}

function isOperator(text: string): text is Operator {
  return text === '<' || text === '<=' || text === '>' || text === '>=';
}

/** What is looked at of a result. */
interface Judged {
  readonly histogram: HistogramJSON;
  readonly requestsPerSecond: number;
  readonly errorCount: number;
  readonly requests: number;
  readonly responses: number;
  readonly errors: { readonly connect: number };
}

/** What a condition is about; null where there is nothing to measure, such as a percentile without answers. */
export function measureOf({ subject, unit }: Pick<Condition, 'subject' | 'unit'>, result: Judged): number | null {
  if (subject === 'rate') return result.requestsPerSecond;
  if (subject === 'errors') return unit === 'number' ? result.errorCount : errorShare(result) * 100;
  const histogram = Histogram.fromJSON(result.histogram);
  if (histogram.count === 0) return null;
  const us =
    subject === 'min' || subject === 'mean' || subject === 'max'
      ? histogram[subject]
      : histogram.percentile(Number(subject.slice(1)));
  return Number((us / 1000).toPrecision(6));
}

/** Errors among all that was tried, 0 to 1: a connection that could not be opened stands for a request. */
export function errorShare({ errorCount, requests, errors }: Judged): number {
  const tried = Math.max(requests + errors.connect, errorCount);
  return tried === 0 ? 0 : errorCount / tried;
}

/** @param value what measureOf() says, or a ratio of two */
export function judge({ text, operator, limit }: Condition, value: number | null): Verdict {
  return { condition: text, ok: value !== null && holds(value, operator, limit), value };
}

function holds(value: number, operator: Operator, limit: number): boolean {
  if (operator === '<') return value < limit;
  if (operator === '<=') return value <= limit;
  return operator === '>' ? value > limit : value >= limit;
}

interface Outcome {
  readonly verdicts: readonly Verdict[];
  readonly errorCount: number;
  readonly responses: number;
  readonly interrupted: boolean;
}

/** Whether it is a success: conditions hold; no errors, unless a condition says how many may be; answers at all. */
export function exitCode({ verdicts, errorCount, responses, interrupted }: Outcome): number {
  // Nothing answered is no success, whatever else there was to count.
  const isEmpty = responses === 0 && !interrupted;
  const hasErrors = errorCount > 0 && !verdicts.some(isAboutErrors);
  return isEmpty || hasErrors || verdicts.some(({ ok }) => !ok) ? 1 : 0;
}

/** Whether the exit code follows conditions on errors, and not the mere presence of some. */
function isAboutErrors(verdict: Verdict): boolean {
  return verdict.condition.startsWith('errors');
}
