/** The one error that says: the peer broke the milter protocol, its connection must be closed. */

/** Message form: subject first, offending value last, as in `rcpt: 3 bytes after last NUL`. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}
