/** Text that is shown as Lua would write it. */

/** A byte (latin1) as an escape in a Lua string: `\n`, `\r`, `\t`, else `\xHH`. */
export function escapeByte(byte: string): string {
  switch (byte) {
    case '\n':
      return '\\n';
    case '\r':
      return '\\r';
    case '\t':
      return '\\t';
    default:
      return `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`;
  }
}
