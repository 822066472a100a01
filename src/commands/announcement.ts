/** What the start of the milter tells its operator, on standard output and in the log. */
import { type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { mayMakeFilesIn } from '../net/endpoint.ts';
import {
  type BoundAddress,
  formatListenAddress,
  mainCfLine,
  POSTFIX_QUEUE,
  postfixQueueAbove,
  sendmailMcLine,
} from '../net/listen-address.ts';
import { consequenceOf, NO_CALLBACKS, scriptDoesNotRun } from '../policy/failure.ts';
import type { OnError } from '../policy/policy-settings.ts';
import { type ScriptReport, warningLines } from '../policy/policy-source.ts';
import type { Logger } from '../syslog/log.ts';
import { nameOf, userName } from '../system/privileges.ts';
import { visible } from '../text/visible.ts';

/** What the default of --on-error means. */
const FAILS_OPEN =
  '--on-error continue: mail goes on where a callback fails, so whoever can make one fail gets by the policy; --on-error tempfail defers it';

export interface Announcement {
  readonly version: string;
  readonly addresses: readonly BoundAddress[];
  readonly report: ScriptReport;
  readonly onError: OnError;
  /** What the operator should know of the sockets. */
  readonly warnings: readonly string[];
  /** The policy runs as root. */
  readonly asRoot: boolean;
}

/** On standard output: what an operator wants to see, and the lines to copy, each alone on its line. */
export function announce({ version, addresses, report, onError, warnings }: Announcement): void {
  const lines = [`smtpf-milter ${version}`];
  for (const address of addresses) {
    lines.push(
      `listening on ${formatListenAddress(address)}`,
      ...openTo(address),
      '',
      `For Postfix, in main.cf${chrootCaution(address)}:`,
      mainCfLine(address),
      `For Sendmail, in sendmail.mc${safetyCaution(address)}:`,
      sendmailMcLine(address),
      '',
    );
  }
  if (report.problem === undefined || report.isUnproven) lines.push(stateOf(report, onError));
  else lines.push(`script does not run: ${report.problem}`, consequenceOf(onError));
  if (onError === 'continue') lines.push(FAILS_OPEN);
  lines.push(...[...warnings, ...warningLines(report)].map((warning) => `warning: ${warning}`));
  process.stdout.write(Buffer.from(`${lines.map(visible).join('\n')}\n`, 'latin1'));
}

/** Sockets that this process, with the rights it has by now, cannot remove when it ends: one line each. */
export function irremovableSockets(addresses: readonly BoundAddress[]): string[] {
  return addresses.flatMap((address) => {
    if (address.kind !== 'unix' || address.handed) return [];
    const directory = dirname(address.path);
    if (mayMakeFilesIn(directory)) return [];
    const user = userName();
    return [
      `${formatListenAddress(address)} stays behind when the milter ends, and only a start by root replaces it: user ${user} may not write to ${directory}; name a socket in a directory of that user (install -d -o ${user} DIRECTORY)`,
    ];
  });
}

/** Who may connect to a unix socket: that takes the right to write. */
function openTo(address: BoundAddress): string[] {
  const status = address.kind === 'unix' ? statusOf(address.path) : undefined;
  if (status === undefined) return [];
  const { mode, uid, gid } = status;
  const user = `user ${nameOf('passwd', uid)}`;
  const who =
    (mode & 0o002) !== 0
      ? 'every user'
      : (mode & 0o020) !== 0
        ? `${user} and group ${nameOf('group', gid)}`
        : user;
  return [`open to ${who} (mode ${(mode & 0o7777).toString(8).padStart(4, '0')})`];
}

/** undefined where this user cannot look. */
function statusOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

function chrootCaution(address: BoundAddress): string {
  if (address.kind !== 'unix' || postfixQueueAbove(address.path) !== undefined) return '';
  return ` (without a chroot only; a socket below ${POSTFIX_QUEUE} is found in both cases)`;
}

/** Sendmail does not start with a socket in a directory, or below one, that others than its owner may write to. */
function safetyCaution(address: BoundAddress): string {
  if (address.kind !== 'unix') return '';
  for (let above = dirname(address.path); ; above = dirname(above)) {
    if (((statusOf(above)?.mode ?? 0) & 0o022) !== 0) {
      return ` (Sendmail does not start with it, as others than its owner may write to ${above})`;
    }
    if (above === '/') return '';
  }
}

export function logStart(
  log: Logger,
  { version, addresses, report, onError, warnings, asRoot }: Announcement,
): void {
  log.notice(`smtpf-milter ${version} listening on ${addresses.map(formatListenAddress).join(' ')}`);
  logScript(log, report, onError);
  if (onError === 'continue') log.notice(FAILS_OPEN);
  for (const warning of [...warnings, ...warningLines(report)]) log.warning(warning);
  if (asRoot) log.warning('running as root: choose another user with --user');
}

/** @param report undefined when no worker process has answered */
export function logReload(log: Logger, report: ScriptReport | undefined, onError: OnError): void {
  if (report === undefined) {
    log.error('SIGHUP: no worker process answers');
    return;
  }
  logScript(log, report, onError, 'SIGHUP: ');
  for (const warning of warningLines(report)) log.warning(warning);
}

/** One line: an error where mail passes without the policy, or is held up by it. */
function logScript(log: Logger, report: ScriptReport, onError: OnError, why = ''): void {
  const { problem, serving, callbacks } = report;
  if (problem === undefined) log[callbacks.length > 0 ? 'notice' : 'error'](why + describeScript(report));
  else if (serving === undefined) log.error(why + scriptDoesNotRun(onError, problem));
  else log[report.isRefused ? 'error' : 'warning'](why + stateOf(report, onError));
}

/** One line for systemd. */
export function stateOf(report: ScriptReport | undefined, onError: OnError): string {
  if (report === undefined) return 'no worker process answers';
  const { problem, serving } = report;
  if (problem === undefined) return describeScript(report);
  if (report.isUnproven)
    return `${describeScript(report)}; refused (--on-reload), it serves as there is none before it: ${problem}`;
  return serving === undefined
    ? scriptDoesNotRun(onError, problem)
    : `${problem}; the last good version (${serving}) serves`;
}

function describeScript({ path, hash, callbacks }: ScriptReport): string {
  return `script ${path} (${hash}), callbacks: ${callbacks.join(' ') || `none, ${NO_CALLBACKS}`}`;
}
