/** What a connection must know of a request that is under way: bits. */

/** It says `Connection: close`: none may follow it (RFC 9112, 9.6). */
export const CLOSES = 1;
/** Its answer has no body. */
export const HEAD = 2;
/** It may be sent again when the connection is lost (RFC 9110, 9.2.2). */
export const IDEMPOTENT = 4;
