/** `if ... endif` in tables whose lines are tried in their order (cidr_table(5), regexp_table(5)). */
import { TableError } from './table.ts';

/** What a line asks of the key. */
export interface Test<Subject> {
  readonly line: number;
  matches(subject: Subject): boolean;
}

export interface Rule<Subject, Value> {
  readonly test: Test<Subject>;
  /** What a match means; undefined for an `if`. */
  readonly value: Value | undefined;
  /** Where it goes on when an `if` does not match: behind its `endif`. */
  next: number;
}

/** Collects the rules of a table. */
export class Rules<Subject, Value> {
  readonly rules: Rule<Subject, Value>[] = [];
  readonly #open: Rule<Subject, Value>[] = [];

  add(test: Test<Subject>, value: Value): void {
    this.rules.push({ test, value, next: this.rules.length + 1 });
  }

  begin(test: Test<Subject>): void {
    const rule = { test, value: undefined, next: 0 };
    this.rules.push(rule);
    this.#open.push(rule);
  }

  end(line: number): void {
    const rule = this.#open.pop();
    if (!rule) throw new TableError('endif without if', line);
    rule.next = this.rules.length;
  }

  complete(): void {
    const open = this.#open.at(-1);
    if (open) throw new TableError('if without endif', open.test.line);
  }

  /** The first rule that matches, of those whose conditions hold; or undefined. */
  *matching(subject: Subject): Generator<void, Rule<Subject, Value> | undefined, void> {
    for (let at = 0; at < this.rules.length; ) {
      const rule = this.rules[at];
      if (!rule) return undefined;
      const isMatch = rule.test.matches(subject);
      if (isMatch && rule.value !== undefined) return rule;
      at = isMatch ? at + 1 : rule.next;
      yield;
    }
    return undefined;
  }
}
