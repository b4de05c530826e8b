/** How far a load test has come. */

export interface LoadProgress {
  readonly phase: 'connecting' | 'warming up' | 'running' | 'finishing';
  /** Milliseconds since counting began. */
  readonly elapsed: number;
  /** Of the duration or of the requests, whichever is further: 0 to 1. */
  readonly fraction: number;
  /** Open now. */
  readonly connections: number;
  readonly responses: number;
  readonly errors: number;
}
