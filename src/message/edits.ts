/**
 * What a script wants changed in one message: collected during the transaction, sent once at its end.
 */
import { innerPath, mailboxOf, mayMean } from '../milter/envelope-address.ts';
import type { Modification } from '../milter/reply.ts';
import { brokenSignatures, type PassingSignature } from './broken-signatures.ts';
import type { Mta } from './header-slots.ts';
import type { HeaderField } from './header-syntax.ts';
import { MessageHeaders } from './message-headers.ts';
import { asSendmailSends } from './sendmail-fields.ts';

/** A recipient: the canonical mailbox that the MTA understands, and the path as the client wrote it. */
interface Recipient {
  readonly address: string;
  readonly written: string;
}

type SingleKind = 'changeSender' | 'quarantine' | 'replaceBody';
type RecipientEdit = Extract<Modification, { kind: 'addRecipient' | 'deleteRecipient' }>;

/** The recipients, and the edits to them, when one is deleted. */
interface Deletion {
  readonly recipients: Recipient[];
  readonly edits: RecipientEdit[];
  readonly found: boolean;
}

/** A message as it will be when all edits are made. Text is latin1. */
export interface EditedMessage {
  /** In its order, as the MTA sends them, but for white space in them; without the Received of the MTA itself. */
  readonly fields: readonly HeaderField[];
  /** Names in lower case of fields that the MTA puts in later, beside those that may be there. */
  readonly later: ReadonlySet<string>;
  /** What takes the place of its body; undefined where that stays as it came. */
  readonly body: Buffer | undefined;
}

/**
 * Makes headers that depend on all of the message; it never rejects.
 * @returns what is to be put on top, in this order; or why there is nothing, in words for the operator (latin1)
 */
export type LastHeaders = (
  message: EditedMessage,
) => Promise<{ readonly fields: readonly HeaderField[] } | { readonly none: string }>;

/** What the operator should know of the edits of a message, in latin1. */
export interface EditNotes {
  /** `breaks d=example.com: h= covers Subject`: signatures that passed. */
  readonly breaks: readonly string[];
  /** Why headers could not be made. */
  readonly missing: readonly string[];
}

/** In which order they are made: a seal is above all. */
const LAST = ['signature', 'seal'] as const;

/** Work in steps of 10 ns: for each recipient, and for each byte of a path that is read or that is to be named. */
const STEPS_PER_RECIPIENT = 10;
const STEPS_TO_READ_PLAIN = 1;
const STEPS_TO_READ = 20;
const STEPS_TO_NAME = 300;
/** An object, and the places that refer to it. */
const BYTES_PER_EDIT = 100;
/** Between two pauses. */
const STEPS_AT_ONCE = 20_000;

/** Work that is done and not yet told of. */
class Work {
  done = 0;

  *paused(): Generator<number, void, void> {
    this.done += STEPS_PER_RECIPIENT;
    if (this.done < STEPS_AT_ONCE) return;
    yield this.done;
    this.done = 0;
  }
}

/** One object per transaction. Text is latin1. */
export class Edits {
  readonly headers: MessageHeaders = new MessageHeaders();
  /** The client has said SMTPUTF8 at MAIL: headers may be UTF-8 (RFC 6531). */
  readonly utf8: boolean;
  /** Recipients that the client has named, those deleted left out. */
  #recipients: Recipient[] = [];
  /** The one named last, be it deleted by now. */
  #lastNamed: Recipient | undefined;
  /** Paths of all recipients that the client has named. */
  readonly #paths = new Set<string>();
  #recipientEdits: RecipientEdit[] = [];
  /** Edits of which the last call counts; each change makes a new object. */
  #last: Readonly<Partial<Record<SingleKind, Modification>>> = {};
  /** What is made when all else is known; each change makes a new object. */
  #awaited: Readonly<Record<(typeof LAST)[number], readonly LastHeaders[]>> = { signature: [], seal: [] };
  /** Signatures that passed when the message came. */
  #passing: readonly PassingSignature[] = [];
  #breaks: readonly string[] = [];
  #missing: readonly string[] = [];
  /** What came of it, from the top. */
  #lastHeaders: readonly HeaderField[] = [];
  #partsChanged = false;
  /** What takes back the edits of the callback that runs; undefined before its first. */
  #undo: (() => void) | undefined;
  /** How many edits it has made. */
  #made = 0;

  /** A callback begins: its edits stand or fall with it. */
  beginCallback(): void {
    this.#undo = undefined;
    this.#made = 0;
  }

  /** The callback has failed: nothing of what it asked for is left. @returns the number of edits that it had made. */
  dropCallback(): number {
    const made = this.#made;
    this.#undo?.();
    this.beginCallback();
    return made;
  }

  /** Makes an edit for the callback that runs. @returns false where there was nothing to change. */
  make(edit: () => unknown): boolean {
    this.#undo ??= this.#save();
    const isMade = edit() !== false;
    if (isMade) this.#made += 1;
    return isMade;
  }

  /** Arrays are put back by reference: what is added to one lies beyond its length now, else a new one takes its place. */
  #save(): () => void {
    const [recipients, recipientEdits] = [this.#recipients, this.#recipientEdits];
    const { length } = recipientEdits;
    const [last, awaited] = [this.#last, this.#awaited];
    const partsChanged = this.#partsChanged;
    const restoreHeaders = this.headers.save();
    return () => {
      this.#recipients = recipients;
      this.#recipientEdits = recipientEdits;
      recipientEdits.length = length;
      this.#last = last;
      this.#awaited = awaited;
      this.#partsChanged = partsChanged;
      restoreHeaders();
    };
  }

  /** @param params ESMTP parameters of MAIL */
  constructor(params: readonly string[] = []) {
    this.utf8 = params.some((param) => param.toUpperCase() === 'SMTPUTF8');
  }

  /** Whether the script has made none. */
  get isEmpty(): boolean {
    return !this.headers.edited && !this.#partsChanged && this.#envelopeAndBody().length === 0;
  }

  recipientNamed(recipient: Recipient): void {
    this.#recipients.push(recipient);
    this.#lastNamed = recipient;
    this.#paths.add(recipient.written);
  }

  /** Whether the client has written a recipient so, in this message, be it deleted or refused. */
  hasPath(written: string): boolean {
    return this.#paths.has(written);
  }

  /** The recipient named last was refused after all; its own callback may have deleted it. */
  recipientRefused(): void {
    if (this.#recipients.at(-1) === this.#lastNamed) this.#recipients.pop();
  }

  /** `path` is an address in angle brackets. */
  addRecipient(path: string, params?: string): void {
    this.#recipientEdits.push({ kind: 'addRecipient', address: path, params });
  }

  /**
   * Works out what is left when a recipient is deleted. Yields now and then what it has done, in steps of 10 ns; nothing
   * else may change the recipients until deleteRecipient().
   *
   * @param text an address in any spelling, or a path as the client wrote it
   */
  *planDeletion(text: string): Generator<number, Deletion, void> {
    const work = new Work();
    const mailbox = mailboxOf(text);
    const isLocal = !mailbox.includes('@');
    const recipients: Recipient[] = [];
    const deletions = new Set<string>();
    for (const recipient of this.#recipients) {
      const { address, written } = recipient;
      const isSame = address === mailbox || written === text;
      const isMeant = isSame || (isLocal && mailboxOf(written) === mailbox);
      if (isMeant) for (const name of namesOf(recipient)) deletions.add(name);
      else recipients.push(recipient);
      work.done += isMeant ? written.length * STEPS_TO_NAME : isLocal ? written.length * STEPS_TO_READ : 0;
      yield* work.paused();
    }
    const edits: RecipientEdit[] = [];
    for (const edit of this.#recipientEdits) {
      if (edit.kind === 'deleteRecipient' || mailboxOf(edit.address) !== mailbox) edits.push(edit);
      if (edit.kind === 'addRecipient') work.done += edit.address.length * STEPS_TO_READ_PLAIN;
      yield* work.paused();
    }
    const found = recipients.length < this.#recipients.length || edits.length < this.#recipientEdits.length;
    for (const address of deletions) edits.push({ kind: 'deleteRecipient', address });
    return { recipients, edits, found };
  }

  /** @returns whether there was such a recipient, of the client's or an added one */
  deleteRecipient({ recipients, edits, found }: Deletion): boolean {
    this.#recipients = recipients;
    this.#recipientEdits = edits;
    return found;
  }

  /** `path` is an address in angle brackets, `<>` for the null sender. The last call counts. */
  setSender(path: string, params?: string): void {
    this.#last = { ...this.#last, changeSender: { kind: 'changeSender', address: path, params } };
  }

  /** The last call counts. */
  quarantine(reason: string): void {
    this.#last = { ...this.#last, quarantine: { kind: 'quarantine', reason } };
  }

  /** The last call counts. `bytes` must not change any more. */
  replaceBody(bytes: Buffer): void {
    this.#last = { ...this.#last, replaceBody: { kind: 'replaceBody', bytes } };
  }

  /** Has headers made after all other edits, above them. Signatures come in the order of calls, each below the next. */
  makeLast(kind: (typeof LAST)[number], make: LastHeaders): void {
    this.#awaited = { ...this.#awaited, [kind]: [...this.#awaited[kind], make] };
  }

  /** How many of them are to be made. */
  get awaited(): number {
    return LAST.reduce((sum, kind) => sum + this.#awaited[kind].length, 0);
  }

  /**
   * Makes what was put off until all edits are known; no more edits may follow.
   * @returns undefined where there is nothing to wait for
   */
  finish(mta: Mta): Promise<void> | undefined {
    this.#breaks = this.#broken(mta);
    const waiting = LAST.flatMap((kind) => this.#awaited[kind]);
    this.#awaited = { signature: [], seal: [] };
    return waiting.length === 0 ? undefined : this.#finish(mta, waiting);
  }

  async #finish(mta: Mta, waiting: readonly LastHeaders[]): Promise<void> {
    const listed = this.headers.asSent(mta);
    const fields = mta === 'sendmail' ? asSendmailSends(listed, this.headers.isResent) : listed;
    const later = this.headers.putInBy(mta);
    const { replaceBody } = this.#last;
    const body = replaceBody?.kind === 'replaceBody' ? replaceBody.bytes : undefined;
    for (const make of waiting) {
      const made = await make({ fields: [...this.#lastHeaders, ...fields], later, body });
      if ('none' in made) this.#missing = [...this.#missing, made.none];
      else this.#lastHeaders = [...made.fields, ...this.#lastHeaders];
    }
  }

  get bodyReplaced(): boolean {
    return this.#last.replaceBody !== undefined;
  }

  /** Parts of the message are changed: the body that has them takes its place when the callback is over. */
  changeParts(): void {
    this.#partsChanged = true;
  }

  get partsChanged(): boolean {
    return this.#partsChanged;
  }

  /** Takes note of the signatures that passed when the message came. */
  verified(passing: readonly PassingSignature[]): void {
    this.#passing = passing;
  }

  /** What is to be said of the edits, after finish(). */
  get notes(): EditNotes {
    return { breaks: this.#breaks, missing: this.#missing };
  }

  #broken(mta: Mta): readonly string[] {
    const isNewBody = this.#last.replaceBody !== undefined;
    if (this.#passing.length === 0 || !(isNewBody || this.headers.edited)) return [];
    return brokenSignatures(this.#passing, this.headers.arrived(), this.headers.asSent(mta), isNewBody);
  }

  /** Bytes that are kept for all this, more or less. */
  get keptBytes(): number {
    let bytes = this.headers.keptBytes;
    for (const edit of this.#envelopeAndBody()) {
      bytes += BYTES_PER_EDIT + bytesOf(edit);
    }
    return bytes;
  }

  /**
   * What to ask of the MTA, in this order. The body comes last: Postfix takes anything after its first packet that is no
   * other part of it for its end.
   */
  compile(): Modification[] {
    const onTop = this.#lastHeaders.map(
      ({ name, value }): Modification => ({ kind: 'insertHeader', index: 0, name, value }),
    );
    return [...this.headers.compile(), ...onTop.reverse(), ...this.#envelopeAndBody()];
  }

  #envelopeAndBody(): Modification[] {
    const { changeSender, quarantine, replaceBody } = this.#last;
    const edits = [changeSender, ...this.#recipientEdits, quarantine, replaceBody];
    return edits.filter((edit) => edit !== undefined);
  }
}

/** Bytes of what an edit holds. */
function bytesOf(edit: Modification): number {
  switch (edit.kind) {
    case 'replaceBody':
      return edit.bytes.length;
    case 'quarantine':
      return edit.reason.length;
    case 'addRecipient':
    case 'changeSender':
      return edit.address.length + (edit.params?.length ?? 0);
    case 'deleteRecipient':
      return edit.address.length;
    case 'addHeader':
    case 'insertHeader':
    case 'changeHeader':
      return edit.name.length + edit.value.length;
  }
}

/**
 * What to call a recipient that the MTA is to delete. Sendmail finds it by the client's own path. So does Postfix, but for
 * brackets within brackets, a group and a source route: there it knows only what is in them. A name that an MTA does not
 * know does no harm; one that means another mailbox to it must not be given.
 */
function namesOf({ address, written }: Recipient): string[] {
  const inner = `<${innerPath(written)}>`;
  const isNeeded = written.startsWith('<') && inner !== written && mayMean(inner, address);
  return isNeeded ? [written, inner] : [written];
}
