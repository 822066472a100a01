/** One connection of an MTA as it is recorded: packets, answers, and what the policy asked meanwhile. */
import type { Answer } from '../asking/answer.ts';
import { type BodyBytes, piecesOf } from '../milter/body-bytes.ts';
import { SMFIC } from '../milter/constants.ts';
import type { Modification, Reply } from '../milter/reply.ts';
import { askedOf } from '../services/asked.ts';
import type { ServiceName } from '../services/services.ts';
import type { Operation } from '../store/operation.ts';
import { keptAnswer, weightOf } from './kept-answer.ts';
import type { Entry, TapedSession } from './recorded-session.ts';

/** Of a session, without what its bytes take. */
const ENTRY_BYTES = 64;
/** What a script reads in a loop is not kept for ever. */
const MAX_READINGS = 10_000;
/** Callbacks that failed of which is taken note. */
const MAX_FAILED = 1000;

export interface TapeKeeper {
  /** @returns whether so many bytes more may be kept in memory */
  reserve(bytes: number): boolean;
  release(bytes: number): void;
  /** The most that one session may take. */
  readonly sessionBytes: number;
  ended(session: TapedSession): void;
}

export class Tape {
  readonly #keeper: TapeKeeper;
  #entries: Entry[] = [];
  #operations = new Map<Entry, Operation<unknown>>();
  #failed: string[] = [];
  #bytes = 0;
  #readings = 0;
  /** Too long: nothing more is kept of this session. */
  #isFull = false;
  /** More than the negotiation was said. */
  #hasBegun = false;
  /** The next packet begins another session. */
  #isOver = false;
  /** Of what comes late, such as an answer that nobody waits for any more, nothing is kept. */
  #isClosed = false;
  #negotiation: Entry[] = [];
  #began = Date.now();
  #id = '';
  #script: string | undefined;
  #isCanary = false;

  constructor(keeper: TapeKeeper) {
    this.#keeper = keeper;
  }

  /** A packet of the MTA, before it is handled. */
  heard({ command, payload }: { readonly command: number; readonly payload: BodyBytes }): void {
    if (this.#isOver) this.#endSession();
    if (command !== SMFIC.OPTNEG && command !== SMFIC.QUIT) this.#hasBegun = true;
    const packet = Buffer.allocUnsafe(1 + payload.length);
    packet[0] = command;
    let at = 1;
    for (const piece of piecesOf(payload)) at += piece.copy(packet, at);
    const entry: Entry = ['command', packet, Date.now() - this.#began];
    if (command === SMFIC.OPTNEG) this.#negotiation = [entry];
    if (command === SMFIC.QUIT_NC) this.#isOver = true;
    this.#add(entry, packet.length);
  }

  said(reply: Reply): void {
    if (reply.kind === 'progress') return;
    const entry: Entry = ['reply', reply];
    if (reply.kind === 'negotiate') this.#negotiation.push(entry);
    this.#add(entry, reply.kind === 'replyCode' ? reply.text.length : 0);
  }

  changed(edit: Modification): void {
    this.#add(['edit', edit], weightOf(edit));
  }

  /** A policy serves the session from now on. */
  opened(id: string): void {
    this.#id = id;
  }

  /** @param isCanary it is the candidate of `--canary` */
  served(script: string, isCanary: boolean): void {
    this.#script = script;
    this.#isCanary = isCanary;
  }

  /** @param hasFailed the callback ended by an error, or went over a budget */
  called(name: string, where: string, hasFailed: boolean): void {
    if (hasFailed && this.#failed.length < MAX_FAILED) this.#failed.push(name);
    this.#add(['call', name, where], name.length + where.length);
  }

  asked(service: ServiceName, method: string, args: readonly unknown[], answer: Answer<unknown>): void {
    if (this.#isFull || this.#isClosed) return;
    const { service: name, question } = askedOf(service, method, args, false);
    const kept = keptAnswer(service, answer);
    const entry: Entry = ['answer', name, question, kept];
    const [operation] = args;
    if (service === 'store' && isOperation(operation)) this.#operations.set(entry, operation);
    this.#add(entry, question.length + weightOf(kept));
  }

  clock(milliseconds: number): void {
    this.#read(['clock', milliseconds]);
  }

  random(number: number): void {
    this.#read(['random', number]);
  }

  /** The connection is closed. */
  ended(): void {
    this.#endSession();
    this.#isClosed = true;
    this.#forget();
  }

  #read(entry: Entry): void {
    this.#readings += 1;
    if (this.#readings <= MAX_READINGS) this.#add(entry, 0);
  }

  #add(entry: Entry, bytes: number): void {
    if (this.#isFull || this.#isClosed) return;
    const weight = bytes + ENTRY_BYTES;
    if (this.#bytes + weight > this.#keeper.sessionBytes || !this.#keeper.reserve(weight)) {
      this.#isFull = true;
      this.#forget();
      return;
    }
    this.#bytes += weight;
    this.#entries.push(entry);
  }

  #forget(): void {
    this.#keeper.release(this.#bytes);
    this.#bytes = 0;
    this.#entries = [];
    this.#operations = new Map();
  }

  #endSession(): void {
    // An MTA, or a health check, that only looked whether somebody is there has had no session.
    if (this.#hasBegun) {
      this.#keeper.ended({
        id: this.#id,
        began: this.#began,
        script: this.#script,
        entries: this.#isFull ? undefined : this.#entries,
        operations: this.#operations,
        isCanary: this.#isCanary,
        failed: this.#failed,
      });
    }
    this.#forget();
    this.#failed = [];
    this.#isFull = false;
    this.#hasBegun = false;
    this.#isOver = false;
    this.#readings = 0;
    this.#began = Date.now();
    for (const entry of this.#negotiation) this.#add(entry, 0);
  }
}

function isOperation(value: unknown): value is Operation<unknown> {
  return typeof value === 'object' && value !== null && 'question' in value && 'change' in value;
}
