/** Visits every state that a model can reach, each once. */

/** What a model says of a state that must not be. */
export class Failure extends Error {}

export interface Model<S> {
  readonly first: S;
  /** Two states with the same key are one. */
  key(state: S): string;
  /** Every state that one atomic step leads to. @throws Failure */
  next(state: S, add: (next: S, step: string) => void): void;
}

export interface Verdict {
  readonly states: number;
  /** What went wrong, and the steps that led there: undefined if nothing did. */
  readonly failure?: string;
  readonly steps?: readonly string[];
}

/** Depth first: it finds a fault soon, by a long way. */
export function explore<S>(model: Model<S>): Verdict {
  const seen = new Set<string>([model.key(model.first)]);
  const stack = [model.first];
  const add = (next: S): void => {
    const key = model.key(next);
    if (seen.has(key)) return;
    seen.add(key);
    stack.push(next);
  };
  for (let state = stack.pop(); state !== undefined; state = stack.pop()) {
    try {
      model.next(state, add);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return { states: seen.size, failure: error.message };
    }
  }
  return { states: seen.size };
}

/** Breadth first, and remembers the way: the shortest trace, for whoever is to understand it. */
export function trace<S>(model: Model<S>): Verdict {
  const from = new Map<string, { readonly before: string; readonly step: string }>();
  const first = model.key(model.first);
  from.set(first, { before: '', step: '' });
  let level = [model.first];
  while (level.length > 0) {
    const after: S[] = [];
    for (const state of level) {
      const here = model.key(state);
      let last = '';
      try {
        model.next(state, (next, step) => {
          const key = model.key(next);
          last = step;
          if (from.has(key)) return;
          from.set(key, { before: here, step });
          after.push(next);
        });
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        const steps = [`after ${last}`];
        for (let at = here; at !== first; ) {
          const { before, step } = from.get(at) ?? { before: first, step: '' };
          steps.unshift(step);
          at = before;
        }
        return { states: from.size, failure: error.message, steps };
      }
    }
    level = after;
  }
  return { states: from.size };
}
