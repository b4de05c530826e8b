/** Asks a script's check() whether an answer is right. */
import { invalidType } from '../../shared/errors.js';
import type { CapturingFramer } from '../../shared/load/capture.js';
import { answerOf } from '../../shared/load/http-answer.js';
import type { LoadScript } from '../../shared/load/script.js';

/** What check() said. */
export const RIGHT = 0;
export const REFUSED = 1;
export const THREW = 2;
export type Judgement = typeof RIGHT | typeof REFUSED | typeof THREW;

export class Checker {
  readonly #script: LoadScript;
  readonly #framer: CapturingFramer;
  readonly #data: unknown;
  readonly #limit: number;
  readonly #note: (text: string) => void;
  #noted = false;

  /** @param limit of an answer, in bytes @param note tells what was thrown first */
  constructor(script: LoadScript, framer: CapturingFramer, data: unknown, limit: number, note: (text: string) => void) {
    this.#script = script;
    this.#framer = framer;
    this.#data = data;
    this.#limit = limit;
    this.#note = note;
  }

  /** Of the response that the framer has just completed. @throws TypeError for a promise: it would be too late */
  judge(): Judgement {
    const { response, status } = this.#framer;
    let said: unknown;
    try {
      if (response === undefined) throw new RangeError(`an answer of more than ${this.#limit} bytes was not kept`);
      said = this.#script.check?.(answerOf(status, response), this.#data);
    } catch (error) {
      if (!this.#noted) this.#note(error instanceof Error ? error.message : String(error));
      this.#noted = true;
      return THREW;
    }
    if (typeof said === 'object' && said !== null && 'then' in said) {
      throw invalidType('what check() returns', 'true or false, and no promise', said);
    }
    return said ? RIGHT : REFUSED;
  }
}
