/** Plays a recorded session to a policy, as the MTA that sent it would send it to that policy. */
import { SMFIP } from '../milter/constants.ts';
import type { PolicyFactory } from '../milter/policy.ts';
import { ProtocolError } from '../milter/protocol-error.ts';
import type { SymbolList } from '../milter/reply.ts';
import type { MessageLimits } from '../milter/transaction.ts';
import { DECLINING } from '../workbench/filter-link.ts';
import { SessionRunner } from '../workbench/session-runner.ts';
import type { ReadSession } from './commands.ts';
import { type Outcome, type Step, StepList } from './steps.ts';

/** How a session went. */
export interface Played {
  readonly steps: readonly Step[];
  /** What the policy would be told, and the recording does not have, as nobody asked for it then: `body`, `macro {x}`. */
  readonly unseen: readonly string[];
}

export interface PlayedPolicy {
  readonly policies: PolicyFactory;
  readonly limits: MessageLimits;
  /** The next command is handled. */
  readonly step: () => void;
  /** What the command has led to beside its answer. */
  readonly take: () => Pick<Outcome, 'calls' | 'unrecorded' | 'queueId'>;
}

const EVENT_NAMES: readonly (readonly [bit: number, name: string])[] = [
  [SMFIP.NOCONNECT, 'connect'],
  [SMFIP.NOHELO, 'HELO'],
  [SMFIP.NOMAIL, 'MAIL'],
  [SMFIP.NORCPT, 'RCPT'],
  [SMFIP.NODATA, 'DATA'],
  [SMFIP.NOHDRS, 'headers'],
  [SMFIP.NOBODY, 'body'],
  [SMFIP.NOUNKNOWN, 'unknown commands'],
];

/** Waits only where the policy does. */
export async function playSession(
  { session, commands }: ReadSession,
  { policies, limits, step, take }: PlayedPolicy,
): Promise<Played> {
  const list = new StepList();
  const runner = new SessionRunner({ policies, limits, nextSessionId: () => session.id, warn: () => {} });
  let unseen: readonly string[] = [];
  let number = 0;
  try {
    for (const entry of session.entries) {
      if (entry[0] !== 'command') {
        if (entry[0] === 'reply' && entry[1].kind === 'negotiate') {
          const { protocol, symbols } = entry[1];
          unseen = unseenOf({ protocol, symbols }, { protocol: runner.protocol, symbols: runner.symbols });
        }
        continue;
      }
      step();
      const command = commands[number];
      number += 1;
      if (command === undefined) break;
      // An MTA does not tell what the filter has declined.
      const isDeclined = ((DECLINING[command.kind] ?? 0) & runner.protocol) !== 0;
      const said = isDeclined ? undefined : runner.say(command);
      const answer = said instanceof Promise ? await said : said;
      list.add(command, { reply: answer?.reply, edits: answer?.modifications ?? [], ...take() });
    }
  } catch (error) {
    // The server closes the connection of an MTA that says what makes no sense.
    if (!(error instanceof ProtocolError)) throw error;
  } finally {
    const ended = runner.end();
    if (ended) await ended;
  }
  list.end();
  return { steps: list.steps, unseen };
}

interface Agreed {
  readonly protocol: number;
  readonly symbols: readonly SymbolList[];
}

/** What was found out last; sessions of one server agree on the same again and again. */
let lastUnseen:
  | { readonly then: Agreed; readonly now: Agreed; readonly found: readonly string[] }
  | undefined;

function unseenOf(then: Agreed, now: Agreed): readonly string[] {
  if (lastUnseen === undefined || !isSame(lastUnseen.then, then) || !isSame(lastUnseen.now, now))
    lastUnseen = { then, now, found: findUnseen(then, now) };
  return lastUnseen.found;
}

function isSame(one: Agreed, other: Agreed): boolean {
  return one.protocol === other.protocol && one.symbols === other.symbols;
}

function findUnseen(then: Agreed, now: Agreed): string[] {
  const events = EVENT_NAMES.filter(([bit]) => (then.protocol & bit) !== 0 && (now.protocol & bit) === 0);
  const had = new Set(then.symbols.flatMap(({ names }) => names));
  const macros = new Set(now.symbols.flatMap(({ names }) => names).filter((name) => !had.has(name)));
  return [...events.map(([, name]) => name), ...[...macros].map((name) => `macro ${name}`)];
}
