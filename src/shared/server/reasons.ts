/** Why connections end: the names that users see, and the numbers that stand in a connection's words. */

export const CLOSE_REASONS = [
  'end',
  'reset',
  'destroyed',
  'idle',
  'handshake',
  'protocol',
  'too-long',
  'too-slow',
  'memory',
  'handler',
  'thread',
  'server',
] as const;

/**
 * Why a connection ended.
 *
 * 'end': both sides had ended; a peer's end of stream alone ends it too, once its last whole message is handled and what is kept is
 * sent (an unfinished message is dropped; lines() gives a last line without its \n). 'reset': the peer broke it off, or the network
 * did. 'destroyed': destroy(), or close() after its timeout. 'idle': idleTimeout. 'handshake': TLS was not agreed on in time, or
 * refused. 'protocol': frame() or decode() threw, or frame() gave no whole number >= 0. 'too-long': a message beyond maxMessage.
 * 'too-slow': output beyond maxOutput. 'memory': its bytes would have exceeded `memory`. 'handler': it threw or rejected; with an
 * 'error' that names the peer. 'thread': its thread died, in its run or while its promise was pending. 'server': close() ended it.
 */
export type CloseReason = (typeof CLOSE_REASONS)[number];

/** 1 and up; 0 is none. */
export function codeOfReason(reason: CloseReason): number {
  return CLOSE_REASONS.indexOf(reason) + 1;
}

export function reasonOf(code: number): CloseReason {
  return CLOSE_REASONS[code - 1] ?? 'end';
}
