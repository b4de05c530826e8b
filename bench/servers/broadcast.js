// What servers of broadcasts send.
export const BYTES = Buffer.alloc(100, 'b');
