/**
 * The list of headers that a filter's changes are made to, as each MTA keeps it.
 *
 * Both have their own Received header on top. Sendmail's list goes on with a place for each header that it would add
 * (the H lines of sendmail.cf): a place counts when headers are inserted, and takes the value where a filter adds, or
 * changes in vain, a header of that name. Source: sendmail/milter.c milter_addheader(), milter_insheader(),
 * milter_changeheader(); Postfix src/cleanup/cleanup_milter.c; both seen at work.
 */
import type { MtaKind } from './client-reply.ts';
import type { MailHeader } from './mail-message.ts';

interface Slot {
  header: MailHeader;
  /** `own`: the MTA's Received. `place`: of a header that Sendmail adds, as long as no filter has given it a value. */
  origin: 'message' | 'own' | 'place' | 'filter';
  visible: boolean;
}

const PLACES = [
  'Resent-Date',
  'Date',
  'Resent-From',
  'From',
  'Full-Name',
  'Resent-Message-Id',
  'Message-Id',
] as const;

export class HeaderSlots {
  readonly #mta: MtaKind;
  readonly #slots: Slot[];

  /** `missing`: the headers that Sendmail adds to this message. */
  constructor(mta: MtaKind, headers: readonly MailHeader[], missing: readonly MailHeader[]) {
    this.#mta = mta;
    const own: Slot = { header: { name: 'Received', value: '' }, origin: 'own', visible: false };
    const places = mta === 'sendmail' ? PLACES.map((name) => placeOf(name, missing)) : [];
    this.#slots = [
      own,
      ...places,
      ...headers.map((header): Slot => ({ header, origin: 'message', visible: true })),
    ];
  }

  /** The headers as delivered, without the MTA's Received. */
  list(): MailHeader[] {
    return this.#slots.filter(({ visible }) => visible).map(({ header }) => header);
  }

  /** Postfix: at the end. Sendmail: before the first of the same name, if there is one. */
  add(header: MailHeader): void {
    const slots = this.#slots;
    const added: Slot = { header, origin: 'filter', visible: true };
    if (this.#mta === 'postfix') {
      slots.push(added);
      return;
    }
    const place = slots.find((slot) => slot.origin === 'place' && isNamed(slot, header.name));
    if (place) {
      fill(place, header.value);
      return;
    }
    const same = slots.findIndex((slot) => isNamed(slot, header.name));
    slots.splice(same < 0 ? slots.length : same, 0, added);
  }

  /** Index 0 is above the MTA's Received. Postfix does not count what was deleted, Sendmail counts all. */
  insert(index: number, header: MailHeader): void {
    const counted =
      this.#mta === 'sendmail'
        ? this.#slots
        : this.#slots.filter(({ visible, origin }) => visible || origin === 'own');
    const before = counted[index];
    const at = before === undefined ? this.#slots.length : this.#slots.indexOf(before);
    this.#slots.splice(at, 0, { header, origin: 'filter', visible: true });
  }

  /** Changes the header with this number among those of its name; an empty value deletes it. */
  change(index: number, { name, value }: MailHeader): void {
    const sendmail = this.#mta === 'sendmail';
    const named = this.#slots.filter(
      (slot) =>
        isNamed(slot, name) &&
        (slot.origin === 'message' || slot.origin === 'filter') &&
        (sendmail || slot.visible),
    );
    const slot =
      named[Math.max(index, 1) - 1] ??
      this.#slots.find((other) => other.origin === 'place' && isNamed(other, name));
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

function placeOf(name: string, missing: readonly MailHeader[]): Slot {
  const header = missing.find((other) => other.name.toLowerCase() === name.toLowerCase());
  return { header: header ?? { name, value: '' }, origin: 'place', visible: header !== undefined };
}

function fill(slot: Slot, value: string): void {
  slot.header = { name: slot.header.name, value };
  slot.visible = true;
  if (slot.origin === 'place') slot.origin = 'filter';
}

function isNamed({ header }: Slot, name: string): boolean {
  return header.name.toLowerCase() === name.toLowerCase();
}
