/**
 * The headers of one message with a script's edits, and the modifications that bring them about at either MTA.
 *
 * Edits may be made before the headers have arrived: they are then made again on what arrives. What is read is what
 * Postfix will have after the modifications, in its order. Sendmail differs in the places of added headers only:
 * ADDHEADER goes before the first header of the same name, INSHEADER is dependable at 0 and 1.
 *
 * The order of modifications is one that is right where a deleted header is no longer counted (Postfix) and where it
 * still is (Sendmail): changes, deletions from the highest index of a name down, insertions, additions.
 *
 * Sources: Postfix src/cleanup/cleanup_milter.c; sendmail/milter.c milter_changeheader(), milter_addheader().
 */
import type { Modification } from '../milter/reply.ts';
import { HeaderSlots, type Mta, PLACES } from './header-slots.ts';
import type { HeaderField } from './header-syntax.ts';
import { isResentField } from './sendmail-fields.ts';

/** A header as it will be; changed in place. `value` as in header-syntax.ts. */
interface Entry {
  readonly name: string;
  /** The name for comparisons: header names have no case. */
  readonly key: string;
  value: string;
  readonly from: Origin;
}

type Origin =
  /** `index` is 1-based among the headers of the name that the MTA has shown. */
  | { readonly kind: 'original'; readonly index: number; readonly value: string }
  | { readonly kind: 'inserted'; readonly index: number }
  | { readonly kind: 'added' };

type Edit =
  | { readonly kind: 'add'; readonly field: HeaderField }
  | { readonly kind: 'insert'; readonly field: HeaderField; readonly index: number }
  | { readonly kind: 'modify'; readonly field: HeaderField; readonly n: number }
  | { readonly kind: 'delete'; readonly name: string; readonly n: number | readonly number[] | undefined }
  | { readonly kind: 'set'; readonly field: HeaderField };

/** Stands for the Received header that the MTA puts on top and never shows. */
const RECEIVED: Entry = { name: '', key: '', value: '', from: { kind: 'added' } };

/** Objects and the places that refer to them. */
const BYTES_PER_ENTRY = 200;
const BYTES_PER_CHANGE = 100;
/** Headers times additions: at most some milliseconds. */
const MOST_PLACES = 500_000;

export class MessageHeaders {
  /** Lines that have arrived and were not looked at yet: most scripts never ask. */
  #lines: readonly string[] | undefined;
  #originals: Entry[] = [];
  /** As they came, those deleted since among them. */
  #arrived: readonly Entry[] = [];
  #deleted: Entry[] = [];
  #inserted: Entry[] = [];
  #added: Entry[] = [];
  /** Edits made so far; undefined when the originals are there and nothing has to be made again. */
  #early: Edit[] | undefined = [];
  #view: readonly Entry[] | undefined;
  #edited = false;
  /** Entries that got another value since save(), with the one before. */
  #changes: { readonly entry: Entry; readonly value: string }[] = [];

  /**
   * Keeps the headers as they are now, of which little is copied.
   * @returns what makes them so again; it holds until the next save().
   */
  save(): () => void {
    this.#read();
    const lists = [this.#originals, this.#deleted, this.#inserted, this.#added] as const;
    const lengths = lists.map(({ length }) => length);
    const early = this.#early?.length ?? 0;
    const edited = this.#edited;
    this.#changes = [];
    return () => {
      // What was added to a list lies beyond its length; where something was taken out, another list took its place.
      lists.forEach((list, i) => {
        list.length = lengths[i] ?? 0;
      });
      [this.#originals, this.#deleted, this.#inserted, this.#added] = lists;
      for (const { entry, value } of this.#changes.reverse()) entry.value = value;
      this.#changes = [];
      if (this.#early) this.#early.length = early;
      this.#edited = edited;
      this.#view = undefined;
    };
  }

  /** Whether any edit was made. */
  get edited(): boolean {
    return this.#edited;
  }

  /** Takes the headers as the MTA has shown them: whole lines in message order, folds as CRLF and white space. */
  arrive(lines: readonly string[]): void {
    this.#lines = lines;
    if (this.#edited) this.#read();
  }

  /** Takes up lines that have arrived, and makes again on them what edits were made before. */
  #read(): void {
    if (this.#lines === undefined) return;
    const counts = new Map<string, number>();
    this.#originals = this.#lines.map((line) => original(line, counts));
    this.#arrived = this.#originals;
    this.#lines = undefined;
    this.#deleted = [];
    this.#inserted = [];
    this.#added = [];
    this.#view = undefined;
    const edits = this.#early ?? [];
    this.#early = undefined;
    for (const edit of edits) this.#apply(edit);
  }

  /** Adds a header at the end. */
  add(field: HeaderField): void {
    this.#make({ kind: 'add', field });
  }

  /** Inserts a header: 0 is above the Received header of the MTA itself, 1 is below it. */
  insert(field: HeaderField, index: number): void {
    this.#make({ kind: 'insert', field, index });
  }

  /**
   * Gives the n-th header of a name (from 1) another value; its name stays as it is written in the message. Where there
   * is no such header one is added, as both MTAs do.
   */
  modify(field: HeaderField, n: number): void {
    this.#make({ kind: 'modify', field, n });
  }

  /** Deletes the n-th header of a name (from 1), those with these numbers, or all of that name. */
  delete(name: string, n?: number | readonly number[]): void {
    this.#make({ kind: 'delete', name, n });
  }

  /** Leaves one header of the name: the first is changed in its place, the others go; without any, one is added. */
  set(field: HeaderField): void {
    this.#make({ kind: 'set', field });
  }

  /** How many headers there are. */
  get length(): number {
    return this.#entries().length;
  }

  /**
   * Looks up the n-th header of a name, from 1.
   * @returns its 1-based place among all headers, its line with folds as CRLF, and its value; undefined when there is none.
   */
  find(name: string, n: number): { position: number; line: string; value: string } | undefined {
    const entry = this.#named(name)[n - 1];
    if (!entry) return undefined;
    return { position: this.#entries().indexOf(entry) + 1, line: lineOf(entry), value: entry.value };
  }

  /** The values of all headers of a name, in message order. */
  values(name: string): string[] {
    return this.#named(name).map((entry) => entry.value);
  }

  /** All headers in order, as lines with folds as CRLF. */
  lines(): string[] {
    return this.#entries().map(lineOf);
  }

  /** The headers as they came. */
  arrived(): HeaderField[] {
    this.#read();
    return this.#arrived.map(({ name, value, from }) => ({
      name,
      value: from.kind === 'original' ? from.value : value,
    }));
  }

  /**
   * The headers as this MTA will have them, in its order, without its own Received and what it adds later. So many edits
   * of a message with so many headers that to find the places at Sendmail would take long are shown as Postfix has them.
   */
  asSent(mta: Mta): HeaderField[] {
    const placed = this.#inserted.filter(({ from }) => from.kind === 'inserted' && from.index > 1);
    const entries = this.#entries();
    const work = (this.#inserted.length + this.#added.length) * (entries.length + this.#deleted.length);
    if (mta === 'postfix' || (placed.length === 0 && this.#added.length === 0) || work > MOST_PLACES)
      return entries.map(({ name, value }) => ({ name, value }));
    const slots = new HeaderSlots(mta, this.#arrived, [], new Set(this.#deleted));
    for (const { name, value, from } of this.#inserted)
      if (from.kind === 'inserted') slots.insert(from.index, { name, value });
    for (const { name, value } of this.#added) slots.add({ name, value });
    return slots.list().map(({ name, value }) => ({ name, value }));
  }

  /** Whether the message came with fields of who passed it on. */
  get isResent(): boolean {
    this.#read();
    return this.#arrived.some(({ key }) => isResentField(key));
  }

  /**
   * Names in lower case of headers that this MTA puts in later: Sendmail has a place for each, which is filled where one
   * came or is added, but not where one is inserted.
   */
  putInBy(mta: Mta): ReadonlySet<string> {
    this.#read();
    const filled = new Set([...this.#arrived, ...this.#added].map(({ key }) => key));
    const { isResent } = this;
    const names = mta === 'sendmail' ? PLACES.map((name) => name.toLowerCase()) : [];
    return new Set(names.filter((name) => !filled.has(name) && (isResent || !isResentField(name))));
  }

  /** Bytes that are kept for the edits, more or less; 0 where there are none, whatever headers the message has. */
  get keptBytes(): number {
    if (!this.#edited) return 0;
    let bytes = 0;
    for (const list of [this.#originals, this.#deleted, this.#inserted, this.#added]) {
      for (const { name, value } of list) bytes += BYTES_PER_ENTRY + name.length + value.length;
    }
    for (const { value } of this.#changes) bytes += BYTES_PER_CHANGE + value.length;
    for (const edit of this.#early ?? []) {
      bytes += BYTES_PER_CHANGE + ('field' in edit ? edit.field.value.length : 0);
    }
    return bytes;
  }

  /** What to ask of the MTA, in this order. */
  compile(): Modification[] {
    const modifications: Modification[] = [];
    if (!this.#edited) return modifications;
    for (const { name, value, from } of this.#originals) {
      if (from.kind !== 'original' || value === from.value) continue;
      modifications.push({ kind: 'changeHeader', index: from.index, name, value });
    }
    const deleted = this.#deleted
      .flatMap(({ name, from }) => (from.kind === 'original' ? [{ name, index: from.index }] : []))
      .sort((a, b) => b.index - a.index);
    for (const { name, index } of deleted) {
      modifications.push({ kind: 'changeHeader', index, name, value: '' });
    }
    for (const { name, value, from } of this.#inserted) {
      if (from.kind === 'inserted')
        modifications.push({ kind: 'insertHeader', index: from.index, name, value });
    }
    for (const { name, value } of this.#added) modifications.push({ kind: 'addHeader', name, value });
    return modifications;
  }

  #make(edit: Edit): void {
    this.#edited = true;
    this.#read();
    this.#early?.push(edit);
    this.#apply(edit);
  }

  #apply(edit: Edit): void {
    switch (edit.kind) {
      case 'add':
        this.#put(edit.field, { kind: 'added' }, this.#added);
        return;
      case 'insert':
        this.#put(edit.field, { kind: 'inserted', index: edit.index }, this.#inserted);
        return;
      case 'modify':
        this.#change(this.#named(edit.field.name)[edit.n - 1], edit.field);
        return;
      case 'delete': {
        const entries = this.#named(edit.name);
        if (edit.n === undefined) this.#remove(entries);
        else this.#remove([edit.n].flat().flatMap((n) => entries[n - 1] ?? []));
        return;
      }
      case 'set': {
        const [first, ...others] = this.#named(edit.field.name);
        this.#change(first, edit.field);
        this.#remove(others);
        return;
      }
      default:
        edit satisfies never;
    }
  }

  #put(field: HeaderField, from: Origin, list: Entry[]): void {
    list.push({ ...field, key: field.name.toLowerCase(), from });
    this.#view = undefined;
  }

  #change(entry: Entry | undefined, field: HeaderField): void {
    if (entry) {
      this.#changes.push({ entry, value: entry.value });
      entry.value = field.value;
    } else this.#put(field, { kind: 'added' }, this.#added);
  }

  #remove(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    const gone = new Set(entries);
    const stays = (entry: Entry) => !gone.has(entry);
    this.#deleted = this.#deleted.concat(this.#originals.filter((entry) => gone.has(entry)));
    this.#originals = this.#originals.filter(stays);
    this.#inserted = this.#inserted.filter(stays);
    this.#added = this.#added.filter(stays);
    this.#view = undefined;
  }

  #named(name: string): Entry[] {
    const key = name.toLowerCase();
    return this.#entries().filter((entry) => entry.key === key);
  }

  /** The headers as the modifications make them, without the MTA's own Received. */
  #entries(): readonly Entry[] {
    this.#read();
    if (!this.#view) {
      const list = [RECEIVED, ...this.#originals];
      for (const entry of this.#inserted) {
        if (entry.from.kind === 'inserted') list.splice(Math.min(entry.from.index, list.length), 0, entry);
      }
      this.#view = [...list.filter((entry) => entry !== RECEIVED), ...this.#added];
    }
    return this.#view;
  }
}

function original(line: string, counts: Map<string, number>): Entry {
  const colon = line.indexOf(':');
  const name = line.slice(0, colon);
  const key = name.toLowerCase();
  const index = (counts.get(key) ?? 0) + 1;
  counts.set(key, index);
  const value = line.slice(colon + 1).replaceAll('\r\n', '\n');
  return { name, key, value, from: { kind: 'original', index, value } };
}

function lineOf(entry: Entry): string {
  return `${entry.name}:${entry.value.replaceAll('\n', '\r\n')}`;
}
