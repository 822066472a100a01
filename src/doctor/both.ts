/** What is looked at alike for Postfix and Sendmail. */
import { type Deadlines, deadlinesOf } from '../control/status.ts';
import { inPolicy, type Mend } from './finding.ts';
import type { MacroRead } from './policy-facts.ts';
import type { Scene, Target } from './scene.ts';

/** How much longer an MTA must wait than a callback may take: the answer has a way to go. */
const MARGIN_MS = 2_000;

/** A duration for people: `8 s`. @param ms milliseconds */
export function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`;
}

/** Whole seconds that an MTA should wait where a callback may take `ms` milliseconds. */
export function enough(ms: number): number {
  return Math.ceil((ms + MARGIN_MS) / 1000);
}

/** Whether an MTA that waits `waitMs` gives up on a callback that may take `callbackMs`. */
export function givesUp(waitMs: number, callbackMs: number): boolean {
  return waitMs < callbackMs + MARGIN_MS / 2;
}

/** `--on-error` of the server that runs, else of the options. */
export function onErrorOf({ running, options }: Scene): string {
  return running?.script.onError ?? options.onError;
}

/**
 * What the MTA does while the milter is not there, beside what the milter does where the policy fails.
 * @param setting as `milter_default_action = accept` @param effect what becomes of mail @param mend that closes it
 */
export function checkFailure(
  scene: Scene,
  where: string,
  setting: string,
  effect: 'passes' | 'waits' | 'is refused' | 'is held',
  mend: readonly Mend[],
): void {
  const { findings } = scene;
  const onError = onErrorOf(scene);
  const isClosed = onError === 'tempfail' || onError === 'reject';
  if (effect === 'passes') {
    const beside = isClosed ? `, though --on-error ${onError} holds it up where the policy fails` : '';
    findings.add({
      id: 'fails-open',
      severity: 'warning',
      where,
      problem: `mail passes unfiltered while the milter is not there or does not answer (${setting})${beside}`,
      mend,
    });
    return;
  }
  findings.right(where, `mail ${effect} while the milter is not there (${setting})`);
  if (!isClosed)
    findings.note(
      '--on-error',
      `mail goes on where a callback fails (--on-error ${onError}): whoever can make one fail gets by the policy; --on-error tempfail defers it`,
    );
}

/** The longer ones: of the server that runs, and of the options with which it will be started. */
export function deadlinesToMeet({ running, options }: Scene): Deadlines {
  const given = deadlinesOf(options);
  // A server of an older version does not tell.
  const { callbackMs = 0, endOfMessageMs = 0 } = running?.deadlines ?? {};
  return {
    callbackMs: Math.max(callbackMs, given.callbackMs),
    endOfMessageMs: Math.max(endOfMessageMs, given.endOfMessageMs),
  };
}

/** Ports and names under which milters that sign are known: OpenDKIM, OpenARC, dkimpy-milter, Rspamd. */
const SIGNING_PORTS: ReadonlySet<number> = new Set([8891, 8892, 11332]);
const SIGNING_NAMES = /dkim|openarc|rspamd|(^|[^a-z])arc([^a-z]|$)/i;

/** Whether a milter, to judge by its name, signs messages. @param name what Sendmail calls it */
export function seemsToSign(target: Target, name = ''): boolean {
  if (SIGNING_NAMES.test(name)) return true;
  return target.kind === 'unix' ? SIGNING_NAMES.test(target.path) : SIGNING_PORTS.has(target.port);
}

/** One of the milters in the order in which the MTA calls them. */
export interface InOrder {
  readonly written: string;
  readonly isOurs: boolean;
  readonly signs: boolean;
}

/**
 * Milters in an order that breaks signatures.
 * @param mendFor the line that puts them into the given order
 */
export function checkOrder(
  { findings, policy }: Scene,
  where: string,
  milters: readonly InOrder[],
  mendFor: (order: readonly InOrder[]) => Mend[],
): void {
  const at = milters.findIndex(({ isOurs }) => isOurs);
  const ours = milters[at];
  if (ours === undefined) return;
  const rest = milters.filter((milter) => milter !== ours);
  const signer = milters.slice(0, at).find(({ signs }) => signs);
  if (policy.changesMessages && !policy.signs && signer !== undefined) {
    const before = rest.indexOf(signer);
    findings.add({
      id: 'milter-order',
      severity: 'warning',
      where,
      problem: `${signer.written} signs a message before this milter, whose policy changes headers or bodies: the signature breaks`,
      mend: mendFor([...rest.slice(0, before), ours, ...rest.slice(before)]),
    });
    return;
  }
  const later = milters[at + 1];
  if (policy.signs && later !== undefined)
    findings.add({
      id: 'milter-order',
      severity: 'warning',
      where,
      problem: `this milter signs, and ${later.written} comes after it: what that one changes breaks the signature`,
      mend: mendFor([...rest, ours]),
    });
}

/** Macros that nobody asks an MTA for, by the name the policy has for them. */
export function checkMacroNames({ findings, policy, options }: Scene): void {
  for (const macro of policy.macros) {
    if (macro.isAskedFor || options.macros === 'none' || macro.symbol === macro.written) continue;
    findings.add({
      id: 'macro-unasked',
      severity: 'warning',
      where: placeOf(policy.path, macro),
      problem: `the policy reads the macro ${JSON.stringify(macro.written)}, for which the milter asks no MTA by this name`,
      mend: [inPolicy(`smtp.macro ${JSON.stringify(macro.symbol)}`)],
    });
  }
}

/** `FILE:LINE` of a use. */
export function placeOf(path: string, { line }: MacroRead): string {
  return `${path}:${line}`;
}
