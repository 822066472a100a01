/**
 * Any commands in any order with any verdicts, against a reference that knows only when a reply is due.
 *
 * The reference follows the protocol page: a command gets its one reply unless the agreement says it gets none; what a
 * reply ends, ends. It shares no code with the machine.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Interest, Interests } from '../../src/milter/policy.ts';
import { ProtocolError } from '../../src/milter/protocol-error.ts';
import { Session, type Step } from '../../src/milter/session.ts';
import { commandOf, type Offer, VERDICT } from './session-driver.ts';

const NR = {
  C: 0x1000,
  H: 0x2000,
  M: 0x4000,
  R: 0x8000,
  T: 0x10000,
  L: 0x80,
  N: 0x40000,
  B: 0x80000,
  E: 0,
  U: 0x20000,
};
const isAnswerable = (letter: string): letter is keyof typeof NR => letter in NR;

/** Knows whether a message is open and how far it is, which decides about legality, and counts SMTP sessions. */
class Reference {
  open = false;
  content = false;
  body = false;
  connected = false;
  sessionOpen = false;
  sessionsEnded = 0;

  /** Whether the command makes sense here. */
  takes(letter: string, noMail: boolean): boolean {
    const message = this.open || noMail;
    switch (letter) {
      case 'R':
      case 'T':
        return message && !this.content;
      case 'L':
      case 'N':
        return message && !this.body;
      case 'B':
      case 'E':
        return message;
      default:
        return letter !== 'O';
    }
  }

  after(letter: string, stage: string | undefined, reply: string | undefined, noMail: boolean): void {
    if ('CHMAQK'.includes(letter) || (letter === 'D' && stage === 'M' && noMail)) this.close();
    if (letter === 'M' || 'RTLNBE'.includes(letter)) this.open = true;
    if ('LNBE'.includes(letter)) this.content = true;
    if ('NBE'.includes(letter)) this.body = true;
    if (letter === 'E') this.close();
    const ends =
      reply === 'accept' || reply === 'discard'
        ? 'MRTLNB'
        : reply === 'reject' || reply === 'tempfail' || reply === 'replyCode'
          ? 'MLNB'
          : '';
    if (ends.includes(letter)) {
      // Whoever goes on gets replies, as at the beginning of a message.
      this.close();
      this.open = true;
    }
  }

  /** What the command does to the SMTP session; before its reply. */
  session(letter: string): void {
    if (letter === 'K' || letter === 'Q' || (letter === 'C' && this.connected)) this.endSession();
    if (!'DAKQ'.includes(letter)) this.sessionOpen = true;
    if (letter === 'C') this.connected = true;
  }

  endSession(): void {
    if (this.sessionOpen) this.sessionsEnded += 1;
    this.sessionOpen = false;
    this.connected = false;
  }

  close(): void {
    this.open = false;
    this.content = false;
    this.body = false;
  }
}

const interest = fc.constantFrom<Interest>('none', 'data', 'verdict');
const anyInterests: fc.Arbitrary<Interests> = fc.record({
  connect: interest,
  helo: interest,
  mail: interest,
  rcpt: interest,
  data: interest,
  headers: interest,
  body: interest,
  unknown: interest,
  actions: fc.constant(0x1ff),
  symbols: fc.constant([]),
});
const offer: fc.Arbitrary<Offer> = fc.record({
  version: fc.constantFrom(2, 3, 4, 6, 7),
  actions: fc.constantFrom(0, 0xff, 0x1ff),
  protocol: fc.oneof(
    fc.constantFrom(0, 0x42, 0x7f, 0x17f, 0x37f, 0x1fffff),
    fc.integer({ min: 0, max: 0x1fffff }),
  ),
});
const anyWord = fc.constantFrom(...'CHMRTLNBEUAQKO'.split(''), 'Elast', 'DC', 'DH', 'DM', 'DR', 'DE', 'DU');
const message = fc.constantFrom(
  'M R T L N B E',
  'M R T L N B E A A',
  'DM M DR R DT T DL L DN N DB B DE E',
  'M R R A',
  'M R T R T A',
  'M R H A A',
  'M A',
  'M R L L B B Elast',
  'M R T L U N E',
  'M R T L N B K C H',
);
const conversation = fc
  .array(
    fc.oneof(
      { weight: 3, arbitrary: message.map((words) => words.split(' ')) },
      { weight: 1, arbitrary: anyWord.map((word) => [word]) },
    ),
    {
      maxLength: 8,
    },
  )
  .map((parts) => parts.flat());
const begin = fc.constantFrom<string[]>(['C', 'H'], ['DC', 'C', 'DH', 'H'], ['H'], ['C'], []);
const verdicts = fc.array(fc.constantFrom(...Object.keys(VERDICT), 'c', 'c', 'c', 'c'), {
  minLength: 1,
  maxLength: 40,
});

/** Plays a conversation and checks each command's replies as they come. */
function check(
  words: readonly string[],
  session: Session,
  offered: Offer,
  nextVerdict: () => string,
): { readonly seen: readonly string[]; readonly sessions: number } {
  const seen: string[] = [];
  const reference = new Reference();
  const carryOut = (first: readonly Step[], letter: string): string[] => {
    const replies: string[] = [];
    let [steps, final] = [first, false];
    for (let i = 0; i < steps.length; i++) {
      const step = steps[i] as Step;
      switch (step.kind) {
        case 'send':
          assert.ok(!final, `one reply to ${letter} at most`);
          final = true;
          replies.push(step.reply.kind);
          if (letter === 'O') break;
          assert.notEqual(step.reply.kind, 'progress');
          if (step.reply.kind === 'skip') assert.equal(letter, 'B', 'SKIP for the body alone');
          if (step.reply.kind === 'discard') assert.ok(!'CHU'.includes(letter), `discard at ${letter}`);
          if (step.reply.kind === 'accept') assert.notEqual(letter, 'U');
          break;
        case 'modify':
          assert.equal(letter, 'E');
          assert.ok(!final, 'modifications come before the reply');
          break;
        case 'ask':
          assert.equal(i, steps.length - 1, 'a question is the last step');
          assert.ok(!final, 'no question after the reply');
          seen.push(step.event.kind);
          assert.equal(
            session.mayReportProgress(() => false),
            step.event.kind === 'endOfMessage',
          );
          steps = session.answer(VERDICT[nextVerdict()] ?? { kind: 'continue' });
          i = -1;
          break;
        case 'tell':
          seen.push(step.event.kind);
          break;
        case 'again':
          assert.equal(i, steps.length - 1);
          steps = session.receive(step.command);
          i = -1;
          break;
        case 'hangUp':
          assert.equal(letter, 'Q');
          break;
        case 'warn':
          break;
      }
    }
    return replies;
  };

  assert.deepEqual(carryOut(session.receive(commandOf('O', offered)), 'O'), ['negotiate']);
  const protocol = session.agreement?.protocol ?? 0;
  const noMail = (protocol & 0x04) !== 0;
  assert.equal(protocol & ~(offered.protocol || 0x3f), 0, 'no bit that was not offered');

  for (const word of words) {
    const letter = word.charAt(0);
    const legal = reference.takes(letter, noMail);
    if (letter !== 'O') reference.session(letter);
    let replies: string[];
    try {
      replies = carryOut(session.receive(commandOf(word, offered)), letter);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      assert.ok(!legal, `${word} is legal: ${error.message}`);
      break;
    }
    assert.ok(legal, `${word} makes no sense here`);
    const due = isAnswerable(letter) && (NR[letter] === 0 || (protocol & NR[letter]) === 0);
    assert.equal(replies.length, due ? 1 : 0, `replies to ${word}`);
    reference.after(letter, word[1], replies[0], noMail);
    if (letter === 'Q') break;
  }
  carryOut(session.end(), 'end');
  assert.deepEqual(session.end(), [], 'the end is told once');
  reference.endSession();
  return { seen, sessions: reference.sessionsEnded };
}

function generatorOf(letters: readonly string[]): () => string {
  let next = 0;
  return () => letters[next++ % letters.length] ?? 'c';
}

test('a reply exactly where one is due; ProtocolError exactly where the order makes no sense', () => {
  fc.assert(
    fc.property(
      anyInterests,
      offer,
      begin,
      conversation,
      verdicts,
      (interests, offered, start, words, letters) => {
        check([...start, ...words], new Session(interests), offered, generatorOf(letters));
      },
    ),
    { numRuns: 3000 },
  );
});

test('the policy is told reset once for each transaction it saw, close once for each session', () => {
  fc.assert(
    fc.property(
      anyInterests,
      offer,
      begin,
      conversation,
      verdicts,
      (interests, offered, start, words, letters) => {
        const { seen, sessions } = check(
          [...start, ...words],
          new Session(interests),
          offered,
          generatorOf(letters),
        );
        let inMessage = false;
        for (const kind of seen) {
          switch (kind) {
            case 'mail':
              assert.ok(!inMessage, `mail in a transaction: ${seen.join(' ')}`);
              inMessage = true;
              break;
            case 'rcpt':
            case 'data':
            case 'headers':
            case 'chunk':
            case 'endOfMessage':
              inMessage = true;
              break;
            case 'reset':
              inMessage = false;
              break;
            case 'close':
              assert.ok(!inMessage, `close in a transaction: ${seen.join(' ')}`);
              break;
          }
        }
        assert.ok(!inMessage, `no reset: ${seen.join(' ')}`);
        if (seen.length > 0) assert.equal(seen.at(-1), 'close');
        assert.equal(seen.filter((kind) => kind === 'close').length, sessions, seen.join(' '));
        const resets = seen.filter((kind) => kind === 'reset').length;
        const mails = seen.filter((kind) => kind === 'mail').length;
        if (interests.mail !== 'none')
          assert.ok(resets === mails, `${mails} mails, ${resets} resets: ${seen.join(' ')}`);
      },
    ),
    { numRuns: 3000 },
  );
});

test('a message is the same to the policy whatever came before it', () => {
  const shownOf = (words: readonly string[], interests: Interests, offered: Offer) => {
    const session = new Session(interests);
    const shown: unknown[] = [];
    const carryOut = (first: readonly Step[]) => {
      let steps = first;
      for (let i = 0; i < steps.length; i++) {
        const step = steps[i] as Step;
        if (step.kind === 'send') shown.push(step.reply);
        if (step.kind === 'ask' || step.kind === 'tell')
          shown.push({ event: structuredClone(step.event), i: session.macros.get('i') });
        if (step.kind === 'ask') [steps, i] = [session.answer({ kind: 'continue' }), -1];
        if (step.kind === 'again') [steps, i] = [session.receive(step.command), -1];
      }
    };
    carryOut(session.receive(commandOf('O', offered)));
    for (const word of words) carryOut(session.receive(commandOf(word, offered)));
    shown.length = 0;
    for (const word of ['C9', 'H9', 'DM9', 'M9', 'R9', 'DR8', 'R8', 'T', 'L9', 'N', 'B9', 'E']) {
      carryOut(session.receive(commandOf(word, offered)));
      // What the session before it is told at CONNECT is not of this message.
      if (word === 'C9')
        shown.splice(0, shown.findLastIndex((item) => JSON.stringify(item).includes('"close"')) + 1);
    }
    return shown;
  };
  const legal = fc
    .array(message, { maxLength: 4 })
    .map((parts) => ['C', 'H', ...parts.flatMap((words) => words.split(' '))]);
  fc.assert(
    fc.property(anyInterests, offer, legal, (interests, offered, words) => {
      assert.deepEqual(shownOf(words, interests, offered), shownOf([], interests, offered));
    }),
    { numRuns: 1000 },
  );
});
