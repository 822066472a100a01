/**
 * Plays a milter session from two short strings: what the MTA sends, and what the machine is seen to do.
 *
 * Commands are written by their letters, `O C H M R T L N B E U A Q K`; a digit tells one from another (`M2`), and
 * `DM` is a macro packet for MAIL. The trace has a column for each command, in which
 *
 *     mail?    the policy is asked        +    a modification is sent
 *     reset!   the policy is told         #    the socket is closed
 *     c a r t y d s O                     the reply's letter in the protocol
 *     X        ProtocolError: the rest of the commands is not sent, the MTA is gone
 */
import { wholeOf } from '../../src/milter/body-bytes.ts';
import type { Command } from '../../src/milter/command.ts';
import type { Interests, PolicyEvent, Verdict } from '../../src/milter/policy.ts';
import { ProtocolError } from '../../src/milter/protocol-error.ts';
import { Session, type Step } from '../../src/milter/session.ts';
import type { MessageLimits } from '../../src/milter/transaction.ts';
import { EVERYTHING } from '../helpers/interests.ts';

/** Offers: what Postfix and Sendmail both say, and what has none of the bits that a filter may set. */
export const FULL = { version: 6, actions: 0x1ff, protocol: 0x1fffff } as const;
export const NO_BITS = { version: 6, actions: 0x1ff, protocol: 0x40000000 } as const;
export interface Offer {
  readonly version: number;
  readonly actions: number;
  readonly protocol: number;
}

const REPLY_LETTER = {
  continue: 'c',
  accept: 'a',
  reject: 'r',
  tempfail: 't',
  replyCode: 'y',
  discard: 'd',
  skip: 's',
  progress: 'p',
  negotiate: 'O',
} as const;

export const VERDICT: Readonly<Record<string, Verdict>> = {
  c: { kind: 'continue' },
  a: { kind: 'accept' },
  r: { kind: 'reject' },
  t: { kind: 'tempfail' },
  d: { kind: 'discard' },
  s: { kind: 'skip' },
  y: { kind: 'reply', code: 550, enhanced: '5.7.1', lines: ['No'] },
  z: { kind: 'reply', code: 421, lines: ['Closing'] },
};

export function commandOf(word: string, offer: Offer = FULL): Command {
  const [letter = '', mark = ''] = [word[0], word.slice(1)];
  switch (letter) {
    case 'O':
      return { kind: 'negotiate', ...offer };
    case 'D':
      return { kind: 'macro', stage: mark.charCodeAt(0), text: `i\0Q${mark.slice(1)}` };
    case 'C':
      return {
        kind: 'connect',
        hostname: `mx${mark}.example`,
        client: { family: 'inet4', address: '192.0.2.7', port: 4242 },
      };
    case 'H':
      return { kind: 'helo', name: `helo${mark}.example` };
    case 'M':
      return { kind: 'mail', address: `<sender${mark}@a.example>`, params: [`SIZE=${mark || 0}`] };
    case 'R':
      return { kind: 'rcpt', address: `<rcpt${mark}@b.example>`, params: [] };
    case 'T':
      return { kind: 'data' };
    case 'L':
      return { kind: 'header', name: `X-${mark || 'H'}`, value: ` value${mark}` };
    case 'N':
      return { kind: 'endOfHeaders' };
    case 'B':
      return { kind: 'body', bytes: Buffer.from(`body${mark}\r\n`) };
    case 'E':
      return { kind: 'endOfMessage', bytes: Buffer.from(mark) };
    case 'U':
      return { kind: 'unknown', line: `WHAT${mark}` };
    case 'A':
      return { kind: 'abort' };
    case 'Q':
      return { kind: 'quit' };
    case 'K':
      return { kind: 'quitNewConnection' };
    default:
      throw new Error(`no such command: ${word}`);
  }
}

/** Verdict letters by event: one for each time, the last one for ever. */
export type Verdicts = Partial<Record<PolicyEvent['kind'], string>>;

export interface Play {
  readonly interests?: Interests;
  readonly offer?: Offer;
  readonly verdicts?: Verdicts;
  /** Verdict letter for an event, before `verdicts` is looked at. */
  readonly decide?: (event: PolicyEvent) => string | undefined;
  readonly limits?: MessageLimits;
  /** Looks in while the policy has the event. */
  readonly onEvent?: (event: PolicyEvent, session: Session) => void;
}

export interface Played {
  readonly trace: string;
  readonly steps: readonly Step[];
  readonly events: readonly PolicyEvent[];
  readonly session: Session;
}

/** Plays the commands and then the end of the connection. */
export function play(commands: string, { interests = EVERYTHING, offer = FULL, ...more }: Play = {}): Played {
  const session = new Session(interests, more.limits);
  const all: Step[] = [];
  const events: PolicyEvent[] = [];
  const times = new Map<string, number>();
  const columns: string[] = [];

  const give = (event: PolicyEvent): Verdict => {
    // Body bytes are only lent.
    events.push(event.kind === 'chunk' ? { ...event, bytes: Buffer.from(wholeOf(event.bytes)) } : event);
    more.onEvent?.(event, session);
    const letters = more.verdicts?.[event.kind] ?? 'c';
    const time = times.get(event.kind) ?? 0;
    times.set(event.kind, time + 1);
    const letter = more.decide?.(event) ?? letters[Math.min(time, letters.length - 1)];
    const verdict = VERDICT[letter ?? 'c'];
    if (!verdict) throw new Error(`no such verdict: ${letters}`);
    return verdict;
  };
  const carryOut = (first: readonly Step[]): string => {
    const words: string[] = [];
    let steps = first;
    for (let i = 0; i < steps.length; i++) {
      const step = steps[i] as Step;
      all.push(step);
      const last = i === steps.length - 1;
      switch (step.kind) {
        case 'send':
          words.push(REPLY_LETTER[step.reply.kind]);
          break;
        case 'modify':
          words.push('+');
          break;
        case 'hangUp':
          words.push('#');
          break;
        case 'warn':
          break;
        case 'tell':
          words.push(`${step.event.kind}!`);
          give(step.event);
          break;
        case 'ask':
          if (!last) throw new Error('a question is always the last step');
          words.push(`${step.event.kind}?`);
          steps = session.answer(give(step.event));
          i = -1;
          break;
        case 'again':
          if (!last) throw new Error('a command to hand in again is always the last step');
          steps = session.receive(step.command);
          i = -1;
          break;
      }
    }
    return words.join(' ');
  };

  for (const word of commands.split(' ')) {
    try {
      columns.push(carryOut(session.receive(commandOf(word, offer))));
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      columns.push('X');
      break;
    }
  }
  columns.push(carryOut(session.end()));
  return { trace: columns.join(' | ').replace(/ +$/, ''), steps: all, events, session };
}
