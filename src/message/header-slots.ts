/**
 * The list of headers that a filter's changes are made to, as each MTA keeps it.
 *
 * Both have their own Received header on top. Sendmail's list goes on with a place for each header that it would add
 * (the H lines of sendmail.cf): a place counts when headers are inserted, and takes the value where a filter adds, or
 * changes in vain, a header of that name. Source: sendmail/milter.c milter_addheader(), milter_insheader(),
 * milter_changeheader(); Postfix src/cleanup/cleanup_milter.c; both seen at work.
 */
import type { HeaderField } from './header-syntax.ts';

export type Mta = 'postfix' | 'sendmail';

interface Slot {
  header: HeaderField;
  /** The name for comparisons. */
  readonly key: string;
  /** `own`: the MTA's Received. `place`: of a header that Sendmail adds, as long as no filter has given it a value. */
  origin: 'message' | 'own' | 'place' | 'filter';
  visible: boolean;
}

export const PLACES = [
  'Resent-Date',
  'Date',
  'Resent-From',
  'From',
  'Full-Name',
  'Resent-Message-Id',
  'Message-Id',
] as const;

export class HeaderSlots {
  readonly #mta: Mta;
  readonly #slots: Slot[];

  /**
   * @param missing the headers that Sendmail adds to this message
   * @param deleted headers that have been deleted already, and still count
   */
  constructor(
    mta: Mta,
    headers: readonly HeaderField[],
    missing: readonly HeaderField[],
    deleted: ReadonlySet<HeaderField> = new Set(),
  ) {
    this.#mta = mta;
    const own: Slot = {
      header: { name: 'Received', value: '' },
      key: 'received',
      origin: 'own',
      visible: false,
    };
    const places = mta === 'sendmail' ? PLACES.map((name) => placeOf(name, missing)) : [];
    this.#slots = [
      own,
      ...places,
      ...headers.map((header): Slot => ({ ...slotOf(header, 'message'), visible: !deleted.has(header) })),
    ];
  }

  /** The headers as delivered, without the MTA's Received. */
  list(): HeaderField[] {
    return this.#slots.filter(({ visible }) => visible).map(({ header }) => header);
  }

  /** Postfix: at the end. Sendmail: before the first of the same name, if there is one. */
  add(header: HeaderField): void {
    const slots = this.#slots;
    const added = slotOf(header, 'filter');
    if (this.#mta === 'postfix') {
      slots.push(added);
      return;
    }
    const place = slots.find((slot) => slot.origin === 'place' && slot.key === added.key);
    if (place) {
      fill(place, header.value);
      return;
    }
    const same = slots.findIndex((slot) => slot.key === added.key);
    slots.splice(same < 0 ? slots.length : same, 0, added);
  }

  /** Index 0 is above the MTA's Received. Postfix does not count what was deleted, Sendmail counts all. */
  insert(index: number, header: HeaderField): void {
    const counted =
      this.#mta === 'sendmail'
        ? this.#slots
        : this.#slots.filter(({ visible, origin }) => visible || origin === 'own');
    const before = counted[index];
    const at = before === undefined ? this.#slots.length : this.#slots.indexOf(before);
    this.#slots.splice(at, 0, slotOf(header, 'filter'));
  }

  /** Changes the header with this number among those of its name; an empty value deletes it. */
  change(index: number, { name, value }: HeaderField): void {
    const key = name.toLowerCase();
    const sendmail = this.#mta === 'sendmail';
    const named = this.#slots.filter(
      (slot) =>
        slot.key === key &&
        (slot.origin === 'message' || slot.origin === 'filter') &&
        (sendmail || slot.visible),
    );
    const slot =
      named[Math.max(index, 1) - 1] ??
      this.#slots.find((other) => other.origin === 'place' && other.key === key);
    if (!slot) {
      if (value !== '') this.add({ name, value });
      return;
    }
    if (value === '') slot.visible = false;
    else {
      if (!sendmail) slot.header = { name, value };
      fill(slot, value);
    }
  }
}

function slotOf(header: HeaderField, origin: Slot['origin']): Slot {
  return { header, key: header.name.toLowerCase(), origin, visible: true };
}

function placeOf(name: string, missing: readonly HeaderField[]): Slot {
  const header = missing.find((other) => other.name.toLowerCase() === name.toLowerCase());
  return { ...slotOf(header ?? { name, value: '' }, 'place'), visible: header !== undefined };
}

function fill(slot: Slot, value: string): void {
  slot.header = { name: slot.header.name, value };
  slot.visible = true;
  if (slot.origin === 'place') slot.origin = 'filter';
}
