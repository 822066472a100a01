/** Says what would be right: `must be a whole number from 1 to 10`. The value is named by who asked. */
export class BadValue extends Error {
  override readonly name = 'BadValue';
}
