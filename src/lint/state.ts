/**
 * What the flow analysis knows at one place of a script: the types of variables, and of fields and calls whose value has
 * been looked at, by their keys (see keys.ts).
 */
import { filterType, type Type, unionOf } from './types.ts';

/** Variables that got the results of one call, with the combinations that these may still be. */
interface Group {
  readonly id: number;
  readonly keys: readonly (string | undefined)[];
  readonly cases: readonly (readonly Type[])[];
}

export class State {
  /** A type that is there and undefined is not known; what is not there has the type of its declaration. */
  readonly types: Map<string, Type>;
  /** Fields and global variables that got a value: a function of the script may give them another one. */
  readonly volatile: Set<string>;
  /** Keys of texts in which something was found, and of lists that were counted. */
  readonly examined: Set<string>;
  #groups: Group[];
  /** Whether no path leads here. */
  dead: boolean;

  constructor(from?: State) {
    this.types = new Map(from?.types);
    this.volatile = new Set(from?.volatile);
    this.examined = new Set(from?.examined);
    this.#groups = from ? [...from.#groups] : [];
    this.dead = from?.dead ?? false;
  }

  /** A value is assigned: what was known of it and of its fields holds no longer. */
  assign(key: string, type: Type): void {
    this.forget(key);
    this.types.set(key, type);
    if (!key.startsWith('@') || !key.endsWith(';')) this.volatile.add(key);
  }

  forget(key: string): void {
    for (const known of this.types.keys()) if (known.includes(key)) this.types.delete(known);
    for (const known of this.examined) if (known.includes(key)) this.examined.delete(known);
    const [gone, kept] = [true, false].map((isGone) =>
      this.#groups.filter(({ keys }) => keys.some((one) => one?.includes(key)) === isGone),
    );
    this.#groups = kept ?? [];
    // What one of them told of the others is told by something else now.
    for (const { keys } of gone ?? []) for (const other of keys) if (other) this.types.set(other, undefined);
  }

  /** A function of the script has run. */
  disturb(): void {
    for (const key of this.volatile) this.types.set(key, undefined);
  }

  /** Variables have got the results of one call. */
  group(id: number, keys: readonly (string | undefined)[], cases: readonly (readonly Type[])[]): void {
    if (cases.length > 1 && keys.length > 1) this.#groups.push({ id, keys, cases });
  }

  /** Whether a variable got its value together with others. */
  isGrouped(key: string): boolean {
    return this.#groups.some(({ keys }) => keys.includes(key));
  }

  /**
   * The value of `key`, which has been of this type, is one of those that pass. Where it cannot be one, no path leads on.
   */
  refine(key: string, type: Type, passes: (member: string) => boolean): void {
    const left = filterType(type, passes);
    if (left === 'never') {
      this.dead = true;
      return;
    }
    if (left !== undefined) this.types.set(key, left);
    this.#filterGroups(key, passes);
  }

  /** `must(a, b)` with two results of one call leaves the combinations that are not `nil, err`. */
  exclude(keys: readonly (string | undefined)[]): void {
    for (const group of this.#groups) {
      if (!keys.every((key, i) => key !== undefined && group.keys[i] === key)) continue;
      this.#keep(
        group,
        group.cases.filter(([first, second]) => first !== 'nil' || second === 'nil'),
      );
    }
  }

  #filterGroups(key: string, passes: (member: string) => boolean): void {
    for (const group of this.#groups) {
      const at = group.keys.indexOf(key);
      if (at < 0) continue;
      const cases = group.cases.flatMap((row) => {
        const cell = filterType(row[at], passes);
        return cell === 'never' ? [] : [row.map((one, i) => (i === at ? cell : one))];
      });
      this.#keep(group, cases);
    }
  }

  #keep(group: Group, cases: Group['cases']): void {
    if (cases.length === 0) return;
    this.#groups = this.#groups.map((one) => (one === group ? { ...group, cases } : one));
    group.keys.forEach((key, i) => {
      if (key !== undefined) this.types.set(key, unionOf(cases.map((row) => row[i])));
    });
  }

  /** What holds whichever of two paths was taken: one of the two, where only one leads on. */
  static join(one: State, other: State): State {
    if (one === other || other.dead) return one;
    if (one.dead) return other;
    const joined = new State(one);
    for (const [key, type] of one.types) {
      const found = other.types.get(key);
      if (!other.types.has(key)) joined.types.delete(key);
      else if (found !== type) joined.types.set(key, unionOf([type, found]));
    }
    for (const key of one.examined) if (!other.examined.has(key)) joined.examined.delete(key);
    for (const key of other.volatile) joined.volatile.add(key);
    joined.#groups = one.#groups.flatMap((group) => {
      const same = other.#groups.find(({ id }) => id === group.id);
      return same ? [{ ...group, cases: distinct([...group.cases, ...same.cases]) }] : [];
    });
    return joined;
  }
}

function distinct(cases: Group['cases']): Group['cases'] {
  return [...new Map(cases.map((row) => [row.join(), row])).values()];
}
