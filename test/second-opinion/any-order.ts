/**
 * What comes of commands in any order, here and with libmilter, written down apart from both.
 *
 * libmilter forgets the message when a command does not fit, and leaves the command without an answer if it fits no
 * better after HELO. Nobody waits for an answer that never comes here: what has no sensible meaning closes the connection,
 * what has one is answered.
 *
 * Source: libmilter/engine.c mi_engine(), trans_ok(), next_states[].
 */
import type { Line, Offer } from './mta-side.ts';
import { FULL } from './servers.ts';

/** Commands by the letters of mta-side.ts; `O` is a negotiation. libmilter is in the state of the last one it took. */
type Letter = string;

/** The commands that libmilter takes in each state. */
const TAKEN: Readonly<Record<Letter, string>> = {
  begin: 'O',
  O: 'CU',
  C: 'HMU',
  H: 'HMU',
  M: 'RAU',
  R: 'LNTBERAU',
  T: 'LNA',
  L: 'LNA',
  N: 'BEA',
  B: 'BEA',
  E: 'QMUK',
  A: '',
  U: 'HMRATBUQK',
  K: 'CU',
};

/** Of the message that we are in. */
type Part = 'none' | 'envelope' | 'headers' | 'body';

/** How far both do the same, with the first command of which they do not. */
export interface Parting {
  /** How many of the commands were said. */
  readonly said: number;
  /** Letters of all replies up to there; it ends in `#` where the connection is closed. */
  readonly ours: string;
  readonly theirs: string;
}

const CLOSED = '#';

/** Follows the lines until libmilter and we go different ways, or to the end. */
export function follow(offer: Offer, lines: readonly Line[]): Parting {
  const one = new Course(offer);
  for (const [index, line] of lines.entries()) {
    if (!one.say(line)) return { said: index + 1, ours: one.ours, theirs: one.theirs };
  }
  return { said: lines.length, ours: one.ours, theirs: one.theirs };
}

class Course {
  ours = '';
  theirs = '';
  readonly #streamed: boolean;
  #state: Letter = 'begin';
  #part: Part = 'none';
  /** Replies for the rest of the message or of the SMTP session. */
  #message = '';
  #session = '';
  #sessionFrom: Letter = '';
  /** The text of MAIL as we and as libmilter's filter know it: it says what comes of DATA and the end of the message. */
  #sender = '';
  #itsSender = '';

  constructor(offer: Offer) {
    this.#streamed = offer === FULL;
  }

  /** @returns whether both did the same. */
  say(line: Line): boolean {
    const [letter, text = ''] = line;
    if (letter === 'D' && this.#state !== 'begin') return true;
    const taken = this.#isTaken(letter);
    if (letter === 'M') this.#sender = this.#itsSender = text;
    const verdict = this.#verdict(letter, text, this.#sender);
    const its = taken ? this.#audible(letter, this.#verdict(letter, text, this.#itsSender)) : '';
    const mine = this.#reply(letter, verdict);
    this.ours += mine;
    this.theirs += its;
    // These two take no answer, and end here whatever there is to end.
    const same = mine === its && (this.#isHere(letter) === taken || 'AK'.includes(letter));
    if (same) this.#go(letter, taken, verdict);
    return same;
  }

  #isTaken(letter: Letter): boolean {
    if (TAKEN[this.#state]?.includes(letter)) return true;
    // The message is forgotten, and the command judged as if HELO had come before it.
    this.#itsSender = '';
    return TAKEN.H?.includes(letter) === true;
  }

  /** Whether the command means something to us. */
  #isHere(letter: Letter): boolean {
    if (this.#state === 'begin') return letter === 'O';
    switch (letter) {
      case 'O':
        return false;
      case 'R':
      case 'T':
        return this.#part === 'envelope';
      case 'L':
      case 'N':
        return this.#part !== 'none' && this.#part !== 'body';
      case 'B':
      case 'E':
        return this.#part !== 'none';
      default:
        return true;
    }
  }

  #verdict(letter: Letter, text: string, sender: string): string {
    const name = { T: 'data', E: 'eom' }[letter] ?? 'say';
    const found = new RegExp(`${name}=(.)`).exec('TE'.includes(letter) ? sender : text);
    return found?.[1] ?? 'c';
  }

  #reply(letter: Letter, verdict: string): string {
    if (!this.#isHere(letter)) return CLOSED;
    if ('OUA'.includes(letter)) return this.#audible(letter, verdict);
    if (letter === 'C' || (letter === 'H' && this.#sessionFrom === 'H'))
      return this.#audible(letter, verdict);
    const decided = 'MH'.includes(letter) ? '' : this.#message;
    return this.#audible(letter, this.#session || decided || verdict);
  }

  /** The reply where there is one. */
  #audible(letter: Letter, reply: string): string {
    if ('ADKQ'.includes(letter) || (this.#streamed && 'LNB'.includes(letter))) return '';
    return letter === 'O' ? 'O' : reply;
  }

  #go(letter: Letter, taken: boolean, verdict: string): void {
    this.#state = taken ? letter : 'H';
    const final = verdict !== 'c';
    if ('CKHAEM'.includes(letter)) this.#message = '';
    // Its filter forgets the message at its end, as we do.
    if (letter === 'E') this.#itsSender = '';
    switch (letter) {
      case 'C':
      case 'K':
        this.#session = '';
        this.#sessionFrom = '';
        this.#part = 'none';
        break;
      case 'H':
      case 'A':
      case 'E':
        this.#part = 'none';
        break;
      case 'M':
        this.#part = 'envelope';
        if (final) this.#message = verdict;
        break;
      case 'L':
        this.#part = 'headers';
        break;
      case 'N':
      case 'B':
        this.#part = 'body';
        break;
    }
    if (letter === 'H' && this.#sessionFrom === 'H') this.#session = '';
    if ('CH'.includes(letter) && final && this.#session === '') {
      this.#session = verdict;
      this.#sessionFrom = letter;
    }
    // A refused recipient or DATA is no more than that.
    if ('RT'.includes(letter) && 'ad'.includes(verdict)) this.#message ||= verdict;
    const stays = 'RU'.includes(letter) && verdict !== 'a';
    if (final && !stays) this.#state = 'H';
  }
}
