/** What is no request that this server takes, and what the peer is told. */

export type RefusedStatus = 400 | 408 | 413 | 417 | 431 | 501 | 505;

/** Thrown while a request is read; ends the connection with its status. */
export class Refusal extends Error {
  readonly status: RefusedStatus;

  constructor(status: RefusedStatus, message: string) {
    super(message);
    this.status = status;
  }
}

/** 400. Never returns; its type lets it stand in an expression. */
export function bad(what: string): never {
  throw new Refusal(400, what);
}

/** The status for whatever ended a connection: an error of this file, or one of the server's own. */
export function statusOf(error: unknown): RefusedStatus | 500 {
  if (error instanceof Refusal) return error.status;
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ERR_OUT_OF_RANGE') return 413;
  return code === 'ETIMEDOUT' ? 408 : 500;
}
