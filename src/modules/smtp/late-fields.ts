/**
 * Fields of a table that are put there when a script looks into it for the first time since they were set: most scripts
 * never look at most of what they are told.
 */
import type { LuaState, LuaTable, TValue } from 'fengari';
import { NIL, numberValue, setField, textValue } from '../../lua/engine/values.ts';

/** What may be put into a field: text is latin1, undefined is nil. A function is called when the field is looked at. */
export type FieldValue = Plain | (() => Plain | TValue);
type Plain = string | number | undefined;

export class LateFields {
  readonly #L: LuaState;
  readonly #table: LuaTable;
  readonly #late = new Map<string, FieldValue>();
  /** The table as it is without the late fields. */
  #strong: LuaTable['strong'] = null;
  #fill: LuaTable['fill'];
  #hidden = false;
  /** Whether the script has looked since the fields were set. */
  #seen = false;
  readonly #reveal: NonNullable<LuaTable['fill']>;

  constructor(L: LuaState, table: LuaTable) {
    this.#L = L;
    this.#table = table;
    this.#reveal = () => this.#put();
  }

  get seen(): boolean {
    return this.#seen;
  }

  set(name: string, value: FieldValue): void {
    this.#late.set(name, value);
    if (!this.#hidden) this.#hide();
  }

  /** Takes back what has been set and not been looked at. */
  forget(): void {
    this.#late.clear();
    if (this.#hidden) this.#show();
  }

  #hide(): void {
    const table = this.#table;
    this.#strong = table.strong;
    this.#fill = table.fill;
    this.#hidden = true;
    table.strong = null;
    table.fill = this.#reveal;
  }

  #show(): void {
    this.#table.strong = this.#strong;
    this.#table.fill = this.#fill;
    this.#hidden = false;
  }

  #put(): void {
    this.#seen = true;
    this.#show();
    const table = this.#table;
    for (const [name, value] of this.#late) setField(this.#L, table, name, this.#valueOf(value));
    this.#late.clear();
  }

  #valueOf(value: FieldValue | TValue): TValue {
    switch (typeof value) {
      case 'undefined':
        return NIL;
      case 'object':
        return value;
      case 'function':
        return this.#valueOf(value());
      case 'string':
        return textValue(this.#L, value);
      case 'number':
        return numberValue(value);
    }
  }
}
