/**
 * Mail of a policy's own, sent through the one server that the operator has named: counted over all workers, and never in
 * answer to itself.
 *
 * Each message is marked with a number that nobody can guess, in a header and as ENVID, and the store knows the numbers
 * that were given. A message that bears one of them has come back: what a policy sends because of it would come back too.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { type Answer, known, type Patience, unknown } from '../asking/answer.ts';
import { Breaker, type BreakerNews } from '../asking/breaker.ts';
import { Gate } from '../asking/gate.ts';
import { get, set } from '../store/kv.ts';
import { parseRate, type Rate, take } from '../store/rate.ts';
import type { Store } from '../store/store.ts';
import type { Stored } from '../store/stored.ts';
import { OwnAddresses, type OwnNetwork, type OwnPlace } from './own-addresses.ts';
import { type SmarthostPlace, type TlsLevel, writtenPlace } from './smarthost-place.ts';
import { type Submission, submit, type Verdict } from './submission.ts';

/** Text is latin1. */
export interface OutgoingMail {
  /** Without brackets; `''` is the null sender. */
  readonly from: string;
  readonly to: readonly string[];
  /** Headers, an empty line and the body, with any line ends. */
  readonly message: Buffer;
  /** Marks of the message that the policy is at work on. */
  readonly marks: readonly string[];
}

/** Taken, but for the recipients in `refused`, with the replies; or refused for good. */
export type Sent =
  | { readonly kind: 'sent'; readonly reply: string; readonly refused: ReadonlyMap<string, string> }
  | { readonly kind: 'no'; readonly reply: string };

/** The port by which policies send mail. */
export interface Mailer {
  /** Never rejects. */
  send(mail: OutgoingMail, patience: Patience): Promise<Answer<Sent>>;
}

export interface MailerSettings {
  readonly smarthost: SmarthostPlace | undefined;
  readonly smarthostTls: TlsLevel;
  /** Recipients of all messages together. */
  readonly sendPerHour: number;
  /** Where no mail server is asked for anything: this server. */
  readonly ownAddress: readonly OwnNetwork[];
  /** Where this server listens; nowhere without. */
  readonly listening?: (() => readonly OwnPlace[]) | undefined;
}

/** The header that marks what was sent here. */
export const MARK_HEADER = 'X-Loop';
const MARK = /\bsmtpf-milter-[0-9a-f]{32}\b/g;

/** Bytes of the largest message. */
export const MAX_MESSAGE = 25 * 1024 * 1024;
/** Messages that are on their way at a time. */
const AT_A_TIME = 5;
/** What is counted is worth a wait: a store that is opened, on a busy machine. */
const STORE_MS = 5000;
/** Mail may wait so long in a queue before it comes back. */
const MARK_MS = 5 * 86_400_000;
/** Not a name that a policy can give a space of its own, and a key that none will think of. */
const SPACE = ' sent';
const BUCKET = Buffer.from('\0smtp.send', 'latin1');

/** Marks in texts of a message: its X-Loop headers, its ENVID. */
export function marksIn(values: readonly string[]): string[] {
  return values.flatMap((value) => value.match(MARK) ?? []).slice(0, MOST_MARKS);
}

/** Anyone can write them. */
const MOST_MARKS = 10;

export class SmarthostMailer implements Mailer {
  readonly #settings: MailerSettings;
  readonly #store: Store;
  readonly #own: OwnAddresses;
  readonly #rate: Rate;
  readonly #breaker: Breaker;
  readonly #gate: Gate;
  /** What is counted while the store does not answer. */
  #counted: Stored | undefined;

  constructor(settings: MailerSettings, store: Store, tell: (news: BreakerNews) => void) {
    const { smarthost, sendPerHour, ownAddress, listening } = settings;
    this.#settings = settings;
    this.#store = store;
    this.#own = new OwnAddresses(ownAddress, listening);
    this.#rate = rateOf(sendPerHour);
    const subject = smarthost === undefined ? 'smarthost' : `smarthost ${writtenPlace(smarthost)}`;
    this.#breaker = new Breaker(subject, tell);
    this.#gate = new Gate(subject, AT_A_TIME);
  }

  async send(mail: OutgoingMail, patience: Patience): Promise<Answer<Sent>> {
    const { smarthost } = this.#settings;
    const { length } = mail.message;
    if (smarthost === undefined) return unknown('unavailable', 'no --smarthost');
    if (this.#own.has(smarthost.host, smarthost.port))
      return unknown('refused', 'the smarthost is this server: an --own-address, or where it listens');
    if (length > MAX_MESSAGE) return unknown('limit', `message of ${length} bytes, at most ${MAX_MESSAGE}`);
    // nodemailer does not send them, and whoever gives such an address must not close the server to others.
    if ([mail.from, ...mail.to].some((address) => /[<>\r\n]/.test(address)))
      return unknown('refused', 'an address with < or > in it');
    if (await this.#isInLoop(mail.marks, patience)) {
      return unknown(
        'refused',
        'this message was sent by smtp.send, and nothing is sent because of it: mail loop',
      );
    }
    return this.#gate.ask(patience, async (left) => {
      try {
        const answer = await this.#breaker.ask(() => this.#submit(smarthost, mail, left), left.cancelled);
        return answer.kind === 'unknown' ? answer : sentOf(answer.value, writtenPlace(smarthost));
      } catch (error) {
        if (error instanceof OverLimit) return unknown('limit', error.message);
        throw error;
      }
    });
  }

  /** @throws OverLimit: which says nothing of the server, so that its breaker learns nothing */
  async #submit(server: SmarthostPlace, mail: OutgoingMail, patience: Patience): Promise<Answer<Verdict>> {
    const end = performance.now() + patience.timeoutMs;
    const { cancelled } = patience;
    await this.#count(mail.to.length, patience);
    const mark = `smtpf-milter-${randomBytes(16).toString('hex')}`;
    // Without a store nothing will be known of a message that comes back: then none is sent because of it, see #isInLoop.
    await this.#store.run(set(placeOf(mark), true, MARK_MS), soon(patience));
    const submission: Submission = {
      server,
      tls: this.#settings.smarthostTls,
      helo: hostname(),
      from: mail.from,
      to: mail.to,
      envelopeId: mark,
      message: [Buffer.from(`${MARK_HEADER}: ${mark}\r\n`), mail.message],
    };
    const timeoutMs = Math.max(1, Math.ceil(end - performance.now()));
    return submit(submission, this.#own.lookup(server.port), { timeoutMs, cancelled });
  }

  /** Takes from the store what all workers share, or from this worker's own count where it does not answer. */
  async #count(recipients: number, patience: Patience): Promise<void> {
    const { sendPerHour } = this.#settings;
    const perHour = `--send-per-hour ${sendPerHour}`;
    if (recipients > sendPerHour) throw new OverLimit(`${recipients} recipients, ${perHour}`);
    const operation = take(BUCKET, [this.#rate], recipients);
    let taken = await this.#store.run(operation, soon(patience));
    if (taken.kind === 'unknown') {
      const { writes, answer } = operation.change([this.#counted], Date.now());
      this.#counted = writes?.[0] ?? this.#counted;
      taken = answer;
    }
    if (taken.kind === 'known' && taken.value.kind === 'refused') {
      throw new OverLimit(`${perHour}: the next in ${Math.ceil(taken.value.retryMs / 1000)} s`);
    }
  }

  /** Where it cannot be found out, it is: mail that is missing is seen, a loop fills queues first. */
  async #isInLoop(marks: readonly string[], patience: Patience): Promise<boolean> {
    for (const mark of marks) {
      const found = await this.#store.run(get(placeOf(mark)), soon(patience));
      if (found.kind === 'unknown' || found.value !== undefined) return true;
    }
    return false;
  }
}

/** Where nobody is sent anything. */
export class NoMailer implements Mailer {
  readonly #answer: Answer<never>;

  /** @param why what is said: `is asked with --live only` */
  constructor(why: string) {
    this.#answer = unknown('unavailable', `smarthost ${why}`);
  }

  async send(): Promise<Answer<never>> {
    return this.#answer;
  }
}

class OverLimit extends Error {}

function sentOf(verdict: Verdict, server: string): Answer<Sent> {
  return verdict.kind === 'unsure'
    ? unknown('refused', `smarthost ${server}: ${verdict.reply}`)
    : known(verdict);
}

const placeOf = (mark: string) => ({ space: SPACE, key: Buffer.from(mark, 'latin1') });

const soon = ({ timeoutMs, cancelled }: Patience): Patience => ({
  timeoutMs: Math.min(STORE_MS, timeoutMs),
  cancelled,
});

function rateOf(perHour: number): Rate {
  const rate = parseRate(`${perHour}/h`);
  if (rate === undefined) throw new Error(`no rate: ${perHour}`);
  return rate;
}
