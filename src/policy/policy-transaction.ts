/**
 * What a policy keeps of one message, from MAIL to its end: a new object for each, so that nothing is left for the next.
 * Where the MTA tells of no MAIL, a message has one without an id and without edits.
 */
import { Edits } from '../message/edits.ts';
import type { Mta } from '../message/header-slots.ts';
import type { Head } from '../message/message-head.ts';
import { type BodyBytes, piecesOf } from '../milter/body-bytes.ts';
import type { MacroReader, PolicyEvent, Verdict } from '../milter/policy.ts';
import type { MessageListener } from '../modules/message-listener.ts';
import type { MessageStore } from './policy-settings.ts';

const CONTINUE: Verdict = { kind: 'continue' };

export class PolicyTransaction {
  /** As in smtp.tran.id; undefined before MAIL. */
  readonly id: string | undefined;
  /** What the script wants changed; undefined before MAIL. */
  readonly edits: Edits | undefined;
  /** Whether smtp.do_dot is called at the end: the body has been asked for. */
  hasBody = false;
  #queueId: string | undefined;
  /** Of the message as far as it has been seen. */
  #bytes = 0;
  #file: MessageStore | undefined;
  readonly #listeners: MessageListener[] = [];
  /** The script has accepted the message before its end, after edits that can be sent only there. */
  #accepted = false;

  /** @param params ESMTP parameters of MAIL */
  constructor(id?: string, params?: readonly string[]) {
    this.id = id;
    this.edits = params && new Edits(params);
  }

  /** The message's size as far as it has been seen, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  get file(): MessageStore | undefined {
    return this.#file;
  }

  get queueId(): string | undefined {
    return this.#queueId;
  }

  /** Bytes that are kept for it outside of Lua. */
  get keptBytes(): number {
    return (this.edits?.keptBytes ?? 0) + (this.#file?.heldBytes ?? 0);
  }

  /** Whether nothing is asked any more about this message, to which the event belongs. */
  settles(event: PolicyEvent): boolean {
    return this.#accepted && isOfMessage(event);
  }

  /** Takes note of what edits are made on. */
  arrived(event: PolicyEvent): void {
    if (event.kind === 'rcpt') this.edits?.recipientNamed(event);
    else if (event.kind === 'headers') this.edits?.headers.arrive(event.lines);
  }

  /** Postfix makes the queue id only after the first recipient. @returns it when it is new */
  newQueueId(macros: MacroReader): string | undefined {
    if (this.#queueId !== undefined || this.id === undefined) return undefined;
    const id = macros.get('i');
    if (id === undefined || id === '') return undefined;
    this.#queueId = id;
    return id;
  }

  /** @param file where the message is written, from its head on; undefined where nobody will look into it */
  addHead(head: Head, file: MessageStore | undefined): void {
    this.#bytes += head.length;
    this.#file = file;
    if (file === undefined) return;
    const { buffer, byteOffset, length } = head.bytes;
    file.append([Buffer.from(buffer, byteOffset, length)]);
  }

  /** Whom the body is told. */
  listen(listener: MessageListener): void {
    this.#listeners.push(listener);
  }

  /** A promise means: wait, the disk is behind. */
  addChunk(bytes: BodyBytes): void | Promise<void> {
    this.#bytes += bytes.length;
    for (const listener of this.#listeners) {
      for (const piece of piecesOf(bytes)) listener.body(piece);
    }
    return this.#file?.append(piecesOf(bytes));
  }

  /**
   * The script has seen all of the message: makes what depends on all edits, if the message goes on.
   * @returns undefined where there is nothing to wait for
   */
  finishEdits({ kind }: Verdict, mta: Mta): Promise<void> | undefined {
    return kind === 'continue' || kind === 'accept' ? this.edits?.finish(mta) : undefined;
  }

  /** All of the body has come. */
  complete(): void {
    for (const listener of this.#listeners) listener.complete();
  }

  /** What the verdict on an event becomes where edits are queued: they go out with the answer at the end of the message. */
  withEdits(event: PolicyEvent, verdict: Verdict): Verdict {
    const { edits } = this;
    if (!edits || !isOfMessage(event)) return verdict;
    switch (verdict.kind) {
      case 'continue':
      case 'accept': {
        if (event.kind === 'endOfMessage') {
          const kind = this.#accepted ? 'accept' : verdict.kind;
          const modifications = edits.compile();
          return modifications.length > 0 ? { kind, modifications } : { kind };
        }
        if (verdict.kind === 'continue' || edits.isEmpty) return verdict;
        this.#accepted = true;
        return CONTINUE;
      }
      case 'reject':
      case 'tempfail':
      case 'reply':
        if (event.kind === 'rcpt') edits.recipientRefused();
        return verdict;
      default:
        return verdict;
    }
  }

  /** It is over: its file goes. Harmless when repeated. */
  end(): void {
    this.#file?.remove();
    this.#file = undefined;
    for (const listener of this.#listeners.splice(0)) listener.end();
  }
}

/** Whether the event is one of a message that MAIL has begun and that has not ended. */
function isOfMessage(event: PolicyEvent): boolean {
  switch (event.kind) {
    case 'mail':
    case 'rcpt':
    case 'data':
    case 'headers':
    case 'chunk':
    case 'endOfMessage':
      return true;
    default:
      return false;
  }
}
